//! What the owner of a machine may set about logins. The reasons for the numbers: docs/spec/access.md.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Settings of the rules about logins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// Failed logins of one source, within `window_seconds`, that are an attack.
    pub failures: u32,
    /// See `failures`.
    pub window_seconds: u32,
    /// Failed logins of one source, within `slow_hours`, that are a slow attack.
    pub slow_failures: u32,
    /// See `slow_failures`.
    pub slow_hours: u32,
    /// Sources that fail for one user within ten minutes and are an attack from many places.
    pub sources: u32,
    /// Users that one source fails for within an hour and are a search for weak passwords.
    pub users: u32,
    /// Failed logins within an hour after which a success of the same source is told.
    pub failures_before_success: u32,
    /// Logins of a user after which its habits count as known.
    pub learned_after: u32,
    /// Networks whose failures are not counted, such as that of a scanner of your own.
    pub allow: Vec<Network>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            failures: 8,
            window_seconds: 120,
            slow_failures: 20,
            slow_hours: 6,
            sources: 20,
            users: 10,
            failures_before_success: 6,
            learned_after: 5,
            allow: Vec::new(),
        }
    }
}

impl AccessSettings {
    pub(super) fn allows(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.allow.iter().any(|network| network.has(address)))
    }
}

/// A network: an address, and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of `bits` leading bits that an address is in.
    pub(super) fn of(address: IpAddr, bits: u8) -> Self {
        Self { address: masked(address, bits), bits }
    }

    /// Its first address.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// The address is in it.
    pub fn has(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

/// Text that is no network.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no network; write an address such as 192.0.2.7 or a network such as 192.0.2.0/24")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(head, tail)| (head, Some(tail)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| bad())?;
        if bits > most {
            return Err(bad());
        }
        Ok(Self::of(address, bits))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_of_its_leading_bits_and_no_others() {
        let network: Network = "192.0.2.128/25".parse().unwrap();
        assert!(network.has("192.0.2.128".parse().unwrap()) && network.has("192.0.2.255".parse().unwrap()));
        assert!(!network.has("192.0.2.127".parse().unwrap()) && !network.has("::1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.has("203.0.113.9".parse().unwrap()));
        let one: Network = "2001:db8::1".parse().unwrap();
        assert!(one.has("2001:db8::1".parse().unwrap()) && !one.has("2001:db8::2".parse().unwrap()));
        for text in ["192.0.2.1/33", "192.0.2", "x", "::1/129", "192.0.2.1/-1"] {
            assert!(text.parse::<Network>().unwrap_err().to_string().contains(text));
        }
    }
}

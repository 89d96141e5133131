//! Who may read: one-time tokens, the session cookie, and how often an address may try.
//!
//! A token is 128 random bits, so guessing is hopeless at any rate; the limit on attempts keeps a loop out of the
//! log and off the store. There are no passwords and no users yet. What is stored is in `store`.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use axum::http::{HeaderMap, header};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

/// A secret as the browser holds it: 32 hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// 128 bits from the kernel.
    pub fn random() -> std::io::Result<Self> {
        let mut bits = [0_u8; 16];
        // Up to 256 bytes are never cut short (getrandom(2)).
        getrandom(&mut bits, GetRandomFlags::empty())?;
        Ok(Self(hex(&bits)))
    }

    /// The token in `text`, when it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_token.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The session's token in the request's cookies. Two cookies of our name are none: one of them is not ours.
    pub fn of_cookie(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
        match (ours.next(), ours.next()) {
            (Some(value), None) => Self::parse(value),
            (None | Some(_), _) => None,
        }
    }

    /// What the store keeps.
    pub fn hash(&self) -> TokenHash {
        TokenHash(hex(&Sha256::digest(self.0.as_bytes())))
    }

    /// The text, for a link or a cookie; nothing else may show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The header that makes the browser keep this token for `seconds`.
    pub fn to_cookie(&self, seconds: u64) -> String {
        format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}", self.0)
    }
}

/// The header that makes the browser forget its token.
pub(crate) const COOKIE_GONE: &str =
    "__Host-minesweep=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";

/// `__Host-`: the browser takes it only over https, for this host alone, for all paths.
const COOKIE: &str = "__Host-minesweep";

/// SHA-256 of a token, hexadecimal. A token has 128 random bits: no salt and no slow hash is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenHash(String);

impl TokenHash {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// How a login link lives, milliseconds.
pub(crate) const LOGIN_MS: u64 = 15 * 60_000;

/// How long a session lives, milliseconds.
pub(crate) const SESSION_MS: u64 = 12 * 3_600_000;

/// Age at which a cookie is replaced, milliseconds: a stolen one is worth an hour, not the whole session.
pub(crate) const ROTATE_MS: u64 = 3_600_000;

/// How long a replaced cookie is still good, milliseconds: for requests that are under way.
pub(crate) const GRACE_MS: u64 = 60_000;

/// Login attempts of the last minute, by address.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    by_address: HashMap<IpAddr, VecDeque<u64>>,
}

impl Attempts {
    /// Counts an attempt; `Err` holds the seconds to wait when the address had its five in this minute.
    pub fn admit(&mut self, address: IpAddr, now_ms: u64) -> Result<(), u64> {
        let address = network(address);
        if !self.by_address.contains_key(&address) {
            self.make_room(now_ms);
        }
        let times = self.by_address.entry(address).or_default();
        times.retain(|at_ms| now_ms < at_ms.saturating_add(MINUTE_MS) && *at_ms <= now_ms);
        match times.front() {
            Some(first) if times.len() >= ATTEMPTS => {
                Err(first.saturating_add(MINUTE_MS).saturating_sub(now_ms).div_ceil(1000))
            }
            Some(_) | None => {
                times.push_back(now_ms);
                Ok(())
            }
        }
    }

    /// Drops addresses that are quiet, and, when that is not enough, the one that was quiet longest.
    fn make_room(&mut self, now_ms: u64) {
        if self.by_address.len() < ADDRESSES {
            return;
        }
        self.by_address.retain(|_, times| times.back().is_some_and(|at_ms| now_ms < at_ms + MINUTE_MS));
        if self.by_address.len() < ADDRESSES {
            return;
        }
        let quiet = self.by_address.iter().min_by_key(|(_, times)| times.back().copied()).map(|(at, _)| *at);
        if let Some(address) = quiet {
            self.by_address.remove(&address);
        }
    }
}

/// Attempts of one address in a minute.
const ATTEMPTS: usize = 5;

/// Addresses remembered. Who comes from more than this gets more attempts, and still guesses at 128 bits.
const ADDRESSES: usize = 1024;

const MINUTE_MS: u64 = 60_000;

/// An IPv6 host owns its /64, so that is what is counted.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_attempt_in_a_minute_waits_and_the_minute_over_it_may_go_on() {
        let mut attempts = Attempts::default();
        let address = "192.0.2.7".parse().unwrap();
        for second in 0..5 {
            assert_eq!(attempts.admit(address, second * 1000), Ok(()));
        }
        assert_eq!(attempts.admit(address, 5_000), Err(55));
        assert_eq!(attempts.admit(address, 59_999), Err(1));
        assert_eq!(attempts.admit(address, 60_000), Ok(()));
        assert_eq!(attempts.admit("192.0.2.8".parse().unwrap(), 5_000), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_their_attempts() {
        let mut attempts = Attempts::default();
        for host in 1..=5 {
            assert_eq!(attempts.admit(format!("2001:db8::{host}").parse().unwrap(), 0), Ok(()));
        }
        assert!(attempts.admit("2001:db8::6".parse().unwrap(), 0).is_err());
        assert_eq!(attempts.admit("2001:db8:0:1::6".parse().unwrap(), 0), Ok(()));
        for _ in 0..5 {
            assert_eq!(attempts.admit("::ffff:192.0.2.7".parse().unwrap(), 0), Ok(()));
        }
        assert!(attempts.admit("192.0.2.7".parse().unwrap(), 0).is_err());
    }

    #[test]
    fn the_list_of_addresses_is_bounded() {
        let mut attempts = Attempts::default();
        for host in 0..5_000_u32 {
            assert_eq!(attempts.admit(IpAddr::V4(host.into()), u64::from(host)), Ok(()));
        }
        assert!(attempts.by_address.len() <= ADDRESSES);
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let mut attempts = Attempts::default();
        let address = "192.0.2.7".parse().unwrap();
        for _ in 0..5 {
            assert_eq!(attempts.admit(address, 1_000_000), Ok(()));
        }
        assert_eq!(attempts.admit(address, 10_000), Ok(()));
    }

    #[test]
    fn only_one_cookie_of_our_name_in_our_form_is_a_token() {
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            Token::of_cookie(&headers).map(|token| token.0)
        };
        let token = "00112233445566778899aabbccddeeff";
        let ours = format!("__Host-minesweep={token}");
        assert_eq!(read(&[&format!("a=b; {ours}; c")]), Some(token.to_owned()));
        assert_eq!(read(&["a=b", &ours]), Some(token.to_owned()));
        assert_eq!(read(&[&ours, &ours]), None);
        assert_eq!(read(&[&format!("{ours}; {ours}")]), None);
        assert_eq!(read(&[&format!("{ours}0")]), None);
        assert_eq!(read(&["minesweep=00112233445566778899aabbccddeeff"]), None);
        assert_eq!(read(&["__Host-minesweep=' OR 1=1 --"]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn tokens_differ_and_their_hash_does_not_show_them() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.hash(), Token::parse(one.reveal()).unwrap().hash());
        assert!(!one.hash().as_str().contains(one.reveal()));
    }
}

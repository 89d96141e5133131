//! Reads what comes before the protocol when it runs through a proxy: SOCKS4, SOCKS4a and SOCKS5 (RFC 1928, 1929).
//!
//! Each side is read by itself, so one lost side does not blind the other. User names and passwords are passed
//! over, never kept. HTTP CONNECT is in `http`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Progress;
use crate::text::clean;

/// A proxy protocol a client began to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tunnel {
    Connect,
    Socks4,
    Socks5,
}

/// Longest user id or name in SOCKS4, bytes: the protocol has no bound, hosts names have 255.
const MAX_NAME: usize = 255;

/// Reads from the front of a slice; `None` when it is too short.
struct Taker<'a>(&'a [u8]);

impl<'a> Taker<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.byte()?;
        self.take(usize::from(count))
    }

    fn port(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A text that ends with a zero byte; the inner `None` is one that is too long.
    fn until_zero(&mut self) -> Option<Option<&'a [u8]>> {
        match memchr::memchr(0, self.0) {
            Some(at) if at <= MAX_NAME => {
                let text = self.take(at)?;
                self.take(1)?;
                Some(Some(text))
            }
            Some(_) => Some(None),
            None if self.0.len() > MAX_NAME => Some(None),
            None => None,
        }
    }
}

/// Whether a client's greeting is complete, so that the other side may already answer it.
pub(crate) fn is_socks5_greeting(stream: &[u8]) -> bool {
    let mut taker = Taker(stream);
    taker.byte() == Some(5) && taker.counted().is_some_and(|methods| !methods.is_empty())
}

/// Reads a SOCKS5 client up to the end of its request; gives the target.
pub(crate) fn socks5_client(stream: &[u8]) -> Progress<String> {
    let mut taker = Taker(stream);
    progress(read_socks5_client(&mut taker), stream.len(), &taker)
}

/// Outer `None`: too short. Inner `None`: not SOCKS5.
fn read_socks5_client(taker: &mut Taker<'_>) -> Option<Option<String>> {
    if taker.byte()? != 5 {
        return Some(None);
    }
    if taker.counted()?.is_empty() {
        return Some(None);
    }
    let mut version = taker.byte()?;
    if version == 1 {
        taker.counted()?;
        taker.counted()?;
        version = taker.byte()?;
    }
    if version != 5 || taker.byte()? != 1 || taker.byte()? != 0 {
        return Some(None);
    }
    read_address(taker)
}

/// Reads a SOCKS5 proxy's answers up to the end of its reply.
pub(crate) fn socks5_proxy(stream: &[u8]) -> Progress<String> {
    let mut taker = Taker(stream);
    progress(read_socks5_proxy(&mut taker), stream.len(), &taker)
}

fn read_socks5_proxy(taker: &mut Taker<'_>) -> Option<Option<String>> {
    if taker.byte()? != 5 {
        return Some(None);
    }
    if taker.byte()? == 2 && taker.array::<2>()? != [1, 0] {
        return Some(None);
    }
    if taker.byte()? != 5 {
        return Some(None);
    }
    taker.array::<2>()?;
    read_address(taker)
}

fn read_address(taker: &mut Taker<'_>) -> Option<Option<String>> {
    let host = match taker.byte()? {
        1 => Ipv4Addr::from(taker.array::<4>()?).to_string(),
        3 => host_name(taker.counted()?),
        4 => format!("[{}]", Ipv6Addr::from(taker.array::<16>()?)),
        _ => return Some(None),
    };
    Some(Some(format!("{host}:{}", taker.port()?)))
}

/// Reads a SOCKS4 or SOCKS4a request; gives the target.
pub(crate) fn socks4_client(stream: &[u8]) -> Progress<String> {
    let mut taker = Taker(stream);
    progress(read_socks4_client(&mut taker), stream.len(), &taker)
}

fn read_socks4_client(taker: &mut Taker<'_>) -> Option<Option<String>> {
    if taker.byte()? != 4 || taker.byte()? != 1 {
        return Some(None);
    }
    let port = taker.port()?;
    let address = taker.array::<4>()?;
    if taker.until_zero()?.is_none() {
        return Some(None);
    }
    // 0.0.0.x with x not 0 says that a name follows (SOCKS4a).
    let host = match address {
        [0, 0, 0, 1..=255] => match taker.until_zero()? {
            Some(name) => host_name(name),
            None => return Some(None),
        },
        address => Ipv4Addr::from(address).to_string(),
    };
    Some(Some(format!("{host}:{port}")))
}

/// Reads a SOCKS4 proxy's reply.
pub(crate) fn socks4_proxy(stream: &[u8]) -> Progress<String> {
    let mut taker = Taker(stream);
    let read = taker.array::<8>().map(|reply| matches!(reply, [0, 90..=93, ..]).then(String::new));
    progress(read, stream.len(), &taker)
}

fn host_name(name: &[u8]) -> String {
    clean(&String::from_utf8_lossy(name)).to_ascii_lowercase()
}

fn progress(read: Option<Option<String>>, whole: usize, taker: &Taker<'_>) -> Progress<String> {
    match read {
        None => Progress::Wait,
        Some(None) => Progress::Not,
        Some(Some(target)) => Progress::Done(target, whole - taker.0.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_in_every_form() {
        let cases: [(Progress<String>, &str, usize); 5] = [
            (socks5_client(b"\x05\x01\x00\x05\x01\x00\x03\x04Pool\x0d\x05{"), "pool:3333", 14),
            (
                socks5_client(b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x01\x7f\0\0\x01\x0d\x05"),
                "127.0.0.1:3333",
                19,
            ),
            (
                socks5_client(b"\x05\x01\x00\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50"),
                "[::1]:80",
                25,
            ),
            (socks4_client(b"\x04\x01\x0d\x05\x7f\0\0\x01me\0"), "127.0.0.1:3333", 11),
            (socks4_client(b"\x04\x01\x0d\x05\0\0\0\x01\0pool.test\0rest"), "pool.test:3333", 19),
        ];
        for (got, target, used) in cases {
            assert_eq!(got, Progress::Done(target.to_owned(), used));
        }
    }

    #[test]
    fn every_short_form_waits_and_other_bytes_are_refused() {
        let whole = b"\x05\x01\x00\x05\x01\x00\x03\x04pool\x0d\x05";
        for end in 0..whole.len() {
            assert_eq!(socks5_client(&whole[..end]), Progress::Wait, "{end}");
        }
        assert_eq!(socks5_client(b"\x05\x01\x00\x07"), Progress::Not);
        assert_eq!(socks4_client(b"\x04\x02"), Progress::Not);
    }
}

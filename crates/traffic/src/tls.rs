//! Reads a TLS ClientHello: server name, application protocols and the JA4 fingerprint.
//!
//! JA4 follows FoxIO's public description of the client form (github.com/FoxIO-LLC/ja4, technical_details/JA4.md,
//! BSD-3-Clause for JA4 itself). The hello may be spread over records and segments. Nothing is decrypted; the name
//! in an encrypted ClientHello stays hidden and the outer one is given.

use sha2::{Digest, Sha256};
use tls_parser::{
    TlsClientHelloContents, TlsExtension, parse_tls_client_hello_extension, parse_tls_handshake_client_hello,
};

use crate::Progress;
use crate::text::clean;

/// What a ClientHello shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// Server name, lower case as sent; `None` when not sent or not UTF-8.
    pub sni: Option<String>,
    /// Application protocols offered, at most 16.
    pub alpn: Vec<String>,
    /// JA4 fingerprint.
    pub ja4: String,
}

/// Longest hello that is put together, bytes; post-quantum ones stay below 4 KiB.
const MAX_HELLO: usize = 16 * 1024;

/// Reads the hello at the start of a stream of TLS records.
pub fn client_hello(stream: &[u8]) -> Progress<ClientHello> {
    let mut rest = stream;
    let mut message = Vec::new();
    loop {
        let Some((header, after)) = rest.split_at_checked(5) else {
            return if looks_like_handshake(rest) { Progress::Wait } else { Progress::Not };
        };
        let &[0x16, 3, 0..=4, high, low] = header else { return Progress::Not };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (fragment, is_whole) = match after.split_at_checked(length) {
            Some((fragment, after)) => {
                rest = after;
                (fragment, true)
            }
            None => (after, false),
        };
        message.extend_from_slice(fragment);
        if message.first().is_some_and(|&kind| kind != 1) || message.len() > MAX_HELLO {
            return Progress::Not;
        }
        if let Some(body) = hello_body(&message) {
            return read_body(body).map_or(Progress::Not, |hello| Progress::Done(hello, stream.len()));
        }
        if !is_whole {
            return Progress::Wait;
        }
    }
}

/// Whether fewer than five bytes may still become the header of a handshake record.
fn looks_like_handshake(start: &[u8]) -> bool {
    match start {
        [] | [0x16] => true,
        [0x16, 3, rest @ ..] => rest.first().is_none_or(|&minor| minor <= 4),
        _ => false,
    }
}

/// The body of the ClientHello once all of it is there (RFC 8446, 4).
fn hello_body(message: &[u8]) -> Option<&[u8]> {
    let (header, body) = message.split_at_checked(4)?;
    let &[_, high, middle, low] = header else { return None };
    let length = u32::from_be_bytes([0, high, middle, low]);
    body.get(..usize::try_from(length).ok()?)
}

fn read_body(body: &[u8]) -> Option<ClientHello> {
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    let extensions = extensions(hello.ext.unwrap_or_default());
    let mut sni = None;
    let mut alpn: Vec<&[u8]> = Vec::new();
    let mut algorithms = Vec::new();
    let mut versions = Vec::new();
    for (_, extension) in &extensions {
        match extension {
            Some(TlsExtension::SNI(names)) => {
                sni = names.first().and_then(|(_, name)| std::str::from_utf8(name).ok());
            }
            Some(TlsExtension::ALPN(names)) => alpn.clone_from(names),
            Some(TlsExtension::SignatureAlgorithms(list)) => algorithms.clone_from(list),
            Some(TlsExtension::SupportedVersions(list)) => versions = list.iter().map(|v| v.0).collect(),
            _ => {} // tls-parser's own enum: other extensions count only by their number
        }
    }
    let kinds: Vec<u16> = extensions.iter().map(|(kind, _)| *kind).filter(|&kind| !is_grease(kind)).collect();
    let ja4 = ja4(&hello, &versions, &kinds, &alpn, &algorithms);
    Some(ClientHello {
        sni: sni.map(|name| clean(name).to_ascii_lowercase()),
        alpn: alpn.iter().take(16).map(|name| clean(&String::from_utf8_lossy(name))).collect(),
        ja4,
    })
}

/// Number and content of each extension; content is `None` where it cannot be read.
fn extensions(mut rest: &[u8]) -> Vec<(u16, Option<TlsExtension<'_>>)> {
    let mut out = Vec::new();
    while let Some(&[a, b, c, d]) = rest.first_chunk::<4>() {
        let length = 4 + usize::from(u16::from_be_bytes([c, d]));
        let Some((whole, after)) = rest.split_at_checked(length) else { break };
        rest = after;
        let content = parse_tls_client_hello_extension(whole).ok().map(|(_, extension)| extension);
        out.push((u16::from_be_bytes([a, b]), content));
    }
    out
}

/// Values that clients send to keep servers tolerant (RFC 8701); JA4 leaves them out.
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn ja4(
    hello: &TlsClientHelloContents<'_>,
    versions: &[u16],
    kinds: &[u16],
    alpn: &[&[u8]],
    algorithms: &[u16],
) -> String {
    let version = versions.iter().copied().filter(|&v| !is_grease(v)).max().unwrap_or(hello.version.0);
    let version = match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let mut ciphers: Vec<u16> = hello.ciphers.iter().map(|c| c.0).filter(|&c| !is_grease(c)).collect();
    let server = if kinds.contains(&0) { 'd' } else { 'i' };
    let head =
        format!("t{version}{server}{:02}{:02}{}", ciphers.len().min(99), kinds.len().min(99), ends(alpn));
    ciphers.sort_unstable();
    let mut sorted: Vec<u16> = kinds.iter().copied().filter(|&kind| kind != 0 && kind != 16).collect();
    sorted.sort_unstable();
    let mut second = hex_list(&sorted);
    if !algorithms.is_empty() && !sorted.is_empty() {
        second.push('_');
        second.push_str(&hex_list(algorithms));
    }
    format!("{head}_{}_{}", digest(&hex_list(&ciphers)), digest(&second))
}

/// First and last character of the first application protocol; of its hexadecimal form when they are not letters
/// or digits; `00` for none.
fn ends(alpn: &[&[u8]]) -> String {
    let Some((&first, &last)) = alpn.first().and_then(|name| name.first().zip(name.last())) else {
        return "00".to_owned();
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)].iter().collect();
    }
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 15)].iter().collect()
}

fn hex_list(values: &[u16]) -> String {
    values.iter().map(|value| format!("{value:04x}")).collect::<Vec<_>>().join(",")
}

/// First 12 hexadecimal digits of SHA-256; zeros for an empty list, as the description says.
fn digest(list: &str) -> String {
    if list.is_empty() {
        return "0".repeat(12);
    }
    Sha256::digest(list.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

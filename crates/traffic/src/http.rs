//! Reads the heads of HTTP/1 messages: what a request asks for, and how long the body is.
//!
//! Bodies are not read here. HTTP/2 is not read: miners speak HTTP/1 to a node's JSON-RPC port.

use crate::Progress;
use crate::text::clean;

/// Longest head, bytes; common servers refuse more than 8 to 16 KiB.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// Header lines read from one head.
const MAX_HEADERS: usize = 64;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunked, or until the connection ends.
    Open,
}

/// Head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    pub path: String,
    pub host: Option<String>,
    pub agent: Option<String>,
    pub is_websocket: bool,
    pub body: Body,
}

/// Head of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub status: u16,
    pub is_websocket: bool,
    pub body: Body,
}

/// Methods that begin a request (RFC 9110, 9.3, and PATCH).
const METHODS: [&[u8]; 9] =
    [b"GET ", b"POST ", b"CONNECT ", b"PUT ", b"HEAD ", b"OPTIONS ", b"DELETE ", b"PATCH ", b"TRACE "];
const VERSION: &[u8] = b"HTTP/1.";

/// Whether the bytes begin a request; `None` while they may still.
pub(crate) fn begins_request(start: &[u8]) -> Option<bool> {
    METHODS.iter().map(|word| begins(start, word)).reduce(either).unwrap_or(Some(false))
}

/// Whether the bytes begin a reply; `None` while they may still.
pub(crate) fn begins_reply(start: &[u8]) -> Option<bool> {
    begins(start, VERSION)
}

fn begins(start: &[u8], word: &[u8]) -> Option<bool> {
    if start.starts_with(word) {
        return Some(true);
    }
    if word.starts_with(start) { None } else { Some(false) }
}

/// Yes beats perhaps, perhaps beats no.
pub(crate) fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, _) | (_, None) => None,
        (Some(false), Some(false)) => Some(false),
    }
}

/// Reads a request head at the start of `stream`.
pub(crate) fn request(stream: &[u8]) -> Progress<Request> {
    let Some(end) = head_end(stream) else { return wait_or_not(stream) };
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(_)) = head.parse(stream.get(..end).unwrap_or_default()) else {
        return Progress::Not;
    };
    let (Some(method), Some(path)) = (head.method, head.path) else { return Progress::Not };
    let length = content_length(head.headers);
    let body = match (is_chunked(head.headers), length) {
        (true, _) => Body::Open,
        (false, length) => Body::Length(length.unwrap_or(0)),
    };
    let request = Request {
        method: field(method.as_bytes()),
        path: field(path.as_bytes()),
        host: header(head.headers, "host").map(field),
        agent: header(head.headers, "user-agent").map(field),
        is_websocket: is_websocket(head.headers),
        body,
    };
    Progress::Done(request, end)
}

/// Reads a reply head at the start of `stream`.
pub(crate) fn reply(stream: &[u8]) -> Progress<Reply> {
    let Some(end) = head_end(stream) else { return wait_or_not(stream) };
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(_)) = head.parse(stream.get(..end).unwrap_or_default()) else {
        return Progress::Not;
    };
    let Some(status) = head.code else { return Progress::Not };
    let body = match (status, content_length(head.headers)) {
        (100..=199 | 204 | 304, _) => Body::Length(0),
        (_, Some(length)) if !is_chunked(head.headers) => Body::Length(length),
        (_, _) => Body::Open,
    };
    Progress::Done(Reply { status, is_websocket: is_websocket(head.headers), body }, end)
}

fn wait_or_not<T>(stream: &[u8]) -> Progress<T> {
    if stream.len() > MAX_HEAD { Progress::Not } else { Progress::Wait }
}

/// Offset after the empty line that ends the head.
fn head_end(stream: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', stream).find_map(|at| {
        let rest = stream.get(at + 1..)?;
        let line = if rest.starts_with(b"\n") { 1 } else { 2 * usize::from(rest.starts_with(b"\r\n")) };
        (line > 0).then_some(at + 1 + line)
    })
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn content_length(headers: &[httparse::Header<'_>]) -> Option<u64> {
    std::str::from_utf8(header(headers, "content-length")?).ok()?.trim().parse().ok()
}

fn is_chunked(headers: &[httparse::Header<'_>]) -> bool {
    header(headers, "transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().ends_with(b"chunked"))
}

fn is_websocket(headers: &[httparse::Header<'_>]) -> bool {
    header(headers, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

fn field(value: &[u8]) -> String {
    clean(&String::from_utf8_lossy(value))
}

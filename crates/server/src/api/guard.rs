//! What every request passes: is it for us, does it come from our own page, is there a session, does it end in time.
//!
//! Closed by default: a path below `/api` that is not named in `OPEN` needs a session, also one that is added later.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use super::{
    Shared,
    problem::{Code, Refusal},
};
use crate::{
    access::{GRACE_MS, ROTATE_MS, Token},
    clock::now_ms,
    error::StoreError,
    store::Session,
};

/// The checks, in order.
pub(super) async fn guard(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let entry = match check(&shared, &mut request).await {
        Ok(entry) => entry,
        Err(refusal) => return refusal.into_response(),
    };
    // Covers a body that arrives by drops; an event stream's answer begins at once.
    let Ok(mut response) = timeout(PATIENCE, next.run(request)).await else {
        return Refusal::new(Code::TimedOut, "the request took longer than 10 s").into_response();
    };
    if let Some(cookie) = entry.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// From the end of the request's head to the begin of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Paths below `/api` without a session: the way in, and the description, which tells nothing of this machine.
const OPEN: [&str; 2] = ["/api/login", "/api/openapi.json"];

/// Refuses, or gives the new cookie when the session's cookie is to be replaced.
async fn check(shared: &Shared, request: &mut Request) -> Result<Option<String>, Refusal> {
    let authority = authority(request)?;
    if !is_ours(&authority, &shared.names) {
        let message = "this server does not go by that name; use its address or its host name";
        return Err(Refusal::new(Code::ForeignHost, message));
    }
    if !is_reading(request.method()) {
        refuse_foreign_origin(request.headers(), &authority)?;
    }
    let path = request.uri().path();
    if !(path == "/api" || path.starts_with("/api/")) || OPEN.contains(&path) {
        return Ok(None);
    }
    let (session, cookie) = admit(shared, request.headers()).await?;
    request.extensions_mut().insert(session);
    Ok(cookie)
}

fn is_reading(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// The host and port that the client thinks it speaks to.
fn authority(request: &Request) -> Result<String, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) => Ok(host.to_ascii_lowercase()),
        (None | Some(_), _) => Err(Refusal::new(Code::BadRequest, "a request names its host, once")),
    }
}

/// Stops DNS rebinding: a page of another site, whose name now points here, still sends its own name. An address is
/// always ours: a page cannot make the browser send an address that is not the one it speaks to.
fn is_ours(authority: &str, names: &[String]) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.parse::<IpAddr>().is_ok() || names.iter().any(|name| name == host)
}

/// Stops requests that another site's page sends with our cookie. `SameSite=Strict` does so too; the header cannot be
/// set across sites without asking us first, and we never agree.
fn refuse_foreign_origin(headers: &HeaderMap, authority: &str) -> Result<(), Refusal> {
    let is_marked = headers.get("x-minesweep").is_some_and(|value| value == "1");
    let ours = format!("https://{authority}");
    let is_home = headers.get(header::ORIGIN).is_none_or(|origin| origin.as_bytes() == ours.as_bytes());
    if is_marked && is_home {
        return Ok(());
    }
    let message = "a change is asked for by this server's own page, with the header x-minesweep: 1";
    Err(Refusal::new(Code::ForeignOrigin, message))
}

/// The session of the request, with a new cookie when the old one has had its hour.
async fn admit(shared: &Shared, headers: &HeaderMap) -> Result<(Session, Option<String>), Refusal> {
    let refused = || Refusal::new(Code::NoSession, "log in first; the server prints the link");
    let token = Token::of_cookie(headers).ok_or_else(refused)?;
    let now_ms = now_ms();
    let session = shared.store.session(&token.hash(), now_ms).await?.ok_or_else(refused)?;
    if session.is_replaced || now_ms < session.issued_ms.saturating_add(ROTATE_MS) {
        return Ok((session, None));
    }
    let fresh = Token::random().map_err(StoreError::Random)?;
    let is_rotated = shared.store.rotate(&token.hash(), &fresh.hash(), now_ms, GRACE_MS).await?;
    let left_s = session.ends_ms.saturating_sub(now_ms) / 1000;
    Ok((session, is_rotated.then(|| fresh.to_cookie(left_s))))
}

/// Headers of every answer. Nothing of another origin is loaded, nobody may frame us, and what the API says is kept
/// in no cache. No HSTS: it would bind every other service of this host name to a certificate that nobody signed.
pub(super) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Styles may stand in the page itself, since the chart and component libraries set them so; scripts may not.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         font-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_our_own_names_are_ours() {
        let names = ["localhost".to_owned(), "node-1".to_owned()];
        for ours in
            ["localhost", "localhost:8443", "node-1:1", "192.0.2.7", "127.0.0.1:8443", "[::1]:8443", "[::1]"]
        {
            assert!(is_ours(ours, &names), "{ours}");
        }
        for foreign in
            ["", "evil.test", "node-1.evil.test:8443", "127.0.0.1.evil.test", "[evil.test]:1", "localhost."]
        {
            assert!(!is_ours(foreign, &names), "{foreign}");
        }
    }
}

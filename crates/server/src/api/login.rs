//! Logging in with a one-time link, logging out, and asking whether one is in.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, Json,
    extract::{ConnectInfo, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use tracing::{info, warn};

use super::{
    Shared,
    problem::{Code, Problem, Refusal},
    words::{Login, SessionView},
};
use crate::{
    access::{COOKIE_GONE, SESSION_MS, Token},
    clock::now_ms,
    error::StoreError,
    store::Session,
};

/// Trades the token of a login link for a session cookie. The token is good once, for 15 minutes.
#[utoipa::path(post, path = "/api/login", request_body = Login,
    params(("x-minesweep" = String, Header, description = "1; shows that the page itself asks")),
    responses(
        (status = 204, description = "logged in; the cookie is set"),
        (status = 400, description = "not a token", body = Problem),
        (status = 401, description = "the token is unknown, used or too old", body = Problem),
        (status = 403, description = "asked from another site", body = Problem),
        (status = 429, description = "more than 5 attempts in a minute; see Retry-After", body = Problem),
    ))]
pub(super) async fn log_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    login: Result<Json<Login>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let now_ms = now_ms();
    shared.attempts.lock().await.admit(peer.ip(), now_ms).map_err(Refusal::Wait)?;
    let Json(login) = login?;
    let cookie = Token::random().map_err(StoreError::Random)?;
    let is_in = match Token::parse(&login.token) {
        Some(token) => {
            shared
                .store
                .redeem(&token.hash(), &cookie.hash(), now_ms, now_ms.saturating_add(SESSION_MS))
                .await?
        }
        None => false,
    };
    if !is_in {
        warn!(address = %peer.ip(), "a login was refused: the token is unknown, used or too old");
        let message = "this login is unknown, used or too old; ask the server for a new one";
        return Err(Refusal::new(Code::LoginRefused, message));
    }
    info!(address = %peer.ip(), "logged in");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie.to_cookie(SESSION_MS / 1000))]))
}

/// Ends the session: its cookies and its event streams.
#[utoipa::path(post, path = "/api/logout",
    params(("x-minesweep" = String, Header, description = "1; shows that the page itself asks")),
    responses(
        (status = 204, description = "logged out"),
        (status = 401, description = "no session", body = Problem),
        (status = 403, description = "asked from another site", body = Problem),
    ))]
pub(super) async fn log_out(
    State(shared): State<Arc<Shared>>,
    Extension(session): Extension<Session>,
) -> Result<impl IntoResponse, Refusal> {
    shared.store.end_session(&session.family).await?;
    shared.logouts.send_replace(());
    info!("logged out");
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, COOKIE_GONE)])))
}

/// Whether there is a session.
#[utoipa::path(get, path = "/api/session", responses(
    (status = 200, body = SessionView),
    (status = 401, description = "no session", body = Problem),
))]
pub(super) async fn session(Extension(session): Extension<Session>) -> Json<SessionView> {
    Json(SessionView { expires_ms: session.ends_ms })
}

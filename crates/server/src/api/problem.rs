//! What a request is told when it fails: a code for programs, a sentence for people.

use axum::{
    Json,
    extract::rejection::{JsonRejection, QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use crate::error::StoreError;

/// Why a request failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// For programs; never changes with the language.
    pub code: Code,
    /// What is wrong and what to do, in English.
    pub message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// There is no valid session.
    NoSession,
    /// The login token is unknown, used or too old.
    LoginRefused,
    /// This address tried too often.
    TooManyAttempts,
    /// The request comes from another site, or does not say that it comes from ours.
    ForeignOrigin,
    /// The host asked for is not this server.
    ForeignHost,
    /// The request cannot be understood.
    BadRequest,
    /// The body is longer than 64 KiB.
    TooLarge,
    /// There is no such thing.
    NotFound,
    /// The path is right, the method is not.
    WrongMethod,
    /// The request took longer than 10 s to arrive or to be answered.
    TimedOut,
    /// 64 event streams are open.
    TooManyStreams,
    /// The store did not answer.
    StoreFailed,
}

/// A request that fails.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A code with its sentence.
    Plain(Code, String),
    /// Too many attempts; try again in so many seconds.
    Wait(u64),
    /// The store did not answer.
    Store(StoreError),
}

impl Refusal {
    /// A refusal with this sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Plain(code, message.into())
    }
}

impl From<StoreError> for Refusal {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<QueryRejection> for Refusal {
    fn from(cause: QueryRejection) -> Self {
        Self::Plain(Code::BadRequest, cause.body_text())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(cause: JsonRejection) -> Self {
        let code =
            if cause.status() == StatusCode::PAYLOAD_TOO_LARGE { Code::TooLarge } else { Code::BadRequest };
        Self::Plain(code, cause.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, message, wait) = match self {
            Self::Plain(code, message) => (code, message, None),
            Self::Wait(seconds) => {
                let message = format!("too many attempts from this address; try again in {seconds} s");
                (Code::TooManyAttempts, message, Some(seconds))
            }
            Self::Store(cause) => {
                error!(error = %crate::chain(&cause), "the store did not answer a request");
                (Code::StoreFailed, "the store did not answer; the server's log says why".to_owned(), None)
            }
        };
        let mut response = (status(code), Json(Problem { code, message })).into_response();
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::NoSession | Code::LoginRefused => StatusCode::UNAUTHORIZED,
        Code::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        Code::ForeignOrigin => StatusCode::FORBIDDEN,
        Code::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
        Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::TimedOut => StatusCode::REQUEST_TIMEOUT,
        Code::TooManyStreams => StatusCode::SERVICE_UNAVAILABLE,
        Code::StoreFailed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

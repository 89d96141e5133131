//! One-time logins and sessions. Only hashes of tokens are stored: who reads the file cannot log in with it.

use sqlx::SqliteConnection;

use super::{Store, signed, unsigned};
use crate::{access::TokenHash, error::StoreError};

/// A session that is valid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Joins the cookies that follow each other in one session.
    pub family: String,
    /// When this cookie was given, Unix milliseconds.
    pub issued_ms: u64,
    /// When the session ends whatever happens, Unix milliseconds.
    pub ends_ms: u64,
    /// A newer cookie was given.
    pub is_replaced: bool,
}

impl Store {
    /// Keeps a one-time login until `expires_ms`.
    pub async fn add_login(&self, token: &TokenHash, now_ms: u64, expires_ms: u64) -> Result<(), StoreError> {
        let mut change = self.writer.begin().await?;
        sqlx::query("DELETE FROM logins WHERE expires_ms <= ?")
            .bind(signed(now_ms))
            .execute(&mut *change)
            .await?;
        sqlx::query("INSERT INTO logins (token_hash, expires_ms) VALUES (?, ?)")
            .bind(token.as_str())
            .bind(signed(expires_ms))
            .execute(&mut *change)
            .await?;
        sqlx::query(
            "DELETE FROM logins WHERE token_hash NOT IN (SELECT token_hash FROM logins ORDER BY expires_ms DESC LIMIT ?)",
        )
        .bind(LOGINS)
        .execute(&mut *change)
        .await?;
        Ok(change.commit().await?)
    }

    /// Trades a one-time login for a session, in one transaction: of two that come with the same token, one wins.
    /// False when the token is unknown, used or too old.
    pub async fn redeem(
        &self,
        token: &TokenHash,
        cookie: &TokenHash,
        now_ms: u64,
        ends_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut change = self.writer.begin().await?;
        let used = sqlx::query("DELETE FROM logins WHERE token_hash = ? AND expires_ms > ?")
            .bind(token.as_str())
            .bind(signed(now_ms))
            .execute(&mut *change)
            .await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        let session =
            Session { family: cookie.as_str().to_owned(), issued_ms: now_ms, ends_ms, is_replaced: false };
        insert(&mut change, cookie, &session).await?;
        bound_sessions(&mut change, now_ms).await?;
        change.commit().await?;
        Ok(true)
    }

    /// The session of a cookie, when it is valid.
    pub async fn session(&self, cookie: &TokenHash, now_ms: u64) -> Result<Option<Session>, StoreError> {
        let found: Option<(String, i64, i64, bool)> = sqlx::query_as(
            "SELECT family, issued_ms, ends_ms, is_replaced FROM sessions
             WHERE id_hash = ?1 AND expires_ms > ?2 AND ends_ms > ?2",
        )
        .bind(cookie.as_str())
        .bind(signed(now_ms))
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.map(|(family, issued_ms, ends_ms, is_replaced)| Session {
            family,
            issued_ms: unsigned(issued_ms),
            ends_ms: unsigned(ends_ms),
            is_replaced,
        }))
    }

    /// Gives the session a new cookie; the old one is good for `grace_ms` more, for requests that are under way.
    /// False when another request did so first.
    pub async fn rotate(
        &self,
        old: &TokenHash,
        new: &TokenHash,
        now_ms: u64,
        grace_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut change = self.writer.begin().await?;
        let replaced: Option<(String, i64)> = sqlx::query_as(
            "UPDATE sessions SET is_replaced = 1, expires_ms = min(expires_ms, ?)
             WHERE id_hash = ? AND is_replaced = 0 RETURNING family, ends_ms",
        )
        .bind(signed(now_ms.saturating_add(grace_ms)))
        .bind(old.as_str())
        .fetch_optional(&mut *change)
        .await?;
        let Some((family, ends_ms)) = replaced else { return Ok(false) };
        let session = Session { family, issued_ms: now_ms, ends_ms: unsigned(ends_ms), is_replaced: false };
        insert(&mut change, new, &session).await?;
        bound_sessions(&mut change, now_ms).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Ends a session with all its cookies.
    pub async fn end_session(&self, family: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE family = ?").bind(family).execute(&self.writer).await?;
        Ok(())
    }

    /// Whether a session still has a valid cookie.
    pub async fn is_session_alive(&self, family: &str, now_ms: u64) -> Result<bool, StoreError> {
        let alive =
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE family = ?1 AND expires_ms > ?2 AND ends_ms > ?2)";
        Ok(sqlx::query_scalar(alive).bind(family).bind(signed(now_ms)).fetch_one(&self.readers).await?)
    }
}

/// Login links that are good at one time; the oldest goes first.
const LOGINS: i64 = 16;

/// Cookies that are good at one time; the oldest goes first.
const SESSIONS: i64 = 64;

async fn insert(
    change: &mut SqliteConnection,
    cookie: &TokenHash,
    session: &Session,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessions (id_hash, family, issued_ms, expires_ms, ends_ms) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(cookie.as_str())
    .bind(&session.family)
    .bind(signed(session.issued_ms))
    .bind(signed(session.ends_ms))
    .bind(signed(session.ends_ms))
    .execute(change)
    .await?;
    Ok(())
}

async fn bound_sessions(change: &mut SqliteConnection, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE expires_ms <= ?")
        .bind(signed(now_ms))
        .execute(&mut *change)
        .await?;
    sqlx::query(
        "DELETE FROM sessions WHERE id_hash NOT IN (SELECT id_hash FROM sessions ORDER BY issued_ms DESC LIMIT ?)",
    )
    .bind(SESSIONS)
    .execute(&mut *change)
    .await?;
    Ok(())
}

//! A person's word that an incident is dealt with.
//!
//! It stands until something newer is seen: what merely goes on, as the service that was broken into does, does not
//! open it again; a new step does, and so does a miner that still mines.

use std::borrow::Cow;

use minesweep_model::{Incident, IncidentState};
use sqlx::SqliteConnection;

use super::{Store, signed, unsigned};
use crate::error::StoreError;

impl Store {
    /// Closes an incident; `None` when there is no such.
    pub async fn close_incident(&self, uid: &str, now_ms: u64) -> Result<Option<Incident>, StoreError> {
        let json: Option<String> = sqlx::query_scalar(
            "UPDATE incidents SET state = 'closed', changed_ms = ?1, closed_ms = ?1,
                 summary = json_set(summary, '$.state', 'closed', '$.changed_ms', ?1),
                 json = json_set(json, '$.state', 'closed', '$.changed_ms', ?1)
             WHERE uid = ?2 RETURNING json",
        )
        .bind(signed(now_ms))
        .bind(uid)
        .fetch_optional(&self.writer)
        .await?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }
}

/// The incident as it is to be stored: closed, when a person closed it and nothing newer is in it.
pub(super) async fn as_closed<'a>(
    change: &mut SqliteConnection,
    found: &'a Incident,
) -> Result<Cow<'a, Incident>, StoreError> {
    let closed_ms: Option<Option<i64>> = sqlx::query_scalar("SELECT closed_ms FROM incidents WHERE uid = ?")
        .bind(&found.uid)
        .fetch_optional(change)
        .await?;
    let findings = found.findings.iter().map(|finding| finding.at_ms);
    let newest_ms = findings.chain(found.evidence.iter().map(|piece| piece.at_ms)).max().unwrap_or(0);
    Ok(match closed_ms.flatten() {
        Some(closed_ms) if newest_ms <= unsigned(closed_ms) => {
            Cow::Owned(Incident { state: IncidentState::Closed, ..found.clone() })
        }
        _ => Cow::Borrowed(found),
    })
}

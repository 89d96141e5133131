//! Reports into rows. A repeat of a report changes nothing.

use minesweep_model::{Detection, Host, Incident, IncidentState, Load, Outcome, Report};
use serde::Serialize;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use tracing::{error, info};

use super::{Limits, Store, closing::as_closed, signed};
use crate::{
    api::{
        story,
        words::{IncidentSummary, finite},
    },
    error::StoreError,
};

/// The one writer of a store. Reports do not name their host yet: it is the one that was named last.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Store,
    host: String,
    unpruned: usize,
}

impl Writer {
    /// The writer of `store`; the host is the one that the store knows.
    ///
    /// Incidents that an earlier run left open are closed: the agent is in this process, so it too has just begun, and
    /// what still mines it will find and report as its own. Left open, they would mine for ever. An intrusion without
    /// mining stays open: what was done stays done, and a person closes it.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let left = sqlx::query(
            "UPDATE incidents SET state = 'closed', summary = json_set(summary, '$.state', 'closed'),
                 json = json_set(json, '$.state', 'closed')
             WHERE state IN ('open', 'contained') AND is_mining",
        )
        .execute(&store.writer)
        .await?;
        if left.rows_affected() > 0 {
            info!(incidents = left.rows_affected(), "incidents of an earlier run were closed");
        }
        let newest = "SELECT host FROM host_facts WHERE kind = 'host' ORDER BY at_ms DESC LIMIT 1";
        let host: Option<String> = sqlx::query_scalar(newest).fetch_optional(&store.readers).await?;
        Ok(Self { store, host: host.unwrap_or_default(), unpruned: PRUNE_EVERY })
    }

    /// Stores `reports`; returns how many could not be stored. They are on disk when this returns.
    pub async fn write(&mut self, reports: &[Report], now_ms: u64) -> usize {
        if self.try_write(reports, now_ms).await.is_ok() {
            return self.prune(reports.len(), 0, now_ms).await;
        }
        // One by one, so that one report that the store refuses does not take its neighbours with it.
        let mut lost = 0;
        for report in reports {
            if let Err(cause) = self.try_write(std::slice::from_ref(report), now_ms).await {
                error!(error = %crate::chain(&cause), "a report could not be stored");
                lost += 1;
            }
        }
        self.prune(reports.len(), lost, now_ms).await
    }

    async fn try_write(&mut self, reports: &[Report], now_ms: u64) -> Result<(), StoreError> {
        let mut change = self.store.writer.begin().await?;
        for report in reports {
            match report {
                Report::Host(host) => {
                    self.host = host_key(host);
                    fact(&mut change, &self.host, "host", now_ms, host).await?;
                }
                Report::Detection(found) => detection(&mut change, &self.host, found).await?,
                Report::Incident { change: _, incident: found } => {
                    incident(&mut change, &self.host, found).await?;
                }
                Report::Outcome(done) => outcome(&mut change, &self.host, done).await?,
                Report::Load(now) => load(&mut change, &self.host, now).await?,
            }
        }
        Ok(change.commit().await?)
    }

    /// Cuts the tables back once enough was written; passes `lost` through.
    async fn prune(&mut self, written: usize, lost: usize, now_ms: u64) -> usize {
        self.unpruned = self.unpruned.saturating_add(written);
        if self.unpruned >= PRUNE_EVERY {
            self.unpruned = 0;
            if let Err(cause) = self.store.prune(now_ms).await {
                error!(error = %crate::chain(&cause), "the store could not be cut back to its bounds");
            }
        }
        lost
    }
}

/// Tables may stand this many rows above their bound.
const PRUNE_EVERY: usize = 512;

/// The machine id outlives a change of name; not every machine has one.
fn host_key(host: &Host) -> String {
    if host.machine_id.is_empty() { host.name.clone() } else { host.machine_id.clone() }
}

async fn fact<T: Serialize>(
    change: &mut Transaction<'_, Sqlite>,
    host: &str,
    kind: &str,
    at_ms: u64,
    value: &T,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO host_facts (host, kind, at_ms, json) VALUES (?, ?, ?, ?)
         ON CONFLICT (host, kind) DO UPDATE SET at_ms = excluded.at_ms, json = excluded.json",
    )
    .bind(host)
    .bind(kind)
    .bind(signed(at_ms))
    .bind(serde_json::to_string(value)?)
    .execute(&mut **change)
    .await?;
    Ok(())
}

async fn detection(
    change: &mut Transaction<'_, Sqlite>,
    host: &str,
    found: &Detection,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(found)?;
    sqlx::query(
        "INSERT INTO detections (uid, host, rule, at_ms, severity, incident, bytes, json)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (uid) DO UPDATE SET rule = excluded.rule, at_ms = excluded.at_ms,
             severity = excluded.severity, incident = excluded.incident, bytes = excluded.bytes, json = excluded.json",
    )
    .bind(&found.uid)
    .bind(host)
    .bind(&found.rule)
    .bind(signed(found.at_ms))
    .bind(found.severity.id())
    .bind(&found.incident)
    .bind(length(&json))
    .bind(json)
    .execute(&mut **change)
    .await?;
    Ok(())
}

async fn incident(
    change: &mut Transaction<'_, Sqlite>,
    host: &str,
    found: &Incident,
) -> Result<(), StoreError> {
    let found = &*as_closed(change, found).await?;
    let cpus_used = cpus_used(change, found).await?;
    let summary = IncidentSummary::of(found);
    let json = serde_json::to_string(found)?;
    sqlx::query(
        "INSERT INTO incidents (uid, host, state, severity, probability, since_ms, opened_ms, changed_ms, processes,
             hash_rate_hs, cpu_seconds, cpus_used, is_mining, is_intrusion, last_step_ms, bytes, search, summary, json)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (uid) DO UPDATE SET state = excluded.state, severity = excluded.severity,
             probability = excluded.probability, since_ms = excluded.since_ms, opened_ms = excluded.opened_ms,
             changed_ms = excluded.changed_ms, processes = excluded.processes, hash_rate_hs = excluded.hash_rate_hs,
             cpu_seconds = excluded.cpu_seconds, cpus_used = excluded.cpus_used,
             is_mining = excluded.is_mining, is_intrusion = excluded.is_intrusion,
             last_step_ms = excluded.last_step_ms, bytes = excluded.bytes,
             search = excluded.search, summary = excluded.summary, json = excluded.json",
    )
    .bind(&found.uid)
    .bind(host)
    .bind(state_key(found.state))
    .bind(found.severity.id())
    .bind(summary.probability)
    .bind(signed(found.since_ms))
    .bind(signed(found.opened_ms))
    .bind(signed(found.changed_ms))
    .bind(i64::try_from(story::miners(found)).unwrap_or(i64::MAX))
    .bind(summary.hash_rate_hs)
    .bind(summary.cpu_seconds)
    .bind(cpus_used)
    .bind(summary.is_mining)
    .bind(summary.is_intrusion)
    .bind(signed(summary.last_step_ms))
    .bind(length(&json))
    .bind(search_words(&summary))
    .bind(serde_json::to_string(&summary)?)
    .bind(json)
    .execute(&mut **change)
    .await?;
    Ok(())
}

/// Processors that the incident keeps busy now: CPU time over wall time since the report before, or, at the first
/// report, since its root started. Cost and share are reckoned from it; an average over the whole life of an
/// incident would still show a miner that was slowed down an hour ago.
async fn cpus_used(change: &mut SqliteConnection, found: &Incident) -> Result<f64, StoreError> {
    let spent = finite(found.mining.cpu_seconds);
    let before: Option<(i64, f64, f64)> =
        sqlx::query_as("SELECT changed_ms, cpu_seconds, cpus_used FROM incidents WHERE uid = ?")
            .bind(&found.uid)
            .fetch_optional(change)
            .await?;
    let (from_ms, spent_before, used_before) = before.unwrap_or_else(|| {
        let started_ms = if found.root.started_ms == 0 { found.since_ms } else { found.root.started_ms };
        (signed(started_ms.min(found.since_ms)), 0.0, 0.0)
    });
    let over_ms = signed(found.changed_ms).saturating_sub(from_ms);
    if over_ms < SHORTEST_SPAN_MS {
        return Ok(used_before);
    }
    Ok((spent - spent_before).max(0.0) * 1000.0 / milliseconds(over_ms))
}

/// Below a second, CPU time in clock ticks of 10 ms says little.
const SHORTEST_SPAN_MS: i64 = 1000;

/// A span as a number to divide by; past 49 days it stands still, where the quotient is small anyway.
fn milliseconds(span_ms: i64) -> f64 {
    f64::from(u32::try_from(span_ms).unwrap_or(u32::MAX))
}

/// What a search looks through, in lower case.
fn search_words(line: &IncidentSummary) -> String {
    let optional = [&line.source, &line.pool, &line.wallet, &line.worker, &line.algorithm];
    let words = [&line.title.en, &line.title.zh, &line.uid, &line.root.exe, &line.root.comm];
    let mut all = String::new();
    for word in words.into_iter().chain(optional.into_iter().flatten()).chain(&line.rules) {
        if all.len() + word.len() > SEARCH_LIMIT_BYTES {
            continue;
        }
        all.push_str(&word.to_lowercase());
        all.push('\n');
    }
    all
}

/// A path is up to 4 KiB, the rest is short.
const SEARCH_LIMIT_BYTES: usize = 8 * 1024;

async fn outcome(change: &mut Transaction<'_, Sqlite>, host: &str, done: &Outcome) -> Result<(), StoreError> {
    let json = serde_json::to_string(done)?;
    sqlx::query(
        "INSERT INTO outcomes (host, entry, at_ms, cause, bytes, json) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (host, entry) DO UPDATE SET at_ms = excluded.at_ms, cause = excluded.cause,
             bytes = excluded.bytes, json = excluded.json",
    )
    .bind(host)
    .bind(signed(done.entry))
    .bind(signed(done.at_ms))
    .bind(&done.cause)
    .bind(length(&json))
    .bind(json)
    .execute(&mut **change)
    .await?;
    Ok(())
}

async fn load(change: &mut Transaction<'_, Sqlite>, host: &str, now: &Load) -> Result<(), StoreError> {
    fact(change, host, "load", now.at_ms, now).await?;
    for (step_ms, _) in LOAD_STEPS {
        sqlx::query(
            "INSERT INTO load_samples (host, step_ms, slot_ms, cpu_percent, samples, last_at_ms)
             VALUES (?, ?, ?, ?, 1, ?)
             ON CONFLICT (step_ms, slot_ms, host) DO UPDATE SET
                 cpu_percent = (cpu_percent * samples + excluded.cpu_percent) / (samples + 1),
                 samples = samples + 1, last_at_ms = excluded.last_at_ms
             WHERE excluded.last_at_ms > last_at_ms",
        )
        .bind(host)
        .bind(signed(step_ms))
        .bind(signed(now.at_ms - now.at_ms % step_ms))
        .bind(finite(now.cpu_percent))
        .bind(signed(now.at_ms))
        .execute(&mut **change)
        .await?;
    }
    Ok(())
}

/// Length of a slot and how long it is kept, in milliseconds: 10 s for a day, 5 min for 30 days.
const LOAD_STEPS: [(u64, u64); 2] = [(10_000, 86_400_000), (300_000, 30 * 86_400_000)];

impl Store {
    /// Cuts every table back to its bound.
    pub(super) async fn prune(&self, now_ms: u64) -> Result<(), StoreError> {
        let Limits { incidents, detections, bytes } = self.limits;
        let mut change = self.writer.begin().await?;
        let tables = [
            ("incidents", "state = 'closed', changed_ms DESC, uid DESC", incidents),
            ("detections", "at_ms DESC, uid DESC", detections),
            ("outcomes", "at_ms DESC, rowid DESC", detections),
        ];
        for (table, order, rows) in tables {
            let statement = format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT row FROM (
                     SELECT rowid AS row, ROW_NUMBER() OVER kept AS place, SUM(bytes) OVER kept AS total FROM {table}
                     WINDOW kept AS (ORDER BY {order} ROWS UNBOUNDED PRECEDING)
                 ) WHERE place > ? OR total > ?)"
            );
            sqlx::query(&statement).bind(rows).bind(bytes).execute(&mut *change).await?;
        }
        for (step_ms, kept_ms) in LOAD_STEPS {
            sqlx::query("DELETE FROM load_samples WHERE step_ms = ? AND slot_ms < ?")
                .bind(signed(step_ms))
                .bind(signed(now_ms.saturating_sub(kept_ms)))
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }
}

/// The state's word in the store.
pub(super) fn state_key(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Open => "open",
        IncidentState::Contained => "contained",
        IncidentState::Closed => "closed",
    }
}

fn length(json: &str) -> i64 {
    i64::try_from(json.len()).unwrap_or(i64::MAX)
}

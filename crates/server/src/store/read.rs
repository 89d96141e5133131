//! Rows into pages.

use minesweep_model::{Detection, Host, Incident, IncidentState, Load, Outcome, Severity};
use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{Store, signed, unsigned, write::state_key};
use crate::{
    api::words::{
        AboutFilter, Cursor, DetectionQuery, Detections, IncidentQuery, IncidentSummary, Incidents,
        IntrusionNow, LoadPoint, MiningNow, Price, StateFilter, Totals,
    },
    error::StoreError,
};

/// What the store knows for the first page, all of one moment.
pub(crate) struct Glance {
    /// The machine, once it was named.
    pub host: Host,
    /// Newest load.
    pub load: Option<Load>,
    /// The last hour.
    pub series: Vec<LoadPoint>,
    /// Sum over the open incidents that are about mining.
    pub mining_now: MiningNow,
    /// Sum over the other open ones.
    pub intrusion_now: IntrusionNow,
    /// Numbers.
    pub totals: Totals,
}

impl Store {
    /// The first page.
    pub async fn glance(&self, price: &Price, now_ms: u64) -> Result<Glance, StoreError> {
        let mut moment = self.readers.begin().await?;
        let host: Host = newest(&mut moment, "host").await?.unwrap_or_default();
        let load: Option<Load> = newest(&mut moment, "load").await?;
        let series = series(&mut moment, now_ms).await?;
        let cpus = load.as_ref().map_or(host.cpus, |load| load.cpus);
        let mining_now = mining_now(&mut moment, price, cpus).await?;
        let intrusion_now = intrusion_now(&mut moment).await?;
        let totals = totals(&mut moment, now_ms).await?;
        moment.commit().await?;
        Ok(Glance { host, load, series, mining_now, intrusion_now, totals })
    }

    /// A page of incidents, newest first.
    pub async fn incidents(&self, query: &IncidentQuery) -> Result<Incidents, StoreError> {
        let limit = query.limit.0;
        let mut select =
            QueryBuilder::<Sqlite>::new("SELECT opened_ms, uid, summary FROM incidents WHERE true");
        let state = match query.state {
            StateFilter::Open => Some(IncidentState::Open),
            StateFilter::Contained => Some(IncidentState::Contained),
            StateFilter::Closed => Some(IncidentState::Closed),
            StateFilter::All => None,
        };
        if let Some(state) = state {
            select.push(" AND state = ").push_bind(state_key(state));
        }
        match query.about {
            AboutFilter::Mining => drop(select.push(" AND is_mining")),
            AboutFilter::Intrusion => drop(select.push(" AND is_intrusion")),
            AboutFilter::All => {}
        }
        for word in query.q.iter().flat_map(|words| &words.0) {
            select.push(" AND instr(search, ").push_bind(word).push(") > 0");
        }
        before(&mut select, "opened_ms", query.before.as_ref());
        select.push(" ORDER BY opened_ms DESC, uid DESC LIMIT ").push_bind(limit + 1);
        let rows: Vec<Line> = select.build_query_as().fetch_all(&self.readers).await?;
        let (items, next) = page::<IncidentSummary>(rows, limit)?;
        Ok(Incidents { items, next })
    }

    /// A page of detections, newest first.
    pub async fn detections(&self, query: &DetectionQuery) -> Result<Detections, StoreError> {
        let limit = query.limit.0;
        let mut select = QueryBuilder::<Sqlite>::new("SELECT at_ms, uid, json FROM detections WHERE true");
        if let Some(rule) = query.rule.as_deref() {
            select.push(" AND rule = ").push_bind(rule);
        }
        if let Some(severity) = query.min_severity {
            select.push(" AND severity >= ").push_bind(severity.id());
        }
        before(&mut select, "at_ms", query.before.as_ref());
        select.push(" ORDER BY at_ms DESC, uid DESC LIMIT ").push_bind(limit + 1);
        let rows: Vec<Line> = select.build_query_as().fetch_all(&self.readers).await?;
        let (items, next) = page::<Detection>(rows, limit)?;
        Ok(Detections { items, next })
    }

    /// One incident, with every outcome that names it: also those that came after its last report.
    pub async fn incident(&self, uid: &str) -> Result<Option<Incident>, StoreError> {
        let mut moment = self.readers.begin().await?;
        let found: Option<(String, String)> =
            sqlx::query_as("SELECT host, json FROM incidents WHERE uid = ?")
                .bind(uid)
                .fetch_optional(&mut *moment)
                .await?;
        let Some((host, json)) = found else { return Ok(None) };
        let mut incident: Incident = serde_json::from_str(&json)?;
        let outcomes: Vec<String> = sqlx::query_scalar(
            "SELECT json FROM outcomes WHERE cause = ? AND host = ? ORDER BY entry LIMIT ?",
        )
        .bind(uid)
        .bind(host)
        .bind(OUTCOMES)
        .fetch_all(&mut *moment)
        .await?;
        moment.commit().await?;
        for json in outcomes {
            let outcome: Outcome = serde_json::from_str(&json)?;
            if incident.outcomes.iter().all(|known| known.entry != outcome.entry) {
                incident.outcomes.push(outcome);
            }
        }
        Ok(Some(incident))
    }
}

/// Outcomes added to one incident: four steps for each of its 64 processes.
const OUTCOMES: i64 = 256;

async fn newest<T: DeserializeOwned>(
    moment: &mut SqliteConnection,
    kind: &str,
) -> Result<Option<T>, StoreError> {
    let json: Option<String> =
        sqlx::query_scalar("SELECT json FROM host_facts WHERE kind = ? ORDER BY at_ms DESC LIMIT 1")
            .bind(kind)
            .fetch_optional(moment)
            .await?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}

async fn series(moment: &mut SqliteConnection, now_ms: u64) -> Result<Vec<LoadPoint>, StoreError> {
    let rows: Vec<(i64, f64)> = sqlx::query_as(
        "SELECT slot_ms, avg(cpu_percent) FROM load_samples WHERE step_ms = 10000 AND slot_ms > ? AND slot_ms <= ?
         GROUP BY slot_ms ORDER BY slot_ms LIMIT 360",
    )
    .bind(signed(now_ms.saturating_sub(HOUR_MS)))
    .bind(signed(now_ms))
    .fetch_all(moment)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(at_ms, cpu_percent)| LoadPoint { at_ms: unsigned(at_ms), cpu_percent })
        .collect())
}

const HOUR_MS: u64 = 3_600_000;

async fn mining_now(
    moment: &mut SqliteConnection,
    price: &Price,
    cpus: u32,
) -> Result<MiningNow, StoreError> {
    let (incidents, processes, probability_max, hash_rate_hs, used, since_ms): OpenSums = sqlx::query_as(
        "SELECT count(*), coalesce(sum(processes), 0), coalesce(max(probability), 0.0), sum(hash_rate_hs),
             coalesce(sum(cpus_used), 0.0), min(since_ms)
         FROM incidents WHERE state = 'open' AND is_mining AND processes > 0",
    )
    .fetch_one(moment)
    .await?;
    // Two incidents that name the same process would count it twice; more than all processors is never true.
    let used = if cpus == 0 { used } else { used.min(f64::from(cpus)) };
    Ok(MiningNow {
        processes: unsigned(processes),
        incidents: unsigned(incidents),
        probability_max,
        hash_rate_hs,
        cost_per_day: used * 24.0 * price.per_cpu_hour,
        cpu_share_percent: if cpus == 0 { 0.0 } else { used * 100.0 / f64::from(cpus) },
        since_ms: since_ms.map(unsigned),
    })
}

type OpenSums = (i64, i64, f64, Option<f64>, f64, Option<i64>);

async fn intrusion_now(moment: &mut SqliteConnection) -> Result<IntrusionNow, StoreError> {
    let (incidents, worst, since_ms, last_step_ms): (i64, Option<u8>, Option<i64>, Option<i64>) =
        sqlx::query_as(
            "SELECT count(*), max(severity), min(since_ms), max(nullif(last_step_ms, 0))
             FROM incidents WHERE state = 'open' AND (is_intrusion OR NOT is_mining) AND NOT (is_mining AND processes > 0)",
        )
        .fetch_one(moment)
        .await?;
    Ok(IntrusionNow {
        incidents: unsigned(incidents),
        worst: worst.and_then(severity),
        since_ms: since_ms.map(unsigned),
        last_step_ms: last_step_ms.map(unsigned),
    })
}

/// The severity of an OCSF `severity_id`.
fn severity(id: u8) -> Option<Severity> {
    let all = [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    all.into_iter().find(|severity| severity.id() == id)
}

async fn totals(moment: &mut SqliteConnection, now_ms: u64) -> Result<Totals, StoreError> {
    let (open, contained, closed, detections): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM incidents WHERE state = 'open'),
                (SELECT count(*) FROM incidents WHERE state = 'contained'),
                (SELECT count(*) FROM incidents WHERE state = 'closed'),
                (SELECT count(*) FROM detections WHERE at_ms > ?)",
    )
    .bind(signed(now_ms.saturating_sub(24 * HOUR_MS)))
    .fetch_one(moment)
    .await?;
    Ok(Totals {
        open: unsigned(open),
        contained: unsigned(contained),
        closed: unsigned(closed),
        detections_24h: unsigned(detections),
    })
}

/// Time, uid and document of one line.
type Line = (i64, String, String);

/// The documents of a page and the cursor behind it; `rows` holds one more than the page when there is a next one.
fn page<T: DeserializeOwned>(
    mut rows: Vec<Line>,
    limit: u32,
) -> Result<(Vec<T>, Option<String>), StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more);
    let next = last.map(|(at_ms, uid, _)| Cursor { at_ms: unsigned(*at_ms), uid: uid.clone() }.to_string());
    let items = rows.iter().map(|(_, _, json)| serde_json::from_str(json)).collect::<Result<_, _>>()?;
    Ok((items, next))
}

/// Adds "older than the cursor". Time alone would lose lines of the same millisecond, so the uid goes with it.
fn before<'a>(select: &mut QueryBuilder<'a, Sqlite>, column: &str, cursor: Option<&'a Cursor>) {
    let Some(Cursor { at_ms, uid }) = cursor else { return };
    select.push(format!(" AND ({column}, uid) < (")).push_bind(signed(*at_ms));
    select.push(", ").push_bind(uid).push(")");
}

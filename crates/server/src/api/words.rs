//! The words of the API that are not already words of the model: lists, sums and summaries for the console.

use minesweep_model::{
    Blind, Container, Detection, HookCount, Host, Incident, IncidentState, Kind, Load, Severity, Text,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::story;

/// What a CPU-hour costs, as set by the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// Price of one logical processor for one hour.
    pub per_cpu_hour: f64,
    /// ISO 4217 code, e.g. `USD`.
    pub currency: String,
}

/// The one-time token of a login link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// 32 hexadecimal digits, from the part of the link after `#token=`.
    pub token: String,
}

/// A session that is valid.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// When it ends, Unix milliseconds.
    pub expires_ms: u64,
}

/// The first page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// The server's clock, Unix milliseconds.
    pub now_ms: u64,
    /// The machine; empty fields until the agent has named it.
    pub host: Host,
    /// Newest load of the machine and the agent.
    pub load: Option<Load>,
    /// Busy share of the last 60 minutes, oldest first, one point for 10 s, at most 360.
    pub series: Vec<LoadPoint>,
    /// Sum over the open incidents that are about mining.
    pub mining_now: MiningNow,
    /// Sum over the open incidents that are about nothing but an intrusion.
    pub intrusion_now: IntrusionNow,
    /// Numbers of incidents and detections.
    pub totals: Totals,
    /// Records made, seen and lost, by hook.
    pub counts: Vec<HookCount>,
    /// What cannot be seen on this machine.
    pub blind: Vec<Blind>,
    /// The price that costs are reckoned with.
    pub price: Price,
    /// Version of the server.
    pub version: String,
    /// Reports that could not be stored since the server started: queue full, or the store refused.
    pub queue_lost: u64,
}

/// One point of the load curve.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LoadPoint {
    /// Start of the 10 s slot, Unix milliseconds.
    pub at_ms: u64,
    /// Mean busy share of all processors in the slot, 0 to 100.
    pub cpu_percent: f64,
}

/// Mining that goes on now, summed over the open incidents that are about it.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct MiningNow {
    /// Processes that take part.
    pub processes: u64,
    /// Open incidents.
    pub incidents: u64,
    /// Highest probability, 0 to 1; 0 when there is none.
    pub probability_max: f64,
    /// Hashes a second, as far as known.
    pub hash_rate_hs: Option<f64>,
    /// Cost of a day at the present rate.
    pub cost_per_day: f64,
    /// Share of all processors that mine, 0 to 100.
    pub cpu_share_percent: f64,
    /// First sign of the oldest open incident, Unix milliseconds.
    pub since_ms: Option<u64>,
}

/// Intrusions that nobody has closed yet, without those that mine: [`MiningNow`] holds these.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct IntrusionNow {
    /// Open incidents.
    pub incidents: u64,
    /// The worst of their severities.
    pub worst: Option<Severity>,
    /// First sign of the oldest, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Newest step of any, Unix milliseconds.
    pub last_step_ms: Option<u64>,
}

/// Numbers of things in the store.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Totals {
    /// Incidents that go on.
    pub open: u64,
    /// Incidents that were stopped by us and can come back.
    pub contained: u64,
    /// Incidents whose processes ended.
    pub closed: u64,
    /// Detections of the last 24 hours.
    pub detections_24h: u64,
}

/// The process at the root of an incident, for a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct RootSummary {
    /// Process id.
    pub pid: u32,
    /// Path of the executable.
    pub exe: String,
    /// The name the kernel shows.
    pub comm: String,
    /// Effective user id.
    pub uid: u32,
    /// The container it runs in.
    pub container: Option<Container>,
}

/// An incident as a line of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct IncidentSummary {
    /// Unique.
    pub uid: String,
    /// Who mines, where to, how sure; else what was done.
    pub title: Text,
    /// It is about mining.
    pub is_mining: bool,
    /// It is about an intrusion, with or without mining.
    pub is_intrusion: bool,
    /// Findings that it holds.
    pub steps: u32,
    /// ATT&CK tactics that were seen, in their order, e.g. `TA0001`.
    pub stages: Vec<String>,
    /// Address that an intruder came from.
    pub source: Option<String>,
    /// Title of the worst step of an intrusion.
    pub worst_step: Option<Text>,
    /// When its newest step was seen, Unix milliseconds; 0 without one.
    pub last_step_ms: u64,
    /// State.
    pub state: IncidentState,
    /// How bad.
    pub severity: Severity,
    /// Probability that this is mining, 0 to 1.
    pub probability: f64,
    /// Kind.
    pub kind: Kind,
    /// Pool.
    pub pool: Option<String>,
    /// Wallet, account or login.
    pub wallet: Option<String>,
    /// Worker.
    pub worker: Option<String>,
    /// Algorithm.
    pub algorithm: Option<String>,
    /// Hashes a second.
    pub hash_rate_hs: Option<f64>,
    /// The hash rate is an estimate.
    pub estimated: bool,
    /// CPU time spent, seconds.
    pub cpu_seconds: f64,
    /// What it cost so far.
    pub cost: f64,
    /// First sign, Unix milliseconds.
    pub since_ms: u64,
    /// When it was opened, Unix milliseconds.
    pub opened_ms: u64,
    /// Last change, Unix milliseconds.
    pub changed_ms: u64,
    /// The process at its root.
    pub root: RootSummary,
    /// Processes that take part.
    pub pids: Vec<u32>,
    /// Rules the verdict rests on, strongest first.
    pub rules: Vec<String>,
}

impl IncidentSummary {
    /// The line for `incident`.
    pub fn of(incident: &Incident) -> Self {
        let mining = &incident.mining;
        let root = &incident.root;
        Self {
            uid: incident.uid.clone(),
            title: incident.title.clone(),
            is_mining: incident.is_mining(),
            is_intrusion: story::is_intrusion(incident),
            steps: u32::try_from(incident.findings.len()).unwrap_or(u32::MAX),
            stages: incident.stages().into_iter().map(|stage| stage.tactic).collect(),
            source: story::source(incident),
            worst_step: story::worst_step(incident),
            last_step_ms: story::last_step_ms(incident),
            state: incident.state,
            severity: incident.severity,
            probability: finite(mining.probability),
            kind: mining.kind,
            pool: mining.pool.clone(),
            wallet: mining.wallet.clone(),
            worker: mining.worker.clone(),
            algorithm: mining.algorithm.clone(),
            hash_rate_hs: mining.hash_rate_hs.filter(|rate| rate.is_finite()),
            estimated: mining.estimated,
            cpu_seconds: finite(mining.cpu_seconds),
            cost: finite(mining.cost),
            since_ms: incident.since_ms,
            opened_ms: incident.opened_ms,
            changed_ms: incident.changed_ms,
            root: RootSummary {
                pid: root.key.pid,
                exe: root.exe.clone(),
                comm: root.comm.clone(),
                uid: root.uid,
                container: root.container.clone(),
            },
            pids: incident.processes.iter().map(|process| process.pid).collect(),
            rules: incident.evidence.iter().map(|evidence| evidence.rule.clone()).collect(),
        }
    }
}

/// SQLite stores "not a number" as NULL and JSON as null; neither can be read back as a number.
pub(crate) fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Incidents {
    /// Newest first, by time of opening.
    pub items: Vec<IncidentSummary>,
    /// Value of `before` for the next page; absent on the last one.
    pub next: Option<String>,
}

/// A page of detections.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Detections {
    /// Newest first.
    pub items: Vec<Detection>,
    /// Value of `before` for the next page; absent on the last one.
    pub next: Option<String>,
}

/// Which incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateFilter {
    /// Going on.
    Open,
    /// Stopped by us.
    Contained,
    /// Ended.
    Closed,
    /// Every one.
    #[default]
    All,
}

/// What the incidents are about. One that began with an intrusion and ended in mining is about both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AboutFilter {
    /// Mining.
    Mining,
    /// An intrusion.
    Intrusion,
    /// Either.
    #[default]
    All,
}

/// What to list of the incidents.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentQuery {
    /// Which state; all when absent.
    #[serde(default)]
    #[param(inline, required = false)]
    pub state: StateFilter,
    /// What they are about; all when absent.
    #[serde(default)]
    #[param(inline, required = false)]
    pub about: AboutFilter,
    /// Lines of the page, 1 to 200; 50 when absent.
    #[serde(default)]
    #[param(value_type = Option<u32>, required = false, minimum = 1, maximum = 200)]
    pub limit: PageLength,
    /// Only what was opened before this: `next` of the page before, or Unix milliseconds.
    #[param(value_type = Option<String>)]
    pub before: Option<Cursor>,
    /// Words to look for in title, source, pool, wallet, worker, algorithm, executable, uid and rules; all must be there; at most 200 bytes.
    #[param(value_type = Option<String>)]
    pub q: Option<SearchWords>,
}

/// What to list of the detections.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DetectionQuery {
    /// Lines of the page, 1 to 200; 50 when absent.
    #[serde(default)]
    #[param(value_type = Option<u32>, required = false, minimum = 1, maximum = 200)]
    pub limit: PageLength,
    /// Only what was seen before this: `next` of the page before, or Unix milliseconds.
    #[param(value_type = Option<String>)]
    pub before: Option<Cursor>,
    /// Only this rule, e.g. `mining.stratum`.
    pub rule: Option<String>,
    /// Only this severity and worse.
    #[param(inline)]
    pub min_severity: Option<Severity>,
}

/// Lines of a page, 1 to 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct PageLength(pub u32);

impl Default for PageLength {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u32> for PageLength {
    type Error = &'static str;

    fn try_from(lines: u32) -> Result<Self, Self::Error> {
        if (1..=200).contains(&lines) { Ok(Self(lines)) } else { Err("limit must be 1 to 200") }
    }
}

/// The place in a list behind which a page begins: a time and, for the lines of one millisecond, the uid.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Cursor {
    /// Time of the last line of the page before, Unix milliseconds.
    pub at_ms: u64,
    /// Its uid; empty when only a time was given.
    pub uid: String,
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (at_ms, uid) = text.split_once(':').unwrap_or((&text, ""));
        let at_ms =
            at_ms.parse().map_err(|_| "before must be `next` of the page before, or Unix milliseconds")?;
        Ok(Self { at_ms, uid: uid.to_owned() })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.at_ms, self.uid)
    }
}

/// Words to look for, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SearchWords(pub Vec<String>);

impl TryFrom<String> for SearchWords {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // 200 bytes hold a wallet (106 characters) and a pool; each word is a pass over the list.
        if text.len() > 200 {
            return Err("q must be at most 200 bytes");
        }
        Ok(Self(text.split_whitespace().map(str::to_lowercase).collect()))
    }
}

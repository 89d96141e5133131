//! Detections of one root cause, weighed.

use serde::{Deserialize, Serialize};

use crate::{Detection, Evidence, Group, Outcome, Process, ProcessKey, Severity, Text};

/// What kind of mining.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// On the processor.
    #[default]
    Cpu,
    /// On a graphics processor.
    Gpu,
    /// Only passes on what others mine.
    Relay,
    /// In a web page.
    WebPage,
}

/// What is known of the mining.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Mining {
    /// Probability that this is mining, 0 to 1.
    pub probability: f64,
    /// Kind.
    pub kind: Kind,
    /// Pool, `host:port` as named or the peer's address.
    pub pool: Option<String>,
    /// Wallet, account or login.
    pub wallet: Option<String>,
    /// Worker.
    pub worker: Option<String>,
    /// Algorithm.
    pub algorithm: Option<String>,
    /// Hashes a second.
    pub hash_rate_hs: Option<f64>,
    /// The hash rate was estimated from threads, not taken from shares.
    pub estimated: bool,
    /// CPU time spent, seconds.
    pub cpu_seconds: f64,
    /// What it cost so far, in the currency of the settings.
    pub cost: f64,
    /// Processes that take part.
    pub pids: Vec<u32>,
    /// Every process with a sign of mining has ended; what else the intruder did may go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_ended: bool,
}

/// State of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// It goes on.
    Open,
    /// Stopped by us; can come back.
    Contained,
    /// The processes ended.
    Closed,
}

/// Why an incident is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It opened.
    Created,
    /// More is known.
    Updated,
    /// It ended.
    Closed,
}

/// How it came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Entry {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Where from.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub remote: Option<std::net::SocketAddr>,
    /// One sentence: through which service, login or package, asked what, by whom.
    pub text: Text,
}

/// Detections of one root cause: mining, what else an intruder did, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Incident {
    /// Unique and the same on replay.
    pub uid: String,
    /// First sign, Unix milliseconds.
    pub since_ms: u64,
    /// When it was opened.
    pub opened_ms: u64,
    /// Last change.
    pub changed_ms: u64,
    /// State.
    pub state: IncidentState,
    /// How bad.
    pub severity: Severity,
    /// One sentence: who mines, where to, how sure; else what was done.
    pub title: Text,
    /// The process at its root.
    pub root: Process,
    /// How it came in, when that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// The processes that take part, at most 64.
    pub processes: Vec<ProcessKey>,
    /// The weighed verdict and what is known.
    pub mining: Mining,
    /// What the verdict rests on, strongest first, one entry for each rule.
    pub evidence: Vec<Evidence>,
    /// Detections, oldest first, at most 64; later ones of the same rule fold into the first.
    pub findings: Vec<Detection>,
    /// Detections that were folded or did not fit.
    pub folded: u64,
    /// What was done.
    pub outcomes: Vec<Outcome>,
}

impl Incident {
    /// It is about mining: the verdict says so, or nothing else was held against anybody.
    pub fn is_mining(&self) -> bool {
        self.mining.probability >= 0.5
            || !self.evidence.iter().any(|evidence| evidence.group == Group::Behaviour)
    }
}

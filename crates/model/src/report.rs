//! What an agent tells its server. Not raw telemetry: incidents, what was done, load, and what was lost.

use serde::{Deserialize, Serialize};

use crate::{Change, Detection, HookCount, Host, Incident, Mode, Outcome};

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Report {
    /// The machine and what is blind on it.
    Host(Host),
    /// A rule matched.
    Detection(Box<Detection>),
    /// An incident opened, changed or ended.
    Incident {
        /// Why it is sent.
        change: Change,
        /// The whole incident.
        incident: Box<Incident>,
    },
    /// Something was done.
    Outcome(Box<Outcome>),
    /// Load of the machine and of the agent, every few seconds.
    Load(Load),
}

/// Load of the machine and of the agent itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Load {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Busy share of all processors, 0 to 100.
    pub cpu_percent: f64,
    /// Logical processors.
    pub cpus: u32,
    /// What the agent may do.
    pub mode: Mode,
    /// Agent's resident memory, KiB.
    pub agent_rss_kib: u64,
    /// Agent's CPU time in percent of one processor since the last report.
    pub agent_cpu_percent: f64,
    /// Records made, seen and lost, by hook, since the agent started.
    pub counts: Vec<HookCount>,
    /// Every exception, and what it hid since the agent started: nothing is hidden in silence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ExceptionCount>,
}

/// An exception and what it hid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ExceptionCount {
    /// Its id.
    pub id: String,
    /// What it is.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// Ids of the rules it is for.
    pub rules: Vec<String>,
    /// From when on it hides nothing, Unix milliseconds.
    pub expires_ms: u64,
    /// It hides nothing any more.
    pub is_expired: bool,
    /// How often it hid something.
    pub hidden: u64,
    /// When last, Unix milliseconds.
    pub last_ms: Option<u64>,
}

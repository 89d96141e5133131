//! A rule that matched, with what it rests on.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Mining, Process, Scanned, Text};

/// OCSF severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// 1: worth knowing.
    Informational,
    /// 2: a feature, never acted on.
    Low,
    /// 3: look at it today.
    Medium,
    /// 4: look at it now.
    High,
    /// 5: it is happening.
    Critical,
}

impl Severity {
    /// OCSF `severity_id`.
    pub fn id(self) -> u8 {
        match self {
            Self::Informational => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
            Self::Critical => 5,
        }
    }

    /// OCSF `severity` caption.
    pub fn caption(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// An ATT&CK technique as content names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attack {
    /// Technique, e.g. `T1496.001`.
    pub technique: String,
    /// Its name.
    pub name: String,
    /// Tactic, e.g. `TA0040`.
    pub tactic: String,
    /// Tactic's name.
    pub tactic_name: String,
    /// ATT&CK version, e.g. `17.1`.
    pub version: String,
}

/// Independent kinds of evidence. Within one group only the strongest counts (docs/spec/verdict.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// What was said on the wire.
    Protocol,
    /// What the processor does.
    Compute,
    /// How memory and the machine were tuned for it.
    Tuning,
    /// What the file is.
    File,
    /// What the process carries: argv, configuration, memory.
    Clue,
    /// Names and addresses on lists.
    Intel,
    /// How much it uses.
    Load,
    /// Hiding and disguise.
    Evasion,
    /// What an intruder does besides mining; says nothing of mining itself.
    Behaviour,
}

/// One thing a detection or verdict rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// Rule id that gave it.
    pub rule: String,
    /// Group for the verdict.
    pub group: Group,
    /// Share of doubt it removes, 0 to 1 (docs/spec/verdict.md).
    pub weight: f64,
    /// What was seen, with numbers.
    pub text: Text,
    /// When last seen, Unix milliseconds.
    pub at_ms: u64,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Detection {
    /// Unique and the same on replay.
    pub uid: String,
    /// Rule id, e.g. `mining.stratum`.
    pub rule: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// How bad.
    pub severity: Severity,
    /// How sure this rule is, 0 to 100.
    pub confidence: u8,
    /// The rule's title.
    pub title: Text,
    /// What was seen, with numbers.
    pub why: Text,
    /// What to do.
    pub advice: Text,
    /// ATT&CK techniques.
    pub attacks: Vec<Attack>,
    /// The process it is about; `None` for the machine itself.
    pub subject: Option<Process>,
    /// Parent of the subject, when known.
    pub parent: Option<Process>,
    /// The file it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Box<Scanned>>,
    /// Other end of the connection.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub remote: Option<SocketAddr>,
    /// Socket cookie of that connection, for response.
    pub cookie: Option<u64>,
    /// What it rests on; the first is the trigger.
    pub evidence: Vec<Evidence>,
    /// What is known of the mining so far.
    pub mining: Mining,
    /// Incident it belongs to, when one is open.
    pub incident: Option<String>,
}

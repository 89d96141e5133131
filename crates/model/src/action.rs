//! What is to be done, and what came of it.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Process, ProcessKey, Text, clean::Remedy};

/// What the agent may do by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing: look and tell.
    #[default]
    Observe,
    /// Act where confidence is high.
    Block,
    /// Act on medium confidence too.
    Strict,
}

/// One change to the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Stop a process where it is (state T); its memory stays. Undone by thawing.
    Freeze {
        /// Which.
        process: ProcessKey,
    },
    /// Let a frozen process go on.
    Thaw {
        /// Which.
        process: ProcessKey,
    },
    /// End a process. Cannot be undone.
    Kill {
        /// Which.
        process: ProcessKey,
    },
    /// Reset a connection. Cannot be undone.
    CutSocket {
        /// Whose.
        process: ProcessKey,
        /// Socket cookie.
        cookie: u64,
    },
    /// Change a disk. Undone by what the journal names, where it can be.
    Disk {
        /// The root that paths are below: `/` or a mounted disk.
        root: Bytes,
        /// What to do.
        remedy: Box<Remedy>,
    },
}

/// A step of a plan with its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// The process as it was judged; the action is refused when it is no longer that one.
    pub target: Process,
    /// Why.
    pub reason: Text,
}

/// Steps in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Plan {
    /// Incident or detection that asked for it.
    pub cause: String,
    /// The steps.
    pub steps: Vec<Step>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutcomeState {
    /// Not yet done: a step of a plan that a person reads first.
    Planned,
    /// Done.
    Done,
    /// Was so already.
    Already,
    /// Not done: the target is no longer the one that was judged.
    Gone,
    /// Not done.
    Failed(String),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Outcome {
    /// Journal entry.
    pub entry: u64,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Incident or detection that asked for it.
    pub cause: String,
    /// What was to be done.
    pub action: Action,
    /// The process; for a change of a disk, one with pid 0 whose executable is the path.
    pub target: Process,
    /// How it ended.
    pub state: OutcomeState,
}

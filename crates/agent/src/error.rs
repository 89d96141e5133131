//! Why a node cannot start or go on.

use std::{io, path::PathBuf};

use crate::recording::RecordingError;

/// Why a node cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Not root.
    #[error("minesweep must see all processes; run it as root, for instance with sudo")]
    NotRoot,
    /// The rule bundle is refused.
    #[error(
        "the rule bundle is refused; mend the file it names, or leave out --content to use the built-in rules"
    )]
    Content(#[from] minesweep_content::ContentError),
    /// A rule is refused.
    #[error("a rule is refused; mend it, or leave out --content to use the built-in rules")]
    Rules(#[from] minesweep_detect::RuleError),
    /// The wished sensor does not run here.
    #[error("the wished sensor does not run here; leave out --sensor, or see minesweep doctor")]
    Sensor(#[from] minesweep_host::SensorError),
    /// A facility of the system failed.
    #[error("cannot read {what}")]
    System {
        /// The object.
        what: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Response cannot be armed.
    #[error("the mode needs a journal and a way to stop processes; use --mode observe, or mend the cause")]
    Respond(#[from] minesweep_respond::RespondError),
    /// Recording or replay failed.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A capture cannot be read.
    #[error("{path} is neither a recording of watch --record nor a capture that can be read", path = path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: minesweep_traffic::pcap::PcapError,
    },
    /// An exception is refused.
    #[error("the exception {rule} is refused: {reason}")]
    Exception {
        /// Its id, as far as it could be read.
        rule: String,
        /// Why, and the remedy.
        reason: String,
    },
    /// Rules to test cannot be read.
    #[error("cannot read the rules {path}; give a file or folder of rules", path = path.display())]
    RuleFiles {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

//! One node: sources, engines and response in one loop.
//!
//! `host` says what happens, `traffic` and `detect` what it means, `respond` changes the machine if the mode allows
//! it. This crate only joins them; it has no opinion of its own and starts no program.

mod changes;
mod clean;
mod config;
mod doctor;
mod error;
mod exceptions;
mod files;
mod hunt;
mod line;
mod looks;
mod node;
mod own;
mod recording;
mod replay;
mod rules;
mod scan;
mod sensor;
mod timer;
mod words;

pub use changes::{CannotUndo, Change, changes, restore, undo};
pub use clean::{Cleaned, Findings, apply, apply_offline, findings, findings_offline, planned};
pub use config::{Config, ConfigError, DEFAULT_PATH, LogFile, Logs, SensorChoice};
pub use doctor::{Check, CheckState, doctor};
pub use error::AgentError;
pub use exceptions::{ExceptionPreview, ListedException, preview_exceptions, read_exceptions};
pub use files::{FileScan, FileScope};
pub use line::Line;
pub use minesweep_detect::{ListedRule, RuleLine, RuleState};
pub use node::{Node, Sink};
pub use recording::{Header, Recorder, Recording, RecordingError};
pub use replay::replay;
pub use rules::{load as load_rules, rules_list, rules_test};
pub use scan::{scan, scan_root, scan_with_files};
pub use words::action_text;

//! Events in; detections, incidents and plans out.
//!
//! Pure: no clock, no file, no socket, no thread. Time arrives on the event, rules as text, so a recorded run replays
//! to the same answer, byte for byte, in a unit test and without root. What was said, what the processor does, and
//! who started whom decide; names and ports only hint (docs/spec/verdict.md).

mod access;
mod behaviour;
mod cases;
mod coded_rules;
mod config_keys;
mod content_rule;
mod doors;
mod dossier;
mod dossiers;
mod engine;
mod exceptions;
mod expression;
mod facts;
mod file_rules;
mod finding;
mod flows;
mod hiding;
mod ids;
mod listed;
mod lists;
mod load;
mod looks;
mod plan;
mod rules;
mod settings;
mod sigma;
mod signs;
mod spread;
#[cfg(test)]
mod testing;
mod tree;
mod verdict;
mod words;
mod writes;

pub mod clues;
pub mod commands;
pub mod eradicate;
pub mod files;

pub use access::{AccessSettings, BadNetwork, Network};
pub use cases::{RuleLine, RuleState, rules_test};
pub use coded_rules::CodedRules;
pub use content_rule::ContentRule;
pub use engine::{Engine, Losses, Output};
pub use exceptions::{Draft as ExceptionDraft, Exception, Exceptions};
pub use file_rules::{FileRules, SCAN_LIMIT_BYTES};
pub use listed::{ListedRule, rules_list};
pub use lists::{HashRates, PoolEntry, PoolLevel, Pools};
pub use rules::{RefusedRule, Rule, RuleError, RuleId, Rules};
pub use settings::{Metric, Settings, SustainedAction, SustainedThreshold};
pub use sigma::{FieldValue, FieldsRecord};

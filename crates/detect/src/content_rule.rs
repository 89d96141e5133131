//! A rule whose matching is content too: Sigma, log patterns. What it looks for is compiled by the engine of its
//! language; this is what it says to people.

use minesweep_model::{Attack, ProcessKey, Severity, Text};

/// What content says of a rule that is written in one of the field's languages.
#[derive(Clone, Debug, PartialEq)]
pub struct ContentRule {
    /// Stable id: ours are dotted (`intrusion.service-shell`), an imported Sigma rule keeps its own.
    pub id: String,
    /// Its name for people.
    pub title: Text,
    /// What it sees, and why that is bad.
    pub description: Text,
    /// What to do.
    pub advice: Text,
    /// How bad.
    pub severity: Severity,
    /// How sure, 0 to 100.
    pub confidence: u8,
    /// ATT&CK techniques.
    pub attacks: Vec<Attack>,
    /// Who else looks like this.
    pub false_positives: Vec<Text>,
    /// Licence, SPDX.
    pub licence: String,
    /// Where it comes from.
    pub source: String,
}

/// A match of such a rule.
#[derive(Clone, Debug)]
pub(crate) struct Hit<'a> {
    pub(crate) rule: &'a ContentRule,
    /// The process it is about; `None` when only a log tells of it.
    pub(crate) subject: Option<ProcessKey>,
    /// What was seen, with names and numbers.
    pub(crate) why: Text,
    /// The other end: who logged in, where it connected to.
    pub(crate) remote: Option<std::net::SocketAddr>,
    /// Tells apart what one process does twice: the command, the file, the source address. Of one rule, subject and
    /// thing only the first is told; the rest is counted.
    pub(crate) thing: u64,
}

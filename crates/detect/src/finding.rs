//! A match of a rule, before it is told: who, how much it weighs, and what it taught us.

use std::net::SocketAddr;

use minesweep_model::{ProcessKey, Severity, Text};

use crate::{facts::Facts, rules::Rule, rules::RuleId};

/// What a finding leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Evidence and a detection.
    Told,
    /// Evidence only: it was told before.
    Folded,
    /// A detection only; it holds nothing against anybody.
    Aside,
}

/// A match of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: RuleId,
    pub(crate) subject: Option<ProcessKey>,
    pub(crate) weight: f64,
    pub(crate) severity: Severity,
    pub(crate) confidence: u8,
    pub(crate) why: Text,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) cookie: Option<u64>,
    /// Tells apart what one process does twice: the flow, the name.
    pub(crate) thing: u64,
    /// When it was first told: a fuller detection keeps its uid.
    pub(crate) since_ms: Option<u64>,
    /// What this one thing said; over what is known of the process.
    pub(crate) facts: Facts,
    pub(crate) telling: Telling,
    /// An imported rule that matched instead of ours: it keeps its own id, and says nothing about mining.
    pub(crate) imported: Option<Imported>,
}

/// Name of an imported rule.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    pub(crate) id: String,
    pub(crate) title: Text,
}

impl Finding {
    /// A full match of a rule by a process.
    pub(crate) fn new(rule: &Rule, subject: Option<ProcessKey>, why: Text) -> Self {
        Self {
            rule: rule.id,
            subject,
            weight: rule.weight,
            severity: rule.severity,
            confidence: rule.confidence,
            why,
            remote: None,
            cookie: None,
            thing: 0,
            since_ms: None,
            facts: Facts::default(),
            telling: Telling::Told,
            imported: None,
        }
    }

    /// A part of the rule matched: it weighs less and is less sure.
    pub(crate) fn weaker(mut self, share: f64, severity: Severity) -> Self {
        self.weight *= share;
        self.severity = severity;
        // A share of at most 1 of at most 100 stays in a byte; the cast cannot cut.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
        {
            self.confidence = (f64::from(self.confidence) * share).round().clamp(0.0, 100.0) as u8;
        }
        self
    }
}

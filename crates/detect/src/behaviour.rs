//! What an intruder does besides mining, as far as it makes an incident by itself.
//!
//! One thing of high severity is enough. Things of medium severity happen on honest machines too: two different ones of
//! one root cause within a while make an incident. What is low is kept as a step of the story and opens nothing.

use std::collections::BTreeMap;

use minesweep_model::Severity;

/// Two things of medium severity this close together are one intrusion; an administrator's day is longer.
const TOGETHER_MS: u64 = 15 * 60_000;
/// Most rules remembered; a story of more is long due.
const RULES_LIMIT: usize = 64;

/// The rules of content that matched for one root cause.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// When each medium rule last matched.
    mediums: BTreeMap<String, u64>,
    worst: Option<Severity>,
    is_due: bool,
}

impl Behaviour {
    /// Takes in a match.
    pub(crate) fn add(&mut self, rule: &str, severity: Severity, at_ms: u64) {
        self.worst = self.worst.max(Some(severity));
        match severity {
            Severity::Informational | Severity::Low => {}
            Severity::Medium => {
                if self.mediums.len() < RULES_LIMIT || self.mediums.contains_key(rule) {
                    self.mediums.insert(rule.to_owned(), at_ms);
                }
                let recent = |last: &&u64| at_ms.saturating_sub(**last) <= TOGETHER_MS;
                self.is_due |= self.mediums.values().filter(recent).count() >= 2;
            }
            Severity::High | Severity::Critical => self.is_due = true,
        }
    }

    /// It is an incident by itself.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due
    }

    /// The worst that matched.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_mediums_within_the_while_are_due_and_one_of_high_severity_is_at_once() {
        let mut behaviour = Behaviour::default();
        behaviour.add("a", Severity::Medium, 0);
        behaviour.add("a", Severity::Medium, 1);
        behaviour.add("c", Severity::Low, 1);
        assert!(!behaviour.is_due(), "the same twice is one");
        behaviour.add("b", Severity::Medium, TOGETHER_MS + 2);
        assert!(!behaviour.is_due(), "too far apart");
        behaviour.add("a", Severity::Medium, 2 * TOGETHER_MS + 2);
        assert!(behaviour.is_due(), "exactly at the border");
        let mut high = Behaviour::default();
        high.add("a", Severity::High, 0);
        assert!(high.is_due());
        assert_eq!(high.worst(), Some(Severity::High));
    }
}

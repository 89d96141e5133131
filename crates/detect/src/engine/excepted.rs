//! Asks the exceptions before something is told, and counts what they hide.
//!
//! What is hidden weighs nothing and opens nothing: no evidence, no step, no incident, no plan. It is counted.

use std::net::SocketAddr;

use minesweep_model::{Event, ExceptionCount, ProcessKey, Text, What};

use super::Engine;
use crate::exceptions::About;

impl Engine {
    /// Every exception and what it hid since the start.
    pub fn excepted(&self, at_ms: u64) -> Vec<ExceptionCount> {
        self.ledger.counts(self.rules.exceptions(), at_ms)
    }

    /// An exception hides it.
    pub(super) fn is_excepted(
        &mut self,
        rule: &str,
        subject: Option<ProcessKey>,
        remote: Option<SocketAddr>,
        why: &Text,
        at_ms: u64,
    ) -> bool {
        let exceptions = self.rules.exceptions();
        if exceptions.is_empty() {
            return false;
        }
        let about = About {
            rule,
            subject: subject.and_then(|key| self.tree.process(key)).map(AsRef::as_ref),
            parent: subject.and_then(|key| self.tree.parent(key)).map(|entry| entry.process.as_ref()),
            remote,
            why,
            sha256: subject.and_then(|key| self.ledger.sha256(key)),
        };
        let Some(found) = exceptions.find(&about, &self.host, at_ms) else { return false };
        self.ledger.count(found, at_ms);
        true
    }

    /// Keeps the hash of what a process runs, when an exception asks for hashes.
    pub(super) fn know_hash(&mut self, event: &Event) {
        match &event.what {
            What::Looked(looked) if self.rules.exceptions().asks_for_hashes() => {
                if let Some(sha256) = &looked.sha256 {
                    self.ledger.learn(looked.process.key, sha256);
                }
            }
            What::Exec(process) => self.ledger.forget(process.key),
            What::Exit { process } => self.ledger.forget(*process),
            _ => {}
        }
    }
}

//! What exceptions hid on this host since the start, and the hashes that some of them ask for.

use std::collections::{BTreeMap, VecDeque};

use minesweep_model::{ExceptionCount, ProcessKey};

use super::Exceptions;

/// Most hashes kept; the oldest goes, and its process is told again.
const HASHES_LIMIT: usize = 4096;

/// Counts and hashes.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    hidden: BTreeMap<usize, (u64, u64)>,
    hashes: BTreeMap<ProcessKey, String>,
    order: VecDeque<ProcessKey>,
}

impl Ledger {
    /// Counts one thing that was hidden.
    pub(crate) fn count(&mut self, exception: usize, at_ms: u64) {
        let (times, last_ms) = self.hidden.entry(exception).or_default();
        *times = times.saturating_add(1);
        *last_ms = at_ms;
    }

    /// Remembers what a process runs.
    pub(crate) fn learn(&mut self, key: ProcessKey, sha256: &str) {
        if self.hashes.insert(key, sha256.to_owned()).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > HASHES_LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }

    /// It runs another program now, or none.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        if self.hashes.remove(&key).is_some() {
            self.order.retain(|kept| *kept != key);
        }
    }

    /// What a process runs, when somebody looked.
    pub(crate) fn sha256(&self, key: ProcessKey) -> Option<&str> {
        self.hashes.get(&key).map(String::as_str)
    }

    /// Every exception with its count.
    pub(crate) fn counts(&self, exceptions: &Exceptions, at_ms: u64) -> Vec<ExceptionCount> {
        let counted = exceptions.all().iter().enumerate().map(|(index, one)| {
            let hidden = self.hidden.get(&index).copied();
            ExceptionCount {
                id: one.id.clone(),
                title: one.title.clone(),
                owner: one.owner.clone(),
                rules: one.rules.clone(),
                expires_ms: one.expires_ms,
                is_expired: one.is_expired(at_ms),
                hidden: hidden.map_or(0, |(times, _)| times),
                last_ms: hidden.map(|(_, last_ms)| last_ms),
            }
        });
        counted.collect()
    }
}

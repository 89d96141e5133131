//! What its owner does not want to be told: exceptions, in the filter form of Sigma 2.1 (docs/spec/exceptions.md).
//!
//! Made for any detection, whatever found it: asked where a detection is told, not where it is matched. Narrow, owned
//! and dated, or refused by name. Nothing is hidden in silence: each exception counts what it hid. Reads no file and no
//! clock.

mod draft;
mod form;
mod ledger;
mod narrow;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use minesweep_model::{Detection, Host};

pub use draft::Draft;
pub use form::Exception;
pub(crate) use ledger::Ledger;
pub(crate) use view::About;

use crate::rules::RefusedRule;

/// Most exceptions: each is a question at every detection of its rule, and more than this nobody keeps in view.
const EXCEPTIONS_LIMIT: usize = 1024;

/// All exceptions in use, by the rules they are for.
#[derive(Debug, Default)]
pub struct Exceptions {
    all: Vec<Exception>,
    by_rule: BTreeMap<String, Vec<usize>>,
}

impl Exceptions {
    /// Reads files, given as path and text. What cannot be taken whole comes back by name; the rest is used.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<RefusedRule>) {
        let (mut exceptions, mut refused, mut ids) = (Self::default(), Vec::new(), BTreeSet::new());
        for (path, text) in files {
            for read in form::read(path, text) {
                match read {
                    Err(reason) => refused.push(reason),
                    Ok(one) if exceptions.all.len() >= EXCEPTIONS_LIMIT => {
                        refused
                            .push(one.refused(format!("there are more than {EXCEPTIONS_LIMIT} exceptions")));
                    }
                    Ok(one) if !ids.insert(one.id.clone()) => {
                        refused.push(
                            one.refused("an exception of this id is there already; keep one".to_owned()),
                        );
                    }
                    Ok(one) => exceptions.add(one),
                }
            }
        }
        (exceptions, refused)
    }

    /// Leaves out those that name a rule which is not there: a typing error hides nothing, and its owner believes that
    /// it does.
    pub(crate) fn only_for(self, is_known: impl Fn(&str) -> bool) -> (Self, Vec<RefusedRule>) {
        let (mut kept, mut refused) = (Self::default(), Vec::new());
        for one in self.all {
            match one.rules.iter().find(|rule| !is_known(rule)) {
                Some(rule) => refused.push(one.refused(format!(
                    "it names the rule '{rule}', which is not in use; minesweep rules list has those that are"
                ))),
                None => kept.add(one),
            }
        }
        (kept, refused)
    }

    /// All of them.
    pub fn all(&self) -> &[Exception] {
        &self.all
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one that hides a detection that was told: for a preview.
    pub fn hides(&self, detection: &Detection, host: &Host) -> Option<&Exception> {
        self.find(&About::of(detection), host, detection.at_ms).and_then(|index| self.all.get(index))
    }

    /// Some exception asks for the hash of an executable.
    pub(crate) fn asks_for_hashes(&self) -> bool {
        self.all.iter().any(Exception::asks_for_hash)
    }

    /// The first that hides what is about to be told.
    pub(crate) fn find(&self, about: &About<'_>, host: &Host, at_ms: u64) -> Option<usize> {
        let of_rule = self.by_rule.get(about.rule)?;
        of_rule.iter().copied().find(|index| {
            self.all.get(*index).is_some_and(|one| !one.is_expired(at_ms) && one.covers(about, host))
        })
    }

    fn add(&mut self, one: Exception) {
        for rule in &one.rules {
            self.by_rule.entry(rule.clone()).or_default().push(self.all.len());
        }
        self.all.push(one);
    }
}

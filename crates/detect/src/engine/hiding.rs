//! Hiding: what names, files and the regular look for hidden things tell.

use std::sync::Arc;

use minesweep_model::{FileEvent, HidingSign, Process, ProcessKey};

use super::{Engine, Output};
use crate::{
    content_rule::Hit,
    hiding::{self, Sign},
    ids,
};

impl Engine {
    /// A fact that a look for hidden things found.
    pub(super) fn hiding(&mut self, sign: &HidingSign, at_ms: u64, out: &mut Vec<Output>) {
        if let Some(found) = hiding::fact(&sign.fact) {
            self.tell_sign(&found, sign.process, at_ms, out);
        }
    }

    /// The names a process goes by.
    pub(super) fn hiding_names(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        for sign in hiding::names(process) {
            self.tell_sign(&sign, Some(process.key), at_ms, out);
        }
    }

    /// What a change of a file hides.
    pub(super) fn hiding_file(&mut self, event: &FileEvent, at_ms: u64, out: &mut Vec<Output>) {
        let who = self.tree.process(event.process).map(AsRef::as_ref);
        let removal = hiding::removal(event, who);
        for sign in hiding::file(event).into_iter().chain(removal) {
            self.tell_sign(&sign, Some(event.process), at_ms, out);
        }
    }

    fn tell_sign(&mut self, sign: &Sign, subject: Option<ProcessKey>, at_ms: u64, out: &mut Vec<Output>) {
        let rules = Arc::clone(&self.rules);
        // Rules without a text are refused when they are loaded.
        let Some(rule) = rules.coded().get(sign.rule) else { return };
        let thing = ids::thing(&sign.thing);
        self.tell_hit(&Hit { rule, subject, why: sign.why.clone(), remote: None, thing }, at_ms, out);
    }
}

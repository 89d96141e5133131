//! A line of a log in a case.

use minesweep_model::{LogLine, What};
use serde::Deserialize;

/// A process that serves a login and is not described.
const PID: u32 = 90_000;

/// A line of the log of logins.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogStep {
    program: String,
    pid: u32,
    /// Each repetition has a pid of its own.
    each_pid: bool,
    /// `{n}` is the number of the repetition, from 1.
    text: String,
}

impl Default for LogStep {
    fn default() -> Self {
        Self { program: "sshd".to_owned(), pid: PID, each_pid: false, text: String::new() }
    }
}

impl LogStep {
    /// The line of the repetition of that number, from 1.
    pub(super) fn what(&self, number: u32) -> What {
        let step = if self.each_pid { number } else { 0 };
        What::Log(Box::new(LogLine {
            source: "/var/log/auth.log".to_owned(),
            program: self.program.clone(),
            pid: Some(self.pid.saturating_add(step)),
            text: self.text.replace("{n}", &number.to_string()),
        }))
    }
}

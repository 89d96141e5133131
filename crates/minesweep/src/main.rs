//! The binary: one file a subcommand, no logic.

mod cli;
mod doctor;
mod drill;
mod journal;
mod log;
mod output;
mod replay;
mod rules;
mod scan;
mod stop;
mod up;
mod watch;

use std::{error::Error, process::ExitCode};

/// Every subcommand; the parser, the help and the dispatch are made from it.
const COMMANDS: &[cli::Entry] = &[
    up::ENTRY,
    watch::ENTRY,
    scan::ENTRY,
    doctor::ENTRY,
    replay::ENTRY,
    rules::ENTRY,
    drill::ENTRY,
    journal::JOURNAL,
    journal::UNDO,
];

fn main() -> ExitCode {
    match cli::main(std::env::args_os()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("minesweep: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Why a command failed: one line that names the object and the remedy, then its causes.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure in how the command was called.
    pub fn usage(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A failure with its chain of causes.
    pub fn other(error: impl Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self(text)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

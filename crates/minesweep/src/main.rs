//! The binary: one file a subcommand, no logic.

mod certificate;
mod clean;
mod cli;
mod doctor;
mod drill;
mod exceptions;
mod failure;
mod journal;
mod log;
mod output;
mod parser;
mod quarantine;
mod replay;
mod rules;
mod scan;
mod stop;
mod up;
mod watch;

use std::process::ExitCode;

use failure::Failure;
use minesweep_model::Lang;

/// Every subcommand; the parser, the help and the dispatch are made from it.
const COMMANDS: &[cli::Entry] = &[
    up::ENTRY,
    watch::ENTRY,
    scan::ENTRY,
    clean::ENTRY,
    doctor::ENTRY,
    replay::ENTRY,
    rules::ENTRY,
    exceptions::ENTRY,
    drill::ENTRY,
    quarantine::ENTRY,
    journal::JOURNAL,
    journal::UNDO,
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let words = arguments.iter().filter_map(|word| word.to_str());
    let lang = Lang::spoken(words, |name| std::env::var(name).ok());
    match cli::main(&arguments, lang) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("minesweep: {}", failure.of(lang));
            ExitCode::from(2)
        }
    }
}

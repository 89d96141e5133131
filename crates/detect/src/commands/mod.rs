//! What a command line means, however it is written.
//!
//! Pure. Quotes, escapes, variables, `$IFS`, braces, here-texts and nested shells are read as a shell reads them;
//! base64, hexadecimal, gzip and the like are taken off; what is found is what reaches an interpreter, not what a text
//! looks like (docs/spec/commands.md). Decides nothing about whose command it is; that is `engine/commands`.

mod code;
mod decode;
mod fetching;
mod filters;
mod programs;
mod run;
mod shell;
mod tools;
mod value;

pub(crate) mod descriptors;
pub(crate) mod recent;
pub(crate) mod renamed;
pub(crate) mod service;
pub(crate) mod why;

use std::collections::BTreeSet;

use run::{Run, Streams};
use value::Value;

pub(crate) use tools::{Language, is_coveted, is_fetcher, is_multi_call, is_net_pipe, language, plain_name};

/// Ids of the rules that are matched here and in `engine/commands`.
pub(crate) const IDS: &[&str] = &[DOWNLOAD_RUN, DECODED, REVERSE_COMMAND, REVERSE, RENAMED, SERVICE_SHELL];
pub(crate) const DOWNLOAD_RUN: &str = "intrusion.download-run";
pub(crate) const DECODED: &str = "intrusion.decoded-command";
pub(crate) const REVERSE_COMMAND: &str = "intrusion.reverse-shell-command";
pub(crate) const REVERSE: &str = "intrusion.reverse-shell";
pub(crate) const RENAMED: &str = "intrusion.renamed-tool";
pub(crate) const SERVICE_SHELL: &str = "intrusion.service-shell";

/// Most bytes of a decoded text that are kept as evidence.
const TEXT_LIMIT: usize = 512;

/// Something that a command line does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// What was fetched is run.
    DownloadRun {
        /// Address or URL.
        from: String,
    },
    /// What was made unreadable is made readable and run.
    Decoded {
        /// The encodings, by name.
        how: Vec<&'static str>,
        /// The readable text, cut; empty when only the running shell knows it.
        text: String,
    },
    /// A shell whose input and output are a connection.
    Reverse {
        /// The other end, as written.
        end: Option<String>,
        /// By what: `redirect`, `pipe`, `exec`, `listen`, `read`, or a language.
        how: &'static str,
    },
    /// A tool of the system gets another name.
    Renamed {
        /// Its own name.
        tool: String,
        /// The other name.
        to: String,
        /// By which program.
        by: String,
    },
    /// A tool that asks many machines.
    Scanner {
        /// Its name.
        tool: String,
        /// What it is to ask.
        target: String,
    },
    /// Such a tool is installed.
    ScannerInstalled {
        /// Its name.
        tool: String,
    },
}

/// A file that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// From where.
    pub url: String,
    /// Into which file; `None` for the output.
    pub to: Option<String>,
    /// The other side's certificate is not looked at.
    pub is_unchecked: bool,
}

/// What a command line means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Understood {
    /// The same in one form, whatever the quoting; `…` for what only the running shell knows; cut.
    pub form: String,
    /// What it does.
    pub found: Vec<Found>,
    /// What it fetches.
    pub fetches: Vec<Fetch>,
    /// Other ends of the connections that it opens.
    pub ends: Vec<String>,
    /// Base names of the programs in it.
    pub programs: BTreeSet<String>,
    /// It is an interpreter that reads its commands from its input.
    pub is_reading: bool,
}

/// Understands the arguments of a process.
pub fn understand(argv: &[String]) -> Understood {
    let mut fields: Vec<Value> = argv.iter().map(|word| Value::known(word.as_str())).collect();
    if let Some(first) = fields.first_mut() {
        // A login shell is called `-bash`.
        first.text = first.text.trim_start_matches('-').to_owned();
    }
    let mut run = Run::default();
    let done = run.program(&fields, &Streams::default(), &Value::default());
    finish(run, done.is_reading_shell)
}

/// Understands a text as a shell would.
pub fn understand_text(text: &str) -> Understood {
    let mut run = Run::default();
    let _output = run.text(
        text.get(..text.floor_char_boundary(value::VALUE_LIMIT_BYTES)).unwrap_or(text),
        &Value::default(),
    );
    finish(run, false)
}

fn finish(run: Run, is_reading: bool) -> Understood {
    let form = run.form.split_whitespace().collect::<Vec<_>>().join(" ");
    Understood {
        form,
        found: run.found,
        fetches: run.fetches,
        ends: run.ends,
        programs: run.programs,
        is_reading,
    }
}

/// It only runs another program.
pub(crate) fn is_wrapper(path: &str) -> bool {
    tools::wrapper(path).is_some()
}

/// The first bytes of a text, at a letter's border.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    let kept = text.get(..text.floor_char_boundary(limit)).unwrap_or(text);
    if kept.len() < text.len() { format!("{kept}…") } else { kept.to_owned() }
}

#[cfg(test)]
mod tests;

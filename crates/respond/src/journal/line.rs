//! One line of the journal, and how a file of them is read.
//!
//! JSON lines, because a person with `less` and nothing else must be able to read what was done to the machine.
//! A line names its version first; a newer one stops the reader by name. Bytes that are not a line (a write that
//! a crash tore) are counted and passed over. Does not write, does not lock.

use std::io::{self, BufRead, BufReader, Read};

use minesweep_model::{Action, FORMAT, FileId, ProcessKey};
use serde::{Deserialize, Serialize};

/// What undoes an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inverse {
    /// This action.
    Action(Action),
    /// Nothing does; the reason.
    None(String),
}

/// How far an entry has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// On disk, not yet done, or nobody lived to say so.
    Planned,
    /// Done.
    Done,
    /// Was so already; nothing was changed.
    Already,
    /// The target was no longer the one that was judged; nothing was changed.
    Gone,
    /// Not done.
    Failed,
    /// It is being undone.
    Undoing,
    /// Undone.
    Undone,
    /// Nothing is left to undo: the target ended, or it has no inverse and `undo` has named it.
    Closed,
}

impl EntryState {
    /// Whether the machine may still be changed by the entry.
    pub fn is_open(self) -> bool {
        match self {
            Self::Planned | Self::Done | Self::Undoing => true,
            Self::Already | Self::Gone | Self::Failed | Self::Undone | Self::Closed => false,
        }
    }
}

/// Whom an entry is about, as it was when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Process.
    pub key: ProcessKey,
    /// Its executable, at most 4096 bytes.
    pub exe: String,
    /// The executable file.
    pub file: Option<FileId>,
}

/// A change to the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Grows by one with each entry of a data folder, also over restarts and rotation; from 1.
    pub id: u64,
    /// Id of the first entry of the plan it belongs to.
    pub set: u64,
    /// Boot in which it was made.
    pub boot_id: String,
    /// When it was planned, Unix milliseconds.
    pub at_ms: u64,
    /// The process that wrote it: whose business it is while that one lives.
    pub by: ProcessKey,
    /// Incident or detection that asked for it, at most 1024 bytes.
    pub cause: String,
    /// The change.
    pub action: Action,
    /// What undoes it.
    pub inverse: Inverse,
    /// Whom it is about.
    pub target: Target,
    /// How far it has come.
    pub state: EntryState,
    /// Last change of state, Unix milliseconds.
    pub changed_ms: u64,
    /// What else is to be said, at most 1024 bytes.
    pub note: String,
}

impl Entry {
    /// A change that stays when the run that made it ends, and over a restart of the machine.
    pub fn is_kept(&self) -> bool {
        matches!(self.action, Action::Disk { .. })
    }
}

/// A line without its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Body {
    /// First line of a file.
    Opened {
        /// Ids below this one are taken.
        next_id: u64,
    },
    /// An entry: new, or carried over from a file that was rotated away.
    Entry(Box<Entry>),
    /// An entry has come further.
    State {
        /// Which.
        id: u64,
        /// When, Unix milliseconds.
        at_ms: u64,
        /// How far.
        state: EntryState,
        /// What else is to be said.
        note: String,
    },
}

impl Body {
    /// The line as it is written, with its line feed.
    pub(super) fn written(&self) -> io::Result<String> {
        let mut text = serde_json::to_string(&Line { v: FORMAT, body: self })?;
        text.push('\n');
        Ok(text)
    }
}

/// What a file held beside its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Lines that could not be read, a torn one included.
    pub(super) damaged: u64,
    /// The last line has no line feed.
    pub(super) is_torn: bool,
}

/// Why reading ended early.
pub(super) enum Stop {
    /// The file could not be read.
    Io(io::Error),
    /// A line is of this newer version.
    Newer(u32),
}

/// Reads a file line by line.
pub(super) fn read(from: impl Read, mut take: impl FnMut(Body)) -> Result<Tally, Stop> {
    let mut from = BufReader::new(from);
    let mut tally = Tally::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut from).take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line).map_err(Stop::Io)?;
        if read == 0 {
            return Ok(tally);
        }
        // The last line may lack its end, and be whole but for that.
        tally.is_torn = line.last() != Some(&b'\n');
        match parse(&line)? {
            Some(body) => take(body),
            None if line.trim_ascii().is_empty() => {}
            None => tally.damaged += 1,
        }
    }
}

/// `None` when it is not a line of ours.
fn parse(line: &[u8]) -> Result<Option<Body>, Stop> {
    let Ok(Version { v }) = serde_json::from_slice(line) else { return Ok(None) };
    if v > FORMAT {
        return Err(Stop::Newer(v));
    }
    Ok(serde_json::from_slice::<Line<Body>>(line).ok().map(|line| line.body))
}

/// Longer than any line that is written: 4096 bytes of path, each at most six bytes in JSON, twice, and the rest.
const LINE_LIMIT_BYTES: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct Line<B> {
    v: u32,
    #[serde(flatten)]
    body: B,
}

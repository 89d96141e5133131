//! What was changed on this machine, and the way back.

use minesweep_model::{Outcome, OutcomeState, Process};
use minesweep_respond::{Entry, EntryState, Options, RespondError, Responder, Undo, entries, journal_folder};

use crate::{Config, node::now_ms};

pub use minesweep_respond::CannotUndo;

/// Most entries listed.
const LISTED: usize = 10_000;

/// One change, as it stands now.
pub struct Change {
    /// What was done to whom, and how it ended.
    pub outcome: Outcome,
    /// It was undone, or nothing of it is left.
    pub is_over: bool,
}

/// The changes in the journal, oldest first, at most 10,000. Makes nothing when there is no journal.
///
/// # Errors
/// When the journal cannot be read.
pub fn changes(config: &Config) -> Result<Vec<Change>, RespondError> {
    let listed = entries(&journal_folder(&config.data_dir), LISTED)?;
    Ok(listed
        .into_iter()
        .map(|entry| Change { is_over: !entry.state.is_open(), outcome: outcome(entry) })
        .collect())
}

/// Undoes one entry, or the newest set of changes. What stays is named.
///
/// # Errors
/// When there is no such entry, nothing to undo, or the journal cannot be written.
pub fn undo(config: &Config, entry: Option<u64>) -> Result<(Vec<Outcome>, Vec<CannotUndo>), RespondError> {
    let mut responder = Responder::start(&Options { data_dir: config.data_dir.clone() })?;
    let undone = responder.undo(entry.map_or(Undo::Newest, Undo::Entry), now_ms())?;
    Ok((undone.outcomes, undone.cannot))
}

/// Puts an item of the quarantine back where it was, with all it had.
///
/// # Errors
/// When there is no such item, or the journal cannot be written.
pub fn restore(config: &Config, item: u64) -> Result<Outcome, RespondError> {
    Responder::start(&Options { data_dir: config.data_dir.clone() })?.restore(item, now_ms())
}

fn outcome(entry: Entry) -> Outcome {
    let unknown = Process::unknown(entry.target.key);
    let state = match entry.state {
        EntryState::Planned | EntryState::Failed => OutcomeState::Failed(entry.note.clone()),
        EntryState::Gone => OutcomeState::Gone,
        EntryState::Already => OutcomeState::Already,
        EntryState::Done | EntryState::Undoing | EntryState::Undone | EntryState::Closed => {
            OutcomeState::Done
        }
    };
    Outcome {
        entry: entry.id,
        at_ms: entry.at_ms,
        cause: entry.cause,
        action: entry.action,
        target: Process { exe: entry.target.exe, file: entry.target.file, ..unknown },
        state,
    }
}

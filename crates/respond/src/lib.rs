//! The write side of Linux: journal first, then the change.
//!
//! The only crate that changes a machine, so that whoever reviews safety reads this one. A [`Plan`](minesweep_model::Plan)
//! comes in, outcomes go out; before each change its inverse is on disk. What is frozen goes on when this process ends,
//! however it ends. Does not decide; that is `detect`. Starts no process. In observe mode there is no [`Responder`].
#![allow(
    unsafe_code,
    reason = "the owner of a file's signals (F_SETOWN) has no safe wrapper; one call, in leash.rs"
)]

mod clean;
mod cut;
mod disk;
mod frozen;
mod journal;
mod leash;
mod leftover;
mod mounts;
mod put;
mod remedy;
mod responder;
mod store;
mod target;
mod units;
mod work;

pub use clean::{Cleaning, export, quarantine};
pub use cut::FilterError;
pub use journal::{Entry, EntryState, Intent, Inverse, Journal, JournalError, Note, Target, entries};
pub use responder::{
    CannotUndo, Leftover, Options, RespondError, Responder, Tick, Undo, Undone, journal_folder,
};
pub use store::{QuarantineError, Stored};

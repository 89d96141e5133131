//! Watches over a process that is held frozen.
//!
//! A stop is not a wall: whoever may signal the process can let it go on, and a tracer can swallow the stop. So it is
//! looked at again and again, and its processor time tells whether the stop took. Does not kill; it says when a stop is
//! not enough.

use minesweep_model::Process;
use rustix::process::Signal;

use crate::{
    journal::{EntryState, Journal},
    leash::Leash,
    target::{Held, NotDone, Proc},
};

/// A process that we hold frozen.
pub(crate) struct Frozen {
    pub(crate) entry: u64,
    pub(crate) cause: String,
    pub(crate) target: Process,
    held: Held,
    /// Let go of at the end of the value: then the process goes on.
    _leash: Leash,
    /// Its processor time at the last look, hundredths of a second.
    cpu_ticks: u64,
    /// Looks in a row at which it was not stopped.
    misses: u32,
}

impl Frozen {
    /// Counts as missed once, so that the first look only takes the measure.
    pub(crate) fn new(entry: u64, cause: &str, target: Process, held: Held, leash: Leash) -> Self {
        Self { entry, cause: cause.to_owned(), target, held, _leash: leash, cpu_ticks: 0, misses: 1 }
    }

    /// Looks at one frozen process, and stops it when it runs. A look that fails counts as running: it is stopped again.
    pub(crate) fn look(&mut self, proc: &Proc, journal: &Journal) -> Look {
        let is_ours = journal.open_entry(self.entry).is_some_and(|entry| entry.state != EntryState::Undoing);
        if !is_ours {
            return Look::Undone;
        }
        let stat = match proc.stat(self.held.key.pid) {
            Ok(None) => return Look::Ended,
            Ok(Some(stat)) if stat.start_ticks != self.held.key.start_ticks || stat.is_ending() => {
                return Look::Ended;
            }
            Ok(stat) => stat,
            Err(_) => None,
        };
        let used = stat.map_or(0, |stat| stat.cpu_ticks.saturating_sub(self.cpu_ticks));
        self.cpu_ticks = stat.map_or(self.cpu_ticks, |stat| stat.cpu_ticks);
        if stat.is_some_and(|stat| stat.is_stopped()) {
            let was_stopped = std::mem::take(&mut self.misses) == 0;
            return if was_stopped && used >= SLIP_TICKS { Look::Slips } else { Look::Stopped };
        }
        self.misses = self.misses.saturating_add(1);
        if self.misses > MISSES_LIMIT && used >= SLIP_TICKS {
            return Look::Slips;
        }
        match self.held.signal(Signal::STOP) {
            Ok(()) | Err(NotDone::Refused(_)) => Look::Runs,
            Err(NotDone::Gone) => Look::Ended,
        }
    }
}

/// What a look finds.
pub(crate) enum Look {
    /// It is stopped.
    Stopped,
    /// Somebody let it go on; it has been stopped again.
    Runs,
    /// It runs in spite of being stopped: between two looks, or with a tracer that swallows the stop.
    Slips,
    /// Another process undid the freeze.
    Undone,
    /// It has ended.
    Ended,
}

impl Look {
    /// Whether it stays in our hands.
    pub(crate) fn is_held(&self) -> bool {
        match self {
            Self::Stopped | Self::Runs | Self::Slips => true,
            Self::Undone | Self::Ended => false,
        }
    }
}

/// Processor time between two looks that a stopped process cannot have used: one tick is the clock's own error.
const SLIP_TICKS: u64 = 2;
/// Half a second of stops that do not take.
const MISSES_LIMIT: u32 = 5;

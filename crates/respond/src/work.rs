//! One step of a plan on its way: aimed, written down, struck, settled.
//!
//! Aiming changes nothing, so it comes before the journal; what cannot be aimed is known by then, and so is whether a
//! freeze has to become a kill. The stages of all steps run side by side: every socket is held before any process is
//! stopped, because a share can leave within a millisecond.

use std::{os::fd::OwnedFd, thread, time::Duration};

use minesweep_model::{Action, OutcomeState, Process, ProcessKey, Step};
use rustix::process::Signal;

use crate::{
    cut,
    cut::Filter,
    journal::{EntryState, Intent, Inverse, Note, Target},
    leash::Leash,
    responder::told,
    target::{Held, NotDone, Proc, is_no_process},
};

/// What a step will touch.
pub(crate) enum Aim {
    /// Stop it; it is tied to us already.
    Freeze(Held, Leash),
    /// We hold it frozen.
    IsFrozen,
    /// Let it go on.
    Thaw(Held),
    /// End it.
    Kill(Held),
    /// Take its connection away.
    Cut {
        cookie: u64,
        /// Its network namespace, where that is not ours.
        network: Option<OwnedFd>,
        /// Whose it is; `None` when that one has ended.
        owner: Option<Held>,
    },
    /// Nothing.
    Not(NotDone),
}

/// A step under way.
pub(crate) struct Work {
    /// What is done, which is a kill where a freeze was asked and cannot be held.
    pub(crate) action: Action,
    pub(crate) target: Process,
    pub(crate) aim: Aim,
    /// What else is to be said of it in the journal.
    pub(crate) remark: String,
    /// `None` until it has ended.
    pub(crate) state: Option<OutcomeState>,
}

impl Work {
    /// Aims at what the step names. `room` is false when no more processes can be held frozen; the reason.
    pub(crate) fn aim(proc: &Proc, step: &Step, is_frozen: bool, room: Result<(), &str>) -> Self {
        let mut work = Self {
            action: step.action.clone(),
            target: step.target.clone(),
            aim: Aim::Not(NotDone::Gone),
            remark: String::new(),
            state: None,
        };
        let process = match step.action {
            Action::Freeze { process } | Action::Thaw { process } => process,
            Action::Kill { process } | Action::CutSocket { process, .. } => process,
            Action::Disk { .. } => {
                work.aim = Aim::Not(NotDone::Refused("a disk is changed by a cleaning plan only".to_owned()));
                return work;
            }
        };
        if process != step.target.key {
            let why = format!(
                "the step is about process {} and describes process {}",
                process.pid, step.target.key.pid
            );
            work.aim = Aim::Not(NotDone::Refused(why));
            return work;
        }
        let aimed = match step.action {
            Action::Freeze { .. } if is_frozen => Ok(Aim::IsFrozen),
            Action::Freeze { .. } => {
                proc.hold(&step.target).and_then(|held| work.aim_freeze(proc, held, room))
            }
            Action::Thaw { .. } => proc.hold_key(process).map(Aim::Thaw),
            Action::Kill { .. } => proc.hold(&step.target).map(Aim::Kill),
            Action::CutSocket { cookie, .. } => aim_cut(proc, &step.target, cookie),
            Action::Disk { .. } => Err(NotDone::Gone),
        };
        work.aim = aimed.unwrap_or_else(Aim::Not);
        work
    }

    /// A process that would stay frozen after our end is killed instead.
    fn aim_freeze(&mut self, proc: &Proc, held: Held, room: Result<(), &str>) -> Result<Aim, NotDone> {
        let tied = room
            .map_err(str::to_owned)
            .and_then(|()| Leash::tie(held.pid).map_err(|failed| failed.to_string()));
        match tied {
            Ok(leash) => {
                // Held before it was tied and still there after: so the tie, which goes by number, met the same process.
                proc.hold_key(held.key)?;
                Ok(Aim::Freeze(held, leash))
            }
            Err(why) => {
                self.remark =
                    format!("killed and not frozen, because it would stay frozen after our end: {why}");
                self.action = Action::Kill { process: held.key };
                Ok(Aim::Kill(held))
            }
        }
    }

    /// The entry for the journal.
    pub(crate) fn intent(&self) -> Intent {
        let inverse = match self.action {
            Action::Freeze { process } => Inverse::Action(Action::Thaw { process }),
            Action::Thaw { .. } => Inverse::None("letting a process go on is itself an undo".to_owned()),
            Action::Kill { .. } => Inverse::None("a killed process cannot be brought back".to_owned()),
            Action::CutSocket { .. } => Inverse::None("a reset connection cannot be joined again".to_owned()),
            Action::Disk { .. } => Inverse::None("nothing was changed".to_owned()),
        };
        let target = Target { key: self.target.key, exe: self.target.exe.clone(), file: self.target.file };
        Intent { action: self.action.clone(), inverse, target }
    }

    /// Before the journal: nothing passes on the connection for two seconds, which is undone by time and needs no entry.
    pub(crate) fn hold_socket(&self, filter: Option<&mut Filter>) {
        if let (Aim::Cut { cookie, .. }, Some(filter)) = (&self.aim, filter)
            && let Err(failed) = filter.hold(*cookie)
        {
            tracing::warn!(why = told(&failed), "a connection is not held while the journal is written");
        }
    }

    /// When nothing could be written down.
    pub(crate) fn release_socket(&self, filter: Option<&mut Filter>) {
        if let (Aim::Cut { cookie, .. }, Some(filter)) = (&self.aim, filter)
            && let Err(failed) = filter.release(*cookie)
        {
            tracing::warn!(why = told(&failed), "a connection stays held for two seconds");
        }
    }

    /// First stage: nothing passes on the connection any more.
    pub(crate) fn cut_socket(&mut self, filter: Option<&mut Filter>) {
        let (Aim::Cut { cookie, .. }, Some(filter)) = (&self.aim, filter) else { return };
        self.remark = match filter.cut(*cookie) {
            Ok(_) => HELD.to_owned(),
            Err(failed) => format!("the filter did not take it: {}", told(&failed)),
        };
    }

    /// Second stage: signals.
    pub(crate) fn strike(&mut self, proc: &Proc) {
        let struck = match &self.aim {
            Aim::Freeze(held, _) => {
                let was_stopped =
                    proc.stat(held.key.pid).is_ok_and(|stat| stat.is_some_and(|stat| stat.is_stopped()));
                if was_stopped {
                    self.remark = "somebody else had stopped it; it is held from now on".to_owned();
                }
                let state = if was_stopped { OutcomeState::Already } else { OutcomeState::Done };
                held.signal(Signal::STOP).map(|()| Some(state))
            }
            Aim::IsFrozen => Ok(Some(OutcomeState::Already)),
            Aim::Thaw(held) => thaw(proc, held).map(Some),
            Aim::Kill(held) => held.signal(Signal::KILL).map(|()| None),
            Aim::Cut { .. } => Ok(None),
            Aim::Not(NotDone::Gone) => Err(NotDone::Gone),
            Aim::Not(NotDone::Refused(why)) => Err(NotDone::Refused(why.clone())),
        };
        self.state = struck.unwrap_or_else(|not_done| Some(not_done.into()));
    }

    /// Third stage: the connection is reset.
    pub(crate) fn reset_socket(&mut self, proc: &Proc) {
        if self.state.is_some() {
            return;
        }
        let Aim::Cut { cookie, network, owner } = &mut self.aim else { return };
        let is_held = self.remark == HELD;
        let reset = match (cut::destroy(network.take(), *cookie), owner) {
            // Made in a namespace that is not that of its process.
            (Ok(false), Some(owner)) => cut::disconnect(proc, owner, *cookie),
            (reset, _) => reset,
        };
        self.state = Some(match reset {
            Ok(true) => OutcomeState::Done,
            Ok(false) => OutcomeState::Already,
            Err(failed) if is_held => OutcomeState::Failed(format!(
                "the connection could not be reset, so it is only held while Minesweep runs: {failed}"
            )),
            Err(failed) => OutcomeState::Failed(format!("the connection could not be reset: {failed}")),
        });
    }

    /// In place of the reset, when that is left to a later plan.
    pub(crate) fn leave_held(&mut self, proc: &Proc) {
        if self.state.is_none() && self.remark == HELD {
            self.state = Some(OutcomeState::Done);
        }
        self.reset_socket(proc);
    }

    /// The process that need no longer be held frozen after this step.
    pub(crate) fn released(&self) -> Option<ProcessKey> {
        match (&self.action, &self.state) {
            (
                Action::Thaw { process } | Action::Kill { process },
                Some(OutcomeState::Done | OutcomeState::Already | OutcomeState::Gone),
            ) => Some(*process),
            (
                Action::Thaw { .. }
                | Action::Kill { .. }
                | Action::Freeze { .. }
                | Action::CutSocket { .. }
                | Action::Disk { .. },
                Some(
                    OutcomeState::Done
                    | OutcomeState::Already
                    | OutcomeState::Gone
                    | OutcomeState::Planned
                    | OutcomeState::Failed(_),
                )
                | None,
            ) => None,
        }
    }

    /// Last stage: what was struck has stopped or ended.
    pub(crate) fn settle(&mut self, proc: &Proc) {
        match &self.aim {
            Aim::Freeze(held, _) if self.state == Some(OutcomeState::Done) => {
                if !has_stopped(proc, held) {
                    self.remark = format!(
                        "not stopped after {STOP_WAIT_MS} ms: it stops before it runs on, when it gets a processor or leaves its uninterruptible sleep"
                    );
                    tracing::warn!(
                        pid = held.key.pid,
                        "a process does not stop yet; it waits for a processor or is in uninterruptible sleep"
                    );
                }
            }
            Aim::Kill(held) if self.state.is_none() => {
                self.state = Some(match held.has_ended_within(KILL_WAIT_MS) {
                    Ok(true) => OutcomeState::Done,
                    Ok(false) => OutcomeState::Failed(format!(
                        "process {} survived SIGKILL for {KILL_WAIT_MS} ms; it may be in uninterruptible sleep, and ends when it leaves that",
                        held.key.pid
                    )),
                    Err(failed) => OutcomeState::Failed(format!(
                        "cannot wait for the end of process {}: {failed}",
                        held.key.pid
                    )),
                });
            }
            Aim::Freeze(..) | Aim::IsFrozen | Aim::Thaw(_) | Aim::Kill(_) | Aim::Cut { .. } | Aim::Not(_) => {
            }
        }
    }

    /// The line that ends the entry.
    pub(crate) fn note(&self, id: u64) -> Note {
        let (state, why) = match (&self.state, &self.aim) {
            // Held and tied from now on, so there is something to undo.
            (Some(OutcomeState::Already), Aim::Freeze(..)) => (EntryState::Done, ""),
            (Some(OutcomeState::Done), _) => (EntryState::Done, ""),
            (Some(OutcomeState::Already), _) => (EntryState::Already, ""),
            (Some(OutcomeState::Gone), _) => (EntryState::Gone, ""),
            (Some(OutcomeState::Failed(why)), _) => (EntryState::Failed, why.as_str()),
            (None | Some(OutcomeState::Planned), _) => (EntryState::Planned, ""),
        };
        let text = [self.remark.as_str(), why]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        Note { id, state, text }
    }
}

/// Lets a process go on. `Already` when it was not stopped.
pub(crate) fn thaw(proc: &Proc, held: &Held) -> Result<OutcomeState, NotDone> {
    let stat = proc
        .stat(held.key.pid)
        .map_err(|failed| NotDone::Refused(failed.to_string()))?
        .ok_or(NotDone::Gone)?;
    held.signal(Signal::CONT)?;
    Ok(if stat.is_stopped() { OutcomeState::Done } else { OutcomeState::Already })
}

/// A connection may outlive its process in a child, so a process that is gone does not end the aim.
fn aim_cut(proc: &Proc, target: &Process, cookie: u64) -> Result<Aim, NotDone> {
    let owner = match proc.hold_key(target.key) {
        Ok(held) => held,
        Err(NotDone::Gone) => return Ok(Aim::Cut { cookie, network: None, owner: None }),
        Err(refused @ NotDone::Refused(_)) => return Err(refused),
    };
    match proc.other_network(owner.key.pid) {
        Ok(network) => Ok(Aim::Cut { cookie, network, owner: Some(owner) }),
        Err(gone) if is_no_process(&gone) => Ok(Aim::Cut { cookie, network: None, owner: None }),
        Err(failed) => {
            Err(NotDone::Refused(format!("cannot find the network of process {}: {failed}", owner.key.pid)))
        }
    }
}

fn has_stopped(proc: &Proc, held: &Held) -> bool {
    for _ in 0..STOP_WAIT_MS * 20 {
        match proc.stat(held.key.pid) {
            Ok(Some(stat)) if !stat.is_stopped() && !stat.has_ended() => {
                thread::sleep(Duration::from_micros(50))
            }
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
    false
}

impl From<NotDone> for OutcomeState {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Gone => Self::Gone,
            NotDone::Refused(why) => Self::Failed(why),
        }
    }
}

/// Remark of a connection of which the filter lets nothing pass.
const HELD: &str = "held by the filter";
/// A process stops within microseconds unless it sleeps uninterruptibly.
const STOP_WAIT_MS: u32 = 5;
/// Ending takes longer the more memory is given back: about 0.1 s for each GiB.
const KILL_WAIT_MS: u32 = 1000;

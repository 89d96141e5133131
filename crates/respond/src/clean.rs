//! A cleaning: the steps of a plan, each through the journal, all of one set.
//!
//! For a disk that is held by its root. A run that was killed is taken up by the next one in the same set: what it had
//! changed is noted, what it had not is left to the new plan. So one `undo` takes everything back, however often the
//! cleaner was killed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use minesweep_model::{
    Action, Bytes, FORMAT, FileId, Outcome, OutcomeState, Plan, Process, ProcessKey, Step,
    clean::{CleanStep, Does, Remedy},
};
use serde::{Deserialize, Serialize};
use std::os::unix::ffi::OsStrExt;

use crate::{
    disk::Disk,
    journal::{Entry, EntryState, Intent, Inverse, Target},
    leftover::was_made,
    remedy::{Bench, disk_action},
    responder::{RespondError, Responder, note, told},
    store::{Item, QuarantineError, Store, Stored},
    target::NotDone,
};

/// A cleaning under way.
pub struct Cleaning<'a> {
    responder: &'a mut Responder,
    disk: Disk,
    store: Store,
    set: Option<u64>,
}

impl Responder {
    /// Begins a cleaning of the disk at `root`, or goes on with one whose run was killed.
    ///
    /// # Errors
    /// When the root or the store cannot be opened, or another cleaner is at work.
    pub fn clean(&mut self, root: &Path, now_ms: u64) -> Result<Cleaning<'_>, RespondError> {
        let disk = Disk::open(root).map_err(|source| RespondError::Root { root: root.to_owned(), source })?;
        let store = Store::open(&self.data_dir)?;
        let set = self.unfinished()?;
        self.journal.join(set);
        let mut cleaning = Cleaning { responder: self, disk, store, set };
        cleaning.settle(now_ms)?;
        Ok(cleaning)
    }

    /// Puts an item of the quarantine back: the undo of the change that took it, or, once that is over, a change of its
    /// own.
    ///
    /// # Errors
    /// When there is no such item, or the journal cannot be written.
    pub fn restore(&mut self, item: u64, now_ms: u64) -> Result<Outcome, RespondError> {
        let stored = Store::open(&self.data_dir)?.item(item)?;
        let remedy = Remedy::Restore { item, path: stored.path };
        let root = Bytes(stored.root.as_os_str().as_bytes().to_vec());
        let action = Action::Disk { root, remedy: Box::new(remedy.clone()) };
        let entries = self.journal.entries(SETTLED_LIMIT)?;
        let took = |entry: &&Entry| {
            entry.state.is_open() && matches!(&entry.inverse, Inverse::Action(back) if *back == action)
        };
        if let Some(took) = entries.iter().rev().find(took) {
            let outcome = self.take_back(took, now_ms)?;
            self.settle_folders(std::slice::from_ref(&outcome));
            return Ok(outcome);
        }
        let target = subject(&remedy);
        let cause = format!("quarantine restore {item}");
        let intent = Intent {
            action: action.clone(),
            inverse: Inverse::None("putting back is itself an undo".to_owned()),
            target: Target { key: target.key, exe: target.exe.clone(), file: None },
        };
        let ids = self.journal.plan(now_ms, &cause, &[intent])?;
        let entry = ids.first().copied().unwrap_or_default();
        let state = self.put_back(&action);
        let (how, why) = match &state {
            OutcomeState::Failed(why) => (EntryState::Failed, why.as_str()),
            OutcomeState::Done | OutcomeState::Already | OutcomeState::Gone | OutcomeState::Planned => {
                (EntryState::Closed, "")
            }
        };
        self.journal.note(now_ms, &[note(entry, how, why)])?;
        Ok(Outcome { entry, at_ms: now_ms, cause, target, action, state })
    }

    /// The set of a run that did not end.
    fn unfinished(&self) -> Result<Option<u64>, RespondError> {
        let path = marker(&self.data_dir);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(4096).read_to_end(&mut text).map_err(RespondError::Proc)?,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RespondError::Marker { path, source }),
        };
        let Ok(marked) = serde_json::from_slice::<Marker>(&text) else { return Ok(None) };
        if self.proc.is_alive(marked.by).map_err(RespondError::Proc)? {
            return Err(RespondError::Cleaning(marked.by.pid));
        }
        Ok(Some(marked.set))
    }

    /// Carries the inverse of a change of a disk out.
    pub(crate) fn put_back(&mut self, inverse: &Action) -> OutcomeState {
        let Action::Disk { root, remedy } = inverse else { return OutcomeState::Gone };
        let made = Store::open(&self.data_dir).map_err(NotDone::from).and_then(|store| {
            let disk = opened(root)?;
            let bench = Bench { disk: &disk, store: &store, now_ms: 0 };
            let ready = bench.ready(remedy)?;
            bench.strike(ready)
        });
        state(made)
    }

    /// Folders that were put back get their times again, now that their files are in them.
    pub(crate) fn settle_folders(&self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let Action::Disk { root, remedy } = &outcome.action else { continue };
            let Remedy::Restore { item, .. } = **remedy else { continue };
            let settled = Store::open(&self.data_dir).map_err(NotDone::from).and_then(|store| {
                Bench { disk: &opened(root)?, store: &store, now_ms: 0 }.settle_folder(item)
            });
            if let Err(NotDone::Refused(why)) = settled {
                tracing::warn!(why, "a folder has not its old times");
            }
        }
    }
}

impl Cleaning<'_> {
    /// Carries steps out in their order; processes that follow each other in one pass. One outcome a step.
    #[must_use = "an outcome may say that nothing was done"]
    pub fn carry_out(&mut self, steps: &[CleanStep], cause: &str, now_ms: u64) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for run in steps.chunk_by(|one, next| is_process(one) && is_process(next)) {
            let processes: Vec<Step> = run.iter().filter_map(process_step).collect();
            if processes.is_empty() {
                outcomes
                    .extend(run.iter().filter_map(remedy).map(|remedy| self.change(remedy, cause, now_ms)));
            } else {
                let plan = Plan { cause: cause.to_owned(), steps: processes };
                let done = self.responder.carry_out(&plan, now_ms);
                let first = done.iter().map(|outcome| outcome.entry).find(|&entry| entry != 0);
                if let Some(Err(failed)) = first.map(|entry| self.mark(entry)) {
                    tracing::warn!(why = told(&failed), "a killed run would be taken up as a set of its own");
                }
                outcomes.extend(done);
            }
        }
        outcomes
    }

    /// Ends the cleaning: what comes next is another set.
    ///
    /// # Errors
    /// When the mark of the run cannot be removed.
    pub fn end(self) -> Result<(), RespondError> {
        self.responder.journal.join(None);
        let path = marker(&self.responder.data_dir);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(RespondError::Marker { path, source }),
        }
    }

    fn change(&mut self, remedy: &Remedy, cause: &str, now_ms: u64) -> Outcome {
        let action = disk_action(&self.disk, remedy.clone());
        let (entry, state) = match self.made(remedy, cause, now_ms) {
            Ok((entry, state)) => (entry, state),
            Err(not_done) => (0, not_done.into()),
        };
        Outcome { entry, at_ms: now_ms, cause: cause.to_owned(), target: subject(remedy), action, state }
    }

    /// Copy, entry, change, note.
    fn made(&mut self, remedy: &Remedy, cause: &str, now_ms: u64) -> Result<(u64, OutcomeState), NotDone> {
        let bench = Bench { disk: &self.disk, store: &self.store, now_ms };
        let ready = bench.ready(remedy)?;
        let target = subject(remedy);
        let intent = Intent {
            action: disk_action(&self.disk, remedy.clone()),
            inverse: ready.inverse.clone(),
            target: Target { key: target.key, exe: target.exe, file: target.file },
        };
        let refused =
            |why: &dyn std::error::Error| NotDone::Refused(format!("nothing was changed: {}", told(why)));
        let ids = self.responder.journal.plan(now_ms, cause, &[intent]).map_err(|failed| refused(&failed))?;
        let id = ids.first().copied().unwrap_or_default();
        self.mark(id).map_err(|failed| refused(&failed))?;
        let bench = Bench { disk: &self.disk, store: &self.store, now_ms };
        let state = state(bench.strike(ready));
        let (how, text) = match &state {
            OutcomeState::Done => (EntryState::Done, ""),
            OutcomeState::Already => (EntryState::Already, ""),
            OutcomeState::Gone => (EntryState::Gone, ""),
            OutcomeState::Planned => (EntryState::Planned, ""),
            OutcomeState::Failed(why) => (EntryState::Failed, why.as_str()),
        };
        if let Err(failed) = self.responder.journal.note(now_ms, &[note(id, how, text)]) {
            tracing::error!(
                why = told(&failed),
                "the journal does not say how a change ended; its entry stays open"
            );
        }
        Ok((id, state))
    }

    /// Writes down which set is under way, once.
    fn mark(&mut self, entry: u64) -> Result<(), RespondError> {
        if self.set.is_some() || entry == 0 {
            return Ok(());
        }
        let by = self.responder.proc.ourselves().map_err(RespondError::Proc)?;
        let path = marker(&self.responder.data_dir);
        let failed = |source| RespondError::Marker { path: path.clone(), source };
        let text = serde_json::to_vec(&Marker { v: FORMAT, set: entry, by })
            .map_err(io::Error::other)
            .map_err(failed)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(&path).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        self.set = Some(entry);
        self.responder.journal.join(self.set);
        Ok(())
    }

    /// Notes what became of the changes that a killed run had written down and not told of.
    fn settle(&mut self, now_ms: u64) -> Result<(), RespondError> {
        let Some(set) = self.set else { return Ok(()) };
        let planned: Vec<Entry> = self
            .responder
            .journal
            .entries(SETTLED_LIMIT)?
            .into_iter()
            .filter(|entry| entry.set == set && entry.is_kept() && entry.state == EntryState::Planned)
            .collect();
        let mut notes = Vec::new();
        for entry in planned {
            let Action::Disk { remedy, .. } = &entry.action else { continue };
            notes.push(match was_made(&self.disk, &self.store, remedy, &entry.inverse) {
                Ok(true) => {
                    note(entry.id, EntryState::Done, "the run that did it was killed before it said so")
                }
                Ok(false) | Err(NotDone::Gone) => {
                    note(entry.id, EntryState::Failed, "the run was killed before it was done")
                }
                Err(NotDone::Refused(why)) => note(entry.id, EntryState::Planned, &why),
            });
        }
        let by = self.responder.proc.ourselves().map_err(RespondError::Proc)?;
        tracing::info!(set, pid = by.pid, settled = notes.len(), "goes on where a killed run ended");
        self.responder.journal.note(now_ms, &notes)?;
        Ok(())
    }
}

/// The quarantine of a data folder: what it holds, oldest first. Damaged items are errors of their own.
///
/// # Errors
/// When the store cannot be read.
pub fn quarantine(data_dir: &Path) -> Result<Vec<Result<Stored, QuarantineError>>, QuarantineError> {
    if !data_dir.join("quarantine").is_dir() {
        return Ok(Vec::new());
    }
    Store::open(data_dir)?.list()
}

/// Writes the content of an item into `file`, readable by its owner only; it is not put back. What it was.
///
/// # Errors
/// When there is no such item, it is damaged, or the file is there already.
pub fn export(data_dir: &Path, item: u64, file: &Path) -> Result<Stored, QuarantineError> {
    let store = Store::open(data_dir)?;
    let item: Item = store.item(item)?;
    let failed = |source| QuarantineError::Io { what: "write", path: file.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o400).custom_flags(libc::O_NOFOLLOW);
    let mut out = options.open(file).map_err(failed)?;
    store.write_out(&item, &mut out)?;
    out.sync_all().map_err(failed)?;
    Ok(item.stored())
}

fn opened(root: &Bytes) -> Result<Disk, NotDone> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&root.0));
    Disk::open(path)
        .map_err(|failed| NotDone::Refused(format!("cannot open the disk at {}: {failed}", path.display())))
}

fn state(made: Result<bool, NotDone>) -> OutcomeState {
    match made {
        Ok(true) => OutcomeState::Done,
        Ok(false) => OutcomeState::Already,
        Err(not_done) => not_done.into(),
    }
}

/// What an outcome is about, in the form of a process that is none.
fn subject(remedy: &Remedy) -> Process {
    let file: Option<FileId> = match remedy {
        Remedy::Quarantine { place }
        | Remedy::DropLines { place, .. }
        | Remedy::Replace { place, .. }
        | Remedy::SetFlags { place, .. } => place.file,
        Remedy::Restore { .. }
        | Remedy::Unmount { .. }
        | Remedy::StopUnit { .. }
        | Remedy::StartUnit { .. }
        | Remedy::ReloadUnits => None,
    };
    let nobody = Process::unknown(ProcessKey { pid: 0, start_ticks: 0 });
    Process { exe: String::from_utf8_lossy(remedy.subject()).into_owned(), file, ..nobody }
}

fn is_process(step: &CleanStep) -> bool {
    process_step(step).is_some()
}

fn process_step(step: &CleanStep) -> Option<Step> {
    let (action, target) = match &step.does {
        Does::Freeze(process) => (Action::Freeze { process: process.key }, process),
        Does::Kill(process) => (Action::Kill { process: process.key }, process),
        Does::Change(_) => return None,
    };
    Some(Step { action, target: Process::clone(target), reason: step.reason.clone() })
}

fn remedy(step: &CleanStep) -> Option<&Remedy> {
    match &step.does {
        Does::Change(remedy) => Some(remedy),
        Does::Freeze(_) | Does::Kill(_) => None,
    }
}

fn marker(data_dir: &Path) -> PathBuf {
    data_dir.join("cleaning")
}

/// Which run is under way.
#[derive(Serialize, Deserialize)]
struct Marker {
    v: u32,
    set: u64,
    by: ProcessKey,
}

/// Entries that are looked through for what a killed run left.
const SETTLED_LIMIT: usize = 65_536;

#[cfg(test)]
mod tests;

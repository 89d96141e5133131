//! Carries plans out: freeze, let go, kill, cut; and takes back what can be taken back.
//!
//! Write down, change, say how it ended; nothing is changed that could not be written down. What is frozen is held: it
//! is stopped again when somebody else lets it go on, and goes on when this process ends. Times come from the caller.
//! Does not decide what is done to whom, beyond refusing the first process, kernel threads and ourselves.

use std::{
    collections::BTreeMap,
    error::Error,
    io,
    path::{Path, PathBuf},
};

use minesweep_model::{Action, Outcome, OutcomeState, Plan, Process, ProcessKey, Step, Text};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::{
    cut::{Filter, FilterError},
    frozen::{Frozen, Look},
    journal::{Entry, EntryState, Inverse, Journal, JournalError, Note},
    leash::Leash,
    target::{Held, Proc},
    work::{Aim, Work, thaw},
};

/// What a responder needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data folder; the journal is below it.
    pub data_dir: PathBuf,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// Nothing can be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Processes cannot be told apart.
    #[error("cannot read /proc; mount it (mount -t proc proc /proc)")]
    Proc(#[source] io::Error),
    /// Connections can be reset but not held.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// No such entry.
    #[error("the journal has no entry {0}; `minesweep journal` lists what there is")]
    NoSuchEntry(u64),
    /// The quarantine cannot be used.
    #[error(transparent)]
    Store(#[from] crate::store::QuarantineError),
    /// The disk cannot be opened.
    #[error("cannot open {} as the root of a disk", root.display())]
    Root {
        /// Which.
        root: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be written down which cleaning is under way.
    #[error("cannot use {}, which says what cleaning is under way", path.display())]
    Marker {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another cleaner is at work.
    #[error("process {0} is cleaning with this data folder; wait until it ends")]
    Cleaning(u32),
    /// Nothing to undo.
    #[error("there is nothing to undo")]
    NothingToUndo,
}

/// What is to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// The newest plan of which anything is left.
    Newest,
    /// One entry.
    Entry(u64),
}

/// What became of an undo.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    /// Inverse actions in the order they were taken: newest entry first. `Gone`: the process has ended, nothing to undo.
    pub outcomes: Vec<Outcome>,
    /// Changes that have no inverse.
    pub cannot: Vec<CannotUndo>,
}

/// A change that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotUndo {
    /// Journal entry.
    pub entry: u64,
    /// What was done.
    pub action: Action,
    /// Executable it was done to.
    pub exe: String,
    /// Why it stays.
    pub why: String,
}

/// What happens to processes that an earlier run left frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// They go on.
    Thaw,
    /// They stay frozen, and are ours now.
    Keep,
}

/// What a look at the frozen processes found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tick {
    /// How many are frozen.
    pub frozen: usize,
    /// Somebody let them go on; they are stopped again.
    pub stopped_again: Vec<ProcessKey>,
    /// They have ended.
    pub ended: Vec<ProcessKey>,
    /// Another process undid the freeze; they go on.
    pub let_go: Vec<ProcessKey>,
    /// They use processor time however often they are stopped (a tracer can swallow the stop): they were killed.
    pub killed: Vec<Outcome>,
}

/// Carries plans out on this machine.
pub struct Responder {
    pub(crate) proc: Proc,
    pub(crate) journal: Journal,
    pub(crate) data_dir: PathBuf,
    boot_id: String,
    cannot_freeze: Option<String>,
    filter: Option<Filter>,
    frozen: BTreeMap<ProcessKey, Frozen>,
}

impl Responder {
    /// Opens the journal. Changes nothing outside the data folder but our own limit of open files.
    pub fn start(options: &Options) -> Result<Self, RespondError> {
        let proc = Proc::open().map_err(RespondError::Proc)?;
        let ourselves = proc.ourselves().map_err(RespondError::Proc)?;
        let boot_id = proc.boot_id().map_err(RespondError::Proc)?;
        let journal = Journal::open(&journal_folder(&options.data_dir), &boot_id, ourselves)?;
        raise_file_limit();
        let cannot_freeze = why_not_freeze(&proc, ourselves);
        let data_dir = options.data_dir.clone();
        Ok(Self { proc, journal, data_dir, boot_id, cannot_freeze, filter: None, frozen: BTreeMap::new() })
    }

    /// Attaches the filter, so that a cut holds from the next packet on. Without it connections are still reset.
    pub fn arm(&mut self) -> Result<(), RespondError> {
        if self.filter.is_none() {
            self.filter = Some(Filter::attach(&self.proc)?);
        }
        Ok(())
    }

    /// Whether the filter is attached.
    pub fn is_armed(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether a frozen process would surely go on after our end. If not, a freeze becomes a kill, and the outcome's
    /// action says so.
    pub fn can_freeze(&self) -> bool {
        self.cannot_freeze.is_none()
    }

    /// The journal, for what was done and what is open.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// How many processes are held frozen; at most 1024.
    pub fn frozen(&self) -> usize {
        self.frozen.len()
    }

    /// Packets that the filter dropped of a connection; `None` when it holds none of it.
    pub fn dropped(&self, cookie: u64) -> Option<u64> {
        self.filter.as_ref()?.dropped(cookie)
    }

    /// Carries a plan out. A socket is held for two seconds while the entries are written; that ends by itself, and is the
    /// only thing that comes before the journal. One outcome for each step, in the plan's order; the work is ordered by haste: sockets held,
    /// processes stopped or killed, sockets reset.
    #[must_use = "an outcome may say that nothing was done"]
    pub fn carry_out(&mut self, plan: &Plan, now_ms: u64) -> Vec<Outcome> {
        let mut works = self.aim(&plan.steps);
        let entries = match self.write_down(&plan.cause, &works, now_ms) {
            Ok(entries) => entries,
            Err(why) => {
                return works
                    .into_iter()
                    .map(|work| outcome(work, 0, &plan.cause, now_ms, Some(&why)))
                    .collect();
            }
        };
        for work in &mut works {
            work.cut_socket(self.filter.as_mut());
        }
        for work in &mut works {
            work.strike(&self.proc);
        }
        for work in &mut works {
            work.reset_socket(&self.proc);
        }
        self.finish(works, &entries, &plan.cause, now_ms)
    }

    /// The fast path, for the moment a login is understood: nothing passes on the connection any more. The plan that
    /// follows resets it. Without the filter it is reset now.
    #[must_use = "an outcome may say that nothing was done"]
    pub fn cut_now(&mut self, cookie: u64, target: &Process, cause: &str, now_ms: u64) -> Option<Outcome> {
        let step = Step {
            action: Action::CutSocket { process: target.key, cookie },
            target: target.clone(),
            reason: Text::default(),
        };
        if self.filter.is_none() {
            return self.carry_out(&Plan { cause: cause.to_owned(), steps: vec![step] }, now_ms).pop();
        }
        let mut works = self.aim(&[step]);
        let entries = match self.write_down(cause, &works, now_ms) {
            Ok(entries) => entries,
            Err(why) => return works.pop().map(|work| outcome(work, 0, cause, now_ms, Some(&why))),
        };
        for work in &mut works {
            work.cut_socket(self.filter.as_mut());
            work.strike(&self.proc);
            work.leave_held(&self.proc);
        }
        self.finish(works, &entries, cause, now_ms).pop()
    }

    /// Looks after the frozen processes; to be called about ten times a second while there are any. What is frozen is
    /// stopped again even when the journal cannot be written, which is then the error.
    pub fn tick(&mut self, now_ms: u64) -> Result<Tick, RespondError> {
        if self.frozen.is_empty() {
            return Ok(Tick::default());
        }
        let read = self.journal.refresh();
        let mut tick = Tick::default();
        let mut notes = Vec::new();
        let mut slipped: Vec<(String, Step)> = Vec::new();
        let (proc, journal) = (&self.proc, &self.journal);
        self.frozen.retain(|key, frozen| {
            let look = frozen.look(proc, journal);
            match look {
                Look::Stopped => {}
                Look::Runs => tick.stopped_again.push(*key),
                Look::Undone => tick.let_go.push(*key),
                Look::Slips => slipped.push((frozen.cause.clone(), kill(&frozen.target))),
                Look::Ended => {
                    notes.push(note(frozen.entry, EntryState::Closed, "the process has ended"));
                    tick.ended.push(*key);
                }
            }
            look.is_held()
        });
        for (cause, step) in slipped {
            tick.killed.extend(self.carry_out(&Plan { cause, steps: vec![step] }, now_ms));
        }
        tick.frozen = self.frozen.len();
        read?;
        self.journal.note(now_ms, &notes)?;
        Ok(tick)
    }

    /// Takes back what an earlier run left: what it froze goes on, or stays frozen and is ours. Entries of runs that
    /// still live are left alone. To be called once, before the first plan.
    pub fn recover(&mut self, leftover: Leftover, now_ms: u64) -> Result<Vec<Outcome>, RespondError> {
        self.journal.refresh()?;
        let mut left = Vec::new();
        for entry in self.journal.open_entries().filter(|entry| !entry.is_kept()) {
            if entry.boot_id != self.boot_id || !self.proc.is_alive(entry.by).map_err(RespondError::Proc)? {
                left.push(entry.clone());
            }
        }
        let mut outcomes = Vec::new();
        for entry in left {
            match leftover {
                Leftover::Thaw => outcomes.push(self.take_back(&entry, now_ms)?),
                Leftover::Keep => outcomes.push(self.adopt(entry, now_ms)?),
            }
        }
        Ok(outcomes)
    }

    /// Undoes the newest plan, or one entry; newest change first. What has no inverse is named once and then closed.
    pub fn undo(&mut self, what: Undo, now_ms: u64) -> Result<Undone, RespondError> {
        let all = self.journal.entries(UNDO_LIMIT)?;
        let chosen: Vec<Entry> = match what {
            Undo::Entry(id) => {
                vec![all.into_iter().find(|entry| entry.id == id).ok_or(RespondError::NoSuchEntry(id))?]
            }
            Undo::Newest => {
                let set = all
                    .iter()
                    .rev()
                    .find(|entry| entry.state.is_open())
                    .ok_or(RespondError::NothingToUndo)?
                    .set;
                all.into_iter().filter(|entry| entry.set == set && entry.state.is_open()).collect()
            }
        };
        let mut undone = Undone::default();
        for entry in chosen.into_iter().rev() {
            match &entry.inverse {
                Inverse::Action(_) => undone.outcomes.push(self.take_back(&entry, now_ms)?),
                // Its copy, its folder's flags and the like are entries of their own.
                Inverse::None(_) if entry.is_kept() && entry.state != EntryState::Done => {}
                Inverse::None(why) => {
                    self.journal.note(now_ms, &[note(entry.id, EntryState::Closed, &entry.note)])?;
                    undone.cannot.push(CannotUndo {
                        entry: entry.id,
                        action: entry.action.clone(),
                        exe: entry.target.exe.clone(),
                        why: why.clone(),
                    });
                }
            }
        }
        self.settle_folders(&undone.outcomes);
        Ok(undone)
    }

    /// Ends the response: what is frozen goes on, and the journal says so. Dropping does the same without the words.
    pub fn close(mut self, now_ms: u64) -> Result<(), RespondError> {
        let frozen = std::mem::take(&mut self.frozen);
        let notes: Vec<Note> =
            frozen.values().map(|frozen| note(frozen.entry, EntryState::Undone, "Minesweep ended")).collect();
        drop(frozen);
        self.journal.note(now_ms, &notes)?;
        Ok(self.journal.sync()?)
    }

    fn aim(&self, steps: &[Step]) -> Vec<Work> {
        let mut room = FROZEN_LIMIT.saturating_sub(self.frozen.len());
        let mut works = Vec::with_capacity(steps.len());
        for step in steps {
            let may = match &self.cannot_freeze {
                Some(why) => Err(why.as_str()),
                None if room == 0 => Err("1024 processes are frozen already"),
                None => Ok(()),
            };
            // A second freeze of the same process must not take over its tie: letting go of a tie is a SIGCONT.
            let is_aimed =
                |work: &Work| matches!(&work.aim, Aim::Freeze(held, _) if held.key == step.target.key);
            let is_frozen = self.frozen.contains_key(&step.target.key) || works.iter().any(is_aimed);
            let work = Work::aim(&self.proc, step, is_frozen, may);
            if let Aim::Freeze(..) = work.aim {
                room -= 1;
            }
            works.push(work);
        }
        works
    }

    /// Puts the entries on disk; sockets are held meanwhile, and let go when that fails.
    fn write_down(&mut self, cause: &str, works: &[Work], now_ms: u64) -> Result<Vec<u64>, String> {
        for work in works {
            work.hold_socket(self.filter.as_mut());
        }
        let intents: Vec<_> = works.iter().map(Work::intent).collect();
        self.journal.plan(now_ms, cause, &intents).map_err(|failed| {
            for work in works {
                work.release_socket(self.filter.as_mut());
            }
            format!("nothing was changed: {}", told(&failed))
        })
    }

    /// Waits for what was struck, keeps what is frozen, and says how it all ended.
    fn finish(&mut self, works: Vec<Work>, entries: &[u64], cause: &str, now_ms: u64) -> Vec<Outcome> {
        let mut notes = Vec::new();
        let mut outcomes = Vec::new();
        for (mut work, &entry) in works.into_iter().zip(entries) {
            work.settle(&self.proc);
            notes.push(work.note(entry));
            if let Some(process) = work.released()
                && let Some(frozen) = self.frozen.remove(&process)
            {
                notes.push(note(frozen.entry, EntryState::Closed, &format!("ended by entry {entry}")));
            }
            let aim = std::mem::replace(&mut work.aim, Aim::IsFrozen);
            if let Aim::Freeze(held, leash) = aim {
                self.keep(held, leash, entry, cause, &work);
            }
            outcomes.push(outcome(work, entry, cause, now_ms, None));
        }
        if let Err(failed) = self.journal.note(now_ms, &notes) {
            tracing::error!(
                why = told(&failed),
                "the journal does not say how the plan ended; its entries stay open"
            );
        }
        outcomes
    }

    fn keep(&mut self, held: Held, leash: Leash, entry: u64, cause: &str, work: &Work) {
        let is_frozen = match work.state {
            Some(OutcomeState::Done | OutcomeState::Already) => true,
            Some(OutcomeState::Gone | OutcomeState::Planned | OutcomeState::Failed(_)) | None => false,
        };
        if is_frozen {
            self.frozen.insert(held.key, Frozen::new(entry, cause, work.target.clone(), held, leash));
        } else if let Err(failed) = leash.untie() {
            tracing::warn!(pid = held.key.pid, %failed, "a process that was not frozen may get a SIGCONT");
        }
    }

    /// Carries out the inverse of an entry.
    pub(crate) fn take_back(&mut self, entry: &Entry, now_ms: u64) -> Result<Outcome, RespondError> {
        let Inverse::Action(inverse) = &entry.inverse else { return Err(RespondError::NothingToUndo) };
        let state = if !entry.state.is_open() {
            OutcomeState::Already
        } else if entry.boot_id != self.boot_id && !entry.is_kept() {
            self.journal
                .note(now_ms, &[note(entry.id, EntryState::Closed, "the machine has restarted since")])?;
            OutcomeState::Gone
        } else {
            self.journal.note(now_ms, &[note(entry.id, EntryState::Undoing, &entry.note)])?;
            self.journal.sync()?;
            let state = self.reverse(inverse, entry);
            self.journal.note(now_ms, &[taken_back(entry.id, &state)])?;
            state
        };
        Ok(Outcome {
            entry: entry.id,
            at_ms: now_ms,
            cause: entry.cause.clone(),
            action: inverse.clone(),
            target: described(entry),
            state,
        })
    }

    fn reverse(&mut self, inverse: &Action, entry: &Entry) -> OutcomeState {
        let process = match inverse {
            Action::Thaw { process } => *process,
            Action::Disk { .. } => return self.put_back(inverse),
            Action::Freeze { .. } | Action::Kill { .. } | Action::CutSocket { .. } => {
                return OutcomeState::Failed(format!(
                    "entry {} names an inverse that this version does not make",
                    entry.id
                ));
            }
        };
        let held = self.proc.hold_key(process);
        let thawed = held.and_then(|held| thaw(&self.proc, &held));
        self.frozen.remove(&process);
        thawed.unwrap_or_else(OutcomeState::from)
    }

    /// Makes a process that an earlier run left frozen ours; one that runs or has ended is only noted.
    fn adopt(&mut self, entry: Entry, now_ms: u64) -> Result<Outcome, RespondError> {
        let target = described(&entry);
        let stopped = |proc: &Proc| {
            proc.stat(target.key.pid).is_ok_and(|stat| stat.is_some_and(|stat| stat.is_stopped()))
        };
        let held = self
            .proc
            .hold_key(target.key)
            .ok()
            .filter(|_| entry.boot_id == self.boot_id && stopped(&self.proc));
        let tied = held.and_then(|held| Some((Leash::tie(held.pid).ok()?, held)));
        let Some((leash, held)) = tied.filter(|_| self.can_freeze() && self.frozen.len() < FROZEN_LIMIT)
        else {
            return self.take_back(&entry, now_ms);
        };
        self.journal.adopt(&entry, now_ms)?;
        self.frozen.insert(held.key, Frozen::new(entry.id, &entry.cause, target.clone(), held, leash));
        let (state, action) = (OutcomeState::Already, entry.action);
        Ok(Outcome { entry: entry.id, at_ms: now_ms, cause: entry.cause, action, target, state })
    }
}

/// Where the journal of a data folder is.
pub fn journal_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

/// An error with its causes, for an outcome.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

fn kill(target: &Process) -> Step {
    Step { action: Action::Kill { process: target.key }, target: target.clone(), reason: Text::default() }
}

pub(crate) fn note(id: u64, state: EntryState, text: &str) -> Note {
    Note { id, state, text: text.to_owned() }
}

fn taken_back(id: u64, state: &OutcomeState) -> Note {
    match state {
        OutcomeState::Done => note(id, EntryState::Undone, ""),
        OutcomeState::Already => note(id, EntryState::Undone, "it was so already"),
        OutcomeState::Gone => note(id, EntryState::Closed, "it has ended, or is gone"),
        // Still open: it can be tried again.
        OutcomeState::Planned => note(id, EntryState::Done, "it was not undone"),
        OutcomeState::Failed(why) => note(id, EntryState::Done, why),
    }
}

fn described(entry: &Entry) -> Process {
    let unknown = Process::unknown(entry.target.key);
    Process { exe: entry.target.exe.clone(), file: entry.target.file, ..unknown }
}

fn outcome(work: Work, entry: u64, cause: &str, now_ms: u64, failed: Option<&str>) -> Outcome {
    let unended = || OutcomeState::Failed("it was not ended".to_owned());
    let state = match failed {
        Some(why) => OutcomeState::Failed(why.to_owned()),
        None => work.state.unwrap_or_else(unended),
    };
    Outcome { entry, at_ms: now_ms, cause: cause.to_owned(), action: work.action, target: work.target, state }
}

/// `None` when a frozen process will surely be let go at our end.
fn why_not_freeze(proc: &Proc, ourselves: ProcessKey) -> Option<String> {
    match proc.is_root_everywhere() {
        Ok(true) => {}
        Ok(false) => {
            return Some(
                "we are not root outside our user namespace, so our end could not signal it".to_owned(),
            );
        }
        Err(failed) => return Some(format!("cannot read our user namespace: {failed}")),
    }
    let pid = i32::try_from(ourselves.pid).ok().and_then(rustix::process::Pid::from_raw)?;
    Leash::tie(pid)
        .and_then(Leash::untie)
        .err()
        .map(|failed| format!("the kernel refuses to tie it to us: {failed}"))
}

/// A frozen process takes three open files. What cannot be raised shows later, as a freeze that becomes a kill.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let want = limit.maximum.map_or(FILES_WANTED, |hard| hard.min(FILES_WANTED));
    if limit.current.is_some_and(|soft| soft < want) {
        limit.current = Some(want);
        if let Err(failed) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%failed, "cannot raise our limit of open files; many frozen processes at once will be killed instead");
        }
    }
}

/// Processes frozen at once.
const FROZEN_LIMIT: usize = 1024;
/// Three for each frozen process, and room for the rest of the program.
const FILES_WANTED: u64 = 8192;
/// Entries that `undo` looks back.
const UNDO_LIMIT: usize = 65_536;

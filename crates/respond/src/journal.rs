//! What was done to the machine, on disk before it is done.
//!
//! An append-only file of JSON lines: the entry with its inverse first (and an fsync), the change after it, and how
//! it ended as a further line. So a crash at any point leaves either no change or an entry that says how to take it
//! back. Several processes may use one folder (the agent, and `undo` beside it): each write takes a lock and reads
//! first what the others wrote. No entry, no change: an error here is the reason why nothing was done.
//! Bounded: 16 MiB a file, five files; entries that are still open move along when a file is rotated away.
//! Does not know how an action is carried out; that is `responder`.

mod line;

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use minesweep_model::{Action, ProcessKey};
use rustix::fs::{FlockOperation, flock};

use line::{Body, Stop};
pub use line::{Entry, EntryState, Inverse, Target};

/// Why there is no journal, and so no change.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot {what} the journal {}; nothing is changed without it: free or remount its disk, or name another folder with --data-dir", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A newer Minesweep wrote it.
    #[error("the journal {} is of version {found}, and this program reads up to {}: use the newer program, or name another folder with --data-dir; the file is left as it is", path.display(), minesweep_model::FORMAT)]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Another process holds the lock and does not let go.
    #[error("the journal {} is locked by another process that does not let go; end that process and try again, or name another folder with --data-dir", .0.display())]
    Busy(PathBuf),
    /// Too much is open.
    #[error("{0} changes are open in the journal; undo some before more are made")]
    Full(usize),
}

/// A change about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The change.
    pub action: Action,
    /// What undoes it.
    pub inverse: Inverse,
    /// Whom it is about.
    pub target: Target,
}

/// A step that an entry has come further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which entry.
    pub id: u64,
    /// How far.
    pub state: EntryState,
    /// What else is to be said; empty for nothing.
    pub text: String,
}

/// The journal of one data folder.
pub struct Journal {
    folder: PathBuf,
    boot_id: String,
    by: ProcessKey,
    lock: File,
    file: File,
    at_bytes: u64,
    ends_torn: bool,
    next_id: u64,
    set: Option<u64>,
    open: BTreeMap<u64, Entry>,
    damaged: u64,
    limit_bytes: u64,
}

impl Journal {
    /// Opens the journal in `folder`, making both when they are missing (0700, 0600). `boot_id` and `by` go into each
    /// entry.
    pub fn open(folder: &Path, boot_id: &str, by: ProcessKey) -> Result<Self, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(at("make the folder of", folder))?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(at("close to others", folder))?;
        let lock_at = folder.join("lock");
        let lock = opening().create(true).open(&lock_at).map_err(at("lock", &lock_at))?;
        let mut journal = Self {
            folder: folder.to_owned(),
            boot_id: boot_id.to_owned(),
            by,
            file: lock.try_clone().map_err(at("lock", &lock_at))?,
            lock,
            at_bytes: 0,
            ends_torn: false,
            next_id: 1,
            set: None,
            open: BTreeMap::new(),
            damaged: 0,
            limit_bytes: FILE_LIMIT_BYTES,
        };
        journal.locked(Self::enter)?;
        Ok(journal)
    }

    /// Writes the entries of one plan with one fsync and names their ids, in order. When this fails, nothing may be
    /// changed.
    pub fn plan(&mut self, at_ms: u64, cause: &str, intents: &[Intent]) -> Result<Vec<u64>, JournalError> {
        self.locked(|journal| {
            journal.catch_up()?;
            if journal.open.len() + intents.len() > OPEN_LIMIT {
                return Err(JournalError::Full(journal.open.len()));
            }
            let first = journal.next_id;
            let set = journal.set.unwrap_or(first);
            let entries: Vec<Entry> = (first..)
                .zip(intents)
                .map(|(id, intent)| Entry {
                    id,
                    set,
                    boot_id: journal.boot_id.clone(),
                    at_ms,
                    by: journal.by,
                    cause: cut(cause, 1024),
                    action: intent.action.clone(),
                    inverse: intent.inverse.clone(),
                    target: Target { exe: cut(&intent.target.exe, 4096), ..intent.target.clone() },
                    state: EntryState::Planned,
                    changed_ms: at_ms,
                    note: String::new(),
                })
                .collect();
            let ids = entries.iter().map(|entry| entry.id).collect();
            let bodies: Vec<Body> = entries.into_iter().map(|entry| Body::Entry(Box::new(entry))).collect();
            journal.append(&bodies)?;
            journal.sync()?;
            Ok(ids)
        })
    }

    /// Plans from now on belong to this set, so that one undo takes them all back; none: each is a set of its own.
    pub(crate) fn join(&mut self, set: Option<u64>) {
        self.set = set;
    }

    /// Writes how far entries have come. Not synced: a crash of the machine ends what these changes did anyway, and a
    /// crash of this process loses no written byte. Call [`Journal::sync`] where the line must precede a change.
    pub fn note(&mut self, at_ms: u64, notes: &[Note]) -> Result<(), JournalError> {
        if notes.is_empty() {
            return Ok(());
        }
        self.locked(|journal| {
            journal.catch_up()?;
            let bodies: Vec<Body> = notes
                .iter()
                .map(|note| Body::State {
                    id: note.id,
                    at_ms,
                    state: note.state,
                    note: cut(&note.text, 1024),
                })
                .collect();
            journal.append(&bodies)
        })
    }

    /// Makes an open entry of an earlier run ours.
    pub(crate) fn adopt(&mut self, entry: &Entry, at_ms: u64) -> Result<(), JournalError> {
        self.locked(|journal| {
            journal.catch_up()?;
            let ours = Entry { by: journal.by, state: EntryState::Done, changed_ms: at_ms, ..entry.clone() };
            journal.append(&[Body::Entry(Box::new(ours))])?;
            journal.sync()
        })
    }

    /// Brings all that was written to the disk.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(at("sync", &self.current()))
    }

    /// Reads what other processes wrote since. One `stat` when they wrote nothing.
    pub fn refresh(&mut self) -> Result<(), JournalError> {
        if self.is_current()? { Ok(()) } else { self.locked(Self::catch_up) }
    }

    /// What may still be changed on the machine and has an inverse, oldest first; at most 4096.
    pub fn open_entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.open.values()
    }

    /// An open entry.
    pub fn open_entry(&self, id: u64) -> Option<&Entry> {
        self.open.get(&id)
    }

    /// All entries that are kept, oldest first, of them the newest `limit`.
    pub fn entries(&self, limit: usize) -> Result<Vec<Entry>, JournalError> {
        entries(&self.folder, limit)
    }

    /// Lines that could not be read, torn ones included, since the journal was opened.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// First look at the folder: finish or begin the file, then read it.
    fn enter(&mut self) -> Result<(), JournalError> {
        if self.current_is_missing()? {
            // Somebody deleted it: ids go on where the older files end.
            self.next_id = self.entries(1)?.last().map_or(1, |entry| entry.id.saturating_add(1));
            self.begin_file()?;
        }
        self.reopen()?;
        self.read_on()
    }

    /// Reads on where others wrote, in this file or in a new one. Under the lock.
    fn catch_up(&mut self) -> Result<(), JournalError> {
        if self.is_current()? {
            return Ok(());
        }
        if self.current_is_missing()? {
            self.begin_file()?;
        }
        self.read_on()?;
        if !self.is_current()? {
            self.reopen()?;
            self.read_on()?;
        }
        Ok(())
    }

    fn is_current(&self) -> Result<bool, JournalError> {
        let current = self.current();
        let ours = self.file.metadata().map_err(at("look at", &current))?;
        match fs::symlink_metadata(&current) {
            Ok(there) => {
                Ok((there.dev(), there.ino(), there.len()) == (ours.dev(), ours.ino(), self.at_bytes))
            }
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(at("look at", &current)(source)),
        }
    }

    fn current_is_missing(&self) -> Result<bool, JournalError> {
        let current = self.current();
        current.try_exists().map(|exists| !exists).map_err(at("look at", &current))
    }

    fn reopen(&mut self) -> Result<(), JournalError> {
        let current = self.current();
        self.file = opening().open(&current).map_err(at("open", &current))?;
        (self.at_bytes, self.ends_torn) = (0, false);
        // Each file begins with all that was open then; what is missing was closed in a file that we did not see.
        self.open.clear();
        Ok(())
    }

    fn read_on(&mut self) -> Result<(), JournalError> {
        let current = self.current();
        let mut file = self.file.try_clone().map_err(at("read", &current))?;
        file.seek(SeekFrom::Start(self.at_bytes)).map_err(at("read", &current))?;
        let tally =
            line::read(&mut file, |body| self.absorb(body)).map_err(|stop| stopped(stop, &current))?;
        let length = file.metadata().map_err(at("read", &current))?.len();
        // A torn end stays in the file and is counted once: the next write begins on a line of its own.
        (self.at_bytes, self.ends_torn) = (length, tally.is_torn);
        self.damaged += tally.damaged;
        Ok(())
    }

    fn absorb(&mut self, body: Body) {
        match body {
            Body::Opened { next_id } => self.next_id = self.next_id.max(next_id),
            Body::Entry(entry) => {
                self.next_id = self.next_id.max(entry.id.saturating_add(1));
                let has_inverse = match entry.inverse {
                    Inverse::Action(_) => true,
                    Inverse::None(_) => false,
                };
                if has_inverse && entry.state.is_open() && self.open.len() < OPEN_LIMIT {
                    self.open.insert(entry.id, *entry);
                }
            }
            Body::State { id, at_ms, state, note } => {
                if !state.is_open() {
                    self.open.remove(&id);
                } else if let Some(entry) = self.open.get_mut(&id) {
                    (entry.state, entry.changed_ms, entry.note) = (state, at_ms, note);
                }
            }
        }
    }

    /// One write for all lines; what a full disk cut is taken back. Under the lock.
    fn append(&mut self, bodies: &[Body]) -> Result<(), JournalError> {
        if self.at_bytes >= self.limit_bytes {
            self.rotate()?;
        }
        let current = self.current();
        let mut text = String::from(if self.ends_torn { "\n" } else { "" });
        for body in bodies {
            text.push_str(&body.written().map_err(at("write", &current))?);
        }
        if let Err(source) = self.file.write_all(text.as_bytes()) {
            let what = match self.file.set_len(self.at_bytes) {
                Ok(()) => "write",
                Err(_) => "write (and then cut back)",
            };
            return Err(at(what, &current)(source));
        }
        self.at_bytes += text.len() as u64;
        self.ends_torn = false;
        for body in bodies {
            self.absorb(body.clone());
        }
        Ok(())
    }

    /// journal.3 becomes journal.4 and so on; the current file is replaced in one rename, so there always is one.
    fn rotate(&mut self) -> Result<(), JournalError> {
        for age in (1..KEEP).rev() {
            let from = older(&self.folder, age);
            match fs::rename(&from, older(&self.folder, age + 1)) {
                Ok(()) => {}
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(at("rotate", &from)(source)),
            }
        }
        let current = self.current();
        fs::hard_link(&current, older(&self.folder, 1)).map_err(at("rotate", &current))?;
        self.begin_file()?;
        self.reopen()?;
        self.read_on()
    }

    /// A new current file that holds what is still open, whole on disk before it has its name.
    fn begin_file(&self) -> Result<(), JournalError> {
        let new = self.folder.join("journal.new");
        let mut text = Body::Opened { next_id: self.next_id }.written().map_err(at("write", &new))?;
        for entry in self.open.values() {
            text.push_str(&Body::Entry(Box::new(entry.clone())).written().map_err(at("write", &new))?);
        }
        let mut file = opening().create(true).open(&new).map_err(at("write", &new))?;
        file.set_len(0).map_err(at("write", &new))?;
        file.write_all(text.as_bytes()).map_err(at("write", &new))?;
        file.sync_all().map_err(at("sync", &new))?;
        fs::rename(&new, self.current()).map_err(at("put in place", &new))?;
        let folder = File::open(&self.folder).map_err(at("sync", &self.folder))?;
        folder.sync_all().map_err(at("sync", &self.folder))
    }

    /// Runs `work` while no other process writes. Waits at most 200 ms: nobody holds the lock longer than an fsync
    /// takes, unless it is stopped.
    fn locked<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let busy = || JournalError::Busy(self.folder.join("lock"));
        let mut tries = 0..100;
        while let Err(held) = flock(&self.lock, FlockOperation::NonBlockingLockExclusive) {
            if held != rustix::io::Errno::WOULDBLOCK {
                return Err(at("lock", &self.folder)(held.into()));
            }
            tries.next().ok_or_else(busy)?;
            thread::sleep(Duration::from_millis(2));
        }
        let result = work(self);
        flock(&self.lock, FlockOperation::Unlock).map_err(|held| at("unlock", &self.folder)(held.into()))?;
        result
    }

    fn current(&self) -> PathBuf {
        self.folder.join("journal.jsonl")
    }
}

/// The entries of the journal in `folder`, oldest first, of them the newest `limit`. Takes no lock and makes nothing.
pub fn entries(folder: &Path, limit: usize) -> Result<Vec<Entry>, JournalError> {
    let mut kept: BTreeMap<u64, Entry> = BTreeMap::new();
    let files = (1..=KEEP).rev().map(|age| older(folder, age)).chain([folder.join("journal.jsonl")]);
    for path in files {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(at("read", &path)(source)),
        };
        line::read(file, |body| match body {
            Body::Opened { .. } => {}
            Body::Entry(entry) => {
                kept.insert(entry.id, *entry);
                if kept.len() > limit {
                    kept.pop_first();
                }
            }
            Body::State { id, at_ms, state, note } => {
                if let Some(entry) = kept.get_mut(&id) {
                    (entry.state, entry.changed_ms, entry.note) = (state, at_ms, note);
                }
            }
        })
        .map_err(|stop| stopped(stop, &path))?;
    }
    Ok(kept.into_values().collect())
}

fn older(folder: &Path, age: u32) -> PathBuf {
    folder.join(format!("journal.{age}.jsonl"))
}

fn opening() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    options
}

fn at(what: &'static str, path: &Path) -> impl Fn(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { what, path: path.clone(), source }
}

fn stopped(stop: Stop, path: &Path) -> JournalError {
    match stop {
        Stop::Io(source) => at("read", path)(source),
        Stop::Newer(found) => JournalError::Newer { path: path.to_owned(), found },
    }
}

fn cut(text: &str, limit_bytes: usize) -> String {
    let end = text.floor_char_boundary(limit_bytes);
    text.get(..end).unwrap_or_default().to_owned()
}

/// 16 MiB hold about thirty thousand changes.
const FILE_LIMIT_BYTES: u64 = 16 << 20;
/// Rotated files that stay.
const KEEP: u32 = 4;
/// Open entries: four times the processes that may be frozen at once.
const OPEN_LIMIT: usize = 4096;

#[cfg(test)]
mod tests;

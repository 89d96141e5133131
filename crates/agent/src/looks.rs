//! Closer looks at single processes, on a thread of their own: reading memory and files takes up to a second, and
//! events must not wait for it.
//!
//! A look reads; it never stops or touches the process. At most [`WAITING`] wait; more are counted and dropped.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use minesweep_detect::{Rules, clues};
use minesweep_host::look::{LookLimits, Piece, look};
use minesweep_model::{Clue, ClueSource, FileHit, Looked, Origin, ProcessKey};

use crate::AgentError;

/// Looks that may wait.
const WAITING: usize = 64;

/// Clues kept of one process.
const CLUES: usize = 64;

/// The thread that looks.
pub struct Looks {
    ask: Option<SyncSender<ProcessKey>>,
    answers: Receiver<(ProcessKey, Option<Looked>)>,
    waiting: BTreeSet<ProcessKey>,
    dropped: u64,
    thread: Option<JoinHandle<()>>,
}

impl Looks {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(rules: Arc<Rules>) -> Result<Self, AgentError> {
        let (ask, questions) = sync_channel::<ProcessKey>(WAITING);
        let (answer, answers) = sync_channel(WAITING);
        let work = move || {
            for key in questions {
                if answer.send((key, look_at(key, &rules))).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("looks".into())
            .spawn(work)
            .map_err(|source| AgentError::System { what: "a thread for closer looks", source })?;
        Ok(Self { ask: Some(ask), answers, waiting: BTreeSet::new(), dropped: 0, thread: Some(thread) })
    }

    /// Asks for a look; a process that waits already is not asked for twice.
    pub fn ask(&mut self, key: ProcessKey) {
        let Some(ask) = &self.ask else { return };
        if self.waiting.contains(&key) {
            return;
        }
        match ask.try_send(key) {
            Ok(()) => {
                self.waiting.insert(key);
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped += 1,
        }
    }

    /// The looks that have ended.
    pub fn ended(&mut self) -> Vec<Looked> {
        let mut looked = Vec::new();
        while let Ok((key, found)) = self.answers.try_recv() {
            self.waiting.remove(&key);
            looked.extend(found);
        }
        looked
    }

    /// Looks still under way.
    pub fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// Looks that were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.ask = None;
        // Drained so that the thread is not stuck on a full channel; then it sees the closed queue and ends.
        while self.answers.recv().is_ok() {}
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread for closer looks ended by a defect");
        }
    }
}

/// Looks at one process; `None` when it has gone.
fn look_at(key: ProcessKey, rules: &Rules) -> Option<Looked> {
    let mut found = Found::default();
    let looked = look(key, LookLimits::default(), &mut |piece| found.search(piece, rules));
    match looked {
        Ok(mut looked) => {
            looked.clues = found.clues;
            looked.hits = found.hits;
            Some(looked)
        }
        Err(error) => {
            tracing::debug!(pid = key.pid, %error, "the process could not be looked at");
            None
        }
    }
}

#[derive(Default)]
struct Found {
    clues: Vec<Clue>,
    hits: Vec<FileHit>,
}

impl Found {
    fn search(&mut self, piece: Piece<'_>, rules: &Rules) {
        match piece {
            Piece::Executable { path, origin, bytes } => self.file(path, origin, false, bytes, rules),
            Piece::Argv(bytes) => self.add(clues::search(bytes, ClueSource::Argv)),
            Piece::File { path, is_beside, bytes } => {
                self.file(path, Origin::Disk, is_beside, bytes, rules);
                let source = if is_beside { ClueSource::Beside } else { ClueSource::File };
                self.add(clues::search(bytes, source(path.to_owned())));
            }
            Piece::Memory { bytes, .. } => self.add(clues::search(bytes, ClueSource::Memory)),
        }
    }

    fn file(&mut self, path: &str, origin: Origin, is_beside: bool, bytes: &[u8], rules: &Rules) {
        for rule in rules.files().scan(bytes) {
            self.hits.push(FileHit { rule, path: path.to_owned(), origin, is_beside });
        }
    }

    fn add(&mut self, clues: Vec<Clue>) {
        for clue in clues {
            if self.clues.len() < CLUES && !self.clues.contains(&clue) {
                self.clues.push(clue);
            }
        }
    }
}

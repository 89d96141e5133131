//! Files that are written, or run from where anybody may write, read on a thread of their own as soon as they are done.
//!
//! The sensor tells when a file is opened for writing, so it is read a moment later; one that gets its last name or runs
//! is read at once. At most [`WAITING`] wait; more are counted and left out.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use minesweep_detect::{Rules, files};
use minesweep_host::walk::FoundFile;
use minesweep_model::{Event, FileAct, HookCount, Occasion, Origin, Process, ProcessKey, Scanned, What};
use rustix::io::pread;

use super::Reader;
use crate::AgentError;

/// Files that may wait.
const WAITING: usize = 4096;
/// Files that may wait for the thread.
const ASKED: usize = 256;
/// A process that opens the same file again within a second is told once: it is read after that.
const SETTLED: Duration = Duration::from_millis(1200);
/// Where programs of the system do not lie.
const WRITABLE: [&str; 9] =
    ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/home/", "/root/", "/var/www/", "/srv/", "/opt/"];

/// One file to be read.
struct Ask {
    path: String,
    process: ProcessKey,
    occasion: Occasion,
}

/// The thread that reads.
pub(crate) struct WatchedFiles {
    ask: Option<SyncSender<Ask>>,
    answers: Receiver<Option<Scanned>>,
    settling: BTreeMap<(ProcessKey, String), Instant>,
    pending: usize,
    ended: u64,
    dropped: u64,
    thread: Option<JoinHandle<()>>,
}

impl WatchedFiles {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(rules: Arc<Rules>) -> Result<Self, AgentError> {
        let (ask, questions) = sync_channel::<Ask>(ASKED);
        let (answer, answers) = sync_channel(ASKED);
        let work = move || {
            let mut reader = Reader::default();
            for ask in questions {
                if answer.send(read(&ask, &mut reader, &rules)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("files".into())
            .spawn(work)
            .map_err(|source| AgentError::System { what: "a thread for files", source })?;
        let settling = BTreeMap::new();
        Ok(Self { ask: Some(ask), answers, settling, pending: 0, ended: 0, dropped: 0, thread: Some(thread) })
    }

    /// Takes note of what an event says of files.
    pub(crate) fn note(&mut self, event: &Event, now: Instant) {
        match &event.what {
            What::File(file) if file.is_done => {
                let is_final = matches!(file.act, FileAct::Rename | FileAct::Link);
                let path = match file.act {
                    FileAct::Create | FileAct::Write => Some(&file.path),
                    FileAct::Rename | FileAct::Link => file.other.as_ref(),
                    FileAct::Read
                    | FileAct::Symlink
                    | FileAct::Remove
                    | FileAct::Mode
                    | FileAct::Owner
                    | FileAct::Xattr
                    | FileAct::Flags
                    | FileAct::Mount
                    | FileAct::Unmount
                    | FileAct::Memfd => None,
                };
                let Some(path) = path.filter(|path| path.starts_with('/')) else { return };
                let due = if is_final { now } else { now + SETTLED };
                self.settle(file.process, path.clone(), due);
            }
            What::Exec(process) if is_from_writable(process) => {
                let path = process.exe.clone();
                self.send(Ask { path, process: process.key, occasion: Occasion::Run });
            }
            _ => {}
        }
    }

    fn settle(&mut self, process: ProcessKey, path: String, due: Instant) {
        if self.settling.len() >= WAITING {
            self.dropped += 1;
            return;
        }
        self.settling.insert((process, path), due);
    }

    fn send(&mut self, ask: Ask) {
        let Some(sender) = &self.ask else { return };
        match sender.try_send(ask) {
            Ok(()) => self.pending += 1,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped += 1,
        }
    }

    /// Asks for what is due, and hands over the files in which rules matched.
    pub(crate) fn matched(&mut self, now: Instant) -> Vec<Scanned> {
        let mut scanned = Vec::new();
        while let Ok(answer) = self.answers.try_recv() {
            self.pending = self.pending.saturating_sub(1);
            self.ended += 1;
            scanned.extend(answer);
        }
        let room = ASKED.saturating_sub(self.pending);
        let due: Vec<_> = self
            .settling
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(key, _)| key.clone())
            .take(room)
            .collect();
        for key in due {
            self.settling.remove(&key);
            let (process, path) = key;
            self.send(Ask { path, process, occasion: Occasion::Written });
        }
        scanned
    }

    /// What was written last is read now: nothing will settle any more.
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.settling.values_mut().for_each(|due| *due = now);
    }

    /// Files still to be read.
    pub(crate) fn pending(&self) -> usize {
        self.pending + self.settling.len()
    }

    /// Files read, and left out because too many waited.
    pub(crate) fn count(&self) -> HookCount {
        let (seen, lost) = (self.ended, self.dropped);
        HookCount { hook: "files".to_owned(), made: seen + lost, seen, lost }
    }
}

impl Drop for WatchedFiles {
    fn drop(&mut self) {
        self.ask = None;
        // Drained so that the thread is not stuck on a full channel; then it sees the closed queue and ends.
        while self.answers.recv().is_ok() {}
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread for files ended by a defect");
        }
    }
}

fn is_from_writable(process: &Process) -> bool {
    process.origin != Origin::Disk || WRITABLE.iter().any(|folder| process.exe.starts_with(folder))
}

/// A program is read by its process, a written file by its path as its writer sees it; when the writer has gone, by the
/// path as we see it.
fn read(ask: &Ask, reader: &mut Reader, rules: &Rules) -> Option<Scanned> {
    let pid = ask.process.pid;
    let found = match ask.occasion {
        Occasion::Run => FoundFile::open(Path::new(&format!("/proc/{pid}/exe"))),
        Occasion::Written | Occasion::Scan => {
            FoundFile::open(Path::new(&format!("/proc/{pid}/root{}", ask.path)))
                .or_else(|_| FoundFile::open(Path::new(&ask.path)))
        }
    };
    let found = found.ok().flatten()?;
    let mut head = [0; 512];
    let count = pread(&found.file, &mut head, 0).ok()?;
    if !files::is_telling(head.get(..count)?) {
        return None;
    }
    reader.read(found, ask.path.clone(), ask.occasion, Some(ask.process), rules).0
}

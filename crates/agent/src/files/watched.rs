//! Files that are written, or run from where anybody may write, read on a thread of their own as soon as they are done.
//!
//! The sensor tells when a file is opened for writing and not when it is closed. So a written file is read when it has
//! rested for a second; one that does not rest is looked at again, ever later, and read all the same after a minute. One
//! that gets its last name is read at once, and so is one that is run, whatever folder it was written to: it may be gone
//! a moment later. At most [`WAITING`] wait; more are counted and left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use minesweep_detect::{Rules, files};
use minesweep_host::{
    view::{self, Views},
    walk::FoundFile,
};
use minesweep_model::{
    Event, FileAct, FileEvent, HookCount, Occasion, Origin, Process, ProcessKey, Scanned, What,
};
use rustix::io::pread;

use super::{Asked, Reader};
use crate::AgentError;

#[cfg(test)]
mod tests;

/// Files that may wait.
const WAITING: usize = 4096;
/// Files that may wait for the thread.
const ASKED: usize = 256;
/// Files remembered as read, 48 bytes each.
const KNOWN: usize = 1 << 15;
/// Paths remembered at which rules matched.
const MATCHED: usize = 1024;
/// A process that opens the same file again within a second is told once: it is looked at after that. Each further look
/// comes twice as late.
const SETTLED: Duration = Duration::from_millis(1200);
/// A file that changed less than this ago is still being written.
const RESTED: Duration = Duration::from_secs(1);
/// From this look on, after 76 seconds in all, a file is read though it does not rest.
const PATIENT: u8 = 5;
/// The last look, after ten minutes.
const LAST: u8 = 8;
/// Words of a command that may name a file which was just written.
const WORDS: usize = 8;
/// Where programs of the system do not lie.
const WRITABLE: [&str; 9] =
    ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/home/", "/root/", "/var/www/", "/srv/", "/opt/"];

/// A file as processes name it: path, and their namespace of mounts where it is not ours.
type Place = (String, Option<u32>);

/// A file that was written and is looked at later.
struct Waiting {
    process: ProcessKey,
    /// The bytes of its path, where they are no text.
    name: Option<Vec<u8>>,
    due: Instant,
    looks: u8,
}

/// One file to be read.
struct Ask {
    place: Place,
    name: Option<Vec<u8>>,
    process: ProcessKey,
    occasion: Occasion,
    looks: u8,
}

/// What came of it; `ask` is there when the file must be looked at again.
struct Answer {
    scanned: Option<Scanned>,
    again: Option<Ask>,
}

/// The thread that reads.
pub(crate) struct WatchedFiles {
    ask: Option<SyncSender<Ask>>,
    answers: Receiver<Answer>,
    settling: BTreeMap<Place, Waiting>,
    matched: BTreeSet<String>,
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
        Self::start_with(rules, RESTED)
    }

    fn start_with(rules: Arc<Rules>, rested: Duration) -> Result<Self, AgentError> {
        let (ask, questions) = sync_channel::<Ask>(ASKED);
        let (answer, answers) = sync_channel(ASKED);
        let work = move || {
            let mut work = Work { reader: Reader::new(KNOWN), views: Views::default(), rules, rested };
            for ask in questions {
                if answer.send(work.read(ask)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("files".into())
            .spawn(work)
            .map_err(|source| AgentError::System { what: "a thread for files", source })?;
        Ok(Self {
            ask: Some(ask),
            answers,
            settling: BTreeMap::new(),
            matched: BTreeSet::new(),
            pending: 0,
            ended: 0,
            dropped: 0,
            thread: Some(thread),
        })
    }

    /// Takes note of what an event says of files.
    pub(crate) fn note(&mut self, event: &Event, now: Instant) {
        match &event.what {
            What::File(file) if file.is_done => self.note_file(file, now),
            What::Exec(process) => self.note_exec(process, now),
            _ => {}
        }
    }

    fn note_file(&mut self, file: &FileEvent, now: Instant) {
        let Some(path) = file.made().filter(|path| path.starts_with('/')) else { return };
        if file.act == FileAct::Symlink {
            return;
        }
        let is_named = matches!(file.act, FileAct::Rename | FileAct::Link);
        let due = if is_named { now } else { now + SETTLED };
        let name = file.name.as_ref().map(|name| name.0.clone());
        let waiting = Waiting { process: file.process, name, due, looks: 0 };
        self.settle((path.to_owned(), file.mounts), waiting);
    }

    /// What is run is read by its process. A script that was just written, and what else the command names, does not
    /// wait any longer.
    fn note_exec(&mut self, process: &Process, now: Instant) {
        let written = self.settling_at(&process.exe);
        if is_from_writable(process) || written.is_some() || self.matched.contains(&process.exe) {
            let place = written.unwrap_or_else(|| (process.exe.clone(), None));
            self.send(Ask { place, name: None, process: process.key, occasion: Occasion::Run, looks: LAST });
        }
        if self.settling.is_empty() {
            return;
        }
        for word in process.argv.iter().skip(1).take(WORDS) {
            let path = Path::new(&process.cwd).join(word);
            let Some(place) = path.to_str().and_then(|path| self.settling_at(path)) else { continue };
            if let Some(waiting) = self.settling.get_mut(&place) {
                (waiting.due, waiting.looks) = (now, PATIENT);
            }
        }
    }

    fn settling_at(&self, path: &str) -> Option<Place> {
        let (place, _) = self.settling.range((path.to_owned(), None)..).next()?;
        (place.0 == path).then(|| place.clone())
    }

    /// A file that waits already does not wait longer for being written again.
    fn settle(&mut self, place: Place, waiting: Waiting) {
        if let Some(known) = self.settling.get_mut(&place) {
            known.process = waiting.process;
            known.due = known.due.min(waiting.due);
            return;
        }
        if self.settling.len() >= WAITING {
            self.dropped += 1;
            return;
        }
        self.settling.insert(place, waiting);
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
            scanned.extend(answer.scanned);
            match answer.again {
                Some(ask) => self.look_again(ask, now),
                None => self.ended += 1,
            }
        }
        for file in &scanned {
            if self.matched.len() >= MATCHED {
                self.matched.clear();
            }
            self.matched.insert(file.path.clone());
        }
        let room = ASKED.saturating_sub(self.pending);
        let is_due = |(_, waiting): &(&Place, &Waiting)| waiting.due <= now;
        let due: Vec<Place> =
            self.settling.iter().filter(is_due).map(|(place, _)| place.clone()).take(room).collect();
        for place in due {
            let Some(Waiting { process, name, looks, .. }) = self.settling.remove(&place) else { continue };
            self.send(Ask { place, name, process, occasion: Occasion::Written, looks });
        }
        scanned
    }

    fn look_again(&mut self, ask: Ask, now: Instant) {
        let looks = ask.looks.saturating_add(1);
        let due = now + SETTLED.saturating_mul(1 << looks.min(LAST));
        self.settle(ask.place, Waiting { process: ask.process, name: ask.name, due, looks });
    }

    /// What was written last is read now: nothing will settle any more.
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.settling.values_mut().for_each(|waiting| (waiting.due, waiting.looks) = (now, LAST));
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

/// What the thread works with.
struct Work {
    reader: Reader,
    views: Views,
    rules: Arc<Rules>,
    rested: Duration,
}

impl Work {
    fn read(&mut self, ask: Ask) -> Answer {
        let done = Answer { scanned: None, again: None };
        let Some(found) = self.open(&ask) else { return done };
        let mut head = [0; 512];
        let count = pread(&found.file, &mut head, 0).unwrap_or(0);
        if !files::is_telling(head.get(..count).unwrap_or_default()) {
            return done;
        }
        let is_again = ask.occasion == Occasion::Written && ask.looks < LAST && !self.has_rested(&found);
        if is_again && ask.looks < PATIENT {
            return Answer { scanned: None, again: Some(ask) };
        }
        let path = ask.place.0.clone();
        let asked = Asked { path, occasion: ask.occasion, process: Some(ask.process) };
        let scanned =
            self.reader.read(found, u64::MAX, asked, &self.rules).and_then(|reading| reading.scanned);
        Answer { scanned, again: is_again.then_some(ask) }
    }

    /// A program by the process that runs it, and when that has ended, by its path.
    fn open(&mut self, ask: &Ask) -> Option<FoundFile> {
        let pid = ask.process.pid;
        if ask.occasion == Occasion::Run
            && let Ok(Some(found)) = view::program(pid)
        {
            return Some(found);
        }
        let (path, mounts) = &ask.place;
        let name = ask.name.as_deref().unwrap_or(path.as_bytes());
        self.views.open(pid, *mounts, name).ok().flatten()
    }

    fn has_rested(&self, found: &FoundFile) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = u64::try_from(found.changed_ns).map(Duration::from_nanos).unwrap_or_default();
        now.saturating_sub(changed) >= self.rested
    }
}

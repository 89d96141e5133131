//! The words of a caller to the path of a file.
//!
//! The kernel side copies what a process wrote and the folder below which it stands. Links and `..` on the way are
//! resolved here, first with what the kernel has in its cache of names. What is not there (a link of an overlay never
//! is) is left to a thread of its own, for which we wait a moment and no longer: a server that is gone or a file system
//! of the attacker's may never answer. So it is the path of a moment later; what cannot be resolved any more is put
//! together as it was written.

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2, readlinkat},
    io::Errno,
};

use super::record::Words;
use crate::proc::root::Folder;

/// Longest path that is handed on.
pub(crate) const PATH_LIMIT: usize = 4096;
/// Resolved folders kept within a batch.
const LIMIT: usize = 1024;
/// Roots of other namespaces kept within a batch, a descriptor each.
const ROOTS: usize = 64;
/// Longest wait within each second for the thread that may be kept waiting; a look at a disk takes a thousandth. So
/// a file system that is slow on purpose costs us a tenth of our time at most.
const PATIENCE: Duration = Duration::from_millis(100);
const REFILL: Duration = Duration::from_secs(1);

/// Whose words they are.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) pid: u32,
    /// Inode of the namespace of mounts.
    pub(crate) namespace: u32,
}

/// Finds files by words. What it remembers is good for one batch of records only.
pub(crate) struct Places {
    own_namespace: u32,
    own_root: Option<OwnedFd>,
    /// Roots of processes that see other mounts; kept no longer than a batch, since they keep those mounts busy.
    roots: HashMap<(u32, u32), Option<OwnedFd>>,
    folders: HashMap<(u32, Vec<u8>), Vec<u8>>,
    patient: Patient,
}

impl Places {
    /// As this process sees the machine.
    pub(crate) fn new() -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self {
            own_namespace: own_namespace(),
            own_root: rustix::fs::open("/", flags, Mode::empty()).ok(),
            roots: HashMap::new(),
            folders: HashMap::new(),
            patient: Patient { running: None, is_waiting: false, left: PATIENCE, refilled: Instant::now() },
        }
    }

    /// Forgets; to be called after each batch.
    pub(crate) fn forget(&mut self) {
        self.roots.clear();
        self.folders.clear();
    }

    /// The namespace, where it is not ours; none where the kernel side does not know it.
    pub(crate) fn apart(&self, namespace: u32) -> Option<u32> {
        (namespace != 0 && namespace != self.own_namespace).then_some(namespace)
    }

    /// The path that `words` name. `follows`: a link in the last place stands for its target.
    pub(crate) fn path(&mut self, caller: Caller, words: &Words, follows: bool) -> Vec<u8> {
        if words.word.is_empty() {
            return if words.base.is_empty() { b"/".to_vec() } else { words.base.clone() };
        }
        let whole = own_proc(caller.pid, tidy(&words.base, &words.word));
        let is_plain = !words.word.contains(&b'/') && words.word != b".." && words.word != b".";
        if is_plain && !follows {
            return whole;
        }
        let is_chrooted = words.word.starts_with(b"/") && !words.base.is_empty();
        let asked = if is_chrooted { tidy(b"", &words.word) } else { whole.clone() };
        let ends_open = asked.ends_with(b"/..") || asked.len() <= 1;
        let (folder, name) = match asked.iter().rposition(|&byte| byte == b'/') {
            Some(at) if !follows && !ends_open => asked.split_at(at),
            _all => (asked.as_slice(), b"".as_slice()),
        };
        match self.resolve(caller, folder, is_chrooted) {
            Some(found) if found == b"/" && !name.is_empty() => name.to_vec(),
            Some(found) => [found.as_slice(), name].concat(),
            None => whole,
        }
    }

    /// Where a path leads, links resolved.
    fn resolve(&mut self, caller: Caller, path: &[u8], is_chrooted: bool) -> Option<Vec<u8>> {
        let is_own = caller.namespace == self.own_namespace && !is_chrooted;
        let key = (if is_own { 0 } else { caller.pid }, path.to_vec());
        if let Some(found) = self.folders.get(&key) {
            return (!found.is_empty()).then(|| found.clone());
        }
        if !is_own {
            self.open_root(caller);
        }
        let root = if is_own { self.own_root.as_ref() } else { self.roots.get(&key_of(caller))?.as_ref() }?;
        let found = match follow(root.as_fd(), path, ResolveFlags::CACHED) {
            Err(Errno::AGAIN) => self.patient.follow(root, path),
            found => found.ok(),
        };
        let found = found.unwrap_or_default();
        if self.folders.len() < LIMIT {
            self.folders.insert(key, found.clone());
        }
        (!found.is_empty()).then_some(found)
    }

    fn open_root(&mut self, caller: Caller) {
        if self.roots.len() >= ROOTS {
            self.roots.clear();
        }
        let open = || {
            let folder = Folder::open(caller.pid).ok()?;
            folder.file("root", OFlags::PATH | OFlags::DIRECTORY).ok()
        };
        self.roots.entry(key_of(caller)).or_insert_with(open);
    }
}

fn key_of(caller: Caller) -> (u32, u32) {
    (caller.pid, caller.namespace)
}

/// A thread that looks where a look may take forever. One question at a time; while it is kept waiting there is no
/// second.
struct Patient {
    running: Option<Running>,
    is_waiting: bool,
    left: Duration,
    refilled: Instant,
}

/// Where questions go and answers come from.
type Running = (SyncSender<Question>, Receiver<Option<Vec<u8>>>);

struct Question {
    root: OwnedFd,
    path: Vec<u8>,
}

impl Patient {
    fn follow(&mut self, root: &OwnedFd, path: &[u8]) -> Option<Vec<u8>> {
        if self.running.is_none() {
            self.running = Some(Self::start()?);
        }
        let (ask, answers) = self.running.as_ref()?;
        if self.is_waiting {
            match answers.try_recv() {
                Ok(_late) => self.is_waiting = false,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
        ask.try_send(Question { root: root.try_clone().ok()?, path: path.to_vec() }).ok()?;
        let asked = Instant::now();
        if asked.duration_since(self.refilled) >= REFILL {
            (self.refilled, self.left) = (asked, PATIENCE);
        }
        let answer = answers.recv_timeout(self.left);
        self.left = self.left.saturating_sub(asked.elapsed());
        self.is_waiting = answer.is_err();
        answer.ok().flatten()
    }

    fn start() -> Option<Running> {
        let (ask, questions) = sync_channel::<Question>(1);
        let (answer, answers) = sync_channel(1);
        let look = move || {
            for question in questions {
                let found = follow(question.root.as_fd(), &question.path, ResolveFlags::empty());
                if answer.send(found.ok()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("places".to_owned()).spawn(look).ok()?;
        Some((ask, answers))
    }
}

fn own_namespace() -> u32 {
    let name = rustix::fs::readlink("/proc/self/ns/mnt", Vec::new());
    let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let number = name.strip_prefix("mnt:[").and_then(|rest| rest.strip_suffix(']'));
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// No links of /proc, which lead anywhere.
fn follow(root: BorrowedFd<'_>, path: &[u8], how: ResolveFlags) -> Result<Vec<u8>, Errno> {
    let path = if path.is_empty() { b"/" } else { path };
    let found =
        openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how | ResolveFlags::IN_ROOT)?;
    let name = readlinkat(CWD, format!("/proc/self/fd/{}", found.as_raw_fd()), Vec::new())?.into_bytes();
    if name.starts_with(b"/") { Ok(name) } else { Err(Errno::NOENT) }
}

/// Base and words as one path, without empty names and `.`; `..` stays, since a link may stand before it.
fn tidy(base: &[u8], word: &[u8]) -> Vec<u8> {
    let mut out = base.to_vec();
    for name in word.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        out.push(b'/');
        out.extend_from_slice(name);
    }
    if out.is_empty() { b"/".to_vec() } else { out }
}

/// `/proc/self` is another folder for each reader.
fn own_proc(pid: u32, path: Vec<u8>) -> Vec<u8> {
    for own in [b"/proc/self".as_slice(), b"/proc/thread-self"] {
        if let Some(rest) =
            path.strip_prefix(own).filter(|rest| rest.first().is_none_or(|&byte| byte == b'/'))
        {
            return [format!("/proc/{pid}").as_bytes(), rest].concat();
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};

    use super::*;

    fn words(base: &[u8], word: &[u8]) -> Words {
        Words { base: base.to_vec(), word: word.to_vec() }
    }

    fn caller() -> Caller {
        Caller { pid: std::process::id(), namespace: own_namespace() }
    }

    #[test]
    fn words_are_put_below_their_folder_and_tidied() {
        let mut places = Places::new();
        let mut path = |base: &[u8], word: &[u8]| places.path(caller(), &words(base, word), false);
        assert_eq!(path(b"/nowhere", b"file"), b"/nowhere/file");
        assert_eq!(path(b"/nowhere", b"./a//b"), b"/nowhere/a/b");
        assert_eq!(path(b"", b"//nowhere/./x"), b"/nowhere/x");
        assert_eq!(path(b"/file", b""), b"/file");
        assert_eq!(path(b"", b"/"), b"/");
        assert_eq!(path(b"", b"/etc"), b"/etc");
        let own = format!("/proc/{}/x/y", std::process::id());
        assert_eq!(path(b"", b"/proc/self/x/y"), own.as_bytes());
        assert_eq!(path(b"", b"/proc/selfish/y"), b"/proc/selfish/y");
    }

    #[test]
    fn links_and_dots_on_the_way_are_resolved_and_the_last_name_only_when_it_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir(real.join("in")).unwrap();
        symlink("in", real.join("link")).unwrap();
        symlink("link/file", real.join("last")).unwrap();
        std::fs::write(real.join("in/file"), "").unwrap();
        let base = real.as_os_str().as_bytes();
        let want = |name: &str| real.join(name).as_os_str().as_bytes().to_vec();
        let mut places = Places::new();
        assert_eq!(places.path(caller(), &words(base, b"link/new"), false), want("in/new"));
        assert_eq!(places.path(caller(), &words(base, b"in/../link/../last"), false), want("last"));
        assert_eq!(places.path(caller(), &words(base, b"last"), true), want("in/file"));
        assert_eq!(places.path(caller(), &words(base, b"last"), false), want("last"));
    }
}

//! Finds the process that was judged, and makes sure that it is still that one.
//!
//! A pid is only a number: it is held by a pidfd first and compared after, so what passes the comparison is what the
//! pidfd holds. /proc is read through a mount of our own that has no place in the file tree, because a miner may
//! mount another process's folder over its own. Changes nothing.

use std::{
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use minesweep_model::{FileId, Process, ProcessKey};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{AtFlags, Dir, Mode, OFlags, openat, readlinkat, statat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, getpid, pidfd_getfd, pidfd_open, pidfd_send_signal},
};

/// Why a process is not touched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// It is no longer the one that was judged.
    Gone,
    /// It must not be, or cannot be; why.
    Refused(String),
}

/// A process that is held: signals reach it or nobody.
pub(crate) struct Held {
    pub(crate) key: ProcessKey,
    pub(crate) pid: Pid,
    pidfd: OwnedFd,
}

impl Held {
    /// Sends `signal`. `Gone` when the process has been reaped.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), NotDone> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::SRCH) => Err(NotDone::Gone),
            Err(refused) => Err(NotDone::Refused(format!(
                "the kernel refused to signal process {}: {refused}",
                self.key.pid
            ))),
        }
    }

    /// A second hold on one of its open files.
    pub(crate) fn file(&self, number: i32) -> rustix::io::Result<OwnedFd> {
        pidfd_getfd(&self.pidfd, number, PidfdGetfdFlags::empty())
    }

    /// Waits until it has ended, at most `limit_ms`. `false` when it has not.
    pub(crate) fn has_ended_within(&self, limit_ms: u32) -> io::Result<bool> {
        let limit =
            Timespec { tv_sec: i64::from(limit_ms / 1000), tv_nsec: i64::from(limit_ms % 1000) * 1_000_000 };
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        loop {
            match poll(&mut fds, Some(&limit)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(failed) => return Err(failed.into()),
            }
        }
    }
}

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// State of the first thread, or of a living one when the first has ended.
    pub(crate) state: u8,
    flags: u64,
    /// Processor time of all threads so far, hundredths of a second.
    pub(crate) cpu_ticks: u64,
    threads: u64,
    pub(crate) start_ticks: u64,
    /// The thread whose folder shows the process: a first thread that has ended shows neither program nor files.
    face: u32,
}

impl Stat {
    pub(crate) fn is_stopped(self) -> bool {
        self.state == b'T'
    }

    /// Ended, perhaps not yet reaped.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// It is ending: a killed process runs on for a moment, to give back what it holds.
    pub(crate) fn is_ending(self) -> bool {
        self.has_ended() || self.flags & PF_EXITING != 0
    }

    fn is_kernel_thread(self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Parses /proc/PID/stat. The name is in brackets and may hold anything, brackets too: the last one ends it.
    fn parse(line: &[u8], face: u32) -> Option<Self> {
        let end = line.iter().rposition(|&byte| byte == b')')?;
        let text = std::str::from_utf8(line.get(end + 1..)?).ok()?;
        let mut fields = text.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let flags = fields.nth(5)?.parse().ok()?;
        let (user, system): (u64, u64) = (fields.nth(4)?.parse().ok()?, fields.next()?.parse().ok()?);
        let threads = fields.nth(4)?.parse().ok()?;
        let start_ticks = fields.nth(1)?.parse().ok()?;
        Some(Self { state, flags, cpu_ticks: user.saturating_add(system), threads, start_ticks, face })
    }
}

/// Our own view of the processes.
pub(crate) struct Proc(OwnedFd);

impl Proc {
    /// A mount of our own where the kernel has that (5.2) and lets us; else /proc as it is.
    pub(crate) fn open() -> io::Result<Self> {
        if let Ok(own) = own_mount() {
            return Ok(Self(own));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(rustix::fs::CWD, "/proc", flags, Mode::empty())?))
    }

    /// Holds the process that was judged. Never process 1, a kernel thread, or ourselves.
    pub(crate) fn hold(&self, judged: &Process) -> Result<Held, NotDone> {
        let held = self.hold_key(judged.key)?;
        if self.is_same_program(judged)? { Ok(held) } else { Err(NotDone::Gone) }
    }

    /// Holds a process whatever it runs now.
    pub(crate) fn hold_key(&self, key: ProcessKey) -> Result<Held, NotDone> {
        let refused = |why: &str| NotDone::Refused(format!("process {} is never touched: {why}", key.pid));
        let pid = i32::try_from(key.pid).ok().and_then(Pid::from_raw).ok_or(NotDone::Gone)?;
        if pid == Pid::INIT {
            return Err(refused("it is the first one, and the machine ends with it"));
        }
        if pid == getpid() {
            return Err(refused("it is Minesweep itself"));
        }
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Err(NotDone::Gone),
            Err(rustix::io::Errno::NOSYS) => {
                return Err(refused("this kernel has no pidfd (5.3), so a reused pid cannot be told"));
            }
            Err(failed) => {
                return Err(NotDone::Refused(format!("cannot hold process {}: {failed}", key.pid)));
            }
        };
        let stat = self.stat(key.pid).map_err(|failed| unreadable(key, &failed))?.ok_or(NotDone::Gone)?;
        if stat.start_ticks != key.start_ticks || stat.has_ended() {
            return Err(NotDone::Gone);
        }
        if stat.is_kernel_thread() {
            return Err(refused("it is a kernel thread"));
        }
        Ok(Held { key, pid, pidfd })
    }

    /// State of a process; `None` when there is no process of that pid. A process goes on when its first thread ends, so
    /// then another thread speaks for it.
    pub(crate) fn stat(&self, pid: u32) -> io::Result<Option<Stat>> {
        let Some(first) = self.thread_stat(pid, pid)? else { return Ok(None) };
        if !first.has_ended() || first.threads < 2 {
            return Ok(Some(first));
        }
        for name in self.names(&format!("{pid}/task"))? {
            let Ok(thread) = name.parse() else { continue };
            match self.thread_stat(pid, thread)? {
                Some(living) if !living.has_ended() => {
                    let Stat { state, face, flags, .. } = living;
                    return Ok(Some(Stat { state, face, flags, ..first }));
                }
                Some(_) | None => {}
            }
        }
        Ok(Some(first))
    }

    fn thread_stat(&self, pid: u32, thread: u32) -> io::Result<Option<Stat>> {
        // The file of the process itself: only that one has the time of all threads.
        let path = if pid == thread { format!("{pid}/stat") } else { format!("{pid}/task/{thread}/stat") };
        match self.read(&path) {
            Ok(text) => {
                let stat = Stat::parse(&text, thread)
                    .ok_or_else(|| io::Error::other("its stat file has an unknown form"))?;
                Ok(Some(stat))
            }
            Err(failed) if is_no_process(&failed) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// Folder of the thread that shows the process.
    fn face(&self, pid: u32) -> io::Result<String> {
        let ended = || io::Error::from_raw_os_error(libc::ESRCH);
        Ok(format!("{pid}/task/{}", self.stat(pid)?.ok_or_else(ended)?.face))
    }

    /// Whether a process of that key runs, or waits to be reaped.
    pub(crate) fn is_alive(&self, key: ProcessKey) -> io::Result<bool> {
        Ok(self.stat(key.pid)?.is_some_and(|stat| stat.start_ticks == key.start_ticks && !stat.has_ended()))
    }

    /// This process.
    pub(crate) fn ourselves(&self) -> io::Result<ProcessKey> {
        let pid = getpid().as_raw_nonzero().get().unsigned_abs();
        let stat = self.stat(pid)?.ok_or_else(|| io::Error::other("this process is missing from /proc"))?;
        Ok(ProcessKey { pid, start_ticks: stat.start_ticks })
    }

    /// Id of this boot.
    pub(crate) fn boot_id(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.read("sys/kernel/random/boot_id")?).trim().to_owned())
    }

    /// Whether root here is root everywhere, and not only inside a user namespace.
    pub(crate) fn is_root_everywhere(&self) -> io::Result<bool> {
        let map = String::from_utf8_lossy(&self.read("self/uid_map")?).into_owned();
        let fields: Vec<&str> = map.split_ascii_whitespace().collect();
        Ok(rustix::process::geteuid().is_root() && fields == ["0", "0", "4294967295"])
    }

    /// The network namespace of a process; `None` when it is our own.
    pub(crate) fn other_network(&self, pid: u32) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let its = openat(&self.0, format!("{}/ns/net", self.face(pid)?), flags, Mode::empty())?;
        let (there, here) =
            (rustix::fs::fstat(&its)?, statat(&self.0, "thread-self/ns/net", AtFlags::empty())?);
        Ok(((there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)).then_some(its))
    }

    /// Numbers of the sockets that a process has open, of its first 65,536 files.
    pub(crate) fn sockets(&self, pid: u32) -> io::Result<Vec<i32>> {
        let files = format!("{}/fd", self.face(pid)?);
        let is_socket = |name: &String| {
            readlinkat(&self.0, format!("{files}/{name}"), Vec::new())
                .is_ok_and(|link| link.to_bytes().starts_with(b"socket:"))
        };
        Ok(self.names(&files)?.into_iter().filter(is_socket).filter_map(|name| name.parse().ok()).collect())
    }

    /// Names in a folder, at most 65,536.
    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listing = Dir::new(openat(&self.0, folder, flags, Mode::empty())?)?;
        listing.take(NAMES_LIMIT).map(|name| Ok(name?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Where the version 2 control groups are mounted; the first such mount that we see.
    pub(crate) fn cgroup2(&self) -> io::Result<Option<String>> {
        let mounts = String::from_utf8_lossy(&self.read("self/mounts")?).into_owned();
        Ok(mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (place, kind) = (fields.nth(1)?, fields.next()?);
            (kind == "cgroup2").then(|| place.to_owned())
        }))
    }

    /// By file, or where the two sensors number a file differently (overlay, btrfs), by path.
    fn is_same_program(&self, judged: &Process) -> Result<bool, NotDone> {
        let Some(file) = judged.file else { return Ok(true) };
        let exe = match self.face(judged.key.pid) {
            Ok(face) => format!("{face}/exe"),
            Err(ended) if is_no_process(&ended) => return Ok(false),
            Err(failed) => return Err(unreadable(judged.key, &failed)),
        };
        let now = match statat(&self.0, &exe, AtFlags::empty()) {
            Ok(now) => FileId { dev: now.st_dev, inode: now.st_ino },
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => return Ok(false),
            Err(failed) => return Err(unreadable(judged.key, &failed.into())),
        };
        if now == file {
            return Ok(true);
        }
        match readlinkat(&self.0, &exe, Vec::new()) {
            Ok(path) => Ok(path.to_string_lossy().trim_end_matches(" (deleted)") == judged.exe),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => Ok(false),
            Err(failed) => Err(unreadable(judged.key, &failed.into())),
        }
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file =
            std::fs::File::from(openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?);
        let mut bytes = Vec::new();
        file.take(READ_LIMIT_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl AsFd for Proc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn own_mount() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn unreadable(key: ProcessKey, failed: &io::Error) -> NotDone {
    NotDone::Refused(format!(
        "cannot make sure that process {} is the one that was judged: {failed}",
        key.pid
    ))
}

/// What /proc answers of a process that has ended.
pub(crate) fn is_no_process(failed: &io::Error) -> bool {
    matches!(failed.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// `PF_EXITING` of linux/sched.h.
const PF_EXITING: u64 = 0x4;
/// `PF_KTHREAD` of linux/sched.h.
const PF_KTHREAD: u64 = 0x0020_0000;
/// As many as a process may have open by the limit that services are commonly given.
const NAMES_LIMIT: usize = 65_536;
/// More than any file that is read here; the mount table of a machine with many containers is the largest.
const READ_LIMIT_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_brackets_and_spaces_does_not_shift_the_fields() {
        let tail = "S 1 2 3 0 -1 4194304 5 6 7 8 9 10 11 12 20 0 1 0 4242 99";
        let want = Some(Stat {
            state: b'S',
            flags: 4_194_304,
            cpu_ticks: 19,
            threads: 1,
            start_ticks: 4242,
            face: 7,
        });
        for name in ["sleep", ") T 0 0", "a) S (b)", ""] {
            assert_eq!(Stat::parse(format!("7 ({name}) {tail}").as_bytes(), 7), want, "{name}");
        }
        for short in [&b""[..], b"7 (sleep", b"7 (sleep)", b"7 (sleep) S 1 2", b"7 (sleep) S 1 2 3 0 -1 x"] {
            assert_eq!(Stat::parse(short, 7), None);
        }
    }

    #[test]
    fn a_process_that_was_killed_is_ending_while_it_still_runs() {
        let line =
            |state, flags| format!("7 (a) {state} 1 2 3 0 -1 {flags} 5 6 7 8 9 10 11 12 20 0 1 0 4242 99");
        let is_ending = |state, flags| Stat::parse(line(state, flags).as_bytes(), 7).unwrap().is_ending();
        assert!(is_ending('R', 0x0040_0004) && is_ending('Z', 0x0040_0004));
        assert!(!is_ending('R', 0x0040_0000) && !is_ending('T', 0x0040_0100));
    }

    #[test]
    fn the_first_process_and_ourselves_are_refused_by_name() {
        let proc = Proc::open().unwrap();
        let ourselves = proc.ourselves().unwrap();
        let first = ProcessKey { pid: 1, start_ticks: proc.stat(1).unwrap().unwrap().start_ticks };
        for (key, word) in [(ourselves, "Minesweep itself"), (first, "the first one")] {
            let Err(NotDone::Refused(why)) = proc.hold_key(key) else { panic!("{key:?} was held") };
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn a_kernel_thread_is_refused_where_one_can_be_seen() {
        let proc = Proc::open().unwrap();
        let Some(stat) = proc.stat(2).unwrap().filter(|stat| stat.is_kernel_thread()) else { return };
        let Err(NotDone::Refused(why)) = proc.hold_key(ProcessKey { pid: 2, start_ticks: stat.start_ticks })
        else {
            panic!("a kernel thread was held")
        };
        assert!(why.contains("kernel thread"), "{why}");
    }

    #[test]
    fn no_pid_and_pids_beyond_the_kernel_are_gone() {
        let proc = Proc::open().unwrap();
        for pid in [0, u32::MAX, i32::MAX as u32] {
            assert_eq!(proc.hold_key(ProcessKey { pid, start_ticks: 0 }).err(), Some(NotDone::Gone));
        }
    }
}

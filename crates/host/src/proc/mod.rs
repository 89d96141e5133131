//! Processes as `/proc` tells of them.
//!
//! Everything a process can choose itself (name, arguments, path) is bytes here and text only at the end, bounded and
//! lossy. Reads through [`root`], which nothing can cover. Does not find what the kernel is made to hide: `hidden`.

mod cgroup;
pub(crate) mod origin;
pub(crate) mod root;
mod running;
pub(crate) mod stat;
pub(crate) mod status;

use std::{
    io,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use minesweep_model::{Origin, Process, ProcessKey};
use rustix::fs::AtFlags;
use rustix::time::{ClockId, clock_gettime};

pub use self::{cgroup::container, running::running};
use self::{root::Folder, stat::Stat, status::Status};

/// Most processes that are listed: 16 times what a busy container host runs, 1/64 of the largest `pid_max`.
pub const MAX_PROCESSES: usize = 65_536;
/// Most bytes of arguments that are kept (model: `Process`).
const ARGV_BYTES: usize = 4096;
/// Most arguments that are kept.
const ARGV_WORDS: usize = 128;
/// Most bytes of `/proc/PID/cgroup`: 16 hierarchies with the longest path.
const CGROUP_BYTES: usize = 64 << 10;

/// The pids in /proc, in the order of the kernel's listing; at most [`MAX_PROCESSES`].
///
/// By `getdents64` itself, so a preload library cannot leave one out.
///
/// # Errors
/// When /proc cannot be listed.
pub fn list() -> io::Result<Vec<u32>> {
    Ok(listing()?.0)
}

/// The same; true when there were more. Opens the folder anew: a shared one would share the position too.
pub(crate) fn listing() -> io::Result<(Vec<u32>, bool)> {
    Folder::open_in(root::root()?, ".")?.numbers(MAX_PROCESSES)
}

/// Whether we run in a pid namespace that is not the machine's first one.
pub fn is_in_container() -> bool {
    // PROC_PID_INIT_INO of linux/proc_ns.h: the first one has a number of its own.
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() != "pid:[4026531836]")
}

/// The key of a running process.
///
/// # Errors
/// When the process has ended.
pub fn key(pid: u32) -> io::Result<ProcessKey> {
    let mut buffer = Vec::new();
    Ok(ProcessKey { pid, start_ticks: stat::read(pid, &mut buffer)?.start_ticks })
}

/// Everything that is known of a running process. What cannot be read stays empty.
///
/// # Errors
/// When the process has ended.
pub fn read(pid: u32) -> io::Result<Process> {
    read_in(&Folder::open(pid)?, pid)
}

/// The same through an open folder: all of it is of one process, also when the pid is used again meanwhile.
pub(crate) fn read_in(folder: &Folder, pid: u32) -> io::Result<Process> {
    let text = folder.read("stat", root::SMALL)?;
    let Some(stat) = Stat::parse(&text) else { return Err(io::Error::from(io::ErrorKind::InvalidData)) };
    let status = Status::parse(&folder.read("status", root::SMALL)?);
    let executable =
        if stat.is_kernel_thread { Default::default() } else { origin::read(folder).unwrap_or_default() };
    let (cgroup, container) = cgroup::read(&folder.read("cgroup", CGROUP_BYTES).unwrap_or_default());
    Ok(Process {
        key: ProcessKey { pid, start_ticks: stat.start_ticks },
        parent_pid: stat.parent_pid,
        inner_pid: status.inner_pid.filter(|&inner| inner != pid),
        uid: status.effective_uid.or_else(|| owner(folder)).unwrap_or_default(),
        exe: lossy(&executable.path),
        file: executable.file,
        origin: if stat.is_kernel_thread { Origin::Kernel } else { executable.origin },
        comm: lossy(stat.comm),
        argv: words(&folder.read("cmdline", ARGV_BYTES).unwrap_or_default()),
        cwd: folder.link("cwd").map(|path| lossy(&path)).unwrap_or_default(),
        cgroup,
        container,
        started_ms: started_ms(stat.start_ticks),
        threads: stat.threads,
        login_uid: login_uid(folder),
        session: stat.session,
        is_hidden: false,
    })
}

/// All ones outside a login; no such file where the kernel has no audit.
fn login_uid(folder: &Folder) -> Option<u32> {
    let text = folder.read("loginuid", root::SMALL).ok()?;
    stat::number(text.trim_ascii()).and_then(|uid| u32::try_from(uid).ok()).filter(|&uid| uid != u32::MAX)
}

fn owner(folder: &Folder) -> Option<u32> {
    rustix::fs::statat(folder, "", AtFlags::EMPTY_PATH).ok().map(|stat| stat.st_uid)
}

/// Arguments from their zero-ended form; empty words at the end, which a process leaves when it overwrites them, fall
/// away.
pub(crate) fn words(bytes: &[u8]) -> Vec<String> {
    let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    let used = bytes.get(..end).unwrap_or_default();
    if used.is_empty() {
        return Vec::new();
    }
    used.split(|&b| b == 0).take(ARGV_WORDS).map(lossy).collect()
}

/// Text of bytes that may be none.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Start of a process in Unix milliseconds. The time of boot is worked out once from both clocks, so that it does not
/// move when the wall clock is set; `btime` of /proc/stat does, and knows only seconds.
pub(crate) fn started_ms(start_ticks: u64) -> u64 {
    static BOOT_MS: OnceLock<u64> = OnceLock::new();
    let boot_ms = *BOOT_MS.get_or_init(|| now_ms().saturating_sub(since_boot_ms()));
    boot_ms.saturating_add(start_ticks.saturating_mul(10))
}

/// Milliseconds since boot, time asleep included: the clock of `start_ticks`.
pub(crate) fn since_boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000_000)
}

/// Now, Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_blanks_and_lose_the_padding() {
        assert_eq!(words(b"/bin/sh\0-c\0a b\0"), ["/bin/sh", "-c", "a b"]);
        assert_eq!(words(b"a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(words(b"nginx: master process\0\0\0\0"), ["nginx: master process"]);
        assert_eq!(words(b"no end"), ["no end"]);
        assert_eq!(words(b"\0\0"), Vec::<String>::new());
        assert_eq!(words(b"\xff\0"), ["\u{fffd}"]);
        assert_eq!(words(&b"x\0".repeat(1000)).len(), ARGV_WORDS);
    }
}

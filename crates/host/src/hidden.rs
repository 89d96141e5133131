//! Processes that the kernel runs but a plain listing of /proc does not show.
//!
//! A preload library lies to programs, not to us. A kernel module that hooks the listing is caught by asking in other
//! ways: a signal that is never sent, the control groups, and the BPF task iterator when the caller has it. A mount
//! over /proc/PID leaves the number in the listing and takes the content away; that is `Covered`. A module that hooks
//! all of these ways is not found here; the CPU time that nobody used still gives it away (`cpu`).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use minesweep_model::Process;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, RawDir, openat};

use crate::proc::{self, MAX_PROCESSES, lossy, origin::own_mounts, root};

/// Most control groups that are looked at.
const MAX_GROUPS: usize = 8192;
/// Most bytes of a `cgroup.procs`: 100,000 pids.
const PROCS_BYTES: usize = 1 << 20;

/// How a process is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Its pid is missing from the listing.
    NotListed,
    /// Something is mounted over its folder.
    Covered,
}

/// A process that is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its pid.
    pub pid: u32,
    /// How it is hidden.
    pub how: How,
    /// What could be read of it; only the pid is known when its folder cannot be opened either.
    pub process: Option<Process>,
}

/// Finds hidden processes. `iterated` are pids from elsewhere, as the BPF task iterator gives them; none is fine.
/// Tries each pid up to `pid_max`: 0.15 s of CPU time for a million.
///
/// # Errors
/// When /proc cannot be listed.
pub fn find(iterated: &[u32]) -> io::Result<Vec<Hidden>> {
    let before = listed()?;
    let unlisted = (1..=pid_max()).filter(|&pid| !before.contains(&pid) && is_alive(pid)).collect::<Vec<_>>();
    compare(&before, unlisted.into_iter().chain(iterated.iter().copied()))
}

/// The same without trying each pid: what the control groups and the mounts tell, in milliseconds.
///
/// # Errors
/// When /proc cannot be listed.
pub fn find_quickly() -> io::Result<Vec<Hidden>> {
    compare(&listed()?, std::iter::empty())
}

fn compare(before: &BTreeSet<u32>, told: impl Iterator<Item = u32>) -> io::Result<Vec<Hidden>> {
    let mut suspects: BTreeSet<u32> = grouped();
    suspects.extend(told);
    suspects.retain(|pid| !before.contains(pid));
    if !suspects.is_empty() {
        // One that started meanwhile is in the second listing; one that ended answers to nothing after it.
        let after = listed()?;
        let groups = grouped();
        suspects.retain(|&pid| {
            !after.contains(&pid) && (is_alive(pid) || groups.contains(&pid) || proc::key(pid).is_ok())
        });
    }
    let mut hidden: BTreeMap<u32, How> = suspects.into_iter().map(|pid| (pid, How::NotListed)).collect();
    hidden.extend(covered_pids().into_iter().filter(|&pid| is_alive(pid)).map(|pid| (pid, How::Covered)));
    Ok(hidden
        .into_iter()
        .take(MAX_PROCESSES)
        .map(|(pid, how)| Hidden { pid, how, process: marked(pid) })
        .collect())
}

fn marked(pid: u32) -> Option<Process> {
    proc::read(pid).ok().map(|process| Process { is_hidden: true, ..process })
}

/// The listing that every program on this machine gets.
fn listed() -> io::Result<BTreeSet<u32>> {
    let (pids, _cut) = root::numbers(root::mounted()?.as_fd(), MAX_PROCESSES)?;
    Ok(pids.into_iter().collect())
}

/// Is there a thread group with this id? `tgkill` with signal 0 sends nothing, and unlike `kill` it does not take the
/// id of a thread for a process.
fn is_alive(pid: u32) -> bool {
    let Ok(id) = i32::try_from(pid) else { return false };
    // SAFETY: signal 0 only checks; the call takes three numbers and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, id, id, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

fn pid_max() -> u32 {
    let text = root::read("sys/kernel/pid_max", 32).unwrap_or_default();
    // 2^22 is the kernel's own limit; 32,768 its smallest default.
    lossy(&text).trim().parse().unwrap_or(32_768).min(1 << 22)
}

/// Pids over whose folder something is mounted, as in the mount table of the agent's namespace.
fn covered_pids() -> BTreeSet<u32> {
    let Ok(mounts) = own_mounts() else { return BTreeSet::new() };
    mounts.iter().filter_map(|mount| covered_pid(&mount.point)).collect()
}

fn covered_pid(point: &[u8]) -> Option<u32> {
    let rest = point.strip_prefix(b"/proc/")?;
    let name = rest.split(|&b| b == b'/').next()?;
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The pids in all control groups of the unified hierarchy, or of one old hierarchy where there is none.
fn grouped() -> BTreeSet<u32> {
    let mounts = own_mounts().unwrap_or_default();
    let unified = mounts.iter().find(|mount| mount.kind == b"cgroup2");
    let Some(mount) = unified.or_else(|| mounts.iter().find(|mount| mount.kind == b"cgroup")) else {
        return BTreeSet::new();
    };
    let mut pids = BTreeSet::new();
    let mut waiting = VecDeque::from([PathBuf::from(OsStr::from_bytes(&mount.point))]);
    let mut seen = 0;
    while let Some(path) = waiting.pop_front() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(group) = rustix::fs::open(&path, flags, Mode::empty()) else { continue };
        pids.extend(members(&group));
        let below = folders(&group, MAX_GROUPS.saturating_sub(seen));
        seen += below.len();
        waiting.extend(below.iter().map(|name| path.join(name)));
    }
    pids
}

fn members(group: &OwnedFd) -> Vec<u32> {
    let Ok(file) = openat(group, "cgroup.procs", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return Vec::new();
    };
    let mut text = Vec::new();
    // A threaded group gives EOPNOTSUPP; its processes stand in its parent.
    if root::fill(&file, PROCS_BYTES, &mut text).is_err() {
        return Vec::new();
    }
    lossy(&text).lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid != 0).collect()
}

/// The names of the folders in a folder, at most `room`.
fn folders(folder: &OwnedFd, room: usize) -> Vec<OsString> {
    let mut found = Vec::new();
    let mut buffer = Vec::with_capacity(8 << 10);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        if found.len() == room {
            break;
        }
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            found.push(OsStr::from_bytes(name.to_bytes()).to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_on_a_process_or_in_it_covers_it() {
        assert_eq!(covered_pid(b"/proc/812"), Some(812));
        assert_eq!(covered_pid(b"/proc/812/fd"), Some(812));
        assert_eq!(covered_pid(b"/proc/sys/fs/binfmt_misc"), None);
        assert_eq!(covered_pid(b"/procedures/1"), None);
        assert_eq!(covered_pid(b"/proc"), None);
    }

    #[test]
    fn a_thread_is_not_a_process() {
        let (tell, told) = std::sync::mpsc::channel();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            held.recv().ok();
        });
        let thread_id = u32::try_from(told.recv().unwrap()).unwrap();
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(thread_id));
        drop(release);
        thread.join().unwrap();
    }
}

//! System programs and libraries against the sums of their packages.
//!
//! Only what people rely on to see and to log in. A sum is worked out once for a file and again when the file changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use md5::{Digest, Md5};
use minesweep_model::{HidingFact, Owner};
use rustix::fs::{FileType, lstat};

use super::{
    Found,
    packages::{Packages, real},
    pieces,
};
use crate::proc::lossy;

/// Programs, looked for in [`FOLDERS`].
const PROGRAMS: [&str; 62] = [
    "ps",
    "ls",
    "top",
    "htop",
    "netstat",
    "ss",
    "find",
    "lsof",
    "kill",
    "pkill",
    "pgrep",
    "killall",
    "pstree",
    "pidof",
    "login",
    "sshd",
    "ssh",
    "sudo",
    "su",
    "passwd",
    "crontab",
    "cron",
    "crond",
    "systemctl",
    "systemd",
    "journalctl",
    "init",
    "curl",
    "wget",
    "bash",
    "sh",
    "dash",
    "cat",
    "grep",
    "egrep",
    "awk",
    "sed",
    "stat",
    "du",
    "df",
    "lsattr",
    "chattr",
    "lsmod",
    "insmod",
    "modprobe",
    "rmmod",
    "kmod",
    "mount",
    "umount",
    "iptables",
    "nft",
    "ip",
    "ifconfig",
    "last",
    "lastlog",
    "who",
    "w",
    "id",
    "md5sum",
    "sha256sum",
    "dpkg",
    "debsums",
];
const FOLDERS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];
/// Libraries and folders of them, below each folder for libraries.
const LIBRARY_FOLDERS: [&str; 5] =
    ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib/openssh"];
const LIBRARIES: [&str; 6] =
    ["libc.so.6", "ld-linux-x86-64.so.2", "libpam.so.0", "libnss_files.so.2", "sshd-session", "libcap.so.2"];
/// Modules of login, below the same.
const LOGIN_MODULES: &str = "security";
/// Most modules of login of one folder.
const MODULES_LIMIT: usize = 256;
/// Largest file whose sum is worked out; the largest of these in Debian 12 has 4 MB.
const FILE_BYTES: usize = 32 << 20;
/// Files beside a replaced one that may be the original.
const NEIGHBOURS: usize = 16;
/// Other folders where originals are put.
const HIDEOUTS: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/usr/local/bin"];

/// Device, inode, size and time of change: what a file was when its sum was worked out.
type State = (u64, u64, i64, i64, u64);

/// The sums that were worked out.
#[derive(Debug, Default)]
pub(super) struct Commands(BTreeMap<Vec<u8>, (State, String)>);

/// A file, by its usual path and by where that leads.
struct Program {
    path: Vec<u8>,
    real: Vec<u8>,
}

impl Commands {
    pub(super) fn find(&mut self, packages: &mut Packages) -> io::Result<Vec<Found>> {
        if !Packages::is_there() || packages.is_busy() {
            return Ok(Vec::new());
        }
        let programs = programs();
        packages.learn(programs.iter().flat_map(|one| [one.path.as_slice(), one.real.as_slice()]));
        let mut found = Vec::new();
        for program in &programs {
            found.extend(self.judge(program, packages)?.map(Found::new));
        }
        Ok(found)
    }

    fn judge(&mut self, program: &Program, packages: &Packages) -> io::Result<Option<HidingFact>> {
        let Program { path, real } = program;
        let owner = packages.owner(real);
        let Owner::Package(package) = owner else {
            // The package brought a file or link here, and it leads out of what packages brought.
            let is_replaced = path != real && owner == Owner::Nobody;
            let Owner::Package(package) = packages.owner(path) else { return Ok(None) };
            let target = Some(lossy(real));
            let fact = HidingFact::Replaced { path: lossy(path), package, target, original: None };
            return Ok(is_replaced.then_some(fact));
        };
        let Some(wanted) = packages.sum(&package, real) else { return Ok(None) };
        let Some(sum) = self.sum(real)? else { return Ok(None) };
        if sum == wanted {
            return Ok(None);
        }
        let original = original(real, &wanted);
        Ok(Some(HidingFact::Replaced { path: lossy(real), package, target: None, original }))
    }

    /// The sum of a file; `None` when it is gone or too large.
    fn sum(&mut self, path: &[u8]) -> io::Result<Option<String>> {
        let Some(state) = state(path) else { return Ok(None) };
        if let Some((_, sum)) = self.0.get(path).filter(|(known, _)| *known == state) {
            return Ok(Some(sum.clone()));
        }
        let sum = sum_of(path)?;
        if let Some(sum) = &sum {
            self.0.insert(path.to_vec(), (state, sum.clone()));
        }
        Ok(sum)
    }
}

fn state(path: &[u8]) -> Option<State> {
    let stat = lstat(path).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    is_file.then_some((stat.st_dev, stat.st_ino, stat.st_size, stat.st_ctime, stat.st_ctime_nsec))
}

fn sum_of(path: &[u8]) -> io::Result<Option<String>> {
    let Some(file) = pieces::regular(path)? else { return Ok(None) };
    let mut sum = Md5::new();
    if !pieces::bytes(&file, FILE_BYTES, &mut |piece| sum.update(piece))? {
        return Ok(None);
    }
    Ok(Some(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// The programs that are there, each file once.
fn programs() -> Vec<Program> {
    let named = FOLDERS.iter().flat_map(|folder| PROGRAMS.iter().map(move |name| format!("{folder}/{name}")));
    let libraries = LIBRARY_FOLDERS
        .iter()
        .flat_map(|folder| LIBRARIES.iter().map(move |name| format!("{folder}/{name}")));
    let modules = LIBRARY_FOLDERS.iter().flat_map(|folder| modules(&format!("{folder}/{LOGIN_MODULES}")));
    let mut known = BTreeSet::new();
    named
        .map(String::into_bytes)
        .chain(libraries.map(String::into_bytes))
        .chain(modules)
        .filter_map(|path| {
            let real = real(&path).ok()?;
            known.insert(real.clone()).then_some(Program { path, real })
        })
        .collect()
}

fn modules(folder: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths =
        entries.take(MODULES_LIMIT).flatten().map(|entry| entry.path().into_os_string().into_encoded_bytes());
    paths.filter(|path| path.ends_with(b".so")).collect()
}

/// A file with the content that the package brought, beside the replaced one or where such things are put.
fn original(path: &[u8], wanted: &str) -> Option<String> {
    let path = Path::new(OsStr::from_bytes(path));
    let name = path.file_name()?.as_bytes();
    let beside = path.parent()?;
    let folders = std::iter::once(beside).chain(HIDEOUTS.iter().map(Path::new));
    let candidates = folders.flat_map(|folder| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|other| {
            other != path && is_kept_name(other.file_name().unwrap_or_default().as_bytes(), name)
        })
    });
    candidates
        .take(NEIGHBOURS)
        .find(|other| {
            let bytes = other.as_os_str().as_bytes();
            state(bytes).is_some() && sum_of(bytes).is_ok_and(|sum| sum.as_deref() == Some(wanted))
        })
        .map(|other| lossy(other.as_os_str().as_bytes()))
}

/// `ps.bak`, `.ps`, `ps_orig`, `ps1`; not `pstree`, which is another program.
fn is_kept_name(other: &[u8], name: &[u8]) -> bool {
    let bare = other.strip_prefix(b".").unwrap_or(other);
    bare.strip_prefix(name).is_some_and(|rest| rest.first().is_none_or(|c| !c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_under_which_originals_are_kept_are_told_from_other_programs() {
        for other in ["ps.bak", ".ps", "ps_orig", "ps1", "ps-old", "ps"] {
            assert!(is_kept_name(other.as_bytes(), b"ps"), "{other}");
        }
        for other in ["pstree", "lps", "psql.bak", ""] {
            assert!(!is_kept_name(other.as_bytes(), b"ps"), "{other}");
        }
    }
}

//! Files that are locked by an attribute, and names that are not plain, in folders where things start from or are
//! dropped.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use minesweep_model::{HidingFact, Owner};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::{FACTS_LIMIT, Found};
use crate::proc::lossy;

/// Folders, and how many folders deep they are read.
const FOLDERS: [(&str, u8); 23] = [
    ("/", 1),
    ("/etc", 1),
    ("/etc/cron.d", 1),
    ("/etc/cron.hourly", 1),
    ("/etc/cron.daily", 1),
    ("/etc/cron.weekly", 1),
    ("/etc/cron.monthly", 1),
    ("/var/spool/cron", 2),
    ("/etc/systemd", 3),
    ("/etc/init.d", 1),
    ("/etc/profile.d", 1),
    ("/etc/ssh", 2),
    ("/lib/systemd/system", 1),
    ("/root", 1),
    ("/root/.ssh", 1),
    ("/home", 1),
    ("/tmp", 3),
    ("/var/tmp", 3),
    ("/dev/shm", 3),
    ("/usr/bin", 1),
    ("/usr/sbin", 1),
    ("/usr/local", 2),
    ("/dev", 1),
];
/// Most entries of one folder and what lies below it.
const ENTRIES_LIMIT: usize = 8192;
/// Most odd names of one round.
const NAMES_LIMIT: usize = 32;
/// Most homes whose keys are looked at.
const HOMES_LIMIT: usize = 256;

/// What was found, each kind with its own bound: a flood of the one does not push the other out.
#[derive(Default)]
struct Finds {
    names: Vec<Found>,
    locked: Vec<Found>,
    lost: u64,
}

/// Locked files and odd names.
pub(super) fn find() -> Vec<Found> {
    let mut finds = Finds::default();
    for (folder, depth) in FOLDERS {
        walk(Path::new(folder), depth, &mut finds);
    }
    let homes = std::fs::read_dir("/home").into_iter().flatten().take(HOMES_LIMIT).flatten();
    for home in homes {
        walk(&home.path().join(".ssh"), 1, &mut finds);
    }
    let Finds { names, mut locked, lost } = finds;
    if lost > 0 {
        tracing::warn!(lost, "files were left out of the look for hidden things because there were too many");
    }
    locked.extend(names);
    locked
}

fn walk(folder: &Path, depth: u8, finds: &mut Finds) {
    let mut waiting: Vec<(PathBuf, u8)> = vec![(folder.to_owned(), depth)];
    let mut room = ENTRIES_LIMIT;
    while let Some((folder, depth)) = waiting.pop() {
        // A folder that is not there, or ended meanwhile, has nothing to tell.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Some(left) = room.checked_sub(1) else {
                finds.lost += 1;
                return;
            };
            room = left;
            let path = entry.path();
            look(&path, finds);
            if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push((path, depth - 1));
            }
        }
    }
}

fn look(path: &Path, finds: &mut Finds) {
    let bytes = path.as_os_str().as_bytes();
    if path.file_name().is_some_and(|name| !is_plain(name)) {
        if finds.names.len() < NAMES_LIMIT {
            finds.names.push(Found::new(HidingFact::Name { path: lossy(bytes) }));
        } else {
            finds.lost += 1;
        }
    }
    let Some(attributes) = attributes(path) else { return };
    if !attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        return;
    }
    if finds.locked.len() == FACTS_LIMIT {
        finds.lost += 1;
        return;
    }
    let is_immutable = attributes.contains(StatxAttributes::IMMUTABLE);
    let fact = HidingFact::Locked { path: lossy(bytes), is_immutable, owner: Owner::Unknown };
    finds.locked.push(Found { process: None, fact, file: Some(bytes.to_vec()) });
}

/// Attributes without opening the file: opening a device or a pipe does things. Linux 4.11.
fn attributes(path: &Path) -> Option<StatxAttributes> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, path, flags, StatxFlags::TYPE).ok().map(|stat| stat.stx_attributes)
}

/// Neither dots nor blanks at its ends, and all of it shown. More than is odd is not plain; the engine decides.
fn is_plain(name: &OsStr) -> bool {
    let Some(text) = name.to_str() else { return true };
    let is_end_plain = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    let is_shown = |c: char| !c.is_control() && !matches!(c, '\u{200b}'..='\u{206f}' | '\u{feff}');
    let mut chars = text.chars();
    is_end_plain(chars.next())
        && is_end_plain(text.chars().next_back())
        && !text.ends_with('.')
        && text.chars().all(is_shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_not_told() {
        for name in ["a", ".a", "a b", "中文", "a.b-c_d"] {
            assert!(is_plain(OsStr::new(name)), "{name}");
        }
        for name in ["...", " a", "a ", "a\u{202e}b", "a\nb", "a."] {
            assert!(!is_plain(OsStr::new(name)), "{name:?}");
        }
        assert!(is_plain(OsStr::from_bytes(b"\xd6\xd0")), "another encoding is no trick");
    }
}

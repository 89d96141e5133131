//! Mounts on and below /proc: in our mount namespace and in that of the first process.

use std::io;

use minesweep_model::{HidingFact, ProcMount};

use super::{Found, read_file};
use crate::proc::{
    self, lossy,
    origin::{Mount, mounts, own_mounts},
    root,
};

/// Most bytes of a mount table: 4096 mounts of 256 bytes.
const TABLE_BYTES: usize = 1 << 20;

pub(super) fn find() -> io::Result<Vec<Found>> {
    let is_in_fstab = read_file(b"/etc/fstab", TABLE_BYTES)?.is_some_and(|text| asks_for_hidepid(&text));
    let mut found: Vec<ProcMount> =
        own_mounts()?.iter().filter_map(|mount| below_proc(mount, is_in_fstab)).collect();
    // In a container the first process is ours, and the table the same.
    found.extend(proc_mounts(&root::read("1/mountinfo", TABLE_BYTES)?, is_in_fstab));
    found.sort_by(|a, b| (&a.point, &a.kind, &a.root).cmp(&(&b.point, &b.kind, &b.root)));
    found.dedup();
    let told = |mount: ProcMount| Found {
        process: covered(&mount.point).and_then(|pid| proc::key(pid).ok()),
        ..Found::new(HidingFact::ProcMount(mount))
    };
    Ok(found.into_iter().map(told).collect())
}

/// What a mount table has on and below /proc.
pub fn proc_mounts(table: &[u8], is_in_fstab: bool) -> Vec<ProcMount> {
    mounts(table).filter_map(|mount| below_proc(&mount, is_in_fstab)).collect()
}

/// The process over whose folder, or in it, something is mounted.
fn covered(point: &str) -> Option<u32> {
    point.strip_prefix("/proc/")?.split('/').next()?.parse().ok()
}

fn below_proc(mount: &Mount, is_in_fstab: bool) -> Option<ProcMount> {
    let is_below = mount.point == b"/proc" || mount.point.starts_with(b"/proc/");
    is_below.then(|| ProcMount {
        point: lossy(&mount.point),
        kind: lossy(&mount.kind),
        root: lossy(&mount.root),
        hidepid: hidepid(&mount.super_options),
        is_in_fstab,
    })
}

/// `hidepid=` of the options; Linux 5.8 writes words, older ones numbers.
fn hidepid(options: &[u8]) -> Option<String> {
    let value = options.split(|&b| b == b',').find_map(|option| option.strip_prefix(b"hidepid="))?;
    (value != b"0" && value != b"off").then(|| lossy(value))
}

fn asks_for_hidepid(fstab: &[u8]) -> bool {
    fstab
        .split(|&b| b == b'\n')
        .filter(|line| !line.trim_ascii_start().starts_with(b"#"))
        .any(|line| line.windows(8).any(|part| part == b"hidepid="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidepid_is_read_in_both_forms_and_asked_for_only_by_a_line_that_counts() {
        assert_eq!(hidepid(b"rw,hidepid=2,gid=4").unwrap(), "2");
        assert_eq!(hidepid(b"rw,hidepid=invisible").unwrap(), "invisible");
        assert_eq!(hidepid(b"rw,hidepid=0"), None);
        assert_eq!(hidepid(b"rw"), None);
        assert!(asks_for_hidepid(b"# x\nproc /proc proc defaults,hidepid=2 0 0\n"));
        assert!(!asks_for_hidepid(b"  # proc /proc proc defaults,hidepid=2 0 0\n"));
        assert!(!asks_for_hidepid(b""));
    }
}

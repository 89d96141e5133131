//! Walks over trees made to mislead.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    path::Path,
};

use minesweep_host::walk::{FoundFile, Next, Walk, WalkCounts};
use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, mknodat, openat};

fn walk(root: &Path) -> (BTreeSet<Vec<u8>>, WalkCounts) {
    let (mut paths, mut walk) = (BTreeSet::new(), Walk::default());
    let mut visit = |found: FoundFile| {
        let below = root.as_os_str().len();
        paths.insert(found.path.get(below..).unwrap().to_vec());
        Next::Go
    };
    walk.below(root, &mut visit).unwrap();
    (paths, walk.counts)
}

#[test]
fn names_of_any_bytes_are_handed_over_as_they_are() {
    let root = tempfile::tempdir().unwrap();
    let names: [&[u8]; 4] = [b"\xff\xfe", b"two\nlines", b"\x1b[2Jgone", b"- -rf *"];
    for name in names {
        fs::write(root.path().join(OsStr::from_bytes(name)), b"x").unwrap();
    }
    let want = names.iter().map(|name| [b"/", *name].concat()).collect();
    assert_eq!(walk(root.path()).0, want);
}

#[test]
fn links_pipes_and_sockets_are_passed_over_and_a_link_to_above_ends() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("a")).unwrap();
    fs::write(root.path().join("a/file"), b"x").unwrap();
    symlink(root.path(), root.path().join("a/loop")).unwrap();
    symlink("/etc/passwd", root.path().join("a/passwd")).unwrap();
    mknodat(CWD, root.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = UnixListener::bind(root.path().join("socket")).unwrap();
    let (paths, counts) = walk(root.path());
    assert_eq!(paths, BTreeSet::from([b"/a/file".to_vec()]));
    assert_eq!(counts, WalkCounts { files: 1, folders: 2, passed: 4, ..WalkCounts::default() });
}

#[test]
fn ten_thousand_folders_in_one_another_are_walked_to_the_end_and_back() {
    const DEEP: u64 = 10_000;
    let root = tempfile::tempdir().unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut folder = openat(CWD, root.path(), flags, Mode::empty()).unwrap();
    for _ in 0..DEEP {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = openat(&folder, "d", flags, Mode::empty()).unwrap();
    }
    let file = OFlags::CREATE | OFlags::WRONLY;
    drop(openat(&folder, "deep", file, Mode::RUSR).unwrap());
    fs::create_dir(root.path().join("a")).unwrap();
    fs::write(root.path().join("a/last"), b"x").unwrap();
    let (paths, counts) = walk(root.path());
    assert_eq!((paths.len(), counts.files, counts.folders, counts.unread), (2, 2, DEEP + 2, 0));
}

#[test]
fn a_walk_enters_no_file_system_without_files_and_ends_when_told() {
    assert_eq!(walk(Path::new("/proc")).1, WalkCounts { mounts: 1, ..WalkCounts::default() });
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(root.path().join(name), b"x").unwrap();
    }
    let mut walk = Walk::default();
    assert_eq!(walk.below(root.path(), &mut |_| Next::End).unwrap(), Next::End);
    assert_eq!(walk.counts.files, 1);
}

#[test]
fn one_file_is_opened_by_its_path_and_a_pipe_is_not() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), b"1234").unwrap();
    assert_eq!(FoundFile::open(&root.path().join("a")).unwrap().unwrap().size_bytes, 4);
    mknodat(CWD, root.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert!(FoundFile::open(&root.path().join("pipe")).unwrap().is_none());
    assert!(FoundFile::open(&root.path().join("gone")).is_err());
}

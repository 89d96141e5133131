//! A disk that does not run: looked at, cleaned and given back, without root's processes and without a mount.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use minesweep_agent::{Config, apply_offline, findings_offline, undo};
use minesweep_model::OutcomeState;

/// The strings that the rule for miners looks for, and nothing that runs.
const STAND_IN: &[u8] =
    b"\x7fELF\x02\x01RandomX\x03\0keepalived\0job_id\0donate-level\0huge-pages-jit\0pause-on-battery\0";

fn write(disk: &Path, path: &str, text: &[u8]) {
    let at = disk.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(&at, text).unwrap();
    fs::set_permissions(&at, Permissions::from_mode(0o755)).unwrap();
}

fn picture(folder: &Path, seen: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            picture(&path, seen);
        }
        let mut text = format!(
            "{:o} {:?} ",
            meta.permissions().mode(),
            meta.is_file().then(|| meta.modified().unwrap())
        );
        text += &format!("{:?}", fs::read_link(&path).ok());
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        seen.insert(path, [text.into_bytes(), content].concat());
    }
}

#[test]
fn a_mounted_disk_is_cleaned_of_what_the_miner_is_linked_to_and_given_back_whole() {
    let held = tempfile::tempdir().unwrap();
    let disk = held.path().join("disk");
    write(&disk, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
    write(&disk, "var/spool/cron/crontabs/root", b"5 * * * * /opt/own\n* * * * * /var/tmp/.x/guard\n");
    write(&disk, "var/tmp/.x/go", STAND_IN);
    write(&disk, "var/tmp/.x/guard", b"#!/bin/sh\n/var/tmp/.x/go\n");
    write(&disk, "var/tmp/honest", b"a file of somebody");
    write(&disk, "etc/systemd/system/net.service", b"[Service]\nExecStart=/var/tmp/.x/guard\n");
    write(&disk, "etc/systemd/system/own.service", b"[Service]\nExecStart=/opt/own\n");
    write(&disk, "opt/own", b"#!/bin/sh\nexec true\n");
    let wants = disk.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir(&wants).unwrap();
    symlink("../net.service", wants.join("net.service")).unwrap();
    symlink("../own.service", wants.join("own.service")).unwrap();
    let (mut before, mut after, mut back) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    picture(&disk, &mut before);

    let config = Config { data_dir: held.path().join("data"), ..Config::default() };
    let found = findings_offline(&config, &disk, &mut || false).unwrap();
    assert!(!held.path().join("data").exists(), "a plan writes nothing");
    let cleaned = apply_offline(&config, &disk, &found.plan, &mut || false).unwrap();
    for outcome in &cleaned.outcomes {
        assert_eq!(outcome.state, OutcomeState::Done, "{outcome:?}");
    }
    assert!(cleaned.is_clean(), "{:?}", cleaned.after.plan.steps);

    picture(&disk, &mut after);
    for gone in [
        "var/tmp/.x",
        "etc/systemd/system/net.service",
        "etc/systemd/system/multi-user.target.wants/net.service",
    ] {
        assert!(!after.contains_key(&disk.join(gone)), "{gone} is left");
    }
    let tab = fs::read(disk.join("var/spool/cron/crontabs/root")).unwrap();
    assert_eq!(tab, b"5 * * * * /opt/own\n");
    for own in ["opt/own", "etc/systemd/system/own.service", "var/tmp/honest", "etc/passwd"] {
        assert_eq!(after.get(&disk.join(own)), before.get(&disk.join(own)), "{own} was touched");
    }

    let (outcomes, cannot) = undo(&config, None).unwrap();
    assert!(
        cannot.is_empty() && outcomes.iter().all(|outcome| outcome.state == OutcomeState::Done),
        "{outcomes:?}"
    );
    picture(&disk, &mut back);
    assert_eq!(back, before);
}

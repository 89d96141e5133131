//! Files of a disk that is looked at without the machine it is of.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, process::Command};

use minesweep_agent::{Config, FileScope, scan_root};
use minesweep_model::{Detection, Report, Severity};

/// A harmless stand-in: the strings that the rule for xmrig asks for, and nothing that runs.
const STAND_IN: &[u8] =
    b"\x7fELF\x02\x01RandomX\x03\0keepalived\0job_id\0donate-level\0huge-pages-jit\0pause-on-battery\0";

fn detections(reports: &[Report]) -> Vec<&Detection> {
    reports
        .iter()
        .filter_map(|report| match report {
            Report::Detection(detection) => Some(detection.as_ref()),
            Report::Host(_) | Report::Incident { .. } | Report::Outcome(_) | Report::Load(_) => None,
        })
        .collect()
}

#[test]
fn a_miner_in_a_package_and_under_a_hostile_name_is_told_with_its_sums_and_near_misses_are_not() {
    let disk = tempfile::tempdir().unwrap();
    let shared = disk.path().join("var/tmp");
    fs::create_dir_all(&shared).unwrap();
    fs::write(shared.join(OsStr::from_bytes(b"\xff\n\x1b[2J")), STAND_IN).unwrap();
    fs::write(shared.join("README"), b"stratum, mining.subscribe, RandomX, donate-level").unwrap();
    fs::write(shared.join("bench"), b"\x7fELF benchmark scrypt hashes per second accepted").unwrap();
    let home = disk.path().join("home/u");
    fs::create_dir_all(home.join("pkg")).unwrap();
    fs::write(home.join("pkg/tool"), STAND_IN).unwrap();
    let packed =
        Command::new("tar").args(["-czf", "a.tar.gz", "--remove-files", "pkg"]).current_dir(&home).status();
    assert!(packed.unwrap().success());

    let (reports, scan) =
        scan_root(&Config::default(), FileScope::Quick, disk.path(), &mut || false).unwrap();

    let told = detections(&reports);
    let files: Vec<_> = told.iter().map(|detection| detection.file.as_ref().unwrap()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    let is_high = |told: &&Detection| told.rule == "mining.miner-file" && told.severity == Severity::High;
    assert!(told.iter().all(is_high));
    let package = files.iter().find(|file| file.path.ends_with("a.tar.gz")).unwrap();
    assert_eq!(package.matches[0].member, "pkg/tool");
    assert!(files.iter().all(|file| file.md5.len() == 32 && file.sha256.len() == 64));
    assert_eq!((scan.read, scan.walk.unread), (3, 0), "a plain text is not worth a quick look");
    let (all, scan) = scan_root(&Config::default(), FileScope::Full, disk.path(), &mut || false).unwrap();
    assert_eq!((detections(&all).len(), scan.read), (2, 4));
}

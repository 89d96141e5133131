//! Infections of harmless parts in a throw-away machine, cleaned by the program itself (tests/range).
//!
//! As root, with cron, cc and chattr; about two minutes. Waits for the machine's own cron to fire after the cleaning.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs a script of tests/range in a machine of its own; its results lie in the folder that comes back.
fn run(script: &str, port: u16) -> tempfile::TempDir {
    let shared = tempfile::tempdir().unwrap();
    let (range, scenarios) = (root().join("tests/range"), root().join("tests/scenarios"));
    fs::copy(env!("CARGO_BIN_EXE_minesweep"), shared.path().join("minesweep")).unwrap();
    for file in ["miner.py", "childless.py"] {
        fs::copy(range.join(file), shared.path().join(file)).unwrap();
    }
    for file in ["pool.py", "hide.c"] {
        fs::copy(scenarios.join(file), shared.path().join(file)).unwrap();
    }
    let ended = Command::new("unshare")
        .args(["--mount", "--pid", "--kill-child", "--fork", "--net", "--uts", "--ipc"])
        .args(["--propagation", "private", "sh"])
        .arg(scenarios.join("enter.sh"))
        .arg(range.join(script))
        .env("SHARED", shared.path())
        .env("PORT", port.to_string())
        .output()
        .unwrap();
    let log = fs::read_to_string(shared.path().join("log")).unwrap_or_default();
    let tail: String = log.lines().rev().take(10).collect::<Vec<_>>().join("\n");
    assert!(shared.path().join("ended").exists(), "{}\n{tail}", String::from_utf8_lossy(&ended.stderr));
    shared
}

fn read(folder: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_miner_with_guard_cron_unit_preload_and_locks_goes_for_good_and_comes_back_only_by_undo() {
    let range = run("first.sh", 8097);
    let plan = read(&range, "plan.txt");
    for bad in [
        "/tmp/.x/guard.sh",
        "/tmp/.x/kworkerd",
        "/tmp/.x/m.py",
        "quarantine /usr/local/lib/libsystem.so",
        "quarantine /etc/systemd/system/net-update.service",
        "quarantine /etc/systemd/system/net-update.timer",
        "drop lines of /var/spool/cron/crontabs/root",
        "drop lines of /etc/ld.so.preload",
    ] {
        assert!(plan.contains(bad), "the plan does not name {bad}:\n{plan}");
    }
    assert!(
        !plan.contains("mining.hidden-cpu"),
        "what runs outside the machine is not hidden in it:\n{plan}"
    );
    assert_eq!(read(&range, "plan.code").trim(), "1");
    // Run by childless.py: the kernel would have ended it at the first fork.
    assert_eq!(read(&range, "apply.code").trim(), "0", "{}", read(&range, "apply.txt"));
    assert_eq!(read(&range, "honest.after"), read(&range, "honest.before"));
    assert_eq!(read(&range, "cron.fired").trim(), "fired", "the machine's own cron did not fire");
    assert_eq!(read(&range, "returned"), "");
    assert_eq!(read(&range, "undo.code").trim(), "0", "{}", read(&range, "undo.txt"));
    assert_eq!(read(&range, "undone"), read(&range, "infected"));
}

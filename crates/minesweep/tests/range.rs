//! Infections of harmless parts, each in a throw-away machine of its own, cleaned by the program itself.
//!
//! An infection is a script of tests/range and a row of this table. As root, with cron, cc and chattr; about three
//! minutes each, most of it waiting for the machine's own cron to fire twice, so they may run side by side
//! (`--test-threads`).

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

infections! {
    a_miner_with_guard_cron_unit_preload_and_locks_goes_for_good_and_comes_back_only_by_undo:
    Infection {
        script: "first.sh",
        planned: &[
            "/tmp/.x/guard.sh",
            "/tmp/.x/kworkerd",
            "/tmp/.x/m.py",
            "quarantine /usr/local/lib/libsystem.so",
            "quarantine /etc/systemd/system/net-update.service",
            "quarantine /etc/systemd/system/net-update.timer",
            "drop lines of /var/spool/cron/crontabs/root",
            "drop lines of /etc/ld.so.preload",
        ],
        never: &[],
    },
}

/// A script of tests/range (run.sh says what it defines), and what the plan must say of it.
struct Infection {
    script: &'static str,
    /// Words of the plan.
    planned: &'static [&'static str],
    /// Words that must not be in the plan.
    never: &'static [&'static str],
}

impl Infection {
    /// Plans, applies, waits for what could bring it back, and undoes.
    fn is_cleaned_and_undone(&self) {
        let range = self.run();
        let plan = read(&range, "plan.txt");
        for bad in self.planned {
            assert!(plan.contains(bad), "the plan does not say {bad}:\n{plan}");
        }
        for honest in self.never.iter().chain(NEVER) {
            assert!(!plan.contains(honest), "the plan says {honest}:\n{plan}");
        }
        assert_eq!(read(&range, "plan.code").trim(), "1");
        // Run by childless.py: the kernel would have ended it at the first fork.
        assert_eq!(read(&range, "apply.code").trim(), "0", "{}", read(&range, "apply.txt"));
        assert_eq!(differences(&range, "honest.before", "honest.after"), "");
        assert_eq!(read(&range, "cron.fired").trim(), "2", "the machine's own cron did not fire twice");
        assert_eq!(read(&range, "returned"), "");
        assert_eq!(read(&range, "undo.code").trim(), "0", "{}", read(&range, "undo.txt"));
        assert_eq!(differences(&range, "infected", "undone"), "");
    }

    /// Runs it in a machine of its own; its results lie in the folder that comes back.
    fn run(&self) -> tempfile::TempDir {
        let shared = tempfile::tempdir().unwrap();
        let (range, scenarios) = (root().join("tests/range"), root().join("tests/scenarios"));
        fs::copy(env!("CARGO_BIN_EXE_minesweep"), shared.path().join("minesweep")).unwrap();
        fs::copy(range.join(self.script), shared.path().join("infection.sh")).unwrap();
        for file in ["miner.py", "childless.py", "state.py"] {
            fs::copy(range.join(file), shared.path().join(file)).unwrap();
        }
        for file in ["pool.py", "hide.c"] {
            fs::copy(scenarios.join(file), shared.path().join(file)).unwrap();
        }
        let ended = Command::new("unshare")
            .args(["--mount", "--pid", "--kill-child", "--fork", "--net", "--uts", "--ipc"])
            .args(["--propagation", "private", "sh"])
            .arg(scenarios.join("enter.sh"))
            .arg(range.join("run.sh"))
            .env("SHARED", shared.path())
            // In a network of its own: the same for all.
            .env("PORT", "8097")
            .output()
            .unwrap();
        let log = fs::read_to_string(shared.path().join("log")).unwrap_or_default();
        let tail: String = log.lines().rev().take(10).collect::<Vec<_>>().join("\n");
        assert!(shared.path().join("ended").exists(), "{}\n{tail}", String::from_utf8_lossy(&ended.stderr));
        shared
    }
}

/// What runs outside the machine is not hidden in it, and honest things of every infection are not touched.
const NEVER: &[&str] =
    &["mining.hidden-cpu", "quarantine /opt/own", "quarantine /etc/systemd/system/own.service"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(folder: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines in which two results differ.
fn differences(folder: &tempfile::TempDir, before: &str, after: &str) -> String {
    let (before, after) = (read(folder, before), read(folder, after));
    let only = |these: &str, those: &str, mark: &str| -> String {
        let known: Vec<&str> = those.lines().collect();
        these.lines().filter(|line| !known.contains(line)).map(|line| format!("{mark} {line}\n")).collect()
    };
    only(&before, &after, "-") + &only(&after, &before, "+")
}

/// A test for each row.
macro_rules! infections {
    ($($name:ident: $infection:expr,)+) => {
        $(
            #[test]
            fn $name() {
                $infection.is_cleaned_and_undone();
            }
        )+
    };
}
use infections;

//! A real sshd, a real log daemon and a real guesser of passwords: who guesses is named, and who gets in is followed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::Value;
use support::{Running, alone, root, rule};

/// Generous for a loaded machine; the measured figure is in docs/spec/access.md.
const LIMIT: Duration = Duration::from_secs(60);
const SOURCE: &str = "198.51.100.7";

fn source(line: &Value) -> Option<&str> {
    line["evidences"][0]["src_endpoint"]["ip"].as_str()
}

/// Guesses at a real sshd that logs to `log`, of which `file` is read, until somebody gets in; twice.
fn guess_and_log_in(dir: &Path, log: &Path, file: &Path) {
    let at = |name: &str| dir.join(name).display().to_string();
    let words: Vec<String> = (0..12).map(|number| format!("word{number}")).collect();
    fs::write(at("words"), format!("{}\ntangerine\n", words.join("\n"))).unwrap();
    fs::write(at("config.toml"), format!("[logs]\nfiles = [{{ path = \"{}\" }}]\n", file.display())).unwrap();
    let watch = Running::watch(&["--config", &at("config.toml")]);
    let mut sshd = Running::start(Command::new(root().join("tests/scenarios/sshd.sh")).arg(log));
    assert_eq!(sshd.line(), "ready");
    sshd.say(&format!("hydra {}\n", at("words")));
    let guessing = watch.find(LIMIT, |line| rule(line) == Some("access.brute-force"));
    let guessing = guessing.expect("the guessing is told");
    assert_eq!(source(&guessing), Some(SOURCE), "{guessing}");
    assert!(guessing["finding_info"]["desc"].as_str().unwrap().contains("for guess"), "{guessing}");
    let entry = watch.find(LIMIT, |line| rule(line) == Some("access.login-after-failures"));
    let entry = entry.expect("the login is told");
    assert_eq!(source(&entry), Some(SOURCE), "{entry}");
    sshd.output(|line| line == "done");
    // A session of its own: what it runs is of the same story.
    sshd.say("login true; true\n");
    let session = watch.find(LIMIT, |line| rule(line) == Some("access.login-after-failures"));
    let process = &session.expect("the second login is told too")["evidences"][0]["process"];
    assert!(process["file"]["path"].as_str().unwrap().ends_with("/sshd"), "{process}");
    sshd.output(|line| line == "done");
    sshd.end();
    watch.terminate();
}

#[test]
fn who_guesses_a_password_at_a_real_sshd_is_named_and_the_session_that_follows_is_the_subject() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    guess_and_log_in(dir.path(), &log, &log);
}

#[test]
fn a_machine_that_has_only_a_journal_tells_the_same() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("journal");
    let machine = fs::read_to_string("/etc/machine-id").unwrap();
    let folder = log.join(machine.trim());
    fs::create_dir_all(&folder).unwrap();
    guess_and_log_in(dir.path(), &log, &folder.join("system.journal"));
}

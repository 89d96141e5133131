//! `minesweep quarantine`: lists, puts back and hands out what a cleaning took.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Output},
};

use minesweep_model::{
    Bytes, Outcome, OutcomeState, Text,
    clean::{CleanStep, Does, Form, Phase, Place, Remedy, Risk},
};
use minesweep_respond::{Options, Responder};

fn taken(root: &Path, data_dir: &Path, path: &[u8]) {
    let place = Place { path: Bytes(path.to_vec()), form: Form::File, ..Place::default() };
    let step = CleanStep {
        id: 1,
        phase: Phase::Remove,
        does: Does::Change(Box::new(Remedy::Quarantine { place })),
        reason: Text::default(),
        evidence: Vec::new(),
        risk: Risk::Low,
        touches: Vec::new(),
    };
    let mut responder = Responder::start(&Options { data_dir: data_dir.to_owned() }).unwrap();
    let mut cleaning = responder.clean(root, 1).unwrap();
    let outcomes = cleaning.carry_out(&[step], "test", 1);
    assert!(matches!(outcomes.as_slice(), [Outcome { state: OutcomeState::Done, .. }]), "{outcomes:?}");
    cleaning.end().unwrap();
}

fn minesweep(data_dir: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_minesweep"))
        .arg("quarantine")
        .args(words)
        .arg("--data-dir")
        .arg(data_dir)
        .env("LANG", "C.UTF-8")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_was_taken_is_listed_without_escape_codes_handed_out_and_put_back() {
    let ground = tempfile::tempdir().unwrap();
    let (root, data_dir) = (ground.path().join("root"), ground.path().join("data"));
    fs::create_dir(&root).unwrap();
    assert_eq!(said(&minesweep(&data_dir, &["list"])), "the quarantine is empty\n");
    let bad = root.join("a\x1b[31m\nb");
    fs::write(&bad, b"content").unwrap();
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o751)).unwrap();
    taken(&root, &data_dir, b"/a\x1b[31m\nb");
    assert!(!bad.exists());

    let list = said(&minesweep(&data_dir, &["list"]));
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(list.contains(r"/a\u{1b}[31m\nb"), "{list}");
    let json: serde_json::Value =
        serde_json::from_str(&said(&minesweep(&data_dir, &["list", "--json"]))).unwrap();
    assert_eq!(json.get("item").and_then(serde_json::Value::as_u64), Some(1));

    let out = ground.path().join("out");
    said(&minesweep(&data_dir, &["export", "1", out.to_str().unwrap()]));
    assert_eq!(fs::read(&out).unwrap(), b"content");
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o777, 0o400);

    said(&minesweep(&data_dir, &["restore", "1"]));
    assert_eq!(fs::read(&bad).unwrap(), b"content");
    assert_eq!(fs::metadata(&bad).unwrap().mode() & 0o7777, 0o751);
    let missing = minesweep(&data_dir, &["restore", "9"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("holds no item 9"));
    assert_eq!(minesweep(&data_dir, &["restore", "many"]).status.code(), Some(2));
}

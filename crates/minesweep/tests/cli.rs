//! Bad calls get one clear line that names the object and the remedy, and the right exit code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Output},
};

use support::{BINARY, Running, alone};

fn call(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).env_remove("LANG").output().unwrap()
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_names_every_command_in_both_languages() {
    for (lang, word) in [("en", "Watch this machine"), ("zh", "监视本机")] {
        let output = Command::new(BINARY).arg("--help").env("MINESWEEP_LANG", lang).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text.contains(word), "{text}");
        for command in
            ["up", "watch", "scan", "doctor", "replay", "rules", "drill", "journal", "undo", "MINESWEEP_LOG"]
        {
            assert!(text.contains(command), "{command} is missing in {text}");
        }
    }
}

#[test]
fn an_unknown_command_flag_or_value_is_named() {
    for (args, word) in [
        (vec!["wach"], "wach"),
        (vec!["watch", "--jsn"], "--jsn"),
        (vec!["watch", "--for", "10x"], "10x"),
        (vec!["watch", "--mode", "blok"], "blok"),
        (vec!["watch", "--price-per-cpu-hour", "NaN"], "NaN"),
        (vec!["up", "--listen", "8443"], "8443"),
        (vec!["watch", "--log", "a=b=c"], "a=b=c"),
        (vec!["replay"], "FILE"),
    ] {
        let text = complaint(&call(&args));
        assert!(text.contains(word), "{args:?}: {text}");
    }
}

#[test]
fn a_complaint_is_chinese_for_who_reads_chinese() {
    for (args, words) in [
        (vec!["--lang", "zh", "watch", "--mode", "blok"], ["--mode", "可选"]),
        (vec!["--lang", "zh", "replay", "/nonexistent"], ["/nonexistent", "请检查"]),
        (vec!["watch", "--lang=zh", "--content", "/nonexistent"], ["/nonexistent", "规则包"]),
        (vec!["--lang", "zh", "watch", "--config", "/nonexistent"], ["/nonexistent", "--config"]),
    ] {
        let text = complaint(&call(&args));
        assert!(words.iter().all(|word| text.contains(word)), "{args:?}: {text}");
    }
}

#[test]
fn a_variable_that_sets_nothing_is_named() {
    let output =
        Command::new(BINARY).arg("rules").arg("test").env("MINESWEEP_MDOE", "block").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("MINESWEEP_MDOE"), "{text}");
    assert!(!text.contains('\u{1b}'), "a log that goes to no terminal has colours: {text}");
}

#[test]
fn where_nothing_was_changed_there_is_nothing_to_undo_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("none");
    for command in ["journal", "undo"] {
        let output = call(&[command, "--data-dir", data.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8(said).unwrap().contains("nothing"), "{command}");
    }
    assert!(!data.exists());
}

#[test]
fn an_unknown_setting_is_named_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("minesweep.toml");
    fs::write(&file, "mdoe = \"block\"\n").unwrap();
    let text = complaint(&call(&["watch", "--config", file.to_str().unwrap()]));
    assert!(text.contains("mdoe") && text.contains("minesweep.toml"), "{text}");
    let text = complaint(&call(&["watch", "--config", "/nonexistent.toml"]));
    assert!(text.contains("/nonexistent.toml"), "{text}");
}

#[test]
fn a_person_who_is_not_root_is_told_so() {
    let _alone = alone();
    let copy = tempfile::tempdir().unwrap();
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = copy.path().join("minesweep");
    support::copy_program(BINARY.as_ref(), &binary);
    for command in ["up", "watch", "scan", "drill"] {
        let output =
            Command::new(&binary).arg(command).uid(65534).gid(65534).env("LANG", "C").output().unwrap();
        let text = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("root"), "{text}");
    }
}

#[test]
fn broken_and_unreadable_content_is_refused_by_name() {
    let _alone = alone();
    let text = complaint(&call(&["watch", "--content", "/nonexistent-content"]));
    assert!(text.contains("/nonexistent-content"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let copied =
        Command::new("cp").arg("-r").arg(support::root().join("content/.")).arg(dir.path()).status().unwrap();
    assert!(copied.success());
    let rule = fs::read_dir(dir.path().join("mining"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension().is_some_and(|e| e == "yml") && !path.to_string_lossy().contains(".cases.")
        })
        .unwrap();
    fs::write(&rule, "id: mining.stratum\nwieght: 1\n").unwrap();
    let text = complaint(&call(&["watch", "--content", dir.path().to_str().unwrap()]));
    assert!(text.contains(rule.file_name().unwrap().to_str().unwrap()), "{text}");
}

#[test]
fn a_busy_port_is_named_with_the_remedy() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = complaint(&call(&["up", "--listen", &address, "--data-dir", dir.path().to_str().unwrap()]));
    assert!(
        text.contains(&taken.local_addr().unwrap().port().to_string()) && text.contains("--listen"),
        "{text}"
    );
}

#[test]
fn a_newer_recording_and_a_file_that_is_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.jsonl");
    fs::write(&file, "{\"minesweep_recording\":99}\n").unwrap();
    let text = complaint(&call(&["replay", file.to_str().unwrap()]));
    assert!(text.contains("99") && text.contains("update"), "{text}");
    fs::write(&file, "hello\n").unwrap();
    let text = complaint(&call(&["replay", file.to_str().unwrap()]));
    assert!(text.contains("pcap"), "{text}");
}

#[test]
fn our_own_rules_pass_their_cases() {
    let output = call(&["rules", "test", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.lines().count() >= 10, "{text}");
}

#[test]
fn the_drill_is_seen_and_cleans_up() {
    let _alone = alone();
    let output = call(&["drill", "--json"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("seen after"), "{text}");
    let left = Command::new("pgrep").args(["-f", "drill --stand-in"]).output().unwrap();
    assert!(left.stdout.is_empty(), "a stand-in is left");
}

#[test]
fn the_doctor_says_what_is_seen_and_what_is_blind() {
    let _alone = alone();
    let output = call(&["doctor"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("sensor"), "{text}");
    let worst = i32::from(text.contains("degraded") || text.contains("missing "));
    assert_eq!(output.status.code(), Some(worst), "{text}");
    let output = call(&["doctor", "--sensor", "proc"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("blind"), "the proc sensor has blind spots");
}

#[test]
fn without_ebpf_a_login_is_still_a_connection_and_a_miner_still_a_load() {
    let _alone = alone();
    let watch = Running::watch(&["--sensor", "proc", "--for", "5s"]);
    assert_eq!(watch.code(), 0);
}

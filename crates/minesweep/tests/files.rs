//! Files that bring a miner, seen while they are written and run. The miner is a harmless stand-in: the strings that
//! the rule asks for, made here, behind the head of a program that never runs or behind a program that only repeats.
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

/// Far more than the 1.2 s that a written file rests before it is read.
const LIMIT: Duration = Duration::from_secs(30);
const WORDS: &[u8] = b"RandomX\x03\0keepalived\0job_id\0donate-level\0huge-pages-jit\0pause-on-battery\0";

fn below_mounts_of_its_own(folder: &Path) -> Running {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh"]);
    Running::start(command.arg(root().join("tests/scenarios/files.sh")).arg(folder))
}

fn sum(tool: &str, path: &Path) -> String {
    let said = Command::new(tool).arg(path).output().unwrap().stdout;
    String::from_utf8(said).unwrap().split(' ').next().unwrap().to_owned()
}

fn file(line: &Value) -> &Value {
    line.pointer("/evidences/0/file").unwrap_or(&Value::Null)
}

fn is_about(line: &Value, path: &str) -> bool {
    rule(line) == Some("mining.miner-file") && file(line)["path"] == path
}

fn has_sums(line: &Value, of: &Path) -> bool {
    let said = file(line)["hashes"].to_string();
    ["md5sum", "sha256sum"].iter().all(|tool| said.contains(&sum(tool, of)))
}

fn writer(line: &Value) -> &str {
    line.pointer("/evidences/0/process/name").and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn a_miner_that_is_written_or_run_below_private_mounts_is_told_with_its_path_its_sums_and_who_did_it() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (stand_in, program) = (folder.path().join("stand-in"), folder.path().join("program"));
    fs::write(&stand_in, [b"\x7fELF\x02\x01", WORDS].concat()).unwrap();
    fs::write(&program, [&fs::read("/bin/cat").unwrap(), WORDS].concat()).unwrap();
    assert!(Command::new("chmod").arg("755").arg(&program).status().unwrap().success());
    let mut dropper = below_mounts_of_its_own(folder.path());
    assert_eq!(dropper.line(), "ready");
    let watch = Running::watch(&[]);

    dropper.say("write\n");
    assert_eq!(dropper.line(), "written");
    let mut wanted = vec![
        ("/usr/local/plain", &["cp"][..], Some(&stand_in)),
        // Its child opens the archive and becomes the packer by way of a shell.
        ("/usr/local/bundle.tar.gz", &["tar", "sh", "gzip"], None),
        ("/usr/local/package/usr/lib/.x", &["cp"], Some(&stand_in)),
        ("/usr/local/package.deb", &["dpkg-deb"], None),
        ("/usr/local/\u{fffd}", &["cp"], Some(&stand_in)),
    ];
    while !wanted.is_empty() {
        let told = watch.find(LIMIT, |line| wanted.iter().any(|(path, ..)| is_about(line, path)));
        let told = told.unwrap_or_else(|| panic!("not told: {wanted:?}; {}", watch.errors_so_far()));
        let at = wanted.iter().position(|(path, ..)| is_about(&told, path)).unwrap();
        let (path, by, same) = wanted.remove(at);
        assert!(by.contains(&writer(&told)), "{path}: {told}");
        assert!(same.is_none_or(|same| has_sums(&told, same)), "{path}: {told}");
    }

    dropper.say("start\n");
    assert_eq!(dropper.line(), "runs");
    let told = watch.find(LIMIT, |line| is_about(line, "/usr/local/started"));
    let told = told.unwrap_or_else(|| panic!("not told; {}", watch.errors_so_far()));
    assert!(has_sums(&told, &program), "{told}");
    assert_eq!(writer(&told), "started", "{told}");
    dropper.end();
    watch.terminate();
}

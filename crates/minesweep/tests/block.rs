//! Block mode: no share leaves. Observe mode: nothing is changed. And nothing harmful is left when the agent dies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{BINARY, Running, alone, is, root, state};

/// Generous for a loaded machine.
const LIMIT: Duration = Duration::from_secs(20);

/// The line that says that this process was stopped.
fn is_frozen(line: &Value, pid: u32) -> bool {
    line["class_uid"] == 7003 && line.to_string().contains(&format!("\"pid\":{pid},"))
}

/// True as soon as it is, within the limit.
fn comes_to(is_so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        if is_so() {
            return true;
        }
        thread::yield_now();
    }
    false
}

fn block(data: &Path) -> Running {
    Running::watch(&["--mode", "block", "--data-dir", data.to_str().unwrap()])
}

#[test]
fn of_a_hundred_miners_that_share_at_once_none_gets_a_share_out() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let pool = Running::script("pool.py", &["--delay", "20"]);
    let port = pool.line();
    let watch = block(data.path());
    for round in 0..100 {
        let dialect = ["cryptonote", "stratum-v1", "eth-proxy", "nicehash"][round % 4];
        let miner = Running::script("miner.py", &[&port, "--dialect", dialect, "--share", "--hold"]);
        let seen = watch.find(LIMIT, |line| is(line, "mining.stratum", miner.pid()));
        assert!(seen.is_some(), "round {round}: {dialect} was not seen");
        let done = watch.find(LIMIT, |line| is_frozen(line, miner.pid()));
        assert!(done.is_some(), "round {round}: nothing was done");
        // On a loaded machine the stop takes when it next gets a processor, before any instruction of its own.
        assert!(comes_to(|| state(miner.pid()) == Some('T')), "round {round}");
        miner.kill();
    }
    watch.terminate();
    assert_eq!(pool.end(), ["shares 0"]);
}

#[test]
fn a_stopped_miner_stays_stopped_when_somebody_wakes_it() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let pool = Running::script("pool.py", &[]);
    let port = pool.line();
    let watch = block(data.path());
    let miner = Running::script("miner.py", &[&port, "--share", "--hold"]);
    watch.find(LIMIT, |line| is_frozen(line, miner.pid())).expect("an action");
    support::signal(miner.pid(), "CONT");
    assert!(comes_to(|| state(miner.pid()) == Some('T')), "{:?}", state(miner.pid()));
    miner.kill();
    watch.terminate();
    assert_eq!(pool.end(), ["shares 0"]);
}

#[test]
fn a_killed_agent_leaves_no_process_frozen_and_its_successor_sees_the_miner() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let pool = Running::script("pool.py", &[]);
    let port = pool.line();
    let python = support::python_with_randomx();
    let compute = Running::start(Command::new(python).arg(root().join("tests/scenarios/compute.py")));
    assert_eq!(compute.line(), "mining");
    let pinned = pins();
    let watch = block(data.path());
    let miner = Running::script("miner.py", &[&port, "--hold"]);
    watch.find(LIMIT, |line| is_frozen(line, miner.pid())).expect("an action");
    assert_eq!(state(miner.pid()), Some('T'));
    watch.kill();
    let thawed = comes_to(|| state(miner.pid()) != Some('T'));
    assert!(thawed, "the miner is still frozen: {:?}", state(miner.pid()));
    assert_eq!(pins(), pinned, "something is pinned");
    let watch = Running::watch(&[]);
    let seen = watch.find(Duration::from_secs(60), |line| is(line, "mining.randomx", compute.pid()));
    assert!(seen.is_some(), "a running miner was not picked up");
    watch.terminate();
    miner.kill();
    compute.end();
    pool.end();
}

/// Pinned programs; other services of the machine may have some.
fn pins() -> Vec<u8> {
    Command::new("ls").args(["-R", "/sys/fs/bpf"]).output().unwrap().stdout
}

/// What observe mode must not change: settings, firewall, mounts, stopped processes, files of the system.
fn machine() -> BTreeMap<&'static str, String> {
    let shell = |script: &str| {
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    BTreeMap::from([
        ("mounts", fs::read_to_string("/proc/self/mountinfo").unwrap()),
        (
            "settings",
            shell(
                "find /proc/sys -type f -perm -u+w -not -name ns_last_pid -not -path '*/random/*' | sort | xargs grep -s . 2>/dev/null",
            ),
        ),
        ("firewall", shell("nft list ruleset 2>/dev/null; iptables-save 2>/dev/null")),
        ("stopped", shell("grep -l '^State:.*[Tt] ' /proc/[0-9]*/status 2>/dev/null")),
        (
            "files",
            shell(
                "find /etc /usr /opt /home /root /var/spool /var/lib/minesweep /run/minesweep -xdev \\( -newer /tmp/.minesweep-test-mark \\) -not -path '*/.cache/*' -not -path '*/.npm/*' -not -path '*/.cargo/*' -type f 2>/dev/null",
            ),
        ),
        ("pins", shell("ls /sys/fs/bpf 2>/dev/null")),
        ("cgroups", shell(CGROUPS)),
    ])
}

/// Every control group but those of systemd's units, which come and go by themselves; of the units those below our own
/// group and those that bear our name.
const CGROUPS: &str = r#"
own=$(sed -n 's/^0:://p' /proc/self/cgroup)/
find /sys/fs/cgroup -type d | sort | awk -v own="$own" \
    'own != "//" && index($0, own) || /minesweep/ || !/\.(service|scope|slice|mount|socket|swap)(\/|$)/'
"#;

#[test]
fn observe_mode_changes_nothing() {
    let _alone = alone();
    let pool = Running::script("pool.py", &[]);
    let port = pool.line();
    fs::write("/tmp/.minesweep-test-mark", "").unwrap();
    let before = machine();
    let watch = Running::watch(&[]);
    let mut miners = Vec::new();
    for dialect in ["cryptonote", "stratum-v1", "eth-proxy"] {
        let miner = Running::script("miner.py", &[&port, "--dialect", dialect, "--share", "--hold"]);
        watch.find(LIMIT, |line| is(line, "mining.stratum", miner.pid())).expect(dialect);
        assert_eq!(miner.line(), "in");
        miners.push(miner);
    }
    let during = machine();
    watch.terminate();
    for (what, text) in &before {
        assert_eq!(text, &during[what], "observe mode changed {what}");
    }
    let group = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for miner in miners {
        assert_eq!(group(&miner.pid().to_string()), group("self"), "observe mode moved a miner");
        miner.end();
    }
    assert_eq!(pool.end(), ["shares 3"]);
    fs::remove_file("/tmp/.minesweep-test-mark").unwrap();
}

#[test]
fn a_run_validates_as_ocsf_and_its_recording_gives_the_same_lines() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("run.jsonl");
    let pool = Running::script("pool.py", &[]);
    let port = pool.line();
    let watch = Running::watch(&[
        "--mode",
        "block",
        "--data-dir",
        dir.path().to_str().unwrap(),
        "--record",
        recording.to_str().unwrap(),
    ]);
    for dialect in ["cryptonote", "stratum-v1", "zcash"] {
        let miner = Running::script("miner.py", &[&port, "--dialect", dialect, "--hold"]);
        watch.find(LIMIT, |line| is_frozen(line, miner.pid())).expect("an action");
        miner.kill();
    }
    let mut live = watch.terminate_for_all();
    pool.end();
    for line in &live {
        ocsf::check_line(line).unwrap_or_else(|why| panic!("{why}\n{line}"));
    }
    let replay =
        Command::new(BINARY).args(["replay", "--json", "--lang", "en"]).arg(&recording).output().unwrap();
    let again: Vec<String> = String::from_utf8(replay.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(live.iter().any(|line| serde_json::from_str::<Value>(line).unwrap()["class_uid"] == 2005));
    assert_eq!(replay.status.code(), Some(1));
    live.retain(|line| !line.is_empty());
    assert_eq!(live, again);
}

#[path = "../../../tests/support/ocsf.rs"]
mod ocsf;

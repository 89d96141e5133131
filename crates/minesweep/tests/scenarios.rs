//! Steps of intrusions and their honest twins, each in a throw-away machine of its own (tests/scenarios/intrusion).
//!
//! Every scenario runs twice with names, places, ports and tools drawn from a seed that is printed; `SCENARIO_SEED`
//! draws others, `SCENARIO_ONLY` runs those whose id begins so. `BLESS=1` writes docs/spec/coverage.md. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;
use support::{Running, alone, root};

/// How long a detection may take after its deed.
const LIMIT: Duration = Duration::from_secs(20);
/// Variants of each scenario.
const VARIANTS: usize = 2;
/// Scenarios at once: they mostly wait.
const AT_ONCE: usize = 4;
/// Drawn when nobody names another.
const SEED: u64 = 20_261_125;

/// Into the control group first, so that every process of the machine began in it.
const ENTER: &str = r#"echo 0 > "$1/cgroup.procs" && exec unshare --mount --pid --fork --net --uts --ipc \
    --propagation private sh "$2" "$3""#;

/// A file of tests/scenarios/intrusion.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What part of an intrusion it is about.
    part: String,
    scenarios: Vec<Scenario>,
    /// Honest work that looks like it; stays below medium.
    twins: Vec<Twin>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    id: String,
    /// What is done, for the table.
    what: String,
    /// Rules that must fire, each.
    expects: Vec<String>,
    /// Whether an incident must open.
    #[serde(default)]
    incident: bool,
    run: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Twin {
    id: String,
    what: String,
    run: String,
}

/// One run of a script in its machine. Its control group goes with it.
struct Deed {
    id: String,
    group: PathBuf,
    machine: Child,
    draw: String,
}

impl Deed {
    /// Waits for its end, and gives what it said on stderr. The first process of a pid namespace ends after all others.
    fn end(mut self) -> Ended {
        let mut said = String::new();
        self.machine.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        self.machine.wait().unwrap();
        Ended { id: self.id.clone(), draw: self.draw.clone(), said }
    }
}

impl Drop for Deed {
    fn drop(&mut self) {
        if matches!(self.machine.try_wait(), Ok(None)) {
            self.machine.kill().unwrap();
            self.machine.wait().unwrap();
        }
        fs::remove_dir(&self.group).unwrap();
    }
}

struct Ended {
    id: String,
    draw: String,
    said: String,
}

/// Draws what differs from run to run.
struct Draw(u64);

impl Draw {
    fn number(&mut self) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap()
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.number() % choices.len()]
    }

    fn word(&mut self) -> String {
        let parts = ["ba", "ke", "li", "mo", "nu", "ra", "si", "to", "ve", "xu", "dor", "gan", "pel"];
        (0..3).map(|_| self.of(&parts)).collect()
    }
}

fn files() -> Vec<File> {
    let folder = root().join("tests/scenarios/intrusion");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

/// Where the unified control groups are mounted.
fn unified_groups() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    PathBuf::from(mount.expect("cgroup2 is mounted").split(' ').nth(1).unwrap())
}

/// Starts a script in a machine of its own.
fn start(id: &str, run: &str, folder: &tempfile::TempDir, draw: &mut Draw, port: u16) -> Deed {
    let group = unified_groups().join(format!("minesweep-scenario-{}-{id}", std::process::id()));
    fs::create_dir(&group).unwrap();
    let script = folder.path().join(format!("{id}.sh"));
    fs::write(&script, format!(". /opt/scenario/tools.sh\nset -u\n{run}")).unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(ENTER).arg("sh").args([&group, &root().join("tests/scenarios/enter.sh"), &script]);
    let drawn = [
        ("NAME", draw.word()),
        ("OTHER", draw.word()),
        ("DIR", draw.of(&["/tmp", "/var/tmp", "/dev/shm"]).to_owned()),
        ("FETCH", draw.of(&["curl", "wget", "python3"]).to_owned()),
        ("PUT", draw.of(&["sh", "tee", "cp", "install", "python3"]).to_owned()),
        ("PORT", port.to_string()),
    ];
    let words: Vec<String> = drawn.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let machine = command
        .envs(drawn)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Deed { id: id.to_owned(), group, machine, draw: words.join(" ") }
}

/// What was told of the processes of each scenario.
#[derive(Default)]
struct Told {
    rules: BTreeMap<String, BTreeMap<String, u64>>,
    incidents: BTreeSet<String>,
    why: BTreeMap<String, Vec<String>>,
}

impl Told {
    fn take(&mut self, line: &Value) {
        let Some(id) = group_of(line) else { return };
        match line["class_uid"].as_u64() {
            Some(2005) => {
                self.incidents.insert(id);
            }
            Some(2004) => {
                let rule = line["finding_info"]["analytic"]["uid"].as_str().unwrap_or_default().to_owned();
                let severity = line["severity_id"].as_u64().unwrap();
                self.why
                    .entry(id.clone())
                    .or_default()
                    .push(format!("{severity} {rule}: {}", line["finding_info"]["desc"]));
                self.rules.entry(id).or_default().insert(rule, severity);
            }
            Some(_) | None => {}
        }
    }
}

/// The scenario whose process a line is about.
fn group_of(line: &Value) -> Option<String> {
    let mark = format!("minesweep-scenario-{}-", std::process::id());
    let group = line["unmapped"]["process"]["cgroup"].as_str()?;
    group.split('/').find_map(|part| part.strip_prefix(&mark)).map(str::to_owned)
}

/// Runs scripts, a few at a time, and gives all that was told of them. The fence is a deed that is always told: when it
/// is, all before it was judged.
fn run(scripts: &[(String, String)], seed: u64) -> (Told, Vec<Ended>) {
    let folder = tempfile::tempdir().unwrap();
    let watch = Running::watch(&[]);
    let (mut told, mut ended) = (Told::default(), Vec::new());
    let mut draw = Draw(seed);
    for (number, batch) in scripts.chunks(AT_ONCE).enumerate() {
        let deeds: Vec<Deed> = batch
            .iter()
            .enumerate()
            .map(|(at, (id, script))| {
                start(id, script, &folder, &mut draw, u16::try_from(20_000 + number * AT_ONCE + at).unwrap())
            })
            .collect();
        ended.extend(deeds.into_iter().map(Deed::end));
    }
    let fence = start(
        "fence",
        "cp /bin/true /dev/shm/.fence; /dev/shm/.fence; printf x > /etc/ld.so.preload",
        &folder,
        &mut draw,
        19_999,
    );
    fence.end();
    let seen = watch.find(LIMIT, |line| group_of(line).as_deref() == Some("fence"));
    assert!(seen.is_some(), "the fence was not told within {LIMIT:?}");
    for line in watch.terminate_for_all() {
        told.take(&serde_json::from_str(&line).unwrap());
    }
    (told, ended)
}

fn seed() -> u64 {
    let seed =
        env::var("SCENARIO_SEED").map_or(SEED, |text| text.parse().expect("SCENARIO_SEED is a number"));
    println!("seed {seed}");
    seed
}

fn wanted(id: &str) -> bool {
    env::var("SCENARIO_ONLY").map_or(true, |only| id.starts_with(&only))
}

#[test]
fn every_step_of_an_intrusion_is_seen_and_its_honest_twin_is_not() {
    let _alone = alone();
    let files = files();
    let seed = seed();
    let (mut scripts, mut scenarios, mut twins) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for file in &files {
        for scenario in file.scenarios.iter().filter(|one| wanted(&one.id)) {
            for variant in 1..=VARIANTS {
                let id = format!("{}.{variant}", scenario.id);
                scripts.push((id.clone(), scenario.run.clone()));
                scenarios.insert(id, scenario.clone());
            }
        }
        for twin in file.twins.iter().filter(|one| wanted(&one.id)) {
            scripts.push((twin.id.clone(), twin.run.clone()));
            twins.insert(twin.id.clone(), twin.clone());
        }
    }
    let (told, ended) = run(&scripts, seed);
    let mut wrong = Vec::new();
    for deed in &ended {
        let rules = told.rules.get(&deed.id).cloned().unwrap_or_default();
        let mut faults = Vec::new();
        if let Some(scenario) = scenarios.get(&deed.id) {
            let missing: Vec<&String> =
                scenario.expects.iter().filter(|rule| !rules.contains_key(*rule)).collect();
            if !missing.is_empty() {
                faults.push(format!("not seen: {missing:?}"));
            }
            if scenario.incident && !told.incidents.contains(&deed.id) {
                faults.push("no incident".to_owned());
            }
        } else if rules.values().any(|severity| *severity >= 3) || told.incidents.contains(&deed.id) {
            faults.push("an honest twin was accused".to_owned());
        }
        if !faults.is_empty() {
            let why = told.why.get(&deed.id).map(|lines| lines.join("\n      ")).unwrap_or_default();
            wrong.push(format!(
                "{}: {}\n    drawn: {}\n    told: {why}\n    said: {}",
                deed.id,
                faults.join("; "),
                deed.draw,
                deed.said.trim()
            ));
        }
    }
    assert!(wrong.is_empty(), "seed {seed}, {} of {} wrong:\n{}", wrong.len(), ended.len(), wrong.join("\n"));
}

#[test]
fn the_table_of_coverage_is_the_scenarios_own() {
    let mut text = String::from(
        "# What is seen of an intrusion\n\nMade from `tests/scenarios/intrusion` by `BLESS=1 cargo test -p minesweep --test scenarios table`. Each scenario runs twice with\n\
         names, places and tools drawn from a seed; each twin is honest work that looks like it and stays below *medium*.\n",
    );
    let (mut scenarios, mut twins) = (0, 0);
    for file in files() {
        text.push_str(&format!(
            "\n## {}\n| scenario | what is done | rules that see it |\n|---|---|---|\n",
            file.part
        ));
        for one in &file.scenarios {
            text.push_str(&format!("| {} | {} | {} |\n", one.id, one.what, one.expects.join(", ")));
        }
        text.push_str("\n| honest twin | what is done |\n|---|---|\n");
        for one in &file.twins {
            text.push_str(&format!("| {} | {} |\n", one.id, one.what));
        }
        scenarios += file.scenarios.len();
        twins += file.twins.len();
    }
    text.push_str(&format!("\n{scenarios} scenarios, {twins} twins.\n"));
    let at = root().join("docs/spec/coverage.md");
    if env::var_os("BLESS").is_some() {
        fs::write(&at, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&at).unwrap_or_default(), "BLESS=1 writes it");
}

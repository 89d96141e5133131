//! What the made-up incidents are put together from.

use minesweep_model::{Attack, Detection, Evidence, Group, Mining, Process, ProcessKey, Severity, Text};

/// A second.
pub const SECOND_MS: u64 = 1000;
/// A minute.
pub const MINUTE_MS: u64 = 60 * SECOND_MS;
/// An hour.
pub const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Price of a CPU-hour: a general-purpose virtual machine, rounded.
pub const PRICE: f64 = 0.05;

pub fn process(pid: u32, parent_pid: u32, uid: u32, exe: &str, argv: &[&str], started_ms: u64) -> Process {
    let mut process = Process::unknown(ProcessKey { pid, start_ticks: u64::from(pid) * 10 });
    process.parent_pid = parent_pid;
    process.uid = uid;
    process.exe = exe.to_owned();
    process.comm = exe.rsplit('/').next().unwrap_or(exe).chars().take(15).collect();
    process.argv = argv.iter().map(|&word| word.to_owned()).collect();
    process.started_ms = started_ms;
    process
}

pub fn evidence(rule: &str, group: Group, weight: f64, at_ms: u64, text: Text) -> Evidence {
    Evidence { rule: rule.to_owned(), group, weight, text, at_ms }
}

/// Probability from the strongest evidence of each group, as in docs/spec/verdict.md; so are the weights.
pub fn probability(evidence: &[Evidence]) -> f64 {
    let mut strongest: Vec<&Evidence> = Vec::new();
    for one in evidence {
        match strongest.iter_mut().find(|other| other.group == one.group) {
            Some(other) if other.weight < one.weight => *other = one,
            Some(_) => {}
            None => strongest.push(one),
        }
    }
    1.0 - strongest.iter().map(|one| 1.0 - one.weight).product::<f64>()
}

/// What a finding of the demo says; the rest is the same for all.
pub struct Said<'a> {
    pub rule: &'a str,
    pub severity: Severity,
    pub confidence: u8,
    pub title: Text,
    pub why: Text,
    pub advice: Text,
    /// Technique and its name, tactic and its name.
    pub attacks: &'a [[&'a str; 4]],
}

pub fn detection(said: Said<'_>, at_ms: u64, subject: Option<&Process>, incident: Option<&str>) -> Detection {
    let pid = subject.map_or(0, |subject| subject.key.pid);
    Detection {
        uid: format!("{}-{pid}-{at_ms}", said.rule),
        rule: said.rule.to_owned(),
        at_ms,
        severity: said.severity,
        confidence: said.confidence,
        title: said.title,
        why: said.why,
        advice: said.advice,
        attacks: said.attacks.iter().map(attack).collect(),
        subject: subject.cloned(),
        parent: None,
        file: None,
        remote: None,
        cookie: None,
        evidence: Vec::new(),
        mining: Mining::default(),
        incident: incident.map(str::to_owned),
    }
}

fn attack(words: &[&str; 4]) -> Attack {
    let [technique, name, tactic, tactic_name] = words.map(str::to_owned);
    Attack { technique, name, tactic, tactic_name, version: "17.1".to_owned() }
}

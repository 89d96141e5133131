//! Reports as an agent would send them. Shared by the tests of the store and of the whole server.

use minesweep_model::{
    Change, Detection, Evidence, Group, HookCount, Host, Incident, IncidentState, Kind, Load, Mining,
    Outcome, OutcomeState, Process, ProcessKey, Report, Severity, Text,
};

pub const WALLET: &str =
    "48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZijBGUicoD";

pub fn process(pid: u32) -> Process {
    let mut process = Process::unknown(ProcessKey { pid, start_ticks: 7 });
    process.exe = "/usr/bin/Kworker".to_owned();
    process.comm = "kworker".to_owned();
    process
}

pub fn mining(cpu_seconds: f64) -> Mining {
    Mining {
        probability: 0.99,
        kind: Kind::Cpu,
        pool: Some("pool.example:3333".to_owned()),
        wallet: Some(WALLET.to_owned()),
        worker: Some("rig-1".to_owned()),
        algorithm: Some("rx/0".to_owned()),
        hash_rate_hs: Some(1000.0),
        estimated: false,
        cpu_seconds,
        cost: 0.5,
        pids: vec![812],
    }
}

/// An open incident of process 812 that began at `since_ms` and used `cpu_seconds` up to `changed_ms`.
pub fn incident(uid: &str, since_ms: u64, changed_ms: u64, cpu_seconds: f64) -> Incident {
    let mut root = process(812);
    root.started_ms = since_ms;
    Incident {
        uid: uid.to_owned(),
        since_ms,
        opened_ms: since_ms,
        changed_ms,
        state: IncidentState::Open,
        severity: Severity::Critical,
        title: Text::new("kworker mines for pool.example:3333", "kworker 正在为 pool.example:3333 挖矿"),
        entry: None,
        processes: vec![root.key],
        root,
        mining: mining(cpu_seconds),
        evidence: vec![Evidence {
            rule: "mining.stratum".to_owned(),
            group: Group::Protocol,
            weight: 0.95,
            text: Text::new("login to a pool", "登录矿池"),
            at_ms: since_ms,
        }],
        findings: vec![detection(&format!("{uid}-d"), since_ms)],
        folded: 0,
        outcomes: Vec::new(),
    }
}

pub fn detection(uid: &str, at_ms: u64) -> Detection {
    Detection {
        uid: uid.to_owned(),
        rule: "mining.stratum".to_owned(),
        at_ms,
        severity: Severity::High,
        confidence: 95,
        title: Text::new("mining protocol", "挖矿协议"),
        why: Text::new("a login was sent", "发送了登录"),
        advice: Text::new("stop it", "停止它"),
        attacks: Vec::new(),
        subject: Some(process(812)),
        parent: None,
        remote: Some("203.0.113.9:3333".parse().unwrap()),
        cookie: Some(1),
        evidence: Vec::new(),
        mining: mining(1.0),
        incident: None,
    }
}

pub fn outcome(entry: u64, cause: &str, at_ms: u64) -> Outcome {
    Outcome {
        entry,
        at_ms,
        cause: cause.to_owned(),
        action: minesweep_model::Action::Freeze { process: ProcessKey { pid: 812, start_ticks: 7 } },
        target: process(812),
        state: OutcomeState::Done,
    }
}

pub fn host() -> Host {
    Host { name: "node-1".to_owned(), machine_id: "f00d".to_owned(), cpus: 4, ..Host::default() }
}

pub fn load(at_ms: u64, cpu_percent: f64) -> Load {
    let counts = vec![HookCount { hook: "exec".to_owned(), made: 10, seen: 9, lost: 1 }];
    Load { at_ms, cpu_percent, cpus: 4, counts, ..Load::default() }
}

pub fn opened(incident: Incident) -> Report {
    Report::Incident { change: Change::Created, incident: Box::new(incident) }
}

pub fn found(detection: Detection) -> Report {
    Report::Detection(Box::new(detection))
}

//! Reports as an agent would send them. Shared by the tests of the store and of the whole server.

use minesweep_model::{
    Attack, Change, Detection, Evidence, Group, HookCount, Host, Incident, IncidentState, Kind, Load, Mining,
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
        has_ended: false,
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
        file: None,
        remote: Some("203.0.113.9:3333".parse().unwrap()),
        cookie: Some(1),
        evidence: Vec::new(),
        mining: mining(1.0),
        incident: None,
    }
}

/// A step of an intrusion: of `severity`, seen at `at_ms`, from `remote`, of one tactic.
pub fn step(uid: &str, at_ms: u64, severity: Severity, remote: Option<&str>, tactic: &str) -> Detection {
    let mut step = detection(uid, at_ms);
    step.rule = format!("rule.{uid}");
    step.severity = severity;
    step.title = Text::new(format!("title of {uid}"), format!("{uid} 的标题"));
    step.subject = Some(process(813));
    step.remote = remote.map(|remote| remote.parse().unwrap());
    step.mining = Mining::default();
    step.attacks = vec![Attack {
        technique: "T0000".to_owned(),
        name: "Technique".to_owned(),
        tactic: tactic.to_owned(),
        tactic_name: format!("Name of {tactic}"),
        version: "17.1".to_owned(),
    }];
    step.evidence = vec![behaviour(&step.rule, at_ms)];
    step
}

/// What a step leaves with the verdict: nothing said of mining.
pub fn behaviour(rule: &str, at_ms: u64) -> Evidence {
    let text = Text::new("it was done", "做了此事");
    Evidence { rule: rule.to_owned(), group: Group::Behaviour, weight: 0.0, text, at_ms }
}

/// An open intrusion without mining: a download of medium severity after a login from 192.0.2.44.
pub fn intrusion(uid: &str, since_ms: u64) -> Incident {
    let mut intrusion = incident(uid, since_ms, since_ms + 10, 1.0);
    intrusion.mining = Mining::default();
    intrusion.severity = Severity::High;
    intrusion.title = Text::new("sshd: title of login", "sshd：login 的标题");
    intrusion.findings = vec![
        step("login", since_ms, Severity::High, Some("[::ffff:192.0.2.44]:51514"), "TA0001"),
        step("download", since_ms + 7, Severity::Medium, Some("203.0.113.20:80"), "TA0011"),
    ];
    intrusion.evidence =
        intrusion.findings.iter().flat_map(|finding| finding.evidence.iter().cloned()).collect();
    intrusion
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

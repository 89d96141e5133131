//! What people read, in both languages, held against `words.out`. `BLESS=1` rewrites it; the diff is the review.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files has failed")]

use std::{env, fs, path::Path, sync::Arc};

use minesweep_detect::{Engine, Output, Rules, Settings};
use minesweep_model::{
    BigMap, CpuSample, Event, FileHit, Host, Looked, MsrWrite, Origin, Process, ProcessCpu, ProcessKey, Role,
    Rounding, Said, SettingWrite, Stratum, StratumVerb, Utterance, What,
};

fn rules() -> Arc<Rules> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
    let mut files = Vec::new();
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    // The words of Sigma rules are in their files, not made here.
    for folder in folders.filter(|path| path.is_dir() && !path.ends_with("sigma")) {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = [&folder, &path].map(|path| path.file_name().unwrap().to_string_lossy()).join("/");
            files.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    Arc::new(Rules::compile(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))).unwrap())
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ticks: 1 }
}

fn process(pid: u32) -> Process {
    Process { exe: format!("/tmp/.x/p{pid}"), ..Process::unknown(key(pid)) }
}

fn said(pid: u32, role: Role, utterance: Utterance) -> What {
    let (local, remote) = match role {
        Role::Client => ("10.0.0.1:40000", "203.0.113.9:3333"),
        Role::Server => ("10.0.0.1:3333", "192.0.2.7:50000"),
    };
    What::Said(Box::new(Said {
        cookie: u64::from(pid) * 10 + u64::from(role == Role::Server),
        process: Some(key(pid)),
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        via: None,
        role,
        utterance,
    }))
}

fn login(pid: u32, role: Role) -> What {
    said(
        pid,
        role,
        Utterance::Stratum(Box::new(Stratum {
            dialect: "cryptonote".to_owned(),
            verb: StratumVerb::Login,
            confidence: 97,
            wallet: Some("4AbcdefghijkLmnopqrstuvwxyz".to_owned()),
            worker: Some("rig1".to_owned()),
            agent: Some("XMRig/6.21".to_owned()),
            algorithm: Some("rx/0".to_owned()),
            difficulty: None,
            reported_hs: Some(1234.0),
            excerpt: String::new(),
        })),
    )
}

fn cpu(pid: u32, visible_ms: u64) -> What {
    let (cpu_ms, total_ms) = (3960, 3960);
    let use_of = ProcessCpu {
        process: key(pid),
        cpu_ms,
        total_ms,
        threads: 2,
        voluntary: 1,
        involuntary: 900,
        rss_kib: 0,
    };
    What::Cpu(CpuSample {
        over_ms: 2000,
        busy_ms: 3960,
        cpus: 2,
        ended_ms: 0,
        processes: vec![use_of],
        visible_ms,
    })
}

fn looked(pid: u32) -> What {
    let hit = |rule: &str, path: &str| FileHit {
        is_beside: false,
        rule: rule.to_owned(),
        path: path.to_owned(),
        origin: Origin::Disk,
    };
    What::Looked(Box::new(Looked {
        process: process(pid),
        peers: Vec::new(),
        clues: Vec::new(),
        hits: vec![hit("mining.miner-file.xmrig", "/tmp/.x/p7"), hit("yara:imported", "/tmp/.x/config.json")],
        sha256: None,
        maps_bytes: vec![(2336 << 20) + 8192],
        rwx_maps: 2,
        unread: Vec::new(),
        stdio: Vec::new(),
    }))
}

fn scenes() -> Vec<What> {
    let name = |name: &str| Utterance::DnsQuestion { name: name.to_owned(), kind: "A".to_owned() };
    let setting = |path: &str, value: &str| {
        What::SettingWrite(SettingWrite {
            process: key(5),
            path: path.to_owned(),
            value: Some(value.to_owned()),
        })
    };
    let hidden = Process { is_hidden: true, ..process(8) };
    let mut carried = process(9);
    carried.argv = ["p9", "--donate-level=1", "--nicehash", "--rig-id=x", "--cpu-priority=5"]
        .map(str::to_owned)
        .to_vec();
    let mut scenes = vec![
        login(2, Role::Client),
        login(3, Role::Server),
        login(3, Role::Client),
        What::Rounding(Rounding { process: key(4), samples: [211, 95, 105, 85] }),
        What::MsrWrite(MsrWrite { process: key(5), register: 0x1a4, value: Some(15), is_done: true }),
        setting("/sys/module/msr/parameters/allow_writes", "on"),
        setting("/proc/sys/vm/nr_hugepages", "1168"),
        What::BigMap(BigMap {
            process: key(5),
            length_bytes: 2080 << 20,
            is_huge: true,
            is_populated: true,
            fd: 0,
        }),
        said(6, Role::Client, name("pool.supportxmr.com")),
        said(
            6,
            Role::Client,
            Utterance::Tls { sni: Some("xmr.2miners.com".to_owned()), alpn: vec![], ja4: String::new() },
        ),
        looked(7),
        What::Running(Box::new(hidden)),
        cpu(8, 3960),
        What::Exec(Box::new(carried)),
    ];
    scenes.extend((0..151).map(|_| cpu(10, 3960)));
    scenes.extend((0..3).map(|_| cpu(10, 2000)));
    scenes
}

#[test]
fn what_people_read_is_as_reviewed() {
    let mut engine = Engine::new(Settings::default(), rules());
    let host = Host { boot_id: "golden".to_owned(), cpus: 2, ..Host::default() };
    let mut got = String::new();
    let before = std::iter::once(What::Host(host))
        .chain([2, 3, 4, 5, 6, 10].map(|pid| What::Exec(Box::new(process(pid)))));
    for (index, what) in (0_u64..).zip(before.chain(scenes())) {
        for output in engine.observe(&Event { at_ms: index * 2000, what }) {
            match output {
                Output::Detection(one) => {
                    got += &format!("detection {} {} {}\n", one.rule, one.severity.id(), one.confidence);
                    for text in [&one.title, &one.why] {
                        got += &format!("  {}\n  {}\n", text.en, text.zh);
                    }
                }
                Output::Incident { change, incident } => {
                    let (severity, title) = (incident.severity.id(), &incident.title);
                    got += &format!("incident {change:?} {severity}\n  {}\n  {}\n", title.en, title.zh);
                }
                Output::Look(key) => got += &format!("look {}\n", key.pid),
            }
        }
    }
    let want_at = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/words.out");
    if env::var_os("BLESS").is_some() {
        fs::write(&want_at, &got).unwrap();
    }
    assert_eq!(got, fs::read_to_string(&want_at).unwrap(), "{}", want_at.display());
}

//! Whatever comes in, in whatever order: no panic, nothing without bound, and the same answer again.

use std::sync::LazyLock;

use minesweep_model::{
    BigMap, ClueSource, CpuSample, Flow, GpuUse, Looked, MsrWrite, ProcessCpu, Protocol, Role, Rounding,
    SettingWrite, StratumVerb,
};
use proptest::prelude::*;

use super::*;
use crate::{
    dossiers::DOSSIERS_LIMIT,
    testing::{at, exec, host, key, login, process, rules, stratum},
};

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(rules);

fn event(kind: u8, pid: u32, number: u64, at_ms: u64) -> Event {
    let small = u32::try_from(number % 1000).unwrap();
    let cookie = u16::try_from(number % 97).unwrap();
    let wallet = format!("w{}", number % 13);
    let files = ["/tmp/a", "/usr/sbin/sshd", "/bin/bash", "/tmp/b"];
    match kind % 8 {
        0 => exec(at_ms, &process(pid, small, files[small as usize % 4])),
        1 => at(at_ms, What::Fork { parent: key(pid), child: key(small) }),
        2 => at(at_ms, What::Exit { process: key(pid) }),
        3 => login(at_ms, pid, cookie, &wallet),
        4 => stratum(at_ms, pid, cookie, Role::Server, StratumVerb::Hello, Some(&wallet)),
        5 => stratum(at_ms, pid, cookie, Role::Client, StratumVerb::Accepted, None),
        6 => at(at_ms, What::Running(Box::new(process(pid, pid, "/tmp/c")))),
        _ => at(at_ms, measured(pid, number, small)),
    }
}

fn measured(pid: u32, number: u64, small: u32) -> What {
    let process = key(pid);
    match number % 9 {
        0 => What::Rounding(Rounding { process, samples: [small, small / 3, small / 5, 7] }),
        1 => What::Cpu(sample(pid, number, small)),
        2 => What::Gpu(GpuUse { process, device: small.to_string(), busy_ms: number, over_ms: number % 5 }),
        3 => {
            let (length_bytes, is_huge) = (number, true);
            What::BigMap(BigMap { process, length_bytes, is_huge, is_populated: true, fd: 0 })
        }
        4 => What::MsrWrite(MsrWrite { process, register: 0x1a4, value: None, is_done: false }),
        5 => {
            let path = "/proc/sys/vm/nr_hugepages".to_owned();
            What::SettingWrite(SettingWrite { process, path, value: None })
        }
        6 => What::Looked(Box::new(looked(pid, number, small))),
        7 => What::Closed { cookie: number % 97 },
        _ => What::Connect(Flow {
            cookie: number,
            process: None,
            local: "0.0.0.0:0".parse().unwrap(),
            remote: "[::]:0".parse().unwrap(),
            protocol: Protocol::Tcp,
        }),
    }
}

fn sample(pid: u32, number: u64, small: u32) -> CpuSample {
    let use_of = ProcessCpu {
        process: key(pid),
        cpu_ms: number,
        total_ms: number,
        threads: small,
        voluntary: number,
        involuntary: number,
        rss_kib: number,
    };
    CpuSample {
        over_ms: number % 3000,
        busy_ms: number,
        cpus: small,
        ended_ms: number,
        processes: vec![use_of],
        visible_ms: number,
    }
}

fn looked(pid: u32, number: u64, small: u32) -> Looked {
    let carried = format!("stratum+tcp://w{small}@p.example.org:{small}");
    Looked {
        process: process(pid, small, "/tmp/a"),
        peers: vec!["[::1]:3333".parse().unwrap()],
        clues: crate::clues::search(carried.as_bytes(), ClueSource::Memory),
        hits: Vec::new(),
        sha256: None,
        maps_bytes: vec![number, u64::MAX, 0],
        rwx_maps: small,
        unread: Vec::new(),
        stdio: Vec::new(),
    }
}

fn run(events: &[Event]) -> (Engine, Vec<Output>) {
    let mut engine = Engine::new(Settings::default(), RULES.clone());
    let out = events.iter().flat_map(|event| engine.observe(event)).collect();
    (engine, out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_events_in_any_order_do_no_harm_and_replay_to_the_same_answer(
        seeds in prop::collection::vec((any::<u8>(), 0..200_u32, any::<u64>(), 0..5_000_000_u64), 1..400)
    ) {
        let mut events = vec![host()];
        events.extend(seeds.iter().map(|(kind, pid, number, at_ms)| event(*kind, *pid, *number, *at_ms)));
        let (engine, out) = run(&events);
        let (again, out_again) = run(&events);
        prop_assert_eq!(out, out_again);
        let incidents = engine.incidents();
        prop_assert_eq!(&incidents, &again.incidents());
        for incident in &incidents {
            prop_assert!((0.0..=1.0).contains(&incident.mining.probability));
            prop_assert!(incident.processes.len() <= 64 && incident.findings.len() <= 64);
            prop_assert!(incident.mining.cpu_seconds.is_finite() && incident.mining.cost.is_finite());
        }
    }
}

#[test]
fn a_flood_of_miners_is_bounded_and_counted() {
    let mut engine = Engine::new(Settings::default(), RULES.clone());
    let mut out = engine.observe(&host());
    for pid in 10..5010 {
        out = engine.observe(&exec(u64::from(pid), &process(pid, 1, &format!("/tmp/{pid}"))));
        out.extend(engine.observe(&login(
            u64::from(pid),
            pid,
            u16::try_from(pid).unwrap(),
            &format!("w{pid}"),
        )));
    }
    assert!(!out.is_empty());
    assert_eq!(engine.incidents().len(), DOSSIERS_LIMIT);
    assert_eq!(engine.losses().incidents, 5000 - 1024);
    assert!(engine.dossiers.sizes().iter().all(|size| *size <= DOSSIERS_LIMIT * 4));
}

#[test]
fn a_miner_that_forks_without_end_is_bounded_and_told_seldom() {
    let mut engine = Engine::new(Settings::default(), RULES.clone());
    let mut out = engine.observe(&host());
    out.extend(engine.observe(&exec(1, &process(10, 1, "/tmp/a"))));
    out.extend(engine.observe(&login(2, 10, 1, "w")));
    for pid in 100..5100_u32 {
        let at_ms = u64::from(pid);
        out.extend(engine.observe(&at(at_ms, What::Fork { parent: key(10), child: key(pid) })));
        if pid % 2 == 0 {
            out.extend(engine.observe(&at(at_ms, What::Exit { process: key(pid) })));
        }
    }
    assert!(out.len() <= 6, "{}", out.len());
    assert!(engine.incidents()[0].processes.len() <= 64);
    assert!(engine.losses().members > 0);
    assert!(engine.dossiers.sizes()[1] <= 64);
}

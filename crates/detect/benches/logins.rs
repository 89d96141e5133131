//! How fast failed logins are taken in. Run: `cargo bench -p minesweep-detect --bench logins`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot read its own files has failed")]

use std::{fs, path::Path, sync::Arc};

use divan::{Bencher, counter::ItemsCount};
use minesweep_detect::{Engine, Rules, Settings};
use minesweep_model::{Event, LogLine, What};

/// Lines of the attack that the goal is for: 50,000 from 500 addresses in at most half a second.
const LINES: u32 = 50_000;
const ADDRESSES: u32 = 500;

fn main() {
    divan::main();
}

fn rules() -> Arc<Rules> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
    let (mut waiting, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if name != "manifest.yaml" {
                files.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    Arc::new(Rules::compile(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))).unwrap())
}

fn lines(user: fn(u32) -> String) -> Vec<Event> {
    let line = |number: u32| {
        let (from, user) = (number % ADDRESSES, user(number));
        let text = format!(
            "Failed password for invalid user {user} from 198.51.{}.{} port {} ssh2",
            from / 250,
            from % 250,
            1024 + number % 60_000
        );
        let line = LogLine {
            source: "/var/log/auth.log".to_owned(),
            program: "sshd".to_owned(),
            pid: Some(1000 + number % 30_000),
            text,
        };
        Event { at_ms: u64::from(number), what: What::Log(Box::new(line)) }
    };
    (0..LINES).map(line).collect()
}

fn take_in(bencher: Bencher<'_, '_>, user: fn(u32) -> String) {
    let (rules, events) = (rules(), lines(user));
    bencher
        .counter(ItemsCount::new(events.len()))
        .with_inputs(|| Engine::new(Settings::default(), rules.clone()))
        .bench_local_values(|mut engine| {
            for event in &events {
                divan::black_box(engine.observe(event));
            }
            engine
        });
}

#[divan::bench(sample_count = 5)]
fn one_user(bencher: Bencher<'_, '_>) {
    take_in(bencher, |_| "root".to_owned());
}

#[divan::bench(sample_count = 5)]
fn another_user_each_time(bencher: Bencher<'_, '_>) {
    take_in(bencher, |number| format!("user{number}"));
}

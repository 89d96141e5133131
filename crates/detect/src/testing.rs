//! Rules and events for tests, from the folder of the default bundle.

use std::{
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};

use minesweep_model::{
    Event, FileId, Host, Process, ProcessKey, Role, Said, Stratum, StratumVerb, Utterance, What,
};

use crate::Rules;

/// Path and text of each file of the default bundle.
pub(crate) fn material() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
    let (mut waiting, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if name != "manifest.yaml" {
                files.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// The default rules. Compiled once: a hundred tests take them.
pub(crate) fn rules() -> Arc<Rules> {
    static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| compiled(|_| true));
    RULES.clone()
}

/// The default rules without those in Sigma, for tests of what code matches.
pub(crate) fn rules_of_code() -> Arc<Rules> {
    static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| compiled(|path| !path.starts_with("sigma/")));
    RULES.clone()
}

fn compiled(wanted: impl Fn(&str) -> bool) -> Arc<Rules> {
    let files = material();
    let wanted = files.iter().filter(|(path, _)| wanted(path));
    Arc::new(Rules::compile(wanted.map(|(path, text)| (path.as_str(), text.as_str()))).unwrap())
}

pub(crate) fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ticks: u64::from(pid) }
}

pub(crate) fn process(pid: u32, parent: u32, exe: &str) -> Process {
    Process {
        parent_pid: parent,
        exe: exe.to_owned(),
        file: Some(FileId { dev: 1, inode: crate::ids::thing(exe) }),
        ..Process::unknown(key(pid))
    }
}

pub(crate) fn at(at_ms: u64, what: What) -> Event {
    Event { at_ms, what }
}

pub(crate) fn host() -> Event {
    at(0, What::Host(Host { boot_id: "boot".to_owned(), cpus: 2, ..Host::default() }))
}

pub(crate) fn exec(at_ms: u64, process: &Process) -> Event {
    at(at_ms, What::Exec(Box::new(process.clone())))
}

/// A mining message; `cookie` also chooses the local port.
pub(crate) fn stratum(
    at_ms: u64,
    pid: u32,
    cookie: u16,
    role: Role,
    verb: StratumVerb,
    wallet: Option<&str>,
) -> Event {
    let stratum = Stratum {
        dialect: "cryptonote".to_owned(),
        verb,
        confidence: 95,
        wallet: wallet.map(str::to_owned),
        worker: None,
        agent: None,
        algorithm: Some("rx/0".to_owned()),
        difficulty: None,
        reported_hs: None,
        excerpt: String::new(),
    };
    let (local, remote) = match role {
        Role::Client => (format!("10.0.0.1:{}", 20_000 + cookie), "203.0.113.9:3333".to_owned()),
        Role::Server => ("10.0.0.1:3333".to_owned(), format!("192.0.2.7:{}", 20_000 + cookie)),
    };
    let said = Said {
        cookie: u64::from(cookie),
        process: Some(key(pid)),
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        via: None,
        role,
        utterance: Utterance::Stratum(Box::new(stratum)),
    };
    at(at_ms, What::Said(Box::new(said)))
}

pub(crate) fn login(at_ms: u64, pid: u32, cookie: u16, wallet: &str) -> Event {
    stratum(at_ms, pid, cookie, Role::Client, StratumVerb::Login, Some(wallet))
}

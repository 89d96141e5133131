//! The names that processes go by, read again: a process may change them at any time.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    io,
};

use minesweep_model::{Event, HidingFact, Owner, Process, ProcessKey, What};

use super::Found;
use crate::{
    hidden::Hidden,
    proc::{self, lossy, now_ms, root, root::Folder, stat::Stat},
};

/// Most bytes of arguments that tell whether they changed.
const ARGV_BYTES: usize = 4096;

/// A process of this round.
pub(super) struct Seen {
    pub(super) key: ProcessKey,
    /// Not a kernel thread.
    pub(super) has_program: bool,
    /// It sees the files that we see: what it names is what we can ask packages about.
    pub(super) is_in_our_tree: bool,
    /// Its names are new or have changed since the last round.
    pub(super) is_news: bool,
    /// Its executable.
    pub(super) exe: Vec<u8>,
    /// The executable has a name.
    pub(super) has_name: bool,
}

/// Names as they were in the last round.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<ProcessKey, u64>);

impl Names {
    /// Reads all processes; those with new names, and hidden ones, become events.
    pub(super) fn read(&mut self, hidden: &[Hidden], events: &mut Vec<Event>) -> io::Result<Vec<Seen>> {
        let our_tree = own_tree();
        let (mut seen, mut names) = (Vec::new(), HashMap::new());
        for pid in proc::list()? {
            let Ok(folder) = Folder::open(pid) else { continue };
            let Some((mut one, hash)) = glance(&folder, pid, our_tree.as_deref()) else { continue };
            one.is_news = self.0.get(&one.key) != Some(&hash);
            names.insert(one.key, hash);
            let is_hidden = hidden.iter().any(|hidden| hidden.pid == pid);
            if one.is_news && one.has_program && !is_hidden {
                let read = proc::read_in(&folder, pid).ok();
                events.extend(read.map(running));
            }
            seen.push(one);
        }
        for process in hidden.iter().filter_map(|hidden| hidden.process.as_ref()) {
            let hash = hash(&[&process.comm, &process.exe, "hidden"]);
            if names.insert(process.key, hash) != Some(hash) && self.0.get(&process.key) != Some(&hash) {
                events.push(running(process.clone()));
            }
        }
        self.0 = names;
        Ok(seen)
    }
}

fn running(process: Process) -> Event {
    Event { at_ms: now_ms(), what: What::Running(Box::new(process)) }
}

/// What is needed to see whether a process is another than it was: four system calls.
fn glance(folder: &Folder, pid: u32, our_tree: Option<&[u8]>) -> Option<(Seen, u64)> {
    let text = folder.read("stat", root::SMALL).ok()?;
    let stat = Stat::parse(&text)?;
    let key = ProcessKey { pid, start_ticks: stat.start_ticks };
    if stat.is_kernel_thread {
        let one = Seen {
            key,
            has_program: false,
            is_in_our_tree: false,
            is_news: false,
            exe: Vec::new(),
            has_name: false,
        };
        return Some((one, 0));
    }
    let argv = folder.read("cmdline", ARGV_BYTES).unwrap_or_default();
    let path = folder.link("exe").unwrap_or_default();
    let hash = hash(&[stat.comm, &argv, &path]);
    let has_name = !path.is_empty() && !path.ends_with(b" (deleted)") && !path.starts_with(b"/memfd:");
    let is_in_our_tree = our_tree.is_some() && tree(folder).as_deref() == our_tree;
    Some((Seen { key, has_program: true, is_in_our_tree, is_news: false, exe: path, has_name }, hash))
}

fn hash<T: Hash>(parts: &[T]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// The files a process sees: its mount namespace and its root.
fn tree(folder: &Folder) -> Option<Vec<u8>> {
    let mut tree = folder.link("ns/mnt").ok()?;
    tree.extend(folder.link("root").ok()?);
    Some(tree)
}

fn own_tree() -> Option<Vec<u8>> {
    let root = root::root().ok()?;
    tree(&Folder::open_in(root, "thread-self").or_else(|_| Folder::open_in(root, "self")).ok()?)
}

/// The files that processes of our tree run; each once, with the first process that runs it.
pub(super) fn executables(seen: &[Seen]) -> Vec<Found> {
    let mut first: HashMap<&[u8], ProcessKey> = HashMap::new();
    for one in seen.iter().filter(|one| one.is_in_our_tree && one.has_name) {
        first.entry(&one.exe).or_insert(one.key);
    }
    let mut found: Vec<Found> = first
        .into_iter()
        .map(|(path, key)| Found {
            process: Some(key),
            fact: HidingFact::Runs { path: lossy(path), owner: Owner::Unknown },
            file: Some(path.to_vec()),
        })
        .collect();
    found.sort_by_key(|one| one.process);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use minesweep_model::Origin;

    #[test]
    fn names_are_told_once_and_again_when_they_change() {
        let mut names = Names::default();
        let own = std::process::id();
        let is_told = |events: &[Event]| {
            events.iter().any(
                |event| matches!(&event.what, What::Running(process) if process.key.pid == own && process.origin != Origin::Kernel),
            )
        };
        let mut events = Vec::new();
        let seen = names.read(&[], &mut events).unwrap();
        assert!(is_told(&events));
        let me = seen.iter().find(|one| one.key.pid == own).unwrap();
        assert!(me.is_in_our_tree && me.has_name);
        events.clear();
        names.read(&[], &mut events).unwrap();
        assert!(!is_told(&events));
    }
}

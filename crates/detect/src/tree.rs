//! The processes of the machine, who started whom, and what each was seen to do.
//!
//! Ended processes stay for a while: a miner outlives the script that started it, and the script is the root cause.
//! Bounded; what is thrown out is counted.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use minesweep_model::{Origin, Process, ProcessKey, Severity};

use crate::{
    facts::Facts,
    load::CpuHistory,
    rules::RuleId,
    signs::{MapSigns, RoundingWindow},
};

/// Most processes known at once; the default pid_max of a small machine is 32768, of a large one 4 million, of which
/// tens of thousands run at most.
pub(crate) const PROCESSES_LIMIT: usize = 65_536;
/// Most ended processes kept that have no child any more. Those with children stay as long as they: a miner outlives
/// by days the script that started it.
const EXITED_LIMIT: usize = 512;
/// Longest walk up; real trees are under 20 deep, a forged one may be a ring.
const DEPTH_LIMIT: usize = 64;
/// Most things one process is told for; more are counted, not told.
const FIRED_LIMIT: usize = 128;
/// Most children of one process that are searched for copies.
const CHILDREN_LIMIT: usize = 1024;
/// Most processes of one inner pid that are searched.
const NAMESPACES_LIMIT: usize = 256;
/// Most connections of one process that are told apart for relays.
pub(crate) const ENDS_LIMIT: usize = 64;

/// When looks at a process were last asked for, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looked {
    /// For a hint.
    pub(crate) hint_ms: Option<u64>,
    /// For a strong detection that lacks pool or wallet.
    pub(crate) strong_ms: Option<u64>,
    /// For the descriptors of a shell, and how often.
    pub(crate) stdio_ms: Option<u64>,
    pub(crate) stdio: u8,
}

/// What one process was seen to do since it became this program.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    pub(crate) facts: Facts,
    pub(crate) rounding: RoundingWindow,
    pub(crate) cpu: CpuHistory,
    pub(crate) maps: MapSigns,
    /// Clues of its arguments, so that a later look does not lose them.
    pub(crate) pool_clues: Vec<minesweep_model::Clue>,
    /// Our ends of connections on which it spoke as a miner.
    pub(crate) client_ends: BTreeSet<SocketAddr>,
    /// Other ends of connections on which it answered as a pool.
    pub(crate) inner_ends: BTreeSet<SocketAddr>,
    /// When a look at it was last asked for.
    pub(crate) looked: Looked,
    /// Its copies were put into its incident.
    pub(crate) has_copies_joined: bool,
    fired: BTreeSet<(RuleId, u64)>,
    hits: BTreeMap<(u64, u64), Severity>,
}

impl Activity {
    /// True the first time for this rule of content and this thing, both as short numbers.
    pub(crate) fn hits_first(&mut self, what: (u64, u64), severity: Severity) -> bool {
        let has_room = self.hits.len() < FIRED_LIMIT && !self.hits.contains_key(&what);
        if has_room {
            self.hits.insert(what, severity);
        }
        has_room
    }

    /// This rule of content, as a short number, was told of it and was at least as bad.
    pub(crate) fn was_hit_by(&self, rule: u64, severity: Severity) -> bool {
        self.hits.range((rule, 0)..=(rule, u64::MAX)).any(|(_, told)| *told >= severity)
    }

    /// True the first time for this rule and this thing (a flow, a name, 0).
    pub(crate) fn fires_first(&mut self, rule: RuleId, thing: u64) -> bool {
        self.fired.len() < FIRED_LIMIT && self.fired.insert((rule, thing))
    }
}

/// A process and what it did.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) process: Arc<Process>,
    pub(crate) activity: Box<Activity>,
    pub(crate) has_exited: bool,
    /// The parent as it was when the process was first seen, when known.
    parent: Option<ProcessKey>,
    /// Processes that are kept and name this one as their parent.
    children: u32,
}

/// All processes.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<ProcessKey, Entry>,
    by_pid: BTreeMap<u32, ProcessKey>,
    /// Processes of pid namespaces by the pid that they have there.
    by_inner_pid: BTreeSet<(u32, ProcessKey)>,
    /// Parent and child, of all entries whose parent was known when they came.
    below: BTreeSet<(ProcessKey, ProcessKey)>,
    exited: VecDeque<ProcessKey>,
    /// Running processes that were thrown out for want of room.
    pub(crate) lost: u64,
}

impl Tree {
    /// A process that runs, or more about it.
    pub(crate) fn learn(&mut self, process: &Process) {
        let process = Arc::new(process.clone());
        let (key, inner) = (process.key, process.inner_pid);
        let before = self.process(key).and_then(|known| known.inner_pid);
        match self.entries.get_mut(&key) {
            Some(entry) => entry.process = process,
            None => self.insert(process),
        }
        if before != inner {
            self.by_inner_pid.extend(inner.map(|inner| (inner, key)));
            if let Some(before) = before {
                self.by_inner_pid.remove(&(before, key));
            }
        }
    }

    /// A new process: a copy of its parent under its own key.
    pub(crate) fn fork(&mut self, parent: ProcessKey, child: ProcessKey, at_ms: u64) {
        let mut process = match self.entries.get(&parent) {
            Some(entry) => entry.process.as_ref().clone(),
            None => Process::unknown(parent),
        };
        process.key = child;
        process.parent_pid = parent.pid;
        process.inner_pid = None;
        process.started_ms = at_ms;
        process.threads = 1;
        self.learn(&process);
    }

    /// A process became another program: what the old one did is not the new one's.
    pub(crate) fn exec(&mut self, process: &Process) {
        self.learn(process);
        if let Some(entry) = self.entries.get_mut(&process.key) {
            let looked = entry.activity.looked;
            *entry.activity = Activity { looked, ..Activity::default() };
        }
    }

    /// A process ended.
    pub(crate) fn exit(&mut self, key: ProcessKey) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if std::mem::replace(&mut entry.has_exited, true) {
            return;
        }
        if entry.children == 0 {
            self.exited.push_back(key);
        }
        // One that goes may leave its parent without children, which is then next in line.
        while self.exited.len() > EXITED_LIMIT && self.forget_oldest_exited() {}
    }

    /// The entry of a process, made when it is not known.
    pub(crate) fn entry(&mut self, key: ProcessKey) -> Option<&mut Entry> {
        if !self.entries.contains_key(&key) {
            self.insert(Arc::new(Process::unknown(key)));
        }
        self.entries.get_mut(&key)
    }

    pub(crate) fn get(&self, key: ProcessKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// The process as last seen.
    pub(crate) fn process(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        self.entries.get(&key).map(|entry| &entry.process)
    }

    /// The parent, when known.
    pub(crate) fn parent(&self, key: ProcessKey) -> Option<&Entry> {
        let child = self.entries.get(&key)?;
        let parent = child.parent.or_else(|| self.named_parent(&child.process))?;
        self.entries.get(&parent)
    }

    /// The process that has the parent's pid. One that started later is another process with that pid.
    fn named_parent(&self, process: &Process) -> Option<ProcessKey> {
        let parent = *self.by_pid.get(&process.parent_pid)?;
        (parent.start_ticks <= process.key.start_ticks && parent != process.key).then_some(parent)
    }

    /// Parent, grandparent and so on, nearest first.
    pub(crate) fn ancestors(&self, key: ProcessKey) -> impl Iterator<Item = &Entry> {
        let mut at = key;
        std::iter::from_fn(move || {
            let parent = self.parent(at)?;
            at = parent.process.key;
            Some(parent)
        })
        .take(DEPTH_LIMIT)
    }

    /// The process at the root of what belongs together: one login, one run of a cron line, one service, one
    /// container. It is the highest below who starts such things.
    pub(crate) fn session(&self, key: ProcessKey) -> ProcessKey {
        let mut root = key;
        let is_first = |key| self.process(key).is_some_and(|process| process.inner_pid == Some(1));
        for above in self.ancestors(key) {
            // The first process of a pid namespace: a container's.
            if is_first(root) {
                break;
            }
            let grand = self.parent(above.process.key).map(|entry| entry.process.as_ref());
            if starts_sessions(&above.process, grand) {
                break;
            }
            root = above.process.key;
        }
        root
    }

    /// The parent, when the process is a copy of it that executed nothing since.
    pub(crate) fn copied_from(&self, key: ProcessKey) -> Option<&Entry> {
        let child = self.entries.get(&key)?;
        self.parent(key).filter(|parent| {
            let (child, parent) = (&child.process, &parent.process);
            !child.exe.is_empty()
                && child.exe == parent.exe
                && child.argv == parent.argv
                && !is_starter(parent)
        })
    }

    /// Running copies of a process, and copies of copies; at most `limit`.
    pub(crate) fn copies(&self, key: ProcessKey, limit: usize) -> Vec<ProcessKey> {
        let mut copies = Vec::new();
        let mut above = VecDeque::from([key]);
        while let Some(parent) = above.pop_front() {
            let first = ProcessKey { pid: 0, start_ticks: 0 };
            let children = self.below.range((parent, first)..).take_while(|(of, _)| *of == parent);
            for (_, child) in children.take(CHILDREN_LIMIT) {
                if self.copied_from(*child).is_none() || copies.len() >= limit {
                    continue;
                }
                above.push_back(*child);
                copies.extend(self.entries.get(child).filter(|entry| !entry.has_exited).map(|_| *child));
            }
        }
        copies
    }

    /// Processes that have this pid in a namespace of their own, the last started first; more namespaces are not searched.
    pub(crate) fn by_inner_pid(&self, pid: u32) -> impl Iterator<Item = ProcessKey> {
        let (first, last) =
            (ProcessKey { pid: 0, start_ticks: 0 }, ProcessKey { pid: u32::MAX, start_ticks: u64::MAX });
        self.by_inner_pid.range((pid, first)..=(pid, last)).rev().map(|(_, key)| *key).take(NAMESPACES_LIMIT)
    }

    /// The process that now has this pid.
    pub(crate) fn by_pid(&self, pid: u32) -> Option<ProcessKey> {
        self.by_pid.get(&pid).copied()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn insert(&mut self, process: Arc<Process>) {
        if self.entries.len() >= PROCESSES_LIMIT && !self.forget_oldest_exited() {
            // All run: the lowest key goes, a service from boot that has been judged long ago.
            if let Some(first) = self.entries.keys().next().copied() {
                self.forget(first);
                self.lost = self.lost.saturating_add(1);
            }
        }
        let key = process.key;
        let parent = self.named_parent(&process).filter(|parent| self.entries.contains_key(parent));
        if let Some(entry) = parent.and_then(|parent| self.entries.get_mut(&parent)) {
            entry.children = entry.children.saturating_add(1);
        }
        self.below.extend(parent.map(|parent| (parent, key)));
        self.by_pid.insert(key.pid, key);
        let entry = Entry { activity: Box::default(), has_exited: false, process, parent, children: 0 };
        self.entries.insert(key, entry);
    }

    fn forget_oldest_exited(&mut self) -> bool {
        while let Some(key) = self.exited.pop_front() {
            // It may have got a child after its end was told: events of one moment come in any order.
            if self.entries.get(&key).is_some_and(|entry| entry.has_exited && entry.children == 0) {
                self.forget(key);
                return true;
            }
        }
        false
    }

    fn forget(&mut self, key: ProcessKey) {
        let Some(entry) = self.entries.remove(&key) else { return };
        if let Some(inner) = entry.process.inner_pid {
            self.by_inner_pid.remove(&(inner, key));
        }
        if let Some(parent) = entry.parent {
            self.below.remove(&(parent, key));
        }
        if self.by_pid.get(&key.pid) == Some(&key) {
            self.by_pid.remove(&key.pid);
        }
        let Some((parent, above)) =
            entry.parent.and_then(|parent| Some((parent, self.entries.get_mut(&parent)?)))
        else {
            return;
        };
        above.children = above.children.saturating_sub(1);
        if above.children == 0 && above.has_exited {
            self.exited.push_back(parent);
        }
    }
}

/// Programs that start others for everybody: what they start has nothing to do with each other. A name can be worn
/// by anyone, so this decides only what is grouped; what may be acted on is `plan`'s business.
const STARTERS: [&str; 23] = [
    "systemd",
    "init",
    "containerd-shim",
    "containerd-shim-runc-v2",
    "containerd",
    "dockerd",
    "conmon",
    "podman",
    "crio",
    "runc",
    "crun",
    "sshd",
    "sshd-session",
    "cron",
    "crond",
    "atd",
    "login",
    "su",
    "sudo",
    "supervisord",
    "tini",
    "dumb-init",
    "catatonit",
];

/// Of these, those that only carry a session on: what runs under them belongs to who called them.
const CARRIERS: [&str; 5] = ["login", "su", "sudo", "sshd-session", "runc"];

/// It starts sessions and services for everybody. sshd is itself again for each login: the one below another is a
/// session, the one below anything else listens.
fn starts_sessions(process: &Process, parent: Option<&Process>) -> bool {
    let name = base_name(&process.exe);
    let is_session = name == "sshd" && parent.is_some_and(|parent| base_name(&parent.exe) == "sshd");
    process.key.pid == 1
        || process.origin == Origin::Kernel
        || STARTERS.contains(&name) && !CARRIERS.contains(&name) && !is_session
}

/// Shells and interpreters: their file says nothing of what they run.
const INTERPRETERS: [&str; 16] = [
    "bash", "sh", "dash", "zsh", "ksh", "ash", "fish", "busybox", "python", "perl", "ruby", "node", "nodejs",
    "php", "java", "lua",
];

/// Last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// It starts programs for everybody: grouping stops here.
pub(crate) fn is_starter(process: &Process) -> bool {
    let name = base_name(&process.exe);
    let is_login_shell =
        is_interpreter(process) && process.argv.first().is_some_and(|word| word.starts_with('-'));
    process.key.pid == 1 || process.origin == Origin::Kernel || STARTERS.contains(&name) || is_login_shell
}

/// It runs what others wrote, so that its file does not tell programs apart.
pub(crate) fn is_interpreter(process: &Process) -> bool {
    is_interpreter_path(&process.exe)
}

/// What runs from here is in its arguments.
pub(crate) fn is_interpreter_path(path: &str) -> bool {
    let name = base_name(path).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&name)
}

/// A file of the system's own folders is shared by everybody, so running it again means nothing by itself.
pub(crate) fn is_shared_tool(process: &Process) -> bool {
    const FOLDERS: [&str; 8] =
        ["/bin/", "/sbin/", "/lib/", "/lib64/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/libexec/"];
    process.origin == Origin::Disk && FOLDERS.iter().any(|folder| process.exe.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32, start_ticks: u64) -> ProcessKey {
        ProcessKey { pid, start_ticks }
    }

    #[test]
    fn a_process_of_a_namespace_is_found_by_the_pid_it_has_there_until_it_is_forgotten() {
        let mut tree = Tree::default();
        for pid in [40, 50] {
            tree.learn(&Process { inner_pid: Some(7), ..Process::unknown(key(pid, pid.into())) });
        }
        assert_eq!(tree.by_inner_pid(7).collect::<Vec<_>>(), [key(50, 50), key(40, 40)]);
        tree.learn(&Process { inner_pid: Some(8), ..Process::unknown(key(50, 50)) });
        assert_eq!(tree.by_inner_pid(7).collect::<Vec<_>>(), [key(40, 40)]);
        tree.forget(key(40, 40));
        assert_eq!((tree.by_inner_pid(7).count(), tree.by_inner_pid.len()), (0, 1));
    }

    #[test]
    fn a_child_keeps_its_ended_parent_and_a_reused_pid_is_not_its_parent() {
        let mut tree = Tree::default();
        tree.learn(&Process { comm: "sh".to_owned(), ..Process::unknown(key(10, 1)) });
        tree.fork(key(10, 1), key(11, 5), 0);
        tree.exit(key(10, 1));
        assert_eq!(tree.parent(key(11, 5)).unwrap().process.comm, "sh");
        tree.learn(&Process::unknown(key(10, 9)));
        assert_eq!(tree.parent(key(11, 5)).unwrap().process.comm, "sh", "as it was when it forked");
        tree.learn(&Process { parent_pid: 10, ..Process::unknown(key(12, 8)) });
        assert!(tree.parent(key(12, 8)).is_none(), "the process with that pid is younger");
    }

    #[test]
    fn what_runs_in_one_login_has_one_session_and_two_logins_have_two() {
        let mut tree = Tree::default();
        let mut add = |pid: u32, parent_pid: u32, exe: &str| {
            let exe = exe.to_owned();
            tree.learn(&Process { parent_pid, exe, ..Process::unknown(key(pid, u64::from(pid))) });
        };
        add(1, 0, "/usr/lib/systemd/systemd");
        add(10, 1, "/usr/sbin/sshd");
        for (session, shell, tool) in [(20, 21, 22), (30, 31, 32)] {
            add(session, 10, "/usr/sbin/sshd");
            add(shell, session, "/usr/bin/bash");
            add(tool, shell, "/usr/bin/sudo");
            add(tool + 3, tool, "/usr/bin/curl");
        }
        assert_eq!(tree.session(key(25, 25)), key(20, 20));
        assert_eq!(tree.session(key(31, 31)), key(30, 30));
        assert_eq!(tree.session(key(10, 10)), key(10, 10), "the listener is a service");
        tree.learn(&Process { parent_pid: 21, inner_pid: Some(1), ..Process::unknown(key(40, 40)) });
        tree.learn(&Process { parent_pid: 40, inner_pid: Some(2), ..Process::unknown(key(41, 41)) });
        assert_eq!(tree.session(key(41, 41)), key(40, 40), "a container");
    }

    #[test]
    fn a_ring_of_parents_is_walked_to_a_bound() {
        let mut tree = Tree::default();
        tree.learn(&Process { parent_pid: 2, ..Process::unknown(key(1, 1)) });
        tree.learn(&Process { parent_pid: 1, ..Process::unknown(key(2, 1)) });
        assert_eq!(tree.ancestors(key(1, 1)).count(), DEPTH_LIMIT);
    }

    #[test]
    fn a_parent_that_ended_is_kept_as_long_as_its_child_whatever_else_ends() {
        let mut tree = Tree::default();
        tree.learn(&Process { comm: "dropper".to_owned(), ..Process::unknown(key(10, 1)) });
        tree.fork(key(10, 1), key(11, 2), 0);
        tree.exit(key(10, 1));
        for pid in 100..20_000 {
            tree.learn(&Process::unknown(key(pid, 3)));
            tree.exit(key(pid, 3));
        }
        assert_eq!(tree.len(), EXITED_LIMIT + 2);
        assert_eq!(tree.parent(key(11, 2)).unwrap().process.comm, "dropper");
        tree.exit(key(11, 2));
        for pid in 100..2_000 {
            tree.learn(&Process::unknown(key(pid, 4)));
            tree.exit(key(pid, 4));
        }
        assert_eq!(tree.len(), EXITED_LIMIT, "with the last child goes the parent");
    }

    #[test]
    fn a_flood_of_processes_is_bounded_and_counted() {
        let mut tree = Tree::default();
        for pid in 1..=70_000 {
            tree.learn(&Process::unknown(key(pid, u64::from(pid))));
        }
        assert_eq!(tree.len(), PROCESSES_LIMIT);
        assert_eq!(tree.lost, 70_000 - 65_536);
        for pid in 60_000..=70_000 {
            tree.exit(key(pid, u64::from(pid)));
        }
        assert!(tree.len() <= PROCESSES_LIMIT - 10_001 + EXITED_LIMIT);
    }
}

//! Who wrote which file lately, so that what runs out of it later, started by cron or by a service manager, belongs to
//! the session that wrote it.
//!
//! Bounded; the oldest goes first. Paths are as the writer named them, and only hashes of them are kept: a build writes
//! 16,384 files in a minute, and their names would be 5 MB. The hash has a key that nobody outside knows, so nobody makes
//! two names one.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use minesweep_model::{FileEvent, Process, ProcessKey};

use crate::tree::{Tree, base_name};

/// Most files remembered. An upgrade of a distribution writes more; it is not what started a miner.
const FILES_LIMIT: usize = 16_384;
/// Longest path kept.
const PATH_LIMIT_BYTES: usize = 512;
/// Where jobs of cron lie: who wrote there last started what cron starts next.
const CRON: [&str; 6] = [
    "/var/spool/cron/",
    "/etc/cron.d/",
    "/etc/cron.hourly/",
    "/etc/cron.daily/",
    "/etc/crontab",
    "/var/spool/at/",
];
/// Most sessions remembered that wrote to cron.
const CRON_LIMIT: usize = 64;
/// How long a job of cron counts as its writer's: a daily one runs within the day.
const CRON_MS: u64 = 25 * 3_600_000;

/// Files written lately, and by which session.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    key: RandomState,
    by_path: BTreeMap<u64, ProcessKey>,
    order: VecDeque<u64>,
    /// Sessions that wrote jobs of cron, newest last.
    cron: VecDeque<(ProcessKey, u64)>,
}

impl Writes {
    /// Notes what was written.
    pub(crate) fn note(&mut self, tree: &Tree, event: &FileEvent, at_ms: u64) {
        let Some(path) = event.made().filter(|path| event.is_done && path.len() <= PATH_LIMIT_BYTES) else {
            return;
        };
        let session = tree.session(event.process);
        if CRON.iter().any(|folder| path.starts_with(folder)) {
            self.cron.retain(|(by, _)| *by != session);
            self.cron.push_back((session, at_ms));
            if self.cron.len() > CRON_LIMIT {
                self.cron.pop_front();
            }
        }
        let hash = self.key.hash_one(path);
        if self.by_path.insert(hash, session).is_none() {
            self.order.push_back(hash);
        }
        if self.by_path.len() > FILES_LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_path.remove(&oldest);
        }
    }

    /// Sessions that wrote what this process runs: its executable, a file in its arguments, the unit that it is of;
    /// last, for a job of cron, who wrote jobs of cron. Nearest first.
    pub(crate) fn writers(&self, tree: &Tree, process: &Process, at_ms: u64) -> Vec<ProcessKey> {
        let named = std::iter::once(process.exe.as_str()).chain(process.argv.iter().map(String::as_str));
        let mut writers: Vec<ProcessKey> =
            named.filter(|path| path.starts_with('/')).filter_map(|path| self.writer(path)).collect();
        writers.extend(self.unit_writer(&process.cgroup));
        let is_of_cron = tree.ancestors(process.key).any(|above| is_cron(base_name(&above.process.exe)));
        if is_of_cron {
            let recent = |(_, at): &&(ProcessKey, u64)| at_ms.saturating_sub(*at) <= CRON_MS;
            writers.extend(self.cron.iter().rev().filter(recent).map(|(session, _)| *session));
        }
        let (session, machine) = (tree.session(process.key), container_root(tree, process.key));
        // The same path in two containers is not the same file.
        let is_apart = |writer: ProcessKey| match (machine, container_root(tree, writer)) {
            (Some(own), Some(other)) => own != other,
            (None, _) | (_, None) => false,
        };
        writers.retain(|writer| *writer != session && !is_apart(*writer));
        writers
    }

    fn writer(&self, path: &str) -> Option<ProcessKey> {
        self.by_path.get(&self.key.hash_one(path)).copied()
    }

    /// Who wrote the unit file of a control group such as `/system.slice/x.service`.
    fn unit_writer(&self, cgroup: &str) -> Option<ProcessKey> {
        const FOLDERS: [&str; 5] = [
            "/etc/systemd/system",
            "/usr/lib/systemd/system",
            "/lib/systemd/system",
            "/run/systemd/system",
            "/usr/local/lib/systemd/system",
        ];
        let unit = cgroup.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))?;
        FOLDERS.iter().find_map(|folder| self.writer(&format!("{folder}/{unit}")))
    }
}

/// The first process of the pid namespace that a process is in, when that is not the machine's own.
fn container_root(tree: &Tree, key: ProcessKey) -> Option<ProcessKey> {
    let is_first = |process: &&Arc<Process>| process.inner_pid == Some(1);
    let own = tree.process(key).filter(is_first);
    own.or_else(|| tree.ancestors(key).map(|above| &above.process).find(is_first)).map(|first| first.key)
}

fn is_cron(name: &str) -> bool {
    matches!(name, "cron" | "crond" | "atd" | "anacron")
}

#[cfg(test)]
mod tests {
    use minesweep_model::FileAct;

    use super::*;

    fn key(pid: u32) -> ProcessKey {
        ProcessKey { pid, start_ticks: u64::from(pid) }
    }

    fn write(by: u32, path: &str) -> FileEvent {
        FileEvent {
            process: key(by),
            act: FileAct::Write,
            path: path.to_owned(),
            other: None,
            file: None,
            value: None,
            is_done: true,
            mounts: None,
            name: None,
        }
    }

    fn process(pid: u32, parent_pid: u32, exe: &str) -> Process {
        Process { parent_pid, exe: exe.to_owned(), ..Process::unknown(key(pid)) }
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.learn(&process(1, 0, "/usr/lib/systemd/systemd"));
        tree.learn(&process(10, 1, "/usr/sbin/cron"));
        tree.learn(&process(20, 1, "/usr/bin/redis-server"));
        tree
    }

    #[test]
    fn what_runs_out_of_a_file_is_its_writers_by_executable_argument_unit_and_cron() {
        let (mut writes, mut tree) = (Writes::default(), tree());
        for path in ["/opt/.a", "/etc/systemd/system/bot.service", "/var/spool/cron/crontabs/root"] {
            writes.note(&tree, &write(20, path), 1000);
        }
        let unit =
            Process { cgroup: "/system.slice/bot.service".to_owned(), ..process(30, 1, "/usr/bin/dash") };
        let argument =
            Process { argv: vec!["sh".to_owned(), "/opt/.a".to_owned()], ..process(31, 1, "/usr/bin/dash") };
        let job = process(32, 10, "/usr/bin/dash");
        let other = process(33, 1, "/usr/bin/dash");
        for process in [&unit, &argument, &job, &other] {
            tree.learn(process);
        }
        assert_eq!(writes.writers(&tree, &process(34, 1, "/opt/.a"), 2000), [key(20)]);
        assert_eq!(writes.writers(&tree, &unit, 2000), [key(20)]);
        assert_eq!(writes.writers(&tree, &argument, 2000), [key(20)]);
        assert_eq!(writes.writers(&tree, &job, 1000 + CRON_MS), [key(20)]);
        assert!(writes.writers(&tree, &job, 1001 + CRON_MS).is_empty(), "a day later");
        assert!(writes.writers(&tree, &other, 2000).is_empty());
    }

    #[test]
    fn the_same_path_in_another_container_is_another_file() {
        let (mut writes, mut tree) = (Writes::default(), tree());
        let first = |pid| Process { inner_pid: Some(1), ..process(pid, 1, "/usr/bin/dash") };
        for container in [&first(40), &first(50)] {
            tree.learn(container);
        }
        writes.note(&tree, &write(40, "/etc/ld.so.preload"), 1000);
        let argv = vec!["tee".to_owned(), "/etc/ld.so.preload".to_owned()];
        let tee = |pid, parent| Process { argv: argv.clone(), ..process(pid, parent, "/usr/bin/tee") };
        tree.learn(&tee(51, 50));
        tree.learn(&tee(60, 1));
        assert!(writes.writers(&tree, &tee(51, 50), 2000).is_empty());
        assert_eq!(writes.writers(&tree, &tee(60, 1), 2000), [key(40)], "of the machine itself: not known");
    }

    #[test]
    fn a_flood_of_files_is_bounded() {
        let (mut writes, tree) = (Writes::default(), tree());
        for number in 0..FILES_LIMIT + 10 {
            writes.note(&tree, &write(20, &format!("/var/x/{number}")), 0);
        }
        assert_eq!((writes.by_path.len(), writes.order.len()), (FILES_LIMIT, FILES_LIMIT));
    }
}

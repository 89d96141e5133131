//! The sensor for kernels without eBPF: process connector, /proc and `sock_diag`. Works from Linux 3.10 on.
//!
//! Sees processes and connections, not what is said on them, nor what the processor does. Start it first and take
//! `proc::running` after: then nothing falls between the two.

mod connections;
mod connector;
mod walk;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use minesweep_model::{Blind, Event, HookCount, ProcessKey, Text, What};

use crate::{
    BATCH, SensorError, Source,
    proc::{self, MAX_PROCESSES, now_ms},
    wake::Wake,
};

use self::{
    connections::Connections,
    connector::{Connector, Record},
    walk::Walk,
};

/// Pause between two lists of sockets, and of processes where the connector is refused.
const PAUSE: Duration = Duration::from_secs(1);
/// Most processes whose leading thread ended before the others.
const MAX_LEADERLESS: usize = 1024;

/// The `proc` sensor.
pub struct ProcSensor {
    processes: Processes,
    connections: Connections,
    known: HashMap<u32, ProcessKey>,
    leaderless: HashSet<u32>,
    /// What did not fit in the last batch; a list of sockets or processes at most.
    waiting: VecDeque<What>,
    wake: Wake,
    next_list: Instant,
    told_lost: u64,
    /// Records by kind: fork, exec, exit.
    counts: [HookCount; 3],
}

/// Does the kernel let us listen? Asks and hangs up.
pub(crate) fn connector_answers() -> io::Result<()> {
    Connector::open().map(drop)
}

enum Processes {
    Connector(Connector),
    Walk(Walk, io::Error),
}

/// Places in `counts`.
#[derive(Clone, Copy)]
enum Hook {
    Fork,
    Exec,
    Exit,
}

impl ProcSensor {
    /// Starts it: with the process connector, or with lists of /proc where the kernel refuses that.
    ///
    /// # Errors
    /// When /proc cannot be listed.
    pub fn start() -> Result<Self, SensorError> {
        let processes = match Connector::open() {
            Ok(connector) => Processes::Connector(connector),
            Err(refusal) => Processes::Walk(Walk::start(), refusal),
        };
        let pids = proc::list().map_err(|source| refused("/proc", source))?;
        let known = pids.into_iter().filter_map(|pid| Some((pid, proc::key(pid).ok()?))).collect();
        Ok(Self {
            processes,
            connections: Connections::start(),
            known,
            leaderless: HashSet::new(),
            waiting: VecDeque::new(),
            wake: Wake::default(),
            next_list: Instant::now() + PAUSE,
            told_lost: 0,
            counts: ["fork", "exec", "exit"]
                .map(|hook| HookCount { hook: hook.to_owned(), ..HookCount::default() }),
        })
    }

    /// True when what we were told to wake on ended the wait.
    fn wait(&mut self, wait: Duration) -> Result<bool, SensorError> {
        let connector = match &self.processes {
            Processes::Connector(connector) => Some(connector.as_fd()),
            Processes::Walk(..) => None,
        };
        self.wake.wait(connector.as_slice(), wait).map_err(|source| refused("the process connector", source))
    }

    /// Records that the connector has.
    fn read_records(&mut self, out: &mut Vec<What>) -> Result<(), SensorError> {
        let Processes::Connector(connector) = &mut self.processes else { return Ok(()) };
        let mut records = Vec::new();
        connector.read(BATCH / 2, &mut records).map_err(|source| refused("the process connector", source))?;
        for record in records {
            let hook = match record {
                Record::Fork { .. } => Hook::Fork,
                Record::Exec { .. } => Hook::Exec,
                Record::Exit { pid, is_leader: false } if !self.leaderless.contains(&pid) => continue,
                Record::Exit { .. } => Hook::Exit,
            };
            let told = match record {
                Record::Fork { parent, child } => self.fork(parent, child),
                Record::Exec { pid } => self.exec(pid),
                Record::Exit { pid, .. } if self.has_threads_left(pid) => continue,
                Record::Exit { pid, .. } => self.exit(pid),
            };
            self.count(hook, told.is_some());
            out.extend(told);
        }
        Ok(())
    }

    fn count(&mut self, hook: Hook, is_told: bool) {
        if let Some(count) = self.counts.get_mut(hook as usize) {
            count.made += 1;
            *(if is_told { &mut count.seen } else { &mut count.lost }) += 1;
        }
    }

    fn fork(&mut self, parent: u32, child: u32) -> Option<What> {
        let child = proc::key(child).ok()?;
        self.remember(child);
        let parent = self.known.get(&parent).copied().or_else(|| proc::key(parent).ok())?;
        Some(What::Fork { parent, child })
    }

    fn exec(&mut self, pid: u32) -> Option<What> {
        let process = proc::read(pid).ok()?;
        self.remember(process.key);
        self.connections.expect(pid);
        Some(What::Exec(Box::new(process)))
    }

    fn exit(&mut self, pid: u32) -> Option<What> {
        self.leaderless.remove(&pid);
        self.known.remove(&pid).map(|process| What::Exit { process })
    }

    /// The leading thread may end before the others; the process goes on, and its number stays taken.
    fn has_threads_left(&mut self, pid: u32) -> bool {
        let mut buffer = Vec::new();
        let goes_on = proc::stat::read(pid, &mut buffer).is_ok_and(|stat| stat.threads > 1);
        if goes_on && self.leaderless.len() < MAX_LEADERLESS {
            self.leaderless.insert(pid);
        }
        goes_on
    }

    fn remember(&mut self, key: ProcessKey) {
        if self.known.len() < MAX_PROCESSES || self.known.contains_key(&key.pid) {
            self.known.insert(key.pid, key);
        }
    }

    /// The lists that are made each second, and what was lost.
    fn read_lists(&mut self, out: &mut Vec<What>) -> Result<(), SensorError> {
        if Instant::now() < self.next_list {
            return Ok(());
        }
        self.next_list = Instant::now() + PAUSE;
        if let Processes::Walk(walk, _) = &mut self.processes {
            let from = out.len();
            walk.poll(out).map_err(|source| refused("/proc", source))?;
            for what in out.iter().skip(from) {
                if let What::Running(process) | What::Exec(process) = what {
                    self.connections.expect(process.key.pid);
                }
            }
        }
        self.connections.poll(out);
        if let Some(lost) = self.newly_lost() {
            out.push(What::Lost(lost));
            self.reconcile(out).map_err(|source| refused("/proc", source))?;
        }
        Ok(())
    }

    /// After a loss: tells the ends that were not told, and the processes that were not.
    fn reconcile(&mut self, out: &mut Vec<What>) -> io::Result<()> {
        let there: HashMap<u32, ProcessKey> =
            proc::list()?.into_iter().filter_map(|pid| Some((pid, proc::key(pid).ok()?))).collect();
        self.known.retain(|pid, key| {
            let is_there = there.get(pid) == Some(key);
            if !is_there {
                out.push(What::Exit { process: *key });
            }
            is_there
        });
        for (pid, key) in there {
            if self.known.contains_key(&pid) {
                continue;
            }
            self.remember(key);
            self.connections.expect(pid);
            out.extend(proc::read(pid).map(|process| What::Running(Box::new(process))));
        }
        Ok(())
    }

    fn newly_lost(&mut self) -> Option<HookCount> {
        let Processes::Connector(connector) = &self.processes else { return None };
        let lost = connector.lost - self.told_lost;
        self.told_lost = connector.lost;
        (lost > 0).then(|| HookCount { hook: "process".to_owned(), made: lost, seen: 0, lost })
    }
}

impl Source for ProcSensor {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn next(&mut self, wait: Duration, out: &mut Vec<Event>) -> Result<(), SensorError> {
        let until = Instant::now() + wait;
        while self.waiting.is_empty() {
            let end = until.min(self.next_list);
            let is_woken = self.wait(end.saturating_duration_since(Instant::now()))?;
            let mut found = Vec::new();
            self.read_records(&mut found)?;
            self.read_lists(&mut found)?;
            self.waiting.extend(found);
            if is_woken || Instant::now() >= until {
                break;
            }
        }
        let at_ms = now_ms();
        let count = self.waiting.len().min(BATCH);
        out.extend(self.waiting.drain(..count).map(|what| Event { at_ms, what }));
        Ok(())
    }

    fn wake_on(&mut self, fd: OwnedFd) {
        self.wake.on(fd);
    }

    fn counts(&self) -> Vec<HookCount> {
        let mut counts = vec![self.connections.count()];
        if let Processes::Connector(connector) = &self.processes {
            let (seen, lost) = (connector.seen, connector.lost);
            counts.push(HookCount { hook: "process".to_owned(), made: seen + lost, seen, lost });
            counts.extend(self.counts.iter().cloned());
        }
        counts
    }

    fn blind(&self) -> Vec<Blind> {
        let mut blind: Vec<Blind> = BLIND.iter().map(Row::blind).collect();
        if let Processes::Walk(_, refusal) = &self.processes {
            let why = Text::new(
                format!(
                    "processes that live less than a second are not seen: the process connector says {refusal}; run \
                     as root in the host's own pid and network namespaces"
                ),
                format!(
                    "看不到存活不足一秒的进程：进程连接器返回“{refusal}”；请以 root 在主机自身的 PID 和网络命名空间中运行"
                ),
            );
            blind.push(Blind { what: "exec".to_owned(), why });
        }
        blind
    }
}

/// One thing that this sensor never sees.
struct Row {
    what: &'static str,
    en: &'static str,
    zh: &'static str,
}

impl Row {
    fn blind(&self) -> Blind {
        Blind { what: self.what.to_owned(), why: Text::new(self.en, self.zh) }
    }
}

const BLIND: [Row; 6] = [
    Row {
        what: "connect",
        en: "connections that live less than a second are not seen without eBPF; run as root on Linux 5.8 or later \
             with BTF",
        zh: "没有 eBPF 时看不到存活不足一秒的连接；请以 root 在带 BTF 的 Linux 5.8 或更新内核上运行",
    },
    Row {
        what: "bytes",
        en: "what is said on a connection is not seen without eBPF, so mining protocols are not recognised; run as \
             root on Linux 5.8 or later with BTF",
        zh: "没有 eBPF 时看不到连接内容，无法识别挖矿协议；请以 root 在带 BTF 的 Linux 5.8 或更新内核上运行",
    },
    Row {
        what: "rounding",
        en: "rounding modes, by which RandomX is known, are not seen without eBPF; run as root on Linux 5.8 or later \
             with BTF",
        zh: "没有 eBPF 时看不到浮点舍入模式，无法据此识别 RandomX；请以 root 在带 BTF 的 Linux 5.8 或更新内核上运行",
    },
    Row {
        what: "maps",
        en: "a miner's memory maps are seen only by a closer look, not when they are made; run as root on Linux 5.8 \
             or later with BTF",
        zh: "矿工的内存映射只能在深入查看时看到，创建时看不到；请以 root 在带 BTF 的 Linux 5.8 或更新内核上运行",
    },
    Row {
        what: "files",
        en: "changes to files and mounts are not seen without eBPF; run as root on Linux 5.8 or later with BTF",
        zh: "没有 eBPF 时看不到对文件和挂载的改动；请以 root 在带 BTF 的 Linux 5.8 或更新内核上运行",
    },
    Row {
        what: "msr",
        en: "writes to processor registers and to huge-page settings are not seen without eBPF; run as root on \
             Linux 5.8 or later with BTF",
        zh: "没有 eBPF 时看不到对处理器寄存器和大页设置的写入；请以 root 在带 BTF 的 Linux 5.8 或更新内核上运行",
    },
];

fn refused(what: &str, source: io::Error) -> SensorError {
    SensorError::Refused { sensor: "proc", what: what.to_owned(), source }
}

//! CPU time: of the machine, of each process, and of those that ended in between.
//!
//! A calm machine is only asked for its sum (`/proc/stat`); all processes are walked when it is busy, or every ten
//! seconds. Time of processes that ended is taken from their parents, which inherit it when they wait for them. A
//! parent that ignores its children's end inherits nothing: such time is neither visible nor ended, so who compares
//! the sums needs a margin and several samples. Does not judge.

mod switches;

use std::{collections::HashMap, io};

use minesweep_model::{CpuSample, ProcessCpu, ProcessKey};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, SeekFrom, openat, seek};

use crate::proc::{
    self, root, since_boot_ms,
    stat::{Stat, number},
};

/// Most processes of a sample (model: `CpuSample`).
const MAX_LISTED: usize = 256;
/// Share of the machine above which every call walks all processes.
const BUSY_PERCENT: f64 = 5.0;
/// Longest time between two walks; a calm walk of 500 processes each 10 s costs 0.1 % of a processor.
const WALK_MS: u64 = 10_000;
/// Milliseconds of a tick: USER_HZ is 100 on every processor that Linux runs on but Alpha and IA-64.
const TICK_MS: u64 = 10;
/// Most bytes of the `cpu` lines of `/proc/stat`: 1024 processors.
const STAT_BYTES: usize = 128 << 10;
/// Longest chain of parents that ended within one sample.
const MAX_CHAIN: usize = 64;

/// Takes samples of CPU time.
#[derive(Debug)]
pub struct Sampler {
    machine_stat: OwnedFd,
    seen: Option<Machine>,
    walked: Option<Machine>,
    busy_percent: f64,
    known: HashMap<u32, Known>,
    found: HashMap<u32, Known>,
    buffer: Vec<u8>,
    lost: u64,
    is_in_container: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Machine {
    at_ms: u64,
    busy_ticks: u64,
    cpus: u32,
}

/// What was read of a process at the last walk.
#[derive(Clone, Copy, Debug)]
struct Known {
    start_ticks: u64,
    own_ticks: u64,
    children_ticks: u64,
    parent_pid: u32,
    switches: Option<(u64, u64)>,
}

impl Sampler {
    /// A sampler; its first call gives the base line.
    ///
    /// # Errors
    /// When `/proc/stat` cannot be opened.
    pub fn new() -> io::Result<Self> {
        let machine_stat = openat(root::root()?, "stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self {
            machine_stat,
            is_in_container: proc::is_in_container(),
            seen: None,
            walked: None,
            busy_percent: 0.0,
            known: HashMap::new(),
            found: HashMap::new(),
            buffer: Vec::with_capacity(4096),
            lost: 0,
        })
    }

    /// The use since the last sample; `None` at the first call and while the machine is calm and ten seconds are not
    /// over. Call it every one to five seconds.
    ///
    /// # Errors
    /// When /proc can no longer be read.
    pub fn sample(&mut self) -> io::Result<Option<CpuSample>> {
        let now = self.read_machine()?;
        self.busy_percent = self.seen.map_or(0.0, |before| busy_percent(before, now));
        self.seen = Some(now);
        let is_due = self.walked.is_none_or(|walked| now.at_ms.saturating_sub(walked.at_ms) >= WALK_MS);
        if !is_due && self.busy_percent <= BUSY_PERCENT {
            return Ok(None);
        }
        self.walk_now()
    }

    /// The use since the last sample, walked now whatever the load; `None` at the first call.
    ///
    /// # Errors
    /// When /proc can no longer be read.
    pub fn walk_now(&mut self) -> io::Result<Option<CpuSample>> {
        let now = self.read_machine()?;
        let before = self.walked.replace(now);
        let sample = self.walk(before, now)?;
        Ok(before.map(|_| sample))
    }

    /// Busy share of all processors between the last two calls, 0 to 100.
    pub fn busy_percent(&self) -> f64 {
        self.busy_percent
    }

    /// Processes beyond [`MAX_PROCESSES`] that were not looked at, since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn read_machine(&mut self) -> io::Result<Machine> {
        seek(&self.machine_stat, SeekFrom::Start(0))?;
        root::fill(&self.machine_stat, STAT_BYTES, &mut self.buffer)?;
        let (busy_ticks, cpus) = machine(&self.buffer).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "/proc/stat has no line for all processors")
        })?;
        Ok(Machine { at_ms: since_boot_ms(), busy_ticks, cpus })
    }

    fn walk(&mut self, before: Option<Machine>, now: Machine) -> io::Result<CpuSample> {
        let since = before.unwrap_or(now);
        let over_ms = now.at_ms.saturating_sub(since.at_ms);
        let mut sample = CpuSample {
            over_ms,
            busy_ms: ms(now.busy_ticks.saturating_sub(since.busy_ticks)),
            cpus: now.cpus,
            ..CpuSample::default()
        };
        let (pids, is_cut) = proc::listing()?;
        self.lost += u64::from(is_cut);
        self.found.clear();
        let mut buffer = std::mem::take(&mut self.buffer);
        for pid in pids {
            let Ok(stat) = proc::stat::read(pid, &mut buffer) else { continue };
            self.take(pid, &stat, since.at_ms, &mut sample);
        }
        self.buffer = buffer;
        sample.ended_ms =
            ms(ended(&self.known, &self.found)).min(sample.busy_ms.saturating_sub(sample.visible_ms));
        if self.is_in_container {
            // The rest of the machine is busy too, and its processes are not hidden: they are elsewhere.
            sample.busy_ms = sample.visible_ms.saturating_add(sample.ended_ms);
        }
        sample.processes.sort_unstable_by(|a, b| b.cpu_ms.cmp(&a.cpu_ms).then(a.process.cmp(&b.process)));
        sample.processes.truncate(MAX_LISTED);
        self.count_switches(since.at_ms, &mut sample.processes);
        std::mem::swap(&mut self.known, &mut self.found);
        Ok(sample)
    }

    /// One process: its share of the sample, and what to remember of it.
    fn take(&mut self, pid: u32, stat: &Stat<'_>, since_ms: u64, sample: &mut CpuSample) {
        let known = self.known.get(&pid).filter(|known| known.start_ticks == stat.start_ticks);
        let is_new = is_new(stat.start_ticks, since_ms);
        let base = match known {
            Some(known) => known.own_ticks,
            None if is_new => 0,
            None => stat.own_ticks,
        };
        let cpu_ms = ms(stat.own_ticks.saturating_sub(base));
        sample.visible_ms += cpu_ms;
        // 1 % of one processor.
        if cpu_ms > 0 && cpu_ms >= sample.over_ms / 100 {
            sample.processes.push(ProcessCpu {
                process: ProcessKey { pid, start_ticks: stat.start_ticks },
                cpu_ms,
                total_ms: ms(stat.own_ticks),
                threads: stat.threads,
                voluntary: 0,
                involuntary: 0,
                rss_kib: stat.rss_pages.saturating_mul(page_kib()),
            });
        }
        let remembered = Known {
            start_ticks: stat.start_ticks,
            own_ticks: stat.own_ticks,
            children_ticks: stat.children_ticks,
            parent_pid: stat.parent_pid,
            switches: known.and_then(|known| known.switches),
        };
        self.found.insert(pid, remembered);
    }

    fn count_switches(&mut self, since_ms: u64, listed: &mut [ProcessCpu]) {
        let mut room = switches::MAX_THREADS;
        for entry in listed {
            let Some(now) = switches::of(entry.process.pid, &mut room, &mut self.buffer) else { continue };
            let Some(known) = self.found.get_mut(&entry.process.pid) else { continue };
            let is_new = is_new(entry.process.start_ticks, since_ms);
            let before = known.switches.replace(now).unwrap_or(if is_new { (0, 0) } else { now });
            entry.voluntary = now.0.saturating_sub(before.0);
            entry.involuntary = now.1.saturating_sub(before.1);
        }
    }
}

/// Ticks of processes that ended since the last walk, from what their parents inherited, less what the ended had used
/// by the last walk. A parent that also ended passes it on.
fn ended(known: &HashMap<u32, Known>, found: &HashMap<u32, Known>) -> u64 {
    let lives =
        |pid: u32, known: &Known| found.get(&pid).is_some_and(|now| now.start_ticks == known.start_ticks);
    let mut counted: HashMap<u32, u64> = HashMap::new();
    for (&pid, gone) in known.iter().filter(|&(&pid, known)| !lives(pid, known)) {
        let mut heir = gone.parent_pid;
        for _generation in 0..MAX_CHAIN {
            match known.get(&heir) {
                Some(parent) if heir != pid && !lives(heir, parent) => heir = parent.parent_pid,
                Some(_) | None => break,
            }
        }
        *counted.entry(heir).or_default() += gone.own_ticks.saturating_add(gone.children_ticks);
    }
    found
        .iter()
        .map(|(pid, now)| {
            let before = known.get(pid).filter(|known| known.start_ticks == now.start_ticks);
            let inherited = now.children_ticks.saturating_sub(before.map_or(0, |known| known.children_ticks));
            inherited.saturating_sub(counted.get(pid).copied().unwrap_or_default())
        })
        .sum()
}

/// Busy ticks and number of processors from `/proc/stat`. Guest time is within user time already.
fn machine(text: &[u8]) -> Option<(u64, u32)> {
    let mut lines = text.split(|&b| b == b'\n');
    let mut fields =
        lines.next()?.strip_prefix(b"cpu ")?.split(|&b| b == b' ').filter(|field| !field.is_empty());
    let mut next = || number(fields.next()?);
    let (user, nice, system) = (next()?, next()?, next()?);
    let (_idle, _iowait) = (next()?, next()?);
    let (irq, softirq) = (next()?, next()?);
    let cpus = lines.take_while(|line| line.starts_with(b"cpu")).count();
    Some((user + nice + system + irq + softirq, u32::try_from(cpus).ok()?))
}

/// Did it start after that moment? A start is known to the tick: the end of the tick counts, since a process that was
/// there at the moment itself is known from the walk.
fn is_new(start_ticks: u64, since_ms: u64) -> bool {
    ms(start_ticks.saturating_add(1)) > since_ms
}

fn busy_percent(before: Machine, now: Machine) -> f64 {
    let wall_ms = now.at_ms.saturating_sub(before.at_ms).saturating_mul(u64::from(now.cpus.max(1)));
    if wall_ms == 0 {
        return 0.0;
    }
    let busy_ms = ms(now.busy_ticks.saturating_sub(before.busy_ticks));
    (busy_ms as f64 * 100.0 / wall_ms as f64).min(100.0)
}

fn ms(ticks: u64) -> u64 {
    ticks.saturating_mul(TICK_MS)
}

fn page_kib() -> u64 {
    (rustix::param::page_size() as u64) >> 10
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(parent_pid: u32, own_ticks: u64, children_ticks: u64) -> Known {
        Known { start_ticks: 1, own_ticks, children_ticks, parent_pid, switches: None }
    }

    #[test]
    fn idle_waiting_and_stolen_time_is_not_busy() {
        let text = b"cpu  10 20 30 4000 500 6 7 800 9 0\ncpu0 1 2\ncpu1 1 2\nintr 5 cpu\nctxt 1\n";
        assert_eq!(machine(text), Some((73, 2)));
        assert_eq!(machine(b"cpu  1 2 3\n"), None);
        assert_eq!(machine(b""), None);
    }

    #[test]
    fn a_process_that_started_in_the_tick_of_the_walk_is_new() {
        assert!(is_new(100, 1009));
        assert!(!is_new(100, 1010));
    }

    #[test]
    fn a_child_that_ended_counts_only_what_it_used_since_the_last_walk() {
        let before = HashMap::from([(1, known(0, 5, 100)), (9, known(1, 40, 2))]);
        let after = HashMap::from([(1, known(0, 5, 100 + 40 + 2 + 30))]);
        assert_eq!(ended(&before, &after), 30);
    }

    #[test]
    fn a_child_that_came_and_went_between_two_walks_counts_whole() {
        let before = HashMap::from([(1, known(0, 5, 0))]);
        assert_eq!(ended(&before, &HashMap::from([(1, known(0, 5, 25))])), 25);
    }

    #[test]
    fn a_chain_that_ended_is_inherited_by_the_first_that_lives() {
        let before = HashMap::from([(1, known(0, 0, 0)), (2, known(1, 10, 0)), (3, known(2, 20, 0))]);
        let after = HashMap::from([(1, known(0, 0, 10 + 20 + 7))]);
        assert_eq!(ended(&before, &after), 7);
    }

    #[test]
    fn a_child_nobody_waited_for_does_not_eat_the_time_of_another() {
        let before = HashMap::from([(1, known(0, 0, 0)), (2, known(0, 0, 0)), (3, known(2, 5000, 0))]);
        let after = HashMap::from([(1, known(0, 0, 12)), (2, known(0, 0, 0))]);
        assert_eq!(ended(&before, &after), 12);
    }

    #[test]
    fn parents_in_a_circle_end_the_search() {
        let before = HashMap::from([(2, known(3, 1, 0)), (3, known(2, 1, 0))]);
        assert_eq!(ended(&before, &HashMap::new()), 0);
    }
}

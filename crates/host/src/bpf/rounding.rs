//! Reads the kernel's counts of rounding modes, and makes samples come faster when it matters.
//!
//! A sample is a switch to the process. Alone on its processor a miner is hardly ever switched; then a thread of ours
//! wakes on each processor in turn, and each wake is a switch away and back.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use minesweep_model::{ProcessKey, Rounding};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::record::{self, Modes, Who};

/// Wakes on each processor in a second.
const RATE_HZ: u32 = 20;

/// Enough samples of one process to judge it; then we stop waking.
const ENOUGH: u64 = 200;

/// How long one wish for more samples lasts.
const CLOSE_FOR: Duration = Duration::from_secs(3);

/// Wishes for more samples on account of one process: one that seldom runs must not keep us awake for ever.
const WISHES: u8 = 10;

/// Counts by process.
pub(crate) struct RoundingReader {
    counts: MapHandle,
    is_any: MapHandle,
    last: HashMap<ProcessKey, Tally>,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    counts: [u64; 4],
    wishes: u8,
}

impl RoundingReader {
    /// From the two maps of rounding.bpf.c.
    pub(crate) fn new(counts: MapHandle, is_any: MapHandle) -> Self {
        Self { counts, is_any, last: HashMap::new() }
    }

    /// What came since the last call, and whether a process needs more samples.
    pub(crate) fn read(&mut self) -> io::Result<(Vec<Rounding>, bool)> {
        let mut now = HashMap::new();
        let mut news = Vec::new();
        let mut needs_more = false;
        for key in self.counts.keys() {
            let Some((who, _)) = record::read::<Who>(&key) else { continue };
            let value = self.counts.lookup(&key, MapFlags::ANY).map_err(super::load::io_error)?;
            let Some((modes, _)) = value.as_deref().and_then(record::read::<Modes>) else { continue };
            let process = who.known();
            let mut tally = self.last.get(&process).copied().unwrap_or_default();
            let samples = delta(tally.counts, modes.count);
            tally.counts = modes.count;
            if samples.iter().any(|&count| count > 0) {
                news.push(Rounding { process, samples });
                if tally.wishes < WISHES && modes.count.iter().sum::<u64>() < ENOUGH {
                    tally.wishes += 1;
                    needs_more = true;
                }
            }
            now.insert(process, tally);
        }
        if now.is_empty() && !self.last.is_empty() {
            self.let_switches_be_cheap()?;
        }
        self.last = now;
        Ok((news, needs_more))
    }

    /// With no entry left, a switch in nearest mode need not look for one.
    fn let_switches_be_cheap(&self) -> io::Result<()> {
        let zeros = vec![0; usize::try_from(self.is_any.value_size()).unwrap_or_default()];
        self.is_any.update(&0u32.to_ne_bytes(), &zeros, MapFlags::ANY).map_err(super::load::io_error)
    }
}

fn delta(before: [u64; 4], now: [u64; 4]) -> [u32; 4] {
    let mut out = [0; 4];
    for ((out, before), now) in out.iter_mut().zip(before).zip(now) {
        *out = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
    }
    out
}

/// Wakes on each processor in turn while somebody wants samples.
pub(crate) struct Nudge {
    started: Instant,
    until_ms: Arc<AtomicU64>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Nudge {
    /// Asleep.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), until_ms: Arc::default(), thread: None }
    }

    /// Wakes for some seconds from now.
    pub(crate) fn wake(&mut self) -> io::Result<()> {
        let until = self.started.elapsed() + CLOSE_FOR;
        self.until_ms.fetch_max(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        let (started, until_ms) = (self.started, Arc::clone(&self.until_ms));
        self.thread = Some(thread::Builder::new().name("sampler".into()).stack_size(64 << 10).spawn(move || {
            if let Err(cause) = visit_processors(started, &until_ms) {
                tracing::warn!(%cause, "cannot move a thread between processors; rounding samples come slowly");
            }
        })?);
        Ok(())
    }
}

impl Drop for Nudge {
    fn drop(&mut self) {
        self.until_ms.store(0, Ordering::Relaxed);
    }
}

fn visit_processors(started: Instant, until_ms: &AtomicU64) -> io::Result<()> {
    let all = sched_getaffinity(None)?;
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu)).collect();
    let rest = Duration::from_secs(1) / RATE_HZ / u32::try_from(processors.len().max(1)).unwrap_or(1);
    while started.elapsed().as_millis() < u128::from(until_ms.load(Ordering::Relaxed)) {
        for &cpu in &processors {
            let mut one = CpuSet::new();
            one.set(cpu);
            sched_setaffinity(None, &one)?;
            thread::sleep(rest);
        }
    }
    Ok(())
}

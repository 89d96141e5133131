//! The eBPF sensor: what processes do, from hooks in the kernel.
//!
//! Observes only: no program of ours refuses a call, drops a packet or stops a process. Everything hangs on descriptors
//! of this process and is gone when it is, however it ends. Reads kernel events; /proc and CPU time are other files'.

mod blind;
mod calls;
mod cgroup;
mod convert;
mod files;
mod load;
mod look;
mod place;
mod record;
mod rings;
mod rounding;
mod watched;

use std::{
    collections::VecDeque,
    fs, io,
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use libbpf_rs::{Link, MapCore as _, MapFlags, MapHandle, Object};
use minesweep_model::{Blind, Event, HookCount, What};

pub use self::look::{ExistingFlow, Task, existing_flows, iterate_tasks};
use self::{
    convert::{Clock, Converter},
    load::refuse,
    record::{Count, FLOW_REPORTED, FlowState, HOOKS, Settings},
    rings::Rings,
    rounding::{Nudge, RoundingReader},
};
use crate::{BATCH, SensorError, Source, wake::Wake};

/// Time between two readings of rounding modes and losses.
const TICK: Duration = Duration::from_secs(1);

/// How the sensor is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes copied of each TCP flow and direction, at most 16 KiB.
    pub byte_budget: u32,
    /// Root of the cgroup2 tree whose sockets are seen; `None`: where it is mounted.
    pub cgroup_root: Option<PathBuf>,
}

/// Bytes of each flow and direction that carry a login, its reply, jobs and the first shares.
pub const BYTE_BUDGET: u32 = 16 << 10;

impl Default for Options {
    fn default() -> Self {
        Self { byte_budget: BYTE_BUDGET, cgroup_root: None }
    }
}

/// The running sensor.
pub struct BpfSensor {
    // Fields are dropped in this order: first the rings' reader, then the hooks, then their maps.
    rings: Rings,
    wake: Wake,
    _links: Vec<Link>,
    object: Object,
    converter: Converter,
    rounding: RoundingReader,
    nudge: Nudge,
    counts: MapHandle,
    lost: [u64; HOOKS.len()],
    blind: Vec<Blind>,
    pending: VecDeque<Event>,
    next_tick: Instant,
}

impl BpfSensor {
    /// Loads the programs, attaches them and takes in the connections that are already there.
    ///
    /// # Errors
    /// When the kernel has no eBPF for us at all, or refuses the hook on exec: another sensor sees more then. Anything
    /// less is told by [`Source::blind`].
    pub fn start(options: Options) -> Result<Self, SensorError> {
        let mounts =
            fs::read_to_string("/proc/self/mounts").map_err(|cause| refuse("/proc/self/mounts", cause))?;
        let root = options.cgroup_root.or_else(|| load::cgroup_root(&mounts));
        let settings = Settings::new(options.byte_budget.min(BYTE_BUDGET));
        let loaded = load::load(&settings, root.as_deref())?;
        let (object, links) = (loaded.object, loaded.links);
        let mut blind = blind::of(&loaded.refused);
        blind.extend(blind::of_namespace());
        let rings = Rings::open(&object).map_err(|cause| refuse("ring buffers", cause))?;
        let counts = map(&object, "counts")?;
        let rounding = RoundingReader::new(map(&object, "rounding")?, map(&object, ".data.rounding")?);
        let mut sensor = Self {
            rings,
            _links: links,
            object,
            converter: Converter::new(&mounts),
            rounding,
            nudge: Nudge::new(),
            counts,
            lost: [0; HOOKS.len()],
            blind,
            wake: Wake::default(),
            pending: VecDeque::new(),
            next_tick: Instant::now() + TICK,
        };
        sensor.adopt_flows()?;
        Ok(sensor)
    }

    /// Tells the kernel side who holds the connections that were there before us, and reports them.
    fn adopt_flows(&mut self) -> Result<(), SensorError> {
        let flows = map(&self.object, "flows")?;
        let at_ms = Clock::now().now_ms();
        for (who, existing) in look::holders()? {
            let state = FlowState { who, used: [0; 2], flags: FLOW_REPORTED, pad: 0 };
            adopt(&flows, existing.flow.cookie, &state).map_err(|cause| refuse("the flow map", cause))?;
            let what =
                if existing.is_inbound { What::Accept(existing.flow) } else { What::Connect(existing.flow) };
            self.pending.push_back(Event { at_ms, what });
        }
        Ok(())
    }

    fn pump(&mut self) -> io::Result<()> {
        let records = self.rings.drain()?;
        self.converter.events(records, &mut self.pending);
        if Instant::now() >= self.next_tick {
            self.next_tick = Instant::now() + TICK;
            self.tick()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        let at_ms = Clock::now().now_ms();
        let (news, needs_more) = self.rounding.read()?;
        self.pending.extend(news.into_iter().map(|news| Event { at_ms, what: What::Rounding(news) }));
        if needs_more {
            self.nudge.wake()?;
        }
        for (count, reported) in self.counts().into_iter().zip(&mut self.lost) {
            if count.lost > *reported {
                *reported = count.lost;
                self.pending.push_back(Event { at_ms, what: What::Lost(count) });
            }
        }
        Ok(())
    }
}

impl Source for BpfSensor {
    fn name(&self) -> &'static str {
        "bpf"
    }

    fn next(&mut self, wait: Duration, out: &mut Vec<Event>) -> Result<(), SensorError> {
        let deadline = Instant::now() + wait;
        let failed = |cause| refuse("its ring buffers any more", cause);
        let mut is_woken = false;
        loop {
            if self.pending.is_empty() {
                let until_tick = self.next_tick.saturating_duration_since(Instant::now());
                let left = deadline.saturating_duration_since(Instant::now());
                is_woken = self.rings.wait(left.min(until_tick), &mut self.wake).map_err(failed)?;
                self.pump().map_err(failed)?;
            }
            let ready = self.pending.len().min(BATCH);
            out.extend(self.pending.drain(..ready));
            if ready > 0 || is_woken || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    fn wake_on(&mut self, fd: OwnedFd) {
        self.wake.on(fd);
    }

    fn counts(&self) -> Vec<HookCount> {
        HOOKS
            .iter()
            .zip(self.rings.seen())
            .enumerate()
            .map(|(index, (hook, seen))| {
                let Count { made, lost } = read_count(&self.counts, index);
                HookCount { hook: (*hook).to_owned(), made, seen, lost }
            })
            .collect()
    }

    fn blind(&self) -> Vec<Blind> {
        self.blind.clone()
    }

    fn sample_closely(&mut self) -> io::Result<()> {
        self.nudge.wake()
    }
}

fn map(object: &Object, name: &str) -> Result<MapHandle, SensorError> {
    load::map(object, name).map_err(|cause| refuse(format!("its map {name}"), cause))
}

/// Keeps what the kernel side already knows of a flow.
fn adopt(flows: &MapHandle, cookie: u64, state: &FlowState) -> io::Result<()> {
    let update = |flags| flows.update(&cookie.to_ne_bytes(), record::bytes_of(state), flags);
    match update(MapFlags::NO_EXIST) {
        Ok(()) => Ok(()),
        Err(known) if known.kind() == libbpf_rs::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(load::io_error(cause)),
    }
}

/// One hook's counts over all processors.
fn read_count(counts: &MapHandle, index: usize) -> Count {
    let key = u32::try_from(index).unwrap_or(u32::MAX).to_ne_bytes();
    let values = counts.lookup_percpu(&key, MapFlags::ANY).unwrap_or_else(|cause| {
        tracing::warn!(%cause, "cannot read the kernel's counters; losses are not shown");
        None
    });
    let values = values.unwrap_or_default();
    values.iter().filter_map(|value| record::read::<Count>(value)).fold(
        Count { made: 0, lost: 0 },
        |sum, (count, _)| Count { made: sum.made + count.made, lost: sum.lost + count.lost },
    )
}

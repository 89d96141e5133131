//! Takes records out of the three rings, in order of time, at little cost.
//!
//! `verdicts` wakes us at once, but no more often than every 0.5 ms; `records` and `files` only when we sleep. Awake, we look every
//! 2 ms. After a look that found nothing we announce our sleep, look once more 2 ms later, and only then sleep. A hook
//! that read the flag just before it was set has its record in the ring by then; no fence is needed and no record waits
//! for the next one. Verdicts are taken first and the rest after: what came before a verdict is then in our hands, and
//! sorting by time puts it before.

use std::{
    io, mem,
    os::fd::AsFd as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, RingBuffer, RingBufferBuilder};

use super::record::{self, HOOKS, Record};
use crate::wake::Wake;

/// Time between two looks while records come.
const ROUND: Duration = Duration::from_millis(2);

/// Most records taken from a ring at once: a flood must not keep us from handing over.
const AT_ONCE: usize = 8192;

/// The rings of a loaded sensor.
pub(crate) struct Rings {
    verdicts: Ring,
    records: Ring,
    files: Ring,
    inbox: Arc<Mutex<Inbox>>,
    asleep: MapHandle,
    pace: Pace,
    drained_at: Instant,
}

struct Ring {
    map: MapHandle,
    reader: RingBuffer<'static>,
}

/// How we wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Something came: look again in a round.
    Awake,
    /// Nothing came, and the hooks have been told to wake us: one more round.
    Drowsy,
    /// Until a hook wakes us.
    Asleep,
}

#[derive(Default)]
struct Inbox {
    records: Vec<Record>,
    seen: [u64; HOOKS.len()],
}

impl Rings {
    /// Opens the rings of a loaded object.
    pub(crate) fn open(object: &Object) -> io::Result<Self> {
        let inbox = Arc::<Mutex<Inbox>>::default();
        let verdicts = Ring::open(object, "verdicts", &inbox)?;
        let records = Ring::open(object, "records", &inbox)?;
        let files = Ring::open(object, "files", &inbox)?;
        let asleep = super::load::map(object, ".data.asleep")?;
        Ok(Self { verdicts, records, files, inbox, asleep, pace: Pace::Awake, drained_at: Instant::now() })
    }

    /// Waits until there may be something, at most `wait`. True when `wake` ended it. Asks the rings anew each time, so
    /// a record that is only being written counts too.
    pub(crate) fn wait(&self, wait: Duration, wake: &mut Wake) -> io::Result<bool> {
        if self.pace == Pace::Asleep {
            let rings = [&self.verdicts, &self.records, &self.files].map(|ring| ring.map.as_fd());
            return wake.wait(&rings, wait);
        }
        let round = ROUND.saturating_sub(self.drained_at.elapsed());
        if round.is_zero() { Ok(false) } else { wake.wait(&[self.verdicts.map.as_fd()], wait.min(round)) }
    }

    /// Everything that is there, oldest first.
    pub(crate) fn drain(&mut self) -> io::Result<Vec<Record>> {
        let is_round_over = self.drained_at.elapsed() >= ROUND;
        for ring in [&self.verdicts, &self.records, &self.files] {
            let taken = ring.reader.consume_raw_n(AT_ONCE);
            if taken < 0 {
                return Err(io::Error::from_raw_os_error(-taken));
            }
        }
        let mut records = mem::take(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner).records);
        if is_round_over || !records.is_empty() {
            self.drained_at = Instant::now();
            self.pace = self.next_pace(records.is_empty())?;
        }
        records.sort_by_key(|record| record.at_ns);
        Ok(records)
    }

    fn next_pace(&self, is_quiet: bool) -> io::Result<Pace> {
        Ok(match (self.pace, is_quiet) {
            (Pace::Awake, false) => Pace::Awake,
            (Pace::Drowsy | Pace::Asleep, false) => {
                self.tell_asleep(false)?;
                Pace::Awake
            }
            (Pace::Drowsy, true) => Pace::Asleep,
            (Pace::Asleep, true) if self.is_told_asleep()? => Pace::Asleep,
            (Pace::Awake | Pace::Asleep, true) => {
                self.tell_asleep(true)?;
                Pace::Drowsy
            }
        })
    }

    fn tell_asleep(&self, is_asleep: bool) -> io::Result<()> {
        let value = u32::from(is_asleep).to_ne_bytes();
        self.asleep.update(&0u32.to_ne_bytes(), &value, MapFlags::ANY).map_err(super::load::io_error)
    }

    /// False when a hook has woken us, or tried to.
    fn is_told_asleep(&self) -> io::Result<bool> {
        let value = self.asleep.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).map_err(super::load::io_error)?;
        Ok(value.is_some_and(|bytes| bytes.iter().any(|&byte| byte != 0)))
    }

    /// Records taken, by hook.
    pub(crate) fn seen(&self) -> [u64; HOOKS.len()] {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).seen
    }
}

impl Ring {
    fn open(object: &Object, name: &str, inbox: &Arc<Mutex<Inbox>>) -> io::Result<Self> {
        let map = super::load::map(object, name)?;
        let inbox = Arc::clone(inbox);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, move |bytes| {
                inbox.lock().unwrap_or_else(PoisonError::into_inner).take(bytes);
                0
            })
            .map_err(super::load::io_error)?;
        let reader = builder.build().map_err(super::load::io_error)?;
        Ok(Self { map, reader })
    }
}

impl Inbox {
    fn take(&mut self, bytes: &[u8]) {
        match record::decode(bytes) {
            Some(record) => {
                if let Some(seen) = self.seen.get_mut(record.hook) {
                    *seen += 1;
                }
                self.records.push(record);
            }
            None => tracing::error!(bytes = bytes.len(), "a record that no hook of ours makes was left out"),
        }
    }
}

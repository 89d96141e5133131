//! Takes records out of the two rings, in order of time, at little cost.
//!
//! `verdicts` wakes us for each record. `records` wakes us at most every 2 ms, so after a wake we look again every 2 ms
//! until two looks found nothing; only then we sleep. Verdicts are taken first and records second: what came before a
//! verdict is then in our hands, and sorting by time puts it before.

use std::{
    io, mem,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use libbpf_rs::{MapCore, Object, RingBuffer, RingBufferBuilder};
use rustix::event::{Timespec, epoll};

use super::record::{self, HOOKS, Record};

/// As WAKE_EVERY_NS in common.h.
const ROUND: Duration = Duration::from_millis(2);

/// Looks without a record before we sleep.
const QUIET_ROUNDS: u8 = 2;

/// Most records taken from a ring at once: a flood must not keep us from handing over.
const AT_ONCE: usize = 8192;

/// Both rings of a loaded sensor.
pub(crate) struct Rings {
    verdicts: RingBuffer<'static>,
    records: RingBuffer<'static>,
    inbox: Arc<Mutex<Inbox>>,
    urgent: OwnedFd,
    any: OwnedFd,
    quiet_rounds: u8,
    drained_at: Instant,
}

#[derive(Default)]
struct Inbox {
    records: Vec<Record>,
    seen: [u64; HOOKS.len()],
    unknown: u64,
}

impl Rings {
    /// Opens the rings of a loaded object.
    pub(crate) fn open(object: &Object) -> io::Result<Self> {
        let inbox = Arc::<Mutex<Inbox>>::default();
        let verdicts = ring(object, "verdicts", &inbox)?;
        let records = ring(object, "records", &inbox)?;
        let urgent = epoll_of(&[&verdicts])?;
        let any = epoll_of(&[&verdicts, &records])?;
        let drained_at = Instant::now();
        Ok(Self { verdicts, records, inbox, urgent, any, quiet_rounds: QUIET_ROUNDS, drained_at })
    }

    /// Waits until there may be something, at most `wait`.
    pub(crate) fn wait(&self, wait: Duration) -> io::Result<()> {
        if self.quiet_rounds >= QUIET_ROUNDS {
            return sleep_on(&self.any, wait);
        }
        let round = ROUND.saturating_sub(self.drained_at.elapsed());
        if round.is_zero() { Ok(()) } else { sleep_on(&self.urgent, wait.min(round)) }
    }

    /// Everything that is there, oldest first.
    pub(crate) fn drain(&mut self) -> io::Result<Vec<Record>> {
        for ring in [&self.verdicts, &self.records] {
            let taken = ring.consume_raw_n(AT_ONCE);
            if taken < 0 {
                return Err(io::Error::from_raw_os_error(-taken));
            }
        }
        self.drained_at = Instant::now();
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = mem::take(&mut inbox.records);
        self.quiet_rounds = if records.is_empty() { self.quiet_rounds.saturating_add(1) } else { 0 };
        records.sort_by_key(|record| record.at_ns);
        Ok(records)
    }

    /// Records taken, by hook, and those that were not of our form.
    pub(crate) fn seen(&self) -> ([u64; HOOKS.len()], u64) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        (inbox.seen, inbox.unknown)
    }
}

fn ring(object: &Object, name: &str, inbox: &Arc<Mutex<Inbox>>) -> io::Result<RingBuffer<'static>> {
    let map = object.maps().find(|map| map.name() == name).ok_or(io::ErrorKind::NotFound)?;
    let inbox = Arc::clone(inbox);
    let mut builder = RingBufferBuilder::new();
    builder
        .add(&map, move |bytes| {
            let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
            match record::decode(bytes) {
                Some(record) => {
                    if let Some(seen) = inbox.seen.get_mut(record.hook) {
                        *seen += 1;
                    }
                    inbox.records.push(record);
                }
                None => inbox.unknown += 1,
            }
            0
        })
        .map_err(super::load::io_error)?;
    builder.build().map_err(super::load::io_error)
}

fn epoll_of(rings: &[&RingBuffer<'static>]) -> io::Result<OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for ring in rings {
        // SAFETY: the ring owns this descriptor and outlives the call, which only names it to the kernel.
        let fd = unsafe { BorrowedFd::borrow_raw(ring.epoll_fd()) };
        epoll::add(&epoll, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
    }
    Ok(epoll)
}

fn sleep_on(epoll: &OwnedFd, wait: Duration) -> io::Result<()> {
    let mut events = Vec::with_capacity(2);
    let wait = Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    };
    match epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(cause) => Err(cause.into()),
    }
}

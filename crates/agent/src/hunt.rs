//! The regular look for what hides, on a thread of its own: it reads up to a second, and events must not wait for it.
//!
//! Paced by its own cost: after a round it rests two thousand times the processor time that the round took, at least
//! [`QUICK_REST`] or [`DEEP_REST`]. So both together stay under 0.1 % of one processor however large the machine is.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use minesweep_host::{
    hiding::{Depth, Hunt},
    memory, proc,
};
use minesweep_model::{Event, What};
use rustix::time::{ClockId, clock_gettime};

use crate::{AgentError, node::now_ms, sensor};

/// Shortest rest after a quick round: a name that is changed is seen within a minute.
const QUICK_REST: Duration = Duration::from_secs(60);
/// Shortest rest after a deep round.
const DEEP_REST: Duration = Duration::from_secs(600);
/// Rest in times of a round's own processor time.
const REST_TIMES: u32 = 2000;
/// The first deep round: not while the machine or a person's first minute is busy.
const FIRST_DEEP: Duration = Duration::from_secs(90);

/// The thread that hunts.
pub struct Hunts {
    ask: Option<SyncSender<Depth>>,
    answers: Receiver<Round>,
    quick_due: Instant,
    deep_due: Instant,
    is_asked: bool,
    thread: Option<JoinHandle<()>>,
}

/// What came of a round.
struct Round {
    depth: Depth,
    events: Vec<Event>,
    cost: Duration,
}

impl Hunts {
    /// Starts the thread; the first quick round is due at once.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(now: Instant) -> Result<Self, AgentError> {
        let (ask, questions) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let work = move || {
            // What runs here is never more urgent than what runs on the machine.
            if let Err(error) = rustix::process::setpriority_process(None, 10) {
                tracing::debug!(%error, "the look for hidden things runs at usual priority");
            }
            let mut hunt = Hunt::default();
            for depth in questions {
                if answer.send(round(&mut hunt, depth)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("hunts".into()).spawn(work).map_err(|source| {
            AgentError::System { what: "a thread for the look for hidden things", source }
        })?;
        Ok(Self {
            ask: Some(ask),
            answers,
            quick_due: now,
            deep_due: now + FIRST_DEEP,
            is_asked: false,
            thread: Some(thread),
        })
    }

    /// Asks for the next round when one is due; what `scan` wants is due now.
    pub fn ask_if_due(&mut self, now: Instant) {
        let depth = if now >= self.deep_due {
            Depth::Deep
        } else if now >= self.quick_due {
            Depth::Quick
        } else {
            return;
        };
        if let Some(ask) = self.ask.as_ref().filter(|_| !self.is_asked) {
            self.is_asked = ask.try_send(depth).is_ok();
        }
    }

    /// Makes a deep round due.
    pub fn dig(&mut self, now: Instant) {
        self.deep_due = now;
    }

    /// What the round has found, once it has ended. A process that is gone by now is not brought back.
    pub fn ended(&mut self, now: Instant) -> Vec<Event> {
        let Ok(Round { depth, events, cost }) = self.answers.try_recv() else { return Vec::new() };
        self.is_asked = false;
        let rest = cost * REST_TIMES;
        self.quick_due = now + rest.max(QUICK_REST);
        if depth == Depth::Deep {
            self.deep_due = now + rest.max(DEEP_REST);
        }
        tracing::debug!(?depth, ?cost, events = events.len(), "looked for hidden things");
        events.into_iter().filter(is_still_there).collect()
    }

    /// A round is under way.
    pub fn is_pending(&self) -> bool {
        self.is_asked
    }
}

impl Drop for Hunts {
    fn drop(&mut self) {
        self.ask = None;
        while self.answers.recv().is_ok() {}
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that looks for hidden things ended by a defect");
        }
    }
}

fn round(hunt: &mut Hunt, depth: Depth) -> Round {
    let start = used();
    let mut events = hunt.round(depth).unwrap_or_else(|error| told(&error));
    if depth == Depth::Deep {
        events.extend(sensor::unlisted(now_ms()).unwrap_or_else(|error| told(&error)));
        memory::give_back();
        memory::forget_code();
    }
    Round { depth, events, cost: used().saturating_sub(start) }
}

fn told(error: &io::Error) -> Vec<Event> {
    tracing::warn!(%error, "hidden things could not be looked for");
    Vec::new()
}

/// A hidden process answers to fewer ways of asking, so it is believed.
fn is_still_there(event: &Event) -> bool {
    match &event.what {
        What::Running(process) => {
            process.is_hidden || proc::key(process.key.pid).is_ok_and(|key| key == process.key)
        }
        _other => true,
    }
}

/// Processor time of this thread.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

//! When a run ends: a signal, a time, or a reader that has gone.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::Failure;

/// Set by SIGINT and SIGTERM, or by [`Stop::now`].
#[derive(Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for SIGINT and SIGTERM; a second signal ends the process at once.
    pub fn on_signals() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let listen = || -> io::Result<()> {
                signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))?;
                signal_hook::flag::register(signal, Arc::clone(&flag)).map(drop)
            };
            listen().map_err(Failure::other)?;
        }
        Ok(Self(flag))
    }

    /// A flag that SIGUSR1 sets.
    pub fn on_wish() -> Result<Arc<AtomicBool>, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&flag))
            .map_err(Failure::other)?;
        Ok(flag)
    }

    /// Ends the run.
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// It is time to end.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

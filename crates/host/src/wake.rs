//! A descriptor that ends a sensor's wait, so that one loop serves a sensor and logs.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Between two wake-ups: a log that is written a thousand times a second is read five hundred times.
const REST: Duration = Duration::from_millis(2);

/// What ends a wait besides the sensor's own records.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    fd: Option<OwnedFd>,
    rests_until: Option<Instant>,
}

impl Wake {
    /// From now on this descriptor ends waits when it is readable.
    pub(crate) fn on(&mut self, fd: OwnedFd) {
        self.fd = Some(fd);
    }

    /// Waits until one of `fds` is readable, or ours, or `wait` is over. True when it was ours.
    pub(crate) fn wait(&mut self, fds: &[BorrowedFd<'_>], wait: Duration) -> io::Result<bool> {
        let now = Instant::now();
        let rest = self.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let own = self.fd.as_ref().filter(|_| rest.is_zero());
        let wait = if self.fd.is_some() && !rest.is_zero() { wait.min(rest) } else { wait };
        let limit = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let all = own.iter().map(|fd| fd.as_fd()).chain(fds.iter().copied());
        let mut fds: Vec<PollFd<'_>> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&limit)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let is_own = own.is_some() && fds.first().is_some_and(|fd| !fd.revents().is_empty());
        if is_own {
            self.rests_until = Some(Instant::now() + REST);
        }
        Ok(is_own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wakes_is_told_apart_and_rests_between() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let (other, _other_end) = rustix::pipe::pipe().unwrap();
        let mut wake = Wake::default();
        assert!(!wake.wait(&[other.as_fd()], Duration::ZERO).unwrap());
        wake.on(read);
        assert!(!wake.wait(&[other.as_fd()], Duration::ZERO).unwrap());
        rustix::io::write(&write, b"x").unwrap();
        assert!(wake.wait(&[other.as_fd()], Duration::from_secs(60)).unwrap());
        // Still readable, it wakes again after its rest; until then the wait is short and for the others only.
        assert!(!wake.wait(&[other.as_fd()], Duration::from_secs(60)).unwrap());
    }
}

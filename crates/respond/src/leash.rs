//! A frozen process must not outlive us frozen: however this process ends, the kernel lets it go on.
//!
//! A socket pair of which both ends name the target as their owner and SIGCONT as the signal of their events. Nobody
//! writes to it, so nothing happens until one end is closed; then the kernel signals the owner of the other. When
//! this process ends, by SIGKILL too, the kernel closes its files. Which end it closes first does not matter. The
//! owner is kept by the kernel as a process and not as a number, so a reused pid is never signalled. Needs no BPF and
//! works since Linux 2.6 (docs/adr/0003-frozen-on-a-leash.md). Does not stop anything.

use std::{io, os::fd::AsRawFd, os::unix::net::UnixStream};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Pid,
};

/// While this lives in our file table, our end is the target's way on. Dropping it sends SIGCONT.
pub(crate) struct Leash {
    ends: (UnixStream, UnixStream),
}

impl Leash {
    /// Ties `pid`. The caller makes sure, afterwards, that the pid is still that of the process it means.
    pub(crate) fn tie(pid: Pid) -> io::Result<Self> {
        let leash = Self { ends: UnixStream::pair()? };
        for end in [&leash.ends.0, &leash.ends.1] {
            set(end, F_SETSIG, libc::SIGCONT)?;
            set(end, libc::F_SETOWN, pid.as_raw_nonzero().get())?;
            fcntl_setfl(end, fcntl_getfl(end)? | OFlags::ASYNC)?;
        }
        Ok(leash)
    }

    /// Lets go without a signal: for a process that was tied and then not stopped.
    pub(crate) fn untie(self) -> io::Result<()> {
        set(&self.ends.0, libc::F_SETOWN, NOBODY)?;
        set(&self.ends.1, libc::F_SETOWN, NOBODY)
    }
}

fn set(end: &UnixStream, command: i32, value: i32) -> io::Result<()> {
    // SAFETY: both commands take an int by value and touch no memory of ours; `end` is open for the whole call.
    match unsafe { libc::fcntl(end.as_raw_fd(), command, value) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// As owner: no process.
const NOBODY: i32 = 0;
/// `F_SETSIG` of asm-generic/fcntl.h; the libc crate has it for other systems only.
const F_SETSIG: i32 = 10;

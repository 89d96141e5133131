//! Netlink messages of a datagram, and the two things every reader of them needs.
//!
//! Only `sock_diag` and the process connector are read here; both have fixed records, so they are taken apart by hand
//! rather than by a general decoder, which gives up a whole dump on one attribute that it does not know.

use std::{io, os::fd::AsRawFd, time::Duration};

use netlink_sys::Socket;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::time::Timespec;

use crate::take::Take;

/// Message types of linux/netlink.h.
pub(crate) const ERROR: u16 = 2;
/// End of a dump.
pub(crate) const DONE: u16 = 3;
/// Length of the message header.
pub(crate) const HEADER: usize = 16;

/// One message: its type and what follows the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Type.
    pub(crate) kind: u16,
    /// What it carries.
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram; a broken length ends it.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = Take(datagram);
    std::iter::from_fn(move || {
        let length = usize::try_from(rest.u32()?).ok()?;
        let kind = rest.u16()?;
        rest.bytes(HEADER - 6)?;
        let body = rest.bytes(length.checked_sub(HEADER)?)?;
        // Messages start at multiples of four; the last one may end the datagram short of it.
        let padding = length.next_multiple_of(4) - length;
        rest.bytes(padding.min(rest.0.len()))?;
        Some(Message { kind, body })
    })
}

/// A request: the header and a body.
pub(crate) fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(body);
    out
}

/// The kernel's answer in an error message: `None` for an acknowledgement.
pub(crate) fn error(body: &[u8]) -> Option<io::Error> {
    let code = Take(body).u32().map(u32::cast_signed).unwrap_or(-libc::EBADMSG);
    (code != 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
}

/// Waits until something can be read; false when the time is over.
pub(crate) fn wait(socket: &Socket, wait: Duration) -> io::Result<bool> {
    // SAFETY: the descriptor is owned by `socket`, which outlives this borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    let limit = Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads one datagram of the kernel into `buffer`, without waiting; false when there is none. What another process
/// sends to our port is dropped.
pub(crate) fn receive(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        buffer.clear();
        match socket.recv_from(buffer, libc::MSG_DONTWAIT) {
            Ok((_, sender)) if sender.port_number() == 0 => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_each_other_at_multiples_of_four() {
        let mut datagram = request(20, 0, b"abcde");
        datagram.extend_from_slice(&[0; 3]);
        datagram.extend_from_slice(&request(DONE, 0, b""));
        let all: Vec<_> = messages(&datagram).collect();
        assert_eq!(all, [Message { kind: 20, body: b"abcde" }, Message { kind: DONE, body: b"" }]);
    }

    #[test]
    fn a_length_that_lies_ends_the_datagram() {
        for length in [0_u32, 15, 17, u32::MAX] {
            let mut datagram = request(20, 0, b"");
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&datagram).count(), 0, "{length}");
        }
        let whole = request(20, 0, b"abcd");
        for cut in 0..whole.len() {
            assert_eq!(messages(&whole[..cut]).count(), 0, "{cut}");
        }
    }

    #[test]
    fn an_acknowledgement_is_no_error() {
        assert!(error(&0_i32.to_ne_bytes()).is_none());
        assert_eq!(error(&(-1_i32).to_ne_bytes()).unwrap().raw_os_error(), Some(libc::EPERM));
        assert!(error(b"").is_some());
    }
}

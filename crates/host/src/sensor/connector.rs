//! The kernel's process connector: a record for each fork, exec and exit, over netlink (linux/cn_proc.h, 2.6.15).
//!
//! It names processes by pid only and may lose records when we are slow. Each record carries a number that counts up
//! on its processor, so every loss is known exactly. Needs the initial user, pid and network namespaces.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
    time::{Duration, Instant},
};

use netlink_sys::{Socket, SocketAddr};

use crate::{netlink, take::Take};

/// `CN_IDX_PROC` and `CN_VAL_PROC`, also the number of the multicast group.
const PROC: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
/// `PROC_CN_MCAST_IGNORE`.
const IGNORE: u32 = 2;
/// Room for records in the kernel: about 10,000, a flood of a second.
const QUEUE_BYTES: usize = 8 << 20;
/// Longest wait for the kernel's consent.
const CONSENT: Duration = Duration::from_secs(1);

/// What happened. Records of threads, names and credentials are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A process made a process.
    Fork {
        /// Who.
        parent: u32,
        /// The new one.
        child: u32,
    },
    /// A process became another program.
    Exec {
        /// Which.
        pid: u32,
    },
    /// A thread ended.
    Exit {
        /// Of which process.
        pid: u32,
        /// It was the thread that the process is named after.
        is_leader: bool,
    },
}

/// An open connector.
pub(super) struct Connector {
    socket: Socket,
    buffer: Vec<u8>,
    numbers: HashMap<u32, u32>,
    /// Records that arrived, of all kinds.
    pub(super) seen: u64,
    /// Records that the kernel could not hand over.
    pub(super) lost: u64,
}

/// One datagram, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parsed {
    cpu: u32,
    number: u32,
    what: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payload {
    /// An answer to a question, ours or another listener's: all who listen get it.
    Consent {
        question: u32,
        error: u32,
    },
    Event(Option<Record>),
}

impl Connector {
    /// Asks the kernel for records and waits for its consent.
    pub(super) fn open() -> io::Result<Self> {
        let protocol = isize::try_from(libc::NETLINK_CONNECTOR).map_err(io::Error::other)?;
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, PROC))?;
        // Refused without CAP_NET_ADMIN; the default is only smaller.
        if let Err(error) = socket.set_rx_buf_sz(QUEUE_BYTES) {
            tracing::debug!(%error, "the process connector keeps its small queue");
        }
        let question = question();
        socket.send(&ask(LISTEN, question), 0)?;
        let buffer = Vec::with_capacity(4096);
        let mut connector = Self { socket, buffer, numbers: HashMap::new(), seen: 0, lost: 0 };
        connector.await_consent(question)?;
        Ok(connector)
    }

    /// Events that come before the consent are of a time when the sensor had not started.
    fn await_consent(&mut self, asked: u32) -> io::Result<()> {
        let until = Instant::now() + CONSENT;
        while netlink::wait(&self.socket, until.saturating_duration_since(Instant::now()))? {
            if !self.receive()? {
                continue;
            }
            let Some(parsed) = parse(&self.buffer) else { continue };
            self.numbers.insert(parsed.cpu, parsed.number);
            match parsed.what {
                Payload::Consent { question, error: 0 } if question == asked => return Ok(()),
                Payload::Consent { question, error } if question == asked => {
                    return Err(io::Error::from_raw_os_error(i32::try_from(error).unwrap_or(libc::EPERM)));
                }
                Payload::Consent { .. } | Payload::Event(_) if Instant::now() < until => {}
                Payload::Consent { .. } | Payload::Event(_) => break,
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer"))
    }

    /// One datagram into the buffer; false when there is none.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            match netlink::receive(&self.socket, &mut self.buffer) {
                // The queue was full; how many were lost shows in the numbers of those that follow.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                answer => return answer,
            }
        }
    }

    /// Readable when there is something to read.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is owned by `socket`, which outlives this borrow.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }

    /// Appends what is there, until `out` holds `limit`.
    pub(super) fn read(&mut self, limit: usize, out: &mut Vec<Record>) -> io::Result<()> {
        while out.len() < limit && self.receive()? {
            let Some(parsed) = parse(&self.buffer) else { continue };
            // An answer of an old kernel is of no processor and has no number of its own.
            if parsed.cpu != u32::MAX {
                self.seen += 1;
                self.lost += gap(self.numbers.insert(parsed.cpu, parsed.number), parsed.number);
            }
            match parsed.what {
                Payload::Event(record) => out.extend(record),
                Payload::Consent { .. } => {}
            }
        }
        Ok(())
    }
}

impl Drop for Connector {
    /// The kernel makes records as long as anyone listens; an old one does not notice a closed socket.
    fn drop(&mut self) {
        if let Err(error) = self.socket.send(&ask(IGNORE, question()), 0) {
            tracing::debug!(%error, "the process connector was not told to stop");
        }
    }
}

/// Records lost before this one. The first of a processor has none before it.
fn gap(before: Option<u32>, number: u32) -> u64 {
    before.map_or(0, |before| u64::from(number.wrapping_sub(before).wrapping_sub(1)))
}

/// A number that another listener hardly has.
fn question() -> u32 {
    let since = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
    since ^ std::process::id().rotate_left(16)
}

/// `cn_msg` with one word, in a netlink message.
fn ask(operation: u32, question: u32) -> Vec<u8> {
    let mut body = Vec::with_capacity(24);
    for word in [PROC, PROC, 0, question] {
        body.extend_from_slice(&word.to_ne_bytes());
    }
    body.extend_from_slice(&4_u16.to_ne_bytes());
    body.extend_from_slice(&0_u16.to_ne_bytes());
    body.extend_from_slice(&operation.to_ne_bytes());
    netlink::request(netlink::DONE, 0, &body)
}

fn parse(datagram: &[u8]) -> Option<Parsed> {
    let mut take = Take(netlink::messages(datagram).next()?.body);
    if (take.u32()?, take.u32()?) != (PROC, PROC) {
        return None;
    }
    let (number, ack) = (take.u32()?, take.u32()?);
    take.bytes(4)?;
    let what = take.u32()?;
    let cpu = take.u32()?;
    take.bytes(8)?;
    let record = match what {
        // The kernel counts the question up by one.
        0 => {
            let what = Payload::Consent { question: ack.wrapping_sub(1), error: take.u32()? };
            return Some(Parsed { cpu, number, what });
        }
        1 => {
            let (_parent_thread, parent, thread, child) =
                (take.u32()?, take.u32()?, take.u32()?, take.u32()?);
            (thread == child).then_some(Record::Fork { parent, child })
        }
        2 => {
            let (_thread, pid) = (take.u32()?, take.u32()?);
            Some(Record::Exec { pid })
        }
        0x8000_0000 => {
            let (thread, pid) = (take.u32()?, take.u32()?);
            Some(Record::Exit { pid, is_leader: thread == pid })
        }
        _other => None,
    };
    Some(Parsed { cpu, number, what: Payload::Event(record) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(ack: u32, what: u32, words: &[u32]) -> Vec<u8> {
        let mut body = Vec::new();
        for word in [PROC, PROC, 7, ack, 0, what, 3, 0, 0].iter().chain(words) {
            body.extend_from_slice(&word.to_ne_bytes());
        }
        netlink::request(netlink::DONE, 0, &body)
    }

    fn record(what: u32, words: &[u32]) -> Option<Record> {
        match parse(&datagram(0, what, words)) {
            Some(Parsed { cpu: 3, number: 7, what: Payload::Event(record) }) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_process_is_told_and_a_new_thread_is_not() {
        assert_eq!(record(1, &[5, 5, 9, 9]), Some(Record::Fork { parent: 5, child: 9 }));
        assert_eq!(record(1, &[5, 5, 9, 5]), None);
    }

    #[test]
    fn exec_and_exit_name_the_process() {
        assert_eq!(record(2, &[9, 9]), Some(Record::Exec { pid: 9 }));
        assert_eq!(record(0x8000_0000, &[10, 9, 0, 0]), Some(Record::Exit { pid: 9, is_leader: false }));
        assert_eq!(record(0x8000_0000, &[9, 9, 0, 0]), Some(Record::Exit { pid: 9, is_leader: true }));
        assert_eq!(record(0x200, &[9, 9]), None);
    }

    #[test]
    fn consent_and_refusal_are_told_apart() {
        for error in [0, 1] {
            let want = Parsed { cpu: 3, number: 7, what: Payload::Consent { question: 8, error } };
            assert_eq!(parse(&datagram(9, 0, &[error])), Some(want));
        }
    }

    #[test]
    fn a_cut_record_is_nothing() {
        let whole = datagram(7, 1, &[5, 5, 9, 9]);
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn lost_records_are_counted_by_the_gap_also_where_the_number_starts_anew() {
        assert_eq!(gap(None, 900), 0);
        assert_eq!(gap(Some(7), 8), 0);
        assert_eq!(gap(Some(7), 11), 3);
        assert_eq!(gap(Some(u32::MAX), 0), 0);
        assert_eq!(gap(Some(u32::MAX - 1), 1), 2);
    }
}

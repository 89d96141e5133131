//! The kernel's process connector: a record for each fork, exec and exit, over netlink (linux/cn_proc.h, 2.6.15).
//!
//! It names processes by pid only and may lose records when we are slow. Each record carries a number that counts up
//! on its processor, so every loss is known exactly. Needs the initial user, pid and network namespaces.

use std::{collections::HashMap, io, time::Duration};

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
enum Parsed {
    Consent { error: u32 },
    Event { cpu: u32, number: u32, record: Option<Record> },
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
        socket.send(&ask(LISTEN), 0)?;
        let buffer = Vec::with_capacity(4096);
        let mut connector = Self { socket, buffer, numbers: HashMap::new(), seen: 0, lost: 0 };
        connector.await_consent()?;
        Ok(connector)
    }

    /// Events that come before the consent are of a time when the sensor had not started.
    fn await_consent(&mut self) -> io::Result<()> {
        while netlink::wait(&self.socket, CONSENT)? {
            while netlink::receive(&self.socket, &mut self.buffer)? {
                match parse(&self.buffer) {
                    Some(Parsed::Consent { error: 0 }) => return Ok(()),
                    Some(Parsed::Consent { error }) => {
                        return Err(io::Error::from_raw_os_error(
                            i32::try_from(error).unwrap_or(libc::EPERM),
                        ));
                    }
                    Some(Parsed::Event { cpu, number, .. }) => {
                        self.numbers.insert(cpu, number);
                    }
                    None => {}
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer"))
    }

    /// Waits until there is something to read; false when the time is over.
    pub(super) fn wait(&self, wait: Duration) -> io::Result<bool> {
        netlink::wait(&self.socket, wait)
    }

    /// Appends what is there, until `out` holds `limit`.
    pub(super) fn read(&mut self, limit: usize, out: &mut Vec<Record>) -> io::Result<()> {
        while out.len() < limit {
            match netlink::receive(&self.socket, &mut self.buffer) {
                Ok(true) => {}
                Ok(false) => break,
                // The queue was full; how many were lost shows in the numbers of those that follow.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => continue,
                Err(error) => return Err(error),
            }
            if let Some(Parsed::Event { cpu, number, record }) = parse(&self.buffer) {
                self.seen += 1;
                self.lost += gap(self.numbers.insert(cpu, number), number);
                out.extend(record);
            }
        }
        Ok(())
    }
}

impl Drop for Connector {
    /// The kernel makes records as long as anyone listens; an old one does not notice a closed socket.
    fn drop(&mut self) {
        if let Err(error) = self.socket.send(&ask(IGNORE), 0) {
            tracing::debug!(%error, "the process connector was not told to stop");
        }
    }
}

/// Records lost before this one. The first of a processor has none before it.
fn gap(before: Option<u32>, number: u32) -> u64 {
    before.map_or(0, |before| u64::from(number.wrapping_sub(before).wrapping_sub(1)))
}

/// `cn_msg` with one word, in a netlink message.
fn ask(operation: u32) -> Vec<u8> {
    let mut body = Vec::with_capacity(24);
    for word in [PROC, PROC, 0, 0] {
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
    let number = take.u32()?;
    take.bytes(8)?;
    let what = take.u32()?;
    let cpu = take.u32()?;
    take.bytes(8)?;
    let record = match what {
        0 => return Some(Parsed::Consent { error: take.u32()? }),
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
    Some(Parsed::Event { cpu, number, record })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(number: u32, what: u32, words: &[u32]) -> Vec<u8> {
        let mut body = Vec::new();
        for word in [PROC, PROC, number, 0, 0, what, 3, 0, 0].iter().chain(words) {
            body.extend_from_slice(&word.to_ne_bytes());
        }
        netlink::request(netlink::DONE, 0, &body)
    }

    fn record(what: u32, words: &[u32]) -> Option<Record> {
        match parse(&datagram(7, what, words)) {
            Some(Parsed::Event { cpu: 3, number: 7, record }) => record,
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
        assert_eq!(parse(&datagram(0, 0, &[0])), Some(Parsed::Consent { error: 0 }));
        assert_eq!(parse(&datagram(0, 0, &[1])), Some(Parsed::Consent { error: 1 }));
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

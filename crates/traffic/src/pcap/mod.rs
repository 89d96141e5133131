//! Reads a capture (pcap, pcapng) and gives the events that a sensor would have given.
//!
//! The client's end is "this end", process unknown. The client is who sent the SYN; without one it is the end that
//! asks port 53, else the end with the higher port. IP fragments are not put together, and packets that are not TCP
//! or UDP are passed over and counted.

mod file;
mod packet;

use std::collections::HashMap;
use std::net::SocketAddr;

use minesweep_model::{Bytes, Direction, Event, Flow, FlowBytes, Protocol, What};
use thiserror::Error;

use file::Record;
use packet::{Flags, Packet};

/// Packets read from one capture.
pub const MAX_PACKETS: u64 = 4_000_000;
/// Bytes of payload taken from one capture.
pub const MAX_PAYLOAD: usize = 256 * 1024 * 1024;
/// Flows kept apart at one time; a capture with more starts them anew.
const MAX_FLOWS: usize = 65_536;

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capture {
    /// Events in the order of the packets.
    pub events: Vec<Event>,
    /// Packets read.
    pub packets: u64,
    /// Packets that are no TCP or UDP, are fragments, or cannot be read.
    pub skipped: u64,
    /// The file ends in the middle of a packet, or a bound was reached: the rest was not read.
    pub is_cut: bool,
}

/// Why a capture cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PcapError {
    /// Another kind of file.
    #[error("the file is no capture: it begins with {0:02x?}; give a pcap or pcapng file")]
    NotCapture(Vec<u8>),
    /// A link type that is not read.
    #[error("link type {0} is not read; capture on an ethernet, `any`, tun or loopback interface")]
    LinkType(u32),
    /// The file is broken.
    #[error("the capture is broken at byte {0}; capture again, or cut the file with editcap")]
    Broken(usize),
}

/// Reads a capture.
///
/// # Errors
/// When the file is no capture, its link type is not read, or its structure is broken.
pub fn events(file: &[u8]) -> Result<Capture, PcapError> {
    let mut capture = Capture::default();
    let mut flows = Flows::default();
    let mut payload_bytes = 0;
    for record in file::records(file)? {
        let record = match record? {
            Record::Packet(packet) => packet,
            Record::Cut => {
                capture.is_cut = true;
                break;
            }
        };
        if capture.packets == MAX_PACKETS || payload_bytes > MAX_PAYLOAD {
            capture.is_cut = true;
            break;
        }
        capture.packets += 1;
        match packet::read(record.link, record.bytes, record.missing)? {
            Some(packet) => {
                payload_bytes += packet.payload.len();
                capture
                    .events
                    .extend(flows.take(&packet).into_iter().map(|what| Event { at_ms: record.at_ms, what }));
            }
            None => capture.skipped += 1,
        }
    }
    Ok(capture)
}

/// The two ends in a fixed order, so that both directions find the same flow.
type Ends = (SocketAddr, SocketAddr, Protocol);

#[derive(Clone, Copy, Debug)]
struct Seen {
    client: SocketAddr,
    cookie: u64,
    /// The client's and the server's FIN.
    ended: (bool, bool),
}

#[derive(Debug, Default)]
struct Flows {
    seen: HashMap<Ends, Seen>,
    /// Connections so far, mixed into the cookie: a pair of ports is used again.
    opened: u64,
}

impl Flows {
    fn take(&mut self, packet: &Packet<'_>) -> Vec<What> {
        let ends = (packet.from.min(packet.to), packet.from.max(packet.to), packet.protocol);
        let is_syn = packet.flags.syn && !packet.flags.ack;
        let mut out = Vec::new();
        let seen = match self.seen.get(&ends).copied() {
            Some(seen) if !(is_syn && seen.ended != (false, false)) => seen,
            Some(_) | None => {
                let seen = self.open(ends, packet);
                if packet.protocol == Protocol::Tcp && packet.flags.syn {
                    out.push(What::Connect(connection(seen, packet)));
                }
                seen
            }
        };
        out.extend(bytes(seen, packet).map(What::Bytes));
        out.extend(self.end(ends, seen, packet.flags, packet.from));
        out
    }

    fn open(&mut self, ends: Ends, packet: &Packet<'_>) -> Seen {
        if self.seen.len() >= MAX_FLOWS {
            self.seen.clear();
        }
        self.opened += 1;
        let client = client(packet);
        let server = if client == packet.from { packet.to } else { packet.from };
        let cookie = cookie(client, server, packet.protocol, self.opened);
        let seen = Seen { client, cookie, ended: (false, false) };
        self.seen.insert(ends, seen);
        seen
    }

    fn end(&mut self, ends: Ends, mut seen: Seen, flags: Flags, from: SocketAddr) -> Option<What> {
        if !(flags.fin || flags.rst) {
            return None;
        }
        if from == seen.client {
            seen.ended.0 = true;
        } else {
            seen.ended.1 = true;
        }
        if flags.rst || seen.ended == (true, true) {
            self.seen.remove(&ends);
            return Some(What::Closed { cookie: seen.cookie });
        }
        self.seen.insert(ends, seen);
        None
    }
}

fn client(packet: &Packet<'_>) -> SocketAddr {
    let (from, to) = (packet.from, packet.to);
    match (packet.flags.syn, packet.flags.ack) {
        (true, false) => from,
        (true, true) => to,
        (false, _) if to.port() == 53 => from,
        (false, _) if from.port() == 53 => to,
        (false, _) if from.port() >= to.port() => from,
        (false, _) => to,
    }
}

fn connection(seen: Seen, packet: &Packet<'_>) -> Flow {
    let (local, remote) = local_remote(seen, packet);
    Flow { cookie: seen.cookie, process: None, local, remote, protocol: packet.protocol }
}

fn local_remote(seen: Seen, packet: &Packet<'_>) -> (SocketAddr, SocketAddr) {
    if packet.from == seen.client { (packet.from, packet.to) } else { (packet.to, packet.from) }
}

/// The payload. A SYN gives an empty one that tells where the stream starts.
fn bytes(seen: Seen, packet: &Packet<'_>) -> Option<FlowBytes> {
    if packet.payload.is_empty() && packet.missing == 0 && !packet.flags.syn {
        return None;
    }
    let (local, remote) = local_remote(seen, packet);
    Some(FlowBytes {
        cookie: seen.cookie,
        process: None,
        direction: if packet.from == seen.client { Direction::Out } else { Direction::In },
        sequence: packet.sequence.wrapping_add(u32::from(packet.flags.syn)),
        local,
        remote,
        protocol: packet.protocol,
        bytes: Bytes(packet.payload.to_vec()),
        cut: packet.missing,
    })
}

/// FNV-1a over both ends, the same on every replay (isthe.com/chongo/tech/comp/fnv).
fn cookie(client: SocketAddr, server: SocketAddr, protocol: Protocol, opened: u64) -> u64 {
    let text = format!("{client} {server} {protocol:?} {opened}");
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

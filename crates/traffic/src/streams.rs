//! The table of flows: events in, what was said out.
//!
//! Flows live until they close or until the table is full and theirs is the oldest use. The end of a process does not
//! end its flows: another process may have inherited the socket, and `Closed` tells the end. Dull flows keep only
//! their place in the table, so bulk traffic costs one look-up a packet.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use lru::LruCache;
use minesweep_model::{
    Event, Flow as Connection, FlowBytes, ProcessKey, Protocol, Said, Stratum, StratumVerb, Utterance, What,
};

use crate::dns;
use crate::flow::Flow;
use crate::side::{Heard, dns_role};

/// Bounds. The defaults hold the whole reader below 24 MB: `total_bytes` of buffers and about 1 KiB a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows in the table; the one not used for longest goes first.
    pub flows: usize,
    /// Bytes buffered by all flows; beyond it the flow not used for longest is given up.
    pub total_bytes: usize,
    /// Longest message, bytes. Of longer ones the start is read.
    pub line_bytes: usize,
    /// Segments of one direction that wait for an earlier one.
    pub held_segments: usize,
    /// Bytes of those.
    pub held_bytes: usize,
    /// Longest wait for a missing segment, milliseconds of event time. TCP sends again after 200 ms to 1 s (RFC 6298),
    /// and a sensor's own loss never fills.
    pub hold_ms: u64,
    /// Bytes of a direction without a word of mining after which it is of no interest.
    pub dull_bytes: usize,
    /// The same inside a tunnel, where a proxy's chatter may come first.
    pub dull_tunnel_bytes: usize,
    /// Bytes of a dull direction after which the other one is given up too.
    pub dull_other_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 16_384,
            total_bytes: 8 * 1024 * 1024,
            line_bytes: 16 * 1024,
            held_segments: 64,
            held_bytes: 64 * 1024,
            hold_ms: 3_000,
            dull_bytes: 4 * 1024,
            dull_tunnel_bytes: 16 * 1024,
            dull_other_bytes: 64 * 1024,
        }
    }
}

/// What the bounds cost, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Live flows given up because the table was full.
    pub flows: u64,
    /// Live flows given up because all buffers together were full.
    pub buffers: u64,
    /// Holes in a direction that were skipped.
    pub gaps: u64,
    /// Messages of which only the start was read.
    pub long_lines: u64,
    /// HTTP heads that were too long.
    pub long_heads: u64,
    /// Tunnels inside tunnels that were not followed.
    pub deep_tunnels: u64,
}

/// Connections to a node that are watched for repeated polling.
const MAX_POLLS: usize = 1024;
/// From this poll on a node's client is a miner: a wallet or an explorer asks for no third template.
const POLLS: u32 = 3;
/// Confidence of repeated polling.
const POLLING: u8 = 80;
/// The port of DNS.
const DNS_PORT: u16 = 53;

/// Reads the flows of a machine.
#[derive(Debug)]
pub struct Streams {
    limits: Limits,
    losses: Losses,
    flows: LruCache<u64, Entry>,
    /// Bytes held by all flows.
    held: usize,
    polls: LruCache<Poller, u32>,
}

/// Who polls whom.
type Poller = (Option<ProcessKey>, IpAddr, SocketAddr);

#[derive(Debug)]
struct Entry {
    process: Option<ProcessKey>,
    /// `None` once it is dull.
    flow: Option<Box<Flow>>,
    held: usize,
}

impl Streams {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        let at_least_one = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self {
            flows: LruCache::new(at_least_one(limits.flows)),
            polls: LruCache::new(at_least_one(MAX_POLLS)),
            held: 0,
            losses: Losses::default(),
            limits,
        }
    }

    /// Takes an event of a sensor and gives what was said, at the same time. Other events give nothing.
    pub fn observe(&mut self, event: &Event) -> Vec<Event> {
        match &event.what {
            What::Connect(flow) | What::Accept(flow) => self.open(flow),
            What::Closed { cookie } => self.close(*cookie),
            What::Bytes(bytes) => return self.read(bytes, event.at_ms),
            What::Host(_)
            | What::Running(_)
            | What::Fork { .. }
            | What::Exec(_)
            | What::Exit { .. }
            | What::Said(_)
            | What::Rounding(_)
            | What::Cpu(_)
            | What::Gpu(_)
            | What::BigMap(_)
            | What::MsrWrite(_)
            | What::SettingWrite(_)
            | What::File(_)
            | What::Log(_)
            | What::Hiding(_)
            | What::Looked(_)
            | What::Scanned(_)
            | What::Outcome(_)
            | What::Lost(_) => {}
        }
        Vec::new()
    }

    /// What the bounds cost so far.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// Flows in the table, and bytes their buffers hold.
    pub fn size(&self) -> (usize, usize) {
        (self.flows.len(), self.held)
    }

    fn open(&mut self, connection: &Connection) {
        if connection.protocol == Protocol::Udp {
            return;
        }
        // The bytes may come first when the sensor has two rings.
        if let Some(entry) = self.flows.get_mut(&connection.cookie) {
            entry.process = connection.process.or(entry.process);
        } else {
            self.insert(connection.cookie, connection.process, is_dns(connection.local, connection.remote));
        }
    }

    fn close(&mut self, cookie: u64) {
        if let Some(entry) = self.flows.pop(&cookie) {
            self.held -= entry.held;
        }
    }

    fn insert(&mut self, cookie: u64, process: Option<ProcessKey>, is_dns: bool) {
        let entry = Entry { process, flow: Some(Box::new(Flow::new(is_dns))), held: 0 };
        if let Some((_, old)) = self.flows.push(cookie, entry) {
            self.held -= old.held;
            self.losses.flows += u64::from(old.flow.is_some());
        }
    }

    fn read(&mut self, bytes: &FlowBytes, at_ms: u64) -> Vec<Event> {
        match bytes.protocol {
            Protocol::Udp => datagram(bytes, at_ms),
            Protocol::Tcp => self.segment(bytes, at_ms),
        }
    }

    fn segment(&mut self, bytes: &FlowBytes, at_ms: u64) -> Vec<Event> {
        if !self.flows.contains(&bytes.cookie) {
            self.insert(bytes.cookie, bytes.process, is_dns(bytes.local, bytes.remote));
        }
        let Some(entry) = self.flows.get_mut(&bytes.cookie) else { return Vec::new() };
        entry.process = bytes.process.or(entry.process);
        let Some(flow) = &mut entry.flow else { return Vec::new() };
        let heard = flow.push(bytes, at_ms, &self.limits, &mut self.losses);
        let held = if flow.is_dull(&self.limits) {
            entry.flow = None;
            0
        } else {
            flow.held()
        };
        self.held = self.held - entry.held + held;
        entry.held = held;
        let process = entry.process;
        self.shed(bytes.cookie);
        heard.into_iter().map(|heard| self.tell(heard, bytes, process, at_ms)).collect()
    }

    /// Gives up the oldest flows while all buffers together are over their bound.
    fn shed(&mut self, current: u64) {
        while self.held > self.limits.total_bytes {
            let Some((cookie, old)) = self.flows.pop_lru() else { return };
            self.held -= old.held;
            self.losses.buffers += u64::from(old.flow.is_some());
            if cookie == current {
                return;
            }
        }
    }

    fn tell(&mut self, heard: Heard, bytes: &FlowBytes, process: Option<ProcessKey>, at_ms: u64) -> Event {
        let Heard { role, via, mut utterance } = heard;
        if let Utterance::Stratum(stratum) = &mut utterance {
            self.count_poll(stratum, (process, bytes.local.ip(), bytes.remote));
        }
        said(bytes, process, via, role, utterance, at_ms)
    }

    /// Raises the confidence of a client that asks a node for work again and again, also on new connections.
    fn count_poll(&mut self, stratum: &mut Stratum, poller: Poller) {
        if stratum.dialect != "daemon" || !(50..POLLING).contains(&stratum.confidence) {
            return;
        }
        let count = self.polls.get_or_insert_mut(poller, || 0);
        if stratum.verb == StratumVerb::Hello {
            *count = count.saturating_add(1);
        }
        if *count >= POLLS {
            stratum.confidence = POLLING;
        }
    }
}

fn datagram(bytes: &FlowBytes, at_ms: u64) -> Vec<Event> {
    if !is_dns(bytes.local, bytes.remote) {
        return Vec::new();
    }
    let heard = dns(&bytes.bytes.0).into_iter();
    heard
        .map(|utterance| {
            let role = dns_role(&utterance, bytes.direction);
            said(bytes, bytes.process, None, role, utterance, at_ms)
        })
        .collect()
}

fn said(
    bytes: &FlowBytes,
    process: Option<ProcessKey>,
    via: Option<String>,
    role: minesweep_model::Role,
    utterance: Utterance,
    at_ms: u64,
) -> Event {
    let said = Said {
        cookie: bytes.cookie,
        process,
        local: bytes.local,
        remote: bytes.remote,
        via,
        role,
        utterance,
    };
    Event { at_ms, what: What::Said(Box::new(said)) }
}

fn is_dns(local: SocketAddr, remote: SocketAddr) -> bool {
    local.port() == DNS_PORT || remote.port() == DNS_PORT
}

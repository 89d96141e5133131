//! One direction of a flow, read from its first byte: which protocol it is, through which proxies, and what it says.
//!
//! Each direction is read by itself, so that losing one does not blind the other; what one side must know of the
//! other (the proxy, the open requests) is in [`Shared`]. Decisions depend on bytes only, never on how they were split.

use minesweep_model::{Direction, Role, Utterance};

use crate::http::{self, Body, Reply, Request};
use crate::lines::Scanner;
use crate::stratum::Talk;
use crate::tunnel::{self, Tunnel};
use crate::websocket::Frames;
use crate::{Limits, Losses, Progress, dns, tls};

/// Tunnels inside each other that are followed: a proxy reached through a proxy.
const MAX_LAYERS: usize = 2;
/// HTTP heads read in a direction that says nothing of mining.
const MAX_HEADS: u16 = 64;
/// Bytes read in one go; bounds what waits in the buffer.
const CHUNK: usize = 4096;
/// Longest DNS message on TCP that is read, bytes; larger ones are zone transfers.
const MAX_DNS: usize = 4096;
/// Bytes of one HTTP body that are searched for JSON: one message of the longest kind.
const MAX_BODY: u64 = 16 * 1024;

/// One understood message, without the flow's addresses.
#[derive(Debug)]
pub(crate) struct Heard {
    pub role: Role,
    pub via: Option<String>,
    pub utterance: Utterance,
}

/// What both directions know of each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Tunnels the client opened, outermost first.
    tunnels: Vec<Tunnel>,
    /// Target of the innermost.
    pub via: Option<String>,
    pub talk: Talk,
    /// The client asked for WebSocket.
    is_websocket: bool,
    /// The proxy refused the last CONNECT, for a password say: the client is still in front of it.
    is_refused: bool,
    /// Encrypted from here on.
    pub is_sealed: bool,
}

/// What the next bytes are.
#[derive(Debug, Default)]
enum Stage {
    /// Not known yet.
    #[default]
    Start,
    Hello,
    RequestHead,
    ReplyHead,
    SocksClient(Tunnel),
    SocksProxy(Tunnel),
    Body {
        left: u64,
        unsearched: u64,
    },
    Frames(Frames),
    Lines,
    Names,
    /// Of no interest.
    Dull,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Side {
    direction: Direction,
    is_dns: bool,
    stage: Stage,
    layer: usize,
    buffer: Vec<u8>,
    scanner: Scanner,
    /// Bytes searched in this layer without a word of mining.
    unheard: usize,
    heads: u16,
}

/// What a step left to do.
enum Step {
    /// Go on with what is buffered.
    Again,
    /// Wait for bytes.
    Wait,
}

/// Everything a step may use.
struct Desk<'a> {
    shared: &'a mut Shared,
    limits: &'a Limits,
    losses: &'a mut Losses,
    out: &'a mut Vec<Heard>,
}

impl Side {
    /// A direction at its first byte. `is_dns`: one end is port 53.
    pub fn new(direction: Direction, is_dns: bool) -> Self {
        Self {
            direction,
            is_dns,
            stage: Stage::Start,
            layer: 0,
            buffer: Vec::new(),
            scanner: Scanner::default(),
            unheard: 0,
            heads: 0,
        }
    }

    /// Reads the next bytes.
    pub fn push(
        &mut self,
        bytes: &[u8],
        shared: &mut Shared,
        limits: &Limits,
        losses: &mut Losses,
        out: &mut Vec<Heard>,
    ) {
        let mut desk = Desk { shared, limits, losses, out };
        let bytes = self.skip_body(bytes);
        for chunk in bytes.chunks(CHUNK) {
            if self.is_dull() {
                return;
            }
            self.buffer.extend_from_slice(chunk);
            while let Step::Again = self.step(&mut desk) {}
        }
    }

    /// Bytes are missing: what is half read is given up, and the next line starts anew.
    pub fn gap(&mut self) {
        self.scanner.reset();
        self.buffer.clear();
        match self.stage {
            Stage::Dull => {}
            Stage::Start
            | Stage::Hello
            | Stage::RequestHead
            | Stage::ReplyHead
            | Stage::SocksClient(_)
            | Stage::SocksProxy(_)
            | Stage::Body { .. }
            | Stage::Frames(_)
            | Stage::Lines => self.stage = Stage::Lines,
            Stage::Names => self.stage = Stage::Dull,
        }
    }

    /// Which way its bytes go.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// One end is port 53.
    pub fn is_dns(&self) -> bool {
        self.is_dns
    }

    /// Nothing more is read.
    pub fn is_dull(&self) -> bool {
        matches!(self.stage, Stage::Dull)
    }

    /// Whether nothing of this direction has shaped the flow yet, so that it may be read again from the start.
    pub fn is_fresh(&self) -> bool {
        self.layer == 0
            && self.heads == 0
            && matches!(
                self.stage,
                Stage::Start | Stage::Lines | Stage::Hello | Stage::RequestHead | Stage::ReplyHead
            )
    }

    /// Reads on after all: the other side turned out to be mining.
    pub fn wake(&mut self) {
        self.stage = Stage::Lines;
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.buffer.capacity() + self.scanner.held()
    }

    /// Passes over the part of a body that is not searched, without copying it.
    fn skip_body<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match &mut self.stage {
            Stage::Body { left, unsearched } if *left <= *unsearched && self.buffer.is_empty() => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= u64::try_from(here).unwrap_or(*left).min(*left);
                bytes.get(here..).unwrap_or_default()
            }
            Stage::Start
            | Stage::Hello
            | Stage::RequestHead
            | Stage::ReplyHead
            | Stage::SocksClient(_)
            | Stage::SocksProxy(_)
            | Stage::Body { .. }
            | Stage::Frames(_)
            | Stage::Lines
            | Stage::Names
            | Stage::Dull => bytes,
        }
    }

    fn step(&mut self, desk: &mut Desk<'_>) -> Step {
        match &mut self.stage {
            Stage::Start => self.start(desk),
            Stage::Hello => self.hello(desk),
            Stage::RequestHead => self.request_head(desk),
            Stage::ReplyHead => self.reply_head(desk),
            Stage::SocksClient(tunnel) => {
                let tunnel = *tunnel;
                self.socks_client(tunnel, desk)
            }
            Stage::SocksProxy(tunnel) => {
                let tunnel = *tunnel;
                self.socks_proxy(tunnel)
            }
            Stage::Body { .. } => self.body(desk),
            Stage::Frames(_) => self.frames(desk),
            Stage::Lines => self.lines(desk),
            Stage::Names => self.names(desk),
            Stage::Dull => {
                self.buffer = Vec::new();
                self.scanner = Scanner::default();
                Step::Wait
            }
        }
    }

    /// Guesses the protocol from the first bytes of a layer; waits while two are possible.
    fn start(&mut self, desk: &mut Desk<'_>) -> Step {
        let Some(&first) = self.buffer.first() else { return Step::Wait };
        if desk.shared.is_refused && http::begins_request(&self.buffer) == Some(true) {
            self.step_back(desk.shared);
        }
        let tunnel = desk.shared.tunnels.get(self.layer).copied();
        let second = self.buffer.get(1).copied();
        let is_reply = http::begins_reply(&self.buffer);
        let is_http = http::either(http::begins_request(&self.buffer), is_reply);
        let next = match (first, second) {
            (0..=0x0f, _) if self.is_dns => Some(Stage::Names), // the upper half of a length below 4 KiB
            (4 | 5 | 0, _) if matches!(tunnel, Some(Tunnel::Socks4 | Tunnel::Socks5)) => {
                tunnel.map(Stage::SocksProxy)
            }
            (0x16 | 4 | 5, None) => None,
            (0x16, Some(3)) => Some(Stage::Hello),
            (4, Some(1)) => Some(Stage::SocksClient(Tunnel::Socks4)),
            (5, Some(1..=16)) => Some(Stage::SocksClient(Tunnel::Socks5)),
            _ => match is_http {
                Some(true) if is_reply == Some(true) => Some(Stage::ReplyHead),
                Some(true) => Some(Stage::RequestHead),
                Some(false) => Some(Stage::Lines),
                None => None,
            },
        };
        match next {
            Some(stage) => self.turn(stage),
            None => Step::Wait,
        }
    }

    /// The client asks the proxy again after a refusal.
    fn step_back(&mut self, shared: &mut Shared) {
        shared.is_refused = false;
        self.layer = self.layer.saturating_sub(1);
        shared.tunnels.truncate(self.layer);
        shared.via = None;
    }

    fn turn(&mut self, stage: Stage) -> Step {
        self.stage = stage;
        Step::Again
    }

    /// Ends a layer: what follows went through the proxy.
    fn enter(&mut self) -> Step {
        self.layer += 1;
        self.unheard = 0;
        self.turn(Stage::Start)
    }

    fn consume(&mut self, count: usize) {
        self.buffer.drain(..count.min(self.buffer.len()));
    }

    fn asks(&self) -> Role {
        match self.direction {
            Direction::Out => Role::Client,
            Direction::In => Role::Server,
        }
    }

    fn hello(&mut self, desk: &mut Desk<'_>) -> Step {
        match tls::client_hello(&self.buffer) {
            Progress::Wait => Step::Wait,
            Progress::Not if self.buffer.get(5) == Some(&2) => self.turn(Stage::Dull), // the server's hello
            Progress::Not => self.turn(Stage::Lines),
            Progress::Done(hello, _) => {
                let utterance = Utterance::Tls { sni: hello.sni, alpn: hello.alpn, ja4: hello.ja4 };
                desk.out.push(Heard { role: self.asks(), via: desk.shared.via.clone(), utterance });
                desk.shared.is_sealed = true;
                self.turn(Stage::Dull)
            }
        }
    }

    fn request_head(&mut self, desk: &mut Desk<'_>) -> Step {
        match http::request(&self.buffer) {
            Progress::Wait => Step::Wait,
            Progress::Not => self.not_a_head(desk),
            Progress::Done(request, used) => {
                self.consume(used);
                self.requested(request, desk)
            }
        }
    }

    fn not_a_head(&mut self, desk: &mut Desk<'_>) -> Step {
        if self.buffer.len() > http::MAX_HEAD {
            desk.losses.long_heads += 1;
        }
        self.turn(Stage::Lines)
    }

    fn requested(&mut self, request: Request, desk: &mut Desk<'_>) -> Step {
        self.heads += 1;
        if self.heads > MAX_HEADS && !desk.shared.talk.is_mining() {
            return self.turn(Stage::Dull);
        }
        let (role, via) = (self.asks(), desk.shared.via.clone());
        desk.shared.talk.set_agent(request.agent.as_deref());
        let node_path = desk.shared.talk.hear_path(&request.method, &request.path);
        let is_connect = request.method == "CONNECT";
        let target = request.path.to_ascii_lowercase();
        let (is_websocket, body) = (request.is_websocket, request.body);
        let Request { method, path, host, agent, .. } = request;
        desk.out.push(Heard {
            role,
            via: via.clone(),
            utterance: Utterance::Http { method, path, host, agent },
        });
        if let Some(stratum) = node_path {
            desk.out.push(Heard { role, via, utterance: Utterance::Stratum(Box::new(stratum)) });
        }
        if is_connect {
            return self.tunnelled(Tunnel::Connect, target, desk);
        }
        if is_websocket {
            desk.shared.is_websocket = true;
            return self.turn(Stage::Frames(Frames::default()));
        }
        self.read_body(body, true)
    }

    /// The client named its target. Deeper nesting than is followed is not read.
    fn tunnelled(&mut self, tunnel: Tunnel, target: String, desk: &mut Desk<'_>) -> Step {
        desk.shared.tunnels.truncate(self.layer);
        desk.shared.tunnels.push(tunnel);
        desk.shared.via = Some(target);
        if self.layer >= MAX_LAYERS {
            desk.losses.deep_tunnels += 1;
            return self.turn(Stage::Dull);
        }
        self.enter()
    }

    fn read_body(&mut self, body: Body, is_searched: bool) -> Step {
        self.scanner.reset();
        match body {
            Body::Length(0) => self.turn(Stage::Start),
            Body::Length(left) => {
                let searched = if is_searched { left.min(MAX_BODY) } else { 0 };
                self.turn(Stage::Body { left, unsearched: left - searched })
            }
            // Chunk lines are noise between values to the scanner.
            Body::Open => self.turn(Stage::Lines),
        }
    }

    fn reply_head(&mut self, desk: &mut Desk<'_>) -> Step {
        match http::reply(&self.buffer) {
            Progress::Wait => Step::Wait,
            Progress::Not => self.not_a_head(desk),
            Progress::Done(reply, used) => {
                self.consume(used);
                self.replied(reply, desk)
            }
        }
    }

    fn replied(&mut self, reply: Reply, desk: &mut Desk<'_>) -> Step {
        self.heads += 1;
        let talk = &desk.shared.talk;
        let is_searched = talk.is_mining() || talk.is_waiting();
        if self.heads > MAX_HEADS && !is_searched {
            return self.turn(Stage::Dull);
        }
        let is_tunnel = desk.shared.tunnels.get(self.layer) == Some(&Tunnel::Connect);
        if is_tunnel && (200..300).contains(&reply.status) {
            return self.enter();
        }
        desk.shared.is_refused |= is_tunnel;
        if reply.status == 101 && (reply.is_websocket || desk.shared.is_websocket) {
            return self.turn(Stage::Frames(Frames::default()));
        }
        self.read_body(reply.body, is_searched)
    }

    fn socks_client(&mut self, tunnel: Tunnel, desk: &mut Desk<'_>) -> Step {
        let progress = match tunnel {
            Tunnel::Socks5 => tunnel::socks5_client(&self.buffer),
            Tunnel::Socks4 | Tunnel::Connect => tunnel::socks4_client(&self.buffer),
        };
        match progress {
            // The proxy answers the greeting before the target is named, so it is announced early.
            Progress::Wait => {
                if tunnel == Tunnel::Socks5 && tunnel::is_socks5_greeting(&self.buffer) {
                    desk.shared.tunnels.truncate(self.layer);
                    desk.shared.tunnels.push(tunnel);
                }
                Step::Wait
            }
            Progress::Not => {
                desk.shared.tunnels.truncate(self.layer);
                self.turn(Stage::Lines)
            }
            Progress::Done(target, used) => {
                self.consume(used);
                self.tunnelled(tunnel, target, desk)
            }
        }
    }

    fn socks_proxy(&mut self, tunnel: Tunnel) -> Step {
        let progress = match tunnel {
            Tunnel::Socks5 => tunnel::socks5_proxy(&self.buffer),
            Tunnel::Socks4 | Tunnel::Connect => tunnel::socks4_proxy(&self.buffer),
        };
        match progress {
            Progress::Wait => Step::Wait,
            Progress::Not => self.turn(Stage::Lines),
            Progress::Done(_, used) => {
                self.consume(used);
                self.enter()
            }
        }
    }

    fn body(&mut self, desk: &mut Desk<'_>) -> Step {
        let Stage::Body { left, unsearched } = self.stage else { return Step::Again };
        if left == 0 {
            return self.turn(Stage::Start);
        }
        if self.buffer.is_empty() {
            return Step::Wait;
        }
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
        let searched = usize::try_from(left.saturating_sub(unsearched)).unwrap_or(usize::MAX).min(here);
        let bytes: Vec<u8> = self.buffer.drain(..here).collect();
        self.search(bytes.get(..searched).unwrap_or_default(), desk);
        let passed = u64::try_from(here).unwrap_or(left);
        self.stage = Stage::Body { left: left.saturating_sub(passed), unsearched };
        Step::Again
    }

    fn frames(&mut self, desk: &mut Desk<'_>) -> Step {
        let bytes = std::mem::take(&mut self.buffer);
        let mut payload = Vec::new();
        if let Stage::Frames(frames) = &mut self.stage {
            frames.push(&bytes, |plain| payload.extend_from_slice(plain));
        }
        self.search_within_quota(&payload, desk)
    }

    fn lines(&mut self, desk: &mut Desk<'_>) -> Step {
        let bytes = std::mem::take(&mut self.buffer);
        self.search_within_quota(&bytes, desk)
    }

    /// Searches until the flow has said nothing of mining for too long. The border is a byte count, so the answer
    /// does not depend on how the bytes were split.
    fn search_within_quota(&mut self, bytes: &[u8], desk: &mut Desk<'_>) -> Step {
        let quota = if self.layer == 0 { desk.limits.dull_bytes } else { desk.limits.dull_tunnel_bytes };
        let mut rest = bytes;
        while !rest.is_empty() {
            if desk.shared.talk.is_mining() {
                self.unheard = 0;
            }
            let left = match quota.saturating_sub(self.unheard) {
                // A message that began in time is read to its end.
                0 if self.scanner.is_reading() => 1,
                0 => return self.turn(Stage::Dull),
                left => left,
            };
            let (now, later) = rest.split_at_checked(left).unwrap_or((rest, &[]));
            self.unheard += now.len();
            self.search(now, desk);
            rest = later;
        }
        Step::Wait
    }

    fn search(&mut self, bytes: &[u8], desk: &mut Desk<'_>) {
        let Desk { shared, limits, losses, out } = desk;
        let (direction, via) = (self.direction, &shared.via);
        let talk = &mut shared.talk;
        losses.long_lines += self.scanner.push(bytes, limits.line_bytes, |line| {
            let said = talk.hear(line, direction);
            out.extend(said.into_iter().map(|(role, stratum)| Heard {
                role,
                via: via.clone(),
                utterance: Utterance::Stratum(Box::new(stratum)),
            }));
        });
    }

    /// DNS on TCP: each message after its length (RFC 1035, 4.2.2).
    fn names(&mut self, desk: &mut Desk<'_>) -> Step {
        let Some((&[high, low], rest)) = self.buffer.split_first_chunk::<2>() else { return Step::Wait };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Questions in the header (RFC 1035, 4.1.1). Others use the port too: it is open in most firewalls.
        let questions =
            rest.get(4..).and_then(|rest| rest.first_chunk::<2>()).map(|&count| u16::from_be_bytes(count));
        if length > MAX_DNS || questions.is_some_and(|count| !(1..=4).contains(&count)) {
            self.is_dns = false;
            return self.turn(Stage::Start);
        }
        let Some(message) = rest.get(..length) else { return Step::Wait };
        for utterance in dns(message) {
            desk.out.push(Heard { role: dns_role(&utterance, self.direction), via: None, utterance });
        }
        self.consume(2 + length);
        Step::Again
    }
}

/// A question goes out of a client, an answer comes in to it.
pub(crate) fn dns_role(utterance: &Utterance, direction: Direction) -> Role {
    let is_answer = matches!(utterance, Utterance::DnsAnswer { .. });
    match (direction, is_answer) {
        (Direction::Out, false) | (Direction::In, true) => Role::Client,
        (Direction::In, false) | (Direction::Out, true) => Role::Server,
    }
}

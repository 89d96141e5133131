//! Conversations from `tests/fixtures/traffic`, turned into the events of a sensor in any segmentation.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use minesweep_model::{Bytes, Direction, Event, Flow, FlowBytes, Protocol, Said, Utterance, What};
use minesweep_traffic::{Limits, Streams};
use serde::Deserialize;

/// First line of a fixture.
#[derive(Deserialize)]
struct Head {
    about: String,
    port: Option<u16>,
    protocol: Option<Protocol>,
}

/// Other lines: what went which way.
#[derive(Deserialize)]
struct Line {
    out: Option<String>,
    out_hex: Option<String>,
    #[serde(rename = "in")]
    incoming: Option<String>,
    in_hex: Option<String>,
}

/// One conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    pub name: String,
    pub about: String,
    pub port: u16,
    pub protocol: Protocol,
    pub turns: Vec<(Direction, Vec<u8>)>,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/traffic")
}

pub fn all() -> Vec<Talk> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .map(|path| load(path))
        .collect()
}

pub fn named(name: &str) -> Talk {
    load(&folder().join(format!("{name}.jsonl")))
}

fn load(path: &Path) -> Talk {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let head: Head = serde_json::from_str(lines.next().unwrap()).unwrap();
    let turns = lines.map(|line| turn(serde_json::from_str(line).unwrap())).collect();
    Talk {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        about: head.about,
        port: head.port.unwrap_or(3333),
        protocol: head.protocol.unwrap_or(Protocol::Tcp),
        turns,
    }
}

fn turn(line: Line) -> (Direction, Vec<u8>) {
    let hex = |text: String| {
        let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16).unwrap()).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
    };
    match line {
        Line { out: Some(text), .. } => (Direction::Out, text.into_bytes()),
        Line { out_hex: Some(text), .. } => (Direction::Out, hex(text)),
        Line { incoming: Some(text), .. } => (Direction::In, text.into_bytes()),
        Line { in_hex: Some(text), .. } => (Direction::In, hex(text)),
        _ => panic!("a line has one of out, out_hex, in, in_hex"),
    }
}

const LOCAL: &str = "10.0.0.5:40000";

impl Talk {
    fn remote(&self) -> SocketAddr {
        SocketAddr::new([203, 0, 113, 9].into(), self.port)
    }

    pub fn segment(&self, cookie: u64, direction: Direction, sequence: u32, bytes: &[u8]) -> Event {
        let what = What::Bytes(FlowBytes {
            cookie,
            process: None,
            direction,
            sequence,
            local: LOCAL.parse().unwrap(),
            remote: self.remote(),
            protocol: self.protocol,
            bytes: Bytes(bytes.to_vec()),
            cut: 0,
        });
        Event { at_ms: 1_700_000_000_000, what }
    }

    pub fn connect(&self, cookie: u64) -> Event {
        let flow = Flow {
            cookie,
            process: None,
            local: LOCAL.parse().unwrap(),
            remote: self.remote(),
            protocol: self.protocol,
        };
        Event { at_ms: 1_700_000_000_000, what: What::Connect(flow) }
    }

    /// The events when each turn is cut by `cut`, which gives the pieces of a turn.
    pub fn events(&self, cookie: u64, mut cut: impl FnMut(&[u8]) -> Vec<Vec<u8>>) -> Vec<Event> {
        let start = |direction| if direction == Direction::Out { 0xffff_ff00_u32 } else { 7_000 };
        let mut next = [start(Direction::Out), start(Direction::In)];
        let mut events = vec![self.connect(cookie)];
        if self.protocol == Protocol::Tcp {
            for direction in [Direction::Out, Direction::In] {
                events.push(self.segment(cookie, direction, start(direction), b""));
            }
        }
        for (direction, bytes) in &self.turns {
            let pieces = if self.protocol == Protocol::Tcp { cut(bytes) } else { vec![bytes.clone()] };
            for piece in pieces {
                let at = &mut next[usize::from(*direction == Direction::In)];
                events.push(self.segment(cookie, *direction, *at, &piece));
                *at = at.wrapping_add(u32::try_from(piece.len()).unwrap());
            }
        }
        events
    }
}

/// What a fresh reader hears.
pub fn hear(events: &[Event]) -> Vec<Said> {
    let mut streams = Streams::new(Limits::default());
    let heard = events.iter().flat_map(|event| streams.observe(event));
    heard
        .map(|event| match event.what {
            What::Said(said) => *said,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The highest confidence of a mining message.
pub fn confidence(said: &[Said]) -> u8 {
    let stratum = |said: &Said| match &said.utterance {
        Utterance::Stratum(stratum) => stratum.confidence,
        Utterance::Tls { .. }
        | Utterance::DnsQuestion { .. }
        | Utterance::DnsAnswer { .. }
        | Utterance::Http { .. } => 0,
    };
    said.iter().map(stratum).max().unwrap_or(0)
}

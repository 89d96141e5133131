//! Captures in every file form and link type give what the live sensor would have given.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use std::net::Ipv4Addr;

use common::{Talk, all, hear, named};
use etherparse::PacketBuilder;
use minesweep_model::{Direction, Event, Protocol, Said, What};
use minesweep_traffic::pcap::{Capture, PcapError, events};
use proptest::prelude::*;

const CLIENT: [u8; 4] = [10, 0, 0, 5];
const SERVER: [u8; 4] = [203, 0, 113, 9];

/// IP packets of a conversation, with handshake and end when it is TCP.
fn packets(talk: &Talk, has_handshake: bool) -> Vec<Vec<u8>> {
    let mut next = [1000u32, 9000];
    let mut out = Vec::new();
    if talk.protocol == Protocol::Tcp && has_handshake {
        out.push(tcp(talk, Direction::Out, 999, b"", |p| p.syn()));
        out.push(tcp(talk, Direction::In, 8999, b"", |p| p.syn().ack(1000)));
    }
    for (direction, bytes) in &talk.turns {
        if talk.protocol == Protocol::Udp {
            out.push(udp(talk, *direction, bytes));
            continue;
        }
        for piece in bytes.chunks(1000) {
            let at = &mut next[usize::from(*direction == Direction::In)];
            out.push(tcp(talk, *direction, *at, piece, |p| p.ack(1).psh()));
            *at += u32::try_from(piece.len()).unwrap();
        }
    }
    if talk.protocol == Protocol::Tcp && has_handshake {
        out.push(tcp(talk, Direction::Out, next[0], b"", |p| p.fin().ack(1)));
        out.push(tcp(talk, Direction::In, next[1], b"", |p| p.fin().ack(1)));
    }
    out
}

type Step = etherparse::PacketBuilderStep<etherparse::TcpHeader>;

fn ends(talk: &Talk, direction: Direction) -> ([u8; 4], [u8; 4], u16, u16) {
    match direction {
        Direction::Out => (CLIENT, SERVER, 40_000, talk.port),
        Direction::In => (SERVER, CLIENT, talk.port, 40_000),
    }
}

fn tcp(
    talk: &Talk,
    direction: Direction,
    sequence: u32,
    bytes: &[u8],
    flags: impl Fn(Step) -> Step,
) -> Vec<u8> {
    let (from, to, from_port, to_port) = ends(talk, direction);
    let builder = flags(PacketBuilder::ipv4(from, to, 64).tcp(from_port, to_port, sequence, 1024));
    let mut out = Vec::new();
    builder.write(&mut out, bytes).unwrap();
    out
}

fn udp(talk: &Talk, direction: Direction, bytes: &[u8]) -> Vec<u8> {
    let (from, to, from_port, to_port) = ends(talk, direction);
    let mut out = Vec::new();
    PacketBuilder::ipv4(from, to, 64).udp(from_port, to_port).write(&mut out, bytes).unwrap();
    out
}

/// Puts the link header of a type before an IPv4 packet.
fn link(kind: u32, ip: &[u8]) -> Vec<u8> {
    let head: Vec<u8> = match kind {
        1 => [[2u8; 12].as_slice(), &[8, 0]].concat(),
        0 => vec![2, 0, 0, 0],
        101 => Vec::new(),
        113 => [[0u8; 14].as_slice(), &[8, 0]].concat(),
        276 => [[8u8, 0].as_slice(), &[0; 18]].concat(),
        _ => panic!("{kind}"),
    };
    [head, ip.to_vec()].concat()
}

#[derive(Clone, Copy)]
enum Form {
    Micro,
    MicroBig,
    Nano,
    Blocks,
    BlocksBig,
}

fn file(form: Form, kind: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let is_big = matches!(form, Form::MicroBig | Form::BlocksBig);
    let word = move |value: u32| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = move |value: u16| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
    let linked = packets.iter().map(|ip| link(kind, ip));
    match form {
        Form::Micro | Form::MicroBig | Form::Nano => {
            let magic = if matches!(form, Form::Nano) { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
            let part = if matches!(form, Form::Nano) { 500_000_000 } else { 500_000 };
            let mut out =
                [word(magic), word(0x0004_0002), word(0), word(0), word(65535), word(kind)].concat();
            for packet in linked {
                let length = u32::try_from(packet.len()).unwrap();
                out.extend([word(1_700_000_000), word(part), word(length), word(length)].concat());
                out.extend(packet);
            }
            out
        }
        Form::Blocks | Form::BlocksBig => {
            let block = |kind: u32, body: Vec<u8>| {
                let mut body = body;
                body.resize(body.len().next_multiple_of(4), 0);
                let length = u32::try_from(body.len() + 12).unwrap();
                [word(kind).to_vec(), word(length).to_vec(), body, word(length).to_vec()].concat()
            };
            let section = [word(0x1a2b_3c4d).to_vec(), vec![0; 12]].concat();
            let options = [half(9).to_vec(), half(1).to_vec(), vec![9, 0, 0, 0], vec![0; 4]].concat();
            let interface =
                [half(u16::try_from(kind).unwrap()).to_vec(), vec![0; 2], word(0).to_vec(), options].concat();
            let mut out = [block(0x0a0d_0d0a, section), block(1, interface), block(5, vec![0; 12])].concat();
            let time: u64 = 1_700_000_000_500_000_000;
            for packet in linked {
                let length = u32::try_from(packet.len()).unwrap();
                let high = u32::try_from(time >> 32).unwrap();
                let low = u32::try_from(time & 0xffff_ffff).unwrap();
                let head = [word(0), word(high), word(low), word(length), word(length)].concat();
                out.extend(block(6, [head, packet].concat()));
            }
            out
        }
    }
}

fn utterances(said: &[Said]) -> Vec<String> {
    said.iter().map(|s| format!("{:?} {:?} {:?}", s.role, s.via, s.utterance)).collect()
}

fn read(file: &[u8]) -> Capture {
    events(file).unwrap()
}

#[test]
fn every_form_and_link_type_says_what_the_sensor_says() {
    for name in ["cryptonote", "connect", "tls", "dns_udp", "dns_tcp"] {
        let talk = named(name);
        let want = utterances(&hear(&talk.events(1, |bytes| vec![bytes.to_vec()])));
        for form in [Form::Micro, Form::MicroBig, Form::Nano, Form::Blocks, Form::BlocksBig] {
            for kind in [0, 1, 101, 113, 276] {
                let capture = read(&file(form, kind, &packets(&talk, true)));
                assert!(capture.events.iter().all(|event| event.at_ms == 1_700_000_000_500));
                assert_eq!((capture.skipped, capture.is_cut), (0, false));
                assert_eq!(utterances(&hear(&capture.events)), want, "{name} on {kind}");
            }
        }
    }
}

#[test]
fn every_conversation_reads_the_same_from_a_capture() {
    for talk in all() {
        let want = utterances(&hear(&talk.events(1, |bytes| vec![bytes.to_vec()])));
        let capture = read(&file(Form::Micro, 1, &packets(&talk, true)));
        assert_eq!(utterances(&hear(&capture.events)), want, "{}", talk.name);
    }
}

#[test]
fn the_clients_end_is_this_end_also_without_a_handshake() {
    for (name, has_handshake) in [("cryptonote", true), ("cryptonote", false), ("dns_udp", false)] {
        let said = hear(&read(&file(Form::Micro, 1, &packets(&named(name), has_handshake))).events);
        assert!(!said.is_empty());
        assert!(said.iter().all(|s| s.local.ip() == Ipv4Addr::from(CLIENT) && s.process.is_none()), "{name}");
    }
}

#[test]
fn a_connection_with_the_same_ports_after_the_end_is_another_flow() {
    let talk = named("cryptonote");
    let twice = [packets(&talk, true), packets(&talk, true)].concat();
    let said = hear(&read(&file(Form::Micro, 1, &twice)).events);
    let mut cookies: Vec<u64> = said.iter().map(|s| s.cookie).collect();
    cookies.dedup();
    assert_eq!(cookies.len(), 2);
}

#[test]
fn lost_order_and_repeats_in_a_capture_are_put_right() {
    let talk = named("cryptonote_long");
    let want = utterances(&hear(&talk.events(1, |bytes| vec![bytes.to_vec()])));
    let mut packets = packets(&talk, true);
    packets.swap(4, 9);
    let copy = packets[5].clone();
    packets.insert(12, copy);
    assert_eq!(utterances(&hear(&read(&file(Form::Micro, 1, &packets)).events)), want);
}

#[test]
fn a_file_cut_anywhere_gives_what_came_before_and_says_so() {
    let packets = packets(&named("dns_udp"), true);
    for form in [Form::Micro, Form::Blocks] {
        let whole = file(form, 1, &packets);
        let last = read(&whole).packets;
        let first = read(&whole[..whole.len() - 1]);
        assert!(first.is_cut && first.packets == last - 1);
    }
}

#[test]
fn other_files_and_links_are_refused_by_name() {
    let error = |file: &[u8]| events(file).unwrap_err().to_string();
    assert!(error(b"MZ\0\0").contains("is no capture"));
    assert!(error(b"").contains("is no capture"));
    let mut odd = file(Form::Micro, 1, &packets(&named("dns_udp"), true));
    odd[20] = 147;
    assert_eq!(events(&odd).unwrap_err(), PcapError::LinkType(147));
}

#[test]
fn packets_that_are_no_tcp_or_udp_are_counted() {
    let mut packets = packets(&named("dns_udp"), true);
    let mut ping = Vec::new();
    PacketBuilder::ipv4(CLIENT, SERVER, 64).icmpv4_echo_request(1, 1).write(&mut ping, b"x").unwrap();
    packets.push(ping);
    let capture = read(&file(Form::Micro, 1, &packets));
    assert_eq!((capture.packets, capture.skipped), (3, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_and_damaged_files_are_survived(
        form in 0..5usize,
        hits in prop::collection::vec((any::<usize>(), any::<u8>()), 0..30),
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let form = [Form::Micro, Form::MicroBig, Form::Nano, Form::Blocks, Form::BlocksBig][form];
        let mut bytes = file(form, 1, &packets(&named("cryptonote"), true));
        for (at, byte) in hits {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        bytes.extend(tail);
        if let Ok(capture) = events(&bytes) {
            let only = |event: &Event| matches!(event.what, What::Bytes(_) | What::Connect(_) | What::Closed { .. });
            prop_assert!(capture.events.iter().all(only));
            hear(&capture.events);
        }
    }
}

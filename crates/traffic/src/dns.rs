//! Reads DNS questions and answers: one datagram, or one message after its length on TCP.
//!
//! Names only; nothing is ever resolved. A record that cannot be read ends the answer, and what came before it
//! stays: a sensor may have cut the packet.

use std::net::IpAddr;

use hickory_proto::op::{Header, MessageType, Query};
use hickory_proto::rr::{RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use minesweep_model::Utterance;

/// Questions read from a message; real ones carry one.
const MAX_QUESTIONS: u16 = 4;
/// Answer records read from a message; real ones stay below 30.
const MAX_ANSWERS: u16 = 128;

/// What the message says: a question for each name asked, or one answer.
pub fn read(message: &[u8]) -> Vec<Utterance> {
    let mut decoder = BinDecoder::new(message);
    let Ok(header) = Header::read(&mut decoder) else { return Vec::new() };
    if header.query_count() == 0 || header.query_count() > MAX_QUESTIONS {
        return Vec::new();
    }
    let mut queries = Vec::new();
    for _ in 0..header.query_count() {
        match Query::read(&mut decoder) {
            Ok(query) => queries.push(query),
            Err(_) => return Vec::new(),
        }
    }
    match header.message_type() {
        MessageType::Query => queries.iter().map(question).collect(),
        MessageType::Response => {
            let addresses = addresses(&mut decoder, header.answer_count().min(MAX_ANSWERS));
            let first = queries.first().into_iter();
            first
                .map(|query| Utterance::DnsAnswer { name: name(query), addresses: addresses.clone() })
                .collect()
        }
    }
}

fn question(query: &Query) -> Utterance {
    Utterance::DnsQuestion { name: name(query), kind: query.query_type().to_string() }
}

fn name(query: &Query) -> String {
    query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn addresses(decoder: &mut BinDecoder<'_>, count: u16) -> Vec<IpAddr> {
    let mut out = Vec::new();
    for _ in 0..count {
        let Ok(record) = Record::read(decoder) else { return out };
        match record.data() {
            RData::A(address) => out.push(IpAddr::V4(address.0)),
            RData::AAAA(address) => out.push(IpAddr::V6(address.0)),
            _ => {} // hickory's own enum: aliases and the rest carry no address
        }
    }
    out
}

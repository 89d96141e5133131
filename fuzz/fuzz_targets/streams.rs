//! Any segments, both ways, in any order: no panic, the bounds hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minesweep_model::{Bytes, Direction, Event, FlowBytes, Protocol, What};
use minesweep_traffic::{Limits, Streams};

// Each segment: flow and direction, a step of the sequence number, a length, the bytes.
fuzz_target!(|input: &[u8]| {
    let limits = Limits { flows: 8, total_bytes: 64 * 1024, ..Limits::default() };
    let mut streams = Streams::new(limits.clone());
    let mut next = [0u32; 2];
    let mut rest = input;
    while let Some((&[kind, step, length], after)) = rest.split_first_chunk::<3>() {
        let (bytes, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let direction = if kind & 1 == 0 { Direction::Out } else { Direction::In };
        let at = &mut next[usize::from(kind & 1)];
        let sequence = at.wrapping_add(u32::from(step >> 4)).wrapping_sub(u32::from(step & 15));
        *at = sequence.wrapping_add(u32::from(length));
        let what = What::Bytes(FlowBytes {
            cookie: u64::from(kind >> 5),
            process: None,
            direction,
            sequence,
            local: ([10, 0, 0, 1], 40_000).into(),
            remote: ([10, 0, 0, 2], if kind & 2 == 0 { 3333 } else { 53 }).into(),
            protocol: if kind & 12 == 12 { Protocol::Udp } else { Protocol::Tcp },
            bytes: Bytes(bytes.to_vec()),
            cut: u32::from(kind & 16 != 0),
        });
        streams.observe(&Event { at_ms: u64::from(step), what });
        let (flows, held) = streams.size();
        assert!(flows <= limits.flows && held <= limits.total_bytes);
    }
});

//! What reading costs: bulk flows, mining messages, and flows that open and close.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use minesweep_model::{Bytes, Direction, Event, FlowBytes, Protocol, What};
use minesweep_traffic::{Limits, Streams};

fn main() {
    divan::main();
}

fn segment(cookie: u64, direction: Direction, sequence: u32, bytes: &[u8]) -> Event {
    let what = What::Bytes(FlowBytes {
        cookie,
        process: None,
        direction,
        sequence,
        local: ([10, 0, 0, 5], 40_000).into(),
        remote: ([203, 0, 113, 9], 3333).into(),
        protocol: Protocol::Tcp,
        bytes: Bytes(bytes.to_vec()),
        cut: 0,
    });
    Event { at_ms: 1_700_000_000_000, what }
}

/// Segments of one direction in order, `size` bytes each.
fn in_order(count: u32, size: u32, direction: Direction, byte: u8) -> Vec<Event> {
    let bytes = vec![byte; usize::try_from(size).unwrap_or(0)];
    (0..count).map(|at| segment(1, direction, at * size, &bytes)).collect()
}

/// A bulk download: dull after its first 4 KiB, then one look-up a segment.
#[divan::bench]
fn bulk_unknown_protocol(bencher: Bencher<'_, '_>) {
    let events = in_order(7_000, 1_448, Direction::In, 0xa5);
    bencher.counter(BytesCount::new(7_000u64 * 1_448)).bench_local(|| {
        let mut streams = Streams::new(Limits::default());
        events.iter().map(|event| streams.observe(event).len()).sum::<usize>()
    });
}

/// A bulk download over HTTP with a length: the body is counted, not read.
#[divan::bench]
fn bulk_http_body(bencher: Bencher<'_, '_>) {
    let mut events = vec![segment(1, Direction::Out, 0, b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")];
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    events.push(segment(1, Direction::In, 0u32.wrapping_sub(u32::try_from(head.len()).unwrap_or(0)), head));
    events.extend(in_order(7_000, 1_448, Direction::In, 0xa5));
    bencher.counter(BytesCount::new(7_000u64 * 1_448)).bench_local(|| {
        let mut streams = Streams::new(Limits::default());
        events.iter().map(|event| streams.observe(event).len()).sum::<usize>()
    });
}

/// Jobs of a pool on one flow, one a segment.
#[divan::bench]
fn stratum_jobs(bencher: Bencher<'_, '_>) {
    let job = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"job\",\"params\":{{\"blob\":\"{}\",\"job_id\":\"1\",\"target\":\"b88d0600\",\"algo\":\"rx/0\",\"height\":3000000,\"seed_hash\":\"{}\"}}}}\n",
        "ab".repeat(76),
        "cd".repeat(32)
    );
    let size = u32::try_from(job.len()).unwrap_or(0);
    let events: Vec<Event> =
        (0..1_000).map(|at| segment(1, Direction::In, at * size, job.as_bytes())).collect();
    bencher.counter(ItemsCount::new(1_000u32)).bench_local(|| {
        let mut streams = Streams::new(Limits::default());
        events.iter().map(|event| streams.observe(event).len()).sum::<usize>()
    });
}

/// Flows with one login each: what a scan or a busy server costs.
#[divan::bench]
fn flows_with_a_login(bencher: Bencher<'_, '_>) {
    let login = b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"4TESTwallet\",\"pass\":\"x\",\"agent\":\"XMRig/6\",\"algo\":[\"rx/0\"]}}\n";
    let events: Vec<Event> = (0..1_000).map(|cookie| segment(cookie, Direction::Out, 1, login)).collect();
    bencher.counter(ItemsCount::new(1_000u32)).bench_local(|| {
        let mut streams = Streams::new(Limits::default());
        let said = events.iter().map(|event| streams.observe(event).len()).sum::<usize>();
        black_box((streams, said))
    });
}

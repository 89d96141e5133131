//! Any file: no panic, and what it gives can be read on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minesweep_traffic::{Limits, Streams, pcap};

fuzz_target!(|input: &[u8]| {
    if let Ok(capture) = pcap::events(input) {
        let mut streams = Streams::new(Limits::default());
        for event in &capture.events {
            streams.observe(event);
        }
    }
});

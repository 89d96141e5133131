//! Any bytes as a file: no panic, and no more members and bytes than the limits allow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minesweep_detect::files::{FileLimits, is_telling, open, worth};

fuzz_target!(|input: &[u8]| {
    let limits =
        FileLimits { depth: 4, members: 64, member_bytes: 1 << 16, total_bytes: 1 << 20, ratio: 250 };
    let mut shown = 0_u32;
    let opened = open(&mut &*input, &limits, &mut |name, bytes| {
        assert!(bytes.len() <= limits.member_bytes && name.len() <= 512);
        shown += 1;
    });
    assert!(shown <= opened.members && opened.members <= limits.members);
    let _ = (is_telling(input), worth(input, input.len() as u64));
});

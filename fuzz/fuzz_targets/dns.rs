//! Any DNS message: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _said = minesweep_traffic::dns(input);
});

//! Any stream of TLS records: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _progress = minesweep_traffic::client_hello(input);
});

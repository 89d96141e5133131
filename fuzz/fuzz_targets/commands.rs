//! Any text as the command line of a shell: no panic, no more findings than the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minesweep_detect::commands::{understand, understand_text};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    assert!(understand_text(&text).found.len() <= 64);
    let argv: Vec<String> = text.split('\0').map(str::to_owned).collect();
    assert!(understand(&argv).found.len() <= 64);
});

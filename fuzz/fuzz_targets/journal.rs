//! Any journal file, read from its start, from its end, and on after it grew: no panic, and no more lines than asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minesweep_host::logs::Position;

/// Most lines asked for.
const LIMIT: usize = 64;

fuzz_target!(|input: &[u8]| {
    let half = input.get(..input.len() / 2).unwrap_or_default();
    for (first, then) in [(input, input), (half, input)] {
        for position in [Position::start(&first), Position::end(&first)] {
            let Ok(mut position) = position else { continue };
            for source in [first, then] {
                let mut lines = Vec::new();
                let _more = position.read(&source, LIMIT, &mut lines);
                assert!(lines.len() <= LIMIT);
            }
        }
    }
});

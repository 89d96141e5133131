//! Names that are the same on every replay: made of what happened, not of chance or clock.

use minesweep_model::ProcessKey;
use sha2::{Digest, Sha256};

/// 32 hexadecimal digits. `thing` tells apart what one process does twice in one millisecond.
pub(crate) fn uid(boot_id: &str, what: &str, process: Option<ProcessKey>, at_ms: u64, thing: u64) -> String {
    let (pid, start) = process.map_or((0, 0), |key| (key.pid, key.start_ticks));
    let mut hash = Sha256::new();
    for part in [boot_id.as_bytes(), what.as_bytes()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(pid.to_le_bytes());
    for number in [start, at_ms, thing] {
        hash.update(number.to_le_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A short number for a text, for telling things apart.
pub(crate) fn thing(text: &str) -> u64 {
    Sha256::digest(text).first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

//! Reads the memory of a process as it runs: no attach, no stop, no write.
//!
//! Only pages that are there are read (`pagemap`): touching the others would bring them in from swap or make them,
//! and both would change the process that is looked at.

use std::{io, ops::Range};

use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::{Errno, pread};

use crate::proc::root::Folder;

/// Maps up to this length are read whole, longer ones at both ends.
const WHOLE: u64 = 64 << 20;
/// How much of each end of a long map is read: a heap grows at its end, an allocator keeps its books at its start.
const END: u64 = 4 << 20;
/// Length of one piece.
const PIECE: u64 = 1 << 20;
/// Room for one piece with its overlap.
const PIECE_BYTES: usize = (1 << 20) + 256;
/// How far pieces overlap: longer than any pool address or wallet.
const OVERLAP: u64 = 256;
/// Size of a page in `pagemap`.
const PAGE: u64 = 4096;
/// `pagemap`: the page is in memory (bit 63; Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;

/// The memory of one process.
pub(super) struct Memory {
    memory: OwnedFd,
    pagemap: Option<OwnedFd>,
    buffer: Vec<u8>,
    left_bytes: u64,
}

impl Memory {
    /// Opens it; at most `limit_bytes` will be read.
    pub(super) fn open(folder: &Folder, limit_bytes: u64) -> io::Result<Self> {
        Ok(Self {
            memory: folder.file("mem", OFlags::RDONLY)?,
            // Absent on kernels built without CONFIG_PROC_PAGE_MONITOR.
            pagemap: folder.file("pagemap", OFlags::RDONLY).ok(),
            buffer: vec![0; PIECE_BYTES],
            left_bytes: limit_bytes,
        })
    }

    /// Hands the content of a map over, piece by piece. False when the limit is reached.
    pub(super) fn read(&mut self, map: &Range<u64>, sink: &mut dyn FnMut(u64, &[u8])) -> io::Result<bool> {
        for part in parts(map) {
            for run in self.present(&part) {
                for piece in pieces(&run) {
                    let wanted = piece.end - piece.start;
                    if wanted > self.left_bytes {
                        return Ok(false);
                    }
                    self.left_bytes -= wanted;
                    let Some(room) = self.buffer.get_mut(..usize::try_from(wanted).unwrap_or(0)) else {
                        continue;
                    };
                    match pread(&self.memory, &mut *room, piece.start) {
                        Ok(0) => {}
                        Ok(length) => sink(piece.start, room.get(..length).unwrap_or_default()),
                        // The map went away meanwhile.
                        Err(Errno::IO | Errno::FAULT) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(true)
    }

    /// The runs of pages of `part` that are in memory.
    fn present(&self, part: &Range<u64>) -> Vec<Range<u64>> {
        let Some(pagemap) = &self.pagemap else { return vec![part.clone()] };
        let pages = (part.end - part.start) / PAGE;
        let mut entries = vec![0; usize::try_from(pages * 8).unwrap_or(0)];
        let Ok(length) = pread(pagemap, &mut *entries, part.start / PAGE * 8) else {
            return vec![part.clone()];
        };
        runs(entries.get(..length).unwrap_or_default(), part.start)
    }
}

/// What is read of a map.
fn parts(map: &Range<u64>) -> Vec<Range<u64>> {
    if map.end - map.start <= WHOLE {
        return vec![map.clone()];
    }
    vec![map.start..map.start + END, map.end - END..map.end]
}

/// Pages that are present and lie side by side, as ranges of addresses.
fn runs(entries: &[u8], start: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    let mut address = start;
    for entry in entries.chunks_exact(8) {
        let is_present = entry.try_into().is_ok_and(|bytes| u64::from_ne_bytes(bytes) & PRESENT != 0);
        if is_present {
            match runs.last_mut() {
                Some(last) if last.end == address => last.end += PAGE,
                Some(_) | None => runs.push(address..address + PAGE),
            }
        }
        address += PAGE;
    }
    runs
}

/// A run cut into pieces that overlap.
fn pieces(run: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let run = run.clone();
    let mut start = run.start;
    std::iter::from_fn(move || {
        if start >= run.end {
            return None;
        }
        let from = start.saturating_sub(OVERLAP).max(run.start);
        let to = (start + PIECE).min(run.end);
        start = to;
        Some(from..to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_map_is_read_at_both_ends() {
        assert_eq!(parts(&(0..WHOLE)).as_slice(), std::slice::from_ref(&(0..WHOLE)));
        assert_eq!(parts(&(0..WHOLE + PAGE)), [0..END, WHOLE + PAGE - END..WHOLE + PAGE]);
    }

    #[test]
    fn absent_pages_split_the_runs() {
        let mut entries = Vec::new();
        for is_present in [true, true, false, false, true] {
            let entry: u64 = if is_present { PRESENT | 7 } else { 1 << 62 };
            entries.extend_from_slice(&entry.to_ne_bytes());
        }
        let want = [0x1000_0000..0x1000_2000, 0x1000_4000..0x1000_5000];
        assert_eq!(runs(&entries, 0x1000_0000), want);
        assert_eq!(runs(&[], 0), Vec::<Range<u64>>::new());
    }

    #[test]
    fn a_word_across_two_pieces_is_whole_in_one() {
        let run = 4096..4096 + 2 * PIECE + 4096;
        let all: Vec<_> = pieces(&run).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], 4096..4096 + PIECE);
        assert_eq!(all[1].start, all[0].end - OVERLAP);
        assert_eq!(all[2].end, run.end);
    }
}

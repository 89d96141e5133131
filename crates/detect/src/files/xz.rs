//! Unpacks xz as a stream that always ends.
//!
//! The library's own reader turns for ever on a chunk that ends before it has given what it promised: 206 bytes, found
//! by the fuzz target `files`. So its engine is driven from here, step by step: a step that neither takes nor gives
//! anything is the end. What the engine keeps of each block is bounded by how much a block must give.

use std::io::{self, Read};

use lzma_rust2::{Action, Status, XzStream};

/// Bytes taken from the file at once.
const INPUT_BYTES: usize = 32 << 10;
/// A packer adds at most a hundredth. Beyond this many bytes, who takes a quarter more than he gives sends empty blocks,
/// of which the engine keeps a note each.
const PADDED_BYTES: u64 = 16 << 20;

/// What comes out of an xz stream, or of several one after the other.
pub(super) struct Xz<R> {
    inner: R,
    engine: XzStream,
    input: Vec<u8>,
    used: usize,
    is_input_over: bool,
    is_over: bool,
}

impl<R: Read> Xz<R> {
    pub(super) fn new(inner: R, memory_kib: u32) -> Self {
        let engine = XzStream::new_mem_limit(true, memory_kib);
        Self { inner, engine, input: Vec::new(), used: 0, is_input_over: false, is_over: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        if self.used < self.input.len() || self.is_input_over {
            return Ok(());
        }
        self.used = 0;
        self.input.clear();
        self.input.reserve(INPUT_BYTES);
        self.inner.by_ref().take(INPUT_BYTES as u64).read_to_end(&mut self.input)?;
        self.is_input_over = self.input.len() < INPUT_BYTES;
        Ok(())
    }

    fn is_padded(&self) -> bool {
        let (taken, given) = (self.engine.total_in(), self.engine.total_out());
        taken > PADDED_BYTES && taken > given.saturating_add(given / 4)
    }
}

impl<R: Read> Read for Xz<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.is_over && !out.is_empty() {
            self.refill()?;
            if self.is_padded() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an xz stream of empty blocks"));
            }
            let waiting = self.input.get(self.used..).unwrap_or_default();
            let action = if self.is_input_over { Action::Finish } else { Action::Run };
            let step = self.engine.process(waiting, out, action)?;
            let is_stuck = step.bytes_consumed == 0
                && step.bytes_produced == 0
                && (self.is_input_over || !waiting.is_empty());
            self.used = self.used.saturating_add(step.bytes_consumed);
            self.is_over = step.status == Status::StreamEnd;
            if step.bytes_produced > 0 {
                return Ok(step.bytes_produced);
            }
            if is_stuck && !self.is_over {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an xz stream that gives nothing"));
            }
        }
        Ok(0)
    }
}

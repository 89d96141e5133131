//! Counts what goes into unpacking and what comes out, and ends it when a bound is reached.

use std::{
    cell::Cell,
    io::{self, Read},
};

use super::{Cut, FileLimits, RATIO_FLOOR_BYTES};

/// Bytes in, bytes out, and the bound that ended it.
#[derive(Debug)]
pub(super) struct Meter {
    taken: Cell<u64>,
    unpacked: Cell<u64>,
    over: Cell<Option<Cut>>,
    total_bytes: u64,
    ratio: u64,
}

impl Meter {
    pub(super) fn new(limits: &FileLimits) -> Self {
        Self {
            taken: Cell::new(0),
            unpacked: Cell::new(0),
            over: Cell::new(None),
            total_bytes: limits.total_bytes,
            ratio: limits.ratio,
        }
    }

    /// The bound that ended the work.
    pub(super) fn over(&self) -> Option<Cut> {
        self.over.get()
    }

    /// Ends the work.
    pub(super) fn end(&self, cut: Cut) {
        if self.over.get().is_none() {
            self.over.set(Some(cut));
        }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    pub(super) fn unpacked(&self) -> u64 {
        self.unpacked.get()
    }

    fn add(&self, count: usize) {
        let unpacked = self.unpacked.get().saturating_add(count as u64);
        self.unpacked.set(unpacked);
        if unpacked > self.total_bytes {
            self.end(Cut::TotalBytes);
        } else if unpacked > RATIO_FLOOR_BYTES
            && unpacked > self.taken.get().max(1).saturating_mul(self.ratio)
        {
            self.end(Cut::Ratio);
        }
    }
}

/// The file as it is stored.
pub(super) struct Packed<'a> {
    pub(super) inner: &'a mut dyn Read,
    pub(super) meter: &'a Meter,
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.meter.taken.set(self.meter.taken.get().saturating_add(count as u64));
        Ok(count)
    }
}

/// What comes out of an unpacker.
pub(super) struct Unpacked<'a, R> {
    pub(super) inner: R,
    pub(super) meter: &'a Meter,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.over().is_some() {
            return Err(io::Error::other("a bound of unpacking is reached"));
        }
        let count = self.inner.read(buffer)?;
        self.meter.add(count);
        Ok(count)
    }
}

//! One TCP flow: both directions in order, and their shared memory.
//!
//! Knows neither other flows nor the table they are in.

use minesweep_model::{Direction, FlowBytes};

use crate::assembly::{Assembly, Piece, Segment};
use crate::side::{Heard, Shared, Side};
use crate::{Limits, Losses};

/// A flow that is still read.
#[derive(Debug)]
pub(crate) struct Flow {
    out: Half,
    incoming: Half,
    shared: Shared,
}

/// One direction with its order.
#[derive(Debug)]
struct Half {
    assembly: Assembly,
    side: Side,
    /// The first bytes, kept while a late first segment may still come before them.
    head: Vec<u8>,
    is_anchored: bool,
    /// Bytes passed since the direction became dull.
    dull_bytes: usize,
}

impl Flow {
    /// A flow of which nothing is known. `is_dns`: one end is port 53.
    pub fn new(is_dns: bool) -> Self {
        Self {
            out: Half::new(Direction::Out, is_dns),
            incoming: Half::new(Direction::In, is_dns),
            shared: Shared::default(),
        }
    }

    /// Reads a segment.
    pub fn push(
        &mut self,
        bytes: &FlowBytes,
        at_ms: u64,
        limits: &Limits,
        losses: &mut Losses,
    ) -> Vec<Heard> {
        let half = match bytes.direction {
            Direction::Out => &mut self.out,
            Direction::In => &mut self.incoming,
        };
        let segment = Segment { sequence: bytes.sequence, bytes: &bytes.bytes.0, cut: bytes.cut, at_ms };
        let mut heard = Vec::new();
        half.push(segment, &mut self.shared, limits, losses, &mut heard);
        heard
    }

    /// Whether the rest of the flow is of no interest.
    pub fn is_dull(&self, limits: &Limits) -> bool {
        let is_over = |half: &Half| half.dull_bytes > limits.dull_other_bytes;
        self.shared.is_sealed
            || (self.out.side.is_dull() && self.incoming.side.is_dull())
            || (!self.shared.talk.is_mining() && (is_over(&self.out) || is_over(&self.incoming)))
    }

    /// Bytes held, without the fixed size of the flow.
    pub fn held(&self) -> usize {
        self.out.held() + self.incoming.held() + self.shared.talk.held()
    }
}

impl Half {
    fn new(direction: Direction, is_dns: bool) -> Self {
        Self {
            assembly: Assembly::default(),
            side: Side::new(direction, is_dns),
            head: Vec::new(),
            is_anchored: false,
            dull_bytes: 0,
        }
    }

    fn held(&self) -> usize {
        self.assembly.held() + self.side.held() + self.head.capacity()
    }

    fn push(
        &mut self,
        segment: Segment<'_>,
        shared: &mut Shared,
        limits: &Limits,
        losses: &mut Losses,
        heard: &mut Vec<Heard>,
    ) {
        if self.side.is_dull() && !shared.talk.is_mining() {
            self.dull_bytes += segment.bytes.len();
            return;
        }
        if self.side.is_dull() {
            self.side.wake();
            self.assembly = Assembly::default();
        }
        if segment.bytes.is_empty() && segment.cut == 0 {
            self.is_anchored |= self.assembly.start().is_none();
        }
        if self.assembly.is_before_start(segment.sequence) && !self.head.is_empty() {
            self.rewind(segment, shared, limits, losses, heard);
            return;
        }
        self.read(segment, shared, limits, losses, heard);
    }

    /// Reads the direction again from an earlier start: the first segment came after the second.
    fn rewind(
        &mut self,
        segment: Segment<'_>,
        shared: &mut Shared,
        limits: &Limits,
        losses: &mut Losses,
        heard: &mut Vec<Heard>,
    ) {
        let Some(start) = self.assembly.start() else { return };
        let head = std::mem::take(&mut self.head);
        *self = Self::new(self.side.direction(), self.side.is_dns());
        self.read(segment, shared, limits, losses, heard);
        let seen = Segment { sequence: start, bytes: &head, cut: 0, at_ms: segment.at_ms };
        self.read(seen, shared, limits, losses, heard);
    }

    fn read(
        &mut self,
        segment: Segment<'_>,
        shared: &mut Shared,
        limits: &Limits,
        losses: &mut Losses,
        heard: &mut Vec<Heard>,
    ) {
        let Self { assembly, side, head, is_anchored, .. } = self;
        let before = heard.len();
        let mut is_whole = !*is_anchored && (assembly.start().is_none() || !head.is_empty());
        assembly.push(segment, limits, losses, |piece, losses| match piece {
            Piece::Bytes(bytes) => {
                head.extend_from_slice(bytes);
                is_whole &= head.len() <= limits.dull_bytes;
                if !is_whole {
                    head.clear();
                }
                side.push(bytes, shared, limits, losses, heard);
            }
            Piece::Gap => {
                is_whole = false;
                side.gap();
            }
        });
        if !is_whole || heard.len() > before || !side.is_fresh() {
            *head = Vec::new();
        }
    }
}

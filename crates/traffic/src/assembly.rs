//! Puts the segments of one direction of a TCP flow in order.
//!
//! Repeats are dropped, the first copy of a byte wins, segments from the future wait within a bound, and a hole
//! that does not fill is skipped and counted. Does not know SYN or FIN: an empty segment anchors the start.

use crate::{Limits, Losses};

/// A segment whose turn has not come. It waits from the event time of its arrival.
#[derive(Debug)]
struct Held {
    sequence: u32,
    bytes: Vec<u8>,
    cut: u32,
    at_ms: u64,
}

/// What comes out, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// Bytes are missing here.
    Gap,
}

/// Order of one direction.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// Sequence number of the first byte delivered, and of the next one expected.
    span: Option<(u32, u32)>,
    held: Vec<Held>,
    held_bytes: usize,
}

impl Assembly {
    /// Takes a segment and hands over what is now in order. `cut` bytes followed that the sensor did not copy.
    pub fn push(
        &mut self,
        segment: Segment<'_>,
        limits: &Limits,
        losses: &mut Losses,
        mut take: impl FnMut(Piece<'_>, &mut Losses),
    ) {
        let (start, next) = *self.span.get_or_insert((segment.sequence, segment.sequence));
        if distance(segment.sequence, next) > 0 {
            self.hold(segment);
        } else {
            let end = deliver(next, segment.sequence, segment.bytes, segment.cut, losses, &mut take);
            self.span = Some((start, end));
        }
        self.drain(losses, &mut take);
        while self.is_over(segment.at_ms, limits) {
            self.skip_hole(losses, &mut take);
            self.drain(losses, &mut take);
        }
    }

    /// Whether the segment lies before everything seen: the first segment came late.
    pub fn is_before_start(&self, sequence: u32) -> bool {
        self.span.is_some_and(|(start, _)| distance(sequence, start) < 0)
    }

    /// Sequence number of the first byte delivered.
    pub fn start(&self) -> Option<u32> {
        self.span.map(|(start, _)| start)
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.held_bytes
    }

    fn hold(&mut self, segment: Segment<'_>) {
        if self
            .held
            .iter()
            .any(|held| held.sequence == segment.sequence && held.bytes.len() >= segment.bytes.len())
        {
            return;
        }
        self.held_bytes += segment.bytes.len();
        self.held.push(Held {
            sequence: segment.sequence,
            bytes: segment.bytes.to_vec(),
            cut: segment.cut,
            at_ms: segment.at_ms,
        });
    }

    fn drain(&mut self, losses: &mut Losses, take: &mut impl FnMut(Piece<'_>, &mut Losses)) {
        while let Some((start, next)) = self.span {
            let ready = self.held.iter().position(|held| distance(held.sequence, next) <= 0);
            let Some(index) = ready else { return };
            let held = self.held.swap_remove(index);
            self.held_bytes -= held.bytes.len();
            let end = deliver(next, held.sequence, &held.bytes, held.cut, losses, take);
            self.span = Some((start, end));
        }
    }

    fn is_over(&self, now_ms: u64, limits: &Limits) -> bool {
        self.held.len() > limits.held_segments
            || self.held_bytes > limits.held_bytes
            || self.held.iter().any(|held| now_ms.saturating_sub(held.at_ms) > limits.hold_ms)
    }

    fn skip_hole(&mut self, losses: &mut Losses, take: &mut impl FnMut(Piece<'_>, &mut Losses)) {
        let Some((start, next)) = self.span else { return };
        let nearest = self.held.iter().map(|held| held.sequence).min_by_key(|&at| distance(at, next));
        if let Some(nearest) = nearest {
            losses.gaps += 1;
            take(Piece::Gap, losses);
            self.span = Some((start, nearest));
        }
    }
}

/// A segment as it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// The bytes that were copied.
    pub bytes: &'a [u8],
    /// Bytes after them that were not.
    pub cut: u32,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// Hands over the part of a segment at and after `next`; returns the sequence number after it.
fn deliver(
    next: u32,
    sequence: u32,
    bytes: &[u8],
    cut: u32,
    losses: &mut Losses,
    take: &mut impl FnMut(Piece<'_>, &mut Losses),
) -> u32 {
    let Ok(copied) = u32::try_from(bytes.len()) else { return next };
    let old = next.wrapping_sub(sequence);
    if old < copied {
        let fresh = usize::try_from(old).ok().and_then(|old| bytes.get(old..)).unwrap_or_default();
        take(Piece::Bytes(fresh), losses);
    }
    let end = sequence.wrapping_add(copied).wrapping_add(cut);
    if distance(end, next) <= 0 {
        return next;
    }
    if cut > 0 {
        losses.gaps += 1;
        take(Piece::Gap, losses);
    }
    end
}

/// Signed distance between sequence numbers, right across the wrap at 2^32 (RFC 9293, 3.4).
fn distance(to: u32, from: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(segments: &[(u32, &str, u32, u64)]) -> (String, Losses) {
        let (mut assembly, mut losses, mut out) = (Assembly::default(), Losses::default(), String::new());
        for &(sequence, text, cut, at_ms) in segments {
            let segment = Segment { sequence, bytes: text.as_bytes(), cut, at_ms };
            assembly.push(segment, &Limits::default(), &mut losses, |piece, _| match piece {
                Piece::Bytes(bytes) => out.push_str(std::str::from_utf8(bytes).unwrap()),
                Piece::Gap => out.push('|'),
            });
        }
        (out, losses)
    }

    #[test]
    fn repeats_are_dropped_and_overlaps_trimmed() {
        assert_eq!(run(&[(5, "abc", 0, 0), (5, "abc", 0, 0), (6, "bcde", 0, 0)]).0, "abcde");
    }

    #[test]
    fn segments_from_the_future_wait_also_across_the_wrap() {
        let start = u32::MAX - 1;
        assert_eq!(run(&[(start, "ab", 0, 0), (2, "ef", 0, 0), (0, "cd", 0, 0)]).0, "abcdef");
    }

    #[test]
    fn a_hole_is_skipped_after_its_time_and_not_before() {
        let limit = Limits::default().hold_ms;
        assert_eq!(run(&[(0, "a", 0, 0), (9, "b", 0, 0), (10, "c", 0, limit)]).0, "a");
        let (out, losses) = run(&[(0, "a", 0, 0), (9, "b", 0, 0), (10, "c", 0, limit + 1)]);
        assert_eq!((out.as_str(), losses.gaps), ("a|bc", 1));
    }

    #[test]
    fn a_hole_is_skipped_when_too_much_waits() {
        let mut segments = vec![(0, "a", 0, 0)];
        let count = u32::try_from(Limits::default().held_segments).unwrap() + 1;
        segments.extend((0..count).map(|n| (10 + n, "b", 0, 0)));
        let (out, losses) = run(&segments);
        assert_eq!(losses.gaps, 1);
        assert!(out.starts_with("a|bbb"));
    }

    #[test]
    fn bytes_that_were_not_copied_are_a_gap_of_known_length() {
        assert_eq!(run(&[(0, "ab", 3, 0), (5, "cd", 0, 0)]).0, "ab|cd");
    }
}

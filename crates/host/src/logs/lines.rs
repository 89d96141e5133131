//! Cuts a stream of bytes into lines of a bounded length.

/// Longest line kept; the rest of a longer one is left out and counted.
pub(super) const LINE_LIMIT_BYTES: usize = 8 << 10;

/// The line that is not yet whole.
#[derive(Debug, Default)]
pub(super) struct Lines {
    part: Vec<u8>,
    is_cut: bool,
    /// Lines that were longer than is kept.
    pub(super) cut: u64,
}

impl Lines {
    /// Takes bytes in and hands each whole line over, without its end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_LIMIT_BYTES.saturating_sub(self.part.len());
            self.is_cut |= text.len() > room;
            self.part.extend(text.iter().take(room));
            if is_whole {
                let line = String::from_utf8_lossy(&self.part);
                take(line.trim_end_matches('\r'));
                self.cut += u64::from(self.is_cut);
                self.reset();
            }
        }
    }

    /// Forgets the line that is not whole: what follows is of another file.
    pub(super) fn reset(&mut self) {
        self.part.clear();
        self.is_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_come_and_a_long_one_is_cut_and_counted() {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for bytes in ["a", "b\r\nc\n", "\n"] {
            lines.feed(bytes.as_bytes(), |line| got.push(line.to_owned()));
        }
        assert_eq!(got, ["ab", "c", ""]);
        let long = vec![b'x'; LINE_LIMIT_BYTES + 1];
        let mut lengths = Vec::new();
        lines.feed(&long, |_| unreachable!());
        lines.feed(b"yyy\nz\n", |line| lengths.push(line.len()));
        assert_eq!((lengths, lines.cut), (vec![LINE_LIMIT_BYTES, 1], 1));
        assert!(lines.part.is_empty());
    }
}

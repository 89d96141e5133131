//! Cuts JSON values out of a byte stream, whatever stands around them and however it is split.
//!
//! A value counts when its brackets close, with or without a line end after it. What cannot be JSON (binary,
//! a head, half a line) is passed over, and the next `{` is tried: that is how a flow first seen in the middle
//! finds its footing. Does not check grammar; `json` reads the value afterwards.

/// Why the scanner is where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Between values.
    #[default]
    Outside,
    /// After the first bracket: the next byte tells a value from noise.
    Opening,
    /// In a value, not in a string.
    Inside,
    /// In a string.
    Text,
    /// In a string, after a backslash.
    Escape,
}

/// Finds values in a stream; holds at most one, cut to a limit.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    line: Vec<u8>,
    place: Place,
    /// Bit per open bracket, 1 for `{`; the lowest is the innermost.
    open: u64,
    depth: u8,
    is_after_newline: bool,
    /// The value was longer than the limit and its head has been handed over.
    is_given: bool,
}

/// Brackets that may be open at once: the width of the bit stack.
const MAX_DEPTH: u8 = 64;

impl Scanner {
    /// Takes bytes and hands over each value as it closes, or its first `limit` bytes. Returns how many were cut.
    pub fn push(&mut self, mut bytes: &[u8], limit: usize, mut take: impl FnMut(&[u8])) -> u64 {
        let mut cut = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.place == Place::Outside {
                let Some(start) = memchr::memchr2(b'{', b'[', bytes) else { return cut };
                bytes = bytes.get(start + 1..).unwrap_or_default();
                self.begin(if bytes_at_is_object(start, byte, rest) { b'{' } else { b'[' });
                continue;
            }
            if !self.accept(byte) {
                self.reset();
                continue; // the same byte may begin the next value
            }
            bytes = rest;
            if !self.is_given {
                self.line.push(byte);
            }
            if self.depth == 0 {
                if !self.is_given {
                    take(&self.line);
                }
                self.reset();
            } else if !self.is_given && self.line.len() >= limit {
                cut += 1;
                self.is_given = true;
                take(&self.line);
                self.line = Vec::new();
            }
        }
        cut
    }

    /// Forgets a half-read value: bytes are missing.
    pub fn reset(&mut self) {
        self.line.clear();
        self.place = Place::Outside;
        self.open = 0;
        self.depth = 0;
        self.is_after_newline = false;
        self.is_given = false;
    }

    /// Whether a value has begun and none of it was handed over yet.
    pub fn is_reading(&self) -> bool {
        self.place != Place::Outside && !self.is_given
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.line.capacity()
    }

    fn begin(&mut self, bracket: u8) {
        self.reset();
        self.line.push(bracket);
        self.place = Place::Opening;
        self.depth = 1;
        self.open = u64::from(bracket == b'{');
    }

    /// Whether the value may go on with `byte`.
    fn accept(&mut self, byte: u8) -> bool {
        match self.place {
            Place::Outside => true,
            Place::Opening => self.accept_opening(byte),
            Place::Inside => self.accept_inside(byte),
            Place::Text => {
                match byte {
                    b'"' => self.place = Place::Inside,
                    b'\\' => self.place = Place::Escape,
                    _ => {}
                }
                !matches!(byte, 0 | b'\n')
            }
            Place::Escape => {
                self.place = Place::Text;
                !matches!(byte, 0 | b'\n')
            }
        }
    }

    fn accept_opening(&mut self, byte: u8) -> bool {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return true;
        }
        self.place = Place::Inside;
        let is_object = self.open & 1 == 1;
        let may_follow = if is_object { matches!(byte, b'"' | b'}') } else { byte == b'{' };
        may_follow && self.accept_inside(byte)
    }

    fn accept_inside(&mut self, byte: u8) -> bool {
        let is_first_of_line = std::mem::replace(&mut self.is_after_newline, byte == b'\n');
        match byte {
            // A `{` at the start of a line is a new message: the one before it was cut off.
            b'{' if is_first_of_line => false,
            b'{' | b'[' => {
                self.depth += 1;
                self.open = self.open << 1 | u64::from(byte == b'{');
                self.depth < MAX_DEPTH
            }
            b'}' | b']' => {
                let is_match = (self.open & 1 == 1) == (byte == b'}');
                self.depth = self.depth.saturating_sub(1);
                self.open >>= 1;
                is_match
            }
            b'"' => {
                self.place = Place::Text;
                true
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'+' | b'-' | b'.' => true,
            other => other.is_ascii_alphanumeric(),
        }
    }
}

/// The bracket found at `start`, where `first` and `rest` are the bytes searched.
fn bytes_at_is_object(start: usize, first: u8, rest: &[u8]) -> bool {
    let found = if start == 0 { Some(first) } else { rest.get(start - 1).copied() };
    found == Some(b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pieces: &[&[u8]], limit: usize) -> (Vec<String>, u64) {
        let mut scanner = Scanner::default();
        let mut out = Vec::new();
        let mut cut = 0;
        for piece in pieces {
            cut += scanner.push(piece, limit, |line| out.push(String::from_utf8_lossy(line).into_owned()));
        }
        (out, cut)
    }

    #[test]
    fn values_are_found_with_and_without_line_ends() {
        let (got, _) = values(&[b"{\"a\":1}{\"b\":[{}]}\r\n\n {\"c\":\"}\\\"{\"}"], 100);
        assert_eq!(got, ["{\"a\":1}", "{\"b\":[{}]}", "{\"c\":\"}\\\"{\"}"]);
    }

    #[test]
    fn noise_before_and_between_is_passed_over() {
        let (got, _) = values(&[b"\0\0gar{b}age[1,2]\n{\"half\":\"x\n{\"a\":1}\x16\x03{\"b\":2}"], 100);
        assert_eq!(got, ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn a_message_cut_off_by_a_line_end_does_not_swallow_the_next() {
        let (got, _) = values(&[b"{\"a\": \n{\"b\":2}\n"], 100);
        assert_eq!(got, ["{\"b\":2}"]);
    }

    #[test]
    fn a_value_over_the_limit_is_handed_over_once_cut_and_counted() {
        let (got, cut) = values(&[b"{\"a\":\"xxxxxxxxxxxxxxxx\"}{\"b\":1}"], 10);
        assert_eq!(got, ["{\"a\":\"xxxx", "{\"b\":1}"]);
        assert_eq!(cut, 1);
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same() {
        let all = b"x\n{\"a\":[1,{\"b\":\"\\u0041\"}]}\n[{\"c\":1}]";
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(values(&bytes, 100), values(&[all], 100));
    }
}

//! Reads one JSON value the way a forgiving pool does, and remembers where each part stood.
//!
//! Why not `serde_json::Value`: a miner's author chooses the bytes. Repeated keys, lone surrogates, broken UTF-8
//! and a line cut short must not hide the method, and `pass` must be struck out of the line by position.
//! Does not check that a number or a word is well formed beyond what is needed to go on.

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting that is followed; real messages stay below 8. Bounds the recursion.
const MAX_DEPTH: u8 = 32;

/// A value and where it stood in the line.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// What it is.
    pub value: Value<'a>,
    /// Byte range in the line.
    pub span: Range<usize>,
}

/// A JSON value; repeated keys are kept.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Reads the value at the start of `line`. A line that ends early gives what was there.
pub(crate) fn parse(line: &[u8]) -> Option<Node<'_>> {
    Reader { bytes: line, at: 0, is_cut: false }.value(0)
}

impl<'a> Node<'a> {
    /// The member `key`; of repeated ones the longest, since the short one is the bait.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.all(key).max_by_key(|node| node.span.len())
    }

    /// Every member `key`.
    pub fn all<'b>(&'b self, key: &str) -> impl Iterator<Item = &'b Node<'a>> {
        self.members().iter().filter(move |(name, _)| name == key).map(|(_, node)| node)
    }

    /// Members of an object; none for other values.
    pub fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        match &self.value {
            Value::Object(members) => members,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => &[],
        }
    }

    /// Items of a list; none for other values.
    pub fn items(&self) -> &[Node<'a>] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Object(_) => &[],
        }
    }

    /// Item `index` of a list.
    pub fn item(&self, index: usize) -> Option<&Node<'a>> {
        self.items().get(index)
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_) => None,
        }
    }

    /// A number, also when it was sent as a string.
    pub fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => None,
        }
    }

    /// A list.
    pub fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// An object.
    pub fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// `null`, `false`, or nothing inside.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null | Value::Bool(false) => true,
            Value::Bool(true) | Value::Number(_) => false,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_cut: bool,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u8) -> Option<Node<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_white();
        let start = self.at;
        let value = match self.peek()? {
            b'{' => self.object(depth)?,
            b'[' => self.list(depth)?,
            b'"' => Value::Text(self.string()?),
            _ => self.word()?,
        };
        Some(Node { value, span: start..self.at })
    }

    fn object(&mut self, depth: u8) -> Option<Value<'a>> {
        self.at += 1;
        let mut members = Vec::new();
        while let Some(byte) = self.next_part(b'}') {
            if byte != b'"' {
                return None;
            }
            let key = self.string()?;
            self.skip_white();
            match self.peek() {
                Some(b':') => self.at += 1,
                Some(_) => return None,
                None => break,
            }
            match self.value(depth + 1) {
                Some(node) => members.push((key, node)),
                None if self.at >= self.bytes.len() => break,
                None => return None,
            }
        }
        Some(Value::Object(members))
    }

    fn list(&mut self, depth: u8) -> Option<Value<'a>> {
        self.at += 1;
        let mut items = Vec::new();
        while self.next_part(b']').is_some() {
            match self.value(depth + 1) {
                Some(node) => items.push(node),
                None if self.at >= self.bytes.len() => break,
                None => return None,
            }
        }
        Some(Value::List(items))
    }

    /// First byte of the next part, past white space and commas; `None` when the container or the line ends.
    fn next_part(&mut self, close: u8) -> Option<u8> {
        if self.is_cut {
            return None;
        }
        loop {
            self.skip_white();
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == close => {
                    self.at += 1;
                    return None;
                }
                byte => return Some(byte),
            }
        }
    }

    fn word(&mut self) -> Option<Value<'a>> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
            .unwrap_or(rest.len());
        let word = std::str::from_utf8(rest.get(..end)?).ok()?;
        let value = match word {
            "" => return None,
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            other => match other.parse() {
                Ok(number) => Value::Number(number),
                Err(_) => {
                    // At the end of a cut line this is half a word; the caller then keeps what it has.
                    self.at += if end == rest.len() { end } else { 0 };
                    return None;
                }
            },
        };
        self.at += end;
        Some(value)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let raw = self.bytes.get(start..self.at)?;
                    self.at += 1;
                    return Some(unescape(raw));
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => {
                    self.is_cut = true;
                    self.at = self.bytes.len();
                    return Some(unescape(self.bytes.get(start..)?));
                }
            }
        }
    }

    fn skip_white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    let mut units: Vec<u16> = Vec::new();
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'\\' => match bytes.next() {
                Some(b'u') => {
                    units.push(four_digits(&mut bytes));
                    continue;
                }
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        flush(&mut units, &mut out);
        out.push(plain);
    }
    flush(&mut units, &mut out);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Reads the digits of `\uXXXX`; a missing or wrong digit counts as 0, as forgiving readers do.
fn four_digits(bytes: &mut impl Iterator<Item = u8>) -> u16 {
    bytes.take(4).fold(0, |sum, byte| {
        let digit = char::from(byte).to_digit(16).and_then(|d| u16::try_from(d).ok()).unwrap_or(0);
        sum.wrapping_mul(16).wrapping_add(digit)
    })
}

fn flush(units: &mut Vec<u16>, out: &mut Vec<u8>) {
    if !units.is_empty() {
        out.extend_from_slice(String::from_utf16_lossy(units).as_bytes());
        units.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_keys_and_values_are_read() {
        let node = parse(br#"{"\u006dethod":"\u006c\u006fgin","x":"\ud83d\ude00"}"#).unwrap();
        assert_eq!(node.get("method").and_then(Node::text), Some("login"));
        assert_eq!(node.get("x").and_then(Node::text), Some("\u{1f600}"));
    }

    #[test]
    fn a_lone_surrogate_or_broken_utf8_hides_nothing() {
        let node = parse(b"{\"a\":\"\\ud800\",\"b\":\"\xff\",\"method\":\"login\"}").unwrap();
        assert_eq!(node.get("method").and_then(Node::text), Some("login"));
    }

    #[test]
    fn of_repeated_keys_the_longest_value_counts_and_all_are_listed() {
        let node = parse(br#"{"params":{"login":"w"},"params":{}}"#).unwrap();
        assert_eq!(node.get("params").unwrap().members().len(), 1);
        assert_eq!(node.all("params").count(), 2);
    }

    #[test]
    fn a_line_cut_short_gives_what_was_there() {
        let node = parse(br#"{"method":"login","params":{"login":"wall"#).unwrap();
        assert_eq!(node.get("method").and_then(Node::text), Some("login"));
        assert_eq!(node.get("params").unwrap().get("login").and_then(Node::text), Some("wall"));
    }

    #[test]
    fn nesting_beyond_the_bound_is_refused() {
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(deep(usize::from(MAX_DEPTH)).as_bytes()).is_some());
        assert!(parse(deep(usize::from(MAX_DEPTH) + 1).as_bytes()).is_none());
    }
}

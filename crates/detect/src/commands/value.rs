//! What is known of a text that a command line handles: the text itself, and where it came from.

use std::collections::BTreeSet;

/// Stands for what only a running shell would know.
pub(super) const UNKNOWN: char = '\u{fffd}';
/// Most bytes of one text.
pub(super) const VALUE_LIMIT_BYTES: usize = 64 << 10;

/// A text and its marks. A mark stays on whatever is made of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    /// The text; [`UNKNOWN`] for what is not known of it.
    pub(super) text: String,
    /// Bytes that are no text, on their way from one decoder to the next.
    pub(super) bytes: Option<Vec<u8>>,
    /// From where it was fetched.
    pub(super) fetched: Option<String>,
    /// The other end of the connection it is read from or goes to.
    pub(super) network: Option<String>,
    /// The encodings that were taken off.
    pub(super) decoded: BTreeSet<&'static str>,
}

impl Value {
    pub(super) fn known(text: impl Into<String>) -> Self {
        let mut value = Self { text: text.into(), ..Self::default() };
        value.cut();
        value
    }

    pub(super) fn unknown() -> Self {
        Self::known(UNKNOWN)
    }

    pub(super) fn fetched(url: String) -> Self {
        Self { fetched: Some(url), ..Self::unknown() }
    }

    pub(super) fn network(end: String) -> Self {
        Self { network: Some(end), ..Self::unknown() }
    }

    pub(super) fn is_known(&self) -> bool {
        !self.text.contains(UNKNOWN) && self.bytes.is_none()
    }

    /// The bytes, as far as they are known.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match &self.bytes {
            Some(bytes) => Some(bytes),
            None => self.is_known().then_some(self.text.as_bytes()),
        }
    }

    /// The same marks, another text.
    pub(super) fn with_text(&self, text: String) -> Self {
        let mut value = Self { text, bytes: None, ..self.clone() };
        value.cut();
        value
    }

    /// What a decoder makes of it; unknown with the same marks when it makes nothing.
    pub(super) fn decode(&self, name: &'static str, decoder: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Self {
        let mut value = match self.bytes().and_then(decoder) {
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => self.with_text(text),
                Err(error) => {
                    let mut value = self.with_text(UNKNOWN.to_string());
                    value.bytes = Some(error.into_bytes());
                    value
                }
            },
            None => self.with_text(UNKNOWN.to_string()),
        };
        value.decoded.insert(name);
        value
    }

    /// Puts another text behind this one; the marks of both stay.
    pub(super) fn push(&mut self, other: &Self) {
        if self.text.len() < VALUE_LIMIT_BYTES {
            self.text.push_str(&other.text);
            self.cut();
        }
        self.mark(other);
    }

    /// Takes over the marks of another.
    pub(super) fn mark(&mut self, other: &Self) {
        if self.fetched.is_none() {
            self.fetched.clone_from(&other.fetched);
        }
        if self.network.is_none() {
            self.network.clone_from(&other.network);
        }
        self.decoded.extend(&other.decoded);
    }

    fn cut(&mut self) {
        if self.text.len() > VALUE_LIMIT_BYTES {
            self.text.truncate(self.text.floor_char_boundary(VALUE_LIMIT_BYTES));
        }
    }
}

//! Bytes as they were on the wire, readable in JSON: printable ASCII as text, the rest as `\xNN`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A run of raw bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String))]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len());
        for &byte in &self.0 {
            match byte {
                b'\\' => text.push_str("\\\\"),
                b' '..=b'~' => text.push(char::from(byte)),
                other => {
                    text.push_str("\\x");
                    for nibble in [other >> 4, other & 15] {
                        text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
                    }
                }
            }
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'\\' {
                out.push(byte);
                continue;
            }
            match rest.next() {
                Some(b'\\') => out.push(b'\\'),
                Some(b'x') => {
                    let mut nibble = || rest.next().and_then(|b| char::from(b).to_digit(16));
                    let (Some(high), Some(low)) = (nibble(), nibble()) else {
                        return Err(D::Error::custom("a byte escape is \\xNN with two hexadecimal digits"));
                    };
                    out.push(u8::try_from(high * 16 + low).map_err(D::Error::custom)?);
                }
                _ => return Err(D::Error::custom("a backslash is followed by a backslash or by xNN")),
            }
        }
        Ok(Self(out))
    }
}

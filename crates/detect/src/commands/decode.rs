//! Texts that were made unreadable, made readable: base64, base32, hexadecimal, backslashes, turned round, letters
//! exchanged, packed by gzip.
//!
//! Each takes bytes and gives bytes or `None`; what does not decode whole is not an encoding. Sizes are bounded.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// Most bytes that one step may give.
pub(super) const OUT_LIMIT_BYTES: usize = 64 << 10;

/// What `base64 -d` prints; blanks and line ends are nothing, and without padding it is taken too.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let letters: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    if letters.is_empty() || letters.len() > OUT_LIMIT_BYTES {
        return None;
    }
    GeneralPurpose::new(&STANDARD, LENIENT).decode(letters).ok()
}

/// What `base32 -d` prints.
pub(super) fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for c in text.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=').take(OUT_LIMIT_BYTES) {
        let five = match c {
            'A'..='Z' => u32::from(c) - u32::from('A'),
            '2'..='7' => u32::from(c) - u32::from('2') + 26,
            _other => return None,
        };
        held = held << 5 | five;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.extend(u8::try_from(held >> bits & 0xff));
            held &= (1 << bits) - 1;
        }
    }
    (!out.is_empty()).then_some(out)
}

/// What `xxd -r -p` prints.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let mut digits = text.chars().filter(|c| !c.is_ascii_whitespace()).take(OUT_LIMIT_BYTES * 2);
    let mut out = Vec::new();
    while let Some(high) = digits.next() {
        let byte = high.to_digit(16)? << 4 | digits.next()?.to_digit(16)?;
        out.push(u8::try_from(byte).ok()?);
    }
    (!out.is_empty()).then_some(out)
}

/// What `echo -e` and `printf` make of a text: `\n`, `\x41`, `\101`, `\0101`, `\u0041`.
pub(super) fn backslashes(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let digits_begin_with_zero = rest.peek() == Some(&'0');
        let mut digits = |radix: u32, most: usize| {
            let mut value = None;
            for _ in 0..most {
                let Some(digit) = rest.peek().and_then(|c| c.to_digit(radix)) else { break };
                rest.next();
                value = Some(value.unwrap_or(0_u32).saturating_mul(radix).saturating_add(digit));
            }
            value
        };
        let most = if digits_begin_with_zero { 4 } else { 3 };
        if let Some(value) = digits(8, most) {
            out.extend(u8::try_from(value & 0xff));
            continue;
        }
        match rest.next() {
            Some('x') => {
                let mut value = None;
                for _ in 0..2 {
                    let Some(digit) = rest.peek().and_then(|c| c.to_digit(16)) else { break };
                    rest.next();
                    value = Some(value.unwrap_or(0_u32) << 4 | digit);
                }
                out.extend(value.and_then(|value| u8::try_from(value).ok()));
            }
            Some(kind @ ('u' | 'U')) => {
                let mut value = 0_u32;
                for _ in 0..if kind == 'u' { 4 } else { 8 } {
                    let Some(digit) = rest.peek().and_then(|c| c.to_digit(16)) else { break };
                    rest.next();
                    value = value << 4 | digit;
                }
                let letter = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend(letter.encode_utf8(&mut [0; 4]).bytes());
            }
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('r') => out.push(b'\r'),
            Some('a' | 'b' | 'f' | 'v' | 'c') => {}
            Some('e' | 'E') => out.push(0x1b),
            Some(c) => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            None => out.push(b'\\'),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What `gzip -d` prints; the checksum is not looked at, because a shell runs what came before it.
pub(super) fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, mut rest) = bytes.split_at_checked(10)?;
    let flags = *head.strip_prefix(&[0x1f, 0x8b, 8])?.first()?;
    if flags & 4 != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for named in [8, 16] {
        if flags & named != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end..)?.get(1..)?;
        }
    }
    if flags & 2 != 0 {
        rest = rest.get(2..)?;
    }
    decompress_to_vec_with_limit(rest, OUT_LIMIT_BYTES).ok()
}

/// What `tr FROM TO` prints: each letter by its place; ranges like `a-z` are taken.
pub(super) fn exchange(text: &str, from: &str, to: &str) -> String {
    let (from, to) = (letters(from), letters(to));
    let exchanged = |c: char| match from.iter().position(|one| *one == c) {
        Some(place) => to.get(place).or(to.last()).copied(),
        None => Some(c),
    };
    text.chars().filter_map(exchanged).collect()
}

/// What `tr -d SET` prints.
pub(super) fn without(text: &str, set: &str) -> String {
    let set = letters(set);
    text.chars().filter(|c| !set.contains(c)).collect()
}

fn letters(set: &str) -> Vec<char> {
    let set = backslashes(set);
    let mut out = Vec::new();
    let mut rest = set.chars().peekable();
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        if ahead.next() == Some('-')
            && let Some(last) = ahead.next()
            && first <= last
        {
            out.extend((first..=last).take(256));
            rest = ahead;
        } else {
            out.push(first);
        }
        if out.len() > 512 {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_gives_the_text_back_and_anything_else_gives_nothing() {
        assert_eq!(base64("aWQK").unwrap(), b"id\n");
        assert_eq!(base64("aW\nQK==").unwrap_or_default(), b"", "too much padding is no base64");
        assert_eq!(base64("aWQ").unwrap(), b"id");
        assert_eq!(base64("a b!"), None);
        assert_eq!(base32("NFSA====").unwrap(), b"id");
        assert_eq!(base32("18"), None);
        assert_eq!(hex("69 64").unwrap(), b"id");
        assert_eq!(hex("696"), None);
        assert_eq!(backslashes(r"\x69\144\u0021\n\"), "id!\n\\");
        assert_eq!(exchange("vq", "a-z", "n-za-m"), "id");
        assert_eq!(without("i-d", "-"), "id");
    }

    #[test]
    fn gzip_is_unpacked_with_and_without_a_name_and_a_bomb_is_not() {
        let pack = |flags: u8, name: &[u8], text: &[u8]| {
            let mut bytes = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
            bytes.extend(name);
            bytes.extend(miniz_oxide::deflate::compress_to_vec(text, 6));
            bytes
        };
        assert_eq!(gzip(&pack(0, b"", b"id")).unwrap(), b"id");
        assert_eq!(gzip(&pack(8, b"name\0", b"id")).unwrap(), b"id");
        assert_eq!(gzip(&pack(0, b"", &vec![0; OUT_LIMIT_BYTES + 1])), None);
        assert_eq!(gzip(b"\x1f\x8b"), None);
    }
}

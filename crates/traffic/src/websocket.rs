//! Takes the payload out of WebSocket frames (RFC 6455), masked or not.
//!
//! Payload is handed on as it comes, so a message may be of any length. Compressed messages (RFC 7692) are not
//! unpacked: they are handed on as they are and mean nothing to the reader.

/// Where in a frame the stream stands.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: Vec<u8>,
    mask: Option<[u8; 4]>,
    turn: u8,
    left: u64,
    is_payload: bool,
    is_control: bool,
}

impl Frames {
    /// Takes bytes, hands over payload.
    pub fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if !self.is_payload {
                self.head.push(byte);
                self.read_head();
                bytes = rest;
                continue;
            }
            let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, after) = bytes.split_at_checked(here).unwrap_or((bytes, &[]));
            bytes = after;
            self.left -= u64::try_from(payload.len()).unwrap_or(self.left).min(self.left);
            let plain = self.unmask(payload);
            if !self.is_control {
                take(&plain);
            }
            self.end_if_empty();
        }
    }

    /// Reads the head once it is whole: 2 to 14 bytes.
    fn read_head(&mut self) {
        let Some((&[first, second], rest)) = self.head.split_first_chunk::<2>() else { return };
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, mask)) = rest.split_at_checked(length_bytes) else { return };
        let is_masked = second & 0x80 != 0;
        if mask.len() < 4 * usize::from(is_masked) {
            return;
        }
        self.left = if length.is_empty() {
            u64::from(second & 0x7f)
        } else {
            length.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        self.mask = mask.first_chunk::<4>().copied();
        self.turn = 0;
        self.is_control = first & 0x08 != 0;
        self.is_payload = true;
        self.head.clear();
        self.end_if_empty();
    }

    fn end_if_empty(&mut self) {
        if self.left == 0 {
            self.is_payload = false;
        }
    }

    fn unmask(&mut self, payload: &[u8]) -> Vec<u8> {
        let Some(mask) = self.mask else { return payload.to_vec() };
        let turned = mask.iter().cycle().skip(usize::from(self.turn));
        let plain = payload.iter().zip(turned).map(|(byte, key)| byte ^ key).collect();
        let steps = u8::try_from(payload.len() % 4).unwrap_or(0);
        self.turn = (self.turn + steps) % 4;
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_unmasked_at_any_split() {
        // RFC 6455, 5.7: a masked "Hello", here with a ping before it and an unmasked one after.
        let all = b"\x89\x00\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x81\x05Hello";
        for split in 0..all.len() {
            let (mut frames, mut out) = (Frames::default(), Vec::new());
            for piece in [&all[..split], &all[split..]] {
                frames.push(piece, |payload| out.extend_from_slice(payload));
            }
            assert_eq!(out, b"HelloHello", "{split}");
        }
    }
}

//! Finds texts with the form of a wallet in one pass over the bytes.
//!
//! Bitcoin forms are checked by their checksum, since a short word could be one by chance. Monero's 95 letters could
//! not, so its checksum (Keccak) is left out.

use sha2::{Digest, Sha256};

/// Whose form it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coin {
    /// 95 letters, or 106 with a payment id.
    Monero,
    /// Base58 with check, or bech32.
    Bitcoin,
    /// `0x` and 40 hexadecimal digits.
    Ethereum,
}

/// A text with the form of a wallet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shaped<'a> {
    pub(crate) coin: Coin,
    pub(crate) text: &'a str,
}

/// Longest and shortest wallet.
const LENGTHS: std::ops::RangeInclusive<usize> = 26..=106;

/// Calls `take` for each wallet. A wallet is a whole run of letters and digits: part of a longer one is base64.
pub(crate) fn scan<'a>(bytes: &'a [u8], take: &mut dyn FnMut(Shaped<'a>)) {
    let mut at = 0;
    for run in bytes.split(|byte| !byte.is_ascii_alphanumeric()) {
        let end = at + run.len();
        let is_base64 = bytes.get(end) == Some(&b'=')
            || at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'+');
        if LENGTHS.contains(&run.len())
            && !is_base64
            && let Some(coin) = form(run)
            && let Ok(text) = std::str::from_utf8(run)
        {
            take(Shaped { coin, text });
        }
        at = end + 1;
    }
}

/// The coin whose form the word has.
pub(crate) fn form(word: &[u8]) -> Option<Coin> {
    let (first, rest) = word.split_first()?;
    match (first, word.len()) {
        (b'4' | b'8', 95 | 106) if word.iter().all(|byte| base58_digit(*byte).is_some()) => {
            is_varied(word).then_some(Coin::Monero)
        }
        (b'1' | b'3', 26..=35) if base58_check(word) => Some(Coin::Bitcoin),
        (b'b', 42..=62) if bech32_check(word) => Some(Coin::Bitcoin),
        (b'0', 42)
            if rest
                .strip_prefix(b"x")
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit) && is_varied(hex)) =>
        {
            Some(Coin::Ethereum)
        }
        _ => None,
    }
}

/// Padding and tables are long runs of few letters; 95 random ones hold about 45 different.
fn is_varied(word: &[u8]) -> bool {
    let mut letters: Vec<u8> = word.to_vec();
    letters.sort_unstable();
    letters.dedup();
    letters.len() >= 6
}

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

fn base58_digit(byte: u8) -> Option<u32> {
    BASE58.iter().position(|letter| *letter == byte).and_then(|digit| u32::try_from(digit).ok())
}

/// Version, 20 bytes of hash, and the first four bytes of their double SHA-256.
fn base58_check(word: &[u8]) -> bool {
    let mut decoded = [0_u8; 25];
    for byte in word {
        let Some(mut carry) = base58_digit(*byte) else { return false };
        for place in decoded.iter_mut().rev() {
            carry += u32::from(*place) * 58;
            *place = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let Some((body, sum)) = decoded.split_last_chunk::<4>() else { return false };
    Sha256::digest(Sha256::digest(body)).starts_with(sum)
}

/// Bech32 or bech32m checksum (BIP 173, BIP 350) under the prefix `bc`.
fn bech32_check(word: &[u8]) -> bool {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const STEPS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let Some(data) = word.strip_prefix(b"bc1") else { return false };
    // The prefix in expanded form: high bits of `bc`, zero, low bits.
    let mut sum: u32 = 1;
    let digits = data.iter().map(|byte| LETTERS.iter().position(|letter| letter == byte));
    for digit in [Some(3), Some(3), Some(0), Some(2), Some(3)].into_iter().chain(digits) {
        let Some(digit) = digit.and_then(|digit| u32::try_from(digit).ok()) else { return false };
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ digit;
        for (bit, step) in STEPS.iter().enumerate() {
            if top >> bit & 1 == 1 {
                sum ^= step;
            }
        }
    }
    sum == 1 || sum == 0x2bc8_30a3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_with_a_right_checksum_are_wallets_and_with_a_wrong_one_are_not() {
        // Genesis block address, BIP 173 and BIP 350 examples.
        assert_eq!(form(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), Some(Coin::Bitcoin));
        assert_eq!(form(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"), None);
        assert_eq!(form(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), Some(Coin::Bitcoin));
        assert_eq!(
            form(b"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
            Some(Coin::Bitcoin)
        );
        assert_eq!(form(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"), None);
    }

    #[test]
    fn monero_has_95_or_106_letters_of_base58_and_begins_with_4_or_8() {
        let letters: Vec<u8> = BASE58.iter().copied().cycle().skip(7).take(94).collect();
        let address = [b"4".as_slice(), &letters].concat();
        assert_eq!(form(&address), Some(Coin::Monero));
        assert_eq!(form(&address[..94]), None);
        assert_eq!(form(&[b"5".as_slice(), &letters].concat()), None);
        assert_eq!(form(&[b"4".as_slice(), &letters[..93], b"0"].concat()), None, "0 is no letter of base58");
        assert_eq!(form(&[b'4'; 95]), None, "padding");
    }

    #[test]
    fn a_wallet_inside_a_longer_word_or_base64_is_none() {
        let letters: Vec<u8> = BASE58.iter().copied().cycle().skip(7).take(94).collect();
        let address = [b"4".as_slice(), &letters].concat();
        let count = |bytes: &[u8]| {
            let mut count = 0;
            scan(bytes, &mut |_| count += 1);
            count
        };
        assert_eq!(count(&[b"x ", address.as_slice(), b"\0"].concat()), 1);
        assert_eq!(count(&[b"login=", address.as_slice(), b".rig"].concat()), 1);
        assert_eq!(count(&[b"a", address.as_slice()].concat()), 0);
        assert_eq!(count(&[address.as_slice(), b"=="].concat()), 0);
        assert_eq!(count(&[b"+", address.as_slice()].concat()), 0);
    }
}

//! Shapes that mining messages have: accounts, targets, work.
//!
//! Numbers only as the message shows them; nothing is guessed from an algorithm's name.

use crate::json::Node;
use crate::text::clean;

/// 2^32: hashes behind difficulty 1 of Bitcoin's stratum and those made after it. Scrypt pools count 2^16; the wire
/// does not tell them apart.
const DIFFICULTY_ONE: f64 = 4_294_967_296.0;

/// Who logs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub wallet: Option<String>,
    pub worker: Option<String>,
}

/// Splits `wallet.worker`, `wallet/worker`, `wallet+difficulty` and mixes of them.
pub(crate) fn account(login: &str) -> Account {
    let login = login.trim();
    let login = login.split_once('#').map_or(login, |(before, _)| before); // unMineable's referral code
    let (login, slash) = split(login, '/');
    let (login, plus) = split_difficulty(login);
    // A dot is part of a mail address, so such an account is split only by a slash.
    let (wallet, dot) = if login.contains('@') { (login, None) } else { split(login, '.') };
    let dot = dot.and_then(without_payment_id).map(|worker| split_difficulty(worker).0);
    let worker = slash.or(dot).or(plus).filter(|worker| !worker.is_empty());
    Account { wallet: (!wallet.is_empty()).then(|| clean(wallet)), worker: worker.map(clean) }
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// Takes `+20000` off; what stands after a further dot is the worker.
fn split_difficulty(login: &str) -> (&str, Option<&str>) {
    match login.split_once('+') {
        Some((before, after)) => {
            let (difficulty, worker) = split(after, '.');
            let is_number = !difficulty.is_empty() && difficulty.bytes().all(|b| b.is_ascii_digit());
            if is_number { (before, worker) } else { (login, None) }
        }
        None => (login, None),
    }
}

/// Monero payment ids (16 or 64 hexadecimal digits) stand where a worker may.
fn without_payment_id(suffix: &str) -> Option<&str> {
    let (first, rest) = split(suffix, '.');
    if is_hex(first, 16) || is_hex(first, 64) { rest } else { Some(suffix) }
}

/// Exactly `digits` hexadecimal digits, with or without `0x`.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    let text = text.strip_prefix("0x").unwrap_or(text);
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// At least `digits` hexadecimal digits and nothing else.
pub(crate) fn is_hex_of_at_least(text: &str, digits: usize) -> bool {
    text.len() >= digits && is_hex(text, text.strip_prefix("0x").unwrap_or(text).len())
}

/// Whether the item is a string of exactly `digits` hexadecimal digits.
pub(crate) fn is_hex_item(node: Option<&Node<'_>>, digits: usize) -> bool {
    node.and_then(Node::text).is_some_and(|text| is_hex(text, digits))
}

/// Expected hashes a share from a cryptonote target: 4 or 8 bytes, little-endian hexadecimal (xmrig, Job::setTarget).
pub(crate) fn cryptonote_difficulty(target: &str) -> Option<f64> {
    let swapped = |text: &str| u64::from_str_radix(text, 16).ok().map(u64::swap_bytes);
    match target.len() {
        8 if is_hex(target, 8) => positive(DIFFICULTY_ONE / to_f64(swapped(target)? >> 32)),
        16 if is_hex(target, 16) => positive(DIFFICULTY_ONE * DIFFICULTY_ONE / to_f64(swapped(target)?)),
        _ => None,
    }
}

/// Expected hashes a share from a 256-bit target, big-endian hexadecimal: 2^256 / target.
pub(crate) fn target_difficulty(target: &str) -> Option<f64> {
    let digits = target.strip_prefix("0x").unwrap_or(target);
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    let mut value = 0.0;
    for digit in digits.chars() {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    positive(2f64.powi(256) / value)
}

/// Expected hashes a share from the difficulty of a Bitcoin-like stratum.
pub(crate) fn stratum_difficulty(difficulty: f64) -> Option<f64> {
    positive(difficulty * DIFFICULTY_ONE)
}

/// A hash rate sent as hexadecimal, hashes a second.
pub(crate) fn hex_rate(text: &str) -> Option<f64> {
    let digits = text.strip_prefix("0x").unwrap_or(text).trim_start_matches('0');
    if digits.is_empty() {
        return Some(0.0);
    }
    u64::from_str_radix(digits, 16).ok().map(to_f64)
}

fn positive(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

#[allow(clippy::cast_precision_loss, reason = "a difficulty or rate is an estimate; 53 bits are plenty")]
fn to_f64(value: u64) -> f64 {
    value as f64
}

/// Whether an object is a cryptonote job: work as hexadecimal, its id and a target. Grin sends `pre_pow`.
pub(crate) fn is_cryptonote_job(job: &Node<'_>) -> bool {
    let text = |key| job.get(key).and_then(Node::text);
    let has_id = job.get("job_id").is_some_and(|id| !id.is_object() && !id.is_list());
    let is_blob = text("blob").is_some_and(|blob| is_hex_of_at_least(blob, 64))
        && text("target").is_some_and(|target| is_hex_of_at_least(target, 6));
    let is_grin =
        text("pre_pow").is_some_and(|work| is_hex_of_at_least(work, 64)) && job.get("difficulty").is_some();
    has_id && (is_blob || is_grin)
}

/// Whether a list is Ethereum work: header, seed and target, 32 bytes each.
pub(crate) fn is_eth_work(result: &Node<'_>) -> bool {
    result.is_list() && (0..3).all(|at| is_hex_item(result.item(at), 64))
}

/// Whether the third item looks like a target and the others do not: two of eight zero bytes are enough to tell.
pub(crate) fn has_eth_target(result: &Node<'_>) -> bool {
    let is_low = |at| {
        result.item(at).and_then(Node::text).is_some_and(|t| t.trim_start_matches("0x").starts_with("00000"))
    };
    is_low(2) && !is_low(0) && !is_low(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_split_the_way_pools_do() {
        let cases = [
            ("48Wallet", "48Wallet", None),
            ("48Wallet.rig1", "48Wallet", Some("rig1")),
            ("48Wallet/rig1", "48Wallet", Some("rig1")),
            ("48Wallet+20000", "48Wallet", None),
            ("48Wallet+20000.rig1", "48Wallet", Some("rig1")),
            ("48Wallet.rig1+20000", "48Wallet", Some("rig1")),
            ("48Wallet.0123456789abcdef/rig", "48Wallet", Some("rig")),
            ("48Wallet.0123456789abcdef.rig", "48Wallet", Some("rig")),
            ("me@mail.test/rig", "me@mail.test", Some("rig")),
            ("kaspa:qqtest.rig", "kaspa:qqtest", Some("rig")),
            ("XMR:48Wallet.rig#code-1", "XMR:48Wallet", Some("rig")),
            ("0xabc.rig.2", "0xabc", Some("rig.2")),
        ];
        for (login, wallet, worker) in cases {
            let got = account(login);
            assert_eq!((got.wallet.as_deref(), got.worker.as_deref()), (Some(wallet), worker), "{login}");
        }
        assert_eq!(account(""), Account::default());
    }

    #[test]
    fn targets_become_expected_hashes() {
        assert_eq!(cryptonote_difficulty("ffffffff").map(f64::round), Some(1.0));
        assert_eq!(cryptonote_difficulty("b88d0600").map(f64::round), Some(10000.0)); // 0x00068db8
        assert_eq!(cryptonote_difficulty("711b0d0000000000"), Some(2f64.powi(64) / 858_993.0));
        assert_eq!(cryptonote_difficulty("00000000"), None);
        assert_eq!(target_difficulty("0x80"), Some(2f64.powi(249)));
        assert_eq!(target_difficulty(&format!("00000000{}", "f".repeat(56))), Some(2f64.powi(32)));
        assert_eq!(target_difficulty("0x"), None);
        assert_eq!(hex_rate("0x00000000000000000000000000500000"), Some(5_242_880.0));
    }
}

//! Makes a text from the wire fit to be shown: bounded, and without control characters.
//!
//! An agent name or a path may carry terminal escapes; whoever prints it should not have to think of that.

/// Longest text that is kept, bytes. Real wallets reach 106 (Monero, integrated), unified Zcash addresses 213, user
/// agents and paths a few hundred.
const MAX_TEXT: usize = 1024;

/// The text without control characters, cut to [`MAX_TEXT`].
pub(crate) fn clean(text: &str) -> String {
    cut(text, MAX_TEXT).chars().filter(|letter| !letter.is_control()).collect()
}

/// The longest start of `text` of at most `limit` bytes.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_are_taken_out_and_letters_are_not_split() {
        assert_eq!(clean("a\u{1b}[31mb\n\u{9b}c"), "a[31mbc");
        assert_eq!(clean(&"\u{e9}".repeat(600)).len(), 1024);
        assert_eq!(cut("\u{e9}", 1), "");
    }
}

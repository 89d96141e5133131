//! A Sigma string with wildcards, and how it is compared with a value.
//!
//! `*` is any text, `?` one character, `\` takes their meaning away. Comparison ignores case unless the rule says
//! `cased`: both sides are lowered character by character, so that position never matters. Matching takes time in the
//! product of both lengths at worst; there is no recursion.

use memchr::memmem::Finder;

/// What `windash` takes for one another.
pub(crate) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
/// Longest value of a rule, bytes.
pub(crate) const VALUE_LIMIT_BYTES: usize = 16 << 10;

/// A part of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// These characters.
    Text(String),
    /// Any text.
    Any,
    /// One character.
    One,
    /// One of [`DASHES`].
    Dash,
}

/// Takes a Sigma string apart.
pub(crate) fn tokens(value: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut text = String::new();
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let wildcard = match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => {
                let escaped = chars.next_if(|next| matches!(next, '*' | '?' | '\\'));
                text.push(escaped.unwrap_or('\\'));
                continue;
            }
            other => {
                text.push(other);
                continue;
            }
        };
        if !text.is_empty() {
            tokens.push(Token::Text(std::mem::take(&mut text)));
        }
        if !(wildcard == Token::Any && tokens.last() == Some(&Token::Any)) {
            tokens.push(wildcard);
        }
    }
    if !text.is_empty() {
        tokens.push(Token::Text(text));
    }
    tokens
}

/// Puts a dash of any kind where a flag may begin: before a letter, digit or underscore and not after one.
pub(crate) fn with_dashes(tokens: Vec<Token>) -> Vec<Token> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = Vec::new();
    for token in tokens {
        let Token::Text(text) = token else {
            out.push(token);
            continue;
        };
        let (mut part, mut before) = (String::new(), None);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let begins = !before.is_some_and(is_word) && chars.peek().copied().is_some_and(is_word);
            if matches!(c, '-' | '/') && begins {
                if !part.is_empty() {
                    out.push(Token::Text(std::mem::take(&mut part)));
                }
                out.push(Token::Dash);
            } else {
                part.push(c);
            }
            before = Some(c);
        }
        if !part.is_empty() {
            out.push(Token::Text(part));
        }
    }
    out
}

/// Lower case, each character for itself.
pub(crate) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Where a necessary text must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// It is the whole value.
    Whole,
    /// At the start.
    Start,
    /// At the end.
    End,
    /// Anywhere.
    Within,
}

/// A string ready to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    shape: Shape,
    /// Case matters.
    pub(crate) is_cased: bool,
}

#[derive(Clone, Debug)]
enum Shape {
    All,
    Whole(String),
    Start(String),
    End(String),
    Within(Box<Finder<'static>>),
    Parts(Vec<Token>),
}

impl Pattern {
    /// Compiles tokens.
    pub(crate) fn new(mut tokens: Vec<Token>, is_cased: bool) -> Self {
        if !is_cased {
            for token in &mut tokens {
                if let Token::Text(text) = token {
                    *text = lower(text);
                }
            }
        }
        let shape = match tokens.as_slice() {
            [] => Shape::Whole(String::new()),
            [Token::Any] => Shape::All,
            [Token::Text(text)] => Shape::Whole(text.clone()),
            [Token::Text(text), Token::Any] => Shape::Start(text.clone()),
            [Token::Any, Token::Text(text)] => Shape::End(text.clone()),
            [Token::Any, Token::Text(text), Token::Any] => {
                Shape::Within(Box::new(Finder::new(text.as_bytes()).into_owned()))
            }
            _ => Shape::Parts(tokens),
        };
        Self { shape, is_cased }
    }

    /// The value, lowered unless case matters, is what the pattern says.
    pub(crate) fn matches(&self, value: &str) -> bool {
        match &self.shape {
            Shape::All => true,
            Shape::Whole(text) => value == text,
            Shape::Start(text) => value.starts_with(text.as_str()),
            Shape::End(text) => value.ends_with(text.as_str()),
            Shape::Within(finder) => finder.find(value.as_bytes()).is_some(),
            Shape::Parts(tokens) => matches_parts(tokens, value),
        }
    }

    /// A text that every matching value holds, in lower case, and where. The longest is the rarest.
    pub(crate) fn needs(&self) -> Option<(String, Place)> {
        let (text, place) = match &self.shape {
            Shape::All => return None,
            Shape::Whole(text) => (text.clone(), Place::Whole),
            Shape::Start(text) => (text.clone(), Place::Start),
            Shape::End(text) => (text.clone(), Place::End),
            Shape::Within(finder) => (String::from_utf8_lossy(finder.needle()).into_owned(), Place::Within),
            Shape::Parts(tokens) => {
                let texts = tokens.iter().filter_map(|token| match token {
                    Token::Text(text) => Some(text),
                    Token::Any | Token::One | Token::Dash => None,
                });
                (texts.max_by_key(|text| text.len())?.clone(), Place::Within)
            }
        };
        (!text.is_empty()).then(|| (lower(&text), place))
    }
}

/// Greedy from the left; on failure the last `*` takes one character more.
fn matches_parts(tokens: &[Token], value: &str) -> bool {
    let (mut rest, mut value) = (tokens, value);
    let mut retry: Option<(&[Token], &str)> = None;
    loop {
        let step = match rest.split_first() {
            Some((Token::Any, [])) => return true,
            Some((Token::Any, after)) => {
                retry = Some((after, value));
                rest = after;
                continue;
            }
            Some((token, after)) => take(token, value).map(|left| (after, left)),
            None if value.is_empty() => return true,
            None => None,
        };
        match (step, retry) {
            (Some((after, left)), _) => (rest, value) = (after, left),
            (None, Some((after, from))) => {
                let mut chars = from.chars();
                if chars.next().is_none() {
                    return false;
                }
                let from = skip(after, chars.as_str());
                let Some(from) = from else { return false };
                retry = Some((after, from));
                (rest, value) = (after, from);
            }
            (None, None) => return false,
        }
    }
}

/// Where the text after a `*` can stand next: the characters before it need no look each.
fn skip<'a>(after: &[Token], value: &'a str) -> Option<&'a str> {
    match after.first() {
        Some(Token::Text(text)) => value.find(text.as_str()).and_then(|at| value.get(at..)),
        Some(Token::Any | Token::One | Token::Dash) | None => Some(value),
    }
}

fn take<'a>(token: &Token, value: &'a str) -> Option<&'a str> {
    let mut chars = value.chars();
    match token {
        Token::Text(text) => value.strip_prefix(text.as_str()),
        Token::One => chars.next().map(|_| chars.as_str()),
        Token::Dash => chars.next().filter(|c| DASHES.contains(c)).map(|_| chars.as_str()),
        Token::Any => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, value: &str) -> bool {
        Pattern::new(tokens(pattern), false).matches(&lower(value))
    }

    #[test]
    fn wildcards_stand_for_any_text_and_for_one_character() {
        for (pattern, value, want) in [
            ("abc", "ABC", true),
            ("abc", "abcd", false),
            ("a*", "a", true),
            ("*c", "abc", true),
            ("*b*", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxbxxcd", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
            ("**", "", true),
            ("?", "é", true),
            ("É*", "élan", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(is_match(pattern, value), want, "{pattern} {value}");
        }
    }

    #[test]
    fn a_backslash_takes_the_meaning_of_a_wildcard_and_is_itself_before_anything_else() {
        for (pattern, value, want) in [
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"a\?", "a?", true),
            (r"c:\x", r"c:\x", true),
            (r"c:\\x", r"c:\x", true),
            (r"c:\\*", r"c:\anything", true),
            (r"c:\\\*", r"c:\*", true),
            (r"\\\\", r"\\", true),
            (r"end\", r"end\", true),
        ] {
            assert_eq!(is_match(pattern, value), want, "{pattern} {value}");
        }
    }

    #[test]
    fn a_dash_of_any_kind_begins_a_flag_and_nothing_else() {
        let pattern = Pattern::new(with_dashes(tokens("* -enc a-b*")), false);
        for dash in DASHES {
            assert!(pattern.matches(&format!("x {dash}enc a-b c")), "{dash}");
        }
        assert!(!pattern.matches("x -enc a/b c"), "within a word a dash is a dash");
        assert!(!pattern.matches("x +enc a-b c"));
    }
}

//! A regular expression of a rule: checked when the rule is loaded, compiled again when it is first asked, then kept.
//!
//! Compiled, the expressions of the built-in rules hold seven megabytes, and on most machines few are ever asked: a
//! Sigma rule is evaluated only when the texts that it needs were found, a pattern of logins only for lines of its
//! service. What is kept is bounded by the rules, so no record, however it is made, has one compiled twice.

use std::sync::OnceLock;

use regex::{Captures, Regex, RegexBuilder};

/// Largest compiled expression, bytes.
const COMPILED_LIMIT_BYTES: usize = 1 << 20;
/// Most memory of an automaton that is built while it searches. It is one for each expression that was asked, grows
/// with what it meets, and begins anew when it is full. With less, our largest expressions get none and take the slow
/// way.
const CACHE_LIMIT_BYTES: usize = 256 << 10;
/// Deepest nesting.
const DEPTH_LIMIT: u32 = 64;

/// How it is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) ignores_case: bool,
    pub(crate) is_multi_line: bool,
    pub(crate) is_single_line: bool,
}

/// A regular expression that compiles.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    text: Box<str>,
    flags: Flags,
    compiled: OnceLock<Option<Regex>>,
}

impl Expression {
    /// Checks an expression.
    pub(crate) fn new(text: &str, flags: Flags) -> Result<Self, regex::Error> {
        compile(text, flags)?;
        Ok(Self { text: text.into(), flags, compiled: OnceLock::new() })
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// It is found in this text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.compiled().is_some_and(|regex| regex.is_match(text))
    }

    /// What its groups are of this text.
    pub(crate) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.compiled()?.captures(text)
    }

    /// The names of its groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.compiled().into_iter().flat_map(|regex| regex.capture_names().flatten())
    }

    /// Drops what was compiled: after a check of examples, which asks expressions that may never be asked again.
    pub(crate) fn forget(&mut self) {
        self.compiled = OnceLock::new();
    }

    /// Nothing only when it does not compile, and `new` has compiled the same text.
    fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(&self.text, self.flags).ok()).as_ref()
    }
}

fn compile(text: &str, flags: Flags) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .case_insensitive(flags.ignores_case)
        .multi_line(flags.is_multi_line)
        .dot_matches_new_line(flags.is_single_line)
        .size_limit(COMPILED_LIMIT_BYTES)
        .dfa_size_limit(CACHE_LIMIT_BYTES)
        .nest_limit(DEPTH_LIMIT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_means_the_same_however_often_it_is_asked_and_forgotten() {
        let flags = Flags { ignores_case: true, ..Flags::default() };
        let mut expression = Expression::new("^a(?P<rest>.+)$", flags).unwrap();
        assert!(expression.compiled.get().is_none(), "nothing is held before it is asked");
        for _ in 0..2 {
            assert!(expression.is_match("ABC") && !expression.is_match("bc"));
            assert_eq!(&expression.captures("abc").unwrap()["rest"], "bc");
            assert_eq!(expression.groups().collect::<Vec<_>>(), ["rest"]);
            expression.forget();
            assert!(expression.compiled.get().is_none());
        }
    }

    #[test]
    fn what_does_not_compile_or_is_too_large_is_refused() {
        for text in ["(", "(?=a)", "((a{100}){100}){100}"] {
            assert!(Expression::new(text, Flags::default()).is_err(), "{text}");
        }
    }
}

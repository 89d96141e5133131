//! The condition of a rule: names of selections joined by `and`, `or`, `not`, brackets and `N of`.

use std::{collections::BTreeMap, sync::Arc};

use super::expr::Expr;

/// Most words of a condition.
const WORDS_LIMIT: usize = 512;
/// Deepest nesting of brackets and `not`.
const DEPTH_LIMIT: usize = 32;

/// Compiles a condition over named selections.
pub(crate) fn parse(text: &str, selections: &BTreeMap<String, Arc<Expr>>) -> Result<Expr, String> {
    let words = words(text)?;
    let mut parser = Parser { words: &words, selections };
    let expr = parser.any(0)?;
    match parser.words.first() {
        None => Ok(expr),
        Some(word) => Err(format!("the condition goes on with '{word}' where it should end")),
    }
}

fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '(' | ')' => 1,
            '|' => {
                return Err("the condition has a pipe; counting is done by a correlation rule since Sigma 2"
                    .to_owned());
            }
            c if is_name(c) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            other => return Err(format!("the condition has a character '{other}' that means nothing there")),
        };
        let (word, after) = rest.split_at(end);
        words.push(word);
        if words.len() > WORDS_LIMIT {
            return Err(format!("the condition has more than {WORDS_LIMIT} words"));
        }
        rest = after.trim_start();
    }
    Ok(words)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '*' | '.' | '?')
}

struct Parser<'a> {
    words: &'a [&'a str],
    selections: &'a BTreeMap<String, Arc<Expr>>,
}

impl<'a> Parser<'a> {
    fn any(&mut self, depth: usize) -> Result<Expr, String> {
        let mut parts = vec![self.all(depth)?];
        while self.take("or") {
            parts.push(self.all(depth)?);
        }
        Ok(joined(parts, Expr::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expr, String> {
        let mut parts = vec![self.not(depth)?];
        while self.take("and") {
            parts.push(self.not(depth)?);
        }
        Ok(joined(parts, Expr::All))
    }

    fn not(&mut self, depth: usize) -> Result<Expr, String> {
        if depth > DEPTH_LIMIT {
            return Err(format!("the condition is nested deeper than {DEPTH_LIMIT}"));
        }
        if self.take("not") {
            return Ok(Expr::Not(Box::new(self.not(depth.saturating_add(1))?)));
        }
        if self.take("(") {
            let inner = self.any(depth.saturating_add(1))?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err("the condition has a '(' without ')'".to_owned())
            };
        }
        let word = self.next().ok_or("the condition ends where a selection should be named")?;
        if self.words.first().is_some_and(|next| next.eq_ignore_ascii_case("of")) {
            self.next();
            return self.some_of(word);
        }
        self.selection(word)
    }

    fn some_of(&mut self, count: &str) -> Result<Expr, String> {
        let pattern = self.next().ok_or("the condition ends after 'of'")?;
        let parts: Vec<Expr> = self
            .selections
            .iter()
            .filter(
                |(name, _)| if pattern == "them" { !name.starts_with('_') } else { is_like(pattern, name) },
            )
            .map(|(_, expr)| Expr::Shared(expr.clone()))
            .collect();
        if parts.is_empty() {
            return Err(format!("the condition names '{pattern}', and no selection is called so"));
        }
        match count {
            "all" => Ok(Expr::All(parts)),
            "any" | "1" => Ok(Expr::Any(parts)),
            number => match number.parse::<usize>() {
                Ok(least) if least >= 1 && least <= parts.len() => Ok(Expr::AtLeast(least, parts)),
                Ok(least) => Err(format!(
                    "the condition wants {least} of {} selections; it can never hold",
                    parts.len()
                )),
                Err(_) => Err(format!("the condition has '{number} of'; it is a number, any or all")),
            },
        }
    }

    fn selection(&self, name: &str) -> Result<Expr, String> {
        let expr = self
            .selections
            .get(name)
            .ok_or_else(|| format!("the condition names '{name}', and no selection is called so"))?;
        Ok(Expr::Shared(expr.clone()))
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.words.first().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if is_next {
            self.next();
        }
        is_next
    }
}

fn joined(mut parts: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}

/// `*` in the pattern is any text.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((first, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some((_, left)) = name.split_once(part) else { return false };
        (rest, name) = (after, left);
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selections() -> BTreeMap<String, Arc<Expr>> {
        ["sel_a", "sel_b", "filter_main", "_hidden", "all_x"]
            .iter()
            .map(|name| ((*name).to_owned(), Arc::new(Expr::All(Vec::new()))))
            .collect()
    }

    #[test]
    fn names_are_matched_with_stars() {
        for (pattern, name, want) in [
            ("sel_*", "sel_a", true),
            ("*_a", "sel_a", true),
            ("s*_*a", "sel_a", true),
            ("sel_*", "filter", false),
            ("sel", "sel_a", false),
        ] {
            assert_eq!(is_like(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn a_condition_that_names_nothing_or_does_not_end_is_refused_with_the_word() {
        for (text, want) in [
            ("sel_c", "sel_c"),
            ("1 of other*", "other*"),
            ("sel_a sel_b", "sel_b"),
            ("(sel_a", "without ')'"),
            ("sel_a and", "ends"),
            ("", "ends"),
            ("sel_a | count() > 5", "correlation"),
            ("9 of sel_*", "never"),
            ("some of sel_*", "some of"),
            ("sel_a & sel_b", "&"),
        ] {
            let refusal = parse(text, &selections()).unwrap_err();
            assert!(refusal.contains(want), "{text}: {refusal}");
        }
        let deep = format!("{}sel_a{}", "(".repeat(100), ")".repeat(100));
        assert!(parse(&deep, &selections()).unwrap_err().contains("deeper"));
        let long = vec!["sel_a"; 400].join(" or ");
        assert!(parse(&long, &selections()).unwrap_err().contains("more than"));
    }

    #[test]
    fn every_form_of_a_condition_is_taken() {
        for text in [
            "sel_a",
            "sel_a and not filter_main",
            "not (sel_a or sel_b)",
            "1 of sel_* and not 1 of filter_*",
            "all of them",
            "any of sel_*",
            "2 of them",
            "sel_a AND (sel_b OR NOT all_x)",
            "(all of sel_*) and not filter_main",
        ] {
            parse(text, &selections()).unwrap();
        }
    }
}

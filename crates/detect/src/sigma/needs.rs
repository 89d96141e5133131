//! What a record must hold for a rule to match: found without evaluating the rule.
//!
//! A rule asks for clauses; of each at least one text must stand in its field. What a rule forbids says nothing. The
//! order of tests is chosen here too: cheap ones first.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::{
    expr::{Ask, Expr, Names},
    fields::Known,
    pattern::{Place, lower},
};

/// A text that may be needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) field: usize,
    /// In lower case.
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// Texts of which one is needed.
pub(crate) type Clause = Vec<Need>;

/// Most texts of a clause; more are no filter.
const TEXTS_LIMIT: usize = 512;
/// Most clauses of a rule: one bit each.
pub(crate) const CLAUSES_LIMIT: usize = 8;
/// Deepest expression of a regular expression that is looked into.
const DEPTH_LIMIT: usize = 64;

/// The clauses of a rule, those that filter best first.
pub(crate) fn clauses(expr: &Expr, names: &Names) -> Vec<Clause> {
    let mut clauses = all(expr, names);
    clauses.sort_by_key(|clause| std::cmp::Reverse(rarity(clause, names)));
    // Ancestors and whole records cost more to read than to evaluate the rules that ask for them.
    let near = clauses.iter().filter(|clause| !is_far(clause, names)).count();
    clauses.truncate(near.clamp(1, CLAUSES_LIMIT));
    clauses
}

fn all(expr: &Expr, names: &Names) -> Vec<Clause> {
    match expr {
        Expr::All(parts) => parts.iter().flat_map(|part| all(part, names)).collect(),
        Expr::Any(parts) if parts.len() == 1 => parts.iter().flat_map(|part| all(part, names)).collect(),
        Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            let mut clause = Vec::new();
            for part in parts {
                match all(part, names).into_iter().max_by_key(|clause| rarity(clause, names)) {
                    Some(best) if clause.len() < TEXTS_LIMIT => clause.extend(best),
                    Some(_) | None => return Vec::new(),
                }
            }
            vec![clause]
        }
        Expr::Not(_) => Vec::new(),
        Expr::Shared(part) => all(part, names),
        Expr::Test(test) => {
            let needed = |(text, place)| Need { field: test.field, text, place };
            match &test.ask {
                Ask::Text(pattern) => {
                    pattern.needs().map(needed).map(|need| vec![need]).into_iter().collect()
                }
                Ask::Regex(regex) => texts(regex.as_str())
                    .map(|texts| texts.into_iter().map(|text| needed((text, Place::Within))).collect())
                    .into_iter()
                    .collect(),
                Ask::Cidr(_)
                | Ask::Number(..)
                | Ask::Time(..)
                | Ask::Exists(_)
                | Ask::Null
                | Ask::Other { .. }
                | Ask::Service(_)
                | Ask::Done => Vec::new(),
            }
        }
    }
}

/// Long texts at a fixed place, and few of them, are rare; a text of one or two characters is everywhere.
fn rarity(clause: &Clause, names: &Names) -> (bool, usize, std::cmp::Reverse<usize>) {
    let of = |need: &Need| {
        let fixed = if need.place == Place::Within { 0 } else { 2 };
        need.text.len().saturating_add(fixed).min(12)
    };
    let rarest = clause.iter().map(of).min().unwrap_or(0);
    (!is_far(clause, names), rarest, std::cmp::Reverse(clause.len()))
}

fn is_far(clause: &Clause, names: &Names) -> bool {
    clause.iter().any(|need| {
        let known = names.0.get(need.field).and_then(|field| field.known);
        matches!(known, Some(Known::AncestorImages | Known::GrandparentImage | Known::Text))
    })
}

/// Texts in lower case of which every match of a regular expression holds one.
///
/// Read without its flags: they change the case of what matches, which is lowered here, and what anchors and dots take,
/// which is no text.
fn texts(pattern: &str) -> Option<Vec<String>> {
    needed(&regex_syntax::parse(pattern).ok()?, 0)
}

fn needed(hir: &Hir, depth: usize) -> Option<Vec<String>> {
    if depth > DEPTH_LIMIT {
        return None;
    }
    let deeper = depth.saturating_add(1);
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(|text| vec![lower(text)]),
        HirKind::Class(class) => one_letter(class).map(|letter| vec![letter]),
        HirKind::Capture(capture) => needed(&capture.sub, deeper),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub, deeper),
        HirKind::Concat(parts) => in_sequence(parts, deeper),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(needed(part, deeper)?);
                if all.len() > TEXTS_LIMIT {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The longest run of letters, or the best of the parts.
fn in_sequence(parts: &[Hir], depth: usize) -> Option<Vec<String>> {
    let (mut best, mut run): (Option<Vec<String>>, String) = (None, String::new());
    let score = |texts: &Vec<String>| texts.iter().map(String::len).min().unwrap_or(0);
    let mut take = |texts: Vec<String>| {
        if best.as_ref().is_none_or(|best| score(best) < score(&texts)) {
            best = Some(texts);
        }
    };
    for part in parts {
        let letters = match part.kind() {
            HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(lower),
            HirKind::Class(class) => one_letter(class),
            _ => None,
        };
        match letters {
            Some(letters) => run.push_str(&letters),
            None => {
                if !run.is_empty() {
                    take(vec![std::mem::take(&mut run)]);
                }
                if let Some(texts) = needed(part, depth) {
                    take(texts);
                }
            }
        }
    }
    if !run.is_empty() {
        take(vec![run]);
    }
    best
}

/// The letter in lower case, when a class is one letter in both cases.
fn one_letter(class: &Class) -> Option<String> {
    let Class::Unicode(class) = class else { return None };
    let mut letters =
        class.iter().flat_map(|range| range.start()..=range.end()).take(4).map(|c| lower(&c.to_string()));
    let first = letters.next()?;
    letters.all(|letter| letter == first).then_some(first)
}

/// Puts cheap tests before regular expressions; what is asked stays the same.
pub(crate) fn in_order(expr: &mut Expr) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            parts.iter_mut().for_each(in_order);
            parts.sort_by_key(cost);
        }
        Expr::Not(part) => in_order(part),
        Expr::Shared(part) => {
            if let Some(part) = std::sync::Arc::get_mut(part) {
                in_order(part);
            }
        }
        Expr::Test(_) => {}
    }
}

fn cost(expr: &Expr) -> usize {
    match expr {
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            parts.iter().map(cost).fold(0, usize::saturating_add)
        }
        Expr::Not(part) => cost(part),
        Expr::Shared(part) => cost(part),
        Expr::Test(test) => match &test.ask {
            Ask::Regex(_) => 64,
            Ask::Service(_) | Ask::Done => 0,
            Ask::Text(_)
            | Ask::Cidr(_)
            | Ask::Number(..)
            | Ask::Time(..)
            | Ask::Exists(_)
            | Ask::Null
            | Ask::Other { .. } => 1,
        },
    }
}

//! All rules over one kind of record, behind a search for the texts that they need.
//!
//! One pass over each field finds which rules could match at all; only those are evaluated. A rule that needs no text
//! is evaluated each time.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{
    expr::{Expr, Names},
    fields::{Field, Record, Slots},
    pattern::Place,
};

/// Up to this many bytes of needed texts the fast automaton is small enough to stay in the cache.
const FAST_LIMIT_BYTES: usize = 16 << 10;

/// Rules over one kind of record.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    names: Names,
    rules: Vec<Placed>,
    /// Indexes of rules that need no text.
    always: Vec<usize>,
    scans: Vec<Scan>,
}

#[derive(Debug)]
struct Placed {
    unit: usize,
    expr: Expr,
    /// From the rule's fields to those of the matcher.
    map: Vec<usize>,
}

/// The texts needed in one field.
#[derive(Debug)]
struct Scan {
    field: usize,
    automaton: AhoCorasick,
    /// For each text, the rules that need it, and where.
    rules: Vec<Vec<(usize, Place)>>,
}

impl Matcher {
    /// Adds a rule; [`Self::finish`] must follow.
    pub(crate) fn add(&mut self, unit: usize, expr: Expr, names: &Names) {
        let map = names.0.iter().map(|field| self.names.index(field.clone())).collect();
        self.rules.push(Placed { unit, expr, map });
    }

    /// Builds the search.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        let mut texts: Vec<Vec<(String, Vec<(usize, Place)>)>> = vec![Vec::new(); self.names.0.len()];
        for (index, rule) in self.rules.iter().enumerate() {
            let Some(needs) = rule.expr.needs() else {
                self.always.push(index);
                continue;
            };
            for need in needs {
                let Some(of_field) = rule.map.get(need.field).and_then(|field| texts.get_mut(*field)) else {
                    continue;
                };
                match of_field.iter_mut().find(|(text, _)| *text == need.text) {
                    Some((_, rules)) => rules.push((index, need.place)),
                    None => of_field.push((need.text, vec![(index, need.place)])),
                }
            }
        }
        for (field, texts) in texts.into_iter().enumerate().filter(|(_, texts)| !texts.is_empty()) {
            let bytes: usize = texts.iter().map(|(text, _)| text.len()).sum();
            let kind =
                if bytes <= FAST_LIMIT_BYTES { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(kind))
                .build(texts.iter().map(|(text, _)| text))
                .map_err(|error| format!("the rules need too many texts: {error}"))?;
            self.scans.push(Scan {
                field,
                automaton,
                rules: texts.into_iter().map(|(_, rules)| rules).collect(),
            });
        }
        Ok(())
    }

    /// There is no rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The fields that a rule names.
    pub(crate) fn fields_of(&self, unit: usize) -> impl Iterator<Item = &Field> {
        let rule = self.rules.iter().find(move |rule| rule.unit == unit);
        rule.into_iter().flat_map(|rule| &rule.map).filter_map(|field| self.names.0.get(*field))
    }

    /// Units of the rules that match, in order.
    pub(crate) fn matching<R: Record + ?Sized>(&self, record: &R) -> Vec<usize> {
        let slots = Slots::new(record, &self.names.0);
        let mut candidates = vec![0_u64; self.rules.len().div_ceil(64)];
        let mut mark = |rule: usize| {
            if let Some(word) = candidates.get_mut(rule / 64) {
                *word |= 1 << (rule % 64);
            }
        };
        self.always.iter().for_each(|rule| mark(*rule));
        for scan in &self.scans {
            slots.any(scan.field, false, |text| {
                scan.find(text, &mut mark);
                false
            });
        }
        let mut found = Vec::new();
        for (index, word) in candidates.into_iter().enumerate() {
            let mut left = word;
            while left != 0 {
                let rule = index.saturating_mul(64).saturating_add(left.trailing_zeros() as usize);
                left &= left.wrapping_sub(1);
                let Some(placed) = self.rules.get(rule) else { continue };
                if placed.expr.holds(&slots, &placed.map) {
                    found.push(placed.unit);
                }
            }
        }
        found
    }
}

impl Scan {
    fn find(&self, text: &str, mark: &mut impl FnMut(usize)) {
        for found in self.automaton.find_overlapping_iter(text) {
            let Some(rules) = self.rules.get(found.pattern().as_usize()) else { continue };
            let (is_start, is_end) = (found.start() == 0, found.end() == text.len());
            for (rule, place) in rules {
                let stands = match place {
                    Place::Whole => is_start && is_end,
                    Place::Start => is_start,
                    Place::End => is_end,
                    Place::Within => true,
                };
                if stands {
                    mark(*rule);
                }
            }
        }
    }
}

//! All rules over one kind of record, behind a search for the texts that they need.
//!
//! One pass over each field finds which rules could match at all; only those are evaluated. A rule that needs no text
//! is evaluated each time.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{
    expr::{Expr, Names},
    fields::{Field, Record, Slots},
    needs::{self, Clause},
    pattern::Place,
};

/// Up to this many bytes of needed texts the fast automaton is small enough to stay in the cache: it takes 256 bytes and
/// more for each of them.
const FAST_LIMIT_BYTES: usize = 2 << 10;

/// Rules over one kind of record.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    names: Names,
    rules: Vec<Placed>,
    scans: Vec<Scan>,
}

#[derive(Debug)]
struct Placed {
    unit: usize,
    expr: Expr,
    /// From the rule's fields to those of the matcher.
    map: Vec<usize>,
    /// Of each clause a text must stand in the record.
    clauses: Vec<Clause>,
    /// A bit for each clause.
    full: u8,
}

/// The texts needed in one field.
#[derive(Debug)]
struct Scan {
    field: usize,
    automaton: AhoCorasick,
    /// For each text, who needs it.
    rules: Vec<Vec<Wanted>>,
}

/// A rule that needs a text for one of its clauses.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    rule: usize,
    bit: u8,
    place: Place,
}

impl Matcher {
    /// Adds a rule; [`Self::finish`] must follow.
    pub(crate) fn add(&mut self, unit: usize, mut expr: Expr, names: &Names) {
        let map = names.0.iter().map(|field| self.names.index(field.clone())).collect();
        let clauses = needs::clauses(&expr, names);
        let full = clauses.iter().fold(0_u8, |bits, _| (bits << 1) | 1);
        needs::in_order(&mut expr);
        self.rules.push(Placed { unit, expr, map, clauses, full });
    }

    /// Builds the search.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        let mut texts: Vec<Vec<(String, Vec<Wanted>)>> = vec![Vec::new(); self.names.0.len()];
        for (rule, placed) in self.rules.iter_mut().enumerate() {
            for (bit, clause) in std::mem::take(&mut placed.clauses).into_iter().enumerate() {
                for need in clause {
                    let field = placed.map.get(need.field).and_then(|field| texts.get_mut(*field));
                    let Some(of_field) = field else { continue };
                    let wanted = Wanted { rule, bit: 1 << bit, place: need.place };
                    match of_field.iter_mut().find(|(text, _)| *text == need.text) {
                        Some((_, rules)) => rules.push(wanted),
                        None => of_field.push((need.text, vec![wanted])),
                    }
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
        let mut marks = vec![0_u8; self.rules.len()];
        for scan in &self.scans {
            slots.any(scan.field, false, |text| {
                scan.find(text, &mut marks);
                false
            });
        }
        let candidates = self.rules.iter().zip(marks).filter(|(rule, mark)| rule.full == *mark);
        candidates.filter(|(rule, _)| rule.expr.holds(&slots, &rule.map)).map(|(rule, _)| rule.unit).collect()
    }
}

impl Scan {
    fn find(&self, text: &str, marks: &mut [u8]) {
        for found in self.automaton.find_overlapping_iter(text) {
            let Some(rules) = self.rules.get(found.pattern().as_usize()) else { continue };
            let (is_start, is_end) = (found.start() == 0, found.end() == text.len());
            for wanted in rules {
                let stands = match wanted.place {
                    Place::Whole => is_start && is_end,
                    Place::Start => is_start,
                    Place::End => is_end,
                    Place::Within => true,
                };
                if let Some(mark) = marks.get_mut(wanted.rule).filter(|_| stands) {
                    *mark |= wanted.bit;
                }
            }
        }
    }
}

//! The compiled matcher against an evaluator that is as plain as can be and shares no code with it: no search for
//! needed texts, no compiled patterns, recursion on characters. Rules and records are drawn from few characters, so
//! that they meet.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::select};

use super::{load, matches, record, rule};

const FIELDS: [&str; 4] = ["Image", "CommandLine", "User", "Comm"];

#[derive(Clone, Debug)]
struct Item {
    field: &'static str,
    place: &'static str,
    is_all: bool,
    is_cased: bool,
    is_not: bool,
    has_dashes: bool,
    values: Vec<Option<String>>,
}

#[derive(Clone, Debug)]
enum Selection {
    /// Maps of a list; one is no list.
    Maps(Vec<Vec<Item>>),
    Keywords(Vec<String>),
}

#[derive(Clone, Debug)]
enum Condition {
    Name(usize),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    /// So many of all selections.
    Of(usize),
    AllOfThem,
}

type Fields = BTreeMap<&'static str, Option<String>>;

fn word() -> impl Strategy<Value = String> {
    prop::collection::vec(
        select(vec!["a", "b", "A", "B", "-", "/", " ", "é", "É", "*", "?", "\\", "\\*"]),
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

fn value() -> impl Strategy<Value = String> {
    prop::collection::vec(
        select(vec!["a", "b", "A", "B", "-", "/", "–", " ", "é", "É", "*", "?", "\\"]),
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

fn item() -> impl Strategy<Value = Item> {
    let flags =
        (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let place = select(vec!["", "contains", "startswith", "endswith"]);
    (select(FIELDS.to_vec()), place, flags, prop::collection::vec(prop::option::weighted(0.95, word()), 1..4))
        .prop_map(|(field, place, (is_all, is_cased, is_not, has_dashes), mut values)| {
            if !place.is_empty() || has_dashes {
                values.iter_mut().for_each(|value| *value = Some(value.clone().unwrap_or_default()));
            }
            Item { field, place, is_all, is_cased, is_not, has_dashes, values }
        })
}

fn selection() -> impl Strategy<Value = Selection> {
    prop_oneof![
        4 => prop::collection::vec(prop::collection::vec(item(), 1..3), 1..3).prop_map(Selection::Maps),
        1 => prop::collection::vec(word().prop_filter("a keyword is a text", |word| !word.is_empty()), 1..3)
            .prop_map(Selection::Keywords),
    ]
}

fn condition(count: usize) -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        4 => (0..count).prop_map(Condition::Name),
        1 => (1..=count).prop_map(Condition::Of),
        1 => Just(Condition::AllOfThem),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|c| Condition::Not(Box::new(c))),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| Condition::And(Box::new(l), Box::new(r))),
            (inner.clone(), inner).prop_map(|(l, r)| Condition::Or(Box::new(l), Box::new(r))),
        ]
    })
}

fn fields() -> impl Strategy<Value = Fields> {
    let one =
        prop_oneof![1 => Just(None), 1 => Just(Some(None)), 8 => value().prop_map(|text| Some(Some(text)))];
    prop::collection::vec(one, FIELDS.len()).prop_map(|values| {
        FIELDS.iter().zip(values).filter_map(|(name, value)| Some((*name, value?))).collect()
    })
}

// The text of a rule.

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Item {
    fn text(&self) -> String {
        let mut key = self.field.to_owned();
        for (word, is_on) in [
            (self.place, !self.place.is_empty()),
            ("windash", self.has_dashes),
            ("all", self.is_all),
            ("cased", self.is_cased),
            ("neq", self.is_not),
        ] {
            if is_on {
                key = format!("{key}|{word}");
            }
        }
        let values: Vec<String> = self
            .values
            .iter()
            .map(|value| value.as_ref().map_or("null".to_owned(), |text| quoted(text)))
            .collect();
        format!("{}: [{}]", quoted(&key), values.join(", "))
    }
}

fn text(selections: &[Selection], condition: &Condition) -> String {
    let mut lines = String::new();
    for (index, selection) in selections.iter().enumerate() {
        let parts: Vec<String> = match selection {
            Selection::Keywords(words) => words.iter().map(|word| quoted(word)).collect(),
            Selection::Maps(maps) => maps
                .iter()
                .map(|items| {
                    // Two items of one key are one key in YAML, which is refused; the later name is made another.
                    let items: BTreeMap<String, String> = items
                        .iter()
                        .map(|item| (item.text().split_once(": ").unwrap().0.to_owned(), item.text()))
                        .collect();
                    format!("{{{}}}", items.into_values().collect::<Vec<_>>().join(", "))
                })
                .collect(),
        };
        lines.push_str(&format!("s{index}: [{}]\n", parts.join(", ")));
    }
    format!("{lines}condition: {}", words(condition))
}

fn words(condition: &Condition) -> String {
    match condition {
        Condition::Name(index) => format!("s{index}"),
        Condition::Not(inner) => format!("not {}", words(inner)),
        Condition::And(left, right) => format!("({} and {})", words(left), words(right)),
        Condition::Or(left, right) => format!("({} or {})", words(left), words(right)),
        Condition::Of(count) => format!("{count} of s*"),
        Condition::AllOfThem => "all of them".to_owned(),
    }
}

// The plain evaluator.

#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Char(char),
    Star,
    Mark,
    AnyDash,
}

fn pieces(text: &str, has_dashes: bool) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '\\' if matches!(next, Some('*' | '?' | '\\')) => {
                out.push(Piece::Char(next.unwrap()));
                at += 1;
            }
            '*' => out.push(Piece::Star),
            '?' => out.push(Piece::Mark),
            c => out.push(Piece::Char(c)),
        }
        at += 1;
    }
    if !has_dashes {
        return out;
    }
    let is_word =
        |piece: Option<&Piece>| matches!(piece, Some(Piece::Char(c)) if c.is_alphanumeric() || *c == '_');
    (0..out.len())
        .map(|at| {
            let before = at.checked_sub(1).and_then(|before| out.get(before));
            let is_dash = matches!(out[at], Piece::Char('-' | '/'));
            if is_dash && !is_word(before) && is_word(out.get(at + 1)) { Piece::AnyDash } else { out[at] }
        })
        .collect()
}

fn same(left: char, right: char, is_cased: bool) -> bool {
    left == right || (!is_cased && left.to_lowercase().eq(right.to_lowercase()))
}

fn glob(pieces: &[Piece], value: &[char], is_cased: bool) -> bool {
    match (pieces.first(), value.first()) {
        (None, None) => true,
        (Some(Piece::Star), _) => {
            glob(&pieces[1..], value, is_cased) || (!value.is_empty() && glob(pieces, &value[1..], is_cased))
        }
        (Some(Piece::Mark), Some(_)) => glob(&pieces[1..], &value[1..], is_cased),
        (Some(Piece::AnyDash), Some(c)) => "-/–—―".contains(*c) && glob(&pieces[1..], &value[1..], is_cased),
        (Some(Piece::Char(p)), Some(c)) => {
            same(*p, *c, is_cased) && glob(&pieces[1..], &value[1..], is_cased)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn like(word: &str, place: &str, has_dashes: bool, is_cased: bool, value: &str) -> bool {
    let mut all = pieces(word, has_dashes);
    if matches!(place, "contains" | "endswith") {
        all.insert(0, Piece::Star);
    }
    if matches!(place, "contains" | "startswith") {
        all.push(Piece::Star);
    }
    glob(&all, &value.chars().collect::<Vec<_>>(), is_cased)
}

fn item_holds(item: &Item, fields: &Fields) -> bool {
    let field = fields.get(item.field).cloned().flatten();
    let mut results = item.values.iter().map(|value| match (value, &field) {
        (None, field) => field.is_none(),
        (Some(_), None) => false,
        (Some(word), Some(field)) => like(word, item.place, item.has_dashes, item.is_cased, field),
    });
    let holds = if item.is_all { results.all(|one| one) } else { results.any(|one| one) };
    holds != item.is_not
}

fn selection_holds(selection: &Selection, fields: &Fields) -> bool {
    match selection {
        Selection::Maps(maps) => maps.iter().any(|items| {
            let last: BTreeMap<String, &Item> =
                items.iter().map(|item| (item.text().split_once(": ").unwrap().0.to_owned(), item)).collect();
            last.values().all(|item| item_holds(item, fields))
        }),
        Selection::Keywords(words) => {
            let all: Vec<String> = fields.values().flatten().cloned().collect();
            let text = all.join("\n");
            !text.is_empty() && words.iter().any(|word| like(word, "contains", false, false, &text))
        }
    }
}

fn condition_holds(condition: &Condition, selections: &[Selection], fields: &Fields) -> bool {
    let of = |inner: &Condition| condition_holds(inner, selections, fields);
    let count = || selections.iter().filter(|selection| selection_holds(selection, fields)).count();
    match condition {
        Condition::Name(index) => selection_holds(&selections[*index], fields),
        Condition::Not(inner) => !of(inner),
        Condition::And(left, right) => of(left) && of(right),
        Condition::Or(left, right) => of(left) || of(right),
        Condition::Of(least) => count() >= *least,
        Condition::AllOfThem => count() == selections.len(),
    }
}

fn record_text(fields: &Fields) -> String {
    let all: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            format!("{name}: {}", value.as_ref().map_or("null".to_owned(), |text| quoted(text)))
        })
        .collect();
    format!("{{{}}}", all.join(", "))
}

fn drawn() -> impl Strategy<Value = (Vec<Selection>, Condition, Vec<Fields>)> {
    prop::collection::vec(selection(), 1..4).prop_flat_map(|selections| {
        let count = selections.len();
        (Just(selections), condition(count), prop::collection::vec(fields(), 1..6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_rule_matches_exactly_what_the_plain_reading_of_it_matches((selections, condition, records) in drawn()) {
        let text = rule(&text(&selections, &condition));
        let (rules, refused) = load(&text);
        prop_assert!(refused.is_empty(), "{text}\n{refused:?}");
        for fields in records {
            let got = matches(&rules, &record(&record_text(&fields)));
            let want = condition_holds(&condition, &selections, &fields);
            prop_assert_eq!(got, want, "{}\n{}", text, record_text(&fields));
        }
    }
}

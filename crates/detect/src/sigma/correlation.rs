//! A correlation rule: how often, how many different, in which order, within which time.

use std::collections::BTreeMap;

use minesweep_model::Text;
use serde_yaml_ng::Value;

use super::{
    correlator::Met,
    expr::{Compare, Number},
    fields::Field,
    section::Section,
};

/// Longest time looked back, milliseconds.
const SPAN_LIMIT_MS: u64 = 30 * 86_400_000;
/// Most events one group of a count may need.
pub(crate) const COUNT_LIMIT: usize = 16_384;
/// Most rules of one correlation.
const RULES_LIMIT: usize = 64;
/// Most fields to group by.
const FIELDS_LIMIT: usize = 16;

/// What is counted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    EventCount,
    ValueCount,
    ValueSum,
    ValueAverage,
    /// Percentile of the values; without one, the share of this value among all, in percent.
    ValuePercentile(Option<f64>),
    Temporal,
    TemporalOrdered,
}

/// A correlation as written.
#[derive(Clone, Debug)]
pub(crate) struct Correlation {
    pub(crate) kind: Kind,
    /// Ids or names of the rules it is over.
    pub(crate) rules: Vec<String>,
    /// For each rule, the fields that make a group.
    pub(crate) groups: Vec<Vec<Field>>,
    /// How the fields that make a group are called.
    pub(crate) group_by: Vec<String>,
    pub(crate) span_ms: u64,
    pub(crate) limits: Vec<(Compare, f64)>,
    /// For each rule, the fields whose value is counted.
    pub(crate) fields: Vec<Vec<Field>>,
    /// The rules it is over are told by themselves too.
    pub(crate) tells_all: bool,
}

impl Correlation {
    /// Reads the map `correlation`.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let mut section = Section::new("correlation", value)?;
        let rules: Vec<String> = section.texts("rules")?.into_iter().map(str::to_owned).collect();
        if rules.is_empty() || rules.len() > RULES_LIMIT {
            return Err(format!("a correlation is over 1 to {RULES_LIMIT} rules"));
        }
        let group_by: Vec<String> = section.texts("group-by")?.into_iter().map(str::to_owned).collect();
        let span_ms = span(section.text("timespan")?.ok_or("the correlation has no timespan")?)?;
        let aliases = aliases(section.take("aliases"))?;
        let tells_all = section.flag("generate")?.unwrap_or(false);
        let name = section.text("type")?.ok_or("the correlation has no type")?;
        let condition = Condition::parse(section.take("condition"), &rules)?;
        section.finish()?;
        let kind = condition.kind(name)?;
        if group_by.len() > FIELDS_LIMIT || condition.fields.len() > FIELDS_LIMIT {
            return Err(format!("a correlation groups or counts by at most {FIELDS_LIMIT} fields"));
        }
        let resolve = |names: &[String]| -> Vec<Vec<Field>> {
            let of = |rule: &String, name: &String| {
                let real = aliases.get(name).and_then(|by_rule| by_rule.get(rule)).unwrap_or(name);
                Field::named(real)
            };
            rules.iter().map(|rule| names.iter().map(|name| of(rule, name)).collect()).collect()
        };
        let (groups, fields) = (resolve(&group_by), resolve(&condition.fields));
        Ok(Self { kind, rules, groups, group_by, span_ms, limits: condition.limits, fields, tells_all })
    }

    /// The number is as the condition wants.
    pub(crate) fn is_met(&self, number: f64) -> bool {
        self.limits
            .iter()
            .all(|(compare, limit)| compare.holds(Number::Broken(number), Number::Broken(*limit)))
    }
}

struct Condition {
    limits: Vec<(Compare, f64)>,
    fields: Vec<String>,
    percentile: Option<f64>,
}

impl Condition {
    fn parse(value: Option<&Value>, rules: &[String]) -> Result<Self, String> {
        let mut condition = Self { limits: Vec::new(), fields: Vec::new(), percentile: None };
        let map = match value {
            None => return Ok(condition),
            // The boolean form of the extended specification; that all rules are met is what it is without one.
            Some(Value::String(text)) => {
                let words: Vec<&str> = text.split_whitespace().collect();
                let is_all = words.iter().step_by(2).all(|word| rules.iter().any(|rule| rule == word))
                    && words.iter().skip(1).step_by(2).all(|word| word.eq_ignore_ascii_case("and"))
                    && words.len() == rules.len().saturating_mul(2).saturating_sub(1);
                return if is_all {
                    Ok(condition)
                } else {
                    Err(format!("a correlation's condition '{text}' is not all of its rules joined by 'and'"))
                };
            }
            Some(map) => map,
        };
        let mut section = Section::new("the correlation's condition", map)?;
        condition.fields = section.texts("field")?.into_iter().map(str::to_owned).collect();
        let mut number = |key: &str| match section.take(key) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(Some(number)),
                None => Err(format!("'{key}' of the correlation's condition must be a number")),
            },
        };
        condition.percentile = number("percentile")?;
        for (key, compare) in [
            ("gt", Compare::More),
            ("gte", Compare::MoreOrEqual),
            ("lt", Compare::Less),
            ("lte", Compare::LessOrEqual),
            ("eq", Compare::Equal),
        ] {
            condition.limits.extend(number(key)?.map(|limit| (compare, limit)));
        }
        section.finish()?;
        Ok(condition)
    }

    fn kind(&self, name: &str) -> Result<Kind, String> {
        let kind = match name {
            "event_count" => Kind::EventCount,
            "value_count" => Kind::ValueCount,
            "value_sum" => Kind::ValueSum,
            "value_avg" => Kind::ValueAverage,
            "value_percentile" => Kind::ValuePercentile(self.percentile),
            "temporal" => Kind::Temporal,
            "temporal_ordered" => Kind::TemporalOrdered,
            other => return Err(format!("correlation type '{other}' is not known")),
        };
        let (has_field, has_limit) = (!self.fields.is_empty(), !self.limits.is_empty());
        let is_temporal = matches!(kind, Kind::Temporal | Kind::TemporalOrdered);
        let wants_field = !is_temporal && kind != Kind::EventCount;
        if has_field != wants_field {
            let what = if wants_field { "needs a" } else { "takes no" };
            return Err(format!("a {name} correlation {what} field in its condition"));
        }
        if !has_limit && !is_temporal {
            return Err(format!("a {name} correlation needs one of gt, gte, lt, lte, eq in its condition"));
        }
        if self.percentile.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Err("a percentile is 0 to 100".to_owned());
        }
        if self.percentile.is_some() && !matches!(kind, Kind::ValuePercentile(_)) {
            return Err(format!("a {name} correlation takes no percentile"));
        }
        if matches!(kind, Kind::EventCount | Kind::ValueCount | Kind::Temporal) && has_limit {
            self.check_count()?;
        }
        if kind == Kind::TemporalOrdered && has_limit {
            return Err(
                "a temporal_ordered correlation is over all of its rules and takes no number".to_owned()
            );
        }
        Ok(kind)
    }

    /// A count only grows while events come: that it stays low can never be said.
    fn check_count(&self) -> Result<(), String> {
        let is_below = |compare: &Compare| matches!(compare, Compare::Less | Compare::LessOrEqual);
        if self.limits.iter().all(|(compare, _)| is_below(compare)) {
            return Err("a count with an upper bound only cannot be told while events still come".to_owned());
        }
        #[expect(clippy::cast_precision_loss, reason = "the limit is far below 2^52")]
        let most = COUNT_LIMIT as f64;
        match self.limits.iter().find(|(_, limit)| !(0.0..most).contains(limit)) {
            Some((_, limit)) => Err(format!("a count of {limit} is not between 0 and {COUNT_LIMIT}")),
            None => Ok(()),
        }
    }
}

/// Alias, rule, field.
type Aliases = BTreeMap<String, BTreeMap<String, String>>;

fn aliases(value: Option<&Value>) -> Result<Aliases, String> {
    let Some(value) = value else { return Ok(Aliases::new()) };
    let mut aliases = Aliases::new();
    for (alias, by_rule) in Section::new("aliases", value)?.rest() {
        let mut fields = BTreeMap::new();
        for (rule, field) in Section::new("an alias", by_rule)?.rest() {
            let field = field
                .as_str()
                .ok_or_else(|| format!("alias '{alias}' of '{rule}' must be a field's name"))?;
            fields.insert(rule.to_owned(), field.to_owned());
        }
        aliases.insert(alias.to_owned(), fields);
    }
    Ok(aliases)
}

/// A number with s, m, h or d behind it, as milliseconds.
fn span(text: &str) -> Result<u64, String> {
    let wrong = || format!("timespan '{text}' is not of the form 90s, 10m, 2h or 1d, up to 30d");
    let unit_ms = match text.chars().last() {
        Some('s') => 1000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        Some(_) | None => return Err(wrong()),
    };
    let number: u64 =
        text.get(..text.len().saturating_sub(1)).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(unit_ms).filter(|span_ms| (1..=SPAN_LIMIT_MS).contains(span_ms)).ok_or_else(wrong)
}

impl Correlation {
    /// What was counted, for people.
    pub(crate) fn words(&self, met: &Met) -> Text {
        let (number, span) = (told(met.number), told_span(self.span_ms));
        let names = |fields: Option<&Vec<Field>>| {
            fields.into_iter().flatten().map(|field| field.name.as_str()).collect::<Vec<_>>().join("+")
        };
        let of = names(self.fields.first());
        let (en, zh) = match self.kind {
            Kind::EventCount => (format!("{number} times within {span}"), format!("{span} 内 {number} 次")),
            Kind::ValueCount => (
                format!("{number} different {of} within {span}"),
                format!("{span} 内 {number} 个不同的 {of}"),
            ),
            Kind::ValueSum => {
                (format!("{of} sums to {number} within {span}"), format!("{span} 内 {of} 合计 {number}"))
            }
            Kind::ValueAverage => (
                format!("{of} is {number} on average within {span}"),
                format!("{span} 内 {of} 平均 {number}"),
            ),
            Kind::ValuePercentile(_) => (
                format!("percentile of {of} is {number} within {span}"),
                format!("{span} 内 {of} 的百分位值为 {number}"),
            ),
            Kind::Temporal => {
                (format!("{number} kinds of step within {span}"), format!("{span} 内出现 {number} 种步骤"))
            }
            Kind::TemporalOrdered => (
                format!("{number} steps in order within {span}"),
                format!("{span} 内依次出现 {number} 个步骤"),
            ),
        };
        let group: String =
            self.group_by.iter().zip(&met.group).map(|(name, value)| format!(", {name} {value}")).collect();
        Text::new(format!("{en}{group}"), format!("{zh}{group}"))
    }
}

/// A number without digits that say nothing.
fn told(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn told_span(span_ms: u64) -> String {
    match span_ms / 1000 {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

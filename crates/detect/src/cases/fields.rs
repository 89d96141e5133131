//! Cases of Sigma rules: records in Sigma's field names.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Cases, RuleLine, RuleState};
use crate::{
    lists::AttackNames,
    sigma::{Channel, Correlator, FieldValue, FieldsRecord, SigmaRules, Unit, has_field},
};

/// Most records of one case.
const RECORDS_LIMIT: u32 = 20_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldsCase {
    name: String,
    /// Id of the rule it is about, where the file has more than one that is told.
    rule: Option<String>,
    /// The only record.
    event: Option<BTreeMap<String, FieldValue>>,
    /// Several records, in order.
    #[serde(default)]
    events: Vec<CaseRecord>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseRecord {
    /// Time since the record before, milliseconds.
    #[serde(default)]
    after_ms: u64,
    /// How often; `after_ms` apart.
    #[serde(default = "once")]
    times: u32,
    /// Log source, where it is not that of the rule.
    category: Option<String>,
    service: Option<String>,
    fields: BTreeMap<String, FieldValue>,
}

fn once() -> u32 {
    1
}

/// A line for each Sigma rule of these files, and for each that is refused. `cases` are all files of the material.
pub(super) fn lines(
    files: &[(&str, &str)],
    cases: &BTreeMap<&str, &str>,
    names: &AttackNames,
) -> Vec<RuleLine> {
    let (rules, refused) = SigmaRules::load(files.iter().copied(), names);
    let mut lines: Vec<RuleLine> =
        refused.into_iter().map(|refused| RuleLine::refused(&refused.rule, refused.reason)).collect();
    for (path, _) in files {
        lines.extend(file(&rules, path, cases));
    }
    lines
}

fn file(rules: &SigmaRules, path: &str, cases: &BTreeMap<&str, &str>) -> Vec<RuleLine> {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    // Imported rules come without cases; only ours must have them, which `content` sees to.
    let cases: Cases<FieldsCase> = match cases.get(format!("{stem}.cases.yml").as_str()) {
        None => Cases { fires: Vec::new(), stays_quiet: Vec::new() },
        Some(text) => match serde_yaml_ng::from_str(text) {
            Ok(cases) => cases,
            Err(error) => return vec![RuleLine::refused(path, format!("its cases cannot be read: {error}"))],
        },
    };
    let units: Vec<(usize, &Unit)> =
        rules.units().iter().enumerate().filter(|(_, unit)| unit.path == path).collect();
    let told: Vec<&str> =
        units.iter().filter(|(_, unit)| unit.is_told).map(|(_, unit)| unit.content.id.as_str()).collect();
    let only = if let [only] = told.as_slice() { Some(*only) } else { None };
    let both = || {
        cases.fires.iter().map(|case| (case, true)).chain(cases.stays_quiet.iter().map(|case| (case, false)))
    };
    let mut lines = Vec::new();
    for (index, unit) in &units {
        let id = unit.content.id.as_str();
        let is_of = |case: &FieldsCase| case.rule.as_deref().or(only) == Some(id);
        let own: Vec<_> = both().filter(|(case, _)| is_of(case)).collect();
        let wrong: Vec<String> =
            own.iter().filter_map(|(case, fires)| run(rules, *index, unit, case, *fires).err()).collect();
        lines.push(line(rules, *index, unit, own.len(), &wrong));
    }
    for (case, _) in both() {
        match case.rule.as_deref().or(only) {
            Some(id) if told.contains(&id) => {}
            Some(id) => lines.push(RuleLine::refused(
                id,
                format!("case '{}' is about a rule that {path} does not tell", case.name),
            )),
            None if told.is_empty() => {}
            None => lines.push(RuleLine::refused(
                path,
                format!("case '{}' does not say which rule it is about", case.name),
            )),
        }
    }
    lines
}

fn line(rules: &SigmaRules, index: usize, unit: &Unit, cases: usize, wrong: &[String]) -> RuleLine {
    let reason = wrong.join("; ");
    RuleLine {
        rule: unit.content.id.clone(),
        state: RuleState::Loaded,
        is_right: reason.is_empty(),
        reason,
        cases,
        techniques: super::techniques(&unit.content.attacks),
        blind: rules.blind(index),
    }
}

fn run(
    rules: &SigmaRules,
    index: usize,
    unit: &Unit,
    case: &FieldsCase,
    must_fire: bool,
) -> Result<(), String> {
    let named = |reason: String| format!("case '{}': {reason}", case.name);
    let (mut correlator, mut at_ms, mut left) = (Correlator::default(), 0_u64, RECORDS_LIMIT);
    let mut has_fired = false;
    for part in case.records().map_err(named)? {
        let (record, channel) = part.record(unit).map_err(named)?;
        left = left
            .checked_sub(part.times)
            .ok_or_else(|| named(format!("it has more than {RECORDS_LIMIT} records")))?;
        for _ in 0..part.times {
            at_ms = at_ms.saturating_add(part.after_ms);
            let found = rules.matching(channel, &record, &mut correlator, at_ms);
            has_fired |= found.iter().any(|found| found.unit == index);
        }
    }
    match (has_fired, must_fire) {
        (true, true) | (false, false) => Ok(()),
        (false, true) => Err(format!("case '{}' did not fire", case.name)),
        (true, false) => Err(format!("case '{}' fired", case.name)),
    }
}

impl FieldsCase {
    fn records(&self) -> Result<Vec<CaseRecord>, String> {
        let of = |record: &CaseRecord| CaseRecord {
            fields: record.fields.clone(),
            category: record.category.clone(),
            service: record.service.clone(),
            ..*record
        };
        match (&self.event, self.events.as_slice()) {
            (Some(fields), []) => Ok(vec![CaseRecord {
                after_ms: 0,
                times: 1,
                category: None,
                service: None,
                fields: fields.clone(),
            }]),
            (None, [_, ..]) => Ok(self.events.iter().map(of).collect()),
            _ => Err("it has an event, or events, and not both".to_owned()),
        }
    }
}

impl CaseRecord {
    fn record(&self, unit: &Unit) -> Result<(FieldsRecord, Channel), String> {
        let is_log = unit.source.channel == Channel::Log;
        let category = match (&self.category, &self.service) {
            (None, None) if !is_log => Some(unit.source.channel.category().to_owned()),
            (category, _) => category.clone(),
        };
        let of_rule =
            || unit.source.service.name().filter(|_| is_log && category.is_none()).map(str::to_owned);
        let record = FieldsRecord {
            service: self.service.clone().or_else(of_rule),
            category,
            product: Some("linux".to_owned()),
            fields: self.fields.clone(),
        };
        let channel = record.source()?.channel;
        let unknown = record.fields.keys().find(|name| !has_field(channel, name));
        match unknown.filter(|_| unit.is_own) {
            Some(name) => Err(format!("records of {} have no field '{name}'", channel.category())),
            None => Ok((record, channel)),
        }
    }
}

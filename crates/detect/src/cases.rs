//! Runs the cases of rules: what must fire, and the near misses that must not.
//!
//! A case is a short list of steps, each a compact form of one event; what is left out has a plain default. Every
//! case gets a fresh engine. Cases of file rules are byte samples put together from parts.

mod fields;
mod flow_step;
mod log_step;
mod stdio_step;
mod steps;

use std::{collections::BTreeMap, sync::Arc};

use minesweep_model::{Attack, Bytes, What};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Patterns, is_access_pattern},
    coded_rules::is_coded_rule,
    engine::{Engine, Output},
    file_rules::FileRules,
    rules::{RuleId, Rules, is_file_rule, is_mining_rule, is_sigma_rule},
    settings::Settings,
};
use steps::Step;

/// Most bytes of one sample.
const SAMPLE_LIMIT_BYTES: usize = 1 << 20;

/// Whether a rule could be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleState {
    /// It matches.
    Loaded,
    /// It is not used.
    Refused,
}

/// What came of a rule and its cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleLine {
    /// Rule id; the file's path when it could not be read so far.
    pub rule: String,
    /// Loaded or refused.
    pub state: RuleState,
    /// Why it is refused, or which case came out wrong; empty when all is right.
    pub reason: String,
    /// Cases that were run.
    pub cases: usize,
    /// It is loaded and every case came out right.
    pub is_right: bool,
    /// ATT&CK techniques it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
    /// Fields it names that no record of this machine has: only a replay can give them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<String>,
}

impl RuleLine {
    /// A rule that is not used.
    pub fn refused(rule: &str, reason: String) -> Self {
        Self {
            rule: rule.to_owned(),
            state: RuleState::Refused,
            reason,
            cases: 0,
            is_right: false,
            techniques: Vec::new(),
            blind: Vec::new(),
        }
    }
}

/// Checks rule files and runs the cases beside them, against the rules in use. `material` is path and text, as for
/// [`Rules::compile`]; cases and lists have no line of their own.
pub fn rules_test<'a>(
    rules: &Arc<Rules>,
    material: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<RuleLine> {
    let files: BTreeMap<&str, &str> = material.into_iter().collect();
    let (mut lines, mut sigma) = (Vec::new(), Vec::new());
    for (path, text) in &files {
        if is_file_rule(path) {
            let cases =
                path.rsplit_once('.').and_then(|(stem, _)| files.get(format!("{stem}.cases.yml").as_str()));
            lines.extend(file_lines(path, text, cases.copied()));
        } else if is_mining_rule(path) || is_coded_rule(path) {
            let cases =
                path.strip_suffix(".yml").and_then(|stem| files.get(format!("{stem}.cases.yml").as_str()));
            lines.push(step_line(rules, path, text, cases.copied()));
        } else if is_access_pattern(path) {
            lines.push(match Patterns::compile([(*path, *text)]) {
                Ok(_) => line(path, 0, &[]),
                Err(error) => RuleLine::refused(path, error.to_string()),
            });
        } else if is_sigma_rule(path) {
            sigma.push((*path, *text));
        } else if !path.ends_with(".cases.yml") && !path.ends_with(".csv") {
            lines.push(RuleLine::refused(
                path,
                "no engine of this version reads it; it reads Sigma (.yml, .yaml) and YARA (.yar, .yara)"
                    .to_owned(),
            ));
        }
    }
    lines.extend(fields::lines(&sigma, &files, rules.attack_names()));
    lines
}

/// The form of a file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases<T> {
    fires: Vec<T>,
    stays_quiet: Vec<T>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepCase {
    name: String,
    steps: Vec<Step>,
    /// Whether an incident must (not) have opened at the end; not said: either.
    incident: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCase {
    name: String,
    /// Rule of the file that it is about; the rule's id.
    rule: String,
    /// Joined without a gap; `\xNN` is a byte.
    parts: Vec<Bytes>,
}

fn step_line(rules: &Arc<Rules>, path: &str, text: &str, cases: Option<&str>) -> RuleLine {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let parsed: Result<Id, String> = serde_yaml_ng::from_str(text).map_err(|error| error.to_string());
    let id = match parsed {
        Ok(Id { id }) if RuleId::parse(&id).is_some() || rules.coded().get(&id).is_some() => id,
        Ok(Id { id }) => return RuleLine::refused(&id, "this program has no such rule".to_owned()),
        Err(reason) => return RuleLine::refused(path, reason),
    };
    let Some(cases) = cases else { return RuleLine::refused(&id, "it has no cases beside it".to_owned()) };
    let cases: Cases<StepCase> = match serde_yaml_ng::from_str(cases) {
        Ok(cases) => cases,
        Err(error) => return RuleLine::refused(&id, format!("its cases cannot be read: {error}")),
    };
    let count = cases.fires.len().saturating_add(cases.stays_quiet.len());
    let both =
        cases.fires.iter().map(|case| (case, true)).chain(cases.stays_quiet.iter().map(|case| (case, false)));
    let wrong: Vec<String> = both.filter_map(|(case, fires)| run(rules, &id, case, fires).err()).collect();
    let attacks = match RuleId::parse(&id) {
        Some(id) => Some(&rules.rule(id).attacks),
        None => rules.coded().get(&id).map(|rule| &rule.attacks),
    };
    RuleLine {
        techniques: attacks.map(|attacks| techniques(attacks)).unwrap_or_default(),
        ..line(&id, count, &wrong)
    }
}

/// Techniques, each once.
pub(crate) fn techniques(attacks: &[Attack]) -> Vec<String> {
    let mut techniques: Vec<String> = attacks.iter().map(|attack| attack.technique.clone()).collect();
    techniques.sort();
    techniques.dedup();
    techniques
}

fn run(rules: &Arc<Rules>, id: &str, case: &StepCase, must_fire: bool) -> Result<(), String> {
    let settings = Settings { own_pid: Some(steps::OWN_PID), ..Settings::default() };
    let mut engine = Engine::new(settings, rules.clone());
    let mut has_fired = false;
    for event in steps::events(&case.steps).map_err(|reason| format!("case '{}': {reason}", case.name))? {
        let is_host = matches!(event.what, What::Host(_));
        for output in engine.observe(&event) {
            has_fired |= !is_host && matches!(output, Output::Detection(found) if found.rule == id);
        }
    }
    if has_fired != must_fire {
        let what = if must_fire { "did not fire" } else { "fired" };
        return Err(format!("case '{}' {what}", case.name));
    }
    let has_incident = !engine.incidents().is_empty();
    match case.incident {
        Some(wanted) if wanted != has_incident => {
            let what = if wanted { "opened no incident" } else { "opened an incident" };
            Err(format!("case '{}' {what}", case.name))
        }
        Some(_) | None => Ok(()),
    }
}

fn file_lines(path: &str, text: &str, cases: Option<&str>) -> Vec<RuleLine> {
    let rules = match FileRules::compile([(path, text)]) {
        Ok(rules) => rules,
        Err(error) => return vec![RuleLine::refused(path, error.to_string())],
    };
    // Imported rules come without cases; only ours must have them, which `content` sees to.
    let cases: Cases<FileCase> = match cases.map(serde_yaml_ng::from_str) {
        Some(Ok(cases)) => cases,
        Some(Err(error)) => {
            return vec![RuleLine::refused(path, format!("its cases cannot be read: {error}"))];
        }
        None => Cases { fires: Vec::new(), stays_quiet: Vec::new() },
    };
    let both = || {
        cases.fires.iter().map(|case| (case, true)).chain(cases.stays_quiet.iter().map(|case| (case, false)))
    };
    let mut lines: Vec<RuleLine> = rules
        .ids()
        .map(|id| {
            let own: Vec<_> = both().filter(|(case, _)| case.rule == id).collect();
            let wrong: Vec<String> =
                own.iter().filter_map(|(case, fires)| scan(&rules, id, case, *fires).err()).collect();
            line(id, own.len(), &wrong)
        })
        .collect();
    for (case, _) in both().filter(|(case, _)| !rules.ids().any(|id| id == case.rule)) {
        lines.push(RuleLine::refused(
            &case.rule,
            format!("case '{}' names a rule that {path} does not have", case.name),
        ));
    }
    lines
}

fn scan(rules: &FileRules, id: &str, case: &FileCase, must_fire: bool) -> Result<(), String> {
    let sample: Vec<u8> =
        case.parts.iter().flat_map(|part| part.0.iter().copied()).take(SAMPLE_LIMIT_BYTES).collect();
    let has_fired = rules.scan(&sample).iter().any(|hit| hit == id);
    if has_fired == must_fire {
        return Ok(());
    }
    Err(format!("case '{}' {}", case.name, if must_fire { "did not fire" } else { "fired" }))
}

fn line(rule: &str, cases: usize, wrong: &[String]) -> RuleLine {
    let reason = wrong.join("; ");
    let state = RuleState::Loaded;
    let is_right = reason.is_empty();
    RuleLine { state, is_right, cases, ..RuleLine::refused(rule, reason) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_case_of_the_default_bundle_comes_out_right() {
        let (rules, files) = (testing::rules(), testing::material());
        let lines = rules_test(&rules, files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        let wrong: Vec<&RuleLine> = lines.iter().filter(|line| !line.is_right).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        for id in RuleId::ALL {
            assert!(lines.iter().any(|line| line.rule == id.id() && line.cases >= 3), "{}", id.id());
        }
    }

    #[test]
    fn a_wrong_case_and_a_broken_rule_are_told_with_their_reason() {
        let rules = testing::rules();
        let text = testing::material().into_iter().find(|(path, _)| path == "mining/stratum.yml").unwrap().1;
        let cases = "fires: [{name: silence, steps: [{exit: 5}]}]\nstays_quiet: []\n";
        let lines =
            rules_test(&rules, [("mining/stratum.yml", text.as_str()), ("mining/stratum.cases.yml", cases)]);
        assert_eq!((lines.len(), lines[0].state, lines[0].is_right), (1, RuleState::Loaded, false));
        assert!(lines[0].reason.contains("silence"));
        let lines = rules_test(&rules, [("x.yar", "rule x { condition: $a }")]);
        assert_eq!(lines[0].state, RuleState::Refused);
        assert!(lines[0].reason.contains("x.yar"));
        let lines = rules_test(&rules, [("sigma/x.yml", "title: x")]);
        assert_eq!((lines[0].rule.as_str(), lines[0].state), ("sigma/x.yml", RuleState::Refused));
    }
}

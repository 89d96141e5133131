//! What the rules in use say of themselves, for a list.

use minesweep_model::{Severity, Text};
use serde::Serialize;

use crate::{
    cases::techniques,
    rules::{RuleId, Rules},
};

/// A rule in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedRule {
    /// Its id.
    pub rule: String,
    /// `mining`, `code`, `sigma` or `yara`.
    pub kind: &'static str,
    /// Its name for people.
    pub title: Text,
    /// How bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Licence, SPDX; empty when the rule does not say.
    pub licence: String,
    /// Author and references, or where it is from.
    pub source: String,
}

/// All rules in use, by kind and id.
pub fn rules_list(rules: &Rules) -> Vec<ListedRule> {
    let mining = RuleId::ALL.into_iter().map(|id| {
        let rule = rules.rule(id);
        ListedRule {
            rule: id.id().to_owned(),
            kind: "mining",
            title: rule.title.clone(),
            severity: Some(rule.severity),
            techniques: techniques(&rule.attacks),
            licence: rule.licence.clone(),
            source: rule.source.clone(),
        }
    });
    let of = |kind: &'static str| {
        move |rule: &crate::ContentRule| ListedRule {
            rule: rule.id.clone(),
            kind,
            title: rule.title.clone(),
            severity: Some(rule.severity),
            techniques: techniques(&rule.attacks),
            licence: rule.licence.clone(),
            source: rule.source.clone(),
        }
    };
    let told = rules.sigma().units().iter().filter(|unit| unit.is_told).map(|unit| &unit.content);
    let files = rules.files().ids().map(|id| ListedRule {
        rule: id.to_owned(),
        kind: "yara",
        title: rules.files().title(id).cloned().unwrap_or_default(),
        severity: None,
        techniques: Vec::new(),
        licence: String::new(),
        source: String::new(),
    });
    mining.chain(rules.coded().all().map(of("code"))).chain(told.map(of("sigma"))).chain(files).collect()
}

//! Rules that match by code and are no sign of mining: their words, from `behaviour/*.yml`.
//!
//! As with the mining rules, a text without its code and code without its text are refused: either is silently blind.

use std::collections::BTreeMap;

use minesweep_model::{Severity, Text};
use serde::Deserialize;

use crate::{
    content_rule::ContentRule,
    lists::AttackNames,
    rules::{AttackForm, RuleError, broken},
};

/// Ids of all rules that code matches, by the module that does.
const CODED: &[&[&str]] =
    &[&crate::access::RULES, &crate::hiding::RULES, crate::commands::IDS, crate::spread::IDS];

/// What content says of them.
#[derive(Clone, Debug, Default)]
pub struct CodedRules(BTreeMap<String, ContentRule>);

impl CodedRules {
    /// Compiles the files `behaviour/*.yml`, given as path and text.
    pub(crate) fn compile<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        names: &AttackNames,
    ) -> Result<Self, RuleError> {
        let mut rules = BTreeMap::new();
        for (path, text) in files {
            let rule = parse(text, names).map_err(broken(path))?;
            let id = rule.id.clone();
            if rules.insert(id.clone(), rule).is_some() {
                return Err(broken(path)(format!("{id} is in another file already; keep one")));
            }
        }
        match CODED.iter().copied().flatten().find(|id| !rules.contains_key(**id)) {
            Some(id) => Err(RuleError::Missing { what: format!("the text of {id}") }),
            None => Ok(Self(rules)),
        }
    }

    /// What content says of a rule of that id.
    pub fn get(&self, id: &str) -> Option<&ContentRule> {
        self.0.get(id)
    }

    /// All of them, by id.
    pub fn all(&self) -> impl Iterator<Item = &ContentRule> {
        self.0.values()
    }
}

pub(crate) fn is_coded_rule(path: &str) -> bool {
    let is_in_folder = path.starts_with("behaviour/") || path.contains("/behaviour/");
    is_in_folder && path.ends_with(".yml") && !path.ends_with(".cases.yml")
}

/// The form of `behaviour/*.yml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    id: String,
    title: Text,
    description: Text,
    advice: Text,
    severity: Severity,
    confidence: u8,
    attack: Vec<AttackForm>,
    licence: String,
    source: String,
    false_positives: Vec<Text>,
}

fn parse(text: &str, names: &AttackNames) -> Result<ContentRule, String> {
    let form: Form = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    if !CODED.iter().copied().flatten().any(|id| *id == form.id) {
        return Err(format!(
            "{} is not a rule of this program; remove the file or update minesweep",
            form.id
        ));
    }
    if form.confidence > 100 {
        return Err("confidence is 0 to 100".to_owned());
    }
    for text in [&form.title, &form.description, &form.advice].into_iter().chain(&form.false_positives) {
        if text.en.is_empty() || text.zh.is_empty() {
            return Err("each text needs both en and zh".to_owned());
        }
    }
    let find = |attack: &AttackForm| names.find(&attack.technique, &attack.tactic);
    Ok(ContentRule {
        attacks: form.attack.iter().map(find).collect::<Result<_, _>>()?,
        id: form.id,
        title: form.title,
        description: form.description,
        advice: form.advice,
        severity: form.severity,
        confidence: form.confidence,
        false_positives: form.false_positives,
        licence: form.licence,
        source: form.source,
    })
}

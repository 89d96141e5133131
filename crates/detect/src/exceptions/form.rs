//! One exception as its file says it, taken whole or refused.

use minesweep_model::Host;
use serde::Deserialize;
use serde_yaml_ng::{Deserializer, Value};

use super::{
    narrow,
    view::{About, FIELDS, HASH, View},
};
use crate::{
    rules::RefusedRule,
    sigma::{Expr, Names, Section, Slots, detection, unix_ms},
};

/// Most exceptions of one file.
const DOCUMENTS_LIMIT: usize = 256;
/// Longest life. What is still right after a year is worth a year's second look.
const LIFE_LIMIT_MS: u64 = 366 * DAY_MS;
/// Longest text, bytes.
const TEXT_LIMIT_BYTES: usize = 1024;
const DAY_MS: u64 = 86_400_000;
/// How a file says every host.
const EVERY_HOST: &str = "any";

/// An exception that is in use.
#[derive(Debug)]
pub struct Exception {
    /// Its id.
    pub id: String,
    /// Its file.
    pub path: String,
    /// What it is.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is right.
    pub reason: String,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// From when on it hides nothing, Unix milliseconds.
    pub expires_ms: u64,
    /// Ids of the rules it is for.
    pub rules: Vec<String>,
    /// Names or machine ids; `any` is every one.
    pub hosts: Vec<String>,
    /// What is told all the same.
    told: Expr,
    names: Names,
    map: Vec<usize>,
}

impl Exception {
    /// It hides nothing any more.
    pub fn is_expired(&self, at_ms: u64) -> bool {
        at_ms >= self.expires_ms
    }

    pub(super) fn asks_for_hash(&self) -> bool {
        self.names.0.iter().any(|field| field.name == HASH)
    }

    pub(super) fn covers(&self, about: &About<'_>, host: &Host) -> bool {
        let is_here = |wanted: &String| {
            wanted == EVERY_HOST
                || (!wanted.is_empty() && (*wanted == host.name || *wanted == host.machine_id))
        };
        // A container brings its own files: a path of the machine says nothing of what runs in one.
        let names_container = self.names.0.iter().any(|field| field.name == "ContainerId");
        let is_contained = about.subject.is_some_and(|process| process.container.is_some());
        if !self.hosts.iter().any(is_here) || is_contained != names_container {
            return false;
        }
        let view = View { about, is_contained };
        !self.told.holds(&Slots::new(&view, &self.names.0), &self.map)
    }

    pub(super) fn refused(&self, reason: String) -> RefusedRule {
        RefusedRule { path: self.path.clone(), rule: self.id.clone(), reason }
    }
}

/// Reads all exceptions of a file.
pub(super) fn read(path: &str, text: &str) -> Vec<Result<Exception, RefusedRule>> {
    let refused = |rule: &str, reason: String| {
        Err(RefusedRule { path: path.to_owned(), rule: rule.to_owned(), reason })
    };
    let mut found = Vec::new();
    for document in Deserializer::from_str(text) {
        if found.len() == DOCUMENTS_LIMIT {
            found.push(refused(path, format!("it has more than {DOCUMENTS_LIMIT} exceptions")));
            break;
        }
        match Value::deserialize(document) {
            // An empty document, after a last `---`.
            Ok(Value::Null) => {}
            Ok(value) => {
                let id = value.get("id").and_then(Value::as_str).unwrap_or(path);
                found.push(parse(path, &value).or_else(|reason| refused(id, reason)));
            }
            Err(error) => {
                found.push(refused(path, error.to_string()));
                break;
            }
        }
    }
    if found.is_empty() {
        found.push(refused(path, "it is empty".to_owned()));
    }
    found
}

fn parse(path: &str, value: &Value) -> Result<Exception, String> {
    let mut section = Section::new("the exception", value)?;
    let mut said = |key: &'static str, what: &str| needed(&mut section, key, what);
    let (id, title) = (said("id", "its name in counts")?, said("title", "what it is")?);
    let (owner, reason) = (said("author", "who answers for it")?, said("description", "why it is right")?);
    let created_ms = date("date", &said("date", "when it was made")?)?;
    source(section.need("logsource")?)?;
    let mut own = Section::new("minesweep", section.need("minesweep")?)?;
    let expires_ms = date("expires", &needed(&mut own, "expires", "the day it ends")?)?;
    let hosts: Vec<String> = own.texts("hosts")?.into_iter().map(str::to_owned).collect();
    own.finish()?;
    if hosts.is_empty() {
        return Err("it names no hosts; name them under minesweep, or write hosts: [any]".to_owned());
    }
    lives(created_ms, expires_ms)?;
    let mut filter = Section::new("the filter", section.need("filter")?)?;
    section.finish()?;
    let rules = rules(&filter.texts("rules")?)?;
    let mut names = Names::default();
    let (expr, conditions) = detection::parse(filter, &mut names)?;
    if let Some(field) = names.0.iter().find(|field| !FIELDS.contains(&field.name.as_str())) {
        let name = &field.name;
        return Err(format!("detections have no field '{name}'; they have {}", FIELDS.join(", ")));
    }
    let told = if has_not(&conditions) { expr } else { Expr::Not(Box::new(expr)) };
    narrow::check(&told, &names)?;
    let map = (0..names.0.len()).collect();
    let path = path.to_owned();
    Ok(Exception { id, path, title, owner, reason, created_ms, expires_ms, rules, hosts, told, names, map })
}

/// As in other filters, a condition without `not` is what is excepted.
fn has_not(conditions: &[String]) -> bool {
    conditions
        .iter()
        .flat_map(|text| text.split(|c: char| c.is_whitespace() || c == '('))
        .any(|word| word.eq_ignore_ascii_case("not"))
}

fn needed(section: &mut Section<'_>, key: &'static str, what: &str) -> Result<String, String> {
    let text = section.text(key)?.map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| format!("it has no '{key}': {what}"))?;
    if text.len() > TEXT_LIMIT_BYTES || text.chars().any(char::is_control) {
        return Err(format!("'{key}' is one line of at most {TEXT_LIMIT_BYTES} bytes"));
    }
    Ok(text.to_owned())
}

fn date(key: &str, text: &str) -> Result<u64, String> {
    unix_ms(text).ok_or_else(|| format!("'{key}' is '{text}' and should be a day such as 2026-12-31"))
}

fn lives(created_ms: u64, expires_ms: u64) -> Result<(), String> {
    match expires_ms.checked_sub(created_ms) {
        None | Some(0) => Err("it ends before it begins; 'expires' must come after 'date'".to_owned()),
        Some(life) if life > LIFE_LIMIT_MS => {
            Err("it lives longer than a year; let 'expires' come sooner, and renew it when it is still right"
                .to_owned())
        }
        Some(_) => Ok(()),
    }
}

fn source(value: &Value) -> Result<(), String> {
    let mut source = Section::new("logsource", value)?;
    let (product, service) = (source.text("product")?, source.text("service")?);
    source.finish()?;
    match (product, service) {
        (Some("minesweep"), Some("detection")) => Ok(()),
        _ => Err("an exception's logsource is product: minesweep, service: detection; a filter of another log source \
                  belongs beside its rule"
            .to_owned()),
    }
}

fn rules(names: &[&str]) -> Result<Vec<String>, String> {
    match names {
        [] => Err("the filter names no rules; name those of the detection".to_owned()),
        names if names.iter().any(|name| matches!(*name, "any" | "all") || name.contains('*')) => {
            Err("it is for every rule, so it would hide what nobody has seen yet; name the rules".to_owned())
        }
        names => Ok(names.iter().map(|name| (*name).to_owned()).collect()),
    }
}

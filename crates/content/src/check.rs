//! Checks the shape of a bundle: the right files in the right place, each rule with its cases, each list with its
//! licence and source.
//!
//! A rule without a case that fires and two near misses is refused: nobody could tell that it works. Whether the
//! cases come out right is for the engine (`minesweep rules test`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::{ContentError, Kind, Manifest};

/// Fewest cases in which a rule must fire.
const LEAST_FIRES: usize = 1;
/// Fewest near misses; one shows only that the rule is not always true.
const LEAST_STAYS_QUIET: usize = 2;

/// Refuses a bundle with the first thing that is wrong in it.
pub(crate) fn files(manifest: &Manifest, files: &BTreeMap<String, String>) -> Result<(), ContentError> {
    for (path, text) in files {
        let refused = |reason: String| ContentError::broken(path, reason);
        match Kind::of(path) {
            Some(Kind::Mining | Kind::Behaviour) => coded(path, text, files).map_err(refused)?,
            Some(Kind::Access) => patterns(path, text).map_err(refused)?,
            Some(Kind::Sigma) => sigma(path, text, files).map_err(refused)?,
            Some(Kind::Yara) => yara(path, text, files).map_err(refused)?,
            Some(Kind::Intel) => intel(manifest, path, text).map_err(refused)?,
            None => {
                return Err(refused(
                    "no engine reads it; files belong in mining/, behaviour/, access/, sigma/, yara/ or intel/"
                        .to_owned(),
                ));
            }
        }
    }
    Ok(())
}

fn coded(path: &str, text: &str, files: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(stem) = path.strip_suffix(".cases.yml") {
        beside(&format!("{stem}.yml"), files)?;
        return cases(text);
    }
    let stem = path.strip_suffix(".yml").ok_or("a rule is a .yml file")?;
    beside(&format!("{stem}.cases.yml"), files)?;
    names(text, &["id", "licence", "source"])
}

/// A rule says of itself what each rule has to say.
fn names(text: &str, keys: &[&str]) -> Result<(), String> {
    let rule: BTreeMap<String, Value> = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    match keys.iter().find(|key| rule.get(**key).and_then(Value::as_str).is_none_or(str::is_empty)) {
        Some(key) => Err(format!("it has no {key}; each rule names its {}", keys.join(", "))),
        None => Ok(()),
    }
}

/// Examples are in the file itself, and are held against the patterns by the engine that compiles them.
fn patterns(path: &str, text: &str) -> Result<(), String> {
    if !path.ends_with(".yml") {
        return Err("patterns are a .yml file".to_owned());
    }
    names(text, &["service", "licence", "source"])
}

/// A rule in Sigma; id, licence and source are checked by the engine, which reads the form of each document.
fn sigma(path: &str, text: &str, files: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(stem) = path.strip_suffix(".cases.yml") {
        beside(&format!("{stem}.yml"), files)?;
        return cases(text);
    }
    let stem = path.strip_suffix(".yml").ok_or("a rule is a .yml file")?;
    if path.split('/').count() != 3 {
        return Err("a rule is in a folder of its area: sigma/AREA/NAME.yml".to_owned());
    }
    beside(&format!("{stem}.cases.yml"), files)
}

fn yara(path: &str, text: &str, files: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(stem) = path.strip_suffix(".cases.yml") {
        beside(&format!("{stem}.yar"), files)?;
        return cases(text);
    }
    let stem = path.strip_suffix(".yar").ok_or("a file rule is a .yar file")?;
    beside(&format!("{stem}.cases.yml"), files)
}

fn beside(path: &str, files: &BTreeMap<String, String>) -> Result<(), String> {
    if files.contains_key(path) {
        Ok(())
    } else {
        Err(format!("{path} is not beside it; a rule ships with its cases"))
    }
}

fn cases(text: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cases {
        fires: Vec<Value>,
        stays_quiet: Vec<Value>,
    }
    let cases: Cases = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    if cases.fires.len() < LEAST_FIRES || cases.stays_quiet.len() < LEAST_STAYS_QUIET {
        return Err(format!(
            "it needs {LEAST_FIRES} case that fires and {LEAST_STAYS_QUIET} that stay quiet, and has {} and {}",
            cases.fires.len(),
            cases.stays_quiet.len()
        ));
    }
    Ok(())
}

fn intel(manifest: &Manifest, path: &str, text: &str) -> Result<(), String> {
    if !path.ends_with(".csv") {
        return Err("a list is a .csv file".to_owned());
    }
    for key in ["# licence: ", "# source: "] {
        if !text.lines().take_while(|line| line.starts_with('#')).any(|line| line.starts_with(key)) {
            return Err(format!("its head has no line '{key}...'; each list names its licence and source"));
        }
    }
    let version = format!("# attack_version: {}", manifest.attack_version);
    if path == "intel/attack.csv" && !text.lines().any(|line| line == version) {
        return Err(format!("its head must say '{version}', the version that the manifest names"));
    }
    Ok(())
}

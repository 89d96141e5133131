//! From a bundle's texts to compiled rules, and rules against their cases.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use minesweep_content::{Bundle, FILE_LIMIT_BYTES, FILES_LIMIT};
use minesweep_detect::{ListedRule, RefusedRule, RuleLine, Rules};

use crate::{AgentError, Config, node::now_ms};

/// Loads a bundle, the built-in one or that of a folder, compiles its rules, and takes rules from elsewhere beside it.
/// Of those, what is refused is left out, and said.
///
/// # Errors
/// When a file is unreadable or a rule of the bundle is refused; the error names it.
pub fn load(config: &Config) -> Result<Arc<Rules>, AgentError> {
    Ok(Arc::new(crate::exceptions::applied(with_imported(config)?, &config.exceptions, now_ms())))
}

pub(crate) fn with_imported(config: &Config) -> Result<Rules, AgentError> {
    let bundle = bundle(config.content.as_deref())?;
    let Some(path) = &config.rules else { return Ok(Rules::compile(bundle.all())?) };
    let files = read(path).map_err(|source| AgentError::RuleFiles { path: path.clone(), source })?;
    let imported = files.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let (rules, refused) = Rules::compile_with(bundle.all(), imported)?;
    for RefusedRule { path, rule, reason } in refused {
        tracing::warn!(path, rule, reason, "a rule is refused and not used");
    }
    for line in files.refused {
        tracing::warn!(path = line.rule, reason = line.reason, "a file is refused and not used");
    }
    Ok(rules)
}

/// What the rules in use say of themselves.
///
/// # Errors
/// As [`load`].
pub fn rules_list(config: &Config) -> Result<Vec<ListedRule>, AgentError> {
    Ok(minesweep_detect::rules_list(&*load(config)?))
}

/// Runs rules against their cases: those of `path` (a file, a folder, a whole bundle), or all of the bundle in use.
///
/// # Errors
/// When files are unreadable, or the bundle in use is refused. A refused rule is a line, not an error.
pub fn rules_test(path: Option<&Path>, content: Option<&Path>) -> Result<Vec<RuleLine>, AgentError> {
    let Some(path) = path else {
        let bundle = bundle(content)?;
        return Ok(minesweep_detect::rules_test(&Arc::new(Rules::compile(bundle.all())?), bundle.all()));
    };
    let files = read(path).map_err(|source| AgentError::RuleFiles { path: path.to_owned(), source })?;
    let material = files.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let rules = Arc::new(Rules::compile(bundle(content)?.all())?);
    let mut lines = minesweep_detect::rules_test(&rules, material);
    lines.extend(files.refused);
    Ok(lines)
}

fn bundle(dir: Option<&Path>) -> Result<Bundle, AgentError> {
    Ok(match dir {
        Some(dir) => Bundle::from_dir(dir)?,
        None => Bundle::embedded()?,
    })
}

/// Rule files: path and text, and those that are no text a rule can be made of.
#[derive(Default)]
struct Files {
    texts: Vec<(String, String)>,
    refused: Vec<RuleLine>,
}

/// One file, or those in a folder and its folders; links are not followed. A bundle's manifest is no rule.
fn read(root: &Path) -> io::Result<Files> {
    let (mut waiting, mut files) = (vec![root.to_owned()], Files::default());
    while let Some(path) = waiting.pop() {
        let kind = fs::symlink_metadata(&path)?;
        if kind.is_dir() {
            let mut inner =
                fs::read_dir(&path)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<PathBuf>>>()?;
            inner.sort();
            waiting.extend(inner.into_iter().rev());
        } else if kind.is_file() && is_rule(&path) && path != root.join("manifest.yaml") {
            let name = path.display().to_string();
            match text(&path, kind.len())? {
                Ok(text) => files.texts.push((name, text)),
                Err(reason) => files.refused.push(refused(name, reason)),
            }
        }
        if files.texts.len() + files.refused.len() > FILES_LIMIT || waiting.len() > FILES_LIMIT {
            return Err(io::Error::other(format!("there are more than {FILES_LIMIT} files")));
        }
    }
    Ok(files)
}

/// The text of a file, or why it is none for a rule.
fn text(path: &Path, bytes: u64) -> io::Result<Result<String, String>> {
    if bytes > FILE_LIMIT_BYTES as u64 {
        return Ok(Err(format!("the file is larger than {FILE_LIMIT_BYTES} bytes; split it")));
    }
    let text = String::from_utf8(fs::read(path)?);
    Ok(text.map_err(|error| format!("the file is not UTF-8 text ({})", error.utf8_error())))
}

fn refused(rule: String, reason: String) -> RuleLine {
    RuleLine::refused(&rule, reason)
}

fn is_rule(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|e| ["yml", "yaml", "yar", "yara"].contains(&e))
}

#[cfg(test)]
mod tests {
    use minesweep_detect::RuleState;

    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_one_refused_line_and_a_manifest_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("manifest.yaml"), "format: 1\n").unwrap();
        fs::write(dir.path().join("good.yara"), "rule good { strings: $a = \"xyz\" condition: $a }").unwrap();
        fs::write(dir.path().join("bytes.yml"), [0xff, 0xfe]).unwrap();
        let lines = rules_test(Some(dir.path()), None).unwrap();
        let of =
            |state| lines.iter().filter(|l| l.state == state).map(|l| l.rule.as_str()).collect::<Vec<_>>();
        assert_eq!(of(RuleState::Loaded), ["yara:good"]);
        let refused = of(RuleState::Refused);
        assert!(refused.len() == 1 && refused[0].ends_with("/bytes.yml"), "{refused:?}");
    }

    #[test]
    fn the_folder_of_our_own_rules_passes() {
        let content = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
        let lines = rules_test(Some(&content), None).unwrap();
        assert!(lines.len() >= 10 && lines.iter().all(|line| line.is_right), "{lines:?}");
    }
}

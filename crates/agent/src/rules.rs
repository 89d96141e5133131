//! From a bundle's texts to compiled rules, and rules against their cases.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use minesweep_content::{Bundle, FILE_LIMIT_BYTES, FILES_LIMIT};
use minesweep_detect::{RuleLine, Rules};

use crate::AgentError;

/// Loads a bundle, the built-in one or that of a folder, and compiles its rules.
///
/// # Errors
/// When a file is unreadable or a rule is refused; the error names it.
pub fn load(dir: Option<&Path>) -> Result<Arc<Rules>, AgentError> {
    Ok(Arc::new(Rules::compile(bundle(dir)?.all())?))
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
    let material = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    Ok(minesweep_detect::rules_test(&load(content)?, material))
}

fn bundle(dir: Option<&Path>) -> Result<Bundle, AgentError> {
    Ok(match dir {
        Some(dir) => Bundle::from_dir(dir)?,
        None => Bundle::embedded()?,
    })
}

/// Path and text of one file, or of those in a folder and its folders; links are not followed.
fn read(path: &Path) -> io::Result<Vec<(String, String)>> {
    let (mut waiting, mut files) = (vec![path.to_owned()], Vec::new());
    while let Some(path) = waiting.pop() {
        let kind = fs::symlink_metadata(&path)?;
        if kind.is_dir() {
            let mut inner =
                fs::read_dir(&path)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<PathBuf>>>()?;
            inner.sort();
            waiting.extend(inner.into_iter().rev());
        } else if kind.is_file() && is_rule(&path) {
            if kind.len() > FILE_LIMIT_BYTES as u64 {
                return Err(io::Error::other(format!(
                    "{} is larger than a rule file may be",
                    path.display()
                )));
            }
            files.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
        if files.len() > FILES_LIMIT {
            return Err(io::Error::other(format!("there are more than {FILES_LIMIT} files")));
        }
    }
    Ok(files)
}

fn is_rule(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|e| ["yml", "yaml", "yar"].contains(&e))
}

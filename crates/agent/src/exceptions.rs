//! The folder of exceptions: read, applied to rules, listed, and tried against a recording.
//!
//! A file that cannot be trusted or understood is refused by name and the rest is used: one broken exception must turn
//! off neither the agent nor the others.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use minesweep_detect::{Exceptions, RefusedRule, Rules};
use minesweep_model::{Detection, Host, Report};
use serde::Serialize;

use crate::{AgentError, Config, replay};

/// Largest file of exceptions, bytes.
const FILE_LIMIT_BYTES: u64 = 1 << 20;
/// Most files of the folder that are read.
const FILES_LIMIT: usize = 1024;
/// Most detections that a preview names.
const NAMED_LIMIT: usize = 20;

/// One line of a list: an exception, or why a file is none.
#[derive(Debug, Serialize)]
pub struct ListedException {
    /// Its file.
    pub path: String,
    /// Its id, as far as it could be read.
    pub id: String,
    /// What it is.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is right.
    pub reason: String,
    /// Rules it is for.
    pub rules: Vec<String>,
    /// Hosts it is for.
    pub hosts: Vec<String>,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// From when on it hides nothing, Unix milliseconds.
    pub expires_ms: u64,
    /// It hides nothing any more.
    pub is_expired: bool,
    /// Why it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What an exception would have hidden.
#[derive(Debug, Default, Serialize)]
pub struct ExceptionPreview {
    /// Detections that were told.
    pub detections: u64,
    /// Those that it would have hidden.
    pub hidden: u64,
    /// The first of them.
    pub examples: Vec<Detection>,
}

/// Puts the exceptions of a folder over rules; what is refused or has ended is said.
pub(crate) fn applied(rules: Rules, folder: &Path, now_ms: u64) -> Rules {
    let (texts, unread) = texts(folder);
    let files = texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let (rules, refused) = rules.with_exceptions(files);
    for RefusedRule { path, rule, reason } in unread.into_iter().chain(refused) {
        tracing::warn!(path, exception = rule, reason, "an exception is refused and hides nothing");
    }
    for ended in rules.exceptions().all().iter().filter(|one| one.is_expired(now_ms)) {
        tracing::warn!(
            path = ended.path,
            exception = ended.id,
            owner = ended.owner,
            "an exception has ended and hides nothing; renew it or remove it"
        );
    }
    rules
}

/// What is in the folder of exceptions, with what is refused.
///
/// # Errors
/// When the rules that they are for cannot be loaded.
pub fn read_exceptions(config: &Config, now_ms: u64) -> Result<Vec<ListedException>, AgentError> {
    let (texts, unread) = texts(&config.exceptions);
    let files = texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let (rules, refused) = crate::rules::with_imported(config)?.with_exceptions(files);
    let mut listed: Vec<ListedException> = rules
        .exceptions()
        .all()
        .iter()
        .map(|one| ListedException {
            path: one.path.clone(),
            id: one.id.clone(),
            title: one.title.clone(),
            owner: one.owner.clone(),
            reason: one.reason.clone(),
            rules: one.rules.clone(),
            hosts: one.hosts.clone(),
            created_ms: one.created_ms,
            expires_ms: one.expires_ms,
            is_expired: one.is_expired(now_ms),
            refused: None,
        })
        .collect();
    listed.extend(unread.into_iter().chain(refused).map(|RefusedRule { path, rule, reason }| {
        ListedException {
            path,
            id: rule,
            title: String::new(),
            owner: String::new(),
            reason: String::new(),
            rules: Vec::new(),
            hosts: Vec::new(),
            created_ms: 0,
            expires_ms: 0,
            is_expired: false,
            refused: Some(reason),
        }
    }));
    Ok(listed)
}

/// What the exceptions of a text would have hidden of a recording: it runs without any, and each detection is asked
/// whether one of these covers it.
///
/// # Errors
/// When the text is refused, or the recording cannot be replayed.
pub fn preview_exceptions(
    text: &str,
    recording: &Path,
    config: &Config,
) -> Result<ExceptionPreview, AgentError> {
    let (exceptions, refused) = Exceptions::load([("the exception", text)]);
    if let Some(RefusedRule { rule, reason, .. }) = refused.into_iter().next() {
        return Err(AgentError::Exception { rule, reason });
    }
    let open = Config { exceptions: PathBuf::new(), ..config.clone() };
    let (mut preview, mut host) = (ExceptionPreview::default(), Host::default());
    replay(recording, &open, &mut |report| match report {
        Report::Host(told) => host = told,
        Report::Detection(detection) => {
            preview.detections += 1;
            if exceptions.hides(&detection, &host).is_some() {
                preview.hidden += 1;
                if preview.examples.len() < NAMED_LIMIT {
                    preview.examples.push(*detection);
                }
            }
        }
        Report::Incident { .. } | Report::Outcome(_) | Report::Load(_) => {}
    })?;
    Ok(preview)
}

/// Path and text of each file of the folder, by name, and what cannot be read. A folder that is not there is empty.
fn texts(folder: &Path) -> (Vec<(String, String)>, Vec<RefusedRule>) {
    let (mut texts, mut refused) = (Vec::new(), Vec::new());
    if folder.as_os_str().is_empty() {
        return (texts, refused);
    }
    let refuse = |path: &Path, reason: String| RefusedRule {
        path: path.display().to_string(),
        rule: path.display().to_string(),
        reason,
    };
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => {
            entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| is_ours(path)).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return (texts, vec![refuse(folder, format!("the folder cannot be read: {error}"))]),
    };
    paths.sort();
    if paths.len() > FILES_LIMIT {
        refused
            .push(refuse(folder, format!("only the first {FILES_LIMIT} of {} files are read", paths.len())));
        paths.truncate(FILES_LIMIT);
    }
    for path in paths {
        match text(&path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => refused.push(refuse(&path, error.to_string())),
        }
    }
    (texts, refused)
}

fn is_ours(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yml" || end == "yaml")
}

/// The text of one file. Whoever may write it decides what is told, so that only root and ourselves may.
fn text(path: &Path) -> io::Result<String> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits());
    let flags = no_follow.map_err(io::Error::other)?;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let known = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    if !known.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if known.uid() != 0 && known.uid() != own || known.mode() & 0o022 != 0 {
        return Err(io::Error::other("others than root may write it; chown root and chmod go-w it"));
    }
    if known.len() > FILE_LIMIT_BYTES {
        return Err(io::Error::other(format!("it is larger than {FILE_LIMIT_BYTES} bytes; split it")));
    }
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(&mut file, FILE_LIMIT_BYTES), &mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn good(id: &str) -> String {
        format!(
            "title: Ours\nid: {id}\nauthor: ops\ndescription: It is ours.\ndate: 2026-11-24\n\
             logsource: {{product: minesweep, service: detection}}\n\
             filter:\n    rules: [mining.stratum]\n    selection: {{Image: /opt/a}}\n    condition: selection\n\
             minesweep: {{expires: 2026-12-24, hosts: [any]}}\n"
        )
    }

    #[test]
    fn bad_files_are_refused_by_name_and_the_rest_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.yml"), good("a")).unwrap();
        fs::write(at("b.yml"), good("b").replace("author: ops\n", "")).unwrap();
        fs::write(at("c.yml"), good("c")).unwrap();
        fs::set_permissions(at("c.yml"), fs::Permissions::from_mode(0o666)).unwrap();
        std::os::unix::fs::symlink(at("a.yml"), at("d.yml")).unwrap();
        fs::write(at("e.txt"), "no exception").unwrap();
        let config = Config { exceptions: folder.path().to_owned(), ..Config::default() };
        let listed = read_exceptions(&config, 1_796_000_000_000).unwrap();
        let states: Vec<(bool, &str)> =
            listed.iter().map(|one| (one.refused.is_some(), one.path.rsplit('/').next().unwrap())).collect();
        assert_eq!(states, [(false, "a.yml"), (true, "c.yml"), (true, "d.yml"), (true, "b.yml")]);
        let ended = read_exceptions(&config, 1_900_000_000_000).unwrap();
        assert!(ended[0].is_expired && !listed[0].is_expired);
        assert_eq!(crate::load_rules(&config).unwrap().exceptions().all().len(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_empty() {
        let config = Config { exceptions: PathBuf::from("/nonexistent/exceptions"), ..Config::default() };
        assert!(read_exceptions(&config, 0).unwrap().is_empty());
    }
}

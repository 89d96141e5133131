//! The narrowest exception for a detection, from the detection itself or from its OCSF line.

use minesweep_model::{Detection, Host, Origin};
use serde::Deserialize;

use super::view::{files, user};
use crate::{ids, sigma::utc, tree::is_interpreter_path};

/// What an exception is made of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Line")]
pub struct Draft {
    rule: String,
    title: String,
    host: String,
    image: String,
    command_line: String,
    parent_image: String,
    user: String,
    container: String,
    remote_ip: String,
    file: String,
}

impl Draft {
    /// From a detection.
    pub fn of(detection: &Detection, host: &Host) -> Self {
        let subject = detection.subject.as_ref();
        let on_disk = subject.filter(|one| matches!(one.origin, Origin::Disk | Origin::OverlayUpper));
        let container = subject.and_then(|process| process.container.as_ref());
        let parent = detection.parent.as_ref();
        let own: Vec<&str> = subject.into_iter().chain(parent).map(|process| process.exe.as_str()).collect();
        Self {
            rule: detection.rule.clone(),
            title: detection.title.en.clone(),
            host: host.name.clone(),
            image: on_disk.map(|process| process.exe.clone()).unwrap_or_default(),
            command_line: subject.map(|process| process.argv.join(" ")).unwrap_or_default(),
            parent_image: parent
                .filter(|process| process.origin == Origin::Disk)
                .map(|process| process.exe.clone())
                .unwrap_or_default(),
            user: subject.map(|process| user(process.uid)).unwrap_or_default(),
            container: container.map(|container| container.id.clone()).unwrap_or_default(),
            remote_ip: detection.remote.map(|end| end.ip().to_canonical().to_string()).unwrap_or_default(),
            file: files(&detection.why.en, &own),
        }
    }

    /// The rule of the detection.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The text of the exception. Days are in UTC.
    ///
    /// # Errors
    /// When it is no detection, or nothing in it could make an exception narrow.
    pub fn text(
        &self,
        owner: &str,
        reason: &str,
        created_ms: u64,
        expires_ms: u64,
    ) -> Result<String, String> {
        if self.rule.is_empty() || self.host.is_empty() {
            return Err(
                "it is no detection of minesweep: it has no finding_info.analytic.uid or device.hostname"
                    .to_owned(),
            );
        }
        let selection = self.selection();
        let id = ids::uid(&self.host, &self.rule, None, created_ms, ids::thing(&selection));
        let mut text = String::new();
        for (key, value) in [
            ("title", format!("{} ({})", self.title, self.rule)),
            ("id", id),
            ("author", owner.to_owned()),
            ("description", reason.to_owned()),
            ("date", day(created_ms)),
        ] {
            text.push_str(&format!("{key}: {}\n", quoted(&value)));
        }
        text.push_str("logsource:\n    product: minesweep\n    service: detection\n");
        text.push_str(&format!("filter:\n    rules: [{}]\n", quoted(&self.rule)));
        text.push_str(&format!("    selection:\n{selection}    condition: not selection\n"));
        text.push_str(&format!("minesweep:\n    expires: {}\n", quoted(&day(expires_ms))));
        text.push_str(&format!("    hosts: [{}]\n", quoted(&self.host)));
        let (taken, refused) = super::Exceptions::load([("the exception", text.as_str())]);
        match refused.into_iter().next() {
            Some(refused) => Err(refused.reason),
            None if taken.is_empty() => Err("it is empty".to_owned()),
            None => Ok(text),
        }
    }

    /// Everything that is known of it, so that only the same thing again is hidden. What a program was told to do
    /// counts for interpreters only: others have arguments that change with each run.
    fn selection(&self) -> String {
        let is_script = is_interpreter_path(&self.image);
        let fields = [
            ("Image|cased", self.image.as_str()),
            ("CommandLine|cased", if is_script { &self.command_line } else { "" }),
            ("ParentImage|cased", &self.parent_image),
            ("User", &self.user),
            ("ContainerId", &self.container),
            ("RemoteIp", &self.remote_ip),
            ("TargetFilename|cased", &self.file),
        ];
        let lines = fields.iter().filter(|(_, value)| !value.is_empty());
        lines.map(|(key, value)| format!("        {key}: {}\n", quoted(&literal(value)))).collect()
    }
}

/// The day of a time, `2026-01-02`.
fn day(at_ms: u64) -> String {
    utc(at_ms).chars().take(10).collect()
}

/// A text that stands for itself in Sigma.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?")
}

/// A text in YAML.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The parts of an OCSF line that an exception is made of.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Line {
    finding_info: Finding,
    evidences: Vec<Evidence>,
    device: Device,
    unmapped: Unmapped,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Finding {
    title: String,
    desc: String,
    analytic: Analytic,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Analytic {
    uid: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Device {
    hostname: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Unmapped {
    process: Option<Odd>,
}

#[derive(Deserialize)]
struct Odd {
    origin: Origin,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Evidence {
    process: Option<Subject>,
    container: Option<Container>,
    src_endpoint: Option<End>,
    dst_endpoint: Option<End>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Subject {
    file: Option<File>,
    cmd_line: String,
    user: Option<User>,
    parent_process: Option<Box<Subject>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    path: String,
    is_deleted: bool,
}

#[derive(Deserialize)]
struct User {
    uid: String,
}

#[derive(Deserialize)]
struct Container {
    uid: String,
}

#[derive(Deserialize)]
struct End {
    ip: String,
}

impl From<Line> for Draft {
    fn from(line: Line) -> Self {
        let subject = line.evidences.into_iter().next().unwrap_or_default();
        let origin = line.unmapped.process.map(|odd| odd.origin).unwrap_or_default();
        let process = subject.process.unwrap_or_default();
        let path = |file: Option<File>| file.filter(|file| !file.is_deleted).map(|file| file.path);
        let exe = path(process.file).unwrap_or_default();
        let parent = process.parent_process.and_then(|parent| path(parent.file)).unwrap_or_default();
        let remote = subject.src_endpoint.or(subject.dst_endpoint);
        let file = files(&line.finding_info.desc, &[&exe, &parent]);
        let is_on_disk = matches!(origin, Origin::Disk | Origin::OverlayUpper);
        Self {
            rule: line.finding_info.analytic.uid,
            title: line.finding_info.title,
            host: line.device.hostname,
            image: if is_on_disk { exe } else { String::new() },
            command_line: process.cmd_line,
            parent_image: parent,
            user: process.user.map(|user| user.uid).map_or_else(String::new, named),
            container: subject.container.map(|container| container.uid).unwrap_or_default(),
            remote_ip: remote.map(|end| end.ip).unwrap_or_default(),
            file,
        }
    }
}

fn named(uid: String) -> String {
    if uid == "0" { "root".to_owned() } else { uid }
}

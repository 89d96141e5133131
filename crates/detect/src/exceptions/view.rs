//! A detection as an exception sees it.

use std::{borrow::Cow, collections::BTreeSet, net::SocketAddr};

use minesweep_model::{Detection, Origin, Process, Text};

use crate::sigma::{Field, Record, Service, Value};

/// Fields that a detection has.
pub(super) const FIELDS: [&str; 13] = [
    "Image",
    HASH,
    "CommandLine",
    "CurrentDirectory",
    "User",
    "Comm",
    "ContainerId",
    "ContainerRuntime",
    "ParentImage",
    "ParentCommandLine",
    "RemoteIp",
    "RemotePort",
    FILE,
];
/// The hash of the executable.
pub(super) const HASH: &str = "sha256";
/// The files that a detection names besides the executables, see [`files`].
pub(super) const FILE: &str = "TargetFilename";

/// What is about to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) rule: &'a str,
    pub(crate) subject: Option<&'a Process>,
    pub(crate) parent: Option<&'a Process>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) why: &'a Text,
    pub(crate) sha256: Option<&'a str>,
}

impl<'a> About<'a> {
    pub(super) fn of(detection: &'a Detection) -> Self {
        Self {
            rule: &detection.rule,
            subject: detection.subject.as_ref(),
            parent: detection.parent.as_ref(),
            remote: detection.remote,
            why: &detection.why,
            sha256: None,
        }
    }
}

/// The same as a record.
pub(super) struct View<'a> {
    pub(super) about: &'a About<'a>,
    pub(super) is_contained: bool,
}

impl Record for View<'_> {
    fn value(&self, field: &Field) -> Value<'_> {
        let About { subject, parent, remote, why, sha256, .. } = *self.about;
        let of = |process: Option<&'_ Process>, what: fn(&Process) -> String| {
            Value::of(process.map(what).unwrap_or_default())
        };
        let exe = |process: Option<&Process>| Value::of(process.map(|one| self.exe(one)).unwrap_or_default());
        match field.name.as_str() {
            "Image" => exe(subject),
            "ParentImage" => exe(parent),
            "CommandLine" => of(subject, |process| process.argv.join(" ")),
            "ParentCommandLine" => of(parent, |process| process.argv.join(" ")),
            "CurrentDirectory" => of(subject, |process| process.cwd.clone()),
            "User" => of(subject, |process| user(process.uid)),
            "Comm" => of(subject, |process| process.comm.clone()),
            "ContainerId" => of(subject, |process| {
                process.container.as_ref().map(|container| container.id.clone()).unwrap_or_default()
            }),
            "ContainerRuntime" => of(subject, |process| {
                process.container.as_ref().map(|container| container.runtime.clone()).unwrap_or_default()
            }),
            "RemoteIp" => {
                Value::of(remote.map(|end| end.ip().to_canonical().to_string()).unwrap_or_default())
            }
            "RemotePort" => Value::of(remote.map(|end| end.port().to_string()).unwrap_or_default()),
            HASH => Value::of(sha256.unwrap_or_default().to_owned()),
            FILE => {
                let own: Vec<&str> =
                    [subject, parent].into_iter().flatten().map(|process| process.exe.as_str()).collect();
                Value::of(files(&why.en, &own))
            }
            _ => Value::Absent,
        }
    }

    fn is_of(&self, _service: Service) -> bool {
        false
    }

    fn is_done(&self) -> bool {
        true
    }
}

impl View<'_> {
    /// A path names what runs only while the file is there: anybody may leave a deleted file or a memory file with a
    /// trusted name. In a container the file may be of the upper layer, since its exception names the container.
    fn exe(&self, process: &Process) -> Cow<'static, str> {
        match process.origin {
            Origin::Disk => Cow::Owned(process.exe.clone()),
            Origin::OverlayUpper if self.is_contained => Cow::Owned(process.exe.clone()),
            Origin::OverlayUpper | Origin::Memfd | Origin::Deleted | Origin::Kernel => Cow::Borrowed(""),
        }
    }
}

/// `root`, or the user id.
pub(super) fn user(uid: u32) -> String {
    if uid == 0 { "root".to_owned() } else { uid.to_string() }
}

/// The files that a sentence names besides `own`, in order of the alphabet and joined by spaces. All of them together:
/// whoever adds a second name to hide the first makes another text.
pub(super) fn files(sentence: &str, own: &[&str]) -> String {
    let is_end =
        |c: char| c.is_whitespace() || !c.is_ascii() || matches!(c, '"' | '\'' | '`' | ',' | ';' | '(' | ')');
    let files: BTreeSet<&str> = sentence
        .split(is_end)
        .map(|word| word.trim_end_matches(['.', ':', '!', '?']))
        .filter(|word| word.len() > 1 && word.starts_with('/') && !own.contains(word))
        .collect();
    files.into_iter().collect::<Vec<_>>().join(" ")
}

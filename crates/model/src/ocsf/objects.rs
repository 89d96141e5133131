//! OCSF objects that several classes use: device, process, container, endpoint, finding, ATT&CK technique.
//!
//! Each is built from one type of the model and keeps OCSF's names. A field that is not known is left out, never
//! sent empty; where OCSF demands a word all the same, it is `unknown`. Does not decide which class carries what.

use std::net::SocketAddr;

use serde::Serialize;

use super::unmapped::origin_is_deleted;
use crate::{Attack, Container, Detection, Host, Lang, Process, Scanned};

const UNKNOWN: &str = "unknown";

/// `Some` unless empty.
pub(super) fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[derive(Serialize)]
pub(super) struct Device<'a> {
    /// 0: whether it is a server or a desktop is not ours to guess.
    type_id: u32,
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_uid: Option<&'a str>,
    os: Os<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hw_info: Option<Hardware<'a>>,
}

#[derive(Serialize)]
struct Os<'a> {
    name: &'a str,
    type_id: u32,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_release: Option<&'a str>,
}

#[derive(Serialize)]
struct Hardware<'a> {
    cpu_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_type: Option<&'a str>,
}

impl<'a> Device<'a> {
    pub(super) fn of(host: &'a Host) -> Self {
        Self {
            type_id: 0,
            hostname: filled(&host.name).unwrap_or(UNKNOWN),
            uid: filled(&host.machine_id),
            boot_uid: filled(&host.boot_id),
            os: Os {
                name: filled(&host.os).unwrap_or("Linux"),
                type_id: 200,
                r#type: "Linux",
                kernel_release: filled(&host.kernel),
            },
            hw_info: (host.cpus > 0)
                .then(|| Hardware { cpu_count: host.cpus, cpu_type: filled(&host.cpu_model) }),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ProcessObject<'a> {
    pid: u32,
    /// The pid it sees of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_pid: Option<u32>,
    /// `PID-START`: unlike the pid, never used again until the machine restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    /// Words joined by one space; empty when there are none, as OCSF asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd_line: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_directory: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process: Option<Box<ProcessObject<'a>>>,
}

#[derive(Serialize)]
pub(super) struct File<'a> {
    name: &'a str,
    path: &'a str,
    type_id: u32,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Fingerprint<'a>>,
}

#[derive(Serialize)]
struct Fingerprint<'a> {
    algorithm_id: u32,
    algorithm: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
struct User {
    uid: String,
}

impl<'a> File<'a> {
    /// A file of which the path is known.
    pub(super) fn at(path: &'a str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        Self {
            name,
            path,
            type_id: 1,
            r#type: "Regular File",
            uid: None,
            is_deleted: false,
            size: None,
            hashes: Vec::new(),
        }
    }
}

impl<'a> File<'a> {
    /// A file in which rules matched, with its sums.
    pub(super) fn scanned(scanned: &'a Scanned) -> Self {
        let sums = [(1, "MD5", scanned.md5.as_str()), (3, "SHA-256", scanned.sha256.as_str())];
        let hashes = sums.into_iter().filter(|(_, _, value)| !value.is_empty());
        Self {
            uid: Some(format!("{}:{}", scanned.file.dev, scanned.file.inode)),
            size: Some(scanned.size_bytes),
            hashes: hashes
                .map(|(algorithm_id, algorithm, value)| Fingerprint { algorithm_id, algorithm, value })
                .collect(),
            ..Self::at(&scanned.path)
        }
    }
}

impl<'a> ProcessObject<'a> {
    /// A process; of its parent at least the pid when that is all there is.
    pub(super) fn of(process: &'a Process, parent: Option<&'a Process>) -> Self {
        let parent = match parent {
            Some(parent) => Some(Self::alone(parent)),
            None => (process.parent_pid != 0).then(|| Self::only_pid(process.parent_pid)),
        };
        Self { parent_process: parent.map(Box::new), ..Self::alone(process) }
    }

    /// With its container, for classes that have no other place for it.
    pub(super) fn with_container(self, process: &'a Process) -> Self {
        Self { container: process.container.as_ref().and_then(ContainerObject::of), ..self }
    }

    fn alone(process: &'a Process) -> Self {
        // `Process::unknown` has user id 0: that is no finding of root.
        let is_known = !process.exe.is_empty() || !process.comm.is_empty();
        Self {
            namespace_pid: process.inner_pid,
            uid: Some(format!("{}-{}", process.key.pid, process.key.start_ticks)),
            name: filled(&process.comm),
            file: File::of(process),
            cmd_line: Some(process.argv.join(" ")),
            working_directory: filled(&process.cwd),
            created_time: (process.started_ms != 0).then_some(process.started_ms),
            user: is_known.then(|| User { uid: process.uid.to_string() }),
            ..Self::only_pid(process.key.pid)
        }
    }

    fn only_pid(pid: u32) -> Self {
        Self {
            pid,
            namespace_pid: None,
            uid: None,
            name: None,
            file: None,
            cmd_line: None,
            working_directory: None,
            created_time: None,
            user: None,
            container: None,
            parent_process: None,
        }
    }
}

impl<'a> File<'a> {
    fn of(process: &'a Process) -> Option<Self> {
        let path = filled(&process.exe)?;
        let name = path.rsplit('/').next().and_then(filled).unwrap_or(path);
        Some(Self {
            name,
            path,
            type_id: 8,
            r#type: "Executable File",
            uid: process.file.map(|file| format!("{}:{}", file.dev, file.inode)),
            is_deleted: origin_is_deleted(process.origin),
            size: None,
            hashes: Vec::new(),
        })
    }
}

#[derive(Serialize)]
pub(super) struct ContainerObject<'a> {
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<&'a str>,
}

impl<'a> ContainerObject<'a> {
    pub(super) fn of(container: &'a Container) -> Option<Self> {
        Some(Self { uid: filled(&container.id)?, runtime: filled(&container.runtime) })
    }
}

#[derive(Serialize)]
pub(super) struct Endpoint {
    ip: String,
    port: u16,
}

impl Endpoint {
    /// An IPv4 address mapped into IPv6 is written as IPv4: that is what was on the wire.
    pub(super) fn of(address: SocketAddr) -> Self {
        Self { ip: address.ip().to_canonical().to_string(), port: address.port() }
    }
}

#[derive(Serialize)]
pub(super) struct FindingInfo<'a> {
    uid: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    analytic: Option<Analytic<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attacks: Vec<AttackObject<'a>>,
    created_time: u64,
    first_seen_time: u64,
    last_seen_time: u64,
}

#[derive(Serialize)]
struct Analytic<'a> {
    uid: &'a str,
    name: &'a str,
    type_id: u32,
    r#type: &'static str,
}

impl<'a> FindingInfo<'a> {
    pub(super) fn of(detection: &'a Detection, lang: Lang) -> Self {
        let seen = || detection.evidence.iter().map(|evidence| evidence.at_ms).chain([detection.at_ms]);
        Self {
            uid: &detection.uid,
            title: detection.title.of(lang),
            desc: filled(detection.why.of(lang)),
            analytic: Some(Analytic {
                uid: &detection.rule,
                name: detection.title.of(lang),
                type_id: 1,
                r#type: "Rule",
            }),
            attacks: detection.attacks.iter().map(AttackObject::of).collect(),
            created_time: detection.at_ms,
            first_seen_time: seen().min().unwrap_or(detection.at_ms),
            last_seen_time: seen().max().unwrap_or(detection.at_ms),
        }
    }

    /// A finding of which only the incident is known.
    pub(super) fn bare(uid: &'a str, title: &'a str, first_ms: u64, last_ms: u64) -> Self {
        Self {
            uid,
            title,
            desc: None,
            analytic: None,
            attacks: Vec::new(),
            created_time: first_ms,
            first_seen_time: first_ms,
            last_seen_time: last_ms,
        }
    }
}

#[derive(Serialize)]
pub(super) struct AttackObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tactic: Option<NameAndId<'a>>,
    technique: NameAndId<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_technique: Option<NameAndId<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

#[derive(Serialize)]
struct NameAndId<'a> {
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl<'a> AttackObject<'a> {
    /// `T1496.001` is OCSF's sub-technique of technique `T1496`; content names the sub-technique only.
    pub(super) fn of(attack: &'a Attack) -> Self {
        let named = NameAndId { uid: &attack.technique, name: filled(&attack.name) };
        let (technique, sub_technique) = match attack.technique.split_once('.') {
            Some((parent, _)) => (NameAndId { uid: parent, name: None }, Some(named)),
            None => (named, None),
        };
        Self {
            tactic: filled(&attack.tactic).map(|uid| NameAndId { uid, name: filled(&attack.tactic_name) }),
            technique,
            sub_technique,
            version: filled(&attack.version),
        }
    }
}

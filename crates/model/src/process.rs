//! A process as it was seen, and how it is told from a later one with the same pid.

use serde::{Deserialize, Serialize};

/// A process, safe against pid reuse. `start_ticks` is the start time since boot in hundredths of a second: field
/// 22 of `/proc/PID/stat`, and `task->start_boottime / 10^7` in the kernel, so both sensors name the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProcessKey {
    /// Process id (thread group) in the agent's pid namespace.
    pub pid: u32,
    /// Start time in USER_HZ (1/100 s) since boot.
    pub start_ticks: u64,
}

/// A file on this machine, whatever its name. `dev` is in the form of `stat` (`makedev`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileId {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
}

/// Where the executable's bytes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A file with a name.
    #[default]
    Disk,
    /// Written into a container's upper layer: not part of the image.
    OverlayUpper,
    /// An anonymous memory file.
    Memfd,
    /// A file whose last name was removed.
    Deleted,
    /// A kernel thread: there is no executable.
    Kernel,
}

/// The container a process runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Container {
    /// The runtime's id, 64 hexadecimal digits where the cgroup path shows them.
    pub id: String,
    /// `docker`, `podman`, `containerd`, `crio`, or empty when the path does not say.
    pub runtime: String,
}

/// What is known of one process. Strings from the process itself are lossy UTF-8 and bounded by the sensor
/// (argv 4 KiB in all, 128 words; path 4 KiB).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Process {
    /// Which process.
    pub key: ProcessKey,
    /// Parent's pid in the agent's namespace; 0 for none.
    pub parent_pid: u32,
    /// The pid the process sees of itself, when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_pid: Option<u32>,
    /// Effective user id.
    pub uid: u32,
    /// Path of the executable, without the kernel's ` (deleted)` mark.
    pub exe: String,
    /// The executable file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileId>,
    /// Where its bytes come from.
    #[serde(default)]
    pub origin: Origin,
    /// The name the kernel shows; the process may choose it.
    pub comm: String,
    /// Arguments; the process may overwrite them.
    pub argv: Vec<String>,
    /// Working directory; empty when unknown.
    #[serde(default)]
    pub cwd: String,
    /// Control group path; empty when unknown.
    #[serde(default)]
    pub cgroup: String,
    /// The container, read from the control group path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Start of the process, Unix milliseconds.
    pub started_ms: u64,
    /// Number of threads when last looked at; 0 when unknown.
    #[serde(default)]
    pub threads: u32,
    /// The user that logged in where this process descends from, whoever it runs as now; `None` outside a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// Pid of the leader of its session in the agent's namespace; 0 when unknown.
    #[serde(default)]
    pub session: u32,
    /// Missing from a plain listing of /proc though the kernel runs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_hidden: bool,
}

impl Process {
    /// A process of which only the key is known.
    pub fn unknown(key: ProcessKey) -> Self {
        Self {
            key,
            parent_pid: 0,
            inner_pid: None,
            uid: 0,
            exe: String::new(),
            file: None,
            origin: Origin::Disk,
            comm: String::new(),
            argv: Vec::new(),
            cwd: String::new(),
            cgroup: String::new(),
            container: None,
            started_ms: 0,
            threads: 0,
            login_uid: None,
            session: 0,
            is_hidden: false,
        }
    }
}

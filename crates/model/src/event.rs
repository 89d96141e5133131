//! What a sensor saw. One type for all sensors and for the recording, so that a replay is the run.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Direction, FileId, HidingSign, Origin, Outcome, Process, ProcessKey, Said, Scanned};

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// The kinds of event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The machine; first event of a run.
    Host(Host),
    /// A process that was there before the agent, or was found late; also sent again when more is known of it.
    Running(Box<Process>),
    /// A new process, a copy of its parent until it executes something.
    Fork {
        /// Who forked.
        parent: ProcessKey,
        /// The new process.
        child: ProcessKey,
    },
    /// A process became another program.
    Exec(Box<Process>),
    /// A process ended.
    Exit {
        /// Which.
        process: ProcessKey,
    },
    /// A process opened a connection.
    Connect(Flow),
    /// A process accepted a connection.
    Accept(Flow),
    /// First bytes of a flow.
    Bytes(FlowBytes),
    /// A flow ended.
    Closed {
        /// Socket cookie.
        cookie: u64,
    },
    /// What the bytes of a flow say; made by `traffic`, never recorded.
    Said(Box<Said>),
    /// Floating point rounding modes of a process.
    Rounding(Rounding),
    /// CPU time of the machine and its processes.
    Cpu(CpuSample),
    /// Use of a graphics processor by a process.
    Gpu(GpuUse),
    /// A memory map of a miner's size or kind.
    BigMap(BigMap),
    /// A write to a model-specific register.
    MsrWrite(MsrWrite),
    /// A write to a kernel setting that miners raise (`nr_hugepages`, `msr.allow_writes`).
    SettingWrite(SettingWrite),
    /// A process changed a file, or read one that is watched.
    File(Box<FileEvent>),
    /// A line of a log of this machine.
    Log(Box<LogLine>),
    /// Something that hides or is hidden.
    Hiding(Box<HidingSign>),
    /// The answer to a look at one process.
    Looked(Box<Looked>),
    /// A file in which file rules matched.
    Scanned(Box<Scanned>),
    /// Records lost since the last report.
    Lost(HookCount),
    /// What the responder did; the engine notes it on the incident, which is contained once all its processes are
    /// stopped or gone.
    Outcome(Box<Outcome>),
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Host {
    /// Host name.
    pub name: String,
    /// `/etc/machine-id`, or empty.
    pub machine_id: String,
    /// Boot id.
    pub boot_id: String,
    /// Kernel release.
    pub kernel: String,
    /// Name and version of the distribution.
    pub os: String,
    /// Logical processors.
    pub cpus: u32,
    /// Processor model.
    pub cpu_model: String,
    /// The sensor in use: `bpf` or `proc`.
    pub sensor: String,
    /// What cannot be seen here, and why.
    pub blind: Vec<Blind>,
}

/// Something this host does not let us see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Blind {
    /// What is not seen: `exec`, `connect`, `bytes`, `rounding`, `maps`, `msr`, `gpu`, ...
    pub what: String,
    /// Why, and the remedy, in one sentence.
    pub why: crate::Text,
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A connection and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Socket cookie: unique on a machine until it restarts.
    pub cookie: u64,
    /// The process; `None` when it was not seen to open it.
    pub process: Option<ProcessKey>,
    /// This end; port 0 when not yet bound.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Transport.
    pub protocol: Protocol,
}

/// Bytes of a flow, in order of the stream as the kernel passed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowBytes {
    /// Socket cookie.
    pub cookie: u64,
    /// The process when the socket knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessKey>,
    /// Out: sent by this end.
    pub direction: Direction,
    /// TCP sequence number of the first byte; 0 for UDP. Lets the reader order and drop repeats.
    pub sequence: u32,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Transport.
    pub protocol: Protocol,
    /// The bytes, cut to the sensor's limit.
    pub bytes: Bytes,
    /// Bytes of this packet that were not copied.
    #[serde(default)]
    pub cut: u32,
}

/// How often a process was seen in each x87/SSE rounding mode since the last report: nearest, down, up, to zero
/// (MXCSR.RC 0 to 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounding {
    /// Which process.
    pub process: ProcessKey,
    /// Samples by mode.
    pub samples: [u32; 4],
}

/// CPU time used since the last sample.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuSample {
    /// Length of the sample, milliseconds of wall time.
    pub over_ms: u64,
    /// Busy time of all processors (user, nice, system, irq; no idle, iowait, steal), milliseconds.
    pub busy_ms: u64,
    /// Logical processors that were on.
    pub cpus: u32,
    /// Time of processes that ended inside the sample, milliseconds, where the sensor knows it.
    pub ended_ms: u64,
    /// Processes that used at least 1 % of one processor, most first, at most 256.
    pub processes: Vec<ProcessCpu>,
    /// Time of all visible processes, also those not listed, milliseconds.
    pub visible_ms: u64,
}

/// CPU time of one process within a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessCpu {
    /// Which process.
    pub process: ProcessKey,
    /// CPU time in the sample, milliseconds.
    pub cpu_ms: u64,
    /// CPU time since it started, milliseconds.
    pub total_ms: u64,
    /// Threads.
    pub threads: u32,
    /// Voluntary context switches in the sample.
    pub voluntary: u64,
    /// Involuntary context switches in the sample.
    pub involuntary: u64,
    /// Resident memory, KiB.
    pub rss_kib: u64,
}

/// Use of a graphics processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuUse {
    /// Which process.
    pub process: ProcessKey,
    /// Driver and device, e.g. `amdgpu 0000:03:00.0`.
    pub device: String,
    /// Engine time in the sample, milliseconds.
    pub busy_ms: u64,
    /// Length of the sample, milliseconds.
    pub over_ms: u64,
}

/// A memory map that only few programs make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BigMap {
    /// Who mapped.
    pub process: ProcessKey,
    /// Length, bytes.
    pub length_bytes: u64,
    /// With `MAP_HUGETLB`.
    pub is_huge: bool,
    /// With `MAP_POPULATE`.
    pub is_populated: bool,
    /// The descriptor argument; xmrig passes 0 for an anonymous map, libraries pass -1.
    pub fd: i32,
}

/// A write to `/dev/cpu/N/msr`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsrWrite {
    /// Who wrote.
    pub process: ProcessKey,
    /// Register: the file offset.
    pub register: u64,
    /// Value, where it could be read.
    pub value: Option<u64>,
    /// The kernel took it.
    pub is_done: bool,
}

/// A write to a kernel setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingWrite {
    /// Who wrote.
    pub process: ProcessKey,
    /// Path as opened.
    pub path: String,
    /// What was written, where it could be read.
    pub value: Option<String>,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAct {
    /// It was made new.
    Create,
    /// It was opened for writing; its content may differ from now on.
    Write,
    /// It was opened for reading; told of watched files only.
    Read,
    /// It got another name: `path` is the old one, `other` the new one.
    Rename,
    /// It got one more name: `path` is the file, `other` the new name.
    Link,
    /// A symbolic link was made: `path` is the link, `other` what it points to.
    Symlink,
    /// A name was removed.
    Remove,
    /// Its permissions changed: `value` is the new mode.
    Mode,
    /// Its owner changed: `value` is the new user id in the low and the group id in the high 32 bits.
    Owner,
    /// An extended attribute was set or removed: `other` is its name.
    Xattr,
    /// Its inode flags (`chattr`) were set: `value` is the new set.
    Flags,
    /// Something was mounted on it: `other` is what.
    Mount,
    /// What was mounted on it was taken away.
    Unmount,
    /// An anonymous memory file was made: `path` is the name given to it.
    Memfd,
}

/// A process changed a file, or read one that is watched. Paths are those the process named, made absolute by its
/// working directory or the folder's descriptor where the sensor can; lossy UTF-8, at most 4 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEvent {
    /// Who did it.
    pub process: ProcessKey,
    /// What was done.
    pub act: FileAct,
    /// The file.
    pub path: String,
    /// The second name, target or attribute, as the act says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// The file itself, where the sensor knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileId>,
    /// The new mode, owner or flags, as the act says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// The kernel did it; false when it was refused.
    pub is_done: bool,
    /// The caller's namespace of mounts, by its inode, where it is not that of the agent: its paths lead elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<u32>,
    /// The bytes of the path that the file has now, where they are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Bytes>,
}

impl FileEvent {
    /// The path that has other content than before, or is new; none when only what is known of a file changed.
    pub fn made(&self) -> Option<&str> {
        match self.act {
            FileAct::Create | FileAct::Write | FileAct::Symlink => Some(&self.path),
            FileAct::Rename | FileAct::Link => self.other.as_deref(),
            FileAct::Read
            | FileAct::Remove
            | FileAct::Mode
            | FileAct::Owner
            | FileAct::Xattr
            | FileAct::Flags
            | FileAct::Mount
            | FileAct::Unmount
            | FileAct::Memfd => None,
        }
    }
}

/// A line of a log of this machine, without its time stamp. The text is lossy UTF-8, at most 8 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Where it stood: path of the file, or `journal`.
    pub source: String,
    /// The program that logged, as the log names it: `sshd`, `CRON`, `sudo`.
    pub program: String,
    /// Its pid in its own namespace, where the log names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The message.
    pub text: String,
}

/// What a look at one process found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// The process, read anew.
    pub process: Process,
    /// Other ends of its established TCP connections, in its own network namespace, loopback included.
    pub peers: Vec<SocketAddr>,
    /// Pools, wallets and the like found in argv, configuration and memory.
    pub clues: Vec<Clue>,
    /// File rules that matched the executable, its scripts or configuration.
    pub hits: Vec<FileHit>,
    /// SHA-256 of the executable, hexadecimal.
    pub sha256: Option<String>,
    /// Sizes of private maps of at least 2 MiB, bytes, at most 64, largest first.
    pub maps_bytes: Vec<u64>,
    /// Maps that are writable and executable and anonymous.
    pub rwx_maps: u32,
    /// What could not be read, and why.
    pub unread: Vec<String>,
    /// Standard input, output and errors of a shell or interpreter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stdio: Vec<Stdio>,
}

/// Where one of the first three descriptors of a process leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stdio {
    /// 0, 1 or 2.
    pub fd: u32,
    /// What it is.
    pub kind: StdioKind,
    /// The other end of the connection that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
    /// Processes that hold the other end of the pipe or terminal, and a connection besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<Relay>,
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdioKind {
    /// A TCP connection.
    Tcp,
    /// Another socket.
    Socket,
    /// A pipe, with or without a name.
    Pipe,
    /// A terminal that a process serves.
    Pty,
    /// Anything else: a file, a console, nothing.
    Other,
}

/// A process between a shell and a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// Which process.
    pub process: ProcessKey,
    /// Path of its executable.
    pub exe: String,
    /// The other end of its connection.
    pub remote: SocketAddr,
    /// It was connected to: something listens on our end's port.
    pub is_accepted: bool,
}

/// Where a clue stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClueSource {
    /// Arguments.
    Argv,
    /// A file that it names in its arguments or holds open.
    File(String),
    /// A file in its folder, its working folder or its owner's home: anybody's, unless something else says the same.
    Beside(String),
    /// Memory of the process.
    Memory,
}

/// A thing miners carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clue {
    /// Pool address, `host:port`.
    Pool(String, ClueSource),
    /// Wallet or login.
    Wallet(String, ClueSource),
    /// Worker or rig name.
    Worker(String, ClueSource),
    /// Algorithm, e.g. `rx/0`.
    Algorithm(String, ClueSource),
}

/// A file rule that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHit {
    /// Rule id.
    pub rule: String,
    /// The file as seen by the agent.
    pub path: String,
    /// Where its bytes come from.
    pub origin: Origin,
    /// It lies near the process, which neither names it nor holds it open.
    #[serde(default)]
    pub is_beside: bool,
}

/// Records of one hook: made by the kernel, seen by us, lost and counted. `made == seen + lost` or it is a defect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HookCount {
    /// Hook, e.g. `exec`.
    pub hook: String,
    /// Records the hook wanted to send.
    pub made: u64,
    /// Records that arrived.
    pub seen: u64,
    /// Records for which there was no room.
    pub lost: u64,
}

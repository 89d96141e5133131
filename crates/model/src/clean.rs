//! Eradication in data: what lies where, what is to be done about it and why, and what came of it.
//!
//! `host` fills a [`Survey`], `detect` makes a [`CleanPlan`] of it, `respond` carries the [`Remedy`]s out. Paths are raw
//! bytes, seen from the root that was surveyed (`/`, or a mounted disk): an attacker names files as he likes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Bytes, FileId, HidingFact, Process, Text};

/// What kind of thing lies at a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A regular file.
    #[default]
    File,
    /// A symbolic link, with what it holds.
    Link(Bytes),
    /// A folder.
    Folder,
    /// A FIFO, socket or device.
    Special,
}

/// Something on disk as it was when it was judged. A change is refused when it is no longer that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Place {
    /// Absolute path below the surveyed root.
    pub path: Bytes,
    /// Device and inode; device 0 where nobody looked.
    pub file: Option<FileId>,
    /// What it is.
    pub form: Form,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of a regular file's content, hexadecimal; empty when it was not read (too large, or no file).
    pub sha256: String,
}

/// One line of a text file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TextLine {
    /// From 1.
    pub number: u32,
    /// Without its line feed, at most 4096 bytes.
    pub text: Bytes,
}

/// One change to a disk or to a service. Each has an inverse, or says why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Take a file, link or empty folder out of its place into the store. Inverse: `Restore`.
    Quarantine {
        /// Which.
        place: Place,
    },
    /// Put an item of the store back with all it had: bytes, mode, owner, times, xattrs, attributes.
    Restore {
        /// Item of the store.
        item: u64,
        /// Where it was.
        path: Bytes,
    },
    /// Drop whole lines of a text file; every other byte stays. Inverse: `Restore` of the whole file as it was.
    DropLines {
        /// The file.
        place: Place,
        /// The lines, ascending.
        lines: Vec<TextLine>,
    },
    /// Give a replaced file the content of another one on this host that still has the package's digest. Inverse:
    /// `Restore` of what was there.
    Replace {
        /// The replaced file.
        place: Place,
        /// Where the right content lies.
        from: Place,
    },
    /// Set the inode flags of `chattr` (FS_IOC_SETFLAGS). Inverse: the same with both values exchanged.
    SetFlags {
        /// The file or folder.
        place: Place,
        /// Flags from now on.
        flags: u32,
        /// Flags as they were.
        was: u32,
    },
    /// Take a mount away that hides something. Inverse: none; it only hid what is now seen.
    Unmount {
        /// Mount point.
        point: Bytes,
        /// Id in mountinfo; 0 for the one on top, whatever its id.
        id: u64,
        /// What was mounted there.
        source: Bytes,
    },
    /// Stop a unit through the service manager. Inverse: `StartUnit` where it was active.
    StopUnit {
        /// Its name.
        unit: String,
    },
    /// Start a unit.
    StartUnit {
        /// Its name.
        unit: String,
    },
    /// Have the service manager read its files again.
    ReloadUnits,
}

/// What a survey found at a place that can start a program, let somebody in, or deceive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spot {
    /// A line of a crontab, system or user.
    CronLine,
    /// A script of /etc/cron.{hourly,daily,weekly,monthly}, rc.local, init.d, motd, udev or a package manager's hooks.
    Script,
    /// A unit file: service, timer, socket, path.
    Unit,
    /// A drop-in of a unit.
    DropIn,
    /// A link that has a unit started (`*.wants`, `*.requires`).
    UnitLink,
    /// A line of /etc/ld.so.preload.
    PreloadLine,
    /// A library that is preloaded.
    PreloadLibrary,
    /// A line of a shell's start files, profile.d and /etc/environment included.
    ShellLine,
    /// A line of an authorized_keys file.
    Key,
    /// A line of /etc/passwd.
    User,
    /// A line of sudoers or of a file of sudoers.d.
    Sudoers,
    /// A line of /etc/hosts.
    HostsLine,
    /// A file in a place where programs hide: tmp-like folders.
    Hideout,
    /// A command that is not what its package holds.
    Command,
    /// Where the right content of such a command lies.
    Original,
}

/// A thing of a survey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub spot: Spot,
    /// Where.
    pub place: Place,
    /// Which line of it; none for the whole file.
    pub line: Option<TextLine>,
    /// Absolute paths that it runs, loads or names; at most 32.
    pub names: Vec<Bytes>,
    /// Account it belongs to; empty where it has none.
    pub user: String,
    /// Inode flags (`FS_IOC_GETFLAGS`); 0 where there are none.
    pub flags: u32,
    /// Last change of the inode, Unix milliseconds.
    pub changed_ms: u64,
    /// A library that takes the place of the functions that list folders.
    pub hides: bool,
}

/// What a host or a disk looks like to whoever must clean it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// A disk that does not run: no processes, no mounts.
    pub is_offline: bool,
    /// The things, by path and line.
    pub items: Vec<Item>,
    /// Running processes, with what is known of them; empty offline.
    pub processes: Vec<Process>,
    /// Packages of the paths that items and processes name, where there is one.
    pub owned: BTreeMap<Bytes, String>,
    /// Files and folders with the flags `i` or `a`, and their flags.
    pub locked: Vec<(Place, u32)>,
    /// What hides or deceives.
    pub facts: Vec<HidingFact>,
    /// What could not be looked at, with the reason; at most 256.
    pub blind: Vec<String>,
}

/// What a step of a plan does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// Stop a process where it is.
    Freeze(Box<Process>),
    /// End a process; all of a plan in one pass.
    Kill(Box<Process>),
    /// Change a disk or a service.
    Change(Box<Remedy>),
}

/// Order of the work: what revives is stopped before what is revived. The numbers C14 to C42 of the field's handbooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Stop what runs, so that nothing revives.
    Freeze,
    /// Mounts, attributes, preload: what deceives or locks.
    Unhook,
    /// What would start it again.
    Unroot,
    /// End what is frozen, in one pass.
    Kill,
    /// Take the files away.
    Remove,
    /// Keys, accounts, rights.
    Access,
    /// Commands, names, settings.
    Repair,
}

/// How much a step can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Touches nothing but the intrusion.
    Low,
    /// Touches a file or service that others use.
    Medium,
    /// A person should look first; not applied unless the edited plan says so.
    Review,
}

/// A step with its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleanStep {
    /// From 1, in the plan's order.
    pub id: u32,
    /// When in the order.
    pub phase: Phase,
    /// What it does.
    pub does: Does,
    /// Why, for a person.
    pub reason: Text,
    /// What links it to the intrusion: step ids, paths, detections; at most 16.
    pub evidence: Vec<String>,
    /// How much it can break.
    pub risk: Risk,
    /// Units and accounts that others use and it touches.
    pub touches: Vec<String>,
}

/// A plan to be read, edited and applied. `v` is [`crate::FORMAT`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CleanPlan {
    /// Version of this form.
    pub v: u32,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Root that it is about: `/` or a mounted disk.
    pub root: Bytes,
    /// Incidents and detections that asked for it.
    pub causes: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<CleanStep>,
    /// What was seen and left alone, with the reason; for a person.
    pub kept: Vec<Text>,
    /// What could not be looked at.
    pub blind: Vec<String>,
}

impl Remedy {
    /// What it is about: a path, or the name of a unit; empty for the service manager itself.
    pub fn subject(&self) -> &[u8] {
        match self {
            Self::Quarantine { place }
            | Self::DropLines { place, .. }
            | Self::Replace { place, .. }
            | Self::SetFlags { place, .. } => &place.path.0,
            Self::Restore { path, .. } | Self::Unmount { point: path, .. } => &path.0,
            Self::StopUnit { unit } | Self::StartUnit { unit } => unit.as_bytes(),
            Self::ReloadUnits => &[],
        }
    }
}

//! What a look for hidden things found: facts, with what is known of who owns them.
//!
//! A fact is no accusation. Packages preload libraries, administrators make files immutable, and drivers are built
//! outside the kernel; the engine knows which of it is usual.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{ProcessKey, Protocol};

/// Something that hides, or is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HidingSign {
    /// The process it is about, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessKey>,
    /// What was found.
    pub fact: HidingFact,
}

/// Which package a file is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// This one.
    Package(String),
    /// None: the package database was read and does not name it.
    Nobody,
    /// There is no package database that we read, or the file is not of this machine's file tree.
    Unknown,
}

/// The kinds of fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HidingFact {
    /// The file that the process runs and whose it is.
    Runs {
        /// The executable.
        path: String,
        /// Its package.
        owner: Owner,
    },
    /// A mount on or below /proc.
    ProcMount(ProcMount),
    /// A library that the dynamic linker is told to load first.
    Preload {
        /// Who tells it: `/etc/ld.so.preload`, or `environment`.
        by: String,
        /// The library, as written there.
        library: String,
        /// Its package.
        owner: Owner,
        /// The file exists.
        exists: bool,
    },
    /// A library without a package that many processes have loaded.
    Mapped {
        /// The library.
        library: String,
        /// Processes that have it.
        processes: u32,
        /// Processes that load libraries at all.
        of: u32,
    },
    /// A system program or library whose content is not what its package brought.
    Replaced {
        /// The file.
        path: String,
        /// Its package.
        package: String,
        /// What is there instead, when it is a link to a file that no package owns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// Where the original lies, when it was found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        original: Option<String>,
    },
    /// A kernel module that not all lists of the kernel name.
    Module {
        /// Its name.
        name: String,
        /// Lists that name it.
        seen_in: Vec<String>,
        /// Lists that do not.
        missing_in: Vec<String>,
    },
    /// A loaded kernel module and where its file is.
    ModuleFile {
        /// Its name.
        name: String,
        /// Its file below /lib/modules; `None` when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Whose the file is.
        owner: Owner,
    },
    /// The kernel says it is tainted by modules, and no loaded module says it is the cause.
    Taint {
        /// Bits as in `/proc/sys/kernel/tainted`.
        bits: u64,
    },
    /// A file that cannot be changed or removed, or only be added to.
    Locked {
        /// The file.
        path: String,
        /// Cannot be changed at all; else only be added to.
        is_immutable: bool,
        /// Its package.
        owner: Owner,
    },
    /// A file in a folder that was listed.
    Name {
        /// Its path, lossy.
        path: String,
    },
    /// A socket that listens.
    Socket {
        /// Where.
        local: SocketAddr,
        /// Transport.
        protocol: Protocol,
        /// The kernel's table in /proc names it; the kernel itself always does.
        is_in_table: bool,
    },
}

/// A mount on or below /proc.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcMount {
    /// Where.
    pub point: String,
    /// Kind of file system.
    pub kind: String,
    /// Folder of it that is mounted.
    pub root: String,
    /// `hidepid` as set there; `None` when processes are shown to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidepid: Option<String>,
    /// The machine's /etc/fstab asks for `hidepid`.
    pub is_in_fstab: bool,
}

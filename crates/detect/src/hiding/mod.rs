//! What of the facts about hiding means something, and which rule says so.
//!
//! Pure: one fact in, at most a few signs out; nothing is remembered. What honest machines do as well (packaged
//! preloads, drivers built by DKMS, an immutable resolv.conf, containers with mounts of their own) gives no sign or a
//! low one (docs/spec/hiding.md).

mod agents;
mod facts;
mod names;
mod places;
mod words;

use minesweep_model::Text;

pub(crate) use self::{
    agents::removal,
    facts::{fact, file},
    names::names,
};

/// Ids of the rules of this module.
pub(crate) const RULES: [&str; 18] = [
    KERNEL_THREAD_NAME,
    NAME_SPOOF,
    ODD_NAME,
    WORN_NAME,
    PROC_MOUNT,
    PROC_HIDEPID,
    PRELOAD,
    UNOWNED_LIBRARY,
    REPLACED_COMMAND,
    HIDDEN_MODULE,
    MODULE_WITHOUT_FILE,
    UNOWNED_MODULE,
    KERNEL_TAINT,
    IMMUTABLE_FILE,
    HIDDEN_SOCKET,
    OWNERLESS_SOCKET,
    HIDDEN_PROCESS,
    AGENT_REMOVED,
];

const KERNEL_THREAD_NAME: &str = "evasion.kernel-thread-name";
const NAME_SPOOF: &str = "evasion.name-spoof";
const ODD_NAME: &str = "evasion.odd-name";
const WORN_NAME: &str = "evasion.worn-name";
const PROC_MOUNT: &str = "evasion.proc-mount";
const PROC_HIDEPID: &str = "evasion.proc-hidepid";
const PRELOAD: &str = "evasion.preload";
const UNOWNED_LIBRARY: &str = "evasion.unowned-library";
const REPLACED_COMMAND: &str = "evasion.replaced-command";
const HIDDEN_MODULE: &str = "evasion.hidden-module";
const MODULE_WITHOUT_FILE: &str = "evasion.module-without-file";
const UNOWNED_MODULE: &str = "evasion.unowned-module";
const KERNEL_TAINT: &str = "evasion.kernel-taint";
const IMMUTABLE_FILE: &str = "evasion.immutable-file";
const HIDDEN_SOCKET: &str = "evasion.hidden-socket";
const OWNERLESS_SOCKET: &str = "evasion.ownerless-socket";
const HIDDEN_PROCESS: &str = "evasion.hidden-process";
const AGENT_REMOVED: &str = "evasion.agent-removed";

/// A fact that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sign {
    /// The rule that says so.
    pub(crate) rule: &'static str,
    /// What was seen.
    pub(crate) why: Text,
    /// Tells apart what one process does twice.
    pub(crate) thing: String,
}

impl Sign {
    fn new(rule: &'static str, thing: &str, why: Text) -> Self {
        Self { rule, why, thing: thing.to_owned() }
    }
}

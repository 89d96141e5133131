//! The words of Minesweep: what was seen, what it means, what is to be done, and what came of it.
//!
//! Only data and its JSON form. Time arrives on the event, bytes as bytes; nothing here reads a clock, a file or
//! a socket, so a recorded run replays to the same answer. Every stored form carries [`FORMAT`].

mod action;
mod bytes;
pub mod clean;
mod detection;
mod event;
mod gpu_round;
mod hiding;
mod incident;
pub mod ocsf;
mod process;
mod report;
mod said;
mod scanned;
mod stage;
mod text;

pub use action::{Action, Mode, Outcome, OutcomeState, Plan, Step};
pub use bytes::Bytes;
pub use detection::{Attack, Detection, Evidence, Group, Severity};
pub use event::{
    BigMap, Blind, Clue, ClueSource, CpuSample, Event, FileAct, FileEvent, FileHit, Flow, FlowBytes, GpuUse,
    HookCount, Host, LogLine, Looked, MsrWrite, ProcessCpu, Protocol, Relay, Rounding, SettingWrite, Stdio,
    StdioKind, What,
};
pub use gpu_round::{DEVICE_BYTES, GpuRound, ROUND_BYTES, ROUND_SOCKET, ROUND_USES, RoundUse};
pub use hiding::{HidingFact, HidingSign, Owner, ProcMount};
pub use incident::{Change, Entry, Incident, IncidentState, Kind, Mining};
pub use process::{Container, FileId, Origin, Process, ProcessKey};
pub use report::{ExceptionCount, Load, Report};
pub use said::{Direction, Role, Said, Stratum, StratumVerb, Utterance};
pub use scanned::{FileRuleMatch, Occasion, Scanned};
pub use stage::Stage;
pub use text::{Lang, Text};

/// Version of every stored or sent form made of these types. A reader takes this one and the one before.
pub const FORMAT: u32 = 1;

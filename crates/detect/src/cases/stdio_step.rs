//! The descriptors of a shell in a case.

use std::net::SocketAddr;

use minesweep_model::{ProcessKey, Relay, Stdio, StdioKind};
use serde::Deserialize;

/// Where a descriptor leads.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StdioStep {
    fd: u32,
    kind: StdioKind,
    remote: Option<SocketAddr>,
    #[serde(default)]
    relays: Vec<RelayStep>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RelayStep {
    pid: u32,
    exe: String,
    remote: SocketAddr,
    #[serde(default)]
    is_accepted: bool,
}

impl StdioStep {
    pub(super) fn stdio(&self) -> Stdio {
        let relay = |step: &RelayStep| Relay {
            process: ProcessKey { pid: step.pid, start_ticks: u64::from(step.pid) },
            exe: step.exe.clone(),
            remote: step.remote,
            is_accepted: step.is_accepted,
        };
        let relays = self.relays.iter().map(relay).collect();
        Stdio { fd: self.fd, kind: self.kind, remote: self.remote, relays }
    }
}

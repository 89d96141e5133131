//! A connection in a case.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use minesweep_model::{Bytes, Direction, Flow, FlowBytes, ProcessKey, Protocol, What};
use serde::Deserialize;

/// A connection that is opened or accepted.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FlowStep {
    pid: u32,
    /// Each repetition counts on from it.
    cookie: u64,
    /// `{n}` is the number of the repetition, from 1.
    remote: String,
    /// Our port; `{n}` as above.
    local_port: String,
}

impl Default for FlowStep {
    fn default() -> Self {
        Self {
            pid: super::steps::PID,
            cookie: 1,
            remote: "203.0.113.9:443".to_owned(),
            local_port: "40000".to_owned(),
        }
    }
}

impl FlowStep {
    /// The connection of the repetition of that number, from 1.
    pub(super) fn flow(&self, number: u32) -> Result<Flow, String> {
        let put = |text: &String| text.replace("{n}", &number.to_string());
        let remote = put(&self.remote).parse().map_err(|_| format!("{} is no address", self.remote))?;
        let port = put(&self.local_port).parse().map_err(|_| format!("{} is no port", self.local_port))?;
        Ok(Flow {
            cookie: self.cookie.saturating_add(u64::from(number)).saturating_sub(1),
            process: Some(ProcessKey { pid: self.pid, start_ticks: u64::from(self.pid) }),
            local: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), port),
            remote,
            protocol: Protocol::Tcp,
        })
    }
}

/// The other side of a connection says something; repetitions count on.
pub(super) fn answered(cookie: u64, number: u32) -> What {
    What::Bytes(FlowBytes {
        cookie: cookie.saturating_add(u64::from(number)).saturating_sub(1),
        process: None,
        direction: Direction::In,
        sequence: 0,
        local: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 40_000),
        remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), 443),
        protocol: Protocol::Tcp,
        bytes: Bytes(b"hello".to_vec()),
        cut: 0,
    })
}

//! What the reader of NVIDIA's library tells the agent: a round of samples, one packet of JSON on a local socket.
//!
//! Both programs take the form from here. The socket keeps packets apart, so a round arrives whole or not at all.

use serde::{Deserialize, Serialize};

/// Largest packet, bytes; a full round of the longest names is below half of it.
pub const ROUND_BYTES: usize = 64 * 1024;

/// Most uses in a round.
pub const ROUND_USES: usize = 256;

/// Longest name of a device that is sent, bytes.
pub const DEVICE_BYTES: usize = 48;

/// Name of the socket in the run-time folder.
pub const ROUND_SOCKET: &str = "nvml.sock";

/// One round: all devices were asked once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuRound {
    /// Version of the form.
    pub format: u32,
    /// Time since the last round, milliseconds; 0 in the first packet of a connection, which has no uses.
    pub over_ms: u64,
    /// Devices of this machine.
    pub devices: u32,
    /// Devices of them that did not tell their use by process.
    pub unread: u32,
    /// Uses and rounds since the connection began that could not be sent.
    pub lost: u64,
    /// Who used which device.
    pub uses: Vec<RoundUse>,
}

/// Use of one device by one process in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundUse {
    /// Process id as the reader's namespace has it, which is the machine's.
    pub pid: u32,
    /// Driver and device, e.g. `nvidia 00000000:01:00.0`.
    pub device: String,
    /// Share of the round in which it computed, percent.
    pub busy_percent: u8,
}

//! Use of NVIDIA's graphics processors, as `minesweep-nvml` tells it.
//!
//! NVIDIA's driver tells use only through a library that this static program cannot load, so a small program of its own
//! reads the library and this one calls at its socket. Taken is only what a process of root says, one packet a round,
//! bounded. Starts nothing; while nobody answers, it says what is blind. Without `/dev/nvidiactl` there is nothing to
//! ask.

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use minesweep_model::{
    Blind, DEVICE_BYTES, FORMAT, GpuRound, GpuUse, HookCount, ProcessKey, ROUND_BYTES, ROUND_SOCKET,
    ROUND_USES, RoundUse, Text,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, socket_with,
        sockopt::socket_peercred,
    },
};

use crate::proc::{self, since_boot_ms};

/// Exists while NVIDIA's driver is loaded.
pub(crate) const DEVICE: &str = "/dev/nvidiactl";

/// A reader that says nothing for so long, five rounds, is taken for gone.
const SILENCE_MS: u64 = 10_000;

/// Most packets taken at once; the rest waits in the socket.
const MAX_PACKETS: usize = 64;

/// The line to `minesweep-nvml`.
#[derive(Debug)]
pub struct Feed {
    device: PathBuf,
    socket: PathBuf,
    link: Option<Link>,
    /// Packets that were not understood, and what the readers so far said they lost.
    lost: u64,
    seen: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Link {
    socket: OwnedFd,
    heard_ms: u64,
    /// The last round; none before the first.
    last: Option<GpuRound>,
}

impl Feed {
    /// A line to the reader whose socket is in this folder. Calls nobody yet.
    pub fn new(runtime_dir: &Path) -> Self {
        Self {
            device: PathBuf::from(DEVICE),
            socket: runtime_dir.join(ROUND_SOCKET),
            link: None,
            lost: 0,
            seen: 0,
            buffer: vec![0; ROUND_BYTES],
        }
    }

    /// Calls the reader when there is a card, and waits at most `wait` for its first word, which tells no use.
    pub fn call(&mut self, wait: Duration) {
        self.connect(wait);
        self.sample();
    }

    /// Use since the last call, one entry for each process and device that was used.
    pub fn sample(&mut self) -> Vec<GpuUse> {
        self.connect(Duration::ZERO);
        let mut rounds = Vec::new();
        for _ in 0..MAX_PACKETS {
            let Some(link) = &mut self.link else { break };
            match packet(&link.socket, &mut self.buffer) {
                Packet::None => break,
                Packet::End => self.hang_up(),
                Packet::Broken => self.lost = self.lost.saturating_add(1),
                Packet::Round(round) => {
                    link.heard_ms = since_boot_ms();
                    link.last = Some(GpuRound { uses: Vec::new(), ..round.clone() });
                    rounds.push(round);
                }
            }
        }
        let is_silent = |link: &Link| since_boot_ms().saturating_sub(link.heard_ms) > SILENCE_MS;
        if self.link.as_ref().is_some_and(is_silent) {
            self.hang_up();
        }
        let uses = used(&rounds, |pid| proc::key(pid).ok());
        let told: usize = rounds.iter().map(|round| round.uses.len()).sum();
        self.seen = self.seen.saturating_add(u64::try_from(told).unwrap_or(u64::MAX));
        uses
    }

    /// What is not seen of NVIDIA's cards now.
    pub fn blind(&self) -> Option<Blind> {
        if !self.device.exists() {
            return None;
        }
        let last = self.link.as_ref().and_then(|link| link.last.as_ref());
        let why = match last {
            None => Text::new(
                "nvidia tells GPU time only through its own library, which a static program cannot load; run \
                 minesweep-nvml as root beside minesweep",
                "NVIDIA 只通过自己的动态库提供 GPU 用量，静态程序无法加载；请以 root 身份同时运行 minesweep-nvml",
            ),
            Some(GpuRound { unread: 0, .. }) => return None,
            Some(GpuRound { unread, devices, .. }) => Text::new(
                format!(
                    "{unread} of {devices} nvidia cards do not tell their use by process; watch them with nvidia-smi"
                ),
                format!("{devices} 块 NVIDIA 显卡中有 {unread} 块不提供按进程的用量；请用 nvidia-smi 查看"),
            ),
        };
        Some(Blind { what: "gpu (nvidia)".to_owned(), why })
    }

    /// Uses told, seen and lost; none when no reader ever answered.
    pub fn count(&self) -> Option<HookCount> {
        let lost = self.lost.saturating_add(self.link.as_ref().map_or(0, Link::lost));
        let is_used = self.link.is_some() || self.seen > 0 || lost > 0;
        is_used.then(|| HookCount {
            hook: "nvml".to_owned(),
            made: self.seen.saturating_add(lost),
            seen: self.seen,
            lost,
        })
    }

    fn connect(&mut self, wait: Duration) {
        if self.link.is_some() || !self.device.exists() {
            return;
        }
        let Ok(socket) = call(&self.socket) else { return };
        if let Ok(wait) = Timespec::try_from(wait) {
            // What comes, or does not, is seen when it is read.
            let _ready = poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&wait));
        }
        self.link = Some(Link { socket, heard_ms: since_boot_ms(), last: None });
    }

    fn hang_up(&mut self) {
        let lost = self.link.take().map_or(0, |link| link.lost());
        self.lost = self.lost.saturating_add(lost);
    }
}

impl Link {
    fn lost(&self) -> u64 {
        self.last.as_ref().map_or(0, |round| round.lost)
    }
}

/// A connection to a reader that runs as root. Never waits: a full socket refuses.
fn call(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    if socket_peercred(&socket)?.uid.is_root() { Ok(socket) } else { Err(Errno::PERM) }
}

#[derive(Debug, PartialEq)]
enum Packet {
    None,
    End,
    Broken,
    Round(GpuRound),
}

fn packet(socket: &OwnedFd, buffer: &mut [u8]) -> Packet {
    match recv(socket, &mut *buffer, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
        Err(Errno::AGAIN | Errno::INTR) => Packet::None,
        Ok((0, _)) | Err(_) => Packet::End,
        // The second number is the packet's own length: one that did not fit is cut, and no round.
        Ok((_, length)) => buffer.get(..length).and_then(round).map_or(Packet::Broken, Packet::Round),
    }
}

/// A round, when the bytes are one and keep the bounds.
fn round(bytes: &[u8]) -> Option<GpuRound> {
    let round: GpuRound = serde_json::from_slice(bytes).ok()?;
    let is_bounded = |found: &RoundUse| {
        found.busy_percent <= 100
            && found.device.len() <= DEVICE_BYTES
            && found.device.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ')
    };
    let is_sound =
        round.format == FORMAT && round.uses.len() <= ROUND_USES && round.uses.iter().all(is_bounded);
    is_sound.then_some(round)
}

/// Use over several rounds. A process that has ended since is left out: nothing can be said of it any more.
fn used(rounds: &[GpuRound], key: impl Fn(u32) -> Option<ProcessKey>) -> Vec<GpuUse> {
    let over_ms = rounds.iter().fold(0_u64, |sum, round| sum.saturating_add(round.over_ms));
    let mut sums: BTreeMap<(u32, &str), u64> = BTreeMap::new();
    for round in rounds {
        for found in &round.uses {
            let busy_ms = round.over_ms.saturating_mul(u64::from(found.busy_percent)) / 100;
            let sum = sums.entry((found.pid, &found.device)).or_default();
            *sum = sum.saturating_add(busy_ms);
        }
    }
    sums.into_iter()
        .filter(|(_, busy_ms)| *busy_ms > 0)
        .filter_map(|((pid, device), busy_ms)| {
            Some(GpuUse { process: key(pid)?, device: device.to_owned(), busy_ms, over_ms })
        })
        .collect()
}

#[cfg(test)]
#[path = "nvml/tests.rs"]
mod tests;

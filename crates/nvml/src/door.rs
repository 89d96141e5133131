//! The socket at which agents ask: `nvml.sock` in the run-time folder, for root only.
//!
//! Packets (`SOCK_SEQPACKET`), so that a round is whole or lost. Nothing is read from a peer. One that does not take
//! its packets loses them and is told how many; it never holds up the others.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use minesweep_model::{GpuRound, ROUND_SOCKET};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    io::Errno,
    net::{
        AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, send,
        socket_with, sockopt::socket_peercred,
    },
};

/// Most agents at a time: `up`, and a `watch`, `scan` or `doctor` beside it.
const MAX_PEERS: usize = 16;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The file system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others than root could replace the socket.
    #[error("{} must be a folder that belongs to root and that nobody else can write", .0.display())]
    Foreign(PathBuf),
    /// One runs already.
    #[error("another minesweep-nvml uses {}", .0.display())]
    Busy(PathBuf),
}

/// The socket and who came.
pub struct Door {
    socket: OwnedFd,
    peers: Vec<Peer>,
    /// Held as long as this program runs.
    _lock: File,
}

struct Peer {
    socket: OwnedFd,
    lost: u64,
}

impl Door {
    /// Opens the socket in `folder`, making the folder (0700) when it is missing.
    pub fn open(folder: &Path) -> Result<Self, DoorError> {
        let at = |what, path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| DoorError::Io { what, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at("make", folder))?;
        let is = fs::symlink_metadata(folder).map_err(at("read", folder))?;
        if !is.is_dir() || is.uid() != 0 || is.mode() & 0o022 != 0 {
            return Err(DoorError::Foreign(folder.to_owned()));
        }
        let lock_at = folder.join("nvml.lock");
        let mut opening = OpenOptions::new();
        opening.write(true).create(true).truncate(false).mode(0o600);
        let lock = opening.open(&lock_at).map_err(at("open", &lock_at))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| DoorError::Busy(folder.to_owned()))?;
        let path = folder.join(ROUND_SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at("replace", &path)(error));
            }
            _ => {}
        }
        let socket = bound(&path).map_err(|error| at("listen at", &path)(error.into()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(at("close to others", &path))?;
        listen(&socket, 16).map_err(|error| at("listen at", &path)(error.into()))?;
        Ok(Self { socket, peers: Vec::new(), _lock: lock })
    }

    /// Waits for the next peer, at most `wait`; none when the time is over.
    pub fn next(&self, wait: Duration) -> io::Result<Option<Caller>> {
        let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut ready, Some(&wait)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            other => other?,
        };
        let socket = match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return Ok(None),
            Err(other) => return Err(other.into()),
        };
        // The mode of the socket says so already; a descriptor that was handed on is refused here.
        let is_root = socket_peercred(&socket).is_ok_and(|peer| peer.uid.is_root());
        Ok((is_root && self.peers.len() < MAX_PEERS).then_some(Caller(socket)))
    }

    /// Somebody listens.
    pub fn is_asked(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Says the first word to a caller and keeps it.
    pub fn welcome(&mut self, caller: Caller, hello: &GpuRound) {
        let mut peer = Peer { socket: caller.0, lost: 0 };
        if peer.tell(hello) {
            self.peers.push(peer);
        }
    }

    /// Tells a round to everybody; who has gone is forgotten.
    pub fn tell(&mut self, round: &GpuRound) {
        self.peers.retain_mut(|peer| peer.tell(round));
    }
}

/// A peer that was not greeted yet.
pub struct Caller(OwnedFd);

impl Peer {
    /// False when it has gone.
    fn tell(&mut self, round: &GpuRound) -> bool {
        self.lost = self.lost.saturating_add(round.lost);
        let uses = u64::try_from(round.uses.len()).unwrap_or(u64::MAX);
        let told = GpuRound { lost: self.lost, ..round.clone() };
        let Ok(packet) = serde_json::to_vec(&told) else { return false };
        match send(&self.socket, &packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) => true,
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => {
                self.lost = self.lost.saturating_add(uses.max(1));
                true
            }
            Err(_) => false,
        }
    }
}

fn bound(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

//! TCP connections and whose they are, in every network namespace.
//!
//! The kernel names a socket by inode in `/proc/PID/fd` and by inode, cookie and ends in `sock_diag`; joining both
//! gives the process. A namespace is entered by a short-lived thread of our own, never by the agent; where that is
//! refused `/proc/PID/net` is read, which knows no cookies. Does not resolve names.

mod diag;
mod table;

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
};

use minesweep_model::{Flow, ProcessKey, Protocol};

use crate::proc::{self, root::Folder};

pub(crate) use diag::can_destroy;

/// Most sockets that are read of one namespace; more are left out and counted.
pub const MAX_SOCKETS: usize = 131_072;
/// Most descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 16_384;
/// Most network namespaces that are read at once.
pub(crate) const MAX_NAMESPACES: usize = 1024;

/// State of a TCP connection, as in net/tcp_states.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Both ends agreed.
    Established,
    /// Asked, no answer yet.
    SynSent,
    /// Was asked, answer on its way.
    SynReceived,
    /// Being taken down, or down.
    Closing,
    /// Waits for others to connect.
    Listen,
}

impl State {
    fn from_kernel(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Established),
            2 => Some(Self::SynSent),
            3 | 12 => Some(Self::SynReceived),
            4..=9 | 11 => Some(Self::Closing),
            10 => Some(Self::Listen),
            _unknown => None,
        }
    }
}

/// A TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// This end. An IPv4 address inside IPv6 is given as IPv4.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// State.
    pub state: State,
    /// Inode of the socket; 0 when no process holds it.
    pub inode: u64,
    /// Socket cookie; `None` where only /proc could be read.
    pub cookie: Option<u64>,
    /// Owner of the socket.
    pub uid: u32,
}

impl Socket {
    /// The flow of this socket, when its cookie is known.
    pub fn flow(&self, process: Option<ProcessKey>) -> Option<Flow> {
        let cookie = self.cookie?;
        Some(Flow { cookie, process, local: self.local, remote: self.remote, protocol: Protocol::Tcp })
    }
}

/// The sockets of a namespace, and how many were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// What was read.
    pub sockets: Vec<Socket>,
    /// Sockets beyond [`MAX_SOCKETS`].
    pub lost: u64,
}

/// TCP sockets of the agent's own network namespace, both families, in any state but waiting for late packets.
///
/// # Errors
/// When the kernel has no `sock_diag` for TCP or refuses it.
pub fn own() -> io::Result<Sockets> {
    diag::dump()
}

/// TCP sockets that a process holds open: with cookies where its network namespace can be entered, else without.
///
/// # Errors
/// When the process has ended or its descriptors cannot be read.
pub fn of(pid: u32) -> io::Result<Vec<Socket>> {
    of_folder(&Folder::open(pid)?)
}

/// The same through an open folder.
pub(crate) fn of_folder(folder: &Folder) -> io::Result<Vec<Socket>> {
    let mut held = HashSet::new();
    inodes(folder, &mut |inode| {
        held.insert(inode);
    })?;
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let mut sockets = read_namespace(folder)?.sockets;
    sockets.retain(|socket| held.contains(&socket.inode));
    Ok(sockets)
}

/// The same without cookies, as the table in the folder of a process shows them.
pub(crate) fn table(folder: &Folder) -> io::Result<Sockets> {
    table::read(folder)
}

/// Which processes hold which sockets, of those that are `wanted`. Stops once all are found. Of several holders (a
/// socket passed on by fork) the first in `pids` is named.
pub(crate) fn owners(pids: &[u32], wanted: &HashSet<u64>) -> HashMap<u64, ProcessKey> {
    let mut owners = HashMap::new();
    for &pid in pids {
        if owners.len() == wanted.len() {
            break;
        }
        let Ok(folder) = Folder::open(pid) else { continue };
        let mut mine = Vec::new();
        let listed = inodes(&folder, &mut |inode| {
            if wanted.contains(&inode) && !owners.contains_key(&inode) {
                mine.push(inode);
            }
        });
        if listed.is_err() || mine.is_empty() {
            continue;
        }
        if let Ok(key) = proc::key(pid) {
            owners.extend(mine.into_iter().map(|inode| (inode, key)));
        }
    }
    owners
}

/// Calls `each` with the inode of each socket among the descriptors of a process.
fn inodes(folder: &Folder, each: &mut dyn FnMut(u64)) -> io::Result<()> {
    let descriptors = folder.folder("fd")?;
    for descriptor in descriptors.numbers(MAX_DESCRIPTORS)?.0 {
        let Ok(link) = descriptors.link(&descriptor.to_string()) else { continue };
        if let Some(inode) = bracketed(&link, b"socket:[") {
            each(inode);
        }
    }
    Ok(())
}

/// The number in `socket:[123]` or `net:[123]`.
pub(crate) fn bracketed(link: &[u8], prefix: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(prefix)?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The network namespace of a process; `None` on kernels before 3.8 or when it may not be read.
pub(crate) fn namespace_of(folder: &Folder) -> Option<u64> {
    bracketed(&folder.link("ns/net").ok()?, b"net:[")
}

/// The network namespace of this thread. `thread-self` came with Linux 3.17.
pub(crate) fn own_namespace() -> Option<u64> {
    let root = proc::root::root().ok()?;
    let folder = Folder::open_in(root, "thread-self").or_else(|_| Folder::open_in(root, "self"));
    namespace_of(&folder.ok()?)
}

fn read_namespace(folder: &Folder) -> io::Result<Sockets> {
    let theirs = namespace_of(folder);
    if theirs.is_some() && theirs == own_namespace() {
        return diag::dump().or_else(|_| table::read(folder));
    }
    read_namespaces(std::slice::from_ref(folder)).pop().unwrap_or_else(|| table::read(folder))
}

/// The sockets of the namespaces of several processes, in the order given.
pub(crate) fn read_namespaces(folders: &[Folder]) -> Vec<io::Result<Sockets>> {
    let entered = diag::dump_in(folders);
    entered.into_iter().zip(folders).map(|(found, folder)| found.or_else(|_| table::read(folder))).collect()
}

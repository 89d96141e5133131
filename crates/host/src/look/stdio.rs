//! Where the first three descriptors of a process lead, and who sits between them and a connection.
//!
//! A shell that is handed to somebody far away reads from a socket, or from a pipe or terminal whose other end a relay
//! holds together with a socket. Only relatives are searched (ancestors, their children, the process group), because a
//! relay starts its shell or is started with it. Says what is; whether it is a login is `detect`'s to judge.

use std::{collections::BTreeSet, io};

use minesweep_model::{Relay, Stdio, StdioKind};
use rustix::{
    fd::AsFd,
    fs::{OFlags, fstat},
};

use crate::{
    proc::{self, root::Folder, stat},
    sockets::{self, Socket, State, bracketed},
};

/// Most relatives whose descriptors are read.
const MAX_RELATIVES: usize = 128;
/// Most ancestors that are relatives.
const MAX_ANCESTORS: usize = 4;
/// Most processes of the machine that are asked for their parent.
const MAX_PROCESSES: usize = 65_536;
/// Most descriptors of one relative; a server with more is no relay of a shell.
const MAX_DESCRIPTORS: usize = 1024;
/// Most relays of one descriptor.
const MAX_RELAYS: usize = 4;
/// Major number of the slaves of pseudo terminals (`/dev/pts/N`), 136 to 143.
const PTY_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;

/// What a descriptor is, with what its other end is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Socket(u64),
    /// A socket that is no TCP: one of a pair, whose other end the kernel does not name.
    Pair,
    Pipe(u64),
    /// Number of the terminal.
    Pty(u32),
    Other,
}

/// The first three descriptors of a process.
pub(super) fn of(folder: &Folder, pid: u32) -> io::Result<Vec<Stdio>> {
    let descriptors = folder.folder("fd")?;
    let mut held: Vec<(u32, Held)> =
        (0..3).filter_map(|fd| Some((fd, held(folder, &descriptors, fd)?))).collect();
    let is_piped = |held: &Held| matches!(held, Held::Pipe(_) | Held::Pty(_));
    let has_socket = held.iter().any(|(_, held)| matches!(held, Held::Socket(_)));
    let has_pipe = held.iter().any(|(_, held)| is_piped(held));
    let sockets = if has_socket { sockets::of_folder(folder)? } else { Vec::new() };
    let is_tcp = |inode: u64| sockets.iter().any(|socket| socket.inode == inode);
    for (_, held) in &mut held {
        if matches!(held, Held::Socket(inode) if !is_tcp(*inode)) {
            *held = Held::Pair;
        }
    }
    let relatives = if has_pipe || held.iter().any(|(_, held)| *held == Held::Pair) {
        relatives(pid)?
    } else {
        Vec::new()
    };
    let mut out: Vec<Stdio> = held.iter().map(|(fd, held)| stdio(*fd, *held, &sockets)).collect();
    for (index, relative) in relatives.into_iter().enumerate() {
        let Some((theirs, connections)) = ends_of(relative, &held, index == 0) else { continue };
        let Some(process) = proc::read(relative).ok() else { continue };
        for (stdio, (_, held)) in out.iter_mut().zip(&held) {
            if !theirs.contains(&code(*held)) || stdio.relays.len() >= MAX_RELAYS {
                continue;
            }
            stdio.relays.extend(connections.first().map(|(remote, is_accepted)| Relay {
                process: process.key,
                exe: process.exe.clone(),
                remote: *remote,
                is_accepted: *is_accepted,
            }));
        }
    }
    Ok(out)
}

fn stdio(fd: u32, held: Held, sockets: &[Socket]) -> Stdio {
    let (kind, remote) = match held {
        Held::Socket(inode) => match sockets.iter().find(|socket| socket.inode == inode) {
            Some(socket) => (StdioKind::Tcp, Some(socket.remote)),
            None => (StdioKind::Socket, None),
        },
        Held::Pair => (StdioKind::Socket, None),
        Held::Pipe(_) => (StdioKind::Pipe, None),
        Held::Pty(_) => (StdioKind::Pty, None),
        Held::Other => (StdioKind::Other, None),
    };
    Stdio { fd, kind, remote, relays: Vec::new() }
}

fn held(folder: &Folder, descriptors: &Folder, fd: u32) -> Option<Held> {
    let name = fd.to_string();
    let link = descriptors.link(&name).ok()?;
    if let Some(inode) = bracketed(&link, b"socket:[") {
        return Some(Held::Socket(inode));
    }
    if let Some(inode) = bracketed(&link, b"pipe:[") {
        return Some(Held::Pipe(inode));
    }
    // A path: `O_PATH` opens neither device nor pipe, so nothing happens to either.
    let file = folder.file(&format!("fd/{name}"), OFlags::PATH).ok()?;
    let about = fstat(file.as_fd()).ok()?;
    let major = rustix::fs::major(about.st_rdev);
    Some(match rustix::fs::FileType::from_raw_mode(about.st_mode) {
        rustix::fs::FileType::Fifo => Held::Pipe(about.st_ino),
        rustix::fs::FileType::CharacterDevice if PTY_MAJORS.contains(&major) => {
            let block = (major - PTY_MAJORS.start()).saturating_mul(256);
            Held::Pty(block.saturating_add(rustix::fs::minor(about.st_rdev)))
        }
        _other => Held::Other,
    })
}

/// A short name of what the other end is recognised by.
fn code(held: Held) -> Option<(u8, u64)> {
    match held {
        Held::Pipe(inode) => Some((1, inode)),
        Held::Pty(number) => Some((2, u64::from(number))),
        Held::Pair => Some((3, 0)),
        Held::Socket(_) | Held::Other => None,
    }
}

type Ends = (BTreeSet<Option<(u8, u64)>>, Vec<(std::net::SocketAddr, bool)>);

/// Which of the wanted pipes and terminals a process holds, and its connections; `None` when it has not both. Of a pair of
/// sockets only the parent can be asked: it made the pair, and has a second socket.
fn ends_of(pid: u32, wanted: &[(u32, Held)], is_parent: bool) -> Option<Ends> {
    let folder = Folder::open(pid).ok()?;
    let descriptors = folder.folder("fd").ok()?;
    let (numbers, _more) = descriptors.numbers(MAX_DESCRIPTORS).ok()?;
    let mut found = BTreeSet::new();
    let mut sockets = 0_u32;
    for number in numbers {
        let Ok(link) = descriptors.link(&number.to_string()) else { continue };
        let is_socket = link.starts_with(b"socket:[");
        sockets += u32::from(is_socket);
        let end = if is_socket {
            Some((3, 0)).filter(|_| is_parent && sockets > 1)
        } else if link.ends_with(b"/ptmx") {
            terminal(&folder, number).map(|number| (2, u64::from(number)))
        } else {
            code(held(&folder, &descriptors, number).unwrap_or(Held::Other)).filter(|(kind, _)| *kind == 1)
        };
        if end.is_some() && wanted.iter().any(|(_, held)| code(*held) == end) {
            found.insert(end);
        }
    }
    if sockets == 0 || found.is_empty() {
        return None;
    }
    let sockets = sockets::of_folder(&folder).ok()?;
    let ports: BTreeSet<u16> =
        sockets.iter().filter(|one| one.state == State::Listen).map(|one| one.local.port()).collect();
    let connections: Vec<_> = sockets
        .iter()
        .filter(|socket| socket.state == State::Established)
        .map(|socket| (socket.remote, ports.contains(&socket.local.port())))
        .collect();
    (!connections.is_empty()).then_some((found, connections))
}

/// The terminal that a master descriptor serves: `tty-index` in its `fdinfo`, Linux 4.14.
fn terminal(folder: &Folder, fd: u32) -> Option<u32> {
    let text = folder.read(&format!("fdinfo/{fd}"), 4096).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix("tty-index:")?.trim().parse().ok())
}

/// Ancestors, what they started, and what was started with the process; without itself.
fn relatives(pid: u32) -> io::Result<Vec<u32>> {
    let mut buffer = Vec::new();
    let mut parents = Vec::new();
    for other in proc::list()?.into_iter().take(MAX_PROCESSES) {
        if let Ok(stat) = stat::read(other, &mut buffer) {
            parents.push((other, stat.parent_pid));
        }
    }
    let parent_of = |pid: u32| parents.iter().find(|(other, _)| *other == pid).map(|(_, parent)| *parent);
    let mut above = Vec::new();
    let mut at = pid;
    while let Some(parent) = parent_of(at).filter(|parent| *parent > 1 && above.len() < MAX_ANCESTORS) {
        above.push(parent);
        at = parent;
    }
    let mut out = above.clone();
    out.extend(
        parents
            .iter()
            .filter(|(_, parent)| above.iter().take(2).any(|one| one == parent))
            .map(|(other, _)| *other),
    );
    out.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(other, _)| *other));
    let mut seen = BTreeSet::from([pid]);
    out.retain(|one| seen.insert(*one));
    out.truncate(MAX_RELATIVES);
    Ok(out)
}

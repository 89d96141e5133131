//! Listening sockets: what the kernel says when asked directly, what its table shows, and who holds them.

use std::{collections::HashSet, io};

use minesweep_model::{HidingFact, Protocol};

use super::Found;
use crate::{
    proc::{self, root, root::Folder},
    sockets::{self, Socket, State},
};

/// Listening sockets of our network that the table in /proc leaves out, both asked twice: a socket may come between.
pub(super) fn unlisted() -> io::Result<Vec<Found>> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let again: HashSet<Option<u64>> = self::missing()?.into_iter().map(|socket| socket.cookie).collect();
    Ok(missing.iter().filter(|socket| again.contains(&socket.cookie)).map(|one| found(one, false)).collect())
}

fn missing() -> io::Result<Vec<Socket>> {
    let asked = listening(sockets::own()?.sockets);
    let table = listening(sockets::table(&own_folder()?)?.sockets);
    let shown: HashSet<u64> = table.iter().map(|socket| socket.inode).collect();
    Ok(asked.into_iter().filter(|socket| !shown.contains(&socket.inode)).collect())
}

/// Listening sockets that no process holds.
pub(super) fn ownerless() -> io::Result<Vec<Found>> {
    let suspects = unheld(listening(sockets::own()?.sockets))?;
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let still: HashSet<u64> =
        listening(sockets::own()?.sockets).into_iter().map(|socket| socket.inode).collect();
    let there = suspects.into_iter().filter(|socket| still.contains(&socket.inode)).collect();
    Ok(unheld(there)?.iter().map(|one| found(one, true)).collect())
}

fn unheld(sockets: Vec<Socket>) -> io::Result<Vec<Socket>> {
    let wanted: HashSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let owners = sockets::owners(&proc::list()?, &wanted);
    Ok(sockets.into_iter().filter(|socket| !owners.contains_key(&socket.inode)).collect())
}

fn listening(sockets: Vec<Socket>) -> Vec<Socket> {
    sockets.into_iter().filter(|socket| socket.state == State::Listen).collect()
}

fn own_folder() -> io::Result<Folder> {
    let root = root::root()?;
    Folder::open_in(root, "thread-self").or_else(|_| Folder::open_in(root, "self"))
}

fn found(socket: &Socket, is_in_table: bool) -> Found {
    Found::new(HidingFact::Socket { local: socket.local, protocol: Protocol::Tcp, is_in_table })
}

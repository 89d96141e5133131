//! What was there before the agent: processes and their connections.

use std::collections::{HashMap, HashSet};
use std::io;

use minesweep_model::{Event, ProcessKey, What};
use tracing::warn;

use crate::{
    proc::{self, now_ms, root::Folder},
    sockets::{self, MAX_NAMESPACES, State},
};

/// Every running process, then every established TCP connection with its process, in all network namespaces.
/// Connections whose cookie is not known are left out: nothing could follow them.
///
/// # Errors
/// When /proc cannot be listed.
pub fn running() -> io::Result<Vec<Event>> {
    let at_ms = now_ms();
    let pids = proc::list()?;
    let mut events = Vec::with_capacity(pids.len());
    let mut namespaces: HashMap<u64, Vec<u32>> = HashMap::new();
    for &pid in &pids {
        let Ok(folder) = Folder::open(pid) else { continue };
        let Ok(process) = proc::read_in(&folder, pid) else { continue };
        events.push(Event { at_ms, what: What::Running(Box::new(process)) });
        let Some(namespace) = sockets::namespace_of(&folder) else { continue };
        if namespaces.len() < MAX_NAMESPACES || namespaces.contains_key(&namespace) {
            namespaces.entry(namespace).or_default().push(pid);
        }
    }
    events.extend(connections(namespaces).into_iter().map(|what| Event { at_ms, what }));
    Ok(events)
}

fn connections(namespaces: HashMap<u64, Vec<u32>>) -> Vec<What> {
    let own = sockets::own_namespace();
    let mut out = Vec::new();
    let mut others = Vec::new();
    for (namespace, pids) in namespaces {
        if Some(namespace) == own {
            match sockets::own() {
                Ok(found) => out.extend(established(&found.sockets, &pids)),
                Err(error) => warn!(%error, "connections that were there before are not known"),
            }
        } else if let Some(folder) = pids.iter().find_map(|&pid| Folder::open(pid).ok()) {
            others.push((folder, pids));
        }
    }
    let (folders, holders): (Vec<Folder>, Vec<Vec<u32>>) = others.into_iter().unzip();
    for (found, pids) in sockets::read_namespaces(&folders).into_iter().zip(holders) {
        match found {
            Ok(found) => out.extend(established(&found.sockets, &pids)),
            Err(error) => warn!(%error, ?pids, "connections of a network namespace are not known"),
        }
    }
    out
}

fn established(found: &[sockets::Socket], pids: &[u32]) -> Vec<What> {
    let live = || found.iter().filter(|socket| socket.state == State::Established);
    let wanted: HashSet<u64> = live().map(|socket| socket.inode).filter(|&inode| inode != 0).collect();
    let owners: HashMap<u64, ProcessKey> = sockets::owners(pids, &wanted);
    live().filter_map(|socket| socket.flow(owners.get(&socket.inode).copied())).map(What::Connect).collect()
}

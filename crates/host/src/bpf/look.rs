//! Walks the kernel's own lists, which no replaced tool, mount or preload library can edit: all processes, and the
//! TCP connections of all network namespaces with the process that holds them.
//!
//! A socket held by several processes is given to the first in the kernel's order, as a rule the oldest.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read as _},
};

use libbpf_rs::{Iter, Object};
use minesweep_model::Flow;

use super::{
    load::{self, io_error, refuse},
    record::{self, Plain, SocketEntry, TaskEntry, Who},
};
use crate::SensorError;

/// Most bytes read from an iterator: 400,000 processes or 230,000 sockets.
const LIMIT_BYTES: u64 = 16 << 20;

/// A process as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Process id.
    pub pid: u32,
    /// Start time in USER_HZ (1/100 s) since boot.
    pub start_ticks: u64,
    /// Parent's process id.
    pub parent_pid: u32,
    /// The name the kernel shows.
    pub comm: String,
    /// A kernel thread.
    pub is_kernel: bool,
}

/// Every process that the kernel runs, hidden or not.
///
/// # Errors
/// When the kernel refuses the iterator (before 5.8, without type information, or without CAP_BPF and CAP_PERFMON).
pub fn iterate_tasks() -> Result<Vec<Task>, SensorError> {
    let entries = walk::<TaskEntry>("each_task")?;
    Ok(entries
        .iter()
        .map(|entry| {
            let key = entry.who.known();
            Task {
                pid: key.pid,
                start_ticks: key.start_ticks,
                parent_pid: entry.parent_pid,
                comm: record::text(&entry.comm),
                is_kernel: entry.is_kernel != 0,
            }
        })
        .collect())
}

/// A connection that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingFlow {
    /// The connection.
    pub flow: Flow,
    /// The other end opened it: its local port is one that this machine listens on.
    pub is_inbound: bool,
}

/// Every established TCP connection that a process holds, in all network namespaces.
///
/// # Errors
/// As [`iterate_tasks`].
pub fn existing_flows() -> Result<Vec<ExistingFlow>, SensorError> {
    Ok(holders()?.into_iter().map(|(_, flow)| flow).collect())
}

/// The same with the process in the kernel's form.
pub(crate) fn holders() -> Result<Vec<(Who, ExistingFlow)>, SensorError> {
    let entries = walk::<SocketEntry>("each_socket")?;
    let ports: HashSet<(u32, u16)> = entries
        .iter()
        .filter(|entry| entry.is_listening != 0)
        .map(|entry| (entry.namespace, entry.ends.local_port))
        .collect();
    let mut seen = HashMap::new();
    let mut flows = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_listening == 0) {
        if seen.insert(entry.cookie, ()).is_some() {
            continue;
        }
        let (local, remote) = entry.ends.addresses();
        let flow = Flow {
            cookie: entry.cookie,
            process: entry.who.key(),
            local,
            remote,
            protocol: entry.ends.transport(),
        };
        let is_inbound = ports.contains(&(entry.namespace, entry.ends.local_port));
        flows.push((entry.who, ExistingFlow { flow, is_inbound }));
    }
    Ok(flows)
}

fn walk<T: Plain>(program: &'static str) -> Result<Vec<T>, SensorError> {
    load::quiet_library();
    load::check_types()?;
    let bytes = load_only(program)
        .and_then(|object| read_all(&object, program))
        .map_err(|cause| refuse(format!("the iterator {program}; it needs Linux 5.12 and root"), cause))?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    while let Some((entry, after)) = record::read::<T>(rest) {
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

fn load_only(name: &str) -> io::Result<Object> {
    let mut object = load::open(load::LOOK)?;
    for mut program in object.progs_mut() {
        let is_wanted = program.name() == name;
        program.set_autoload(is_wanted);
    }
    // The sensor's maps are declared in a shared header; a look needs none of them.
    for mut map in object.maps_mut() {
        map.set_autocreate(false).map_err(io_error)?;
    }
    object.load().map_err(io_error)
}

fn read_all(object: &Object, name: &str) -> io::Result<Vec<u8>> {
    let program = object.progs_mut().find(|program| program.name() == name).ok_or(io::ErrorKind::NotFound)?;
    let link = program.attach().map_err(io_error)?;
    let mut bytes = Vec::new();
    Iter::new(&link).map_err(io_error)?.take(LIMIT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

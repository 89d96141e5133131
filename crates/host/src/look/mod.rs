//! A close look at one process: its file, its orders, its memory, its connections.
//!
//! Reads only. The process is neither stopped nor attached to, and no page of it is brought in. Pieces go to the
//! caller as they are read and are not kept; what they mean is `detect`'s work. Environment variables are not read:
//! they hold secrets of people who did nothing.

mod files;
mod maps;
mod memory;
mod stdio;

use std::{io, ops::Range};

use minesweep_model::{Looked, Origin, Process, ProcessKey};
use rustix::fs::{OFlags, fstat};
use sha2::{Digest, Sha256};

use crate::{
    proc::{self, root, root::Folder},
    sockets::{self, State},
};

pub(crate) use self::files::reopen;
use self::{files::Files, maps::Maps, memory::Memory};

/// Most bytes of `/proc/PID/maps`: the kernel's limit of 65,530 maps with short paths.
const MAPS_BYTES: usize = 8 << 20;
/// Most bytes of the arguments.
const ARGV_BYTES: usize = 64 << 10;
/// Most peers that are told.
const MAX_PEERS: usize = 256;
/// Most entries of what could not be read.
const MAX_UNREAD: usize = 32;

/// How much a look may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookLimits {
    /// Of the executable, bytes.
    pub executable_bytes: usize,
    /// Files besides.
    pub files: usize,
    /// Of each file, bytes.
    pub file_bytes: usize,
    /// Of the memory in all, bytes.
    pub memory_bytes: u64,
}

impl Default for LookLimits {
    /// Executable 64 MiB (miners are 2 to 10), 16 files of 256 KiB, memory 192 MiB: a quarter of a second.
    fn default() -> Self {
        Self { executable_bytes: 64 << 20, files: 16, file_bytes: 256 << 10, memory_bytes: 192 << 20 }
    }
}

/// Something that was read, for the caller to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The executable, also when it is deleted or only in memory.
    Executable {
        /// Path as the process sees it.
        path: &'a str,
        /// Where the bytes come from.
        origin: Origin,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The arguments, each ended by a zero byte.
    Argv(&'a [u8]),
    /// A file that may hold configuration or a script.
    File {
        /// Path as the process sees it.
        path: &'a str,
        /// It only lies where such a file may lie: the process neither names it nor holds it open.
        is_beside: bool,
        /// Its first bytes.
        bytes: &'a [u8],
    },
    /// Memory; pieces of one map overlap by 256 bytes.
    Memory {
        /// Address of the first byte.
        start: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
}

/// Looks at a process and hands what it reads to `sink`. Clues and hits of the answer are empty: the caller finds them.
///
/// # Errors
/// `NotFound` when the process has ended or its pid is another's by now.
pub fn look(key: ProcessKey, limits: LookLimits, sink: &mut dyn FnMut(Piece<'_>)) -> io::Result<Looked> {
    let folder = Folder::open(key.pid)?;
    let process = proc::read_in(&folder, key.pid)?;
    if process.key != key {
        let message = format!("process {} has ended and its number belongs to another", key.pid);
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let mut unread = Vec::new();
    let mut note = |what: &str, error: io::Error| unread.push(format!("{what}: {error}"));
    let maps = read_maps(&folder).unwrap_or_else(|error| {
        note("memory maps", error);
        Maps::default()
    });
    let peers = peers(&folder).unwrap_or_else(|error| {
        note("connections", error);
        Vec::new()
    });
    match folder.read("cmdline", ARGV_BYTES) {
        Ok(argv) => sink(Piece::Argv(&argv)),
        Err(error) => note("arguments", error),
    }
    let mut sha256 = None;
    if process.origin != Origin::Kernel {
        match executable(&folder, &process, limits.executable_bytes, sink) {
            Ok(sum) => sha256 = Some(sum),
            Err(error) => note("executable", error),
        }
        match files(&folder, &process, limits, sink) {
            Ok(skipped) => unread.extend(skipped),
            Err(error) => unread.push(format!("files: {error}")),
        }
        if let Err(error) = memory(&folder, &maps.own, limits.memory_bytes, sink) {
            unread.push(format!("memory: {error}"));
        }
    }
    let stdio = stdio::of(&folder, key.pid).unwrap_or_else(|error| {
        unread.push(format!("descriptors: {error}"));
        Vec::new()
    });
    unread.truncate(MAX_UNREAD);
    let (maps_bytes, rwx_maps) = (maps.sizes_bytes, maps.rwx);
    Ok(Looked {
        process,
        peers,
        clues: Vec::new(),
        hits: Vec::new(),
        sha256,
        maps_bytes,
        rwx_maps,
        unread,
        stdio,
    })
}

fn read_maps(folder: &Folder) -> io::Result<Maps> {
    Ok(maps::parse(&folder.read("maps", MAPS_BYTES)?))
}

/// The other ends of established connections, each once.
fn peers(folder: &Folder) -> io::Result<Vec<std::net::SocketAddr>> {
    let mut peers: Vec<_> = sockets::of_folder(folder)?
        .into_iter()
        .filter(|socket| socket.state == State::Established)
        .map(|socket| socket.remote)
        .collect();
    peers.sort_unstable();
    peers.dedup();
    peers.truncate(MAX_PEERS);
    Ok(peers)
}

/// Hands the executable over and gives its SHA-256 in hexadecimal.
fn executable(
    folder: &Folder,
    process: &Process,
    limit_bytes: usize,
    sink: &mut dyn FnMut(Piece<'_>),
) -> io::Result<String> {
    let file = files::reopen(&folder.file("exe", OFlags::PATH)?)?;
    let length = usize::try_from(fstat(&file)?.st_size).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(length.min(limit_bytes) + 1);
    root::fill(&file, limit_bytes, &mut bytes)?;
    sink(Piece::Executable { path: &process.exe, origin: process.origin, bytes: &bytes });
    if length > limit_bytes {
        return Err(io::Error::other(format!("{length} bytes long, only the first {limit_bytes} were read")));
    }
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn files(
    folder: &Folder,
    process: &Process,
    limits: LookLimits,
    sink: &mut dyn FnMut(Piece<'_>),
) -> io::Result<Vec<String>> {
    let mut files = Files::open(folder, limits.files, limits.file_bytes)?;
    if let Some(executable) = process.file {
        files.skip(executable);
    }
    files.read(process, &mut |found| {
        sink(Piece::File { path: &found.path, is_beside: found.is_beside, bytes: &found.bytes });
    });
    Ok(files.unread)
}

fn memory(
    folder: &Folder,
    maps: &[Range<u64>],
    limit_bytes: u64,
    sink: &mut dyn FnMut(Piece<'_>),
) -> io::Result<()> {
    let mut memory = Memory::open(folder, limit_bytes)?;
    for map in maps {
        if !memory.read(map, &mut |start, bytes| sink(Piece::Memory { start, bytes }))? {
            return Err(io::Error::other(format!("only the first {limit_bytes} bytes were read")));
        }
    }
    Ok(())
}

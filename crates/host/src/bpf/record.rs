//! The records of `bpf/record.h`, mirrored, and their reading.
//!
//! The kernel side is ours, but the bytes in its records are not: lengths are checked, nothing is indexed. Gives what
//! the record says; names, clocks and containers are `convert`'s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use minesweep_model::{Direction, ProcessKey, Protocol};

use super::{
    calls::{self, NUMBERS},
    watched,
};

/// Nanoseconds in a USER_HZ tick, the unit of [`ProcessKey::start_ticks`].
const TICK_NS: u64 = 10_000_000;

/// Kinds of record, in the order of `enum kind`; the index counts.
pub(crate) const HOOKS: [&str; 11] =
    ["fork", "exec", "exit", "connect", "accept", "closed", "bytes", "maps", "msr", "settings", "files"];

pub(crate) const EXEC_OVERLAY_UPPER: u32 = 1;
pub(crate) const EXEC_MEMFD: u32 = 2;
pub(crate) const EXEC_UNLINKED: u32 = 4;
pub(crate) const EXEC_PATH_AS_GIVEN: u32 = 8;
pub(crate) const EXEC_CWD_CUT: u32 = 16;

const PATH_BYTES: usize = 512;

/// A struct of whole words that any bytes make valid.
///
/// # Safety
/// `#[repr(C)]`, only integers and arrays of them, no padding.
pub(crate) unsafe trait Plain: Copy {}

/// Takes a struct off the front.
pub(crate) fn read<T: Plain>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>())?;
    // SAFETY: `head` is as long as T, and every bit pattern is a T (see `Plain`); the read needs no alignment.
    Some((unsafe { head.as_ptr().cast::<T>().read_unaligned() }, rest))
}

/// The bytes of a struct, as the kernel takes them for a key or value of a map.
pub(crate) fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: T has no padding (see `Plain`), so each of its bytes is initialised and lives as long as the borrow.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Declares the mirror of a C struct with the size that record.h asserts too.
macro_rules! mirror {
    ($(#[$about:meta])* $name:ident, $bytes:expr, { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$about])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name { $(pub(crate) $field: $kind),* }
        const _: () = assert!(size_of::<$name>() == $bytes);
        const _: () = assert!(0 $(+ size_of::<$kind>())* == $bytes, "padding");
        // SAFETY: `repr(C)`, integers only, and the two assertions above show that there is no padding.
        unsafe impl Plain for $name {}
    };
}

mirror!(Head, 16, { kind: u32, pad: u32, at_ns: u64 });
mirror!(
    /// A process; pid 0 when it is not known.
    Who, 16, { pid: u32, pad: u32, start_ns: u64 }
);
mirror!(ForkRecord, 32, { parent: Who, child: Who });
mirror!(ExecRecord, 96 + 2 * PATH_BYTES, {
    who: Who, cgroup: u64, cgroup_v1: u64, inode: u64, device: u32, parent_pid: u32, inner_pid: u32, uid: u32,
    flags: u32, exe_bytes: u32, cwd_bytes: u32, argv_bytes: u32, session: u32, login_uid: u32,
    comm: [u8; 16], exe: [u8; PATH_BYTES],
    cwd: [u8; PATH_BYTES],
});
mirror!(Ends, 40, {
    local: [u8; 16], remote: [u8; 16], local_port: u16, remote_port: u16, family: u8, protocol: u8, pad: u16,
});
mirror!(FlowRecord, 64, { who: Who, cookie: u64, ends: Ends });
mirror!(BytesRecord, 80, {
    who: Who, cookie: u64, ends: Ends, sequence: u32, bytes: u32, cut: u32, direction: u32,
});
mirror!(MapRecord, 32, { who: Who, length: u64, flags: u32, fd: i32 });
mirror!(MsrRecord, 40, { who: Who, register: u64, value: u64, has_value: u32, is_done: u32 });
mirror!(SettingRecord, 24 + PATH_BYTES, { who: Who, path_bytes: u32, pad: u32, path: [u8; PATH_BYTES] });
mirror!(
    /// Value of the flow map.
    FlowState, 32, { who: Who, used: [u32; 2], flags: u32, pad: u32 }
);
mirror!(
    /// Value of the rounding map.
    Modes, 32, { count: [u64; 4] }
);
mirror!(
    /// Value of the counter map.
    Count, 16, { made: u64, lost: u64 }
);
mirror!(TaskEntry, 40, { who: Who, parent_pid: u32, is_kernel: u32, comm: [u8; 16] });
mirror!(SocketEntry, 72, { who: Who, cookie: u64, ends: Ends, namespace: u32, is_listening: u32 });
mirror!(FileRecord, 80, {
    who: Who, inode: u64, value: u64, device: u32, namespace: u32, act: u32, flags: u32, call: u32, at: u32,
    result: i32, word_bytes: u32, base_bytes: u32, other_word_bytes: u32, other_base_bytes: u32, dir: i32,
});
mirror!(
    /// How a system call is read; places of arguments count from 1.
    CallRow, 12, {
        flags: u32, act: u8, dir: u8, word: u8, other_dir: u8, other_word: u8, value: u8, at: u8, pad: u8,
    }
);
mirror!(
    /// Key of the map of watched names.
    WatchedName, 40, { name: [u8; 40] }
);
mirror!(
    /// Its value; an empty folder stands for any.
    WatchedIn, 28, { acts: u32, folder: [u8; 24] }
);
mirror!(
    /// Set before loading.
    Settings, 8 + 64 + 64 + NUMBERS / 8 + 24 * NUMBERS, {
        budget: u32, own_pid: u32, excluded: [u32; 16], folders: [u64; 8], told: [u64; NUMBERS / 64],
        calls: [[CallRow; NUMBERS]; 2],
    }
);

/// [`FlowState::flags`]: the end of the flow is news.
pub(crate) const FLOW_REPORTED: u32 = 2;

impl Settings {
    /// With the tables of calls and of what is watched.
    pub(crate) fn new(budget: u32) -> Self {
        let (calls, told) = calls::rows();
        let mut settings =
            Self { budget, own_pid: std::process::id(), excluded: [0; 16], folders: [0; 8], told, calls };
        for (to, from) in settings.excluded.iter_mut().zip(watched::EXCLUDED) {
            *to = *from;
        }
        for (to, name) in settings.folders.iter_mut().zip(watched::FOLDERS) {
            *to = u64::from_ne_bytes(super::load::padded(name));
        }
        settings
    }
}

impl Who {
    /// The process, when known.
    pub(crate) fn key(&self) -> Option<ProcessKey> {
        (self.pid != 0).then_some(ProcessKey { pid: self.pid, start_ticks: self.start_ns / TICK_NS })
    }

    /// The same process for one who knows that it is there.
    pub(crate) fn known(&self) -> ProcessKey {
        ProcessKey { pid: self.pid, start_ticks: self.start_ns / TICK_NS }
    }
}

impl Ends {
    /// This end and the other.
    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.address(self.local, self.local_port), self.address(self.remote, self.remote_port))
    }

    /// Transport.
    pub(crate) fn transport(&self) -> Protocol {
        if self.protocol == 17 { Protocol::Udp } else { Protocol::Tcp }
    }

    fn address(&self, bytes: [u8; 16], port: u16) -> SocketAddr {
        let [a, b, c, d, ..] = bytes;
        let ip = match self.family {
            4 => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            _six => Ipv6Addr::from(bytes).to_canonical(),
        };
        SocketAddr::new(ip, port)
    }
}

/// A program that a process became.
#[derive(Clone, Debug)]
pub(crate) struct Exec {
    pub(crate) record: Box<ExecRecord>,
    pub(crate) argv: Vec<u8>,
}

impl Exec {
    /// Path of the executable.
    pub(crate) fn exe(&self) -> String {
        let bytes = cut(&self.record.exe, self.record.exe_bytes);
        if self.record.flags & EXEC_PATH_AS_GIVEN == 0 { path(bytes) } else { text(bytes) }
    }

    /// Working directory; `None` when it was too long to copy.
    pub(crate) fn cwd(&self) -> Option<String> {
        let is_cut = self.record.flags & EXEC_CWD_CUT != 0;
        (!is_cut).then(|| path(cut(&self.record.cwd, self.record.cwd_bytes)))
    }

    /// The name that the kernel shows.
    pub(crate) fn comm(&self) -> String {
        text(&self.record.comm)
    }
}

/// First bytes of a flow.
#[derive(Clone, Debug)]
pub(crate) struct FlowData {
    pub(crate) record: BytesRecord,
    pub(crate) bytes: Vec<u8>,
}

impl FlowData {
    /// Which way they went.
    pub(crate) fn direction(&self) -> Direction {
        if self.record.direction == 0 { Direction::Out } else { Direction::In }
    }
}

/// What was done to a file.
#[derive(Clone, Debug)]
pub(crate) struct FileData {
    pub(crate) record: FileRecord,
    /// The path.
    pub(crate) place: Words,
    /// The second path or text.
    pub(crate) other: Words,
}

/// Words of a caller, and the folder below which they stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub(crate) base: Vec<u8>,
    pub(crate) word: Vec<u8>,
}

impl FileData {
    fn read(body: &[u8]) -> Option<Self> {
        let (record, mut rest) = read::<FileRecord>(body)?;
        let mut next = |length: u32| {
            let (head, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = tail;
            Some(head)
        };
        let word = next(record.word_bytes)?.to_vec();
        let base = path_bytes(next(record.base_bytes)?);
        let other_word = next(record.other_word_bytes)?.to_vec();
        let other_base = path_bytes(next(record.other_base_bytes)?);
        let place = Words { base, word };
        Some(Self { record, place, other: Words { base: other_base, word: other_word } })
    }
}

/// What one record says.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Fork(ForkRecord),
    Exec(Exec),
    Exit(Who),
    Connect(FlowRecord),
    Accept(FlowRecord),
    Closed(u64),
    Bytes(FlowData),
    Map(MapRecord),
    Msr(MsrRecord),
    Setting(Who, String),
    File(Box<FileData>),
}

/// A record with its time (CLOCK_MONOTONIC) and the index of its hook.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) at_ns: u64,
    pub(crate) hook: usize,
    pub(crate) raw: Raw,
}

/// Reads one record. `None`: not one of ours.
pub(crate) fn decode(bytes: &[u8]) -> Option<Record> {
    let (head, body) = read::<Head>(bytes)?;
    let raw = match head.kind {
        0 => Raw::Fork(read(body)?.0),
        1 => {
            let (record, argv) = read::<ExecRecord>(body)?;
            Raw::Exec(Exec { record: Box::new(record), argv: cut(argv, record.argv_bytes).to_vec() })
        }
        2 => Raw::Exit(read(body)?.0),
        3 => Raw::Connect(read(body)?.0),
        4 => Raw::Accept(read(body)?.0),
        5 => Raw::Closed(read::<FlowRecord>(body)?.0.cookie),
        6 => {
            let (record, data) = read::<BytesRecord>(body)?;
            Raw::Bytes(FlowData { record, bytes: cut(data, record.bytes).to_vec() })
        }
        7 => Raw::Map(read(body)?.0),
        8 => Raw::Msr(read(body)?.0),
        9 => {
            let (record, _) = read::<SettingRecord>(body)?;
            Raw::Setting(record.who, path(cut(&record.path, record.path_bytes)))
        }
        10 => Raw::File(Box::new(FileData::read(body)?)),
        _unknown => return None,
    };
    Some(Record { at_ns: head.at_ns, hook: usize::try_from(head.kind).ok()?, raw })
}

/// At most the first `length` bytes.
fn cut(bytes: &[u8], length: u32) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    bytes.get(..length).unwrap_or(bytes)
}

/// A path from its names, leaf first, each ended by NUL.
fn path(names: &[u8]) -> String {
    let names = path_bytes(names);
    if names.is_empty() { "/".to_owned() } else { String::from_utf8_lossy(&names).into_owned() }
}

/// The same as bytes; empty for the root, so that a name can follow.
fn path_bytes(names: &[u8]) -> Vec<u8> {
    let Some(names) = names.strip_suffix(b"\0") else { return Vec::new() };
    let mut out = Vec::with_capacity(names.len() + 1);
    for name in names.split(|&byte| byte == 0).rev() {
        out.push(b'/');
        out.extend_from_slice(name);
    }
    out
}

/// A C string.
pub(crate) fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leaf_first_become_a_path() {
        assert_eq!(path(b"sh\0bin\0usr\0"), "/usr/bin/sh");
        assert_eq!(path(b"memfd:x\0"), "/memfd:x");
        assert_eq!(path(b""), "/");
    }

    #[test]
    fn a_record_cut_at_any_byte_is_refused_not_a_panic() {
        for kind in 0u32..13 {
            let mut whole = kind.to_ne_bytes().to_vec();
            whole.resize(16 + size_of::<ExecRecord>(), 0xff);
            for length in 0..whole.len() {
                let decoded = decode(&whole[..length]);
                assert!(length >= 16 || decoded.is_none(), "{kind} {length}");
            }
            assert_eq!(decode(&whole).is_some(), kind < 10, "{kind}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_shown_as_ipv4() {
        let mut local = [0; 16];
        local[10..].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        let ends =
            Ends { local, remote: [0; 16], local_port: 80, remote_port: 0, family: 6, protocol: 6, pad: 0 };
        assert_eq!(ends.addresses().0.to_string(), "192.0.2.1:80");
    }

    #[test]
    fn a_process_has_the_same_key_as_in_proc() {
        let who = Who { pid: 7, pad: 0, start_ns: 1_234_567_890_123 };
        assert_eq!(who.key(), Some(ProcessKey { pid: 7, start_ticks: 123_456 }));
        assert_eq!(Who { pid: 0, ..who }.key(), None);
    }
}

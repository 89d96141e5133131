//! Reads what is appended to a journal file of systemd, without its library.
//!
//! The format is documented and stable (systemd's JOURNAL_FILE_FORMAT). Objects are appended one after the other, so
//! the end of what was read is all there is to remember. Files are read, not mapped: a file that shrinks would kill us.
//! A field that is compressed (longer than 512 bytes by default) is passed over and counted.

use std::{collections::HashMap, fs::File, os::unix::fs::FileExt as _};

use minesweep_model::LogLine;

use super::lines::LINE_LIMIT_BYTES;
use crate::take::Take;

/// Length of the header in every version that has the fields that are read.
const HEADER_BYTES: usize = 160;
/// Length of what every object begins with.
const OBJECT_BYTES: usize = 16;
const DATA: u8 = 1;
const ENTRY: u8 = 3;
/// Flags of an object whose payload is compressed, in any way.
const COMPRESSED: u8 = 1 | 2 | 4;
/// Features that change what is written, and are known: xz, lz4, keyed hash, zstd, compact.
const KNOWN_FEATURES: u32 = 0x1f;
const COMPACT: u32 = 0x10;
/// Most fields of an entry that are looked at; journald itself writes about 25.
const FIELDS_LIMIT: usize = 256;
/// Most objects passed at once: other files want to be read too.
const OBJECTS_AT_ONCE: usize = 65_536;
/// Most fields remembered, so that what all entries share is read once.
const KNOWN_LIMIT: usize = 4096;
/// What is remembered of one.
const KNOWN_VALUE_BYTES: usize = 256;
const SOURCE: &str = "journal";

/// A place that bytes can be read from.
pub trait Bytes {
    /// Reads at most that many bytes; fewer at the end.
    fn read(&self, at: u64, buffer: &mut [u8]) -> Option<usize>;
}

impl Bytes for File {
    fn read(&self, at: u64, buffer: &mut [u8]) -> Option<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, at.checked_add(done as u64)?) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(done)
    }
}

impl Bytes for &[u8] {
    fn read(&self, at: u64, buffer: &mut [u8]) -> Option<usize> {
        let rest = self.get(usize::try_from(at).ok()?..)?;
        let count = rest.len().min(buffer.len());
        buffer.get_mut(..count)?.copy_from_slice(rest.get(..count)?);
        Some(count)
    }
}

/// Why a file is not read on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadJournal {
    /// It does not begin as one.
    #[error("it is no journal file")]
    NoJournal,
    /// A newer one.
    #[error("it has features {0:#x} that this program does not know; update minesweep")]
    Unknown(u32),
    /// An object is longer than the file, or shorter than its own head.
    #[error("its object at {0} is broken")]
    Broken(u64),
}

/// How far a journal was read.
#[derive(Debug)]
pub struct Position {
    /// The next object.
    at: u64,
    /// Entries passed, to be held against those that are linked.
    entries: u64,
    known: HashMap<u64, Option<(Field, String)>>,
    /// Messages that were compressed.
    pub passed: u64,
}

/// What of the header is used.
struct Header {
    is_compact: bool,
    begin: u64,
    tail: u64,
    entries: u64,
}

impl Header {
    fn read(source: &impl Bytes) -> Result<Self, BadJournal> {
        let mut bytes = [0; HEADER_BYTES];
        let count = source.read(0, &mut bytes).ok_or(BadJournal::NoJournal)?;
        let mut take = Take(bytes.get(..count).unwrap_or_default());
        Self::parse(&mut take).ok_or(BadJournal::NoJournal)?
    }

    fn parse(take: &mut Take<'_>) -> Option<Result<Self, BadJournal>> {
        if take.bytes(8)? != b"LPKSHHRH" {
            return None;
        }
        let _compatible = take.u32_le()?;
        let features = take.u32_le()?;
        let _state_and_ids = take.bytes(8 + 4 * 16)?;
        let begin = take.u64_le()?;
        let _arena_and_tables = take.bytes(5 * 8)?;
        let tail = take.u64_le()?;
        let _objects = take.u64_le()?;
        let entries = take.u64_le()?;
        if features & !KNOWN_FEATURES != 0 {
            return Some(Err(BadJournal::Unknown(features)));
        }
        Some(Ok(Self { is_compact: features & COMPACT != 0, begin, tail, entries }))
    }
}

/// The head of an object.
struct Object {
    kind: u8,
    flags: u8,
    size: u64,
}

impl Object {
    fn read(source: &impl Bytes, at: u64) -> Option<Self> {
        let mut bytes = [0; OBJECT_BYTES];
        let count = source.read(at, &mut bytes)?;
        let mut take = Take(bytes.get(..count)?);
        let (kind, flags) = (take.u8()?, take.u8()?);
        let _reserved = take.bytes(6)?;
        let size = take.u64_le()?;
        (size >= OBJECT_BYTES as u64).then_some(Self { kind, flags, size })
    }

    /// Where the next one is.
    fn end(&self, at: u64) -> Option<u64> {
        at.checked_add(self.size)?.checked_next_multiple_of(8)
    }
}

/// Fields that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Message,
    Identifier,
    SyslogPid,
    Pid,
    Uid,
    Exe,
}

const FIELDS: [(&str, Field); 6] = [
    ("MESSAGE=", Field::Message),
    ("SYSLOG_IDENTIFIER=", Field::Identifier),
    ("SYSLOG_PID=", Field::SyslogPid),
    ("_PID=", Field::Pid),
    ("_UID=", Field::Uid),
    ("_EXE=", Field::Exe),
];

/// The fields of one entry.
#[derive(Debug, Default)]
struct Entry {
    message: Option<String>,
    identifier: Option<String>,
    pid: Option<u32>,
    uid: Option<u32>,
    exe: Option<String>,
}

impl Position {
    /// The end of what is there.
    ///
    /// # Errors
    /// When it is no journal that can be read.
    pub fn end(source: &impl Bytes) -> Result<Self, BadJournal> {
        let header = Header::read(source)?;
        let at = match header.tail {
            0 => header.begin,
            tail => Object::read(source, tail)
                .and_then(|object| object.end(tail))
                .ok_or(BadJournal::Broken(tail))?,
        };
        Ok(Self { at, entries: header.entries, known: HashMap::new(), passed: 0 })
    }

    /// The first object.
    ///
    /// # Errors
    /// When it is no journal that can be read.
    pub fn start(source: &impl Bytes) -> Result<Self, BadJournal> {
        let header = Header::read(source)?;
        Ok(Self { at: header.begin, entries: 0, known: HashMap::new(), passed: 0 })
    }

    /// Appends the lines of entries that were added, at most `limit`. True when more waits.
    ///
    /// # Errors
    /// When the file is broken; it is then read no further.
    pub fn read(
        &mut self,
        source: &impl Bytes,
        limit: usize,
        out: &mut Vec<LogLine>,
    ) -> Result<bool, BadJournal> {
        let header = Header::read(source)?;
        let full = out.len().saturating_add(limit);
        for _ in 0..OBJECTS_AT_ONCE {
            // An entry is whole once it is linked, which the count of entries tells.
            if self.at > header.tail || out.len() >= full {
                return Ok(self.at <= header.tail);
            }
            let broken = BadJournal::Broken(self.at);
            let Some(object) = Object::read(source, self.at) else { return Err(broken) };
            if object.kind == ENTRY {
                if self.entries >= header.entries {
                    return Ok(false);
                }
                self.entries += 1;
                out.extend(self.entry(source, header.is_compact, self.at, object.size));
            }
            match object.end(self.at) {
                Some(next) => self.at = next,
                None => return Err(broken),
            }
        }
        Ok(true)
    }

    fn entry(&mut self, source: &impl Bytes, is_compact: bool, at: u64, size: u64) -> Option<LogLine> {
        const ITEMS_AT: u64 = 64;
        let item_bytes: usize = if is_compact { 4 } else { 16 };
        let count = usize::try_from(size.checked_sub(ITEMS_AT)?).ok()? / item_bytes;
        let mut bytes = vec![0; count.min(FIELDS_LIMIT).checked_mul(item_bytes)?];
        let read = source.read(at.checked_add(ITEMS_AT)?, &mut bytes)?;
        let mut take = Take(bytes.get(..read)?);
        let mut entry = Entry::default();
        while let Some(mut item) = take.bytes(item_bytes).map(Take) {
            let offset = if is_compact { item.u32_le().map(u64::from) } else { item.u64_le() };
            if let Some((field, value)) = offset.and_then(|offset| self.field(source, is_compact, offset)) {
                entry.set(field, value);
            }
        }
        entry.line()
    }

    /// A field that is used, from the file or remembered.
    fn field(&mut self, source: &impl Bytes, is_compact: bool, at: u64) -> Option<(Field, String)> {
        if let Some(known) = self.known.get(&at) {
            return known.clone();
        }
        let object = Object::read(source, at).filter(|object| object.kind == DATA)?;
        let head: u64 = if is_compact { 72 } else { 64 };
        let length = usize::try_from(object.size.checked_sub(head)?).ok()?;
        let mut bytes = vec![0; length.min(LINE_LIMIT_BYTES)];
        let count = source.read(at.checked_add(head)?, &mut bytes)?;
        if object.flags & COMPRESSED != 0 {
            self.passed = self.passed.saturating_add(1);
            return None;
        }
        let text = String::from_utf8_lossy(bytes.get(..count)?);
        let found =
            FIELDS.iter().find_map(|(name, field)| Some((*field, text.strip_prefix(*name)?.to_owned())));
        let is_shared = found
            .as_ref()
            .is_none_or(|(field, value)| *field != Field::Message && value.len() <= KNOWN_VALUE_BYTES);
        if is_shared {
            if self.known.len() >= KNOWN_LIMIT {
                self.known.clear();
            }
            self.known.insert(at, found.clone());
        }
        found
    }
}

impl Entry {
    fn set(&mut self, field: Field, value: String) {
        match field {
            Field::Message => self.message = Some(value),
            Field::Identifier => self.identifier = Some(value),
            // The kernel's word counts more than the sender's.
            Field::SyslogPid => self.pid = self.pid.or_else(|| value.parse().ok()),
            Field::Pid => self.pid = value.parse().ok().or(self.pid),
            Field::Uid => self.uid = value.parse().ok(),
            Field::Exe => self.exe = Some(value),
        }
    }

    /// Anybody may log under any name. Who is not root is called by the program that the kernel saw, and only when it
    /// lies where only root writes.
    fn line(self) -> Option<LogLine> {
        const OWN_FOLDERS: [&str; 4] = ["/usr/", "/bin/", "/sbin/", "/opt/"];
        let text = self.message?;
        let program = match (self.uid, self.exe) {
            (Some(0) | None, _) => self.identifier?,
            (Some(_), Some(exe)) if OWN_FOLDERS.iter().any(|folder| exe.starts_with(folder)) => {
                exe.rsplit('/').next()?.to_owned()
            }
            (Some(_), Some(_) | None) => return None,
        };
        Some(LogLine { source: SOURCE.to_owned(), program, pid: self.pid, text })
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;

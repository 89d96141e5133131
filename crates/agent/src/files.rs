//! Files shown to the file rules: those that a scan walks over, and those that are written or run while we watch.
//!
//! Reads; moves and changes nothing. A file is known by device, inode, time of change and length: it is read once until
//! one of them differs. All is bounded, and what a bound leaves out is counted.

mod watched;

use std::{
    collections::HashSet,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use minesweep_detect::{
    Rules,
    files::{self, FileLimits, Worth},
};
use minesweep_host::walk::{FoundFile, Next, Walk, WalkCounts};
use minesweep_model::{FileId, FileRuleMatch, Occasion, ProcessKey, Scanned};

pub(crate) use watched::WatchedFiles;

/// Files that one scan remembers as read; each takes 48 bytes.
const KNOWN: usize = 1 << 20;
/// First bytes of a file by which a quick look decides.
const HEAD_BYTES: usize = 4096;
/// Files told by one scan.
const TOLD: usize = 4096;
/// Longest path that is told, bytes.
const PATH_BYTES: usize = 4096;
/// Most bytes of a file that its sums are made of; of a larger one, there are none.
const SUM_BYTES: u64 = 1 << 30;

/// Where a scan looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileScope {
    /// Programs that run, and folders where anybody may write.
    Live,
    /// Also homes, cron, units, web roots and what is installed by hand.
    Quick,
    /// Everything on local disks.
    Full,
}

/// Folders where anybody may write.
const SHARED: [&str; 3] = ["tmp", "var/tmp", "dev/shm"];
/// Where intruders put what is to stay.
const LASTING: [&str; 16] = [
    "home",
    "root",
    "etc/cron.d",
    "etc/cron.hourly",
    "etc/cron.daily",
    "etc/cron.weekly",
    "etc/cron.monthly",
    "etc/crontab",
    "var/spool/cron",
    "etc/systemd",
    "usr/lib/systemd/system",
    "run/systemd/system",
    "usr/local",
    "opt",
    "srv",
    "var/www",
];

/// What a scan of files came to.
#[derive(Debug, Default)]
pub struct FileScan {
    /// Files in which rules matched, at most 4096.
    pub scanned: Vec<Scanned>,
    /// Files that were read.
    pub read: u64,
    /// Bytes of them that were read, as stored.
    pub read_bytes: u64,
    /// Files that a quick look passed over by their first bytes, and those that were read before under another name.
    pub passed: u64,
    /// Files of which a part was not read: packed too deep, too large, locked, broken.
    pub cut: u64,
    /// Files that matched beyond the bound.
    pub untold: u64,
    /// It was ended before all was read.
    pub is_ended_early: bool,
    /// What the walk came to.
    pub walk: WalkCounts,
}

/// Looks through files below `root`.
pub fn scan_files(
    scope: FileScope,
    root: &Path,
    rules: &Rules,
    is_over: &mut dyn FnMut() -> bool,
) -> FileScan {
    let (mut scan, mut reader, mut walk) = (FileScan::default(), Reader::new(KNOWN), Walk::default());
    let mut visit = |found: FoundFile| {
        if is_over() {
            scan.is_ended_early = true;
            return Next::End;
        }
        scan.take(reader.scan(found, scope, rules));
        Next::Go
    };
    if root == Path::new("/") {
        for program in running_programs() {
            let Ok(Some(mut found)) = FoundFile::open(&program) else { continue };
            if let Ok(path) = std::fs::read_link(&program) {
                found.path = path.into_os_string().into_encoded_bytes();
            }
            if visit(found) == Next::End {
                break;
            }
        }
    }
    for start in starts(scope) {
        match walk.below(&root.join(start), &mut visit) {
            Ok(Next::Go) => {}
            Ok(Next::End) => break,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => walk.counts.unread += 1,
        }
    }
    scan.walk = walk.counts;
    scan
}

impl FileScan {
    fn take(&mut self, read: Option<Reading>) {
        let Some(Reading { scanned, bytes, is_cut }) = read else {
            self.passed += 1;
            return;
        };
        self.read += 1;
        self.read_bytes = self.read_bytes.saturating_add(bytes);
        self.cut += u64::from(is_cut);
        match scanned {
            Some(_) if self.scanned.len() >= TOLD => self.untold += 1,
            scanned => self.scanned.extend(scanned),
        }
    }
}

fn starts(scope: FileScope) -> Vec<&'static str> {
    match scope {
        FileScope::Live => SHARED.to_vec(),
        FileScope::Quick => SHARED.iter().chain(&LASTING).copied().collect(),
        FileScope::Full => vec![""],
    }
}

/// The programs that run, by a link that leads to them also when they are deleted.
fn running_programs() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let own = std::process::id().to_string();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_number(name) && *name != own)
        .map(|name| Path::new("/proc").join(name).join("exe"))
        .collect()
}

/// What reading a file came to.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The file, when rules matched in it.
    pub(crate) scanned: Option<Scanned>,
    bytes: u64,
    is_cut: bool,
}

/// Reads files, each once.
#[derive(Debug)]
pub(crate) struct Reader {
    known: HashSet<(FileId, i128, u64)>,
    limit: usize,
}

impl Reader {
    /// Remembers at most `limit` files.
    pub(crate) fn new(limit: usize) -> Self {
        Self { known: HashSet::new(), limit }
    }

    /// Reads as much of a file as the scope asks for.
    fn scan(&mut self, mut found: FoundFile, scope: FileScope, rules: &Rules) -> Option<Reading> {
        let most = match scope {
            FileScope::Live | FileScope::Quick => match files::worth(&head(&mut found), found.size_bytes) {
                Worth::Nothing => return None,
                Worth::Head(bytes) => bytes,
                Worth::All => u64::MAX,
            },
            FileScope::Full => u64::MAX,
        };
        let path = path_text(&found.path);
        self.read(found, most, Asked { path, occasion: Occasion::Scan, process: None }, rules)
    }

    /// Reads at most `most` bytes of a file; nothing of one that is known or empty.
    pub(crate) fn read(
        &mut self,
        mut found: FoundFile,
        most: u64,
        asked: Asked,
        rules: &Rules,
    ) -> Option<Reading> {
        let name = (found.id, found.changed_ns, found.size_bytes);
        if found.size_bytes == 0 || self.known.contains(&name) {
            return None;
        }
        let (matches, opened) =
            files::search(&mut found.file.by_ref().take(most), rules.files(), &FileLimits::default());
        let (bytes, is_cut) = (opened.read_bytes, !opened.cuts.is_empty());
        // One that a process runs later is told again, then with the process.
        if matches.is_empty() || asked.occasion == Occasion::Scan {
            self.remember(name);
        }
        if matches.is_empty() {
            return Some(Reading { scanned: None, bytes, is_cut });
        }
        let (md5, sha256) = sums(&mut found).unwrap_or_default();
        let matches = matches
            .into_iter()
            .map(|matched| FileRuleMatch { rule: matched.rule, member: matched.member })
            .collect();
        let Asked { path, occasion, process } = asked;
        let (file, size_bytes) = (found.id, found.size_bytes);
        let scanned = Scanned { path, file, size_bytes, md5, sha256, matches, occasion, process };
        Some(Reading { scanned: Some(scanned), bytes, is_cut })
    }

    fn remember(&mut self, name: (FileId, i128, u64)) {
        if self.known.len() >= self.limit {
            self.known.clear();
        }
        self.known.insert(name);
    }
}

/// Why and under which path a file is read.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) occasion: Occasion,
    pub(crate) process: Option<ProcessKey>,
}

/// The first bytes of a file; fewer where it does not answer.
fn head(found: &mut FoundFile) -> Vec<u8> {
    let mut head = vec![0; HEAD_BYTES];
    let count = rustix::io::pread(&found.file, &mut head, 0).unwrap_or(0);
    head.truncate(count);
    head
}

/// MD5 and SHA-256 of the file; none of one that is too large or changed while it was read.
fn sums(found: &mut FoundFile) -> Option<(String, String)> {
    if found.size_bytes > SUM_BYTES {
        return None;
    }
    found.file.seek(SeekFrom::Start(0)).ok()?;
    let sums = files::digests(&mut found.file.by_ref().take(SUM_BYTES)).ok()?;
    let has_its_length = found.file.metadata().ok()?.len() == found.size_bytes;
    has_its_length.then_some(sums)
}

fn path_text(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path.get(..PATH_BYTES).unwrap_or(path));
    text.into_owned()
}

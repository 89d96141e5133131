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
    files::{self, FileLimits},
};
use minesweep_host::walk::{FoundFile, Next, Walk, WalkCounts};
use minesweep_model::{FileId, FileRuleMatch, Occasion, ProcessKey, Scanned};

pub(crate) use watched::WatchedFiles;

/// Files remembered as read.
const KNOWN: usize = 1 << 20;
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
    /// Their bytes, as stored.
    pub read_bytes: u64,
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
    let (mut scan, mut reader, mut walk) = (FileScan::default(), Reader::default(), Walk::default());
    let mut visit = |found: FoundFile| {
        if is_over() {
            scan.is_ended_early = true;
            return Next::End;
        }
        scan.read_bytes = scan.read_bytes.saturating_add(found.size_bytes);
        scan.read += 1;
        let told = path_text(&found.path);
        let (scanned, is_cut) = reader.read(found, told, Occasion::Scan, None, rules);
        scan.cut += u64::from(is_cut);
        match scanned {
            Some(_) if scan.scanned.len() >= TOLD => scan.untold += 1,
            scanned => scan.scanned.extend(scanned),
        }
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

/// Reads files, each once.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    known: HashSet<(FileId, i128, u64)>,
}

impl Reader {
    /// The file, when rules matched in it; and whether a part of it was left out.
    pub(crate) fn read(
        &mut self,
        mut found: FoundFile,
        path: String,
        occasion: Occasion,
        process: Option<ProcessKey>,
        rules: &Rules,
    ) -> (Option<Scanned>, bool) {
        let name = (found.id, found.changed_ns, found.size_bytes);
        if found.size_bytes == 0 || self.known.contains(&name) {
            return (None, false);
        }
        let (matches, opened) = files::search(&mut found.file, rules.files(), &FileLimits::default());
        let is_cut = !opened.cuts.is_empty();
        if matches.is_empty() {
            self.remember(name);
            return (None, is_cut);
        }
        let (md5, sha256) = sums(&mut found).unwrap_or_default();
        let matches = matches
            .into_iter()
            .map(|matched| FileRuleMatch { rule: matched.rule, member: matched.member })
            .collect();
        // One that a process runs later is told again, then with the process.
        if occasion == Occasion::Scan {
            self.remember(name);
        }
        let (file, size_bytes) = (found.id, found.size_bytes);
        (Some(Scanned { path, file, size_bytes, md5, sha256, matches, occasion, process }), is_cut)
    }

    fn remember(&mut self, name: (FileId, i128, u64)) {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(name);
    }
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

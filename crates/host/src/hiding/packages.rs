//! Which package a file is of, and what it should be: dpkg's own lists, read by ourselves.
//!
//! Nothing is kept of the lists but the answers for files that were asked for: 130,000 files of a thousand packages are
//! 7 MB, the answers are a few kilobytes. Read again when dpkg changed its state. Does not read rpm, apk or pacman.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use minesweep_model::Owner;
use rustix::fs::{FileType, Mode, OFlags, lstat, open, stat};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::{pieces, read_file};
use crate::proc::lossy;

/// dpkg's folder.
const DPKG: &str = "/var/lib/dpkg";
/// Most bytes of one list; the largest of Debian 12 has 1.5 MB.
const LIST_BYTES: usize = 16 << 20;
/// Most packages that are read.
const PACKAGES_LIMIT: usize = 65_536;
/// Most answers that are kept.
const ANSWERS_LIMIT: usize = 16_384;

/// The package database, as far as it was asked.
#[derive(Debug, Default)]
pub struct Packages {
    /// State of dpkg at the time of the answers: time of change of its status file.
    stamp: Option<(i64, u64)>,
    is_merged: bool,
    diversions: Vec<Diversion>,
    answers: BTreeMap<Vec<u8>, Option<String>>,
}

impl Packages {
    /// Is there a database that we read?
    pub(crate) fn is_there() -> bool {
        stamp().is_some()
    }

    /// Finds the packages of these files, all at once.
    pub(crate) fn learn<'a>(&mut self, files: impl Iterator<Item = &'a [u8]>) {
        let now = stamp();
        if now != self.stamp {
            self.refresh(now);
        }
        let room = ANSWERS_LIMIT.saturating_sub(self.answers.len());
        let wanted: BTreeSet<Vec<u8>> = files
            .map(|file| self.key(file))
            .filter(|key| !self.answers.contains_key(key))
            .take(room)
            .collect();
        if self.stamp.is_none() || wanted.is_empty() {
            return;
        }
        let mut asked: BTreeMap<Vec<u8>, Vec<(Vec<u8>, Of)>> = BTreeMap::new();
        for key in wanted {
            let (listed_as, of) = self.listed_as(&key);
            self.answers
                .insert(key.clone(), matches!(of, Of::Administrator).then(|| "dpkg-divert".to_owned()));
            asked.entry(listed_as).or_default().push((key, of));
        }
        each_list(&mut |package, list| {
            for line in lines(list) {
                for (key, of) in asked.get(canonical(line, self.is_merged)).into_iter().flatten() {
                    if of.is(package) {
                        self.answers.entry(key.clone()).and_modify(|owner| {
                            owner.get_or_insert_with(|| package.to_owned());
                        });
                    }
                }
            }
        });
    }

    /// The package of a file that was learned.
    pub(crate) fn owner(&self, file: &[u8]) -> Owner {
        match self.answers.get(&self.key(file)) {
            Some(Some(package)) => Owner::Package(package.clone()),
            Some(None) => Owner::Nobody,
            None => Owner::Unknown,
        }
    }

    /// The MD5 that a package brought for a file; `None` when it says nothing of it.
    pub(crate) fn sum(&self, package: &str, file: &[u8]) -> Option<String> {
        let (listed_as, _) = self.listed_as(&self.key(file));
        let path = format!("{DPKG}/info/{package}.md5sums");
        let file = pieces::regular(path.as_bytes()).ok().flatten()?;
        let mut found = None;
        let search = &mut |piece: &[u8]| {
            if found.is_none() {
                let mut sums = sums(piece);
                found = sums
                    .find(|(_, name)| canonical_name(name, self.is_merged) == listed_as)
                    .map(|(sum, _)| sum.to_owned());
            }
        };
        pieces::lines(&file, LIST_BYTES, search).ok()?;
        found
    }

    /// dpkg is at work: what it says and what is there may differ for a moment.
    pub(crate) fn is_busy(&self) -> bool {
        let file = open(format!("{DPKG}/lock"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let asked = file.and_then(|file| fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)));
        matches!(asked, Ok(Some(_)))
    }

    fn refresh(&mut self, now: Option<(i64, u64)>) {
        self.stamp = now;
        self.answers.clear();
        self.is_merged =
            lstat("/bin").is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        let text = read_file(format!("{DPKG}/diversions").as_bytes(), LIST_BYTES).ok().flatten();
        let mut list = diversions(&text.unwrap_or_default());
        for one in &mut list {
            one.from = canonical(&one.from, self.is_merged).to_vec();
            one.to = canonical(&one.to, self.is_merged).to_vec();
        }
        self.diversions = list;
    }

    /// Under which name the lists have a file, and of which package it can be: where a file was diverted, the usual
    /// name is of one package only, and the other name is of all others.
    fn listed_as(&self, key: &[u8]) -> (Vec<u8>, Of) {
        if let Some(one) = self.diversions.iter().find(|one| one.to == key) {
            return (one.from.clone(), Of::Not(one.package.clone()));
        }
        let of = match self.diversions.iter().find(|one| one.from == key) {
            Some(one) if one.package == ":" => Of::Administrator,
            Some(one) => Of::Only(one.package.clone()),
            None => Of::Any,
        };
        (key.to_vec(), of)
    }

    fn key(&self, file: &[u8]) -> Vec<u8> {
        canonical(file, self.is_merged).to_vec()
    }
}

/// Of which packages a file can be.
enum Of {
    Any,
    Only(String),
    Not(String),
    /// Of none: a person put it there and told dpkg.
    Administrator,
}

impl Of {
    fn is(&self, package: &str) -> bool {
        // Lists are named with the architecture where there may be two, diversions are not.
        let name = package.split(':').next().unwrap_or_default();
        match self {
            Self::Any => true,
            Self::Only(one) => name == one,
            Self::Not(one) => name != one,
            Self::Administrator => false,
        }
    }
}

fn stamp() -> Option<(i64, u64)> {
    let stat = stat(format!("{DPKG}/status")).ok()?;
    Some((stat.st_mtime, stat.st_size.unsigned_abs()))
}

/// Calls `each` with the name of each package and its list of files, in pieces of whole lines.
fn each_list(each: &mut dyn FnMut(&str, &[u8])) {
    let folder = match std::fs::read_dir(format!("{DPKG}/info")) {
        Ok(folder) => folder,
        Err(error) => return tracing::warn!(%error, "the lists of dpkg cannot be read"),
    };
    for entry in folder.take(PACKAGES_LIMIT * 4).flatten() {
        let name = entry.file_name();
        let Some(package) = name.as_bytes().strip_suffix(b".list") else { continue };
        let path = Path::new(DPKG).join("info").join(OsStr::from_bytes(name.as_bytes()));
        let package = lossy(package);
        let read = pieces::regular(path.as_os_str().as_bytes()).and_then(|file| match file {
            Some(file) => pieces::lines(&file, LIST_BYTES, &mut |piece| each(&package, piece)),
            None => Ok(()),
        });
        if let Err(error) = read {
            tracing::warn!(%error, path = %path.display(), "a list of dpkg cannot be read");
        }
    }
}

/// One name of a path where two lead to the same file since /usr was merged: the one without /usr.
fn canonical(path: &[u8], is_merged: bool) -> &[u8] {
    let Some(rest) = path.strip_prefix(b"/usr").filter(|_| is_merged) else { return path };
    let is_moved = [&b"/bin/"[..], b"/sbin/", b"/lib"].iter().any(|folder| rest.starts_with(folder));
    // /usr/libexec and the like were never outside of /usr.
    if is_moved && !rest.starts_with(b"/libexec/") { rest } else { path }
}

/// The same for a name without its first slash.
fn canonical_name(name: &[u8], is_merged: bool) -> Vec<u8> {
    let mut path = Vec::with_capacity(name.len() + 1);
    path.push(b'/');
    path.extend_from_slice(name);
    canonical(&path, is_merged).to_vec()
}

/// The paths in a list of files: one a line.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter(|line| line.starts_with(b"/"))
}

/// The sums in a list of MD5 sums: 32 hexadecimal digits, two blanks, the path without its first slash.
pub fn sums(text: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    text.split(|&b| b == b'\n').filter_map(|line| {
        let (sum, rest) = line.split_at_checked(32)?;
        let name = rest.strip_prefix(b"  ")?;
        let sum = std::str::from_utf8(sum).ok()?;
        sum.bytes().all(|b| b.is_ascii_hexdigit()).then_some((sum, name))
    })
}

/// A file that a package or the administrator (`:`) moved out of the way of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// The usual path.
    pub from: Vec<u8>,
    /// Where the file of all other packages goes.
    pub to: Vec<u8>,
    /// Whose file has the usual path.
    pub package: String,
}

/// The list of diversions: three lines each. What is left over at the end is no diversion.
pub fn diversions(text: &[u8]) -> Vec<Diversion> {
    let mut lines = text.split(|&b| b == b'\n');
    let mut all = Vec::new();
    while let (Some(from), Some(to), Some(package)) = (lines.next(), lines.next(), lines.next()) {
        if from.starts_with(b"/") && to.starts_with(b"/") && all.len() < PACKAGES_LIMIT {
            all.push(Diversion { from: from.to_vec(), to: to.to_vec(), package: lossy(package) });
        }
    }
    all
}

/// Where all links of a path end, when it leads anywhere.
pub(super) fn real(path: &[u8]) -> io::Result<Vec<u8>> {
    Ok(std::fs::canonicalize(OsStr::from_bytes(path))?.into_os_string().into_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_file_are_one_once_usr_is_merged() {
        assert_eq!(canonical(b"/usr/bin/ps", true), b"/bin/ps");
        assert_eq!(canonical(b"/usr/lib64/ld.so", true), b"/lib64/ld.so");
        assert_eq!(canonical(b"/usr/bin/ps", false), b"/usr/bin/ps");
        assert_eq!(canonical(b"/usr/libexec/x", true), b"/usr/libexec/x");
        assert_eq!(canonical(b"/usr/share/bin/x", true), b"/usr/share/bin/x");
        assert_eq!(canonical_name(b"usr/bin/ps", true), b"/bin/ps");
    }

    #[test]
    fn sums_and_diversions_are_read_and_what_is_cut_is_left_out() {
        let sum = "0123456789abcdef0123456789abcdef";
        let text = format!("{sum}  usr/bin/a b\n{sum} usr/bin/c\nshort  x\n\u{e9}{sum}  y\n{sum}  ");
        let all: Vec<_> = sums(text.as_bytes()).collect();
        assert_eq!(all, [(sum, &b"usr/bin/a b"[..]), (sum, &b""[..])]);
        let all = diversions(b"/a\n/a.distrib\ndash\n/b\n/b.x\n:\n/c\n");
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].from.as_slice(), all[1].package.as_str()), (&b"/b"[..], ":"));
    }
}

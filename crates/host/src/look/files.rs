//! Files that a process may take its orders from: named in its arguments, open, or beside it.
//!
//! Paths are those of the process: they are resolved inside its root, so a link in a container cannot lead to the
//! host. Only regular files are opened, so no pipe, device or network file is woken.

use std::{
    collections::HashSet,
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use minesweep_model::{FileId, Process};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, RawDir, ResolveFlags, fstat, fstatfs, openat, openat2};
use rustix::io::Errno;

use crate::proc::{
    lossy,
    origin::file_id,
    root::{self, Folder},
};

/// Most names of a folder that are looked at.
const MAX_NAMES: usize = 512;
/// Most descriptors that are looked at.
const MAX_DESCRIPTORS: usize = 256;
/// Most bytes of a password file.
const PASSWD_BYTES: usize = 64 << 10;
/// `FUSE_SUPER_MAGIC`: a program answers for such a file, and may never do so.
const FUSE: i64 = 0x6573_5546;
/// Endings of configuration files.
const ENDINGS: [&str; 8] = [".json", ".conf", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".txt"];

/// One file that was read.
pub(super) struct Found {
    /// Path as the process sees it.
    pub(super) path: String,
    /// It is neither named nor open.
    pub(super) is_beside: bool,
    /// Its first bytes.
    pub(super) bytes: Vec<u8>,
}

/// Reads files of one process, each once, until the limits are reached.
pub(super) struct Files<'a> {
    folder: &'a Folder,
    process_root: OwnedFd,
    left: usize,
    limit_bytes: usize,
    seen: HashSet<FileId>,
    /// Files that are plausible and could not be read.
    pub(super) unread: Vec<String>,
}

impl<'a> Files<'a> {
    /// At most `limit` files of `limit_bytes` each; longer ones are cut.
    pub(super) fn open(folder: &'a Folder, limit: usize, limit_bytes: usize) -> io::Result<Self> {
        let process_root = folder.file("root", OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Self { folder, process_root, left: limit, limit_bytes, seen: HashSet::new(), unread: Vec::new() })
    }

    /// Marks the executable as read.
    pub(super) fn skip(&mut self, file: FileId) {
        self.seen.insert(file);
    }

    /// All plausible files, the most telling first.
    pub(super) fn read(&mut self, process: &Process, sink: &mut dyn FnMut(Found)) {
        for word in process.argv.iter().skip(1) {
            for path in paths(word) {
                self.at(&absolute(path, &process.cwd), false, sink);
            }
        }
        self.open_ones(sink);
        let home = self.home(process.uid);
        let beside = Path::new(&process.exe).parent().map(Path::to_path_buf);
        let settings = home.as_ref().map(|home| home.join(".config"));
        let cwd = (!process.cwd.is_empty()).then(|| PathBuf::from(&process.cwd));
        let folders: Vec<PathBuf> = [beside, cwd, home, settings].into_iter().flatten().collect();
        for (at, folder) in folders.iter().enumerate() {
            if !folders.iter().take(at).any(|earlier| earlier == folder) {
                self.beside(folder, sink);
            }
        }
    }

    /// The configuration files in a folder, `config` first.
    fn beside(&mut self, folder: &Path, sink: &mut dyn FnMut(Found)) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let Ok(listing) = self.resolve(folder, flags) else { return };
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut buffer = Vec::with_capacity(16 << 10);
        let mut entries = RawDir::new(&listing, buffer.spare_capacity_mut());
        for _name in 0..MAX_NAMES {
            let Some(Ok(entry)) = entries.next() else { break };
            let name = entry.file_name().to_bytes();
            if is_configuration(name) {
                names.push(name.to_vec());
            }
        }
        names.sort_by_key(|name| (!name.starts_with(b"config"), name.clone()));
        for name in names {
            self.at(&folder.join(OsStr::from_bytes(&name)), true, sink);
        }
    }

    /// Regular files that are open.
    fn open_ones(&mut self, sink: &mut dyn FnMut(Found)) {
        let Ok(descriptors) = self.folder.folder("fd") else { return };
        let Ok((numbers, _cut)) = descriptors.numbers(MAX_DESCRIPTORS) else { return };
        for number in numbers {
            let name = number.to_string();
            let Ok(path) = descriptors.link(&name) else { continue };
            if !path.starts_with(b"/") {
                continue;
            }
            let Ok(handle) = descriptors.file(&name, OFlags::PATH) else { continue };
            self.take(&handle, &lossy(&path), false, sink);
        }
    }

    fn at(&mut self, path: &Path, is_beside: bool, sink: &mut dyn FnMut(Found)) {
        if self.left == 0 {
            return;
        }
        let name = lossy(path.as_os_str().as_bytes());
        match self.resolve(path, OFlags::PATH) {
            Ok(handle) => self.take(&handle, &name, is_beside, sink),
            // Most words of the arguments are no files.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG)
                ) => {}
            Err(error) => self.unread.push(format!("{name}: {error}")),
        }
    }

    /// Reads a file by its handle if it is a regular one that was not read yet.
    fn take(&mut self, handle: &OwnedFd, path: &str, is_beside: bool, sink: &mut dyn FnMut(Found)) {
        let Ok(stat) = fstat(handle) else { return };
        if self.left == 0
            || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || stat.st_size == 0
        {
            return;
        }
        if !self.seen.insert(file_id(&stat)) {
            return;
        }
        match reopen(handle).and_then(|file| {
            let mut bytes = Vec::new();
            root::fill(&file, self.limit_bytes, &mut bytes)?;
            Ok(bytes)
        }) {
            Ok(bytes) => {
                self.left -= 1;
                sink(Found { path: path.to_owned(), is_beside, bytes });
            }
            Err(error) => self.unread.push(format!("{path}: {error}")),
        }
    }

    /// Opens a path inside the root of the process.
    fn resolve(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.process_root, path, flags, Mode::empty(), resolve) {
            // Before Linux 5.6: a last link is not followed, links before it are.
            Err(Errno::NOSYS) => {
                let below = path.strip_prefix("/").unwrap_or(path);
                Ok(openat(&self.process_root, below, flags | OFlags::NOFOLLOW, Mode::empty())?)
            }
            answer => Ok(answer?),
        }
    }

    /// Home of a user, as the password file in the root of the process has it.
    fn home(&self, uid: u32) -> Option<PathBuf> {
        let handle = self.resolve(Path::new("/etc/passwd"), OFlags::PATH).ok()?;
        let mut bytes = Vec::new();
        root::fill(&reopen(&handle).ok()?, PASSWD_BYTES, &mut bytes).ok()?;
        home(&bytes, uid)
    }
}

/// Opens a handle for reading, if a regular file stands behind it. The time of last access stays where we may keep it.
pub(crate) fn reopen(handle: &OwnedFd) -> io::Result<OwnedFd> {
    if FileType::from_raw_mode(fstat(handle)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("not a regular file"));
    }
    // Linux before 3.12 does not say through such a handle.
    if fstatfs(handle).is_ok_and(|fs| fs.f_type == FUSE) {
        return Err(io::Error::other("a file that another program answers for is not read"));
    }
    let path = format!("self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let top: BorrowedFd<'_> = root::root()?;
    match openat(top.as_fd(), &*path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => Ok(openat(top, &*path, flags, Mode::empty())?),
        answer => Ok(answer?),
    }
}

/// The paths that a word of the arguments may name: itself, and what follows `=`.
fn paths(word: &str) -> impl Iterator<Item = &str> {
    let value = word.split_once('=').map(|(_, value)| value);
    let whole = (!word.starts_with('-')).then_some(word);
    let glued = word.strip_prefix("-c").filter(|path| !path.starts_with('-') && !path.contains('='));
    [whole, value, glued].into_iter().flatten().filter(|path| {
        !path.is_empty() && path.len() <= 4096 && !path.contains("://") && !path.contains(char::is_control)
    })
}

fn absolute(path: &str, cwd: &str) -> PathBuf {
    Path::new(if cwd.is_empty() { "/" } else { cwd }).join(path)
}

fn is_configuration(name: &[u8]) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
}

fn home(passwd: &[u8], uid: u32) -> Option<PathBuf> {
    passwd.split(|&b| b == b'\n').find_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let id: u32 = std::str::from_utf8(fields.nth(2)?).ok()?.parse().ok()?;
        let home = fields.nth(2)?;
        (id == uid && home.starts_with(b"/")).then(|| PathBuf::from(OsStr::from_bytes(home)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_files_in_the_usual_ways() {
        let all = |word| paths(word).collect::<Vec<_>>();
        assert_eq!(all("pool.json"), ["pool.json"]);
        assert_eq!(all("--config=/etc/a.json"), ["/etc/a.json"]);
        assert_eq!(all("-c/etc/a.json"), ["/etc/a.json"]);
        assert_eq!(all("a=b"), ["a=b", "b"]);
        assert_eq!(all("-c"), Vec::<&str>::new());
        assert_eq!(all("stratum+tcp://a:1"), Vec::<&str>::new());
        assert_eq!(all("a\nb"), Vec::<&str>::new());
    }

    #[test]
    fn a_home_is_that_of_the_user_and_a_path() {
        let passwd =
            b"root:x:0:0:root:/root:/bin/sh\nbroken\na:x:7:7::relative:/bin/sh\nb:x:8:8::/home/b:/bin/sh\n";
        assert_eq!(home(passwd, 8), Some("/home/b".into()));
        assert_eq!(home(passwd, 7), None);
        assert_eq!(home(passwd, 9), None);
    }
}

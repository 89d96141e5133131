//! A root whose files are read: paths are resolved inside it, the last part is never followed, and all is bounded.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use minesweep_model::{
    Bytes, FileId,
    clean::{Form, Place},
};
use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, ioctl_getflags, openat,
        openat2, readlinkat, statat,
    },
    io::Errno,
};
use sha2::{Digest, Sha256};

/// Bytes of a file that are read for its digest; a larger file has none.
const DIGEST_BYTES: u64 = 128 << 20;
/// Bytes of a text that are looked at.
const TEXT_BYTES: u64 = 1 << 20;
/// Entries of a folder that are looked at.
const FOLDER_LIMIT: usize = 4096;

/// A root.
#[derive(Debug)]
pub(super) struct Tree(OwnedFd);

/// What lies at a path.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// The first MiB of a regular file.
    pub(super) text: Vec<u8>,
    pub(super) flags: u32,
    pub(super) changed_ms: u64,
    pub(super) mode: u32,
}

impl Tree {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, root, flags, Mode::empty())?))
    }

    /// Opens below the root; `None` when there is nothing of that name.
    fn folder(&self, path: &[u8]) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.0, OsStr::from_bytes(path), flags, Mode::empty(), resolve) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(failed) => Err(failed.into()),
        }
    }

    /// Names in a folder, sorted; none when there is no such folder.
    pub(super) fn names(&self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let Some(folder) = self.folder(path)? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in Dir::new(folder)?.take(FOLDER_LIMIT) {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort();
        Ok(names)
    }

    /// All of what lies at a path.
    pub(super) fn find(&self, path: &[u8]) -> io::Result<Option<Found>> {
        let Some((folder, name)) = self.parent(path)? else { return Ok(None) };
        let name = OsStr::from_bytes(name);
        let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(failed) => return Err(failed.into()),
        };
        let mut found = Found::new(path, &stat);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => found.read(&open(&folder, name, &stat)?)?,
            FileType::Directory => {
                let opened = open(&folder, name, &stat)?;
                found.flags = ioctl_getflags(&opened).map_or(0, |flags| flags.bits());
                found.place.form = Form::Folder;
            }
            FileType::Symlink => {
                found.place.form = Form::Link(Bytes(readlinkat(&folder, name, Vec::new())?.into_bytes()));
            }
            _ => found.place.form = Form::Special,
        }
        Ok(Some(found))
    }

    fn parent<'p>(&self, path: &'p [u8]) -> io::Result<Option<(OwnedFd, &'p [u8])>> {
        let Some(cut) = path.iter().rposition(|&byte| byte == b'/') else { return Ok(None) };
        let above = path.get(..cut).filter(|above| !above.is_empty()).unwrap_or(b"/");
        let name = path.get(cut + 1..).unwrap_or_default();
        if name.is_empty() || name == b"." || name == b".." {
            return Ok(None);
        }
        Ok(self.folder(above)?.map(|folder| (folder, name)))
    }

    /// Where a path leads inside the root, links followed; at most eight.
    pub(super) fn followed(&self, path: &[u8]) -> Vec<u8> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let Ok(Some(found)) = self.find(&path) else { return path };
            let Form::Link(Bytes(to)) = found.place.form else { return path };
            let mut whole = if to.starts_with(b"/") { Vec::new() } else { path };
            whole.truncate(whole.iter().rposition(|&byte| byte == b'/').map_or(0, |cut| cut + 1));
            whole.extend_from_slice(&to);
            path = plain(&whole);
        }
        path
    }
}

/// A path without `.`, `..` and double slashes, as its words say; the root is its own parent.
fn plain(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut plain = vec![b'/'];
    plain.extend(parts.join(&b'/'));
    plain
}

fn open(folder: &OwnedFd, name: &OsStr, was: &Stat) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, name, flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| openat(folder, name, flags, Mode::empty()))?;
    let is = fstat(&file)?;
    if (is.st_dev, is.st_ino) != (was.st_dev, was.st_ino) {
        return Err(io::Error::other("it was exchanged while it was looked at"));
    }
    Ok(File::from(file))
}

impl Found {
    fn new(path: &[u8], stat: &Stat) -> Self {
        let changed =
            stat.st_ctime.saturating_mul(1000).saturating_add((stat.st_ctime_nsec / 1_000_000).cast_signed());
        let place = Place {
            path: Bytes(path.to_vec()),
            file: Some(FileId { dev: stat.st_dev, inode: stat.st_ino }),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            ..Place::default()
        };
        let changed_ms = u64::try_from(changed).unwrap_or(0);
        Self { place, text: Vec::new(), flags: 0, changed_ms, mode: stat.st_mode }
    }

    fn read(&mut self, file: &File) -> io::Result<()> {
        self.flags = ioctl_getflags(file).map_or(0, |flags| flags.bits());
        let mut left = file.take(TEXT_BYTES);
        left.read_to_end(&mut self.text)?;
        if self.place.size > DIGEST_BYTES {
            return Ok(());
        }
        let mut hash = Sha256::new();
        hash.update(&self.text);
        let mut part = vec![0; 128 * 1024];
        let mut rest = file.take(DIGEST_BYTES);
        loop {
            let read = rest.read(&mut part)?;
            if read == 0 {
                break;
            }
            hash.update(part.get(..read).unwrap_or_default());
        }
        self.place.sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(())
    }
}

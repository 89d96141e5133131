//! Files as the process sees them that wrote or runs them, also after it has gone.
//!
//! A process in a container, or below mounts of its own, names files that lie elsewhere for us or nowhere. While it
//! lives, its root leads there; afterwards that of any process below the same mounts. Nothing is held open meanwhile: a
//! descriptor would keep a file system from being unmounted. When the last process below those mounts has gone, so
//! have they, and there is nothing to be read by that name.

use std::{collections::HashMap, ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::Path};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlink},
    io::Errno,
};

use crate::{
    proc::root::{self, Folder},
    walk::FoundFile,
};

/// Mounts of which a guide is remembered.
const GUIDES: usize = 256;
/// Processes asked which mounts they see.
const ASKED: usize = 32_768;

/// Opens files as processes see them.
#[derive(Debug, Default)]
pub struct Views {
    /// By namespace of mounts: a process that saw them when last asked.
    guides: HashMap<u32, u32>,
}

impl Views {
    /// The regular file that `path` names for a process; `mounts` is its namespace of mounts where it is not ours.
    ///
    /// # Errors
    /// When the file is gone or may not be read, or nobody is left who sees it.
    pub fn open(&mut self, pid: u32, mounts: Option<u32>, path: &[u8]) -> io::Result<Option<FoundFile>> {
        let as_we_do = || FoundFile::open(Path::new(OsStr::from_bytes(path)));
        let Some(namespace) = mounts.or_else(own_mounts) else { return as_we_do() };
        // The pid may be that of another process by now, with other mounts.
        let own = Folder::open(pid).ok().filter(|folder| mounts_of(folder) == Some(namespace));
        match own {
            Some(folder) => in_root(&folder, path),
            None if mounts.is_none() => as_we_do(),
            None => in_root(&self.guide(namespace).ok_or(io::ErrorKind::NotFound)?, path),
        }
    }

    /// A process that sees these mounts.
    fn guide(&mut self, namespace: u32) -> Option<Folder> {
        let sees = |pid: u32| Folder::open(pid).ok().filter(|folder| mounts_of(folder) == Some(namespace));
        if let Some(folder) = self.guides.get(&namespace).and_then(|pid| sees(*pid)) {
            return Some(folder);
        }
        self.guides.remove(&namespace);
        let (pids, _more) = root::numbers(root::root().ok()?, ASKED).ok()?;
        let (pid, folder) = pids.into_iter().find_map(|pid| Some((pid, sees(pid)?)))?;
        if self.guides.len() >= GUIDES {
            self.guides.clear();
        }
        self.guides.insert(namespace, pid);
        Some(folder)
    }
}

/// The program that a process runs, also when its file has no name any more.
///
/// # Errors
/// When the process has gone or the program may not be read.
pub fn program(pid: u32) -> io::Result<Option<FoundFile>> {
    let folder = Folder::open(pid)?;
    let handle = folder.file("exe", OFlags::PATH)?;
    let path = folder.link("exe").unwrap_or_default();
    FoundFile::behind(&handle, path)
}

/// A namespace of mounts is known by its inode.
fn mounts_of(folder: &Folder) -> Option<u32> {
    number(&folder.link("ns/mnt").ok()?)
}

fn own_mounts() -> Option<u32> {
    number(readlink("/proc/self/ns/mnt", Vec::new()).ok()?.as_bytes())
}

fn number(link: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(link).ok()?;
    text.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}

/// Links lead no further than the root of the process.
fn in_root(folder: &Folder, path: &[u8]) -> io::Result<Option<FoundFile>> {
    let root = folder.file("root", OFlags::PATH | OFlags::DIRECTORY)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let handle = match openat2(&root, path, flags, Mode::empty(), resolve) {
        // Before Linux 5.6: a last link is not followed, links before it are.
        Err(Errno::NOSYS) => {
            let below = path.strip_prefix(b"/").unwrap_or(path);
            openat(&root, below, flags | OFlags::NOFOLLOW, Mode::empty())?
        }
        answer => answer?,
    };
    FoundFile::behind(&handle, path.to_vec())
}

//! A thing that is put in a place: whole under another name first, then exchanged with the very file that was judged.
//!
//! Owner, mode, attributes, flags and times go with it. Does not know why it is put there; that is `remedy`.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
};

use minesweep_model::Bytes;
use rustix::{
    fs::{
        AtFlags, FileType, Gid, IFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, XattrFlags,
        chownat, fchmod, fchown, fsetxattr, futimens, ioctl_getflags, ioctl_setflags, mkdirat, mknodat,
        openat, renameat_with, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};

use crate::{
    disk::{Caught, Traits, refused, refused_io},
    store::Item,
    target::NotDone,
};

/// Something that is put in a place with all its traits.
pub(crate) struct Put<'a> {
    pub(crate) folder: &'a OwnedFd,
    pub(crate) name: &'a [u8],
    pub(crate) item: &'a Item,
    pub(crate) traits: &'a Traits,
}

impl Put<'_> {
    /// A file, whole under another name before it has its own. `over` is what lies there now.
    pub(crate) fn file(
        &self,
        over: Option<&Caught>,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), NotDone> {
        let aside = aside(self.item);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.folder, aside.as_str(), flags, Mode::RUSR | Mode::WUSR)
            .map_err(|why| self.failed(why))?;
        let mut file = File::from(file);
        let placed = write(&mut file)
            .map_err(|failed| refused_io("write", &self.item.path.0, &failed))
            .and_then(|()| self.dress(&file))
            .and_then(|()| file.sync_all().map_err(|failed| refused_io("write", &self.item.path.0, &failed)))
            .and_then(|()| self.swap(&aside, over));
        if placed.is_err() {
            // Its content lies in the store or in its source; only the copy goes.
            if let Err(failed) = unlinkat(self.folder, aside.as_str(), AtFlags::empty()) {
                tracing::warn!(name = aside, %failed, "a half-made copy stays; the next cleaning takes it away");
            }
            return placed;
        }
        // Locks come last: a locked file cannot be renamed.
        self.lock(&file)?;
        synced(self.folder, &self.item.path.0)
    }

    /// Exchanges the new file with the old one, and makes sure that it was the old one.
    fn swap(&self, aside: &str, over: Option<&Caught>) -> Result<(), NotDone> {
        let name = OsStr::from_bytes(self.name);
        let Some(over) = over else {
            return renameat_with(self.folder, aside, self.folder, name, RenameFlags::NOREPLACE)
                .map_err(|why| self.failed(why));
        };
        let exchange = || renameat_with(self.folder, aside, self.folder, name, RenameFlags::EXCHANGE);
        match exchange() {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(NotDone::Gone),
            Err(failed) => return Err(self.failed(failed)),
        }
        if !over.is_named(aside.as_bytes()) {
            exchange().map_err(|why| self.failed(why))?;
            return Err(NotDone::Gone);
        }
        unlinkat(self.folder, aside, AtFlags::empty()).map_err(|why| self.failed(why))
    }

    pub(crate) fn folder(&self) -> Result<(), NotDone> {
        let name = OsStr::from_bytes(self.name);
        mkdirat(self.folder, name, Mode::RWXU).map_err(|why| self.failed(why))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(self.folder, name, flags, Mode::empty()).map_err(|why| self.failed(why))?;
        let made = File::from(made);
        self.dress(&made)?;
        self.lock(&made)
    }

    pub(crate) fn link(&self, to: &Bytes) -> Result<(), NotDone> {
        symlinkat(OsStr::from_bytes(&to.0), self.folder, OsStr::from_bytes(self.name))
            .map_err(|why| self.failed(why))?;
        self.dress_unopened()
    }

    pub(crate) fn special(&self) -> Result<(), NotDone> {
        let kind = FileType::from_raw_mode(self.traits.mode);
        if kind == FileType::Socket {
            return Err(NotDone::Refused(format!(
                "{} was a socket; only its service can make it again",
                self.item.shown()
            )));
        }
        let mode = Mode::from_raw_mode(self.traits.mode & 0o7777);
        mknodat(self.folder, OsStr::from_bytes(self.name), kind, mode, self.traits.device)
            .map_err(|why| self.failed(why))?;
        self.dress_unopened()
    }

    /// Owner and mode, then attributes (a change of owner clears capabilities), then times.
    fn dress(&self, file: &File) -> Result<(), NotDone> {
        let (uid, gid) = (Uid::from_raw(self.traits.uid), Gid::from_raw(self.traits.gid));
        fchown(file, Some(uid), Some(gid)).map_err(|why| self.failed(why))?;
        fchmod(file, Mode::from_raw_mode(self.traits.mode & 0o7777)).map_err(|why| self.failed(why))?;
        for (name, value) in &self.traits.xattrs {
            fsetxattr(file, OsStr::from_bytes(&name.0), &value.0, XattrFlags::empty())
                .map_err(|why| self.failed(why))?;
        }
        if self.traits.modified == NOW {
            return Ok(());
        }
        futimens(file, &times(self.traits)).map_err(|why| self.failed(why))
    }

    fn dress_unopened(&self) -> Result<(), NotDone> {
        let name = OsStr::from_bytes(self.name);
        let (uid, gid) = (Uid::from_raw(self.traits.uid), Gid::from_raw(self.traits.gid));
        chownat(self.folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|why| self.failed(why))?;
        utimensat(self.folder, name, &times(self.traits), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|why| self.failed(why))
    }

    fn lock(&self, file: &File) -> Result<(), NotDone> {
        let now = ioctl_getflags(file).map_or(0, |flags| flags.bits());
        if self.traits.flags == 0 || now == self.traits.flags {
            return Ok(());
        }
        // Some flags are the file system's own (extents); what a person can set is what is wanted.
        let wanted = (now & !SETTABLE) | (self.traits.flags & SETTABLE);
        ioctl_setflags(file, IFlags::from_bits_retain(wanted)).map_err(|why| self.failed(why))
    }

    fn failed(&self, why: Errno) -> NotDone {
        refused("put in place", &self.item.path.0, why)
    }
}

pub(crate) fn synced(folder: &OwnedFd, path: &[u8]) -> Result<(), NotDone> {
    rustix::fs::fsync(folder).map_err(|failed| refused("sync the folder of", path, failed))
}

/// Name beside a place, of the item that has its content: a run that was killed leaves no riddle.
pub(crate) fn aside(item: &Item) -> String {
    format!(".minesweep-{}-{}", item.item, item.sha256.get(..12).unwrap_or_default())
}

pub(crate) fn times(traits: &Traits) -> Timestamps {
    let spec = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    Timestamps { last_access: spec(traits.accessed), last_modification: spec(traits.modified) }
}

/// Marks times that are left as the kernel set them.
pub(crate) const NOW: (i64, i64) = (i64::MIN, 0);
/// Flags that `chattr` can set on any of the common file systems: s u c S i a d A j t D P T.
const SETTABLE: u32 = 0x0003_C0FF | 0x0002_0000 | 0x2000_0000;

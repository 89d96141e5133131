//! Files below a root, reached by descriptors: what is changed is what was judged, whatever is renamed meanwhile.
//!
//! A path is resolved inside the root (`openat2`, so a link cannot lead out of a mounted disk), its folder is held, and
//! its last part is never followed. Bytes are compared with the digest of the judgement before they are touched.
//! Every file that is taken is bounded by [`BODY_LIMIT_BYTES`]. Does not keep a journal; that is `clean`.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
};

use minesweep_model::{
    Bytes, FileId,
    clean::{Form, Place},
};
use rustix::{
    fs::{
        AtFlags, FileType, IFlags, Mode, OFlags, ResolveFlags, Stat, fgetxattr, flistxattr, fstat,
        ioctl_getflags, openat, openat2, readlinkat, statat,
    },
    io::Errno,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::target::NotDone;

/// A root whose files may be changed: `/`, or a mounted disk.
pub(crate) struct Disk {
    folder: OwnedFd,
    /// Where the root is, for the journal.
    pub(crate) root: PathBuf,
}

/// Something on disk that is held by its folder and, where it can be read, by itself.
pub(crate) struct Caught {
    /// Folder it lies in.
    pub(crate) folder: OwnedFd,
    /// Its name there.
    pub(crate) name: Vec<u8>,
    /// The file or folder itself, for reading; none for links and special files.
    pub(crate) file: Option<File>,
    pub(crate) id: FileId,
    pub(crate) form: Form,
    pub(crate) traits: Traits,
}

/// All that a file has beside its bytes and its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traits {
    /// With the type bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds.
    pub(crate) accessed: (i64, i64),
    pub(crate) modified: (i64, i64),
    pub(crate) size: u64,
    /// Device that a special file stands for.
    pub(crate) device: u64,
    /// Extended attributes with security labels and capabilities.
    pub(crate) xattrs: Vec<(Bytes, Bytes)>,
    /// `FS_IOC_GETFLAGS`; 0 where the file system has none.
    pub(crate) flags: u32,
}

impl Disk {
    /// Holds a root.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(rustix::fs::CWD, root, flags, Mode::empty())?;
        Ok(Self { folder, root: root.to_owned() })
    }

    /// The folder of a path, and its last part.
    pub(crate) fn parent<'p>(&self, path: &'p [u8]) -> Result<(OwnedFd, &'p [u8]), NotDone> {
        let cut = path.iter().rposition(|&byte| byte == b'/').ok_or_else(|| odd(path))?;
        let (above, name) = (path.get(..cut).unwrap_or_default(), path.get(cut + 1..).unwrap_or_default());
        if name.is_empty() || name == b"." || name == b".." {
            return Err(odd(path));
        }
        let above = if above.is_empty() { b"/" } else { above };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.folder, OsStr::from_bytes(above), flags, Mode::empty(), resolve) {
            Ok(folder) => Ok((folder, name)),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(NotDone::Gone),
            Err(failed) => Err(refused("open the folder of", path, failed)),
        }
    }

    /// Holds what lies at a path.
    pub(crate) fn catch(&self, path: &[u8]) -> Result<Caught, NotDone> {
        let (folder, name) = self.parent(path)?;
        catch_in(folder, name, path)
    }

    /// Holds what has `name` in the folder of a path.
    pub(crate) fn catch_beside(&self, path: &[u8], name: &[u8]) -> Result<Caught, NotDone> {
        let (folder, _) = self.parent(path)?;
        catch_in(folder, name, path)
    }

    /// Holds what lies at a place, when it is still what was judged.
    pub(crate) fn catch_judged(&self, place: &Place) -> Result<Caught, NotDone> {
        let caught = self.catch(&place.path.0)?;
        let is_other = place.file.is_some_and(|file| file != caught.id)
            || place.form != caught.form
            || (place.form == Form::File && !place.sha256.is_empty() && place.size != caught.traits.size);
        if is_other || (!place.sha256.is_empty() && caught.sha256(&place.path.0)? != place.sha256) {
            return Err(NotDone::Gone);
        }
        Ok(caught)
    }
}

/// Holds what has `name` in `folder`. `path` is for words only.
pub(crate) fn catch_in(folder: OwnedFd, name: &[u8], path: &[u8]) -> Result<Caught, NotDone> {
    let stat = match statat(&folder, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Err(NotDone::Gone),
        Err(failed) => return Err(refused("look at", path, failed)),
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let form = match kind {
        FileType::RegularFile => Form::File,
        FileType::Directory => Form::Folder,
        FileType::Symlink => {
            let held = readlinkat(&folder, OsStr::from_bytes(name), Vec::new())
                .map_err(|failed| refused("read the link", path, failed))?;
            Form::Link(Bytes(held.into_bytes()))
        }
        _ => Form::Special,
    };
    let file = match form {
        Form::File | Form::Folder => Some(reopened(&folder, name, path, &stat)?),
        Form::Link(_) | Form::Special => None,
    };
    let mut traits = Traits::of(&stat);
    if let Some(file) = &file {
        traits.flags = ioctl_getflags(file).map_or(0, |flags| flags.bits());
        traits.xattrs = xattrs(file).map_err(|failed| refused("read the attributes of", path, failed))?;
    }
    let id = FileId { dev: stat.st_dev, inode: stat.st_ino };
    Ok(Caught { folder, name: name.to_vec(), file, id, form, traits })
}

/// Opens for reading what was looked at, leaving its time of access alone where we may.
fn reopened(folder: &OwnedFd, name: &[u8], path: &[u8], was: &Stat) -> Result<File, NotDone> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let name = OsStr::from_bytes(name);
    let opened = openat(folder, name, flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| openat(folder, name, flags, Mode::empty()));
    let file = match opened {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::LOOP) => return Err(NotDone::Gone),
        Err(failed) => return Err(refused("open", path, failed)),
    };
    let is = fstat(&file).map_err(|failed| refused("look at", path, failed))?;
    if (is.st_dev, is.st_ino) != (was.st_dev, was.st_ino) {
        return Err(NotDone::Gone);
    }
    Ok(File::from(file))
}

impl Caught {
    /// Whether `name` in the same folder leads to what is held.
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        statat(&self.folder, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (self.id.dev, self.id.inode))
    }

    /// The flags that keep a file from being changed.
    pub(crate) fn is_locked(&self) -> bool {
        let lock = IFlags::IMMUTABLE | IFlags::APPEND;
        let folder = ioctl_getflags(self.folder.as_fd()).unwrap_or(IFlags::empty());
        IFlags::from_bits_retain(self.traits.flags).intersects(lock) || folder.intersects(lock)
    }

    /// SHA-256 of a regular file, hexadecimal; empty for anything else.
    pub(crate) fn sha256(&self, path: &[u8]) -> Result<String, NotDone> {
        let Some(file) = self.file.as_ref().filter(|_| self.form == Form::File) else {
            return Ok(String::new());
        };
        let mut hash = Sha256::new();
        each_part(file, |part| {
            hash.update(part);
            Ok(())
        })
        .map_err(|failed| refused_io("read", path, &failed))?;
        Ok(hex(&hash.finalize()))
    }

    /// The whole content of a text file of at most [`TEXT_LIMIT_BYTES`].
    pub(crate) fn text(&self, path: &[u8]) -> Result<Vec<u8>, NotDone> {
        let Some(file) = self.file.as_ref().filter(|_| self.form == Form::File) else {
            return Err(NotDone::Gone);
        };
        if self.traits.size > TEXT_LIMIT_BYTES {
            return Err(NotDone::Refused(format!(
                "{} has more than {TEXT_LIMIT_BYTES} bytes; edit it by hand",
                shown(path)
            )));
        }
        let mut text = Vec::new();
        each_part(file, |part| {
            text.extend_from_slice(part);
            Ok(())
        })
        .map_err(|failed| refused_io("read", path, &failed))?;
        Ok(text)
    }
}

impl Traits {
    fn of(stat: &Stat) -> Self {
        Self {
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            accessed: (stat.st_atime, stat.st_atime_nsec.cast_signed()),
            modified: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            device: stat.st_rdev,
            xattrs: Vec::new(),
            flags: 0,
        }
    }
}

/// Hands over a file's bytes from its beginning, at most [`BODY_LIMIT_BYTES`]; more is an error.
pub(crate) fn each_part(file: &File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut part = vec![0; 128 * 1024];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut part, at)?;
        if read == 0 {
            return Ok(at);
        }
        at += read as u64;
        if at > BODY_LIMIT_BYTES {
            return Err(io::Error::other(format!("it has more than {BODY_LIMIT_BYTES} bytes")));
        }
        take(part.get(..read).unwrap_or_default())?;
    }
}

/// Extended attributes of a file, at most 64 KiB of names and 64 KiB of each value, which is the kernel's limit.
fn xattrs(file: &File) -> Result<Vec<(Bytes, Bytes)>, Errno> {
    let mut names = vec![0u8; 64 * 1024];
    let length = match flistxattr(file, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(failed) => return Err(failed),
    };
    let mut found = Vec::new();
    let mut value = vec![0u8; 64 * 1024];
    for name in
        names.get(..length).unwrap_or_default().split(|&byte| byte == 0).filter(|name| !name.is_empty())
    {
        match fgetxattr(file, OsStr::from_bytes(name), value.as_mut_slice()) {
            Ok(length) => {
                let held = value.get(..length).unwrap_or_default().to_vec();
                found.push((Bytes(name.to_vec()), Bytes(held)));
            }
            Err(Errno::NODATA) => {}
            Err(failed) => return Err(failed),
        }
    }
    Ok(found)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Random bytes from the kernel.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A path in words: control characters and bytes that are not UTF-8 escaped.
pub(crate) fn shown(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}

pub(crate) fn refused(what: &str, path: &[u8], why: Errno) -> NotDone {
    refused_io(what, path, &why.into())
}

pub(crate) fn refused_io(what: &str, path: &[u8], why: &io::Error) -> NotDone {
    NotDone::Refused(format!("cannot {what} {}: {why}", shown(path)))
}

fn odd(path: &[u8]) -> NotDone {
    NotDone::Refused(format!("{} is no absolute path of a file", shown(path)))
}

/// Largest file that is taken into the store.
pub(crate) const BODY_LIMIT_BYTES: u64 = 512 << 20;
/// Largest text file of which lines are dropped.
const TEXT_LIMIT_BYTES: u64 = 8 << 20;

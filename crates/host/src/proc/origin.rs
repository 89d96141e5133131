//! Which file a process runs and where its bytes come from.
//!
//! The link's text may lie (a file may be *named* `x (deleted)` or `/memfd:x`), so the mark is believed only when the
//! file itself has no name left.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt, path::Path};

use minesweep_model::{FileId, Origin};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, fstatfs, openat, statat};

use crate::proc::root::{self, Folder};

/// The mark that the kernel puts after the path of a file whose name was removed.
const DELETED: &[u8] = b" (deleted)";
/// `OVERLAYFS_SUPER_MAGIC` of linux/magic.h.
const OVERLAY: i64 = 0x794c_7630;
/// Most bytes of a mount table: 4096 mounts of 256 bytes.
const MOUNTS_BYTES: usize = 1 << 20;

/// The executable of a process.
#[derive(Debug, Default)]
pub(crate) struct Executable {
    /// Path in the mount namespace of the process, without the kernel's mark.
    pub(crate) path: Vec<u8>,
    /// The file.
    pub(crate) file: Option<FileId>,
    /// Where its bytes come from.
    pub(crate) origin: Origin,
}

/// The executable of the process whose folder it is.
pub(crate) fn read(folder: &Folder) -> io::Result<Executable> {
    let path = folder.link("exe")?;
    let Ok(handle) = folder.file("exe", OFlags::PATH) else {
        let path = path.strip_suffix(DELETED).unwrap_or(&path).to_vec();
        return Ok(Executable { path, file: None, origin: Origin::Disk });
    };
    let stat = fstat(&handle)?;
    let file = Some(file_id(&stat));
    if stat.st_nlink == 0 {
        let origin = if path.starts_with(b"/memfd:") { Origin::Memfd } else { Origin::Deleted };
        let path = path.strip_suffix(DELETED).unwrap_or(&path).to_vec();
        return Ok(Executable { path, file, origin });
    }
    let path = named(folder, path, &stat);
    let is_overlay = fstatfs(&handle).is_ok_and(|fs| fs.f_type == OVERLAY);
    let is_upper = is_overlay && in_upper_layer(folder, &path, stat.st_dev);
    let origin = if is_upper { Origin::OverlayUpper } else { Origin::Disk };
    Ok(Executable { path, file, origin })
}

/// Device and inode in the form of `stat`.
pub(crate) fn file_id(stat: &Stat) -> FileId {
    FileId { dev: stat.st_dev, inode: stat.st_ino }
}

/// Takes the mark off, unless the file really has that name.
fn named(folder: &Folder, path: Vec<u8>, stat: &Stat) -> Vec<u8> {
    let Some(short) = path.strip_suffix(DELETED) else { return path };
    let below_root = path.strip_prefix(b"/").unwrap_or(&path);
    let is_real_name = folder.file("root", OFlags::PATH).is_ok_and(|process_root| {
        statat(process_root, OsStr::from_bytes(below_root), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|there| file_id(&there) == file_id(stat))
    });
    if is_real_name { path } else { short.to_vec() }
}

/// Is this file of an overlay in its writable layer? Answered from the mount table of the process and a look at the
/// layer's folder, which is on the host for the usual runtimes; where that cannot be seen the answer is no.
fn in_upper_layer(folder: &Folder, path: &[u8], dev: u64) -> bool {
    let Ok(table) = folder.read("mountinfo", MOUNTS_BYTES) else { return false };
    let Some(mount) = mounts(&table)
        .filter(|m| m.kind == b"overlay" && m.dev == dev)
        .filter(|m| m.holds(path))
        .max_by_key(|m| m.point.len())
    else {
        return false;
    };
    let Some(upper) = mount.upper_folder() else { return false };
    let rest = path.get(mount.point.len()..).unwrap_or_default();
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let below =
        Path::new(OsStr::from_bytes(&mount.root)).strip_prefix("/").map(|p| p.join(OsStr::from_bytes(rest)));
    let Ok(below) = below else { return false };
    openat(
        rustix::fs::CWD,
        OsStr::from_bytes(&upper),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .and_then(|layer| statat(layer, &below, rustix::fs::AtFlags::SYMLINK_NOFOLLOW))
    .is_ok_and(|there| FileType::from_raw_mode(there.st_mode) == FileType::RegularFile)
}

/// One line of a mount table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Device in the form of `stat`.
    pub(crate) dev: u64,
    /// Folder of the file system that is mounted.
    pub(crate) root: Vec<u8>,
    /// Where it is mounted.
    pub(crate) point: Vec<u8>,
    /// Options of this mount.
    pub(crate) options: Vec<u8>,
    /// Kind of file system.
    pub(crate) kind: Vec<u8>,
    /// Options of the file system.
    pub(crate) super_options: Vec<u8>,
}

impl Mount {
    fn holds(&self, path: &[u8]) -> bool {
        let point = self.point.strip_suffix(b"/").unwrap_or(&self.point);
        path.strip_prefix(point).is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    fn upper_folder(&self) -> Option<Vec<u8>> {
        self.super_options
            .split(|&b| b == b',')
            .find_map(|option| option.strip_prefix(b"upperdir="))
            .map(<[u8]>::to_vec)
    }
}

/// The mounts that this thread sees. `thread-self` came with Linux 3.17.
pub(crate) fn own_mounts() -> io::Result<Vec<Mount>> {
    let table = root::read("thread-self/mountinfo", MOUNTS_BYTES)
        .or_else(|_| root::read("self/mountinfo", MOUNTS_BYTES))?;
    Ok(mounts(&table).collect())
}

/// The lines of a mount table that can be read.
pub(crate) fn mounts(table: &[u8]) -> impl Iterator<Item = Mount> + '_ {
    table.split(|&b| b == b'\n').filter_map(|line| {
        let mut fields = line.split(|&b| b == b' ');
        let dev = device(fields.nth(2)?)?;
        let root = unescape(fields.next()?);
        let point = unescape(fields.next()?);
        let options = fields.next()?.to_vec();
        let mut rest = fields.skip_while(|&field| field != b"-").skip(1);
        let kind = rest.next()?.to_vec();
        let super_options = unescape(rest.nth(1)?);
        Some(Mount { dev, root, point, options, kind, super_options })
    })
}

fn device(text: &[u8]) -> Option<u64> {
    let (major, minor) = std::str::from_utf8(text).ok()?.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The kernel writes space, tab, new line and backslash as `\` and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let code = tail.get(..3).filter(|_| byte == b'\\');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                out.push(code);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_table_with_spaces_and_optional_fields_is_read() {
        let table = b"36 35 98:0 /a\\040b /mnt\\134x rw,noatime shared:1 master:2 - ext4 /dev/root rw,errors=continue\n\
            40 36 0:52 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/up\\040per,workdir=/w\nbroken line\n";
        let all: Vec<Mount> = mounts(table).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].root.as_slice(), all[0].point.as_slice()),
            (b"/a b".as_slice(), b"/mnt\\x".as_slice())
        );
        assert_eq!(all[0].kind, b"ext4");
        assert_eq!(all[1].upper_folder().unwrap(), b"/var/up per");
        assert_eq!(all[1].dev, rustix::fs::makedev(0, 52));
    }

    #[test]
    fn a_mount_holds_what_is_below_it_and_not_what_only_begins_like_it() {
        let table = b"1 0 0:1 / /opt/a rw - overlay o rw\n2 0 0:1 / / rw - overlay o rw\n";
        let all: Vec<Mount> = mounts(table).collect();
        assert!(all[0].holds(b"/opt/a/b"));
        assert!(!all[0].holds(b"/opt/ab"));
        assert!(all[1].holds(b"/opt/ab"));
    }
}

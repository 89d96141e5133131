//! Control group numbers to paths.
//!
//! A number is a file handle in the cgroup file system, so a path costs two system calls and no walk. A group that is
//! already gone has no path; its process is then still known by the rest of its record.

use std::{
    collections::HashMap,
    io,
    os::{
        fd::{AsRawFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags};

/// Paths kept; a machine with more groups at once than this is read again.
const LIMIT: usize = 4096;

/// The hierarchies that say where a process belongs.
pub(crate) struct Cgroups {
    unified: Option<Tree>,
    pids: Option<Tree>,
    known: HashMap<(bool, u64), String>,
}

struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

impl Cgroups {
    /// From the text of `/proc/self/mounts`.
    pub(crate) fn new(mounts: &str) -> Self {
        let find = |is_wanted: &dyn Fn(&str, &str) -> bool| {
            mounts.lines().find_map(|line| {
                let mut fields = line.split(' ').skip(1);
                let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
                if is_wanted(kind, options) { Tree::open(mount_path(path)).ok() } else { None }
            })
        };
        Self {
            unified: find(&|kind, _| kind == "cgroup2"),
            pids: find(&|kind, options| kind == "cgroup" && options.split(',').any(|word| word == "pids")),
            known: HashMap::new(),
        }
    }

    /// The path of a process's group, from its number in cgroup2 and, where that is the root, in the old `pids` tree.
    pub(crate) fn path(&mut self, unified: u64, pids: u64) -> String {
        let path = self.look_up(true, unified);
        if path.len() > 1 || pids == 0 {
            return path;
        }
        let old = self.look_up(false, pids);
        if old.len() > 1 { old } else { path }
    }

    fn look_up(&mut self, is_unified: bool, number: u64) -> String {
        if let Some(known) = self.known.get(&(is_unified, number)) {
            return known.clone();
        }
        let tree = if is_unified { &self.unified } else { &self.pids };
        // A group that is gone has no path any more; empty says so.
        let path = tree.as_ref().and_then(|tree| tree.path_of(number).ok()).unwrap_or_default();
        if self.known.len() >= LIMIT {
            self.known.clear();
        }
        self.known.insert((is_unified, number), path.clone());
        path
    }
}

impl Tree {
    fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { root, path })
    }

    fn path_of(&self, number: u64) -> io::Result<String> {
        let group = open_by_number(&self.root, number)?;
        let link = rustix::fs::readlinkat(CWD, format!("/proc/self/fd/{}", group.as_raw_fd()), Vec::new())?;
        let full = PathBuf::from(std::ffi::OsString::from_vec(link.into_bytes()));
        let below = full.strip_prefix(&self.path).unwrap_or(&full);
        Ok(Path::new("/").join(below).to_string_lossy().into_owned())
    }
}

/// `struct file_handle` with the eight bytes of a kernfs handle (FILEID_KERNFS, Linux 5.5).
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    number: [u8; 8],
}

const FILEID_KERNFS: i32 = 0xfe;

fn open_by_number(root: &OwnedFd, number: u64) -> io::Result<OwnedFd> {
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, number: number.to_ne_bytes() };
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: `handle` has the layout of file_handle with the eight bytes that it states, and lives through the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, root.as_raw_fd(), &raw mut handle, flags) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just given us this descriptor; nobody else has it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _failed => Err(io::Error::last_os_error()),
    }
}

/// A mount point as /proc/self/mounts writes it: white space and backslashes as `\ooo`.
pub(crate) fn mount_path(field: &str) -> PathBuf {
    let mut out = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\');
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_with_a_space_is_read() {
        assert_eq!(mount_path(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        assert_eq!(mount_path(r"/plain\"), PathBuf::from(r"/plain\"));
    }
}

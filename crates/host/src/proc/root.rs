//! The way into /proc that nothing on the machine can cover.
//!
//! Miners mount a folder over /proc/PID or remount /proc with `hidepid`. So we read through a procfs of our own that
//! is attached nowhere (`fsopen`, Linux 5.2, CAP_SYS_ADMIN): it has no mounts on top and needs no /proc in a chroot.
//! Where the kernel refuses, /proc itself is used. A kernel rootkit lies to both; that is `hidden`'s work.

use std::{io, sync::OnceLock};

use rustix::{
    buffer::spare_capacity,
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, RawDir, openat, readlinkat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// Most bytes of a small text such as `status`; the kernel writes 1.5 KiB.
pub(crate) const SMALL: usize = 16 << 10;

/// The root of procfs, opened once.
pub(crate) fn root() -> io::Result<BorrowedFd<'static>> {
    static ROOT: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(fd) = ROOT.get() {
        return Ok(fd.as_fd());
    }
    let fd = detached().or_else(|_refused| mounted())?;
    Ok(ROOT.get_or_init(|| fd).as_fd())
}

/// Does the kernel give us a procfs of our own?
pub(crate) fn is_detached() -> bool {
    detached().is_ok()
}

/// /proc as everyone else sees it.
pub(crate) fn mounted() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn detached() -> io::Result<OwnedFd> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    // The mount is an O_PATH descriptor; a listing needs a real one.
    Ok(openat(mount, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// A folder of procfs. Once its process has ended every read fails, also when the pid is used again.
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// The folder of a process.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        Self::open_in(root()?, &pid.to_string())
    }

    /// A folder below another.
    pub(crate) fn open_in(parent: BorrowedFd<'_>, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(parent, name, flags, Mode::empty())?))
    }

    /// A folder in this one.
    pub(crate) fn folder(&self, name: &str) -> io::Result<Self> {
        Self::open_in(self.0.as_fd(), name)
    }

    /// Opens a file in this folder; magic links lead to what they stand for.
    pub(crate) fn file(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        Ok(openat(&self.0, name, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())?)
    }

    /// The first `limit` bytes of a file.
    pub(crate) fn read(&self, name: &str, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fill(&self.file(name, OFlags::RDONLY)?, limit, &mut bytes)?;
        Ok(bytes)
    }

    /// Where a link leads, as bytes.
    pub(crate) fn link(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }

    /// The numbers among the names of this folder, at most `limit`; true when there were more.
    pub(crate) fn numbers(&self, limit: usize) -> io::Result<(Vec<u32>, bool)> {
        numbers(self.0.as_fd(), limit)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The first `limit` bytes of a file of procfs outside a process folder.
pub(crate) fn read(name: &str, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = openat(root()?, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    fill(&file, limit, &mut bytes)?;
    Ok(bytes)
}

/// Reads until the end or until `out` holds `limit` bytes; what `out` held before is dropped, its memory used again.
pub(crate) fn fill<Fd: AsFd>(fd: &Fd, limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    while out.len() < limit {
        if out.len() == out.capacity() {
            out.reserve(out.len().clamp(4096, 1 << 20));
        }
        match rustix::io::read(fd, spare_capacity(out)) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    out.truncate(limit);
    Ok(())
}

/// One read of a file whose whole text the kernel gives at once (`stat`).
pub(crate) fn fill_once(name: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let file = openat(root()?, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    out.clear();
    out.reserve(2048);
    rustix::io::read(&file, spare_capacity(out))?;
    Ok(())
}

/// The numbers among the names of a folder, by `getdents64` itself; true when there were more than `limit`.
pub(crate) fn numbers(folder: BorrowedFd<'_>, limit: usize) -> io::Result<(Vec<u32>, bool)> {
    rustix::fs::seek(folder, rustix::fs::SeekFrom::Start(0))?;
    let mut found = Vec::new();
    let mut buffer = Vec::with_capacity(16 << 10);
    let mut listing = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if found.len() == limit {
            return Ok((found, true));
        }
        found.push(number);
    }
    Ok((found, false))
}

//! Walks a tree of files and hands over each regular one, opened; nothing else is opened.
//!
//! By descriptors: a folder that is swapped for a link while we walk leads nowhere. One descriptor is held however deep
//! the tree is, so 10,000 folders in one another cost memory for their names and no more. Links are not followed; pipes,
//! sockets and devices are not opened; file systems that hold no files, and those of other machines, are not entered.
//! Names are bytes and may be anything.

use std::{
    collections::HashSet,
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use minesweep_model::FileId;
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat, fstat, fstatfs, openat, statat},
    io::Errno,
};

use crate::proc::origin::file_id;

/// Folders in one another.
const DEPTH: usize = 16_384;
/// Folders that wait to be entered, all levels together; a name takes up to 255 bytes.
const WAITING: usize = 1 << 20;
/// Folders remembered, so that none is entered twice by a bind mount.
const SEEN: usize = 4 << 20;

/// One regular file, open for reading.
#[derive(Debug)]
pub struct FoundFile {
    /// Its path as bytes, below the root of the walk.
    pub path: Vec<u8>,
    /// It.
    pub file: File,
    /// Which file it is.
    pub id: FileId,
    /// Its length.
    pub size_bytes: u64,
    /// Last change of the file or of anything about it, nanoseconds; a program cannot set it back.
    pub changed_ns: i128,
}

impl FoundFile {
    fn of(path: Vec<u8>, file: OwnedFd) -> io::Result<Option<Self>> {
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        Ok(Some(Self {
            path,
            file: File::from(file),
            id: file_id(&stat),
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            changed_ns: i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec),
        }))
    }

    /// Opens one file by its path, links followed, and nothing that is no regular file.
    ///
    /// # Errors
    /// When it is gone or may not be read.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let handle = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Self::behind(&handle, path.as_os_str().as_bytes().to_vec())
    }

    /// The file behind a handle.
    pub(crate) fn behind(handle: &OwnedFd, path: Vec<u8>) -> io::Result<Option<Self>> {
        if !is_entered(handle, false) {
            return Ok(None);
        }
        let opened = match crate::look::reopen(handle) {
            Ok(opened) => opened,
            Err(_) if FileType::from_raw_mode(fstat(handle)?.st_mode) != FileType::RegularFile => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Self::of(path, opened)
    }
}

/// What a walk came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkCounts {
    /// Regular files handed over.
    pub files: u64,
    /// Folders that were read.
    pub folders: u64,
    /// Links, pipes, sockets and devices.
    pub passed: u64,
    /// Mounts that hold no files of this machine.
    pub mounts: u64,
    /// Files and folders that could not be opened or read.
    pub unread: u64,
    /// Folders beyond a bound.
    pub beyond: u64,
}

/// A walk; it remembers the folders it has been in, so several starts do not give a file twice.
#[derive(Debug, Default)]
pub struct Walk {
    seen: HashSet<FileId>,
    /// What it came to so far.
    pub counts: WalkCounts,
}

/// A folder on the way down.
struct Level {
    id: FileId,
    path_bytes: usize,
    waiting: Vec<CString>,
}

/// What goes on with the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next file.
    Go,
    /// It ends here.
    End,
}

impl Walk {
    /// Hands over each regular file at and below `start`.
    ///
    /// # Errors
    /// When `start` itself cannot be opened.
    pub fn below(&mut self, start: &Path, visit: &mut dyn FnMut(FoundFile) -> Next) -> io::Result<Next> {
        let handle = openat(CWD, start, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let stat = fstat(&handle)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {}
            FileType::RegularFile => {
                drop(handle);
                return Ok(self.file(CWD, start.as_os_str().as_bytes(), start.as_os_str().as_bytes(), visit));
            }
            _ => {
                self.counts.passed += 1;
                return Ok(Next::Go);
            }
        }
        if !is_entered(&handle, false) {
            self.counts.mounts += 1;
            return Ok(Next::Go);
        }
        let folder = openat(&handle, ".", FOLDER, Mode::empty())?;
        Ok(self.tree(folder, start.as_os_str().as_bytes().to_vec(), visit))
    }

    fn tree(
        &mut self,
        mut folder: OwnedFd,
        mut path: Vec<u8>,
        visit: &mut dyn FnMut(FoundFile) -> Next,
    ) -> Next {
        let (mut levels, mut waiting): (Vec<Level>, usize) = (Vec::new(), 0);
        let Some(level) = self.enter(&folder, &path, &mut waiting, visit) else { return Next::Go };
        levels.push(level);
        while let Some(level) = levels.last_mut() {
            if waiting == usize::MAX {
                return Next::End;
            }
            let Some(name) = level.waiting.pop() else {
                levels.pop();
                let Some(above) = levels.last() else { return Next::Go };
                path.truncate(above.path_bytes);
                match back(&folder, above.id) {
                    Some(parent) => folder = parent,
                    // It was moved away while we were in it: nothing above it is ours to find by it.
                    None => {
                        self.counts.unread += 1;
                        return Next::Go;
                    }
                }
                continue;
            };
            waiting = waiting.saturating_sub(1);
            let Some(below) = self.open_folder(&folder, &name, levels.len()) else { continue };
            let path_bytes = path.len();
            append(&mut path, name.as_bytes());
            match self.enter(&below, &path, &mut waiting, visit) {
                Some(level) => {
                    levels.push(level);
                    folder = below;
                }
                None => path.truncate(path_bytes),
            }
        }
        Next::Go
    }

    fn open_folder(&mut self, folder: &OwnedFd, name: &CString, depth: usize) -> Option<OwnedFd> {
        if depth >= DEPTH {
            self.counts.beyond += 1;
            return None;
        }
        match openat(folder, name, FOLDER, Mode::empty()) {
            Ok(below) if self.is_entered_from(folder, &below) => Some(below),
            Ok(_) => {
                self.counts.mounts += 1;
                None
            }
            Err(_) => {
                self.counts.unread += 1;
                None
            }
        }
    }

    /// A folder of another file system is entered when that one holds files of this machine.
    fn is_entered_from(&self, above: &OwnedFd, below: &OwnedFd) -> bool {
        match (fstat(above), fstat(below)) {
            (Ok(above), Ok(below)) if above.st_dev == below.st_dev => true,
            _ => is_entered(below, true),
        }
    }

    /// Reads a folder: files are handed over at once, folders wait. `None` when it was read before or cannot be.
    /// `waiting` becomes the greatest number when the walk is to end.
    fn enter(
        &mut self,
        folder: &OwnedFd,
        path: &[u8],
        waiting: &mut usize,
        visit: &mut dyn FnMut(FoundFile) -> Next,
    ) -> Option<Level> {
        let id = file_id(&fstat(folder).ok()?);
        if self.seen.len() >= SEEN {
            self.counts.beyond += 1;
            return None;
        }
        if !self.seen.insert(id) {
            return None;
        }
        self.counts.folders += 1;
        let mut level = Level { id, path_bytes: path.len(), waiting: Vec::new() };
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else {
                self.counts.unread += 1;
                break;
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match kind(folder, entry.file_type(), name) {
                Some(FileType::Directory) if *waiting < WAITING => {
                    *waiting += 1;
                    level.waiting.push(name.to_owned());
                }
                Some(FileType::Directory) => self.counts.beyond += 1,
                Some(FileType::RegularFile) => {
                    let mut whole = path.to_vec();
                    append(&mut whole, name.to_bytes());
                    if self.file(folder.as_fd(), name.to_bytes(), &whole, visit) == Next::End {
                        *waiting = usize::MAX;
                        return Some(level);
                    }
                }
                Some(_) => self.counts.passed += 1,
                None => self.counts.unread += 1,
            }
        }
        Some(level)
    }

    fn file(
        &mut self,
        folder: rustix::fd::BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        visit: &mut dyn FnMut(FoundFile) -> Next,
    ) -> Next {
        // A pipe put in its place does not block, a terminal does not become ours, a link is refused.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = match openat(folder, name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => openat(folder, name, flags, Mode::empty()),
            answer => answer,
        };
        match opened.map_err(io::Error::from).and_then(|file| FoundFile::of(path.to_vec(), file)) {
            Ok(Some(found)) => {
                self.counts.files += 1;
                visit(found)
            }
            Ok(None) => {
                self.counts.passed += 1;
                Next::Go
            }
            Err(_) => {
                self.counts.unread += 1;
                Next::Go
            }
        }
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// Some file systems do not say in the listing what a name is.
fn kind(folder: &OwnedFd, told: FileType, name: &std::ffi::CStr) -> Option<FileType> {
    if told != FileType::Unknown {
        return Some(told);
    }
    let stat: Stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

/// The folder above, if it still is the one we came from.
fn back(folder: &OwnedFd, id: FileId) -> Option<OwnedFd> {
    let above = openat(folder, "..", FOLDER, Mode::empty()).ok()?;
    (file_id(&fstat(&above).ok()?) == id).then_some(above)
}

fn append(path: &mut Vec<u8>, name: &[u8]) {
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// Magic numbers (statfs(2)) of file systems that hold no files: proc, sysfs, cgroup, cgroup2, devpts, debugfs, tracefs,
/// securityfs, bpf, pstore, efivarfs, mqueue, hugetlbfs, configfs, selinuxfs, binfmt_misc, rpc_pipefs, autofs.
const NO_FILES: [u64; 18] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x1cd1,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xcafe_4a11,
    0x6165_676c,
    0xde5e_81e4,
    0x1980_0202,
    0x9584_58f6,
    0x6265_6570,
    0xf97c_ff8c,
    0x4249_4e4d,
    0x6759_6969,
    0x0187,
];
/// Those whose files are elsewhere, or that a program answers for: nfs, smb, cifs, smb2, ceph, fuse, 9p, overlay. The
/// layers of an overlay lie on a local disk and are walked there.
const ELSEWHERE: [u64; 8] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x6573_5546, 0x0102_1997, 0x794c_7630];

/// The start of a walk may be anywhere that holds files; a mount on the way must be of this machine.
fn is_entered(folder: &OwnedFd, is_mount: bool) -> bool {
    let Ok(stat) = fstatfs(folder) else { return false };
    #[expect(clippy::cast_sign_loss, reason = "a magic number of 32 bits")]
    let magic = stat.f_type as u64 & 0xffff_ffff;
    let is_apart = NO_FILES.contains(&magic) || (is_mount && ELSEWHERE.contains(&magic));
    !is_apart
}

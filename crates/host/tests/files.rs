//! What processes do to files, seen by the eBPF sensor on the running kernel.
//!
//! Needs root and eBPF. Each act is done by a child, since a sensor does not tell of its own process.
#![allow(unsafe_code, reason = "system calls that the standard library has no words for")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]
#![allow(dead_code, reason = "the shared helpers serve other tests too")]

mod bpf_watch;

use std::{
    ffi::{CString, OsStr},
    fs::{self, File, OpenOptions},
    io::{PipeWriter, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, FromRawFd as _},
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, PermissionsExt as _, symlink},
        },
    },
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use bpf_watch::Watch;
use minesweep_model::{FileAct, FileEvent, FileId, What};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};

/// A folder whose path has no links.
struct Place {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap();
        Self { folder, path }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }
}

/// A child that has done its act and stays until it is let go.
struct Child {
    pid: u32,
    leash: PipeWriter,
}

impl Child {
    fn start(act: impl FnOnce()) -> Self {
        let (mut told, tells) = std::io::pipe().unwrap();
        let (mut waits, leash) = std::io::pipe().unwrap();
        // SAFETY: the child runs on a copy of this thread alone and ends with _exit; glibc keeps its allocator usable.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            drop((told, leash));
            let is_done = catch_unwind(AssertUnwindSafe(act)).is_ok();
            drop(tells);
            drop(waits.read(&mut [0]));
            // SAFETY: ends the child without running what the parent has to clean up.
            unsafe { libc::_exit(i32::from(!is_done)) };
        }
        drop(tells);
        assert_eq!(told.read(&mut [0]).unwrap(), 0);
        Self { pid: pid.cast_unsigned(), leash }
    }

    fn end(self) {
        drop(self.leash);
        let mut status = 0;
        // SAFETY: `status` is ours and lives through the call.
        let ended = unsafe { libc::waitpid(self.pid.cast_signed(), &raw mut status, 0) };
        assert_eq!((ended, status), (self.pid.cast_signed(), 0), "the child failed");
    }
}

/// What a child did to files, in order. Another child makes the file that says that all has been seen.
fn seen_of(watch: &mut Watch, place: &Place, act: impl FnOnce()) -> Vec<FileEvent> {
    let child = Child::start(act);
    let end = place.at("the end");
    Child::start(|| drop(File::create(&end).unwrap())).end();
    watch.until("the end of the child's acts", |what| match what {
        What::File(event) if Path::new(&event.path) == end => Some(()),
        _ => None,
    });
    let pid = child.pid;
    child.end();
    let of_child = |what: &What| match what {
        What::File(event) if event.process.pid == pid => Some((**event).clone()),
        _ => None,
    };
    watch.events.iter().filter_map(|event| of_child(&event.what)).collect()
}

/// Act, path and second name of each event.
fn told(events: &[FileEvent]) -> Vec<(FileAct, String, Option<String>)> {
    assert!(events.iter().all(|event| event.is_done), "{events:?}");
    events.iter().map(|event| (event.act, event.path.clone(), event.other.clone())).collect()
}

fn id(path: &Path) -> Option<FileId> {
    let meta = fs::metadata(path).unwrap();
    Some(FileId { dev: meta.dev(), inode: meta.ino() })
}

fn c(path: impl AsRef<OsStr>) -> CString {
    CString::new(path.as_ref().as_bytes()).unwrap()
}

/// A call that must succeed.
fn done(result: i64) {
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_new_file_and_one_that_is_written_are_told_with_path_and_file_and_a_read_one_is_not() {
    let mut watch = Watch::start();
    let place = Place::new();
    fs::write(place.at("old"), "x").unwrap();
    let events = seen_of(&mut watch, &place, || {
        fs::write(place.at("new"), "x").unwrap();
        fs::write(place.at("old"), "y").unwrap();
        fs::read(place.at("old")).unwrap();
        drop(OpenOptions::new().append(true).open(place.at("old")).unwrap()); // within a second: the same writing
        fs::metadata(place.at("old")).unwrap();
        fs::write("/dev/null", "x").unwrap();
        fs::write("/proc/self/comm", "x").unwrap();
    });
    assert_eq!(
        told(&events),
        [(FileAct::Create, place.text("new"), None), (FileAct::Write, place.text("old"), None)]
    );
    assert_eq!((events[0].file, events[1].file), (id(&place.at("new")), id(&place.at("old"))));
    assert_eq!(events[0].process.start_ticks, events[1].process.start_ticks);
}

#[test]
fn names_that_come_and_go_are_told_wherever_they_are_named_from() {
    let mut watch = Watch::start();
    let place = Place::new();
    for name in ["a", "b"] {
        fs::create_dir(place.at(name)).unwrap();
    }
    symlink("a", place.at("link")).unwrap();
    fs::write(place.at("a/1"), "").unwrap();
    let folder = File::open(place.at("b")).unwrap();
    let b = folder.as_raw_fd();
    let events = seen_of(&mut watch, &place, || {
        std::env::set_current_dir(place.at("a")).unwrap();
        fs::rename("1", "2").unwrap();
        fs::rename(place.at("link/2"), place.at("link/../b/3")).unwrap();
        // SAFETY: the strings end with NUL, the descriptor is open.
        unsafe {
            done(libc::linkat(b, c"3".as_ptr(), b, c"4".as_ptr(), 0).into());
            done(libc::symlinkat(c"/etc/passwd".as_ptr(), b, c"5".as_ptr()).into());
            done(libc::unlinkat(b, c"3".as_ptr(), 0).into());
            done(libc::mkdirat(b, c"6".as_ptr(), 0o700).into());
            done(libc::unlinkat(b, c"6".as_ptr(), libc::AT_REMOVEDIR).into());
            done(
                libc::renameat2(b, c"4".as_ptr(), libc::AT_FDCWD, c"../7".as_ptr(), libc::RENAME_NOREPLACE)
                    .into(),
            );
            done(libc::mknod(c(place.at("8")).as_ptr(), libc::S_IFIFO | 0o600, 0).into());
        }
        fs::remove_file("../7").unwrap();
        fs::create_dir("9").unwrap();
        fs::remove_dir("9").unwrap();
    });
    let one = |act, path: &str| (act, place.text(path), None);
    let two = |act, path: &str, other: &str| (act, place.text(path), Some(place.text(other)));
    assert_eq!(
        told(&events),
        [
            two(FileAct::Rename, "a/1", "a/2"),
            two(FileAct::Rename, "a/2", "b/3"),
            two(FileAct::Link, "b/3", "b/4"),
            (FileAct::Symlink, place.text("b/5"), Some("/etc/passwd".to_owned())),
            one(FileAct::Remove, "b/3"),
            one(FileAct::Create, "b/6"),
            one(FileAct::Remove, "b/6"),
            two(FileAct::Rename, "b/4", "7"),
            one(FileAct::Create, "8"),
            one(FileAct::Remove, "7"),
            one(FileAct::Create, "a/9"),
            one(FileAct::Remove, "a/9"),
        ]
    );
}

#[test]
fn rights_owners_attributes_and_flags_are_told_with_their_values() {
    const FS_IOC_GETFLAGS: libc::c_ulong = 0x8008_6601;
    const FS_IOC_SETFLAGS: libc::c_ulong = 0x4008_6602;
    let mut watch = Watch::start();
    let place = Place::new();
    fs::write(place.at("file"), "x").unwrap();
    symlink("file", place.at("link")).unwrap();
    let path = c(place.at("file"));
    let link = c(place.at("link"));
    let file = File::open(place.at("file")).unwrap();
    let fd = file.as_raw_fd();
    let events = seen_of(&mut watch, &place, || {
        fs::set_permissions(place.at("link"), fs::Permissions::from_mode(0o4755)).unwrap();
        // SAFETY: the strings end with NUL, the descriptor is open, `flags` lives through the calls.
        unsafe {
            done(libc::fchmod(fd, 0o600).into());
            done(libc::chown(path.as_ptr(), 12, 34).into());
            done(libc::lchown(link.as_ptr(), 56, u32::MAX).into());
            done(libc::fchown(fd, 0, 0).into());
            done(libc::fsetxattr(fd, c"trusted.a".as_ptr(), c"v".as_ptr().cast(), 1, 0).into());
            done(libc::removexattr(path.as_ptr(), c"trusted.a".as_ptr()).into());
            done(libc::truncate(path.as_ptr(), 0).into());
            let mut flags = 0u32;
            done(libc::ioctl(fd, FS_IOC_GETFLAGS, &raw mut flags).into());
            flags |= 0x10;
            done(libc::ioctl(fd, FS_IOC_SETFLAGS, &raw const flags).into());
            flags &= !0x10;
            done(libc::ioctl(fd, FS_IOC_SETFLAGS, &raw const flags).into());
        }
    });
    let name = |text: &str| Some(text.to_owned());
    let acts: Vec<_> = events.iter().map(|event| (event.act, event.value, event.other.clone())).collect();
    let immutable = acts[8].1.unwrap();
    assert_eq!(
        acts,
        [
            (FileAct::Mode, Some(0o4755), None),
            (FileAct::Mode, Some(0o600), None),
            (FileAct::Owner, Some(12 | 34 << 32), None),
            (FileAct::Owner, Some(56 | 0xffff_ffff << 32), None),
            (FileAct::Owner, Some(0), None),
            (FileAct::Xattr, None, name("trusted.a")),
            (FileAct::Xattr, None, name("trusted.a")),
            (FileAct::Write, None, None),
            (FileAct::Flags, Some(immutable | 0x10), None),
            (FileAct::Flags, Some(immutable & !0x10), None),
        ]
    );
    for (at, event) in events.iter().enumerate() {
        let name = if at == 3 { "link" } else { "file" };
        assert_eq!((event.path.clone(), event.is_done), (place.text(name), true), "{event:?}");
    }
    assert_eq!(events[1].file, id(&place.at("file")));
}

#[test]
fn mounts_are_told_also_when_they_are_refused() {
    let mut watch = Watch::start();
    let place = Place::new();
    for name in ["on", "from"] {
        fs::create_dir(place.at(name)).unwrap();
    }
    let events = seen_of(&mut watch, &place, || {
        // SAFETY: takes no pointers; only this child gets its own mounts.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        mount("none", place.at("on"), "tmpfs", MountFlags::empty(), None).unwrap();
        fs::write(place.at("on/inside"), "").unwrap();
        unmount(place.at("on"), UnmountFlags::DETACH).unwrap();
        std::env::set_current_dir(&place.path).unwrap();
        mount_bind("from", "on").unwrap();
        unmount("on", UnmountFlags::empty()).unwrap();
        // SAFETY: takes no pointers.
        assert_eq!(unsafe { libc::setuid(65_534) }, 0);
        mount("none", "on", "tmpfs", MountFlags::empty(), None).unwrap_err();
    });
    let on = || place.text("on");
    let acts: Vec<_> = events
        .iter()
        .filter(|event| event.path != "/")
        .map(|event| (event.act, event.path.clone(), event.other.clone(), event.is_done))
        .collect();
    assert_eq!(
        acts[..5],
        [
            (FileAct::Mount, on(), Some("none".to_owned()), true),
            (FileAct::Create, place.text("on/inside"), None, true),
            (FileAct::Unmount, on(), None, true),
            (FileAct::Mount, on(), Some(place.text("from")), true),
            (FileAct::Unmount, on(), None, true),
        ]
    );
    assert_eq!((acts[5].0, acts[5].3), (FileAct::Mount, false));
    assert!(acts[5].1.ends_with("/on"), "{acts:?}");
}

#[test]
fn files_without_a_name_are_told_and_the_name_that_one_gets() {
    let mut watch = Watch::start();
    let place = Place::new();
    let events = seen_of(&mut watch, &place, || {
        let flags = libc::O_TMPFILE | libc::O_WRONLY;
        let (folder, name) = (c(&place.path), c(place.at("named")));
        // SAFETY: the strings end with NUL; the descriptors are new and ours.
        unsafe {
            let file = File::from_raw_fd(libc::open(folder.as_ptr(), flags, 0o700));
            let open = c(format!("/proc/self/fd/{}", file.as_raw_fd()));
            let to = (libc::AT_FDCWD, name.as_ptr());
            done(libc::linkat(libc::AT_FDCWD, open.as_ptr(), to.0, to.1, libc::AT_SYMLINK_FOLLOW).into());
            let memory = File::from_raw_fd(libc::memfd_create(c"kworker/u8:1".as_ptr(), 0));
            writeln!(&memory, "x").unwrap();
        }
    });
    let acts: Vec<FileAct> = events.iter().map(|event| event.act).collect();
    assert_eq!(acts[1..], [FileAct::Link, FileAct::Memfd]);
    assert!(matches!(acts[0], FileAct::Create | FileAct::Write), "{acts:?}");
    assert_eq!(events[0].file, id(&place.at("named")));
    assert_eq!(events[1].other, Some(place.text("named")));
    assert_eq!(events[2].path, "kworker/u8:1");
}

#[test]
fn hostile_names_are_told_whole_and_as_text() {
    let mut watch = Watch::start();
    let place = Place::new();
    let names: [Vec<u8>; 5] = [
        b"line\nbreak".to_vec(),
        vec![b'x'; 255],
        b"\xff\xfe".to_vec(),
        b" -rf (deleted)".to_vec(),
        "\u{202e}gpj".as_bytes().to_vec(),
    ];
    let path = |name: &[u8]| place.path.join(OsStr::from_bytes(name));
    let events = seen_of(&mut watch, &place, || {
        for name in &names {
            fs::write(path(name), "").unwrap();
            fs::remove_file(path(name)).unwrap();
        }
    });
    let want: Vec<_> = names
        .iter()
        .flat_map(|name| {
            let text = path(name).to_string_lossy().into_owned();
            [(FileAct::Create, text.clone(), None), (FileAct::Remove, text, None)]
        })
        .collect();
    assert_eq!(told(&events), want);
}

#[test]
fn a_path_too_deep_for_the_kernel_side_is_read_from_the_process() {
    let mut watch = Watch::start();
    let place = Place::new();
    let deep: PathBuf = std::iter::repeat_n("d", 100).collect();
    fs::create_dir_all(place.path.join(&deep)).unwrap();
    let at = place.path.join(&deep).join("file");
    let kept = File::create(&at).unwrap();
    let pid = std::process::id();
    let mut helper = std::process::Command::new("/bin/sh")
        .args(["-c", "exec 3>>file; read line"])
        .current_dir(place.path.join(&deep))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let seen = watch.until("the deep file", |what| match what {
        What::File(event) if event.process.pid == helper.id() && event.act == FileAct::Write => {
            Some(event.path.clone())
        }
        _ => None,
    });
    drop(helper.stdin.take());
    helper.wait().unwrap();
    drop(kept);
    assert_eq!(seen, at.to_str().unwrap(), "{pid}");
}

#[test]
fn a_process_with_mounts_of_its_own_is_told_by_its_own_paths() {
    let mut watch = Watch::start();
    let place = Place::new();
    let events = seen_of(&mut watch, &place, || {
        // SAFETY: takes no pointers; only this child gets its own mounts.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        mount("none", "/mnt", "tmpfs", MountFlags::empty(), None).unwrap();
        for name in ["etc", "old"] {
            fs::create_dir(format!("/mnt/{name}")).unwrap();
        }
        let root = c("/mnt");
        // SAFETY: the strings end with NUL.
        done(unsafe { libc::syscall(libc::SYS_pivot_root, root.as_ptr(), c"/mnt/old".as_ptr()) });
        std::env::set_current_dir("/").unwrap();
        fs::write("/etc/cron", "x").unwrap();
        symlink("/etc", "/link").unwrap();
        fs::rename("/link/cron", "/etc/crontab").unwrap();
    });
    let at = events.iter().position(|event| event.path == "/etc/cron").unwrap();
    assert_eq!((events[at].act, events[at].is_done), (FileAct::Create, true));
    let two = |act, path: &str, other: &str| (act, path.to_owned(), Some(other.to_owned()));
    assert_eq!(
        told(&events[at + 1..]),
        [two(FileAct::Symlink, "/link", "/etc"), two(FileAct::Rename, "/etc/cron", "/etc/crontab")]
    );
}

#[test]
fn reading_of_a_key_is_told_and_of_its_neighbour_is_not() {
    let mut watch = Watch::start();
    let place = Place::new();
    fs::create_dir(place.at(".ssh")).unwrap();
    for name in [".ssh/any", "id_rsa", "other"] {
        fs::write(place.at(name), "x").unwrap();
    }
    let events = seen_of(&mut watch, &place, || {
        for name in [".ssh/any", "id_rsa", "other"] {
            fs::read(place.at(name)).unwrap();
        }
        fs::read("/etc/shadow").unwrap();
        fs::read("/etc/passwd").unwrap();
        fs::read_dir(place.at(".ssh")).unwrap();
    });
    let want = [place.text(".ssh/any"), place.text("id_rsa"), "/etc/shadow".to_owned()];
    assert_eq!(told(&events), want.map(|path| (FileAct::Read, path, None)));
}

#[test]
fn a_refused_opening_of_a_core_file_is_told_and_of_another_is_not() {
    let mut watch = Watch::start();
    let place = Place::new();
    let events = seen_of(&mut watch, &place, || {
        fs::write(place.at("other"), "").unwrap();
        // SAFETY: takes no pointers.
        unsafe {
            done(libc::setgid(65_534).into());
            done(libc::setuid(65_534).into());
        }
        fs::write(place.at("other"), "").unwrap_err();
        fs::read("/etc/shadow").unwrap_err();
        OpenOptions::new().append(true).open("/etc/passwd").unwrap_err();
        fs::write("/etc/ld.so.preload.none", "").unwrap_err();
        fs::read("/etc/none").unwrap_err();
    });
    let refused: Vec<_> =
        events.iter().filter(|event| !event.is_done).map(|event| (event.act, event.path.as_str())).collect();
    let want = [
        (FileAct::Read, "/etc/shadow"),
        (FileAct::Write, "/etc/passwd"),
        (FileAct::Write, "/etc/ld.so.preload.none"),
    ];
    assert_eq!(refused, want);
}

#[test]
fn our_own_process_is_not_told_about() {
    let mut watch = Watch::start();
    let place = Place::new();
    fs::write(place.at("own"), "x").unwrap();
    fs::remove_file(place.at("own")).unwrap();
    let events = seen_of(&mut watch, &place, || fs::write(place.at("childs"), "x").unwrap());
    assert_eq!(told(&events), [(FileAct::Create, place.text("childs"), None)]);
    let own = std::process::id();
    let is_own = |what: &What| matches!(what, What::File(event) if event.process.pid == own);
    assert!(!watch.events.iter().any(|event| is_own(&event.what)));
}

#[test]
fn a_process_has_its_session_and_login() {
    let mut watch = Watch::start();
    let seen = watch.run(std::process::Command::new("/bin/sh").args(["-c", "exec /bin/true"]));
    let own = minesweep_host::proc::read(std::process::id()).unwrap();
    // SAFETY: takes no pointers.
    let session = unsafe { libc::getsid(0) };
    assert_eq!((seen.session, own.session), (session.cast_unsigned(), session.cast_unsigned()));
    assert_eq!(seen.login_uid, own.login_uid);
}

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code: stand-ins call the kernel as odd programs do, and what is missing must stop the test"
)]
//! The look for hidden things against a real kernel and a real package database (Debian).
//!
//! Needs root. What could touch the machine (a mount over /proc, another `ps`, an /etc with ld.so.preload) is done in a
//! mount namespace of one thread and goes with it.

#[allow(dead_code, reason = "shared with other tests")]
#[path = "proc/standin.rs"]
mod standin;

use std::{
    ffi::CString,
    fs,
    io::IoSlice,
    mem::MaybeUninit,
    net::TcpListener,
    os::{fd::AsFd, unix::ffi::OsStrExt, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use minesweep_host::hiding::{Depth, Hunt};
use minesweep_model::{Event, HidingFact, HidingSign, Owner, Process, What};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use standin::{Part, Standin, exe_copy, folder};

fn signs(events: &[Event]) -> Vec<&HidingSign> {
    events
        .iter()
        .filter_map(|event| match &event.what {
            What::Hiding(sign) => Some(sign.as_ref()),
            _other => None,
        })
        .collect()
}

fn running(events: &[Event], pid: u32) -> Option<&Process> {
    events.iter().find_map(|event| match &event.what {
        What::Running(process) if process.key.pid == pid => Some(process.as_ref()),
        _other => None,
    })
}

/// In a mount namespace of its own.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(move || {
        standin::private_mounts();
        work()
    })
    .join()
    .unwrap()
}

/// Lays a writable folder over another.
fn lay_over(lower: &str, home: &Path) {
    let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
    for name in ["upper", "work"] {
        fs::create_dir(home.join(name)).unwrap();
    }
    let options = format!("lowerdir={lower},upperdir={},workdir={}", at("upper"), at("work"));
    let (point, options, kind) = (CString::new(lower).unwrap(), CString::new(options).unwrap(), c"overlay");
    // SAFETY: all are C strings that outlive the call.
    let answer =
        unsafe { libc::mount(kind.as_ptr(), point.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// A program that waits for its input to end.
struct Waiting(Child);

impl Waiting {
    fn with_library(library: &Path) -> Self {
        let mut command = Command::new("/bin/cat");
        command.env("LD_PRELOAD", library).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // One line back: the program is loaded and so are its libraries.
        use std::io::{BufRead, BufReader, Write};
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn a_process_that_takes_the_name_of_a_kernel_thread_is_read_again() {
    let home = folder();
    let standin =
        Standin::start(&exe_copy(home.path(), "a"), Part::Named("[kworker/0:1]".to_owned()), home.path());
    let events = Hunt::default().round(Depth::Quick).unwrap();
    let process = running(&events, standin.pid()).unwrap();
    assert_eq!(process.comm, "[kworker/0:1]");
    assert_eq!(process.exe, home.path().join("a").to_str().unwrap());
}

#[test]
fn a_mount_over_a_process_is_told_and_the_process_is_marked() {
    let home = folder();
    let standin = Standin::start(&exe_copy(home.path(), "a"), Part::Wait, home.path());
    let pid = standin.pid();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let events = apart(move || {
        standin::bind(empty.as_os_str().as_bytes(), format!("/proc/{pid}").as_bytes());
        Hunt::default().round(Depth::Quick).unwrap()
    });
    let point = format!("/proc/{pid}");
    let (process, mount) = signs(&events)
        .into_iter()
        .find_map(|sign| match &sign.fact {
            HidingFact::ProcMount(mount) if mount.point == point => Some((sign.process, mount)),
            _other => None,
        })
        .unwrap();
    assert!(mount.root.ends_with("/empty"), "{mount:?}");
    assert_eq!(process.unwrap().pid, pid);
    assert!(running(&events, pid).unwrap().is_hidden);
}

#[test]
fn the_libraries_of_ld_so_preload_are_told_with_their_packages() {
    let (home, elsewhere) = (folder(), folder());
    let library = elsewhere.path().join("libx.so");
    fs::write(&library, b"x").unwrap();
    let (path, wanted) = (home.path().to_owned(), library.to_str().unwrap().to_owned());
    let line = format!("# x\n{wanted} /lib/x86_64-linux-gnu/libc.so.6\n/nowhere/liby.so\n");
    let events = apart(move || {
        lay_over("/etc", &path);
        // Only this thread sees it, and it starts no program.
        fs::write("/etc/ld.so.preload", line).unwrap();
        Hunt::default().round(Depth::Quick).unwrap()
    });
    let all: Vec<_> = signs(&events)
        .into_iter()
        .filter_map(|sign| match &sign.fact {
            HidingFact::Preload { by, library, owner, exists } if by == "/etc/ld.so.preload" => {
                Some((library.as_str(), owner.clone(), *exists))
            }
            _other => None,
        })
        .collect();
    assert_eq!(all[0], (wanted.as_str(), Owner::Nobody, true));
    assert_eq!(all[1], ("/lib/x86_64-linux-gnu/libc.so.6", Owner::Package("libc6:amd64".to_owned()), true));
    assert_eq!((all[2].0, all[2].2), ("/nowhere/liby.so", false));
    assert!(!Path::new("/etc/ld.so.preload").exists(), "the machine is as it was");
}

#[test]
fn a_library_in_the_environment_is_told_and_what_many_have_loaded_is_counted() {
    let home = folder();
    let library = home.path().join("libx.so.6");
    fs::copy("/lib/x86_64-linux-gnu/libm.so.6", &library).unwrap();
    let all: Vec<Waiting> = (0..16).map(|_| Waiting::with_library(&library)).collect();
    let text = library.to_str().unwrap();
    let mut hunt = Hunt::default();
    let events = hunt.round(Depth::Deep).unwrap();
    let signs = signs(&events);
    let preload = signs.iter().find(|sign| sign.process.is_some_and(|key| key.pid == all[0].0.id())).unwrap();
    let HidingFact::Preload { by, library, owner, exists } = &preload.fact else { panic!("{preload:?}") };
    assert_eq!((by.as_str(), library.as_str(), owner, *exists), ("environment", text, &Owner::Nobody, true));
    let mapped = signs.iter().find_map(|sign| match &sign.fact {
        HidingFact::Mapped { library, processes, of } if library == text => Some((*processes, *of)),
        _other => None,
    });
    let (processes, of) = mapped.unwrap();
    assert!(processes == 16 && of >= 16, "{processes} of {of}");
    let again = hunt.round(Depth::Quick).unwrap();
    assert!(
        !self::signs(&again).iter().any(|sign| sign.process == preload.process),
        "what was told is not told again"
    );
}

#[test]
fn a_replaced_program_is_told_with_the_original_and_untouched_ones_are_not() {
    let home = folder();
    let original = tempfile::Builder::new().prefix("ps.").tempfile_in("/tmp").unwrap();
    fs::copy("/usr/bin/ps", original.path()).unwrap();
    let other = home.path().join("ps");
    fs::copy("/usr/bin/ls", &other).unwrap();
    let events = apart(move || {
        standin::bind(other.as_os_str().as_bytes(), b"/usr/bin/ps");
        Hunt::default().round(Depth::Deep).unwrap()
    });
    let replaced: Vec<_> =
        signs(&events).into_iter().filter(|sign| matches!(sign.fact, HidingFact::Replaced { .. })).collect();
    assert_eq!(replaced.len(), 1, "{replaced:?}");
    let HidingFact::Replaced { path, package, target, original: found } = &replaced[0].fact else { panic!() };
    assert_eq!((path.as_str(), package.as_str(), target), ("/usr/bin/ps", "procps", &None));
    assert_eq!(found.as_deref(), original.path().to_str());
}

#[test]
fn a_program_that_leads_out_of_its_package_is_told() {
    let (home, elsewhere) = (folder(), folder());
    let other = elsewhere.path().join("top");
    fs::copy("/usr/bin/ls", &other).unwrap();
    let (path, target) = (home.path().to_owned(), other.clone());
    let events = apart(move || {
        lay_over("/usr/bin", &path);
        fs::remove_file("/usr/bin/top").unwrap();
        std::os::unix::fs::symlink(target, "/usr/bin/top").unwrap();
        Hunt::default().round(Depth::Deep).unwrap()
    });
    let is_told = signs(&events).into_iter().any(|sign| {
        matches!(&sign.fact, HidingFact::Replaced { path, target: Some(target), .. }
            if path.ends_with("/bin/top") && target == other.to_str().unwrap())
    });
    assert!(is_told, "{:?}", signs(&events));
}

#[test]
fn a_locked_file_and_a_name_that_is_not_plain_are_told() {
    let home = folder();
    let (locked, odd) = (home.path().join("locked"), home.path().join("..."));
    let file = fs::File::create(&locked).unwrap();
    fs::create_dir(&odd).unwrap();
    let flags = ioctl_getflags(&file).unwrap();
    ioctl_setflags(&file, flags | IFlags::IMMUTABLE).unwrap();
    let events = Hunt::default().round(Depth::Deep);
    ioctl_setflags(&file, flags).unwrap();
    let events = events.unwrap();
    let has = |wanted: &dyn Fn(&HidingFact) -> bool| signs(&events).iter().any(|sign| wanted(&sign.fact));
    assert!(has(&|fact| matches!(fact, HidingFact::Locked { path, is_immutable: true, .. }
        if path == locked.to_str().unwrap())));
    assert!(has(&|fact| matches!(fact, HidingFact::Name { path } if path == odd.to_str().unwrap())));
}

#[test]
fn a_listening_socket_that_no_process_holds_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    // On its way from one end to the other a descriptor is nobody's.
    let (from, to) = UnixStream::pair().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let sent = [listener.as_fd()];
    assert!(message.push(SendAncillaryMessage::ScmRights(&sent)));
    sendmsg(&from, &[IoSlice::new(b"x")], &mut message, SendFlags::empty()).unwrap();
    drop(listener);
    let events = Hunt::default().round(Depth::Deep).unwrap();
    let sockets: Vec<_> = signs(&events)
        .into_iter()
        .filter_map(|sign| match &sign.fact {
            HidingFact::Socket { local, is_in_table, .. } => Some((*local, *is_in_table)),
            _other => None,
        })
        .collect();
    assert!(sockets.contains(&(local, true)), "{sockets:?}");
    assert!(!sockets.iter().any(|(one, _)| *one == held.local_addr().unwrap()));
    assert!(sockets.iter().all(|(_, is_in_table)| *is_in_table), "{sockets:?}");
    drop(to);
}

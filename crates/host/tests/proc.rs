#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code: stand-ins call the kernel as odd programs do, and what is missing must stop the test"
)]
//! The proc side against real processes: names that break parsers, files that are gone, namespaces, sockets.
//!
//! Needs root. A stand-in is this very test binary, started again with a part to play; it says `ready` on its output
//! and ends with its input, so nothing here waits by the clock.

#[path = "proc/standin.rs"]
mod standin;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::Path,
    time::Duration,
};

use minesweep_host::{
    BATCH, ProcSensor, Source,
    cpu::Sampler,
    hidden::{self, How},
    look::{LookLimits, Piece, look},
    proc, sockets,
};
use minesweep_model::{Event, Origin, What};

use standin::{Part, Standin, exe_copy, folder};

#[test]
fn a_process_is_read_whole() {
    let home = folder();
    let standin = Standin::start(&exe_copy(home.path(), "plain"), Part::Wait, home.path());
    let process = proc::read(standin.pid()).unwrap();
    assert_eq!(process.exe, home.path().join("plain").to_str().unwrap());
    assert_eq!(process.cwd, home.path().to_str().unwrap());
    assert_eq!((process.origin, process.uid, process.inner_pid), (Origin::Disk, 0, None));
    assert_eq!(process.parent_pid, std::process::id());
    assert_eq!(process.key, proc::key(standin.pid()).unwrap());
    assert!(process.argv.iter().any(|word| word == "standin::play"), "{:?}", process.argv);
    assert!(process.threads >= 1);
    let now_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(process.started_ms.abs_diff(now_ms) < 60_000, "{} {now_ms}", process.started_ms);
    let stat = fs::metadata(home.path().join("plain")).unwrap();
    let file = process.file.unwrap();
    assert_eq!(
        (file.dev, file.inode),
        (std::os::linux::fs::MetadataExt::st_dev(&stat), std::os::linux::fs::MetadataExt::st_ino(&stat))
    );
    assert!(proc::list().unwrap().contains(&standin.pid()));
}

#[test]
fn a_kernel_thread_is_marked_and_has_no_file() {
    let process = proc::read(2).unwrap();
    assert_eq!((process.origin, process.exe.as_str(), process.file), (Origin::Kernel, "", None));
}

#[test]
fn an_executable_that_was_removed_is_still_read() {
    let home = folder();
    let path = exe_copy(home.path(), "gone");
    let standin = Standin::start(&path, Part::Wait, home.path());
    let wanted = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let process = proc::read(standin.pid()).unwrap();
    assert_eq!((process.exe.as_str(), process.origin), (path.to_str().unwrap(), Origin::Deleted));
    let mut is_same = false;
    let looked = look(process.key, LookLimits::default(), &mut |piece| {
        if let Piece::Executable { bytes, origin, .. } = piece {
            is_same = bytes == wanted && origin == Origin::Deleted;
        }
    })
    .unwrap();
    assert!(is_same);
    assert_eq!(looked.sha256.unwrap().len(), 64);
}

#[test]
fn a_file_that_is_only_named_deleted_is_on_disk() {
    let home = folder();
    let path = exe_copy(home.path(), "x (deleted)");
    let standin = Standin::start(&path, Part::Wait, home.path());
    let process = proc::read(standin.pid()).unwrap();
    assert_eq!((process.exe.as_str(), process.origin), (path.to_str().unwrap(), Origin::Disk));
}

#[test]
fn a_program_in_a_memory_file_is_marked_so() {
    let name = c"innocent";
    // SAFETY: `name` is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), 0) };
    assert!(fd >= 0);
    let path = format!("/proc/{}/fd/{fd}", std::process::id());
    standin::copy_exe(Path::new(&path));
    let home = folder();
    let standin = Standin::start(Path::new(&path), Part::Wait, home.path());
    let process = proc::read(standin.pid()).unwrap();
    assert_eq!((process.exe.as_str(), process.origin), ("/memfd:innocent", Origin::Memfd));
    // SAFETY: the descriptor came from `memfd_create` above and nothing else owns it.
    unsafe { libc::close(fd) };
}

#[test]
fn a_program_written_into_a_container_is_told_from_one_of_its_image() {
    let home = folder();
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(home.path().join(name)).unwrap();
    }
    exe_copy(&home.path().join("lower"), "of-image");
    let place = home.path().to_owned();
    let origins = std::thread::spawn(move || {
        standin::private_mounts();
        standin::overlay(&place);
        exe_copy(&place.join("merged"), "dropped");
        ["of-image", "dropped"].map(|name| {
            let standin = Standin::start(&place.join("merged").join(name), Part::Wait, &place);
            proc::read(standin.pid()).unwrap().origin
        })
    });
    assert_eq!(origins.join().unwrap(), [Origin::Disk, Origin::OverlayUpper]);
}

#[test]
fn names_that_break_parsers_do_not_break_ours() {
    let home = folder();
    for name in [") R 1 1 1 (", "a b", "new\nline", "\u{1b}[2J", "x) S 0", "(("] {
        let standin =
            Standin::start(&exe_copy(home.path(), "odd"), Part::Named(name.to_owned()), home.path());
        let process = proc::read(standin.pid()).unwrap();
        assert_eq!((process.comm.as_str(), process.parent_pid), (name, std::process::id()), "{name:?}");
        assert_eq!(process.key, proc::key(standin.pid()).unwrap());
    }
    let long = "dbus-daemon --system --address=systemd_ ) (deleted)";
    let standin = Standin::start(&exe_copy(home.path(), long), Part::Wait, home.path());
    let process = proc::read(standin.pid()).unwrap();
    assert_eq!(
        (process.exe.as_str(), process.origin),
        (home.path().join(long).to_str().unwrap(), Origin::Disk)
    );
}

#[test]
fn another_pid_and_network_namespace_is_seen_like_ours() {
    let home = folder();
    let standin = Standin::start(&exe_copy(home.path(), "inner"), Part::Apart, home.path());
    let (pid, local, remote) = standin.apart();
    let process = proc::read(pid).unwrap();
    assert_eq!(process.inner_pid, Some(1));
    let found = sockets::of(pid).unwrap();
    let socket = found.iter().find(|socket| socket.local == local).unwrap();
    assert_eq!((socket.remote, socket.state), (remote, sockets::State::Established));
    assert!(socket.cookie.is_some(), "the namespace was not entered");
    let looked = look(process.key, LookLimits::default(), &mut |_| {}).unwrap();
    assert!(looked.peers.contains(&remote), "{:?}", looked.peers);
    let own = sockets::own().unwrap();
    assert!(
        !own.sockets.iter().any(|own| own.cookie == socket.cookie),
        "this thread is in the other namespace"
    );
    let events = proc::running().unwrap();
    let is_told = events.iter().any(|event| match &event.what {
        What::Connect(flow) => Some(flow.cookie) == socket.cookie && flow.process == Some(process.key),
        _ => false,
    });
    assert!(is_told);
}

#[test]
fn connections_of_both_families_are_joined_with_their_process() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (local, remote) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let found = sockets::of(std::process::id()).unwrap();
        let socket = found.iter().find(|socket| socket.local == local && socket.remote == remote).unwrap();
        assert_eq!(
            (socket.state, socket.uid, socket.cookie),
            (sockets::State::Established, 0, Some(cookie(&stream)))
        );
        let events = proc::running().unwrap();
        let me = proc::key(std::process::id()).unwrap();
        let is_told = events.iter().any(|event| match &event.what {
            What::Connect(flow) => {
                flow.cookie == cookie(&stream) && flow.process == Some(me) && flow.remote == remote
            }
            _ => false,
        });
        assert!(is_told, "{address}");
    }
}

fn cookie(stream: &TcpStream) -> u64 {
    let mut value = 0_u64;
    let mut length = 8_u32;
    // SAFETY: `value` is eight bytes and `length` says so; both outlive the call.
    let answer = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    assert_eq!(answer, 0);
    value
}

#[test]
fn the_sampler_agrees_with_the_kernels_own_account() {
    let home = folder();
    let mut sampler = Sampler::new().unwrap();
    assert_eq!(sampler.walk_now().unwrap(), None);
    let standin = Standin::start(&exe_copy(home.path(), "busy"), Part::Busy(500), home.path());
    let said_ms = standin.number();
    let sample = sampler.walk_now().unwrap().unwrap();
    let mine = sample.processes.iter().find(|process| process.process.pid == standin.pid()).unwrap();
    assert!(mine.cpu_ms.abs_diff(said_ms) * 10 <= said_ms, "sampled {} said {said_ms}", mine.cpu_ms);
    assert!(mine.total_ms >= mine.cpu_ms && mine.rss_kib > 0 && mine.threads >= 1);
    assert!(mine.voluntary + mine.involuntary > 0);
    assert!(sample.visible_ms >= mine.cpu_ms);
    assert_eq!(sample.cpus as usize, std::thread::available_parallelism().unwrap().get());
}

#[test]
fn time_of_a_child_that_came_and_went_is_ended_time() {
    let home = folder();
    let mut sampler = Sampler::new().unwrap();
    sampler.walk_now().unwrap();
    let standin = Standin::start(&exe_copy(home.path(), "parent"), Part::BusyChild(400), home.path());
    let said_ms = standin.number();
    let sample = sampler.walk_now().unwrap().unwrap();
    assert!(sample.ended_ms * 10 >= said_ms * 9, "ended {} of {said_ms}", sample.ended_ms);
    assert!(sample.visible_ms + sample.ended_ms <= sample.busy_ms.max(sample.visible_ms));
}

#[test]
fn a_look_finds_a_word_in_the_heap_and_in_a_configuration() {
    let home = folder();
    fs::write(home.path().join("config.json"), "{\"marker\": \"in-the-file\"}").unwrap();
    fs::write(home.path().join("other.dat"), "named-in-argv").unwrap();
    let standin = Standin::start(
        &exe_copy(home.path(), "carrier"),
        Part::Heap(home.path().join("other.dat")),
        home.path(),
    );
    let key = proc::key(standin.pid()).unwrap();
    let mut seen = [false; 4];
    let looked = look(key, LookLimits::default(), &mut |piece| {
        let (at, needle, bytes) = match piece {
            Piece::Memory { bytes, .. } => (0, standin::HEAP_WORD.to_owned(), bytes),
            Piece::File { path, is_beside, bytes } if path.ends_with("config.json") => {
                assert!(is_beside, "nobody named it");
                (1, "in-the-file".to_owned(), bytes)
            }
            Piece::File { is_beside, bytes, .. } => {
                assert!(!is_beside, "the arguments name it");
                (2, "named-in-argv".to_owned(), bytes)
            }
            Piece::Argv(bytes) => (3, "other.dat".to_owned(), bytes),
            Piece::Executable { .. } => return,
        };
        seen[at] |= bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    })
    .unwrap();
    assert_eq!(seen, [true; 4], "{looked:?}");
    assert!(looked.maps_bytes.iter().any(|&bytes| bytes >= 300 << 20), "{:?}", looked.maps_bytes);
    assert_eq!(looked.unread, Vec::<String>::new());
    let state = fs::read_to_string(format!("/proc/{}/status", standin.pid())).unwrap();
    assert!(state.contains("TracerPid:\t0"), "{state}");
}

#[test]
fn a_look_at_a_number_that_belongs_to_another_is_refused() {
    let mut key = proc::key(std::process::id()).unwrap();
    key.start_ticks += 1;
    let refusal =
        look(key, LookLimits::default(), &mut |_| panic!("a piece of the wrong process")).unwrap_err();
    assert_eq!(refusal.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_process_under_a_mount_is_found_and_read() {
    // The mount is made in a mount namespace of a thread of ours, so nobody else sees it.
    let home = folder();
    let standin = Standin::start(&exe_copy(home.path(), "covered"), Part::Wait, home.path());
    let pid = standin.pid();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let found = std::thread::spawn(move || {
        standin::private_mounts();
        standin::bind(empty.as_os_str().as_bytes(), format!("/proc/{pid}").as_bytes());
        assert!(fs::read(format!("/proc/{pid}/stat")).is_err());
        (hidden::find(&[]).unwrap(), proc::read(pid).unwrap())
    });
    let (hidden, read) = found.join().unwrap();
    assert_eq!(read.exe, home.path().join("covered").to_str().unwrap());
    let one = hidden.iter().find(|hidden| hidden.pid == pid).unwrap();
    assert_eq!(one.how, How::Covered);
    assert!(one.process.as_ref().unwrap().is_hidden);
}

#[test]
fn a_process_missing_from_the_listing_is_found() {
    // A folder over the whole of /proc leaves no number in the listing.
    let home = folder();
    let standin = Standin::start(&exe_copy(home.path(), "unlisted"), Part::Wait, home.path());
    let (pid, empty) = (standin.pid(), home.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    let hidden = std::thread::spawn(move || {
        assert!(proc::read(pid).is_ok(), "opens the way in before it is covered");
        standin::private_mounts();
        standin::bind(empty.as_os_str().as_bytes(), b"/proc");
        hidden::find(&[]).unwrap()
    })
    .join()
    .unwrap();
    let one = hidden.iter().find(|hidden| hidden.pid == pid).unwrap();
    assert_eq!((one.how, one.process.as_ref().unwrap().key.pid), (How::NotListed, pid));
}

#[test]
fn nothing_is_hidden_on_a_plain_machine() {
    let hidden = hidden::find(&proc::list().unwrap()).unwrap();
    assert_eq!(hidden, []);
}

/// Asks the sensor until an event is the wanted one.
fn until(sensor: &mut ProcSensor, mut is_wanted: impl FnMut(&Event) -> bool) -> Event {
    let mut events = Vec::new();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while std::time::Instant::now() < end {
        events.clear();
        sensor.next(Duration::from_millis(500), &mut events).unwrap();
        assert!(events.len() <= BATCH);
        if let Some(found) = events.iter().find(|event| is_wanted(event)) {
            return found.clone();
        }
    }
    panic!("not seen; counts {:?}", sensor.counts());
}

#[test]
fn the_sensor_tells_exec_and_exit() {
    let mut sensor = ProcSensor::start().unwrap();
    let home = folder();
    let path = exe_copy(home.path(), "seen");
    let standin = Standin::start(&path, Part::Wait, home.path());
    let pid = standin.pid();
    let key = proc::key(pid).unwrap();
    until(&mut sensor, |event| match &event.what {
        What::Exec(process) | What::Running(process) => {
            process.key == key && process.exe == path.to_str().unwrap()
        }
        _ => false,
    });
    drop(standin);
    until(&mut sensor, |event| event.what == What::Exit { process: key });
    for count in sensor.counts() {
        assert_eq!(count.made, count.seen + count.lost, "{count:?}");
    }
}

#[test]
fn without_the_connector_processes_are_told_by_listing() {
    // The connector answers in the first network namespace only; this thread leaves it.
    std::thread::spawn(|| {
        standin::private_network();
        let mut sensor = ProcSensor::start().unwrap();
        assert!(sensor.blind().iter().any(|blind| blind.what == "exec"), "{:?}", sensor.blind());
        let home = folder();
        let path = exe_copy(home.path(), "listed");
        let standin = Standin::start(&path, Part::Wait, home.path());
        let key = proc::key(standin.pid()).unwrap();
        until(&mut sensor, |event| match &event.what {
            What::Running(process) => process.key == key && process.exe == path.to_str().unwrap(),
            _ => false,
        });
        drop(standin);
        until(&mut sensor, |event| event.what == What::Exit { process: key });
    })
    .join()
    .unwrap();
}

#[test]
fn a_flood_of_short_processes_loses_nothing_uncounted() {
    let mut sensor = ProcSensor::start().unwrap();
    for _ in 0..200 {
        standin::come_and_go();
    }
    let mut events = Vec::new();
    sensor.next(Duration::from_millis(0), &mut events).unwrap();
    let counts = sensor.counts();
    let count = |hook: &str| counts.iter().find(|count| count.hook == hook).unwrap().clone();
    assert!(count("process").seen + count("process").lost >= 600, "{counts:?}");
    assert!(count("exec").made >= 200, "{counts:?}");
    for count in counts {
        assert_eq!(count.made, count.seen + count.lost, "{count:?}");
    }
}

#[test]
fn connections_in_another_namespace_are_told_as_they_come() {
    let mut sensor = ProcSensor::start().unwrap();
    let home = folder();
    let standin = Standin::start(&exe_copy(home.path(), "remote"), Part::Apart, home.path());
    let (pid, local, remote) = standin.apart();
    let key = proc::key(pid).unwrap();
    until(&mut sensor, |event| match &event.what {
        What::Connect(flow) => flow.local == local && flow.remote == remote && flow.process == Some(key),
        _ => false,
    });
}

#[test]
fn the_sensor_tells_connections_and_their_end() {
    let mut sensor = ProcSensor::start().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote: SocketAddr = listener.local_addr().unwrap();
    let stream = TcpStream::connect(remote).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let me = proc::key(std::process::id()).unwrap();
    let (ours, theirs) = (cookie(&stream), cookie(&accepted));
    let mut told = (false, false);
    until(&mut sensor, |event| {
        match &event.what {
            What::Connect(flow) if flow.cookie == ours => {
                told.0 = flow.process == Some(me) && flow.remote == remote
            }
            What::Accept(flow) if flow.cookie == theirs => {
                told.1 = flow.process == Some(me) && flow.local == remote
            }
            _ => {}
        }
        told == (true, true)
    });
    drop((stream, accepted));
    until(&mut sensor, |event| event.what == What::Closed { cookie: ours });
}

//! The eBPF sensor against the running kernel: what it promises to see, it sees.
//!
//! Needs root, eBPF and a mounted cgroup2. Talks to itself over loopback only.
#![allow(unsafe_code, reason = "system calls that the standard library has no words for")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

mod bpf_watch;

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, FromRawFd as _},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use bpf_watch::{Watch, cookie, me, pair};
use minesweep_host::{
    Source as _,
    bpf::{self, Options},
};
use minesweep_model::{Direction, Event, FlowBytes, Origin, Protocol, What};

#[test]
fn an_exec_is_seen_with_its_path_arguments_folder_owner_parent_and_file() {
    let mut watch = Watch::start();
    let folder = fs::canonicalize(tempfile::tempdir().unwrap().keep()).unwrap();
    let seen = watch
        .run(Command::new("/bin/echo").args(["-n", "two words"]).current_dir(&folder).stdout(Stdio::null()));
    let file = fs::metadata("/bin/echo").unwrap();
    assert_eq!(seen.exe, fs::canonicalize("/bin/echo").unwrap().to_str().unwrap());
    assert_eq!(seen.argv, ["/bin/echo", "-n", "two words"]);
    assert_eq!(seen.cwd, folder.to_str().unwrap());
    assert_eq!((seen.uid, seen.parent_pid, seen.comm.as_str()), (0, std::process::id(), "echo"));
    assert_eq!(seen.file.map(|file| (file.dev, file.inode)), Some((file.dev(), file.ino())));
    assert_eq!((seen.origin, seen.inner_pid), (Origin::Disk, None));
    let child = watch.until("fork", |what| match what {
        What::Fork { parent, child } if child.pid == seen.key.pid => Some((*parent, *child)),
        _ => None,
    });
    assert_eq!(child, (me(), seen.key));
    watch.until("exit", |what| matches!(what, What::Exit { process } if *process == seen.key).then_some(()));
    fs::remove_dir(folder).unwrap();
}

#[test]
fn a_running_process_has_the_same_key_path_and_group_as_in_proc() {
    let mut watch = Watch::start();
    let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
    let seen = watch.exec(child.id());
    let read = minesweep_host::proc::read(child.id()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen.key, read.key);
    assert_eq!((seen.exe, seen.cwd, seen.file, seen.argv), (read.exe, read.cwd, read.file, read.argv));
    assert_eq!(seen.started_ms, read.started_ms);
}

#[test]
fn arguments_are_seen_up_to_four_kibibytes_and_128_words() {
    let mut watch = Watch::start();
    let long = "x".repeat(3000);
    let seen = watch.run(Command::new("/bin/true").arg(&long));
    assert_eq!(seen.argv, ["/bin/true", &long]);
    let longer = "y".repeat(9000);
    let seen = watch.run(Command::new("/bin/true").arg(&longer));
    assert_eq!(seen.argv.iter().map(|word| word.len() + 1).sum::<usize>(), 4096 + 1);
    let seen = watch.run(Command::new("/bin/true").args(vec!["w"; 400]));
    assert_eq!(seen.argv.len(), 128);
}

/// A copy of /bin/true, made by another process: a test beside this one that forks while we write would keep our file
/// open for writing, and a file that is open for writing cannot be run.
fn copy_program(path: &Path) {
    assert!(Command::new("cp").arg("/bin/true").arg(path).status().unwrap().success());
}

#[test]
fn a_program_without_a_file_is_told_from_a_deleted_one() {
    let mut watch = Watch::start();
    let program = fs::read("/bin/true").unwrap();
    // SAFETY: the name ends with NUL; the descriptor is new and ours.
    let mut memory = unsafe { File::from_raw_fd(libc::memfd_create(c"hidden".as_ptr(), libc::MFD_CLOEXEC)) };
    memory.write_all(&program).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
    let seen = watch.run(&mut Command::new(&path));
    assert_eq!((seen.origin, seen.exe.as_str()), (Origin::Memfd, "/memfd:hidden"));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone");
    copy_program(&path);
    let open = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let seen = watch.run(&mut Command::new(format!("/proc/{}/fd/{}", std::process::id(), open.as_raw_fd())));
    assert_eq!((seen.origin, seen.exe.as_str()), (Origin::Deleted, path.to_str().unwrap()));
}

#[test]
fn a_program_written_into_an_overlay_is_told_from_one_of_its_image() {
    let mut watch = Watch::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["mount", "merged"] {
        fs::create_dir(at(name)).unwrap();
    }
    let (image, drift) = thread::scope(|scope| {
        let inside = scope.spawn(|| {
            // SAFETY: takes no pointers; only this thread gets its own mounts.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
            use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            mount("none", at("mount"), "tmpfs", MountFlags::empty(), None).unwrap();
            for name in ["lower", "upper", "work"] {
                fs::create_dir(at("mount").join(name)).unwrap();
            }
            copy_program(&at("mount/lower/image"));
            let place = |name: &str| at("mount").join(name).to_str().unwrap().to_owned();
            let options = format!(
                "lowerdir={},upperdir={},workdir={}\0",
                place("lower"),
                place("upper"),
                place("work")
            );
            let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).unwrap();
            mount("none", at("merged"), "overlay", MountFlags::empty(), Some(options)).unwrap();
            copy_program(&at("merged/drift"));
            ["image", "drift"].map(|name| {
                let mut child = Command::new(at("merged").join(name)).spawn().unwrap();
                child.wait().unwrap();
                child.id()
            })
        });
        let [image, drift] = inside.join().unwrap();
        (watch.exec(image), watch.exec(drift))
    });
    assert_eq!((image.origin, image.exe.as_str()), (Origin::Disk, at("merged/image").to_str().unwrap()));
    assert_eq!(
        (drift.origin, drift.exe.as_str()),
        (Origin::OverlayUpper, at("merged/drift").to_str().unwrap())
    );
}

#[test]
fn a_process_in_a_namespace_of_its_own_has_its_inner_pid_beside() {
    let mut watch = Watch::start();
    let pid = thread::spawn(|| {
        // SAFETY: takes no pointers; only children of this thread get the new namespace.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
        let mut child = Command::new("/bin/true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    });
    let seen = watch.exec(pid.join().unwrap());
    assert_eq!(seen.inner_pid, Some(1));
}

#[test]
fn a_process_in_a_container_has_the_containers_id() {
    let mut watch = Watch::start();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let root = mounts.lines().find(|line| line.contains(" cgroup2 ")).unwrap().split(' ').nth(1).unwrap();
    let id = "5a".repeat(32);
    let parent = format!("{root}/sensor-test-{}", std::process::id());
    let group = format!("{parent}/docker-{id}.scope");
    fs::create_dir_all(&group).unwrap();
    let mut command = Command::new("/bin/true");
    let file = File::options().write(true).open(format!("{group}/cgroup.procs")).unwrap();
    // SAFETY: between fork and exec only write(2) is called, on a descriptor that is open.
    unsafe {
        command.pre_exec(move || match libc::write(file.as_raw_fd(), c"0".as_ptr().cast(), 1) {
            1 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let mut child = command.spawn().unwrap();
    // Not yet waited for: its group is there while the record is read.
    let seen = watch.exec(child.id());
    child.wait().unwrap();
    fs::remove_dir(&group).unwrap();
    fs::remove_dir(&parent).unwrap();
    assert_eq!(seen.cgroup, group.strip_prefix(root).unwrap());
    let container = seen.container.unwrap();
    assert_eq!((container.id, container.runtime), (id, "docker".to_owned()));
}

#[test]
fn a_connection_is_seen_at_both_ends_with_its_process_and_its_first_bytes() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut watch = Watch::start();
        let (mut client, mut server) = pair(address);
        let ours = cookie(&client);
        client.write_all(br#"{"id":1,"method":"login"}"#).unwrap();
        let mut heard = [0; 25];
        server.read_exact(&mut heard).unwrap();
        server.write_all(&[b'r'; 9000]).unwrap();

        let flow = watch.until("connect", |what| match what {
            What::Connect(flow) if flow.cookie == ours => Some(flow.clone()),
            _ => None,
        });
        assert_eq!(flow.process, Some(me()));
        assert_eq!((flow.local, flow.remote), (client.local_addr().unwrap(), client.peer_addr().unwrap()));
        let theirs = cookie(&server);
        let flow = watch.until("accept", |what| match what {
            What::Accept(flow) if flow.cookie == theirs => Some(flow.clone()),
            _ => None,
        });
        assert_eq!(flow.process, Some(me()));
        assert_eq!((flow.local, flow.remote), (client.peer_addr().unwrap(), client.local_addr().unwrap()));

        let (said, parts) = watch.said(ours, Direction::Out, 25);
        assert_eq!(said, br#"{"id":1,"method":"login"}"#);
        assert_eq!(parts[0].process, Some(me()));
        assert_eq!(
            (parts[0].local, parts[0].remote),
            (client.local_addr().unwrap(), client.peer_addr().unwrap())
        );
        assert_eq!(watch.said(theirs, Direction::In, 25).0, said);
        assert_eq!(watch.said(ours, Direction::In, 9000).0, [b'r'; 9000]);
        assert_eq!(watch.said(theirs, Direction::Out, 9000).0, [b'r'; 9000]);
        drop((client, server));
        watch.until("end", |what| matches!(what, What::Closed { cookie } if *cookie == ours).then_some(()));
    }
}

#[test]
fn a_login_split_into_single_bytes_arrives_whole() {
    let mut watch = Watch::start();
    let (mut client, mut server) = pair("127.0.0.1:0");
    let login = br#"{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"wallet","pass":"x"}}"#;
    for byte in login {
        client.write_all(&[*byte]).unwrap();
        server.read_exact(&mut [0]).unwrap();
    }
    let (said, parts) = watch.said(cookie(&client), Direction::Out, login.len());
    assert_eq!(said, login);
    assert_eq!(parts.len(), login.len(), "one record a segment");
    assert!(parts.is_sorted_by_key(|part| part.sequence));
}

#[test]
fn no_more_than_the_budget_is_copied_and_the_cut_is_told() {
    let mut watch = Watch::start_with(Options { byte_budget: 10_000, ..Options::default() });
    let (mut client, mut server) = pair("127.0.0.1:0");
    let reader = thread::spawn(move || server.read_to_end(&mut Vec::new()).unwrap());
    client.write_all(&vec![b'z'; 60_000]).unwrap();
    let ours = cookie(&client);
    drop(client);
    assert_eq!(reader.join().unwrap(), 60_000);
    watch.until("end", |what| matches!(what, What::Closed { cookie } if *cookie == ours).then_some(()));
    let parts: Vec<&FlowBytes> = watch
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Bytes(bytes) if bytes.cookie == ours => Some(bytes),
            _ => None,
        })
        .collect();
    assert_eq!(parts.iter().map(|part| part.bytes.0.len()).sum::<usize>(), 10_000);
    assert!(parts.iter().any(|part| part.cut > 0));
}

#[test]
fn a_question_to_a_name_server_is_seen_with_its_process() {
    let mut watch = Watch::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"\x12\x34question", "127.0.0.1:53").unwrap();
    let ours = cookie(&socket);
    let seen = watch.until("question", |what| match what {
        What::Bytes(bytes) if bytes.cookie == ours => Some(bytes.clone()),
        _ => None,
    });
    assert_eq!((seen.protocol, seen.bytes.0.as_slice()), (Protocol::Udp, &b"\x12\x34question"[..]));
    assert_eq!((seen.process, seen.remote), (Some(me()), SocketAddr::from(([127, 0, 0, 1], 53))));
}

#[test]
fn a_datagram_socket_that_connects_is_seen_with_its_process() {
    for (local, remote) in [("127.0.0.1:0", "127.0.0.1:9"), ("[::1]:0", "[::1]:9")] {
        let mut watch = Watch::start();
        let socket = UdpSocket::bind(local).unwrap();
        socket.connect(remote).unwrap();
        let ours = cookie(&socket);
        let flow = watch.until("connect", |what| match what {
            What::Connect(flow) if flow.cookie == ours => Some(flow.clone()),
            _ => None,
        });
        assert_eq!((flow.process, flow.protocol), (Some(me()), Protocol::Udp));
        assert_eq!(flow.remote, remote.parse().unwrap());
    }
}

#[test]
fn a_connection_older_than_the_sensor_has_its_process_and_its_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"before").unwrap();
    let mut watch = Watch::start();
    let (ours, theirs) = (cookie(&client), cookie(&server));
    let flow = watch.until("the old connection", |what| match what {
        What::Connect(flow) if flow.cookie == ours => Some(flow.clone()),
        _ => None,
    });
    assert_eq!((flow.process, flow.remote), (Some(me()), client.peer_addr().unwrap()));
    watch.until("its other end", |what| {
        matches!(what, What::Accept(flow) if flow.cookie == theirs).then_some(())
    });
    client.write_all(b"{after}").unwrap();
    let (said, parts) = watch.said(ours, Direction::Out, 7);
    assert_eq!((said.as_slice(), parts[0].process), (&b"{after}"[..], Some(me())));
}

/// Turns the rounding mode as RandomX does, and lets others run.
fn turn_modes(stop: &AtomicBool) {
    let mut mode = 0u32;
    while !stop.load(Ordering::Relaxed) {
        mode = (mode + 1) & 3;
        let mxcsr = 0x1f80u32 | (mode << 13);
        // SAFETY: sets the rounding mode of this thread only; masks and flags stay as at its start, no float is used.
        unsafe {
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly));
            let pause = libc::timespec { tv_sec: 0, tv_nsec: 200_000 };
            libc::nanosleep(&raw const pause, std::ptr::null_mut());
        }
    }
}

#[test]
fn a_process_that_turns_its_rounding_mode_is_reported_and_one_that_calculates_is_not() {
    let mut watch = Watch::start();
    let stop = AtomicBool::new(false);
    let mut plain = Command::new("/usr/bin/awk").arg("BEGIN{for(;;)x+=1/3}").spawn().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| turn_modes(&stop));
        let mut total = [0u32; 4];
        watch.until("three modes", |what| match what {
            What::Rounding(rounding) if rounding.process == me() => {
                total.iter_mut().zip(rounding.samples).for_each(|(total, more)| *total += more);
                let all: u32 = total.iter().sum();
                let modes = total.iter().filter(|&&count| count * 20 >= all).count();
                (all >= 32 && modes >= 3).then_some(())
            }
            _ => None,
        });
        stop.store(true, Ordering::Relaxed);
    });
    plain.kill().unwrap();
    plain.wait().unwrap();
    let is_plain =
        |event: &Event| matches!(&event.what, What::Rounding(seen) if seen.process.pid == plain.id());
    assert!(!watch.events.iter().any(is_plain));
}

#[test]
fn maps_of_a_miners_size_are_reported_and_others_are_not() {
    let mut watch = Watch::start();
    let map = |length: usize, fd: i32| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new map that nobody touches, removed at once.
        unsafe {
            let at = libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, fd, 0);
            assert_ne!(at, libc::MAP_FAILED);
            assert_eq!(libc::munmap(at, length), 0);
        }
    };
    map(300 << 20, -1);
    map(2_181_038_080, 0);
    let seen = watch.until("the map", |what| match what {
        What::BigMap(map) if map.process == me() => Some(map.clone()),
        _ => None,
    });
    assert_eq!((seen.length_bytes, seen.fd, seen.is_huge), (2_181_038_080, 0, false));
}

#[test]
fn a_huge_page_setting_opened_for_writing_is_reported() {
    let mut watch = Watch::start();
    let folder = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(folder.path()).unwrap().join("nr_hugepages");
    fs::write(&path, "128").unwrap();
    let seen = watch.until("the setting", |what| match what {
        What::SettingWrite(write) if write.process == me() => Some(write.path.clone()),
        _ => None,
    });
    assert_eq!(seen, path.to_str().unwrap());
}

#[test]
fn without_a_cgroup_tree_the_rest_is_seen_and_what_is_not_is_named() {
    let mut watch =
        Watch::start_with(Options { cgroup_root: Some("/nonexistent".into()), ..Options::default() });
    let blind: Vec<String> = watch.sensor.blind().into_iter().map(|blind| blind.what).collect();
    assert_eq!(blind, ["connect", "dns-process", "sender", "bytes"]);
    watch.run(&mut Command::new("/bin/true"));
}

#[test]
fn the_kernels_list_of_tasks_has_this_process_and_kernel_threads() {
    let tasks = bpf::iterate_tasks().unwrap();
    let own = tasks.iter().find(|task| task.pid == std::process::id()).unwrap();
    assert_eq!((own.start_ticks, own.is_kernel), (me().start_ticks, false));
    assert_eq!(own.parent_pid, std::os::unix::process::parent_id());
    let kernel = tasks.iter().find(|task| task.comm == "kthreadd").unwrap();
    assert!(kernel.is_kernel);
}

/// A socket that another process opened, and that a child got on its standard output.
fn said_by_child(speaks_first: bool) {
    let mut watch = Watch::start();
    let (mut client, mut server) = pair("127.0.0.1:0");
    if speaks_first {
        client.write_all(b"opened by me\n").unwrap();
    }
    let its = client.try_clone().unwrap();
    let mut child = Command::new("/bin/echo")
        .arg("spoken by another")
        .stdout(Stdio::from(std::os::fd::OwnedFd::from(its)))
        .spawn()
        .unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    server.write_all(b"heard\n").unwrap();
    let cookie = cookie(&client);
    let key = watch.exec(pid).key;
    let who = watch.until("its words", |what| match what {
        What::Bytes(bytes) if bytes.cookie == cookie && bytes.bytes.0 == b"spoken by another\n" => {
            Some(bytes.process)
        }
        _ => None,
    });
    assert_eq!(who, Some(key), "who speaks");
    let who = watch.until("the answer", |what| match what {
        What::Bytes(bytes) if bytes.cookie == cookie && bytes.direction == Direction::In => {
            Some(bytes.process)
        }
        _ => None,
    });
    assert_eq!(who, Some(key), "who is answered");
}

#[test]
fn words_on_an_inherited_socket_are_those_of_the_process_that_sends_them() {
    said_by_child(false);
    said_by_child(true);
}

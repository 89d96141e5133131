//! The second process: a holder of a responder that will be killed, or a client that talks to a pool.

use std::{
    io::{self, BufRead, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    path::Path,
};

use minesweep_model::{Action, ProcessKey};
use minesweep_respond::{
    EntryState, Intent, Inverse, Journal, Note, Options, Responder, Target, journal_folder,
};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

use crate::common::{self, described, freeze, plan};

#[test]
#[ignore = "started by the other tests"]
fn part() {
    let Ok(arguments) = std::env::var("MINESWEEP_PART") else { return };
    let arguments: Vec<&str> = arguments.split(' ').collect();
    match arguments[..] {
        ["hold", folder, pids] => hold(Path::new(folder), pids),
        ["crash", folder, pid, after] => crash(Path::new(folder), pid.parse().unwrap(), after),
        ["tight", folder, pid] => tight(Path::new(folder), pid.parse().unwrap()),
        ["headless"] => headless(),
        ["traced"] => traced(),
        ["client"] => client(),
        ["network", listen] => network(listen),
        ["thread-network", listen] => {
            common::enter_own_network();
            network(listen);
        }
        _ => panic!("{arguments:?}"),
    }
}

fn say(line: &str) {
    println!("@@ {line}");
    io::stdout().flush().unwrap();
}

fn commands() -> impl Iterator<Item = String> {
    io::stdin().lock().lines().map(Result::unwrap)
}

/// Freezes, and looks after it when told.
fn hold(folder: &Path, pids: &str) {
    let mut responder = Responder::start(&Options { data_dir: folder.to_owned() }).unwrap();
    let steps = pids.split(',').map(|pid| freeze(&described(pid.parse().unwrap()))).collect();
    let outcomes = responder.carry_out(&plan(steps), 1);
    let states: Vec<_> = outcomes.iter().map(|outcome| format!("{:?}", outcome.state)).collect();
    say(&states.join(","));
    for command in commands() {
        match command.as_str() {
            "tick" => {
                let tick = responder.tick(2).unwrap();
                say(&format!("{} {} {}", tick.frozen, tick.stopped_again.len(), tick.let_go.len()));
            }
            "close" => {
                responder.close(3).unwrap();
                say("closed");
                return;
            }
            "abort" => std::process::abort(),
            other => panic!("{other}"),
        }
    }
}

/// Freezes with two free file numbers: enough to hold the process, not enough to tie it.
fn tight(folder: &Path, pid: u32) {
    let mut responder = Responder::start(&Options { data_dir: folder.to_owned() }).unwrap();
    let target = described(pid);
    let mut limit = getrlimit(Resource::Nofile);
    // Fills the holes, so that the last one is above all others.
    let full: Vec<_> = (0..64).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let free = full.iter().map(|file| file.as_raw_fd()).max().unwrap() + 1;
    limit.current = Some(u64::try_from(free).unwrap() + 2);
    setrlimit(Resource::Nofile, limit).unwrap();
    let outcome = responder.carry_out(&plan(vec![freeze(&target)]), 1).remove(0);
    say(&format!("{:?} {:?}", outcome.state, outcome.action));
}

/// Does by hand what the responder does, without the leash, and dies after the named step.
fn crash(folder: &Path, pid: u32, after: &str) {
    let ourselves = described(std::process::id()).key;
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut journal = Journal::open(&journal_folder(folder), boot_id.trim(), ourselves).unwrap();
    let process = described(pid);
    let intent = |key: ProcessKey| Intent {
        action: Action::Freeze { process: key },
        inverse: Inverse::Action(Action::Thaw { process: key }),
        target: Target { key, exe: process.exe.clone(), file: process.file },
    };
    let id = journal.plan(1, "inc-1", &[intent(process.key)]).unwrap()[0];
    let note = |state| [Note { id, state, text: String::new() }];
    if after != "planned" {
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::STOP).unwrap();
    }
    if after == "done" || after == "undoing" {
        journal.note(2, &note(EntryState::Done)).unwrap();
    }
    if after == "undoing" {
        journal.note(3, &note(EntryState::Undoing)).unwrap();
    }
    say("ready");
    std::process::abort();
}

/// A process whose first thread has ended and whose others go on. Answers "alive" to each line.
fn headless() {
    extern "C" fn end_thread(_: i32) {
        // SAFETY: ends the calling thread, which is the first one and waits in the harness for this one.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    let pid = i32::try_from(std::process::id()).unwrap();
    // SAFETY: the handler makes one system call and does not return; the signal goes to the first thread.
    unsafe {
        libc::signal(libc::SIGUSR1, end_thread as extern "C" fn(i32) as usize);
        libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGUSR1);
    }
    while common::state(std::process::id()) != 'Z' {
        std::thread::yield_now();
    }
    say("ready");
    for _ in commands() {
        say("alive");
    }
}

/// A busy child whose tracer swallows every stop.
fn traced() {
    // SAFETY: the child only spins, so it needs nothing that another thread may have held at the fork; it is ended by
    // the tracer's end (PTRACE_O_EXITKILL). The calls take numbers and one local status.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            loop {
                std::hint::spin_loop();
            }
        }
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, child, 0, libc::PTRACE_O_EXITKILL), 0);
        say(&child.to_string());
        let mut status = 0;
        while libc::waitpid(child, &raw mut status, libc::__WALL) == child && libc::WIFSTOPPED(status) {
            libc::ptrace(libc::PTRACE_CONT, child, 0, 0);
        }
        say("ended");
    }
}

/// Connects and sends when told; says its socket's cookie.
fn client() {
    let mut stream = None;
    for command in commands() {
        match command.split_once(' ') {
            Some(("connect", address)) => {
                let connected = TcpStream::connect(address).unwrap();
                say(&cookie(&connected).to_string());
                stream = Some(connected);
            }
            Some(("send", text)) => {
                let sent = stream.as_mut().unwrap().write_all(text.as_bytes());
                say(&format!("{:?}", sent.map_err(|failed| failed.kind())));
            }
            _ => panic!("{command}"),
        }
    }
}

/// Client and server of one connection.
fn network(listen: &str) {
    common::put_loopback_up();
    let server = TcpListener::bind(listen).unwrap();
    let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    accepted.set_read_timeout(Some(common::PATIENCE)).unwrap();
    say(&cookie(&client).to_string());
    let mut commands = commands();
    assert_eq!(commands.next().unwrap(), "send");
    say(&format!("{:?}", client.write_all(b"share").map_err(|failed| failed.kind())));
    assert_eq!(commands.next().unwrap(), "read");
    let mut bytes = Vec::new();
    let read = accepted.read_to_end(&mut bytes).map_err(|failed| failed.kind());
    say(&format!("{} {read:?}", bytes.len()));
}

fn cookie(stream: &TcpStream) -> u64 {
    rustix::net::sockopt::socket_cookie(stream).unwrap()
}

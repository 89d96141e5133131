//! What the whole-line tests share: the binary under test, the scenario scripts, and lines with a deadline.
//!
//! These tests need root and a kernel that loads eBPF. Where that is missing they fail and say so; they never skip.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, MutexGuard,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_minesweep");

/// One whole-line test at a time: they load the processor and watch the whole machine.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let root = Command::new("id").arg("-u").output().unwrap().stdout;
    assert_eq!(
        root, b"0\n",
        "this test needs root: it loads the sensor into the kernel; run make test as root"
    );
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A child with its input held open and its output read line by line. Killed at the latest when dropped.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    found: RefCell<Vec<String>>,
}

impl Running {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let errors = lines_of(child.stderr.take().unwrap());
        let input = child.stdin.take();
        Self { child, input, lines, errors, found: RefCell::default() }
    }

    /// Starts a script of tests/scenarios.
    pub fn script(name: &str, args: &[&str]) -> Self {
        Self::start(Command::new("python3").arg(root().join("tests/scenarios").join(name)).args(args))
    }

    /// Starts `minesweep watch --json` and waits until it sees.
    pub fn watch(args: &[&str]) -> Self {
        let running = Self::start(Command::new(BINARY).args(["watch", "--json", "--lang", "en"]).args(args));
        running.error(|line| line.starts_with("watching "));
        running
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of output.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(30)).expect("a line of output within 30 s")
    }

    /// The first line of output that fits.
    pub fn output(&self, fits: impl Fn(&str) -> bool) -> String {
        first(&self.lines, fits)
    }

    /// The first line on stderr that fits.
    pub fn error(&self, fits: impl Fn(&str) -> bool) -> String {
        first(&self.errors, fits)
    }

    /// The first JSON line that fits, within `limit`; `None` when it does not come.
    pub fn find(&self, limit: Duration, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let until = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.found.borrow_mut().push(line.clone());
                    let value: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
                    if fits(&value) {
                        return Some(value);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the output ended; {}", self.errors_so_far()),
            }
        }
    }

    /// What it wrote to stderr since the last look.
    pub fn errors_so_far(&self) -> String {
        self.errors.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// Writes to its input.
    pub fn say(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Closes its input, which ends the scripts, and gives the rest of the output.
    pub fn end(mut self) -> Vec<String> {
        self.input = None;
        self.wait()
    }

    /// SIGTERM, then the rest of the output.
    pub fn terminate(mut self) -> Vec<String> {
        signal(self.pid(), "TERM");
        self.wait()
    }

    /// SIGTERM, then every line since the start.
    pub fn terminate_for_all(self) -> Vec<String> {
        let mut all = self.found.take();
        all.extend(self.terminate());
        all
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The exit code, once it has ended.
    pub fn code(mut self) -> i32 {
        self.input = None;
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    fn wait(&mut self) -> Vec<String> {
        let rest = self.lines.iter().collect();
        self.child.wait().unwrap();
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.input = None;
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

fn first(lines: &Receiver<String>, fits: impl Fn(&str) -> bool) -> String {
    let until = Instant::now() + Duration::from_secs(30);
    let mut seen = String::new();
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) if fits(&line) => return line,
            Ok(line) => seen.push_str(&format!("{line}\n")),
            Err(error) => panic!("no such line ({error}); seen:\n{seen}"),
        }
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Copies a program by another process: a test beside this one that forks while we write would keep our file open
/// for writing, and a file that is open for writing cannot be run.
pub fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success(), "no {}", from.display());
}

/// Sends a signal to a process of the test.
pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}

/// The kernel's state letter of a process; `None` when it has gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The rule of a detection finding.
pub fn rule(line: &Value) -> Option<&str> {
    (line["class_uid"] == 2004).then(|| line["finding_info"]["analytic"]["uid"].as_str())?
}

/// The pid of a finding's subject.
pub fn pid(line: &Value) -> Option<u64> {
    line["evidences"][0]["process"]["pid"].as_u64()
}

/// A detection of this rule about this process.
pub fn is(line: &Value, name: &str, of: u32) -> bool {
    rule(line) == Some(name) && pid(line) == Some(u64::from(of))
}

/// Python with the real RandomX (PyPI), which `make test` has made.
pub fn python_with_randomx() -> PathBuf {
    let python = root().join("target/randomx-venv/bin/python3");
    let has =
        Command::new(&python).args(["-c", "import randomx"]).status().is_ok_and(|status| status.success());
    assert!(has, "{} has no randomx; run make randomx", python.display());
    python
}

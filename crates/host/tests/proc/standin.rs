//! Harmless stand-ins: this test binary, started again under another name with a part to play.

use std::{
    ffi::CString,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{PoisonError, RwLock},
};

/// A program that is being written cannot be run, and a fork in another thread keeps the file open for writing until
/// its exec. So programs are written when nobody forks.
static FORKS: RwLock<()> = RwLock::new(());

/// The word that a carrier keeps in its heap. Put together at run time, so it stands in no file.
pub const HEAP_WORD: &str = "drow-eht-si-siht";

/// A part to play.
pub enum Part {
    /// Wait for the end.
    Wait,
    /// Take this name.
    Named(String),
    /// Use this much CPU time, milliseconds, then tell how much it was.
    Busy(u64),
    /// The same in a child that ends.
    BusyChild(u64),
    /// Keep a word in the heap; the path is only an argument.
    Heap(PathBuf),
    /// Go to a pid and network namespace of its own and talk to itself there.
    Apart,
}

/// A running stand-in; ends when dropped.
pub struct Standin {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    said: String,
}

impl Standin {
    pub fn start(exe: &Path, part: Part, cwd: &Path) -> Self {
        let mut command = Command::new(exe);
        command.args(["--exact", "standin::play", "--ignored", "--nocapture", "--test-threads=1"]);
        let part = match part {
            Part::Wait => "wait".to_owned(),
            Part::Named(name) => format!("named {name}"),
            Part::Busy(ms) => format!("busy {ms}"),
            Part::BusyChild(ms) => format!("busychild {ms}"),
            Part::Apart => "apart ".to_owned(),
            Part::Heap(path) => {
                command.arg("--skip").arg(path);
                "heap".to_owned()
            }
        };
        command.env("MINESWEEP_STANDIN", part).current_dir(cwd);
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut standin = Self { child, input, output, said: String::new() };
        standin.said = standin.await_ready();
        standin
    }

    fn await_ready(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the stand-in ended before it was ready");
            if let Some((_, said)) = line.split_once("ready:") {
                return said.trim().to_owned();
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The number that it said.
    pub fn number(&self) -> u64 {
        self.said.parse().unwrap()
    }

    /// Pid of the inner process as we see it, and both ends of its connection.
    pub fn apart(&self) -> (u32, SocketAddr, SocketAddr) {
        let mut words = self.said.split(' ');
        let (local, remote) =
            (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
        let children =
            fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap_or_default();
        let all = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let others =
            all.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
        let child =
            others.chain([children]).find_map(|text| text.split_whitespace().next().map(str::to_owned));
        (child.unwrap().parse().unwrap(), local, remote)
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().unwrap();
    }
}

fn spawn(command: &mut Command) -> Child {
    let _forking = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// A process that ends at once.
pub fn come_and_go() {
    assert!(spawn(&mut Command::new("/bin/true")).wait().unwrap().success());
}

/// A folder that goes away.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// This binary under another name.
pub fn exe_copy(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    copy_exe(&path);
    path
}

/// This binary at another path.
pub fn copy_exe(path: &Path) {
    let _writing = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    fs::copy(std::env::current_exe().unwrap(), path).unwrap();
}

/// Mounts of this thread are its own from here on.
pub fn private_mounts() {
    // SAFETY: takes a number; only this thread's view of mounts changes.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    let root = c"/";
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: `root` is a C string; the other pointers may be null for this call.
    let answer =
        unsafe { libc::mount(std::ptr::null(), root.as_ptr(), std::ptr::null(), flags, std::ptr::null()) };
    assert_eq!(answer, 0);
}

/// Mounts a folder over another.
pub fn bind(from: &[u8], over: &[u8]) {
    let (from, over) = (CString::new(from).unwrap(), CString::new(over).unwrap());
    // SAFETY: both are C strings that outlive the call; the other pointers may be null for a bind mount.
    let answer = unsafe {
        libc::mount(from.as_ptr(), over.as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null())
    };
    assert_eq!(answer, 0);
}

/// Mounts `lower` and `upper` of a folder as an overlay at its `merged`.
pub fn overlay(folder: &Path) {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let options = format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
    let (merged, options) = (CString::new(at("merged")).unwrap(), CString::new(options).unwrap());
    let kind = c"overlay";
    // SAFETY: all are C strings that outlive the call.
    let answer =
        unsafe { libc::mount(kind.as_ptr(), merged.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// The network of this thread is its own from here on.
pub fn private_network() {
    // SAFETY: takes a number; only this thread's view of the network changes.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
}

/// The stand-in's side. Does nothing when it is run as a test.
#[test]
#[ignore = "a part of other tests"]
fn play() {
    let Ok(part) = std::env::var("MINESWEEP_STANDIN") else { return };
    let (part, value) = part.split_once(' ').unwrap_or((&part, ""));
    match part {
        "wait" => ready(""),
        "named" => {
            fs::write("/proc/self/comm", value).unwrap();
            ready("");
        }
        "busy" => ready(&busy(value.parse().unwrap()).to_string()),
        "busychild" => ready(&busy_child(value.parse().unwrap()).to_string()),
        "heap" => heap(),
        "apart" => apart(),
        "inner" => inner(),
        other => panic!("{other}"),
    }
}

fn ready(said: &str) {
    println!("ready: {said}");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn used_ms(who: libc::c_int) -> u64 {
    // SAFETY: all zero is a value of this plain record.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` outlives the call.
    assert_eq!(unsafe { libc::getrusage(who, &raw mut usage) }, 0);
    let ms = |time: libc::timeval| time.tv_sec as u64 * 1000 + time.tv_usec as u64 / 1000;
    ms(usage.ru_utime) + ms(usage.ru_stime)
}

fn busy(wanted_ms: u64) -> u64 {
    let mut sum = 0_u64;
    while used_ms(libc::RUSAGE_SELF) < wanted_ms {
        for number in 0..100_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
        }
    }
    used_ms(libc::RUSAGE_SELF)
}

fn busy_child(wanted_ms: u64) -> u64 {
    let mut child =
        again(&format!("busy {wanted_ms}")).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    child.wait().unwrap();
    used_ms(libc::RUSAGE_CHILDREN)
}

fn again(part: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", "standin::play", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("MINESWEEP_STANDIN", part);
    command
}

fn heap() {
    let word: String = HEAP_WORD.chars().collect();
    let kept = std::hint::black_box(word);
    // A large map of which only one page is touched: a look must not make the others.
    let mut large = Vec::<u8>::with_capacity(300 << 20);
    large.push(1);
    ready("");
    drop((kept, large));
}

fn apart() {
    // SAFETY: takes a number; the namespaces are for this thread and for children that it makes.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNET) }, 0);
    let mut child = again("inner").spawn().unwrap();
    child.wait().unwrap();
}

fn inner() {
    loopback_up();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _accepted = listener.accept().unwrap();
    ready(&format!("{} {}", stream.local_addr().unwrap(), stream.peer_addr().unwrap()));
}

fn loopback_up() {
    // SAFETY: all zero is a value of this plain record.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: takes numbers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    assert!(socket >= 0);
    // SAFETY: `request` is the record that this request takes and outlives the call.
    assert_eq!(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request) }, 0);
    // SAFETY: the descriptor came from `socket` above and nothing else owns it.
    unsafe { libc::close(socket) };
}

//! A sensor that is read until it has told what a test waits for, and sockets to talk over.

use std::{
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    process::Command,
    time::{Duration, Instant},
};

use minesweep_host::{
    Source,
    bpf::{BpfSensor, Options},
};
use minesweep_model::{Direction, Event, FlowBytes, Process, ProcessKey, What};

/// Longest wait for what must come; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A started sensor and all that it told.
pub struct Watch {
    /// The sensor.
    pub sensor: BpfSensor,
    /// What it told, oldest first.
    pub events: Vec<Event>,
}

impl Watch {
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    pub fn start_with(options: Options) -> Self {
        let sensor = match BpfSensor::start(options) {
            Ok(sensor) => sensor,
            Err(cause) => panic!("these tests need root, eBPF and kernel type information: {cause:?}"),
        };
        Self { sensor, events: Vec::new() }
    }

    /// Reads until `find` finds something in an event.
    pub fn until<T>(&mut self, what: &str, mut find: impl FnMut(&What) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut looked_at = 0;
        loop {
            for event in self.events.iter().skip(looked_at) {
                if let Some(found) = find(&event.what) {
                    return found;
                }
            }
            looked_at = self.events.len();
            assert!(Instant::now() < deadline, "never saw {what}; blind: {:?}", self.sensor.blind());
            self.sensor.next(Duration::from_millis(200), &mut self.events).unwrap();
        }
    }

    pub fn exec(&mut self, pid: u32) -> Process {
        self.until("exec", |what| match what {
            What::Exec(process) if process.key.pid == pid => Some((**process).clone()),
            _ => None,
        })
    }

    /// Runs a program to its end and gives what was seen of its exec.
    pub fn run(&mut self, command: &mut Command) -> Process {
        let mut child = command.spawn().unwrap();
        let pid = child.id();
        assert!(child.wait().unwrap().success());
        self.exec(pid)
    }

    /// Bytes of a flow and direction until there are `length`, put in order by their sequence numbers.
    pub fn said(&mut self, cookie: u64, direction: Direction, length: usize) -> (Vec<u8>, Vec<FlowBytes>) {
        let mut parts: Vec<FlowBytes> = Vec::new();
        self.until("bytes", |what| match what {
            What::Bytes(bytes) if bytes.cookie == cookie && bytes.direction == direction => {
                parts.push(bytes.clone());
                let have: usize = parts.iter().map(|part| part.bytes.0.len()).sum();
                (have >= length).then_some(())
            }
            _ => None,
        });
        let first = parts.iter().map(|part| part.sequence).min().unwrap();
        let mut stream = vec![0; length];
        for part in &parts {
            let at = usize::try_from(part.sequence.wrapping_sub(first)).unwrap();
            stream[at..at + part.bytes.0.len()].copy_from_slice(&part.bytes.0);
        }
        (stream, parts)
    }
}

pub fn me() -> ProcessKey {
    minesweep_host::proc::key(std::process::id()).unwrap()
}

pub fn cookie(socket: &impl AsRawFd) -> u64 {
    let (mut cookie, mut length) = (0u64, 8u32);
    // SAFETY: both pointers are to locals of the sizes stated.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!(failed, 0);
    cookie
}

pub fn pair(address: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    (client, server)
}

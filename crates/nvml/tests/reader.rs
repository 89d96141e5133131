//! The reader as it is shipped (`make build` leaves it in dist/): what it says, to whom, and how it refuses.
//!
//! There is no NVIDIA card here. `stand_in.c` is built as `libnvidia-ml.so.1` and found through `LD_LIBRARY_PATH`; so
//! loading, calling and telling are real, and the figures are the stand-in's. How a real driver answers is not tested.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed, and says where")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use minesweep_model::{FORMAT, GpuRound, ROUND_BYTES, ROUND_SOCKET, RoundUse};
use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketType, connect, recv, socket};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn binary() -> PathBuf {
    let at = root().join("dist/minesweep-nvml");
    assert!(at.exists(), "{} is missing; run make nvml", at.display());
    at
}

/// The folder of a stand-in library.
fn stand_in() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in.c");
    let built = Command::new("gcc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .arg(folder.path().join("libnvidia-ml.so.1"))
        .arg(source)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    folder
}

/// A reader that runs with the stand-in.
struct Reader {
    child: Child,
    library: tempfile::TempDir,
    runtime: tempfile::TempDir,
}

impl Reader {
    fn start(variables: &[(&str, &str)]) -> Self {
        let (library, runtime) = (stand_in(), tempfile::tempdir().unwrap());
        let child = start(library.path(), runtime.path(), variables);
        Self { child, library, runtime }
    }

    fn socket(&self) -> PathBuf {
        self.runtime.path().join(ROUND_SOCKET)
    }

    fn call(&self) -> OwnedFd {
        let peer = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        connect(&peer, &SocketAddrUnix::new(self.socket()).unwrap()).unwrap();
        peer
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Starts a reader and waits until it listens.
fn start(library: &Path, runtime: &Path, variables: &[(&str, &str)]) -> Child {
    let mut child = Command::new(binary())
        .arg("--runtime-dir")
        .arg(runtime)
        .env("LD_LIBRARY_PATH", library)
        .env("LANG", "C")
        .envs(variables.iter().copied())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("reading NVIDIA's library"), "{line}");
    child
}

fn heard(peer: &OwnedFd) -> GpuRound {
    let mut buffer = vec![0; ROUND_BYTES];
    let (length, _) = recv(peer, &mut *buffer, RecvFlags::empty()).unwrap();
    serde_json::from_slice(buffer.get(..length).unwrap()).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_round_tells_who_used_which_card_and_how_much() {
    let reader = Reader::start(&[("NVML_STANDIN_PID", "4711")]);
    let peer = reader.call();
    let hello = heard(&peer);
    let empty = GpuRound { format: FORMAT, devices: 1, ..GpuRound::default() };
    assert_eq!(hello, empty, "the first word is not the devices alone");
    let round = heard(&peer);
    assert!(round.over_ms > 0);
    let used = RoundUse { pid: 4711, device: "nvidia 00000000:01:00.0".to_owned(), busy_percent: 93 };
    assert_eq!(round.uses, [used], "an idle process is told, or a busy one is not");
    assert_eq!((round.unread, round.lost), (0, 0));
}

#[test]
fn a_card_that_does_not_tell_its_processes_is_counted() {
    let reader = Reader::start(&[("NVML_STANDIN_DEAF", "1")]);
    let hello = heard(&reader.call());
    assert_eq!((hello.devices, hello.unread), (2, 1));
}

#[test]
fn the_socket_is_for_root_only_and_for_one_reader() {
    let reader = Reader::start(&[]);
    let mode = fs::metadata(reader.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Command::new(binary())
        .arg("--runtime-dir")
        .arg(reader.runtime.path())
        .env("LD_LIBRARY_PATH", reader.library.path())
        .output()
        .unwrap();
    assert!(refused(&second).contains("another minesweep-nvml"), "{second:?}");
    assert_eq!(heard(&reader.call()).devices, 1, "the first reader lost its socket");
}

#[test]
fn a_reader_takes_the_place_of_one_that_was_killed() {
    let mut reader = Reader::start(&[]);
    reader.child.kill().unwrap();
    reader.child.wait().unwrap();
    reader.child = start(reader.library.path(), reader.runtime.path(), &[]);
    assert_eq!(heard(&reader.call()).devices, 1);
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let (library, runtime) = (stand_in(), tempfile::tempdir().unwrap());
    fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let output = Command::new(binary())
        .arg("--runtime-dir")
        .arg(runtime.path())
        .env("LD_LIBRARY_PATH", library.path())
        .output()
        .unwrap();
    let text = refused(&output);
    assert!(text.contains(runtime.path().to_str().unwrap()) && text.contains("--runtime-dir"), "{text}");
}

#[test]
fn without_the_library_it_says_what_to_install() {
    for (lang, word) in [("en", "install"), ("zh", "请安装")] {
        let text = refused(&Command::new(binary()).args(["--lang", lang]).output().unwrap());
        assert!(text.contains("libnvidia-ml.so.1") && text.contains(word), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn a_person_who_is_not_root_and_a_wrong_word_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("minesweep-nvml");
    fs::copy(binary(), &copy).unwrap();
    let output = Command::new(&copy).uid(65534).gid(65534).env("LANG", "C").output().unwrap();
    assert!(refused(&output).contains("root"), "{output:?}");
    let output = Command::new(&copy).arg("--runtime-dri").output().unwrap();
    assert!(refused(&output).contains("--runtime-dri"), "{output:?}");
}

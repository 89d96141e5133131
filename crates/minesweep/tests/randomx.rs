//! Real RandomX (Debian's monerod on its own chain, PyPI's randomx) is found by what the processor does, however it
//! hides and whatever it is called.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

use serde_json::Value;
use support::{BINARY, Running, alone, is, python_with_randomx, root};

/// monerod first fills its data set for a minute (no rounding, no hash), more on a loaded machine.
const LIMIT: Duration = Duration::from_secs(240);

/// A wallet that is none.
const WALLET: &str =
    "4TestWalletNotRealTestWalletNotRealTestWalletNotRealTestWalletNotRealTestWalletNotRealTestWalletNo";

#[test]
fn a_chain_mined_by_monerod_under_an_innocent_name_is_randomx() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let exe = dir.path().join("kworker-u8");
    support::copy_program("/usr/bin/monerod".as_ref(), &exe);
    let address =
        "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A";
    let watch = Running::watch(&[]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let node = Running::start(
        Command::new(&exe)
            .args([
                "--regtest",
                "--offline",
                "--fixed-difficulty",
                "100000000",
                "--non-interactive",
                "--no-igd",
            ])
            .args(["--p2p-bind-port", "0", "--rpc-bind-port", &port.to_string(), "--no-zmq", "--data-dir"])
            .arg(dir.path().join("chain")),
    );
    node.output(|line| line.contains("RPC server started ok"));
    let body = format!(
        "{{\"do_background_mining\":false,\"ignore_battery\":true,\"miner_address\":\"{address}\",\"threads_count\":1}}"
    );
    let mut rpc = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(rpc, "POST /start_mining HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = [0; 12];
    rpc.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let seen = watch.find(LIMIT, |line| is(line, "mining.randomx", node.pid()));
    let why = seen.expect("monerod mines RandomX");
    assert!(why["severity_id"].as_u64().unwrap() >= 4, "{why}");
    node.kill();
    watch.terminate();
}

/// Runs `scan --json` and gives its exit code and lines.
fn scan() -> (i32, Vec<Value>) {
    let output = Command::new(BINARY).args(["scan", "--json", "--lang", "en"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let values = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), values)
}

fn incident_of(lines: &[Value], pid: u32) -> &Value {
    lines
        .iter()
        .find(|line| {
            let pids = line["unmapped"]["mining"]["pids"].as_array();
            line["class_uid"] == 2005 && pids.is_some_and(|pids| pids.contains(&pid.into()))
        })
        .unwrap_or_else(|| panic!("no incident of {pid} in {lines:#?}"))
}

/// A copy of Python with RandomX under another name, so that it can be deleted while it runs.
fn disguised(dir: &Path) -> Command {
    let python = python_with_randomx();
    let exe = dir.join("dbus-daemon");
    support::copy_program(&fs::canonicalize(&python).unwrap(), &exe);
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
    let packages = Command::new(&python)
        .args(["-c", "import randomx, os; print(os.path.dirname(randomx.__file__))"])
        .output()
        .unwrap();
    let mut command = Command::new(&exe);
    command
        .env("PYTHONPATH", String::from_utf8(packages.stdout).unwrap().trim())
        .env("PYTHONHOME", home_of(&python))
        .env("SCENARIO_WALLET", WALLET)
        .arg(root().join("tests/scenarios/compute.py"));
    command
}

fn home_of(python: &Path) -> String {
    let home = Command::new(python).args(["-c", "import sys; print(sys.base_prefix)"]).output().unwrap();
    String::from_utf8(home.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_scan_finds_a_miner_that_was_there_before_though_its_file_is_deleted() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let pool = Running::script("pool.py", &[]);
    let port = pool.line();
    let miner = Running::start(disguised(dir.path()).args(["--pool", &port]));
    assert_eq!(miner.line(), "mining");
    fs::remove_file(dir.path().join("dbus-daemon")).unwrap();
    let (code, lines) = scan();
    let incident = incident_of(&lines, miner.pid());
    let mining = &incident["unmapped"]["mining"];
    assert_eq!(mining["pool"], format!("127.0.0.1:{port}"), "{incident}");
    assert_eq!(mining["wallet"], WALLET, "{incident}");
    let exe = &lines.iter().find(|line| is(line, "mining.randomx", miner.pid())).unwrap()["evidences"][0];
    assert!(exe["process"]["file"]["path"].as_str().unwrap().ends_with("/dbus-daemon"), "{exe}");
    assert_eq!(code, 1);
    miner.end();
    pool.end();
}

#[test]
fn a_scan_finds_a_miner_in_another_pid_and_network_namespace() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let inner = disguised(dir.path());
    let mut outer = Command::new("unshare");
    outer.args(["--pid", "--net", "--fork", "--kill-child", "--mount-proc"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        outer.env(name, value.unwrap());
    }
    let miner = Running::start(&mut outer);
    assert_eq!(miner.line(), "mining");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", miner.pid())).unwrap();
    let child: u32 = children.split_whitespace().next().unwrap().parse().unwrap();
    let (code, lines) = scan();
    incident_of(&lines, child);
    assert_eq!(code, 1);
    miner.end();
}

#[test]
fn a_hostile_preload_neither_stops_the_scan_nor_hides_the_miner() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("libhide.so");
    let file = dir.path().join("pid");
    let built = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(format!("-DHIDE_FILE=\"{}\"", file.display()))
        .arg(root().join("tests/scenarios/hide.c"))
        .status()
        .unwrap();
    assert!(built.success());
    let miner = Running::start(&mut disguised(dir.path()));
    assert_eq!(miner.line(), "mining");
    fs::write(&file, miner.pid().to_string()).unwrap();
    let script = format!(
        "set -e; mount -t tmpfs none /mnt; cp -a /etc /mnt/; echo {} > /mnt/etc/ld.so.preload; \
         mount --bind /mnt/etc /etc; ps -e -o pid= | tr -d ' ' | grep -cx {} || true; exec {BINARY} scan --json --lang en",
        library.display(),
        miner.pid()
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (shown_by_ps, lines) = text.split_once('\n').unwrap();
    assert_eq!(
        shown_by_ps,
        "0",
        "the preload library does not hide: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    incident_of(&lines, miner.pid());
    miner.end();
}

#[test]
fn the_binary_is_static() {
    let output = Command::new("ldd").arg(BINARY).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("statically linked") || text.contains("not a dynamic executable"), "{text}");
}

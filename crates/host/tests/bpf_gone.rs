//! A sensor that is killed leaves nothing in the kernel: no program, no hook. Needs root and eBPF.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use libbpf_rs::Program;
use minesweep_host::bpf::{BpfSensor, Options};

/// Reached only when the test fails; the kernel frees programs some milliseconds after their last descriptor.
const PATIENCE: Duration = Duration::from_secs(20);

/// The value of `field` in every descriptor of a process that has it.
fn ids(pid: u32, field: &str) -> Vec<u32> {
    let folder = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let texts = folder.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    let find = |text: String| text.lines().find_map(|line| line.strip_prefix(field)?.trim().parse().ok());
    texts.filter_map(find).collect()
}

#[test]
#[ignore = "the victim of the test below, in a process of its own"]
fn victim() {
    let _sensor = BpfSensor::start(Options::default()).unwrap();
    println!("\nready");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_sensor_that_is_killed_leaves_no_program_and_no_hook() {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "victim", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"), "the sensor did not start");
    let programs = ids(victim.id(), "prog_id:");
    let links = ids(victim.id(), "link_id:");
    assert!(programs.len() >= 14 && links.len() >= 14, "{programs:?} {links:?}");

    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let is_left = || {
        programs.iter().any(|&id| Program::fd_from_id(id).is_ok())
            || links.iter().any(|&id| link_is_there(id))
    };
    while is_left() {
        assert!(Instant::now() < deadline, "left in the kernel: programs {programs:?}, links {links:?}");
        thread::yield_now();
    }
}

fn link_is_there(id: u32) -> bool {
    libbpf_rs::query::LinkInfoIter::default().any(|link| link.id == id)
}

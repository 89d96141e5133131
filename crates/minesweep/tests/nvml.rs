//! Use of NVIDIA's cards comes into the line through `minesweep-nvml`, and is named as blind without it.
//!
//! There is no NVIDIA card here: `/dev/nvidiactl` is an empty file in a mount namespace of the test's own, and the
//! library is the stand-in of crates/nvml/tests. Both programs are the real ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use support::{BINARY, Running, alone, is, root};

/// A machine on which NVIDIA's driver seems to be loaded: a /dev of its own with the one file, then the program.
const WITH_CARD: &str = "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; \
                         : > /dev/nvidiactl; exec \"$@\"";

fn with_card(runtime: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", WITH_CARD, "sh", BINARY]).args(args);
    command.args(["--lang", "en", "--runtime-dir"]).arg(runtime);
    command
}

fn reader(library: &Path, runtime: &Path, busy: u32) -> Running {
    let program: PathBuf = root().join("dist/minesweep-nvml");
    assert!(program.exists(), "{} is missing; run make nvml", program.display());
    let mut command = Command::new(program);
    command.arg("--runtime-dir").arg(runtime).env("LD_LIBRARY_PATH", library);
    let reader = Running::start(command.env("NVML_STANDIN_PID", busy.to_string()).env("LANG", "C"));
    reader.error(|line| line.starts_with("reading NVIDIA's library"));
    reader
}

fn stand_in(folder: &Path) {
    let source = root().join("crates/nvml/tests/stand_in.c");
    let library = folder.join("libnvidia-ml.so.1");
    let built =
        Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).status().unwrap();
    assert!(built.success());
}

#[test]
fn a_busy_card_is_a_load_with_its_process_and_blind_when_nobody_tells() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (runtime, settings, recording) =
        (dir.path().join("run"), dir.path().join("minesweep.toml"), dir.path().join("run.jsonl"));
    stand_in(dir.path());
    fs::write(&settings, "[[sustained]]\nmetric = \"gpu\"\npercent = 80\nminutes = 0\naction = \"alert\"\n")
        .unwrap();
    let busy = Running::start(Command::new("sleep").arg("600"));
    let mut command = with_card(&runtime, &["watch", "--json"]);
    let watch = Running::start(command.arg("--config").arg(&settings).arg("--record").arg(&recording));
    watch.error(|line| line.starts_with("blind: gpu (nvidia): ") && line.contains("minesweep-nvml"));

    let first = reader(dir.path(), &runtime, busy.pid());
    let seen = watch.find(Duration::from_secs(30), |line| is(line, "mining.sustained-load", busy.pid()));
    let seen = seen.expect("the busy card was not told");
    assert!(seen.to_string().contains("nvidia 00000000:01:00.0"), "{seen}");
    first.kill();
    watch.error(|line| line.contains("what is blind has changed") && line.contains("gpu (nvidia)"));
    watch.terminate();
    busy.kill();

    let text = fs::read_to_string(&recording).unwrap();
    let blind: Vec<bool> = text
        .lines()
        .filter(|line| line.contains("\"sensor\":"))
        .filter(|line| !line.contains("minesweep_recording"))
        .map(|line| line.contains("gpu (nvidia)"))
        .collect();
    assert_eq!(blind, [true, false, true], "the recording does not say when the card was blind");
}

#[test]
fn the_doctor_names_the_reader_that_is_missing_and_is_content_when_it_runs() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let runtime = dir.path().join("run");
    stand_in(dir.path());
    let doctor = || {
        let output = with_card(&runtime, &["doctor"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = doctor();
    assert!(text.contains("gpu (nvidia)") && text.contains("run minesweep-nvml as root"), "{text}");
    let reader = reader(dir.path(), &runtime, 1);
    let text = doctor();
    assert!(!text.contains("gpu (nvidia)"), "{text}");
    reader.kill();
}

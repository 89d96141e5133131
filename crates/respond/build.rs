//! Compiles the BPF program. Needs a clang with the bpf target (Debian: clang-14 or newer).

use std::{env, path::PathBuf, process::Command};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-env-changed=CLANG");
    let object = PathBuf::from(env::var("OUT_DIR")?).join("cut.bpf.o");
    libbpf_cargo::SkeletonBuilder::new()
        .source("bpf/cut.bpf.c")
        .clang(clang()?)
        .clang_args([
            // The headers of the libbpf that is linked.
            format!("-I{}", env::var("DEP_BPF_INCLUDE")?),
            // asm/types.h lies in the folder of the architecture, which the bpf target does not look into.
            format!("-I/usr/include/{}-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?),
        ])
        .obj(object)
        .build()?;
    Ok(())
}

/// `$CLANG`, or the first that answers.
fn clang() -> Result<String, String> {
    let answers =
        |name: &String| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    let names = [
        "clang", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15",
        "clang-14",
    ];
    env::var("CLANG")
        .ok()
        .into_iter()
        .chain(names.map(str::to_owned))
        .find(answers)
        .ok_or_else(|| "no clang found: install it (apt install clang-14) or name it in CLANG".to_owned())
}

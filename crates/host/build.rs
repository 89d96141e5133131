//! Compiles the eBPF programs with clang, so that they are part of the binary. Compiles only; loads nothing.

use std::{env, error::Error, path::PathBuf};

use libbpf_cargo::SkeletonBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for name in ["sensor", "look"] {
        SkeletonBuilder::new()
            .source(format!("bpf/{name}.bpf.c"))
            .obj(out.join(format!("{name}.bpf.o")))
            .clang(clang())
            // Debian keeps asm/types.h in the folder of the architecture, where clang -target bpf does not look.
            .clang_args(["-Wall", "-Werror", "-mcpu=v3", "-I/usr/include/x86_64-linux-gnu"])
            .build()
            .map_err(|cause| {
                format!("cannot compile bpf/{name}.bpf.c; install clang and linux-libc-dev: {cause:#}")
            })?;
    }
    Ok(())
}

/// `CLANG`, else the first of the usual names in `PATH`; 14 is the oldest that is tested.
fn clang() -> PathBuf {
    if let Some(set) = env::var_os("CLANG") {
        return set.into();
    }
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    ["clang", "clang-19", "clang-16", "clang-15", "clang-14"]
        .into_iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
        .unwrap_or_else(|| "clang".into())
}

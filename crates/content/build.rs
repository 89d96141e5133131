//! Packs `content/` into one compressed blob for embedding.
//!
//! Compressed, not as plain text: the rules quote what miners carry, and a plain copy would make every file
//! scanner, ours included, take this binary for a miner. Sorted by path, so that the build is reproducible.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// Best size; the blob is packed once a build and unpacked in a millisecond.
const LEVEL: u8 = 9;

fn main() -> io::Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../../content");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort();
    let mut blob = Vec::new();
    for (path, bytes) in &files {
        for part in [path.as_bytes(), bytes] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            blob.extend_from_slice(&length.to_le_bytes());
            blob.extend_from_slice(part);
        }
    }
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&blob, LEVEL);
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("content.z"), packed)
}

fn collect(root: &Path, at: &Path, into: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(at)? {
        let path = entry?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            collect(root, &path, into)?;
        } else {
            let name = path.strip_prefix(root).map_err(io::Error::other)?;
            into.push((name.to_string_lossy().into_owned(), fs::read(&path)?));
        }
    }
    Ok(())
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

//! Keeps the shape of the project: crates use only lower layers, files stay readable.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and says where"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Layer of each crate (DESIGN: a crate uses only lower layers). A crate that is not here fails the test.
const LAYERS: &[(&str, u8)] = &[
    ("minesweep", 3),
    ("minesweep-agent", 2),
    ("minesweep-server", 2),
    ("minesweep-content", 1),
    ("minesweep-detect", 1),
    ("minesweep-host", 1),
    ("minesweep-nvml", 1),
    ("minesweep-respond", 1),
    ("minesweep-traffic", 1),
    ("minesweep-model", 0),
];

/// Crates that never touch the machine by themselves: no clock, no file, no socket, no thread.
const PURE: &[&str] = &["model", "detect", "traffic"];

/// Longest file without its tests, lines.
const FILE_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            out.push(path);
        }
    }
}

fn source_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (name, _) in LAYERS {
        let dir = name.strip_prefix("minesweep-").unwrap_or(name);
        rust_files(&root().join("crates").join(dir).join("src"), &mut files);
    }
    files
}

#[test]
fn a_crate_uses_only_lower_layers() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        let layer = *layers.get(name).unwrap_or_else(|| panic!("{name} has no layer"));
        for dependency in manifest["dependencies"].as_table().unwrap().keys() {
            if let Some(below) = layers.get(dependency.as_str()) {
                assert!(*below < layer, "{name} (layer {layer}) uses {dependency} (layer {below})");
            }
        }
    }
}

/// Dependencies that are linked or read by a build script and never named in code.
const NEVER_NAMED: &[&str] = &["libbpf-sys"];

#[test]
fn each_dependency_is_used() {
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        let mut files = Vec::new();
        rust_files(&folder.join("src"), &mut files);
        let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        for dependency in manifest["dependencies"].as_table().unwrap().keys() {
            let is_used = code.contains(&dependency.replace('-', "_"));
            let is_exempt = NEVER_NAMED.contains(&dependency.as_str());
            assert!(is_used || is_exempt, "{} does not use {dependency}; take it out", folder.display());
        }
    }
}

#[test]
fn the_server_cannot_touch_a_machine() {
    let manifest = fs::read_to_string(root().join("crates/server/Cargo.toml")).unwrap();
    for forbidden in ["minesweep-host", "minesweep-respond", "minesweep-traffic"] {
        assert!(!manifest.contains(forbidden), "server uses {forbidden}");
    }
}

#[test]
fn pure_crates_have_no_clock_no_file_no_socket_and_no_thread() {
    let forbidden = [
        "SystemTime::now",
        "Instant::now",
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "thread::spawn",
        "Command::new",
    ];
    for name in PURE {
        let mut files = Vec::new();
        rust_files(&root().join("crates").join(name).join("src"), &mut files);
        for file in files {
            let text = without_tests(&fs::read_to_string(&file).unwrap());
            for word in forbidden {
                assert!(!text.contains(word), "{} uses {word}", file.display());
            }
        }
    }
}

#[test]
fn no_child_process_is_started_by_agent_sensors_or_response() {
    for name in ["host", "respond", "agent", "detect", "server"] {
        let mut files = Vec::new();
        rust_files(&root().join("crates").join(name).join("src"), &mut files);
        for file in files {
            let text = without_tests(&fs::read_to_string(&file).unwrap());
            assert!(!text.contains("Command::new"), "{} starts a child process", file.display());
        }
    }
}

#[test]
fn unsafe_stands_only_in_host_and_respond() {
    for file in source_files() {
        let path = file.display().to_string();
        if path.contains("/host/src/") || path.contains("/respond/src/") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("unsafe {") && !text.contains("allow(unsafe_code"), "{path} has unsafe code");
    }
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    for file in source_files() {
        let text = fs::read_to_string(&file).unwrap();
        let lines = without_tests(&text).lines().count();
        assert!(lines <= FILE_LINES, "{} has {lines} lines without tests; split it", file.display());
    }
}

#[test]
fn each_file_says_what_it_is_for() {
    for file in source_files() {
        let text = fs::read_to_string(&file).unwrap();
        let head = text.lines().take(8).any(|line| line.starts_with("//!"));
        assert!(head, "{} does not begin with what it is for", file.display());
    }
}

/// Documents below a folder, without what is built or installed.
fn documents(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_ours = !["target", "node_modules", ".git", "dist"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && is_ours {
            documents(&path, out);
        } else if path.extension().is_some_and(|e| e == "md") {
            out.push(path);
        }
    }
}

#[test]
fn a_link_in_a_document_leads_somewhere() {
    let mut files = Vec::new();
    documents(&root(), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_here = link.is_empty() || link.contains("://") || file.with_file_name(link).exists();
            assert!(is_here, "{} links to {link}, which is not there", file.display());
        }
    }
}

#[test]
fn decisions_are_numbered_without_a_gap() {
    let names = fs::read_dir(root().join("docs/adr")).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for (number, name) in (1..).zip(&names) {
        assert!(name.starts_with(&format!("{number:04}-")), "{name} is number {number}");
    }
}

#[test]
fn no_file_names_a_package_registry() {
    let hosts = ["registry.npmjs", "static.crates", "index.crates", "files.pythonhosted", "deb.debian"];
    for name in
        ["Cargo.lock", "console/package-lock.json", "console/.npmrc", "Makefile", ".cargo/config.toml"]
    {
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        for host in hosts {
            // Cargo.lock names the registry index by its git address, which is an identifier and not a host we choose.
            assert!(!text.contains(host), "{name} names {host}");
        }
    }
}

#[test]
fn what_is_linked_is_under_a_permissive_licence() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"])
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or(""));
        let is_allowed = |term: &str| LICENCES.contains(&term.trim_matches(|c| "() ".contains(c)));
        let is_fine = licence
            .replace(" AND ", ";")
            .replace('/', " OR ")
            .split(';')
            .all(|part| part.split(" OR ").any(is_allowed));
        assert!(is_fine, "{name} is under {licence:?}");
    }
}

/// Licences that may be linked. MPL-2.0 and libbpf's LGPL-2.1 OR BSD-2-Clause only unmodified.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unicode-3.0",
    "CC0-1.0",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "BSL-1.0",
    "Unlicense",
];

/// The text up to the first `#[cfg(test)]` module.
fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()
}

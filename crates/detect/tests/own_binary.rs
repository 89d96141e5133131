//! Our own program and the tools of a plain system are no miners to our file rules, though ours quotes what miners say.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files has failed")]

use std::{fs, path::Path};

use minesweep_detect::FileRules;

fn rules() -> FileRules {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/yara/miners.yar");
    FileRules::compile([("yara/miners.yar", fs::read_to_string(path).unwrap().as_str())]).unwrap()
}

#[test]
fn a_program_with_this_engine_inside_does_not_match() {
    let own = fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(rules().scan(&own), [] as [&str; 0]);
}

#[test]
fn shells_libraries_and_our_own_rules_do_not_match() {
    let rules = rules();
    let content = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content");
    let mut paths =
        vec!["/bin/sh".into(), "/bin/bash".into(), "/usr/bin/openssl".into(), "/usr/bin/python3".into()];
    for folder in ["yara", "mining", "intel"] {
        paths.extend(fs::read_dir(content.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    for path in paths {
        // A machine without one of the tools has one benign sample less.
        if let Ok(bytes) = fs::read(&path) {
            assert_eq!(rules.scan(&bytes), [] as [&str; 0], "{}", path.display());
        }
    }
}

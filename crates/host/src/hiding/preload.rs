//! Libraries that the dynamic linker is told to load before all others: for the machine, and in the environment of a
//! process.
//!
//! An environment holds secrets of people who did nothing. Only the values of two names are kept of it; the rest is
//! dropped where it was read.

use std::io;

use minesweep_model::{HidingFact, Owner};

use super::{FACTS_LIMIT, Found, names::Seen, packages::real, read_file};
use crate::proc::{lossy, root::Folder};

/// The linker's own file.
const FILE: &str = "/etc/ld.so.preload";
/// Most bytes of it.
const FILE_BYTES: usize = 64 << 10;
/// Most bytes of an environment: the kernel's limit of one value.
const ENVIRONMENT_BYTES: usize = 128 << 10;
/// Most libraries of one list.
const LIBRARIES: usize = 16;
/// Where the linker looks for a name without a folder.
const FOLDERS: [&str; 8] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];

/// The libraries of the linker's file.
pub(super) fn of_machine() -> io::Result<Vec<Found>> {
    let text = read_file(FILE.as_bytes(), FILE_BYTES)?.unwrap_or_default();
    Ok(libraries(&text).map(|library| found(FILE, library)).collect())
}

/// The libraries in the environment of processes whose names are new.
pub(super) fn of_processes(seen: &[Seen]) -> Vec<Found> {
    let news = seen.iter().filter(|one| one.is_news && one.has_program && one.is_in_our_tree);
    let all = news.flat_map(|one| {
        let text = Folder::open(one.key.pid).and_then(|folder| folder.read("environ", ENVIRONMENT_BYTES));
        let text = text.unwrap_or_default();
        let of: Vec<Found> = text
            .split(|&b| b == 0)
            .filter_map(|entry| entry.strip_prefix(b"LD_PRELOAD=").or(entry.strip_prefix(b"LD_AUDIT=")))
            .flat_map(libraries)
            .map(|library| Found { process: Some(one.key), ..found("environment", library) })
            .collect();
        of
    });
    all.take(FACTS_LIMIT).collect()
}

/// The libraries of a list: blanks and colons part them, and `#` begins a remark.
fn libraries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n')
        .flat_map(|line| line.split(|&b| b == b'#').next())
        .flat_map(|line| line.split(|&b| b == b':' || b.is_ascii_whitespace()))
        .filter(|word| !word.is_empty())
        .take(LIBRARIES)
}

fn found(by: &str, library: &[u8]) -> Found {
    let file = place(library);
    let fact = HidingFact::Preload {
        by: by.to_owned(),
        library: lossy(library),
        owner: Owner::Unknown,
        exists: file.is_some(),
    };
    Found { process: None, fact, file }
}

/// The file that the linker takes for a name, with all links followed.
fn place(library: &[u8]) -> Option<Vec<u8>> {
    if library.starts_with(b"/") {
        let text = lossy(library);
        let forms = ["lib/x86_64-linux-gnu", "lib64", "lib"]
            .map(|lib| text.replace("$LIB", lib).replace("${LIB}", lib));
        return forms.iter().find_map(|form| real(form.as_bytes()).ok());
    }
    if library.contains(&b'/') {
        return None;
    }
    FOLDERS.iter().find_map(|folder| real(format!("{folder}/{}", lossy(library)).as_bytes()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_parted_by_blanks_and_colons_and_has_remarks() {
        let all: Vec<_> = libraries(b"/a.so /b.so:/c.so\n# /d.so\n  /e.so # x\n").collect();
        assert_eq!(all, [&b"/a.so"[..], b"/b.so", b"/c.so", b"/e.so"]);
        assert_eq!(libraries(&b"/a ".repeat(100)).count(), LIBRARIES);
    }
}

//! Kernel modules: the lists of the kernel compared, and the files that they come from.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use minesweep_model::{HidingFact, Owner};
use rustix::fs::{Mode, OFlags, openat};

use super::{Found, pieces};
use crate::{
    facts,
    proc::{lossy, root},
};

/// Most bytes of the list of modules: 8000 modules.
const LIST_BYTES: usize = 1 << 20;
/// Most modules.
const MODULES_LIMIT: usize = 8192;
/// Most entries below /lib/modules: a kernel of a distribution has 5000.
const FILES_LIMIT: usize = 65_536;
/// Bytes of the symbols that are read.
const SYMBOLS_BYTES: usize = 256 << 20;

/// What marks the kernel, by the letter of a module.
const TAINTS: [(u8, u64); 4] = [(b'P', 1), (b'F', 1 << 1), (b'O', 1 << 12), (b'E', 1 << 13)];

const LIST: &str = "/proc/modules";
const FOLDERS: &str = "/sys/module";
const SYMBOLS: &str = "/proc/kallsyms";

/// A module of the kernel's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// It is neither being loaded nor unloaded.
    pub is_live: bool,
    /// How it marks the kernel, as in `/proc/sys/kernel/tainted`.
    pub taints: u64,
}

/// Hidden modules, modules without a file, and marks that no module explains.
pub(super) fn find() -> Vec<Found> {
    let Some(list) = list() else { return Vec::new() };
    let mut found: Vec<Found> = differences(&list).into_iter().map(Found::new).collect();
    found.extend(taint(&list).map(Found::new));
    found.extend(module_files(&list));
    found
}

/// `None` on a kernel without modules.
fn list() -> Option<Vec<Loaded>> {
    root::read("modules", LIST_BYTES).ok().map(|text| loaded(&text))
}

/// The modules of `/proc/modules`: name, size, uses, users, state, address and perhaps marks in parentheses.
pub fn loaded(text: &[u8]) -> Vec<Loaded> {
    let text = String::from_utf8_lossy(text);
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let name = fields.next()?.to_owned();
        let is_live = fields.nth(3)? == "Live";
        let marks = fields.nth(1).unwrap_or_default();
        let taints = TAINTS.iter().filter(|(letter, _)| marks.as_bytes().contains(letter));
        Some(Loaded { name, is_live, taints: taints.fold(0, |all, (_, bit)| all | bit) })
    };
    text.lines().filter_map(line).take(MODULES_LIMIT).collect()
}

/// Modules that not all lists name, in two readings: one may be loaded or unloaded between.
fn differences(list: &[Loaded]) -> Vec<HidingFact> {
    let first = compare(list);
    if first.is_empty() {
        return Vec::new();
    }
    let again = self::list().map(|list| compare(&list)).unwrap_or_default();
    first.into_iter().filter(|one| again.contains(one)).collect()
}

fn compare(list: &[Loaded]) -> Vec<HidingFact> {
    let listed: BTreeSet<&str> = list.iter().map(|one| one.name.as_str()).collect();
    let with_folder = folders();
    let with_symbols = symbols_of_kernel().unwrap_or_default();
    let mut names: BTreeSet<&str> = with_symbols.iter().map(String::as_str).collect();
    names.extend(with_folder.iter().flatten().map(String::as_str));
    // A list may name one that is only coming: it has no folder yet.
    names.extend(list.iter().filter(|one| one.is_live).map(|one| one.name.as_str()));
    names
        .into_iter()
        .filter_map(|name| difference(name, &listed, with_folder.as_ref(), &with_symbols))
        .collect()
}

/// Symbols may be switched off for a module, so they only bear witness for it.
fn difference(
    name: &str,
    listed: &BTreeSet<&str>,
    with_folder: Option<&BTreeSet<String>>,
    with_symbols: &BTreeSet<String>,
) -> Option<HidingFact> {
    let (mut seen_in, mut missing_in) = (Vec::new(), Vec::new());
    let mut note =
        |list: &str, is_there| if is_there { &mut seen_in } else { &mut missing_in }.push(list.to_owned());
    note(LIST, listed.contains(name));
    if let Some(folders) = with_folder {
        note(FOLDERS, folders.contains(name));
    }
    if with_symbols.contains(name) {
        note(SYMBOLS, true);
    }
    (!missing_in.is_empty()).then(|| HidingFact::Module { name: name.to_owned(), seen_in, missing_in })
}

/// Folders of loaded modules; what is built in has no state. `None` where /sys is not mounted.
fn folders() -> Option<BTreeSet<String>> {
    let entries = std::fs::read_dir(FOLDERS).ok()?;
    let is_live = |path: &PathBuf| {
        std::fs::read_to_string(path.join("initstate")).is_ok_and(|state| state.trim() == "live")
    };
    let paths = entries.take(MODULES_LIMIT).flatten().map(|entry| entry.path()).filter(is_live);
    Some(paths.filter_map(|path| Some(lossy(path.file_name()?.as_bytes()))).collect())
}

/// Names of modules that have symbols. Read piece by piece: the whole is 5 to 15 MB.
fn symbols_of_kernel() -> io::Result<BTreeSet<String>> {
    let file = openat(root::root()?, "kallsyms", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut names = BTreeSet::new();
    pieces::lines(&file, SYMBOLS_BYTES, &mut |piece| symbols(piece, &mut names))?;
    Ok(names)
}

/// The names in brackets at the ends of lines. What the kernel makes itself at run time is no module.
pub fn symbols(text: &[u8], names: &mut BTreeSet<String>) {
    for line in text.split(|&b| b == b'\n') {
        let Some(line) = line.strip_suffix(b"]") else { continue };
        let Some(open) = line.iter().rposition(|&b| b == b'[') else { continue };
        let name = line.get(open + 1..).unwrap_or_default();
        let is_made = name == b"bpf" || name.starts_with(b"__builtin");
        if !is_made && !name.is_empty() && names.len() < MODULES_LIMIT {
            // Few names on many lines: no new text for one that is known.
            let text = lossy(name);
            if !names.contains(&text) {
                names.insert(text);
            }
        }
    }
}

/// Marks that no loaded module explains.
fn taint(list: &[Loaded]) -> Option<HidingFact> {
    let text = root::read("sys/kernel/tainted", 32).ok()?;
    let all: u64 = lossy(&text).trim().parse().ok()?;
    let by_modules = TAINTS.iter().fold(0, |all, (_, bit)| all | bit);
    let explained = list.iter().fold(0, |all, one| all | one.taints);
    let bits = all & by_modules & !explained;
    (bits != 0).then_some(HidingFact::Taint { bits })
}

/// The files of loaded modules. Nothing where there are no files of this kernel at all: a container, or an upgrade
/// that removed the running kernel.
fn module_files(list: &[Loaded]) -> Vec<Found> {
    let folder = PathBuf::from(format!("/lib/modules/{}", facts::kernel()));
    let wanted: BTreeSet<&str> = list.iter().filter(|one| one.is_live).map(|one| one.name.as_str()).collect();
    let Some(files) = files_below(folder, &wanted) else { return Vec::new() };
    wanted
        .into_iter()
        .map(|name| {
            let path = files.get(name);
            let fact = HidingFact::ModuleFile {
                name: name.to_owned(),
                path: path.map(|path| lossy(path)),
                owner: Owner::Unknown,
            };
            Found { process: None, fact, file: path.cloned() }
        })
        .collect()
}

/// The file of each wanted module; `None` when there is no module file at all, or too many entries to say.
fn files_below(folder: PathBuf, wanted: &BTreeSet<&str>) -> Option<BTreeMap<String, Vec<u8>>> {
    let (mut files, mut waiting, mut entries, mut has_any) = (BTreeMap::new(), vec![folder], 0_usize, false);
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries == FILES_LIMIT {
                return None;
            }
            // `build` and `source` are links out of here.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                Ok(_file) => {
                    let Some(name) = module_name(&entry.file_name()) else { continue };
                    has_any = true;
                    if wanted.contains(name.as_str()) {
                        files.insert(name, entry.path().into_os_string().into_encoded_bytes());
                    }
                }
                Err(_gone) => {}
            }
        }
    }
    has_any.then_some(files)
}

/// The name that the kernel gives to a module file: `nf-x.ko.xz` is `nf_x`.
fn module_name(file: &OsStr) -> Option<String> {
    let text = file.to_str()?;
    let (stem, rest) = text.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".gz" | ".zst").then(|| stem.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_with_their_state_and_marks() {
        let text = b"zfs 4218880 6 - Live 0xffffffffc0a00000 (POE)\nnvme 57344 2 - Loading 0x0\nx 1 0 a,b, Live 0x0\nbad\n";
        let all = loaded(text);
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].is_live, all[0].taints), (true, 1 | 1 << 12 | 1 << 13));
        assert_eq!((all[1].is_live, all[1].taints), (false, 0));
    }

    #[test]
    fn a_module_that_left_one_list_differs_and_symbols_alone_do_not_accuse() {
        let listed = BTreeSet::from(["a"]);
        let folders = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let symbols = BTreeSet::from(["c".to_owned()]);
        assert_eq!(difference("a", &listed, Some(&folders), &symbols), None);
        assert_eq!(difference("a", &listed, None, &symbols), None, "without /sys the list is alone");
        let Some(HidingFact::Module { missing_in, .. }) = difference("b", &listed, Some(&folders), &symbols)
        else {
            panic!("b is hidden");
        };
        assert_eq!(missing_in, [LIST]);
        let Some(HidingFact::Module { seen_in, .. }) = difference("c", &listed, Some(&folders), &symbols)
        else {
            panic!("c is hidden");
        };
        assert_eq!(seen_in, [SYMBOLS]);
    }

    #[test]
    fn symbols_of_modules_are_told_from_those_of_the_kernel() {
        let mut names = BTreeSet::new();
        symbols(
            b"0 t a\n0 t b\t[zfs]\n0 t c [bpf]\n0 t d\t[__builtin__ftrace]\n0 t e\t[]\n0 t f]\n",
            &mut names,
        );
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["zfs"]);
    }

    #[test]
    fn a_module_file_is_named_as_the_kernel_names_it() {
        assert_eq!(module_name(OsStr::new("nf-x.ko.xz")).unwrap(), "nf_x");
        assert_eq!(module_name(OsStr::new("a.ko")).unwrap(), "a");
        assert_eq!(module_name(OsStr::new("a.ko.txt")), None);
    }
}

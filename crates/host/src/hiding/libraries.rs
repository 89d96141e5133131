//! Libraries without a package that many processes have loaded.

use std::collections::{BTreeSet, HashMap};

use minesweep_model::{HidingFact, Owner};

use super::{FACTS_LIMIT, Found, names::Seen, packages::Packages};
use crate::proc::{lossy, root::Folder};

/// Most bytes of the maps of one process: 16,000 maps.
const MAPS_BYTES: usize = 2 << 20;
/// Most libraries that are counted.
const LIBRARIES_LIMIT: usize = 8192;

/// Libraries that no package owns, in more than a tenth of the processes; fewer say nothing.
pub(super) fn find(seen: &[Seen], packages: &mut Packages) -> Vec<Found> {
    let mut counts: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut of = 0_u32;
    for one in seen.iter().filter(|one| one.is_in_our_tree) {
        let Ok(text) = Folder::open(one.key.pid).and_then(|folder| folder.read("maps", MAPS_BYTES)) else {
            continue;
        };
        let libraries: BTreeSet<&[u8]> = text.split(|&b| b == b'\n').filter_map(library).collect();
        if libraries.is_empty() {
            continue;
        }
        of = of.saturating_add(1);
        for library in libraries {
            if let Some(count) = counts.get_mut(library) {
                *count = count.saturating_add(1);
            } else if counts.len() < LIBRARIES_LIMIT {
                counts.insert(library.to_vec(), 1);
            }
        }
    }
    counts.retain(|_, count| u64::from(*count) * 10 > u64::from(of));
    packages.learn(counts.keys().map(Vec::as_slice));
    let mut found: Vec<Found> = counts
        .iter()
        .filter(|(library, _)| packages.owner(library) == Owner::Nobody)
        .map(|(library, &processes)| {
            Found::new(HidingFact::Mapped { library: lossy(library), processes, of })
        })
        .take(FACTS_LIMIT)
        .collect();
    found.sort_by_key(|one| format!("{:?}", one.fact));
    found
}

/// The library of a line of `/proc/PID/maps`: code of a file with `.so` in its name that still has that name. After an
/// upgrade old libraries stay loaded without a name, and their packages no longer list them.
fn library(line: &[u8]) -> Option<&[u8]> {
    let mut fields = line.splitn(6, |&b| b == b' ');
    let permissions = fields.nth(1)?;
    let path = fields.nth(3)?.trim_ascii_start();
    let is_code = permissions.get(2) == Some(&b'x');
    let name = path.rsplit(|&b| b == b'/').next()?;
    let is_library = name.windows(3).any(|part| part == b".so");
    (is_code && path.starts_with(b"/") && is_library && !path.ends_with(b" (deleted)")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_a_library_counts_and_nothing_else() {
        let line = |rest: &str| library(format!("7f0-7f1 {rest}").as_bytes()).map(lossy);
        assert_eq!(line("r-xp 00001000 fe:00 42    /usr/lib/lib a.so.6").unwrap(), "/usr/lib/lib a.so.6");
        for other in [
            "r--p 00001000 fe:00 42    /usr/lib/liba.so.6",
            "r-xp 00001000 fe:00 42    /usr/lib/liba.so.6 (deleted)",
            "r-xp 00001000 fe:00 42    /usr/bin/a",
            "r-xp 00000000 00:00 0     [vdso]",
            "r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(line(other), None, "{other}");
        }
    }
}

//! Any mount table, package list or module list: no panic. The first byte says which.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use minesweep_host::hiding::{loaded_modules, module_symbols, packages, proc_mounts};

fuzz_target!(|input: &[u8]| {
    let Some((kind, text)) = input.split_first() else { return };
    match kind % 6 {
        0 => {
            let _mounts = proc_mounts(text, false);
        }
        1 => {
            let _paths = packages::lines(text).count();
        }
        2 => {
            let _sums = packages::sums(text).count();
        }
        3 => {
            let _diversions = packages::diversions(text);
        }
        4 => {
            let _modules = loaded_modules(text);
        }
        _symbols => module_symbols(text, &mut BTreeSet::new()),
    }
});

//! Any text as a file of Sigma rules, and after a line of dashes as its cases: no panic, and it is loaded or refused.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use minesweep_detect::{Rules, rules_test};

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let bundle = minesweep_content::Bundle::embedded().expect("the bundle is ours");
    Arc::new(Rules::compile(bundle.all()).expect("the bundle is ours"))
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (rule, cases) = text.split_once("\n--------\n").unwrap_or((text, ""));
    let mut files = vec![("x.yml", rule)];
    if !cases.is_empty() {
        files.push(("x.cases.yml", cases));
    }
    assert!(!rules_test(&RULES, files).is_empty());
});

//! Any lines of JSON as records, through all rules of the bundle: no panic.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use minesweep_detect::{Engine, FieldsRecord, Rules, Settings};

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let bundle = minesweep_content::Bundle::embedded().expect("the bundle is ours");
    Arc::new(Rules::compile(bundle.all()).expect("the bundle is ours"))
});

fuzz_target!(|input: &[u8]| {
    let mut engine = Engine::new(Settings::default(), RULES.clone());
    for (number, line) in input.split(|byte| *byte == b'\n').enumerate() {
        if let Ok(record) = serde_json::from_slice::<FieldsRecord>(line) {
            let _outputs = engine.observe_fields(&record, number as u64);
        }
    }
});

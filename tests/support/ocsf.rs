//! Holds a printed line against the published OCSF 1.8.0 schema, unknown attributes refused.
//!
//! For the tests of any crate that prints lines. Include it by path, with `jsonschema` and `serde_json` among the
//! dev-dependencies:
//!
//! ```ignore
//! #[path = "../../../tests/support/ocsf.rs"]
//! mod ocsf;
//! ```
//!
//! The schema is tests/fixtures/ocsf/ocsf-1.8.0.schema.json. Does not judge meaning: only form.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// `Ok` when `line` is one line of JSON and valid for the class that its `class_uid` names; else every reason, one a
/// line, with the place in the line.
pub fn check_line(line: &str) -> Result<(), String> {
    if line.contains('\n') {
        return Err("the text is more than one line".to_owned());
    }
    let value: Value = serde_json::from_str(line).map_err(|e| format!("the line is not JSON: {e}"))?;
    let reasons: Vec<String> = validator()
        .iter_errors(&value)
        .map(|error| format!("{}: {error} (rule {})", error.instance_path(), error.schema_path()))
        .collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("\n")) }
}

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let schema: Value = serde_json::from_str(include_str!("../fixtures/ocsf/ocsf-1.8.0.schema.json"))
            .expect("the fixture is JSON");
        jsonschema::validator_for(&schema).expect("the fixture is a JSON Schema")
    })
}

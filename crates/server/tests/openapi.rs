//! The description of the API that is checked in is the one that the server gives.

use std::{env, fs, path::Path};

#[test]
fn the_checked_in_description_is_current_and_bless_rewrites_it() {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let got = minesweep_server::openapi().to_pretty_json().unwrap() + "\n";
    if env::var_os("BLESS").is_some() {
        fs::write(&at, &got).unwrap();
    }
    assert_eq!(got, fs::read_to_string(&at).unwrap(), "run again with BLESS=1 and review the difference");
}

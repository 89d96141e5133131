use std::fs;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let at = root.path().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }
    root
}

fn refusal(files: &[(&str, &str)]) -> String {
    Bundle::from_dir(folder(files).path()).unwrap_err().to_string()
}

const MANIFEST: (&str, &str) =
    ("manifest.yaml", "format: 1\nversion: '1'\nlicence: Apache-2.0\nattack_version: '17.1'\n");
const RULE: (&str, &str) = ("mining/a.yml", "id: mining.a\nlicence: MIT\nsource: own\n");
const CASES: (&str, &str) = ("mining/a.cases.yml", "fires: [1]\nstays_quiet: [1, 2]\n");

#[test]
fn the_embedded_bundle_is_the_folder_it_was_built_from() {
    let embedded = Bundle::embedded().unwrap();
    let folder = Bundle::from_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../content"))).unwrap();
    assert_eq!(embedded.manifest(), folder.manifest());
    assert!(embedded.all().eq(folder.all()));
    assert_eq!(
        Kind::ALL.iter().map(|kind| embedded.files(*kind).count()).sum::<usize>(),
        embedded.all().count()
    );
}

#[test]
fn the_embedded_bundle_cannot_be_read_as_plain_text() {
    // The words of the rules must not make this binary look like what they describe.
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/content.z"));
    for word in ["stratum", "xmrig", "donate-level", "RandomX"] {
        assert!(!packed.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
}

#[test]
fn a_whole_bundle_loads_from_a_folder() {
    let bundle = Bundle::from_dir(folder(&[MANIFEST, RULE, CASES]).path()).unwrap();
    assert_eq!(bundle.files(Kind::Mining).count(), 2);
    assert_eq!(bundle.manifest().attack_version, "17.1");
}

#[test]
fn an_unknown_key_of_the_manifest_is_refused_by_name() {
    let text = format!("{}colour: red\n", MANIFEST.1);
    let refusal = refusal(&[("manifest.yaml", &text)]);
    assert!(refusal.contains("manifest.yaml") && refusal.contains("colour"), "{refusal}");
}

#[test]
fn a_newer_format_is_refused_by_name_before_its_keys_are_read() {
    let refusal = refusal(&[("manifest.yaml", "format: 2\nnew_key: 1\n")]);
    assert!(refusal.contains("format 2") && refusal.contains("update minesweep"), "{refusal}");
}

#[test]
fn a_missing_manifest_or_folder_is_named() {
    assert!(refusal(&[RULE, CASES]).contains("manifest.yaml"));
    let gone = Bundle::from_dir(Path::new("/nonexistent/content")).unwrap_err().to_string();
    assert!(gone.contains("/nonexistent/content") && gone.contains("check that"), "{gone}");
}

#[test]
fn a_rule_without_cases_or_with_too_few_is_refused() {
    assert!(refusal(&[MANIFEST, RULE]).contains("mining/a.cases.yml"));
    let few = ("mining/a.cases.yml", "fires: [1]\nstays_quiet: [1]\n");
    assert!(refusal(&[MANIFEST, RULE, few]).contains("2 that stay quiet"));
}

#[test]
fn a_rule_without_licence_or_source_is_refused() {
    let bare = ("mining/a.yml", "id: mining.a\nsource: own\n");
    assert!(refusal(&[MANIFEST, bare, CASES]).contains("licence"));
    assert!(refusal(&[MANIFEST, ("intel/a.csv", "# licence: MIT\nhost\n")]).contains("# source"));
}

#[test]
fn a_file_that_no_engine_reads_is_refused() {
    assert!(refusal(&[MANIFEST, ("notes/a.txt", "x")]).contains("no engine reads it"));
}

#[test]
fn bytes_that_are_no_text_and_files_over_the_limit_are_refused() {
    let root = folder(&[MANIFEST]);
    fs::create_dir_all(root.path().join("yara")).unwrap();
    fs::write(root.path().join("yara/a.yar"), [0xff, 0xfe]).unwrap();
    assert!(Bundle::from_dir(root.path()).unwrap_err().to_string().contains("yara/a.yar"));
    fs::write(root.path().join("yara/a.yar"), vec![b'a'; FILE_LIMIT_BYTES + 1]).unwrap();
    assert!(Bundle::from_dir(root.path()).unwrap_err().to_string().contains("over the limit"));
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed_out_of_the_bundle() {
    let root = folder(&[MANIFEST]);
    fs::create_dir_all(root.path().join("yara")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", root.path().join("yara/a.yar")).unwrap();
    assert!(Bundle::from_dir(root.path()).unwrap_err().to_string().contains("not a regular file"));
}

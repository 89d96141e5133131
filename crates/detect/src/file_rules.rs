//! Rules over the bytes of files, in the YARA language.
//!
//! Compiled by boreal: linear time, no C. Includes are off: a rule file reads no other file. Scanning is bounded in
//! size and time. Does not open files; the caller brings bytes.

use std::{collections::BTreeMap, time::Duration};

use boreal::{Compiler, MetadataValue, Scanner, compiler::CompilerParams, scanner::ScanParams};
use minesweep_model::Text;

use crate::rules::{RuleError, broken};

/// Largest file that is scanned in full, bytes; of a larger one the head. Static miners are 3 to 12 MB.
pub const SCAN_LIMIT_BYTES: usize = 64 << 20;
/// Longest scan of one file. 64 MiB take 0.1 s at the measured 810 MB/s; a hundred times that is a hostile file.
const SCAN_LIMIT: Duration = Duration::from_secs(10);
/// Most rules that one file may match; more say nothing new.
const HITS_LIMIT: usize = 32;

/// Compiled file rules.
pub struct FileRules {
    scanner: Scanner,
    titles: BTreeMap<String, Text>,
}

impl FileRules {
    /// Compiles rule files given as path and text. One broken file refuses all, by name.
    pub fn compile<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, RuleError> {
        let mut compiler = Compiler::new();
        compiler.set_params(CompilerParams::default().disable_includes(true));
        for (path, text) in files {
            // A namespace a file, so that two files may use one name.
            compiler
                .add_rules_str_in_namespace(text, path)
                .map_err(|error| broken(path)(error.to_string().trim_end().to_owned()))?;
        }
        let mut scanner = compiler.finalize();
        scanner.set_scan_params(
            ScanParams::default()
                .compute_full_matches(false)
                .string_max_nb_matches(1000)
                .timeout_duration(Some(SCAN_LIMIT)),
        );
        let titles = titles(&scanner);
        Ok(Self { scanner, titles })
    }

    /// Ids of the rules that match: the rule's own `id`, else `yara:NAME`.
    pub fn scan(&self, bytes: &[u8]) -> Vec<String> {
        let head = bytes.get(..SCAN_LIMIT_BYTES).unwrap_or(bytes);
        let result = match self.scanner.scan_mem(head) {
            Ok(result) => result,
            // Out of time: what matched until then still counts.
            Err((_, result)) => result,
        };
        let mut ids: Vec<String> =
            result.rules.iter().map(|rule| rule_id(&self.scanner, rule.name, rule.metadatas)).collect();
        ids.sort();
        ids.dedup();
        ids.truncate(HITS_LIMIT);
        ids
    }

    /// What a rule is called, by its id.
    pub fn title(&self, id: &str) -> Option<&Text> {
        self.titles.get(id)
    }

    /// Ids of all rules.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.titles.keys().map(String::as_str)
    }
}

fn titles(scanner: &Scanner) -> BTreeMap<String, Text> {
    let mut titles = BTreeMap::new();
    for rule in scanner.rules() {
        let en = meta(scanner, rule.metadatas, "title")
            .or_else(|| meta(scanner, rule.metadatas, "description"))
            .unwrap_or_else(|| rule.name.to_owned());
        let zh = meta(scanner, rule.metadatas, "zh").unwrap_or_else(|| en.clone());
        titles.insert(rule_id(scanner, rule.name, rule.metadatas), Text { en, zh });
    }
    titles
}

fn rule_id(scanner: &Scanner, name: &str, metadatas: &[boreal::Metadata]) -> String {
    meta(scanner, metadatas, "id")
        .filter(|id| id.starts_with("mining."))
        .unwrap_or_else(|| format!("yara:{name}"))
}

fn meta(scanner: &Scanner, metadatas: &[boreal::Metadata], key: &str) -> Option<String> {
    metadatas.iter().find(|meta| scanner.get_string_symbol(meta.name) == key).and_then(|meta| {
        match meta.value {
            MetadataValue::Bytes(value) => {
                Some(String::from_utf8_lossy(scanner.get_bytes_symbol(value)).into_owned())
            }
            MetadataValue::Integer(_) | MetadataValue::Boolean(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_named_by_its_id_or_by_its_name() {
        let rules = FileRules::compile([
            ("a.yar", "rule a { meta: id = \"mining.a\" title = \"T\" zh = \"题\" strings: $a = \"abc\" condition: $a }"),
            ("b.yar", "rule b { strings: $a = \"abc\" condition: $a }"),
        ])
        .unwrap();
        assert_eq!(rules.scan(b"xxabcxx"), ["mining.a", "yara:b"]);
        assert!(rules.scan(b"xxabxx").is_empty());
        assert_eq!(rules.title("mining.a").unwrap().zh, "题");
    }

    #[test]
    fn a_broken_rule_or_an_include_is_refused_with_its_file() {
        for text in ["rule a { condition: }", "include \"/etc/passwd\"", "rule a { condition: $b }"] {
            let refusal = FileRules::compile([("yara/x.yar", text)]).err().unwrap().to_string();
            assert!(refusal.contains("yara/x.yar"), "{refusal}");
        }
    }
}

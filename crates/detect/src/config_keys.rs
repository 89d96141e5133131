//! Counts configuration keys that only miners know, in arguments.
//!
//! One key may be chance, four are a miner (DETECTIONS section 3). The same list for files is in the YARA rules,
//! which know where a file of keys is a configuration and where it is a document about one.

/// Keys from which on it is a miner.
pub(crate) const ENOUGH: usize = 4;

/// Keys of xmrig's configuration and their form as options. Short or ordinary ones (`url`, `user`, `algo`, `tls`) are
/// left out.
const KEYS: [&str; 18] = [
    "donate-level",
    "donate-over-proxy",
    "rig-id",
    "tls-fingerprint",
    "self-select",
    "submit-to-origin",
    "nicehash",
    "randomx-1gb-pages",
    "randomx-wrmsr",
    "randomx-no-rdmsr",
    "randomx-mode",
    "randomx-init",
    "huge-pages-jit",
    "max-threads-hint",
    "cpu-max-threads-hint",
    "pause-on-battery",
    "cpu-priority",
    "cpu-no-yield",
];

/// Number of different keys among the words: as options, and quoted in a configuration that is one argument.
pub(crate) fn count_words(words: &[String]) -> usize {
    let mut found = [false; KEYS.len()];
    for word in words {
        let name = word
            .strip_prefix("--")
            .map_or(word.as_str(), |option| option.split('=').next().unwrap_or(option));
        let has_quotes = word.contains('"');
        for (key, found) in KEYS.iter().zip(&mut found) {
            *found |= name == *key || has_quotes && word.split('"').any(|part| part == *key);
        }
    }
    found.iter().filter(|found| **found).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(line: &str) -> usize {
        count_words(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn four_keys_are_counted_as_options_and_as_json() {
        assert_eq!(count("a --donate-level=1 --nicehash --rig-id x --cpu-priority 5"), 4);
        assert_eq!(count(r#"echo {"donate-level":0,"rig-id":null,"self-select":null,"nicehash":true}"#), 4);
        assert_eq!(count("a --donate-level=1 --donate-level=2"), 1, "the same key twice is one");
        assert_eq!(count("a --donate-levels=1 --nicehashx"), 0);
    }
}

//! The absolute paths that a text names: in a line of a crontab, a unit, a script.

use minesweep_model::Bytes;

/// Paths that one text names.
const NAMES_LIMIT: usize = 32;

/// Absolute paths in a text, each once, in order; at most 32. A path ends where a shell's word ends.
pub(super) fn named(text: &[u8]) -> Vec<Bytes> {
    let mut found: Vec<Bytes> = Vec::new();
    let mut before = b' ';
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'/' && begins_after(before) {
            let length = rest.iter().position(|&byte| ends_word(byte)).unwrap_or(rest.len());
            let (path, left) = rest.split_at(length);
            let path = trimmed(path);
            let is_path = path.len() > 1 && !path.starts_with(b"//") && path.len() <= 4096;
            if is_path && found.len() < NAMES_LIMIT && !found.iter().any(|seen| seen.0 == path) {
                found.push(Bytes(path.to_vec()));
            }
            (before, rest) = (b'/', left);
            continue;
        }
        (before, rest) = (byte, after);
    }
    found
}

/// Bytes between the words of a shell, a unit and a crontab.
fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'`;|&<>()=:,{}[]#!@\0".contains(&byte)
}

/// Also after the marks before a unit's command (`-` and `+`).
fn begins_after(byte: u8) -> bool {
    ends_word(byte) || byte == b'-' || byte == b'+'
}

fn trimmed(path: &[u8]) -> &[u8] {
    let mut path = path;
    while path.len() > 1 && path.last() == Some(&b'/') {
        path = path.split_last().map_or(path, |(_, rest)| rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        named(text.as_bytes()).into_iter().map(|path| String::from_utf8_lossy(&path.0).into_owned()).collect()
    }

    #[test]
    fn paths_are_found_in_the_words_of_a_shell_a_unit_and_a_crontab() {
        assert_eq!(names("* * * * * root /tmp/.x/go >/dev/null 2>&1"), ["/tmp/.x/go", "/dev/null"]);
        assert_eq!(names("ExecStart=-/opt/a-b+c/run --dir=/var/lib/x/"), ["/opt/a-b+c/run", "/var/lib/x"]);
        assert_eq!(names("sh -c '/dev/shm/a;\"/usr/bin/b\"'"), ["/dev/shm/a", "/usr/bin/b"]);
    }

    #[test]
    fn addresses_and_relative_paths_name_nothing() {
        assert!(names("curl http://10.0.0.1/x.sh a/b ./c / //x").is_empty());
    }
}

//! A field of a line of the audit log: `type=EXECVE msg=audit(1.2:3): argc=2 a0="cat" a1=2F6574632F736861646F77`.

use crate::sigma::Value;

/// Fields whose value is hexadecimal when it stands without quotes: it holds a space, a quote or worse.
const ENCODED: [&str; 8] = ["name", "exe", "comm", "cwd", "proctitle", "data", "cmd", "acct"];

/// The value of a field; the last of several wins where the log repeats itself in words (`SYSCALL=execve`).
pub(super) fn value<'t>(text: &'t str, name: &str) -> Value<'t> {
    if name.is_empty() {
        return Value::Absent;
    }
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        let Some(after) = from.get(name.len()..) else { break };
        // The separator of the log's own words is a control character.
        let is_begin =
            before.chars().last().is_none_or(|c| c.is_whitespace() || matches!(c, '\'' | '\u{1d}' | ','));
        match after.strip_prefix('=') {
            Some(value) if is_begin => return decoded(text, name, value),
            Some(_) | None => rest = after,
        }
    }
    Value::Absent
}

fn decoded<'t>(text: &str, name: &str, value: &'t str) -> Value<'t> {
    if let Some(quoted) = value.strip_prefix('"') {
        return Value::of(quoted.split('"').next().unwrap_or_default());
    }
    let end = value.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '\u{1d}')).unwrap_or(value.len());
    let word = value.get(..end).unwrap_or_default();
    let is_argument =
        name.strip_prefix('a').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let is_encoded = ENCODED.contains(&name) || (is_argument && text.starts_with("type=EXECVE"));
    match unhexed(word).filter(|_| is_encoded) {
        Some(decoded) => Value::of(decoded),
        None => Value::of(word),
    }
}

fn unhexed(word: &str) -> Option<String> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    if word.is_empty() || !word.len().is_multiple_of(2) || !word.bytes().all(is_hex) {
        return None;
    }
    let bytes: Option<Vec<u8>> = word
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    // Arguments of a title are parted by zero bytes.
    Some(String::from_utf8_lossy(&bytes?).replace('\0', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_quoted_plain_and_in_hexadecimal_and_only_where_it_begins() {
        let line = "type=EXECVE msg=audit(1.2:3): argc=3 a0=\"cat\" a1=2F6574632F736861646F77 a2=-n";
        let of = |name: &str| value(line, name).texts().first().map(ToString::to_string);
        assert_eq!(of("type").as_deref(), Some("EXECVE"));
        assert_eq!(of("a0").as_deref(), Some("cat"));
        assert_eq!(of("a1").as_deref(), Some("/etc/shadow"));
        assert_eq!(of("a2").as_deref(), Some("-n"));
        assert_eq!(of("rgc"), None);
        assert_eq!(of("a3"), None);
        let line = "type=SYSCALL msg=audit(1:2): arch=c000003e syscall=59 a0=55D0 exe=\"/usr/bin/cat\" key=(null)\u{1d}ARCH=x86_64 SYSCALL=execve";
        let of = |name: &str| value(line, name).texts().first().map(ToString::to_string);
        assert_eq!(of("SYSCALL").as_deref(), Some("execve"));
        assert_eq!(of("a0").as_deref(), Some("55D0"), "an argument of a system call is a number");
        let line = "type=USER_LOGIN msg=audit(1:2): pid=1 msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" res=failed'";
        let of = |name: &str| value(line, name).texts().first().map(ToString::to_string);
        assert_eq!(of("acct").as_deref(), Some("root"));
        assert_eq!(of("res").as_deref(), Some("failed"));
    }
}

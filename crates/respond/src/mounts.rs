//! Finds a mount by its id and its point. Changes nothing.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

/// A mount that is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) point: Vec<u8>,
}

/// The mount with `id` at `point`, any there for id 0; none when it is no longer there. Reads at most 8 MiB of mounts.
pub(crate) fn mount(id: u64, point: &[u8]) -> io::Result<Option<Mount>> {
    let mounts = BufReader::new(File::open("/proc/self/mountinfo")?.take(8 << 20));
    for line in mounts.split(b'\n') {
        if let Some((of, at)) = parse(&line?)
            && (id == 0 || of == id)
            && at == point
        {
            return Ok(Some(Mount { point: at }));
        }
    }
    Ok(None)
}

/// Id and mount point of a line; the kernel writes white space and backslashes as `\NNN`.
fn parse(line: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let mut rest = fields.nth(3)?;
    let mut point = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let escaped =
            after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(plain) => {
                point.push(plain);
                rest = after.get(3..)?;
            }
            None => {
                point.push(byte);
                rest = after;
            }
        }
    }
    Some((id, point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_with_blanks_and_line_feeds_is_read_as_it_is() {
        let line = br"36 35 98:0 /mnt1 /proc/12\040a\012b\134c rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(parse(line), Some((36, b"/proc/12 a\nb\\c".to_vec())));
        assert_eq!(parse(b"x 35"), None);
        assert_eq!(parse(b"36 35 98:0 /"), None);
    }
}

//! `/proc/PID/maps`: which memory a process has, and what of it is worth reading.

use std::ops::Range;

/// Smallest private map that is told, bytes: the scratchpad of RandomX is 2 MiB.
const BIG: u64 = 2 << 20;
/// Most sizes that are told (model: `Looked`).
const MAX_SIZES: usize = 64;

/// What the maps say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Maps {
    /// Sizes of private maps without a file of at least 2 MiB, largest first.
    pub(super) sizes_bytes: Vec<u64>,
    /// Maps that are writable and executable and have no file.
    pub(super) rwx: u32,
    /// Memory that may hold what no file shows: private and readable, and either without a file (also when not
    /// writable: a packed program unpacks itself there) or writable (text that was decoded in place). Heap and stack
    /// first, then the smallest, since a configuration is small and a data set is not.
    pub(super) own: Vec<Range<u64>>,
}

/// Reads the text of `/proc/PID/maps`; lines that are not understood are left out.
pub(super) fn parse(text: &[u8]) -> Maps {
    let mut maps = Maps::default();
    let mut named = Vec::new();
    for map in text.split(|&b| b == b'\n').filter_map(line) {
        let length = map.range.end - map.range.start;
        if map.is_private && !map.has_file && length >= BIG {
            maps.sizes_bytes.push(length);
        }
        if map.is_writable && map.is_executable && !map.has_file {
            maps.rwx = maps.rwx.saturating_add(1);
        }
        let is_kept = map.is_private && map.is_readable && !map.is_huge && !map.is_kernels;
        if !is_kept || (map.has_file && !map.is_writable) {
            continue;
        }
        if map.is_first { named.push(map.range) } else { maps.own.push(map.range) }
    }
    maps.sizes_bytes.sort_unstable_by(|a, b| b.cmp(a));
    maps.sizes_bytes.truncate(MAX_SIZES);
    maps.own.sort_by_key(|range| range.end - range.start);
    named.append(&mut maps.own);
    maps.own = named;
    maps
}

struct Map {
    range: Range<u64>,
    is_readable: bool,
    is_writable: bool,
    is_executable: bool,
    is_private: bool,
    /// A file that has or had a name; anonymous huge pages show one too, and are none.
    has_file: bool,
    is_huge: bool,
    /// Pages that the kernel gives to every process.
    is_kernels: bool,
    /// Heap or stack.
    is_first: bool,
}

fn line(line: &[u8]) -> Option<Map> {
    let text = String::from_utf8_lossy(line);
    let mut fields = text.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    let mut permissions = fields.next()?.bytes();
    let mut has = |letter| permissions.next() == Some(letter);
    let (is_readable, is_writable, is_executable, is_private) = (has(b'r'), has(b'w'), has(b'x'), has(b'p'));
    let inode: u64 = fields.nth(2)?.parse().ok()?;
    let path = fields.next().unwrap_or_default().trim_start();
    let is_huge = path.starts_with("/anon_hugepage");
    let is_first = path == "[heap]" || path.starts_with("[stack");
    let is_kernels = path.starts_with("[v");
    let has_file = inode != 0 && !is_huge;
    (start < end).then_some(Map {
        range: start..end,
        is_readable,
        is_writable,
        is_executable,
        is_private,
        has_file,
        is_huge,
        is_kernels,
        is_first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
00400000-00500000 r-xp 00000000 fe:00 42                         /usr/bin/a b (deleted)\n\
01000000-01021000 rw-p 00000000 00:00 0                          [heap]\n\
10000000-92000000 rw-p 00000000 00:00 0 \n\
a0000000-a0200000 rwxp 00000000 00:00 0 \n\
b0000000-b0001000 rw-s 00000000 00:05 9                          /dev/shm/x\n\
c0000000-c0400000 rw-p 00000000 00:0e 77                         /anon_hugepage (deleted)\n\
d0000000-d0300000 rw-p 00000000 fe:00 43                         /usr/lib/libx.so\n\
e0000000-e0001000 ---p 00000000 00:00 0 \n\
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                  [stack]\n\
7ffd00000000-7ffd00004000 r--p 00000000 00:00 0                  [vvar]\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]\n";

    #[test]
    fn a_data_set_a_scratchpad_and_huge_pages_are_told_and_libraries_are_not() {
        let maps = parse(TEXT);
        assert_eq!(maps.sizes_bytes, [0x8200_0000, 0x40_0000, 0x20_0000]);
        assert_eq!(maps.rwx, 1);
    }

    #[test]
    fn heap_and_stack_come_first_and_then_the_smallest() {
        let starts: Vec<u64> = parse(TEXT).own.iter().map(|range| range.start).collect();
        assert_eq!(starts, [0x100_0000, 0x7ffc_0000_0000, 0xa000_0000, 0xd000_0000, 0x1000_0000]);
    }

    #[test]
    fn broken_lines_are_left_out() {
        assert_eq!(parse(b"x\n1-2\n2-1 rw-p 0 0:0 0\n-\n\xff"), Maps::default());
    }
}

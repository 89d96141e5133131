//! How much of a file a quick look reads, by its first bytes.
//!
//! A build folder holds gigabytes of objects, static libraries and debug information: none of it can be started, and all
//! of it looks like a program. A full look passes nothing over. Does not look at names: they are free to change.

use super::is_telling;

/// What of a file is worth a quick look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Nothing: it is no program, script, package or configuration, or one that cannot be started as it is.
    Nothing,
    /// Its first bytes, this many: what follows is not loaded when it runs.
    Head(u64),
    /// All of it.
    All,
}

/// Judges a file by its first bytes (4 KiB are enough) and its length.
pub fn worth(head: &[u8], size_bytes: u64) -> Worth {
    const STATIC_LIBRARY: &[u8] = b"!<arch>\n";
    const PACKAGE: &[u8] = b"!<arch>\ndebian-binary";
    if head.starts_with(b"\x7fELF") {
        return Elf::read(head).map_or(Worth::All, |elf| elf.worth(size_bytes));
    }
    if !is_telling(head) || (head.starts_with(STATIC_LIBRARY) && !head.starts_with(PACKAGE)) {
        return Worth::Nothing;
    }
    Worth::All
}

/// The parts of the header of a program that say what is loaded.
struct Elf {
    kind: u16,
    loaded_end: u64,
    sections_at: u64,
    sections_end: u64,
}

impl Elf {
    /// None when it is damaged or its table of segments does not stand in the first bytes.
    fn read(head: &[u8]) -> Option<Self> {
        let fields = Fields { head, is_wide: *head.get(4)? == 2, is_big: *head.get(5)? == 2 };
        let at = |narrow: usize, wide: usize| if fields.is_wide { wide } else { narrow };
        let segments_at = usize::try_from(fields.word(at(28, 32))?).ok()?;
        let (size, count) = (fields.short(at(42, 54))?, fields.short(at(44, 56))?);
        let mut loaded_end = 0_u64;
        for number in 0..count {
            let segment = segments_at.checked_add(usize::from(number) * usize::from(size))?;
            let start = fields.word(segment.checked_add(at(4, 8))?)?;
            let bytes = fields.word(segment.checked_add(at(16, 32))?)?;
            loaded_end = loaded_end.max(start.checked_add(bytes)?);
        }
        let sections_at = fields.word(at(32, 40))?;
        let sections = u64::from(fields.short(at(46, 58))?) * u64::from(fields.short(at(48, 60))?);
        let sections_end = sections_at.checked_add(sections)?;
        Some(Self { kind: fields.short(16)?, loaded_end, sections_at, sections_end })
    }

    fn worth(&self, size_bytes: u64) -> Worth {
        const OBJECT: u16 = 1;
        /// Linkers round the end of the last table up.
        const ROUNDED: u64 = 16;
        if self.kind == OBJECT {
            return Worth::Nothing;
        }
        // The table of sections ends the file, as linkers leave it: nothing was appended that the program could read.
        let is_as_linked = self.sections_end > self.sections_at
            && self.sections_at >= self.loaded_end
            && self.sections_end <= size_bytes
            && size_bytes - self.sections_end < ROUNDED;
        if is_as_linked && self.loaded_end > 0 { Worth::Head(self.loaded_end) } else { Worth::All }
    }
}

/// Numbers of either width and order.
struct Fields<'a> {
    head: &'a [u8],
    is_wide: bool,
    is_big: bool,
}

impl Fields<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes(at)?;
        Some(if self.is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// An address or offset: as wide as the program's class says.
    fn word(&self, at: usize) -> Option<u64> {
        match (self.is_wide, self.is_big) {
            (true, true) => self.bytes(at).map(u64::from_be_bytes),
            (true, false) => self.bytes(at).map(u64::from_le_bytes),
            (false, true) => self.bytes(at).map(u32::from_be_bytes).map(u64::from),
            (false, false) => self.bytes(at).map(u32::from_le_bytes).map(u64::from),
        }
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.head.get(at..)?.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit program: one segment of `loaded` bytes, a table of two sections at `sections_at`.
    fn program(kind: u8, loaded: u64, sections_at: u64) -> Vec<u8> {
        let mut head = vec![0; 4096];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[16] = kind;
        head[32] = 64;
        head[40..48].copy_from_slice(&sections_at.to_le_bytes());
        (head[54], head[56], head[58], head[60]) = (56, 1, 64, 2);
        head[64] = 1;
        head[64 + 32..64 + 40].copy_from_slice(&loaded.to_le_bytes());
        head
    }

    #[test]
    fn of_a_program_as_linked_what_is_loaded_is_read_and_of_one_with_something_appended_all() {
        let head = program(3, 10_000, 90_000);
        assert_eq!(worth(&head, 90_128), Worth::Head(10_000));
        assert_eq!(worth(&head, 90_143), Worth::Head(10_000));
        assert_eq!(worth(&head, 90_144), Worth::All);
        assert_eq!(worth(&head, 90_127), Worth::All);
        assert_eq!(worth(&program(2, 10_000, 0), 20_000), Worth::All, "sections within what is loaded");
        assert_eq!(worth(&program(2, 0, 90_000), 90_128), Worth::All, "nothing is loaded");
    }

    #[test]
    fn our_own_program_is_loaded_to_less_than_its_end() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let size = own.len() as u64;
        let Worth::Head(loaded) = worth(&own[..4096], size) else { panic!("not as linked") };
        assert!(loaded > size / 20 && loaded < size, "{loaded} of {size}");
    }

    #[test]
    fn objects_static_libraries_and_plain_files_are_passed_over_and_packages_scripts_and_settings_are_not() {
        assert_eq!(worth(&program(1, 0, 500), 628), Worth::Nothing);
        assert_eq!(worth(b"!<arch>\n/               0           ", 36), Worth::Nothing);
        assert_eq!(worth(b"\x00\x01\x02\x03", 4), Worth::Nothing);
        assert_eq!(worth(b"", 0), Worth::Nothing);
        assert_eq!(worth(b"!<arch>\ndebian-binary   0           ", 36), Worth::All);
        for text in
            [&b"#!/bin/sh\n"[..], b" \n{\"pools\": []}", b"<?php system($_GET[0]);", b"\x1f\x8b\x08\0"]
        {
            assert_eq!(worth(text, text.len() as u64), Worth::All);
        }
    }

    #[test]
    fn a_damaged_head_is_read_whole_whatever_it_says() {
        let whole = program(3, 10_000, 90_000);
        for end in 4..whole.len() {
            assert_ne!(worth(&whole[..end.min(100)], 90_128), Worth::Nothing);
        }
        let mut far = whole.clone();
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(worth(&far, 90_128), Worth::All);
        let mut endless = whole;
        endless[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(worth(&endless, 90_128), Worth::All);
    }
}

//! Whether a library takes the place of the functions that list folders: by that it can hide processes and files.
//!
//! Reads the dynamic symbols of a 64-bit ELF file; one that is only used by the library, and not brought by it, says
//! nothing. The file is an attacker's: everything is taken, nothing indexed, and at most 65,536 symbols are read.

/// Symbols that are looked at.
const SYMBOLS_LIMIT: usize = 65_536;
/// Section type of dynamic symbols, `SHT_DYNSYM` of elf.h.
const DYNSYM: u32 = 11;
/// Functions that list folders, or ask the kernel for the list.
const LISTING: [&[u8]; 5] = [b"readdir", b"readdir64", b"readdir_r", b"readdir64_r", b"getdents64"];

/// Whether the library defines a function that lists folders.
pub(super) fn hides(library: &[u8]) -> bool {
    defined(library).is_some_and(|names| names.iter().any(|name| LISTING.contains(name)))
}

/// Names of the dynamic symbols that a library defines; `None` when it is no 64-bit little-endian ELF file.
fn defined(elf: &[u8]) -> Option<Vec<&[u8]>> {
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (long(elf, 0x28)?, short(elf, 0x3a)?, short(elf, 0x3c)?);
    let section = |number: usize| part(elf, table.checked_add(number.checked_mul(size)?)?, 64);
    for number in 0..count {
        let dynsym = section(number)?;
        if word(dynsym, 4)? != DYNSYM {
            continue;
        }
        let names = section(usize::try_from(word(dynsym, 0x28)?).ok()?)?;
        let names = part(elf, long(names, 0x18)?, long(names, 0x20)?)?;
        let symbols = part(elf, long(dynsym, 0x18)?, long(dynsym, 0x20)?)?;
        let is_defined = |symbol: &&[u8]| short(symbol, 6).is_some_and(|section| section != 0);
        let name = |symbol: &[u8]| {
            let at = usize::try_from(word(symbol, 0)?).ok()?;
            names.get(at..)?.split(|&byte| byte == 0).next()
        };
        let symbols = symbols.chunks_exact(24).take(SYMBOLS_LIMIT).filter(is_defined);
        return Some(symbols.filter_map(name).collect());
    }
    Some(Vec::new())
}

fn part(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let raw: [u8; 8] = part(bytes, at, 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(raw)).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(part(bytes, at, 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let raw: [u8; 2] = part(bytes, at, 2)?.try_into().ok()?;
    Some(usize::from(u16::from_le_bytes(raw)))
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    fn built(source: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (c, so) = (folder.path().join("l.c"), folder.path().join("l.so"));
        fs::write(&c, source).unwrap();
        let status = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&so).arg(&c).status().unwrap();
        assert!(status.success(), "gcc is in the packages of the build");
        fs::read(so).unwrap()
    }

    #[test]
    fn a_library_that_brings_readdir_hides_and_one_that_uses_it_does_not() {
        assert!(hides(&built("void *readdir(void *d){return 0;}")));
        assert!(!hides(&built("void *readdir(void *d); void *own(void *d){return readdir(d);}")));
        assert!(!hides(&built("int own(void){return 1;}")));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_no_harm() {
        let whole = built("void *readdir64(void *d){return 0;}");
        for end in 0..whole.len() {
            hides(whole.get(..end).unwrap());
        }
        for at in 0..64 {
            let mut bent = whole.clone();
            *bent.get_mut(at).unwrap() = 0xff;
            hides(&bent);
        }
    }
}

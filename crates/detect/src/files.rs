//! What a file holds: itself, and for an archive or package its members, each shown to the file rules.
//!
//! A miner that comes bundled lies inside a package of an innocent program, so packages are opened in memory, layer by
//! layer, as a stream. Everything a hostile file could ask for is bounded: layers, members, bytes of one member, bytes
//! in all, and how much one byte may become. What a bound leaves out is named, never passed over. Does not open files
//! and writes nothing anywhere; the caller brings a reader.

mod archive;
mod kind;
mod meter;
mod worth;
mod xz;
mod zip;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io::{self, Read},
};

use md5::Digest as _;

use crate::FileRules;
pub use archive::open;
pub use worth::{Worth, worth};

/// Bounds of opening one file.
#[derive(Clone, Copy, Debug)]
pub struct FileLimits {
    /// Layers: a `.deb` has three (ar, xz, tar).
    pub depth: u8,
    /// Members looked at.
    pub members: u32,
    /// Most bytes of one member; of a longer one the head is looked at.
    pub member_bytes: usize,
    /// Most bytes unpacked in all layers together.
    pub total_bytes: u64,
    /// Most unpacked bytes for one packed byte, once [`RATIO_FLOOR_BYTES`] are unpacked.
    pub ratio: u64,
}

impl Default for FileLimits {
    /// Static miners are 3 to 12 MB. The largest package of Debian unpacks to some GB; its head is what we see.
    fn default() -> Self {
        Self { depth: 6, members: 100_000, member_bytes: 32 << 20, total_bytes: 1 << 30, ratio: 250 }
    }
}

/// Below this a high ratio is no bomb: a file of zeros packs a thousandfold.
pub const RATIO_FLOOR_BYTES: u64 = 64 << 20;

/// Most matches kept of one file.
const MATCHES: usize = 32;

/// Why part of a file was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// More layers than the limit.
    Depth,
    /// More members than the limit.
    Members,
    /// A member is longer than the limit; its head was looked at.
    MemberBytes,
    /// It unpacks to more bytes than the limit.
    TotalBytes,
    /// It unpacks to far more than it is: a bomb.
    Ratio,
    /// A password is needed.
    Locked,
    /// A way of packing that we do not read.
    Unread,
    /// It does not follow its own form, or ends too early.
    Broken,
}

impl Cut {
    /// Its stable name, for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Depth => "depth",
            Self::Members => "members",
            Self::MemberBytes => "member-bytes",
            Self::TotalBytes => "total-bytes",
            Self::Ratio => "ratio",
            Self::Locked => "locked",
            Self::Unread => "unread",
            Self::Broken => "broken",
        }
    }
}

/// What opening a file came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Members that were shown; 1 for a file that is no archive.
    pub members: u32,
    /// Bytes of the file that were read.
    pub read_bytes: u64,
    /// Bytes unpacked.
    pub unpacked_bytes: u64,
    /// What was left out, and why.
    pub cuts: BTreeSet<Cut>,
}

/// A rule that matched, and where in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileMatch {
    /// Rule id.
    pub rule: String,
    /// The member, layers joined by `!`; empty for the file itself.
    pub member: String,
}

/// Shows a file and all that it holds to the rules.
pub fn search(reader: &mut dyn Read, rules: &FileRules, limits: &FileLimits) -> (Vec<FileMatch>, Opened) {
    let mut found = Vec::new();
    let opened = open(reader, limits, &mut |member, bytes| {
        for rule in rules.scan(bytes) {
            let matched = FileMatch { rule, member: member.to_owned() };
            if found.len() < MATCHES && !found.contains(&matched) {
                found.push(matched);
            }
        }
    });
    (found, opened)
}

/// A file that begins like this may hold a program, a script, a package or a configuration. The rest (logs, data bases,
/// media) is not worth reading each time it is written.
pub fn is_telling(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let is_settings_or_page = text.starts_with(b"{") || text.starts_with(b"<?php");
    kind::Kind::of(head) != kind::Kind::Plain || head.starts_with(b"\x7fELF") || is_settings_or_page
}

/// MD5 and SHA-256, hexadecimal: what reports and lists name a file by.
///
/// # Errors
/// When the reader fails.
pub fn digests(reader: &mut dyn Read) -> io::Result<(String, String)> {
    let (mut md5, mut sha256) = (md5::Md5::new(), sha2::Sha256::new());
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok((hex(&md5.finalize()), hex(&sha256.finalize()))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        md5.update(bytes);
        sha256.update(bytes);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

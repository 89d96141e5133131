//! Members of a zip file, in the order of their bytes.
//!
//! The directory at the end is not believed: bombs let many of its entries point at the same bytes, and a member that is
//! left out of it still can be unpacked by who knows where it lies. Each member is found by its own header instead.

use std::io::{Cursor, Read};

use super::{
    Cut,
    archive::{Opener, joined},
    meter::Unpacked,
};

/// Where a member begins.
const MARK: &[u8] = b"PK\x03\x04";

struct Member<'a> {
    name: &'a [u8],
    is_locked: bool,
    method: u16,
    stated_bytes: usize,
    data: &'a [u8],
}

impl<'a> Member<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let short = |at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
        let long = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (name_bytes, extra_bytes) = (usize::from(short(26)?), usize::from(short(28)?));
        let rest = bytes.get(30..)?;
        let (name, rest) = rest.split_at_checked(name_bytes)?;
        Some(Self {
            name,
            is_locked: short(6)? & 1 != 0,
            method: short(8)?,
            stated_bytes: usize::try_from(long(18)?).ok()?,
            data: rest.get(extra_bytes..)?,
        })
    }
}

/// Shows every member.
pub(super) fn members(opener: &mut Opener<'_>, name: &str, bytes: &[u8], depth: u8) {
    let finder = memchr::memmem::Finder::new(MARK);
    let mut rest = bytes;
    while let Some(at) = finder.find(rest).filter(|_| !opener.is_over()) {
        rest = rest.get(at..).unwrap_or_default();
        let Some(member) = Member::read(rest) else {
            opener.cut(Cut::Broken);
            return;
        };
        let path = joined(name, member.name);
        let used = if member.is_locked {
            opener.cut(Cut::Locked);
            0
        } else {
            self::member(opener, &path, &member, depth, &finder)
        };
        rest = member.data.get(used..).unwrap_or_default();
    }
}

/// Shows one member; the bytes it took come back.
fn member(
    opener: &mut Opener<'_>,
    path: &str,
    member: &Member<'_>,
    depth: u8,
    finder: &memchr::memmem::Finder<'_>,
) -> usize {
    const STORED: u16 = 0;
    const DEFLATED: u16 = 8;
    match member.method {
        STORED => {
            let used = match member.stated_bytes {
                // The length follows the data: it ends where the next member begins.
                0 => finder.find(member.data).unwrap_or(member.data.len()),
                stated => stated.min(member.data.len()),
            };
            if used > 0 {
                opener.layer(path, &mut Cursor::new(member.data.get(..used).unwrap_or_default()), depth);
            }
            used
        }
        DEFLATED => {
            let inner = flate2::bufread::DeflateDecoder::new(member.data);
            let mut unpacked = Unpacked { inner, meter: opener.meter };
            opener.layer(path, &mut unpacked, depth);
            if std::io::copy(&mut unpacked.by_ref(), &mut std::io::sink()).is_err() {
                opener.cut(Cut::Broken);
            }
            usize::try_from(unpacked.inner.total_in()).unwrap_or(usize::MAX)
        }
        _ => {
            opener.cut(Cut::Unread);
            0
        }
    }
}

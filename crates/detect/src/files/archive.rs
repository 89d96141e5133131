//! Opens archives layer by layer: gzip, xz, zstd; tar, ar (deb), cpio, rpm; zip; and the load behind a script.
//!
//! All but zip are read as a stream, so a package of any size takes the memory of its largest member. The headers are
//! read here and not by a library: they are a few fields each, and hostile ones must be counted, not trusted.

use std::{
    collections::BTreeSet,
    io::{self, Cursor, Read},
};

use super::{
    Cut, FileLimits, Opened,
    kind::{HEAD_BYTES, Kind},
    meter::{Meter, Packed, Unpacked},
    xz::Xz,
    zip,
};

/// Memory that unpacking one xz stream may take, KiB: `xz -9` needs 65 MiB.
const XZ_MEMORY_KIB: u32 = 80 << 10;
/// Longest name kept of a member.
const NAME_BYTES: usize = 512;
/// Longest extended header of tar that is read.
const PAX_BYTES: u64 = 64 << 10;
/// Loads looked for behind one script.
const LOADS: usize = 8;

/// Shows every member of a file, and a file that is no archive as one member with an empty name.
pub fn open(reader: &mut dyn Read, limits: &FileLimits, show: &mut dyn FnMut(&str, &[u8])) -> Opened {
    let meter = Meter::new(limits);
    let mut opener = Opener { limits, meter: &meter, show, members: 0, cuts: BTreeSet::new() };
    let mut packed = Packed { inner: reader, meter: &meter };
    opener.layer("", &mut packed, 0);
    let Opener { members, mut cuts, .. } = opener;
    if let Some(cut) = meter.over() {
        // What ended the work also broke the layers around it.
        cuts.remove(&Cut::Broken);
        cuts.insert(cut);
    }
    Opened { members, read_bytes: meter.taken(), unpacked_bytes: meter.unpacked(), cuts }
}

pub(super) struct Opener<'a> {
    limits: &'a FileLimits,
    pub(super) meter: &'a Meter,
    show: &'a mut dyn FnMut(&str, &[u8]),
    members: u32,
    cuts: BTreeSet<Cut>,
}

impl Opener<'_> {
    pub(super) fn cut(&mut self, cut: Cut) {
        self.cuts.insert(cut);
    }

    pub(super) fn is_over(&self) -> bool {
        self.meter.over().is_some()
    }

    /// One layer: what it is, and what is in it.
    pub(super) fn layer(&mut self, name: &str, reader: &mut dyn Read, depth: u8) {
        if self.is_over() {
            return;
        }
        let mut head = Vec::new();
        if reader.take(HEAD_BYTES as u64).read_to_end(&mut head).is_err() {
            self.cut(Cut::Broken);
        }
        let kind = Kind::of(&head);
        let mut whole = Cursor::new(head).chain(reader);
        if kind.is_archive() && depth >= self.limits.depth {
            self.cut(Cut::Depth);
            return;
        }
        let depth = depth.saturating_add(1);
        let ended = match kind {
            Kind::Gzip => self.unpack(name, flate2::read::MultiGzDecoder::new(whole), depth),
            Kind::Xz => self.unpack(name, Xz::new(whole, XZ_MEMORY_KIB), depth),
            Kind::Zstd => self.zstd(name, &mut whole, depth),
            Kind::Tar => self.tar(name, &mut whole, depth),
            Kind::Ar => self.ar(name, &mut whole, depth),
            Kind::Cpio => self.cpio(name, &mut whole, depth),
            Kind::Rpm => self.rpm(name, &mut whole, depth),
            Kind::Zip => self.zip(name, &mut whole, depth),
            Kind::Unread => {
                self.cut(Cut::Unread);
                self.member(name, &mut whole, kind, depth)
            }
            Kind::Script | Kind::Plain => self.member(name, &mut whole, kind, depth),
        };
        if ended.is_err() {
            self.cut(Cut::Broken);
        }
    }

    fn unpack(&mut self, name: &str, inner: impl Read, depth: u8) -> io::Result<()> {
        let mut unpacked = Unpacked { inner, meter: self.meter };
        self.layer(name, &mut unpacked, depth);
        // What stands behind the end of an inner archive is unpacked too, so that a bomb there is counted.
        io::copy(&mut unpacked, &mut io::sink()).map(drop)
    }

    fn zstd(&mut self, name: &str, mut whole: &mut dyn Read, depth: u8) -> io::Result<()> {
        let decoder = ruzstd::decoding::StreamingDecoder::new(&mut whole)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        self.unpack(name, decoder, depth)?;
        // One frame is read; who puts a second one behind it hides it from us, so it is named.
        if whole.read(&mut [0])? != 0 {
            self.cut(Cut::Unread);
        }
        Ok(())
    }

    /// A file that is shown as it is.
    fn member(&mut self, name: &str, whole: &mut dyn Read, kind: Kind, depth: u8) -> io::Result<()> {
        if self.members >= self.limits.members {
            self.meter.end(Cut::Members);
            return Ok(());
        }
        self.members = self.members.saturating_add(1);
        let bytes = self.bytes(whole)?;
        if self.is_over() {
            return Ok(());
        }
        (self.show)(name, &bytes);
        if kind == Kind::Script {
            self.loads(name, &bytes, depth);
        }
        Ok(())
    }

    /// All bytes of a member up to the limit.
    fn bytes(&mut self, whole: &mut dyn Read) -> io::Result<Vec<u8>> {
        let limit = self.limits.member_bytes;
        let mut bytes = Vec::new();
        let read = whole.take(limit as u64 + 1).read_to_end(&mut bytes);
        if bytes.len() > limit {
            bytes.truncate(limit);
            self.cut(Cut::MemberBytes);
        }
        match read {
            // What came before the break is looked at.
            Err(_) if !bytes.is_empty() => self.cut(Cut::Broken),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(bytes)
    }

    /// What an installer carries behind its text: a program or an archive that begins on a line of its own.
    fn loads(&mut self, name: &str, bytes: &[u8], depth: u8) {
        const MARKS: [&[u8]; 5] =
            [b"\n\x1f\x8b\x08", b"\n\xfd7zXZ\0", b"\n\x28\xb5\x2f\xfd", b"\nPK\x03\x04", b"\n\x7fELF"];
        let finders = MARKS.map(memchr::memmem::Finder::new);
        let mut at: Vec<usize> =
            finders.iter().flat_map(|finder| finder.find_iter(bytes).take(LOADS)).collect();
        at.sort_unstable();
        for at in at.into_iter().take(LOADS) {
            let mut load = bytes.get(at.saturating_add(1)..).unwrap_or_default();
            // Behind its text a script may hold bytes that only look like a beginning.
            let was_broken = self.cuts.contains(&Cut::Broken);
            if depth < self.limits.depth {
                self.layer(&joined(name, format!("@{}", at.saturating_add(1)).as_bytes()), &mut load, depth);
            } else {
                self.cut(Cut::Depth);
            }
            if !was_broken {
                self.cuts.remove(&Cut::Broken);
            }
        }
    }

    /// One member of an archive of known length; whatever was not read of it is passed over.
    fn part(&mut self, name: &str, whole: &mut dyn Read, size: u64, depth: u8) -> io::Result<()> {
        let mut part = whole.take(size);
        self.layer(name, &mut part, depth);
        skip(&mut part, u64::MAX)?;
        // A member that ends before its length is the end of the file, too.
        if part.limit() == 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn tar(&mut self, name: &str, whole: &mut dyn Read, depth: u8) -> io::Result<()> {
        let (mut long, mut long_size) = (None::<Vec<u8>>, None::<u64>);
        while !self.is_over() {
            let Some(block) = block::<512>(whole)? else { return Ok(()) };
            if block.iter().all(|byte| *byte == 0) {
                continue;
            }
            let Some(header) = TarHeader::read(&block) else { return Err(io::ErrorKind::InvalidData.into()) };
            match header.kind {
                b'L' | b'x' => {
                    let mut text = Vec::new();
                    whole.take(header.size.min(PAX_BYTES)).read_to_end(&mut text)?;
                    skip(whole, header.size.saturating_sub(PAX_BYTES))?;
                    if header.kind == b'L' {
                        long = text.split(|byte| *byte == 0).next().map(<[u8]>::to_vec);
                    } else {
                        long = pax(&text, b"path").map(<[u8]>::to_vec).or(long);
                        long_size = pax(&text, b"size").and_then(decimal);
                    }
                    skip(whole, padding(header.size, 512))?;
                }
                b'0' | b'\0' | b'7' | b'S' => {
                    let size = long_size.take().unwrap_or(header.size);
                    let member = joined(name, long.take().as_deref().unwrap_or(header.name));
                    self.part(&member, whole, size, depth)?;
                    skip(whole, padding(size, 512))?;
                }
                _ => {
                    (long, long_size) = (None, None);
                    skip(whole, header.size.saturating_add(padding(header.size, 512)))?;
                }
            }
        }
        Ok(())
    }

    fn ar(&mut self, name: &str, whole: &mut dyn Read, depth: u8) -> io::Result<()> {
        skip(whole, 8)?;
        while !self.is_over() {
            let Some(header) = block::<60>(whole)? else { return Ok(()) };
            let (member, rest) = header.split_at(16);
            let size = rest.get(32..42).and_then(decimal).ok_or(io::ErrorKind::InvalidData)?;
            self.part(&joined(name, member.trim_ascii_end()), whole, size, depth)?;
            skip(whole, size & 1)?;
        }
        Ok(())
    }

    fn cpio(&mut self, name: &str, whole: &mut dyn Read, depth: u8) -> io::Result<()> {
        while !self.is_over() {
            let Some(header) = block::<110>(whole)? else { return Ok(()) };
            if !header.starts_with(b"07070") {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let field =
                |at: usize| header.get(at..at + 8).and_then(hexadecimal).ok_or(io::ErrorKind::InvalidData);
            let (mode, size, name_bytes) = (field(14)?, field(54)?, field(94)?);
            let mut member = Vec::new();
            whole.take(name_bytes.min(4096)).read_to_end(&mut member)?;
            skip(whole, name_bytes.saturating_sub(4096))?;
            skip(whole, padding(name_bytes.saturating_add(110), 4))?;
            if member.starts_with(b"TRAILER!!!") {
                return Ok(());
            }
            const REGULAR: u64 = 0o100_000;
            if mode & 0o170_000 == REGULAR {
                let text = member.split(|byte| *byte == 0).next().unwrap_or_default();
                self.part(&joined(name, text), whole, size, depth)?;
            } else {
                skip(whole, size)?;
            }
            skip(whole, padding(size, 4))?;
        }
        Ok(())
    }

    /// A lead of 96 bytes, two headers, then the packed cpio.
    fn rpm(&mut self, name: &str, whole: &mut dyn Read, depth: u8) -> io::Result<()> {
        skip(whole, 96)?;
        let signature = rpm_header(whole)?;
        skip(whole, padding(signature, 8))?;
        rpm_header(whole)?;
        self.layer(&joined(name, b"payload"), whole, depth);
        Ok(())
    }

    fn zip(&mut self, name: &str, whole: &mut dyn Read, depth: u8) -> io::Result<()> {
        let bytes = self.bytes(whole)?;
        zip::members(self, name, &bytes, depth);
        Ok(())
    }
}

struct TarHeader<'a> {
    name: &'a [u8],
    size: u64,
    kind: u8,
}

impl<'a> TarHeader<'a> {
    fn read(block: &'a [u8; 512]) -> Option<Self> {
        let stated = octal(block.get(148..156)?)?;
        let outside = block.get(..148)?.iter().chain(block.get(156..)?);
        let sum = outside.map(|byte| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ');
        let name = block.get(..100)?.split(|byte| *byte == 0).next()?;
        let size = block.get(124..136)?;
        let size = match size.first()? {
            // Large sizes are binary, marked by the first bit.
            0x80 => size.get(4..)?.iter().fold(0_u64, |sum, byte| sum.wrapping_shl(8) | u64::from(*byte)),
            _ => octal(size)?,
        };
        (sum == stated).then_some(Self { name, size, kind: *block.get(156)? })
    }
}

fn rpm_header(whole: &mut dyn Read) -> io::Result<u64> {
    let head = block::<16>(whole)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes).map(u64::from);
    match (head.starts_with(b"\x8e\xad\xe8"), number(8), number(12)) {
        (true, Some(count), Some(bytes)) => {
            let size = count.saturating_mul(16).saturating_add(bytes);
            skip(whole, size)?;
            Ok(size)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The next `N` bytes; `None` at the end of the file.
fn block<const N: usize>(whole: &mut dyn Read) -> io::Result<Option<[u8; N]>> {
    let mut block = Vec::with_capacity(N);
    whole.take(N as u64).read_to_end(&mut block)?;
    if block.is_empty() || block.iter().all(|byte| *byte == b'\n') {
        return Ok(None);
    }
    <[u8; N]>::try_from(block).map(Some).map_err(|_| io::ErrorKind::UnexpectedEof.into())
}

fn skip(whole: &mut dyn Read, count: u64) -> io::Result<()> {
    io::copy(&mut whole.take(count), &mut io::sink()).map(drop)
}

fn padding(size: u64, to: u64) -> u64 {
    size.wrapping_neg() & to.saturating_sub(1)
}

/// The value of a key in an extended header: lines of `LENGTH KEY=VALUE`.
fn pax<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        line.get(at.saturating_add(1)..)?.strip_prefix(key)?.strip_prefix(b"=")
    })
}

fn decimal(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn octal(text: &[u8]) -> Option<u64> {
    let text = text.split(|byte| *byte == 0).next()?;
    u64::from_str_radix(std::str::from_utf8(text).ok()?.trim(), 8).ok()
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// The name of a member below the name of its archive.
pub(super) fn joined(above: &str, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name.get(..NAME_BYTES).unwrap_or(name)).into_owned();
    let mut joined = if above.is_empty() { name } else { format!("{above}!{name}") };
    let end = joined.floor_char_boundary(NAME_BYTES);
    joined.truncate(end);
    joined
}

//! The two file forms: classic pcap (either byte order, micro- or nanoseconds) and pcapng (section, interface,
//! enhanced, simple and old packet blocks; ietf-opsawg-pcapng). Other blocks and all options but the time
//! resolution are passed over.

use super::PcapError;

/// Interfaces remembered in a pcapng section.
const MAX_INTERFACES: usize = 1024;

/// A packet as stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub link: u32,
    pub at_ms: u64,
    pub bytes: &'a [u8],
    /// Bytes of the packet that were not stored.
    pub missing: u32,
}

/// The next thing in the file.
pub(super) enum Record<'a> {
    Packet(Stored<'a>),
    /// The file ends in the middle of a packet.
    Cut,
}

/// The packets of a file; ends after the first error.
pub(super) fn records(file: &[u8]) -> Result<Records<'_>, PcapError> {
    let not_capture = || PcapError::NotCapture(file.iter().take(4).copied().collect());
    let magic = *file.first_chunk::<4>().ok_or_else(not_capture)?;
    let (is_little, ticks) = match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => (true, 1_000_000),
        [0x4d, 0x3c, 0xb2, 0xa1] => (true, 1_000_000_000),
        [0xa1, 0xb2, 0xc3, 0xd4] => (false, 1_000_000),
        [0xa1, 0xb2, 0x3c, 0x4d] => (false, 1_000_000_000),
        [0x0a, 0x0d, 0x0d, 0x0a] => {
            let cursor = Cursor { file, at: 0, is_little: true };
            return Ok(Records { cursor, form: Form::Blocks(Vec::new()), is_over: false });
        }
        _ => return Err(not_capture()),
    };
    let mut cursor = Cursor { file, at: 20, is_little };
    // The upper bits of the link type are flags (pcap-savefile(5)).
    let link = cursor.u32().ok_or(PcapError::Broken(20))? & 0x0fff_ffff;
    Ok(Records { cursor, form: Form::Classic { link, ticks }, is_over: false })
}

enum Form {
    Classic {
        link: u32,
        ticks: u64,
    },
    /// Interfaces of the section: link type and ticks a second.
    Blocks(Vec<Interface>),
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    ticks: u64,
}

/// Iterator over a file.
pub(super) struct Records<'a> {
    cursor: Cursor<'a>,
    form: Form,
    is_over: bool,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over || self.cursor.rest().is_empty() {
            return None;
        }
        let record = match &mut self.form {
            Form::Classic { link, ticks } => Ok(Some(classic(&mut self.cursor, *link, *ticks))),
            Form::Blocks(interfaces) => next_packet(&mut self.cursor, interfaces),
        };
        let is_last = !matches!(record, Ok(Some(Record::Packet(_))));
        self.is_over = is_last;
        record.transpose()
    }
}

fn classic<'a>(cursor: &mut Cursor<'a>, link: u32, ticks: u64) -> Record<'a> {
    let mut read = || {
        let seconds = u64::from(cursor.u32()?);
        let part = u64::from(cursor.u32()?);
        let stored = cursor.u32()?;
        let length = cursor.u32()?;
        let bytes = cursor.take(stored)?;
        let at_ms = seconds * 1000 + part.saturating_mul(1000) / ticks;
        Some(Stored { link, at_ms, bytes, missing: length.saturating_sub(stored) })
    };
    read().map_or(Record::Cut, Record::Packet)
}

/// Goes on to the next block with a packet.
fn next_packet<'a>(
    cursor: &mut Cursor<'a>,
    interfaces: &mut Vec<Interface>,
) -> Result<Option<Record<'a>>, PcapError> {
    while !cursor.rest().is_empty() {
        let start = cursor.at;
        let broken = || PcapError::Broken(start);
        let Some((kind, mut body)) = block(cursor).map_err(|()| broken())? else {
            return Ok(Some(Record::Cut));
        };
        let packet = match kind {
            0x0a0d_0d0a => {
                interfaces.clear();
                continue;
            }
            1 => {
                if interfaces.len() == MAX_INTERFACES {
                    return Err(broken());
                }
                interfaces.push(interface(&mut body).ok_or_else(broken)?);
                continue;
            }
            2 => {
                let id = body.u16().map(u32::from).ok_or_else(broken)?;
                body.u16().ok_or_else(broken)?;
                timed(id, &mut body, interfaces)
            }
            3 => simple(&mut body, interfaces),
            6 => {
                let id = body.u32().ok_or_else(broken)?;
                timed(id, &mut body, interfaces)
            }
            _ => continue,
        };
        return packet.map(|packet| Some(Record::Packet(packet))).ok_or_else(broken);
    }
    Ok(None)
}

/// Kind and body of the next block. `Ok(None)`: the file ends in it. `Err`: it cannot be.
fn block<'a>(cursor: &mut Cursor<'a>) -> Result<Option<(u32, Cursor<'a>)>, ()> {
    let rest = cursor.rest();
    if rest.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        // The section tells its byte order after its length.
        match rest.get(8..12) {
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => cursor.is_little = true,
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => cursor.is_little = false,
            Some(_) => return Err(()),
            None => return Ok(None),
        }
    }
    let (Some(kind), Some(length)) = (cursor.u32(), cursor.u32()) else { return Ok(None) };
    if length < 12 || length % 4 != 0 {
        return Err(());
    }
    let Some(body) = cursor.take(length - 12) else { return Ok(None) };
    if cursor.u32().is_none() {
        return Ok(None);
    }
    Ok(Some((kind, Cursor { file: body, at: 0, is_little: cursor.is_little })))
}

fn interface(body: &mut Cursor<'_>) -> Option<Interface> {
    let link = u32::from(body.u16()?);
    body.u16()?;
    body.u32()?;
    let mut ticks = 1_000_000;
    while let (Some(option), Some(length)) = (body.u16(), body.u16()) {
        let value = body.take(u32::from(length))?;
        if option == 0 {
            break;
        }
        if let (9, Some(&resolution)) = (option, value.first()) {
            ticks = ticks_of(resolution)?;
        }
        let padding = (4 - length % 4) % 4;
        body.take(u32::from(padding))?;
    }
    Some(Interface { link, ticks })
}

/// `if_tsresol`: a power of ten, or of two when the upper bit is set.
fn ticks_of(resolution: u8) -> Option<u64> {
    let power = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power)
}

fn timed<'a>(id: u32, body: &mut Cursor<'a>, interfaces: &[Interface]) -> Option<Stored<'a>> {
    let interface = interfaces.get(usize::try_from(id).ok()?)?;
    let time = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
    let stored = body.u32()?;
    let length = body.u32()?;
    let bytes = body.take(stored)?;
    let at_ms = u64::try_from(u128::from(time) * 1000 / u128::from(interface.ticks)).ok()?;
    Some(Stored { link: interface.link, at_ms, bytes, missing: length.saturating_sub(stored) })
}

/// A packet without a time: it counts as at 0.
fn simple<'a>(body: &mut Cursor<'a>, interfaces: &[Interface]) -> Option<Stored<'a>> {
    let interface = interfaces.first()?;
    let length = body.u32()?;
    let stored = length.min(u32::try_from(body.rest().len()).ok()?);
    let bytes = body.take(stored)?;
    Some(Stored { link: interface.link, at_ms: 0, bytes, missing: length - stored })
}

/// Reads numbers in the file's byte order; `None` at its end.
struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
    is_little: bool,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        self.file.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, count: u32) -> Option<&'a [u8]> {
        let (taken, _) = self.rest().split_at_checked(usize::try_from(count).ok()?)?;
        self.at += taken.len();
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(if self.is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }
}

//! Files of any size through a small buffer: what is looked for in them is small, and a deep round must not leave the
//! heap as large as the largest file it went through.

use std::{io, os::fd::OwnedFd};

use rustix::{
    buffer::spare_capacity,
    fs::{FileType, Mode, OFlags, fstat, open},
    io::Errno,
};

use crate::proc::lossy;

/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;

/// A file of this machine that can be read without waiting; `None` when there is none of that name.
pub(super) fn regular(path: &[u8]) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // A pipe or a device in its place must not be read.
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other(format!("{} is no regular file", lossy(path))));
    }
    Ok(Some(file))
}

/// Hands over all bytes of a file; false when it has `limit` or more, and then not all of them.
pub(super) fn bytes(file: &OwnedFd, limit: usize, each: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
    let (mut piece, mut left) = (Vec::with_capacity(PIECE_BYTES), limit);
    while left > 0 {
        piece.clear();
        let read = read(file, &mut piece)?;
        if read == 0 {
            return Ok(true);
        }
        left = left.saturating_sub(read);
        each(&piece);
    }
    Ok(false)
}

/// Hands over the first `limit` bytes of a file, and as much more as a piece has, in pieces of whole lines. What is
/// longer than a piece is no line of these files and is left out.
pub(super) fn lines(file: &OwnedFd, limit: usize, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let (mut piece, mut left) = (Vec::with_capacity(PIECE_BYTES), limit);
    loop {
        if piece.len() == piece.capacity() {
            piece.clear();
        }
        let read = read(file, &mut piece)?;
        left = left.saturating_sub(read);
        if read == 0 || left == 0 {
            each(&piece);
            return Ok(());
        }
        let whole = piece.iter().rposition(|&b| b == b'\n').map_or(0, |end| end.saturating_add(1));
        each(piece.get(..whole).unwrap_or_default());
        piece.drain(..whole);
    }
}

fn read(file: &OwnedFd, piece: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match rustix::io::read(file, spare_capacity(piece)) {
            Err(Errno::INTR) => {}
            answer => return Ok(answer?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &[u8]) -> OwnedFd {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        regular(file.path().as_os_str().as_encoded_bytes()).unwrap().unwrap()
    }

    #[test]
    fn every_line_comes_whole_wherever_a_piece_ends() {
        let all: Vec<String> = (0..20_000).map(|number| format!("/usr/share/doc/{number}")).collect();
        let (mut got, mut most) = (Vec::new(), 0);
        lines(&file(all.join("\n").as_bytes()), 16 << 20, &mut |piece| {
            most = most.max(piece.len());
            got.extend(piece.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(lossy));
        })
        .unwrap();
        assert_eq!(got, all);
        assert!(most <= PIECE_BYTES);
    }

    #[test]
    fn what_is_longer_than_a_piece_hides_no_line_after_it() {
        let text = [vec![b'x'; PIECE_BYTES * 2 + 7], b"\n/a\n/b\n".to_vec()].concat();
        let mut got = Vec::new();
        lines(&file(&text), 16 << 20, &mut |piece| got.extend_from_slice(piece)).unwrap();
        assert!(got.ends_with(b"\n/a\n/b\n"), "{}", lossy(&got));
        assert!(got.len() < PIECE_BYTES);
    }

    #[test]
    fn a_file_over_the_limit_is_not_taken_for_the_whole() {
        let mut got = 0;
        assert!(bytes(&file(&[7; 1000]), 1001, &mut |piece| got += piece.len()).unwrap());
        assert_eq!(got, 1000);
        assert!(!bytes(&file(&[7; 1000]), 1000, &mut |_| {}).unwrap());
    }

    #[test]
    fn no_file_is_none_and_a_folder_is_refused() {
        assert!(regular(b"/proc/self/no such file").unwrap().is_none());
        assert!(regular(b"/proc").is_err());
    }
}

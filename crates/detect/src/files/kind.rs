//! Which kind of file it is, by its first bytes: names are free to change.

/// Bytes that tell all kinds apart: the mark of tar stands at 257.
pub(super) const HEAD_BYTES: usize = 512;

/// Kinds of file that are read in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gzip,
    Xz,
    Zstd,
    Tar,
    Ar,
    Cpio,
    Rpm,
    Zip,
    /// Archives that we know and cannot open.
    Unread,
    /// A script: an installer may carry its load behind its text.
    Script,
    /// Anything else: it is shown as it is.
    Plain,
}

impl Kind {
    pub(super) fn of(head: &[u8]) -> Self {
        const MARKS: [(&[u8], Kind); 12] = [
            (b"\x1f\x8b\x08", Kind::Gzip),
            (b"\xfd7zXZ\0", Kind::Xz),
            (b"\x28\xb5\x2f\xfd", Kind::Zstd),
            (b"!<arch>\n", Kind::Ar),
            (b"070701", Kind::Cpio),
            (b"070702", Kind::Cpio),
            (b"\xed\xab\xee\xdb", Kind::Rpm),
            (b"PK\x03\x04", Kind::Zip),
            (b"BZh", Kind::Unread),
            (b"7z\xbc\xaf\x27\x1c", Kind::Unread),
            (b"Rar!\x1a\x07", Kind::Unread),
            (b"#!", Kind::Script),
        ];
        let by_start = MARKS.iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, kind)| *kind);
        let is_tar = head.get(257..262) == Some(b"ustar");
        match by_start {
            Some(kind) => kind,
            None if is_tar => Self::Tar,
            None => Self::Plain,
        }
    }

    pub(super) fn is_archive(self) -> bool {
        !matches!(self, Self::Script | Self::Plain | Self::Unread)
    }
}

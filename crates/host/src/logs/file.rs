//! Follows one file by its name: new lines, rotation, truncation, another file in its place.
//!
//! Who owns the folder may put anything there: only a regular file is read, and no link is followed.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{head::Form, lines::Lines};

/// Most bytes taken at once, so that one loud file does not keep others waiting.
const AT_ONCE_BYTES: usize = 256 << 10;
/// What waits beyond this is passed over and counted: a log that grows faster than it is read for so long tells of the
/// past.
const BACKLOG_LIMIT_BYTES: u64 = 64 << 20;

/// A file that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    /// Who logs there, where lines do not say.
    pub(super) program: String,
    open: Option<Open>,
    lines: Lines,
    /// Bytes that were passed over.
    pub(super) passed: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    id: (u64, u64),
    at: u64,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// What is there is of the past.
    End,
    /// The file is new.
    Start,
}

impl Followed {
    pub(super) fn new(path: PathBuf, form: Form, program: &str, from: From) -> Self {
        let mut followed =
            Self { path, form, program: program.to_owned(), open: None, lines: Lines::default(), passed: 0 };
        followed.open(from);
        followed
    }

    /// Lines that were longer than is kept.
    pub(super) fn cut(&self) -> u64 {
        self.lines.cut
    }

    /// It is there and can be read.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Hands new lines over. True when more waits.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>, mut take: impl FnMut(&str)) -> io::Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let size = open.file.metadata()?.len();
        if size < open.at {
            // Truncated in place, as copytruncate does.
            open.at = 0;
            self.lines.reset();
        }
        let waiting = size - open.at;
        if waiting > BACKLOG_LIMIT_BYTES {
            let passed = waiting - AT_ONCE_BYTES as u64;
            open.at += passed;
            self.passed += passed;
            self.lines.reset();
        }
        buffer.resize(AT_ONCE_BYTES.min(usize::try_from(waiting).unwrap_or(AT_ONCE_BYTES)), 0);
        let count = open.file.read_at(buffer, open.at)?;
        open.at += count as u64;
        self.lines.feed(buffer.get(..count).unwrap_or_default(), &mut take);
        Ok(open.at < size)
    }

    /// Looks whether another file has the name now. The old one is read to its end first, by the caller.
    pub(super) fn look_again(&mut self) {
        let now = std::fs::symlink_metadata(&self.path).ok().map(|meta| (meta.dev(), meta.ino()));
        if now.is_some() && now != self.open.as_ref().map(|open| open.id) {
            self.lines.reset();
            self.open(From::Start);
        }
    }

    fn open(&mut self, from: From) {
        match open_regular(&self.path) {
            Ok((file, id, size)) => {
                let at = if from == From::End { size } else { 0 };
                self.open = Some(Open { file, id, at });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::info!(path = %self.path.display(), %error, "a log is not read"),
        }
    }
}

/// Opens a regular file that is no link: the file, its device and inode, and its size.
pub(super) fn open_regular(path: &Path) -> io::Result<(File, (u64, u64), u64)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok((file, (meta.dev(), meta.ino()), meta.len()))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn lines(followed: &mut Followed) -> Vec<String> {
        let mut got = Vec::new();
        while followed.read(&mut Vec::new(), |line| got.push(line.to_owned())).unwrap() {}
        got
    }

    fn append(path: &Path, text: &str) {
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn only_new_lines_are_read_through_rotation_truncation_and_late_birth() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.log");
        append(&path, "old\nhal");
        let mut followed = Followed::new(path.clone(), Form::Syslog, "", From::End);
        append(&path, "f\nnew\n");
        assert_eq!(lines(&mut followed), ["f", "new"]);
        // Rotated: what was written before and after is read, each once.
        append(&path, "last\n");
        fs::rename(&path, dir.path().join("auth.log.1")).unwrap();
        append(&path, "first\n");
        assert_eq!(lines(&mut followed), ["last"]);
        followed.look_again();
        assert_eq!(lines(&mut followed), ["first"]);
        followed.look_again();
        assert!(lines(&mut followed).is_empty());
        fs::write(&path, "a\n").unwrap();
        assert_eq!(lines(&mut followed), ["a"]);
        let late = dir.path().join("late.log");
        let mut followed = Followed::new(late.clone(), Form::Syslog, "", From::End);
        assert!(!followed.is_open());
        append(&late, "born\n");
        followed.look_again();
        assert_eq!(lines(&mut followed), ["born"]);
    }

    #[test]
    fn a_link_a_pipe_and_a_folder_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("secret");
        append(&target, "secret\n");
        let (link, pipe) = (dir.path().join("link.log"), dir.path().join("pipe.log"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        for path in [link, pipe, dir.path().to_owned()] {
            let mut followed = Followed::new(path, Form::Syslog, "", From::Start);
            assert!(!followed.is_open());
            assert!(lines(&mut followed).is_empty());
        }
    }

    #[test]
    fn what_waits_beyond_the_limit_is_passed_over_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("loud.log");
        append(&path, "");
        let mut followed = Followed::new(path.clone(), Form::Syslog, "", From::End);
        let size = BACKLOG_LIMIT_BYTES + AT_ONCE_BYTES as u64;
        OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
        append(&path, "\nlast\n");
        assert_eq!(lines(&mut followed).last().unwrap(), "last");
        assert_eq!(followed.passed, BACKLOG_LIMIT_BYTES + 6);
    }
}

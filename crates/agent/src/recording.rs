//! A run on disk: a header, then each event that went into the line, one JSON object a line.
//!
//! What the agent read from the machine is an event, so a recording needs nothing else to give the same incidents.
//! Messages that `traffic` makes are not kept; they follow from the bytes. Bounded: past the size limit events are
//! counted, not written, and the count is the last line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use minesweep_model::{Event, FORMAT};
use serde::{Deserialize, Serialize};

use crate::Config;

/// Largest recording, bytes.
const LIMIT_BYTES: u64 = 1 << 30;

/// Longest line a reader takes, bytes: a look with 64 KiB of clues is far below.
const LINE_BYTES: u64 = 4 << 20;

/// First line of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the form.
    pub minesweep_recording: u32,
    /// Settings of the run.
    pub config: Config,
    /// The agent's pid, which is never judged.
    pub own_pid: Option<u32>,
}

/// Last line of a recording that met its limit.
#[derive(Debug, Serialize, Deserialize)]
struct Footer {
    events_not_recorded: u64,
}

/// Writes a recording.
pub struct Recorder {
    out: BufWriter<File>,
    path: PathBuf,
    written: u64,
    dropped: u64,
}

impl Recorder {
    /// Starts a new recording, readable by its owner only: it holds command lines and first bytes of flows. It takes
    /// the place of an older file of that name, whoever could read that one.
    ///
    /// # Errors
    /// When the file cannot be created, or the name is a link, a folder or a device.
    pub fn create(path: &Path, config: &Config, own_pid: Option<u32>) -> Result<Self, RecordingError> {
        let unwritable = |source| RecordingError::Unwritable { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Ok(old) if old.is_file() => fs::remove_file(path).map_err(unwritable)?,
            Ok(_) => return Err(RecordingError::NotFile { path: path.to_owned() }),
            // A missing file is as it should be; other troubles are told when it is made.
            Err(_) => {}
        }
        // A link that came in between is an error here, for `create_new` follows none.
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
        let mut recorder = Self { out: BufWriter::new(file), path: path.to_owned(), written: 0, dropped: 0 };
        recorder.line(&Header { minesweep_recording: FORMAT, config: config.clone(), own_pid })?;
        Ok(recorder)
    }

    /// Adds one event.
    ///
    /// # Errors
    /// When the disk refuses it.
    pub fn event(&mut self, event: &Event) -> Result<(), RecordingError> {
        if self.written >= LIMIT_BYTES {
            self.dropped += 1;
            return Ok(());
        }
        self.line(event)
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// When the disk refuses the rest.
    pub fn finish(mut self) -> Result<(), RecordingError> {
        if self.dropped > 0 {
            self.line(&Footer { events_not_recorded: self.dropped })?;
        }
        self.out.flush().map_err(|source| RecordingError::Unwritable { path: self.path.clone(), source })
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), RecordingError> {
        let unwritable = |source| RecordingError::Unwritable { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(value).map_err(io::Error::from).map_err(unwritable)?;
        line.push(b'\n');
        self.written += line.len() as u64;
        self.out.write_all(&line).map_err(unwritable)
    }
}

/// Reads a recording, one event at a time.
pub struct Recording {
    lines: BufReader<Box<dyn Read>>,
    path: PathBuf,
    number: u64,
    /// The first line.
    pub header: Header,
}

impl Recording {
    /// True when the first bytes are those of a recording.
    pub fn recognises(start: &[u8]) -> bool {
        start.starts_with(b"{\"minesweep_recording\"")
    }

    /// Opens a recording.
    ///
    /// # Errors
    /// When it cannot be read, is not a recording, or is of a newer form.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let unreadable = |source| RecordingError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut lines = BufReader::new(Box::new(file) as Box<dyn Read>);
        let first = read_line(&mut lines).map_err(unreadable)?.unwrap_or_default();
        let broken = |source| RecordingError::Line { path: path.to_owned(), number: 1, source };
        let version: Version = serde_json::from_slice(&first).map_err(broken)?;
        if version.minesweep_recording > FORMAT {
            return Err(RecordingError::Newer {
                path: path.to_owned(),
                version: version.minesweep_recording,
            });
        }
        let header = serde_json::from_slice(&first).map_err(broken)?;
        Ok(Self { lines, path: path.to_owned(), number: 1, header })
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// When a line cannot be read or is not an event; the error names the line.
    pub fn next_event(&mut self) -> Result<Option<Event>, RecordingError> {
        let unreadable = |source| RecordingError::Unreadable { path: self.path.clone(), source };
        let Some(line) = read_line(&mut self.lines).map_err(unreadable)? else { return Ok(None) };
        self.number += 1;
        if line.last() != Some(&b'\n') {
            // The agent that wrote it was killed, or the disk was full: what came before is whole.
            tracing::warn!(path = %self.path.display(), line = self.number, "the recording was cut off; its last line is left out");
            return Ok(None);
        }
        if serde_json::from_slice::<Footer>(&line).is_ok() {
            return Ok(None);
        }
        serde_json::from_slice(&line).map(Some).map_err(|source| RecordingError::Line {
            path: self.path.clone(),
            number: self.number,
            source,
        })
    }
}

#[derive(Deserialize)]
struct Version {
    minesweep_recording: u32,
}

pub(crate) fn read_line(lines: &mut BufReader<Box<dyn Read>>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = lines.take(LINE_BYTES).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() as u64 == LINE_BYTES {
        return Err(io::Error::other("a line is longer than 4 MiB"));
    }
    Ok(Some(line))
}

/// Why a recording is not written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be written.
    #[error("cannot write the recording {path}; choose a folder that exists and has room")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Writing to it would write elsewhere, or to no file at all.
    #[error("cannot write the recording {path}: it is a link, a folder or a device; name a file, new or old")]
    NotFile {
        /// The name.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {path}; check the name and its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A line is not understood.
    #[error("line {number} of {path} is not part of a recording made by watch --record")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: u64,
        /// The parser's answer.
        #[source]
        source: serde_json::Error,
    },
    /// A line is no record.
    #[error("line {number} of {path} is not a JSON object of Sigma's field names with category and product")]
    Record {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        number: u64,
        /// The parser's answer.
        #[source]
        source: serde_json::Error,
    },
    /// It was written by a newer version.
    #[error("{path} has recording format {version}, this version reads up to {FORMAT}; update minesweep")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use minesweep_model::{Host, What};

    use super::*;

    #[test]
    fn a_recording_of_a_killed_agent_gives_all_but_the_line_that_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.jsonl");
        let event = |at_ms| Event { at_ms, what: What::Host(Host::default()) };
        let mut recorder = Recorder::create(&path, &Config::default(), None).unwrap();
        (1..=2).for_each(|at_ms| recorder.event(&event(at_ms)).unwrap());
        recorder.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let mut recording = Recording::open(&path).unwrap();
        assert_eq!(recording.next_event().unwrap().map(|event| event.at_ms), Some(1));
        assert!(recording.next_event().unwrap().is_none());
        std::fs::write(&path, [&whole[..whole.len() - 3], b"\n"].concat()).unwrap();
        let mut recording = Recording::open(&path).unwrap();
        assert!(recording.next_event().is_ok());
        assert!(matches!(recording.next_event(), Err(RecordingError::Line { number: 3, .. })));
    }
    #[test]
    fn an_older_file_is_replaced_by_one_that_only_its_owner_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("run.jsonl"), dir.path().join("other"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        fs::hard_link(&path, &other).unwrap();
        Recorder::create(&path, &Config::default(), None).unwrap().finish().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Recording::open(&path).is_ok());
        assert_eq!(fs::read_to_string(&other).unwrap(), "old", "another name of the old file was written to");
    }

    #[test]
    fn a_link_a_folder_and_a_device_are_refused_by_name_and_stay_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link, dangling) =
            (dir.path().join("precious"), dir.path().join("link"), dir.path().join("dangling"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        symlink(dir.path().join("none"), &dangling).unwrap();
        for path in [&link, &dangling, &dir.path().to_owned(), &PathBuf::from("/dev/null")] {
            let error = Recorder::create(path, &Config::default(), None).err().unwrap();
            assert!(matches!(error, RecordingError::NotFile { .. }), "{error:?}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert!(link.is_symlink() && dangling.is_symlink() && !dir.path().join("none").exists());
    }
}

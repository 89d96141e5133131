//! The journal files of this machine that are being written.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use minesweep_model::LogLine;

use super::{
    file::{From, open_regular},
    journal::{BadJournal, Position},
};

/// Persistent and volatile; each has a folder a machine id.
const ROOTS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// Most files followed: one of the system and one of each user who logged in.
const FILES_LIMIT: usize = 64;

/// All journal files that are being written.
#[derive(Debug, Default)]
pub(super) struct Journals {
    files: Vec<Journal>,
    passed: u64,
    broken: u64,
}

#[derive(Debug)]
struct Journal {
    path: PathBuf,
    id: (u64, u64),
    file: File,
    position: Position,
}

impl Journals {
    /// Finds them; the answer is the folders they are in.
    pub(super) fn search(&mut self, from: From) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for root in ROOTS {
            let Ok(machines) = fs::read_dir(root) else { continue };
            folders.push(PathBuf::from(root));
            for machine in machines.flatten().take(FILES_LIMIT) {
                self.search_folder(&machine.path(), from);
                folders.push(machine.path());
            }
        }
        folders
    }

    fn search_folder(&mut self, folder: &Path, from: From) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // Those with an `@` are full and closed.
            let is_live = name.ends_with(".journal") && !name.contains('@');
            if is_live {
                self.follow_once(&path, from);
            }
        }
    }

    /// Follows one, unless it is followed already.
    pub(super) fn follow_once(&mut self, path: &Path, from: From) {
        if self.files.len() < FILES_LIMIT && !self.files.iter().any(|file| file.path == path) {
            self.follow(path.to_owned(), from);
        }
    }

    fn follow(&mut self, path: PathBuf, from: From) {
        let Ok((file, id, _)) = open_regular(&path) else { return };
        let position = match from {
            From::End => Position::end(&file),
            From::Start => Position::start(&file),
        };
        match position {
            Ok(position) => self.files.push(Journal { path, id, file, position }),
            // One that is just being made is found again.
            Err(BadJournal::NoJournal) => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "a journal is not read"),
        }
    }

    /// Appends new lines. True when more waits.
    pub(super) fn read(&mut self, limit: usize, out: &mut Vec<LogLine>) -> bool {
        let full = out.len().saturating_add(limit);
        let mut has_more = false;
        let (mut passed, mut broken) = (0, 0);
        self.files.retain_mut(|journal| {
            let room = full.saturating_sub(out.len());
            let before = journal.position.passed;
            let read = journal.position.read(&journal.file, room, out);
            passed += journal.position.passed - before;
            match read {
                Ok(more) => has_more |= more,
                Err(error) => {
                    tracing::warn!(path = %journal.path.display(), %error, "a journal is read no further");
                    broken += 1;
                    journal.position = match Position::end(&journal.file) {
                        Ok(position) => position,
                        Err(_) => return false,
                    };
                }
            }
            true
        });
        self.passed += passed;
        self.broken += broken;
        has_more
    }

    /// A journal that is full gets another name, and a new one takes its place.
    pub(super) fn look_again(&mut self) {
        let mut gone = Vec::new();
        self.files.retain(|journal| {
            let now = fs::symlink_metadata(&journal.path).ok().map(|meta| (meta.dev(), meta.ino()));
            let is_same = now == Some(journal.id);
            if !is_same {
                gone.push(journal.path.clone());
            }
            is_same
        });
        for path in gone {
            self.follow(path, From::Start);
        }
    }

    /// Messages that were compressed, and files that were broken.
    pub(super) fn lost(&self) -> u64 {
        self.passed + self.broken
    }
}

//! Lines of this machine's logs, as they are written: files of the log daemon and of services, and the journal.
//!
//! Reads only what is new since the start, starts no program and needs no library of systemd. Files are found by name
//! in one table and in the settings. The kernel tells of changes (inotify); where it does not, files are looked at four
//! times a second. What is cut, passed over or broken is counted.

mod file;
mod head;
mod journal;
mod journals;
mod lines;
mod twice;
mod wtmp;

use std::{
    ffi::OsStr,
    fs, io,
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use minesweep_model::{HookCount, LogLine};
use rustix::fs::inotify;

use self::{
    file::{Followed, From},
    journals::Journals,
    twice::Twice,
};
pub use self::{
    head::{Form, Head, parse},
    journal::{BadJournal, Bytes, Position},
    wtmp::past_logins,
};

/// Most lines handed over at once.
pub const LINES_AT_ONCE: usize = 4096;
/// Files are looked at this often when nothing tells of a change.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Names and folders are looked at anew this often.
const SEARCH_EVERY: Duration = Duration::from_secs(10);
/// After a name came or went: many come at once.
const SEARCH_SOON: Duration = Duration::from_millis(100);
/// Most files followed at once.
const FILES_LIMIT: usize = 128;

/// One row of the table: a file, or all of a folder with an ending.
struct Row {
    folder: &'static str,
    /// A name, or `*` and an ending.
    name: &'static str,
    form: Form,
    /// Who logs there, where lines do not say.
    program: &'static str,
}

const fn row(folder: &'static str, name: &'static str, form: Form, program: &'static str) -> Row {
    Row { folder, name, form, program }
}

/// Where programs log. Debian and its kin write `auth.log` and `syslog`, Red Hat's `secure` and `messages`.
const TABLE: [Row; 17] = [
    row("/var/log", "auth.log", Form::Syslog, ""),
    row("/var/log", "secure", Form::Syslog, ""),
    row("/var/log", "syslog", Form::Syslog, ""),
    row("/var/log", "messages", Form::Syslog, ""),
    row("/var/log", "cron", Form::Syslog, ""),
    row("/var/log", "cron.log", Form::Syslog, ""),
    row("/var/log", "mail.log", Form::Syslog, ""),
    row("/var/log", "maillog", Form::Syslog, ""),
    row("/var/log/audit", "audit.log", Form::Bare, "auditd"),
    row("/var/log", "vsftpd.log", Form::Vsftpd, "vsftpd"),
    row("/var/log", "mysqld.log", Form::Mysql, "mysqld"),
    row("/var/log/mysql", "error.log", Form::Mysql, "mysqld"),
    row("/var/log/mariadb", "mariadb.log", Form::Mysql, "mariadbd"),
    row("/var/log/postgresql", "*.log", Form::Postgres, "postgres"),
    row("/var/lib/pgsql/data/log", "*.log", Form::Postgres, "postgres"),
    row("/var/log/redis", "*.log", Form::Redis, "redis-server"),
    row("/var/log/dovecot", "*.log", Form::Syslog, "dovecot"),
];

/// A file that the owner of the machine names; one that ends in `.journal` is read as a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its path.
    pub path: PathBuf,
    /// Who logs there, where lines do not say.
    pub program: String,
}

/// Reads the logs of this machine.
pub struct Reader {
    files: Vec<Followed>,
    journals: Journals,
    extra: Vec<Extra>,
    notify: Option<OwnedFd>,
    twice: Twice,
    buffer: Vec<u8>,
    next_look: Instant,
    next_search: Instant,
    /// Lines that wait in what was looked at last.
    has_more: bool,
    lines: u64,
    unread: u64,
}

impl Reader {
    /// Starts at the end of every log that is there.
    pub fn start(extra: &[Extra]) -> Self {
        let notify = match inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC) {
            Ok(fd) => Some(fd),
            Err(error) => {
                tracing::info!(%error, "the kernel does not tell of changes, so logs are looked at in turn");
                None
            }
        };
        let now = Instant::now();
        let mut reader = Self {
            files: Vec::new(),
            journals: Journals::default(),
            extra: extra.to_vec(),
            notify,
            twice: Twice::default(),
            buffer: Vec::new(),
            next_look: now,
            next_search: now + SEARCH_EVERY,
            has_more: false,
            lines: 0,
            unread: 0,
        };
        reader.search(From::End);
        reader
    }

    /// A descriptor that becomes readable when a log may have changed, for who waits for something else as well.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn wake(&self) -> io::Result<Option<OwnedFd>> {
        self.notify.as_ref().map(OwnedFd::try_clone).transpose()
    }

    /// Appends new lines, at most [`LINES_AT_ONCE`]. True when more waits.
    pub fn read(&mut self, out: &mut Vec<LogLine>) -> bool {
        let now = Instant::now();
        let (has_changed, has_new_names) = self.changes();
        if !has_changed && !self.has_more && now < self.next_look {
            return false;
        }
        self.next_look = now + LOOK_EVERY;
        let from = out.len();
        let mut has_more = self.read_files(out, now);
        if has_new_names || self.notify.is_none() {
            self.files.iter_mut().for_each(Followed::look_again);
            self.journals.look_again();
            has_more |= self.read_files(out, now);
            self.next_search = self.next_search.min(now + SEARCH_SOON);
        }
        if now >= self.next_search {
            self.next_search = now + SEARCH_EVERY;
            self.search(From::Start);
            has_more = true;
        }
        has_more |= self.read_journals(out, now);
        self.lines += (out.len() - from) as u64;
        self.has_more = has_more;
        has_more
    }

    /// Lines read, and those that were cut, passed over or could not be read.
    pub fn count(&self) -> HookCount {
        let of_files: u64 = self.files.iter().map(|file| file.cut() + file.passed).sum();
        let lost = of_files + self.journals.lost() + self.unread;
        HookCount { hook: "log".to_owned(), made: self.lines + lost, seen: self.lines, lost }
    }

    fn read_files(&mut self, out: &mut Vec<LogLine>, now: Instant) -> bool {
        let Self { files, buffer, twice, unread, .. } = self;
        let mut has_more = false;
        for file in files {
            if out.len() >= LINES_AT_ONCE {
                return true;
            }
            let (source, form, program) = (file.path.display().to_string(), file.form, file.program.clone());
            let read = file.read(buffer, |text| {
                let Head { program, pid, text } = parse(form, &program, text);
                let line = LogLine {
                    source: source.clone(),
                    program: program.to_owned(),
                    pid,
                    text: text.to_owned(),
                };
                if !program.is_empty() && twice.is_news(&line, false, now) {
                    out.push(line);
                }
            });
            match read {
                Ok(more) => has_more |= more,
                Err(error) => {
                    *unread += 1;
                    tracing::warn!(path = %file.path.display(), %error, "a log cannot be read");
                }
            }
        }
        has_more
    }

    fn read_journals(&mut self, out: &mut Vec<LogLine>, now: Instant) -> bool {
        let from = out.len();
        let has_more = self.journals.read(LINES_AT_ONCE.saturating_sub(from), out);
        let new = out.split_off(from);
        out.extend(new.into_iter().filter(|line| self.twice.is_news(line, true, now)));
        has_more
    }

    /// Whether the kernel tells of a change, and whether a name came or went.
    fn changes(&mut self) -> (bool, bool) {
        let Some(notify) = &self.notify else { return (false, false) };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(notify.as_fd(), &mut buffer);
        let (mut has_changed, mut has_new_names) = (false, false);
        // Fails with EAGAIN once all were taken.
        while let Ok(event) = events.next() {
            has_changed = true;
            has_new_names |= !event.events().contains(inotify::ReadFlags::MODIFY);
        }
        (has_changed, has_new_names)
    }

    /// Finds the files of the table, and watches their folders.
    fn search(&mut self, from: From) {
        for row in &TABLE {
            let folder = Path::new(row.folder);
            match row.name.strip_prefix('*') {
                None => self.follow(&folder.join(row.name), row.form, row.program, from),
                Some(ending) => {
                    for path in with_ending(folder, ending) {
                        self.follow(&path, row.form, row.program, from);
                    }
                }
            }
            self.watch(folder);
        }
        for Extra { path, program } in self.extra.clone() {
            if path.extension() == Some(OsStr::new("journal")) {
                self.journals.follow_once(&path, from);
            } else {
                self.follow(&path, Form::Syslog, &program, from);
            }
            self.watch(path.parent().unwrap_or(Path::new("/")));
        }
        for folder in self.journals.search(from) {
            self.watch(&folder);
        }
    }

    fn follow(&mut self, path: &Path, form: Form, program: &str, from: From) {
        if let Some(file) = self.files.iter_mut().find(|file| file.path == path) {
            file.look_again();
            return;
        }
        let followed = Followed::new(path.to_owned(), form, program, from);
        if followed.is_open() && self.files.len() < FILES_LIMIT {
            self.files.push(followed);
        }
    }

    fn watch(&self, folder: &Path) {
        use inotify::WatchFlags;
        let Some(notify) = &self.notify else { return };
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        match inotify::add_watch(notify, folder, flags) {
            // Watched again, it is still watched once.
            Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => tracing::info!(path = %folder.display(), %error, "a folder of logs is not watched"),
        }
    }
}

/// Files of a folder with that ending, at most as many as are followed.
fn with_ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let has_ending =
        |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.ends_with(ending));
    entries.flatten().map(|entry| entry.path()).filter(has_ending).take(FILES_LIMIT).collect()
}

#[cfg(test)]
mod tests;

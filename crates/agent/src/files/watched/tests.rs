//! What waits, for how long, and what does not wait. Time is handed in; a file is said never to rest.

use std::{fs, path::PathBuf};

use minesweep_model::FileId;

use super::*;
use crate::Config;

/// A harmless stand-in: the strings that the rule for xmrig asks for, and nothing that runs.
const STAND_IN: &[u8] =
    b"\x7fELF\x02\x01RandomX\x03\0keepalived\0job_id\0donate-level\0huge-pages-jit\0pause-on-battery\0";

struct Ground {
    _folder: tempfile::TempDir,
    path: PathBuf,
    files: WatchedFiles,
    now: Instant,
}

impl Ground {
    /// A file of these bytes, and the thread, to which a file has rested after `rested`.
    fn new(bytes: &[u8], rested: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, bytes).unwrap();
        let rules = crate::load_rules(&Config::default()).unwrap();
        let files = WatchedFiles::start_with(rules, rested).unwrap();
        Self { _folder: folder, path, files, now: Instant::now() }
    }

    fn text(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    fn note(&mut self, what: What) {
        self.files.note(&Event { at_ms: 0, what }, self.now);
    }

    fn write(&mut self) {
        let path = self.text();
        self.note(What::File(Box::new(FileEvent {
            process: key(),
            act: FileAct::Write,
            path,
            other: None,
            file: None::<FileId>,
            value: None,
            is_done: true,
            mounts: None,
            name: None,
        })));
    }

    /// A program that starts with this file as its script.
    fn run_as_script(&mut self) {
        let process = Process {
            exe: "/usr/bin/dash".to_owned(),
            argv: vec!["sh".to_owned(), "file".to_owned()],
            cwd: self.path.parent().unwrap().to_str().unwrap().to_owned(),
            ..Process::unknown(key())
        };
        self.note(What::Exec(Box::new(process)));
    }

    /// What is told once the looks that are due after this long are over.
    fn after(&mut self, wait: Duration) -> Vec<Scanned> {
        self.now += wait;
        let mut told = self.files.matched(self.now);
        while self.files.pending > 0 {
            thread::yield_now();
            told.extend(self.files.matched(self.now));
        }
        told
    }
}

fn key() -> ProcessKey {
    ProcessKey { pid: std::process::id(), start_ticks: 1 }
}

const AT_ONCE: Duration = Duration::ZERO;
const NEVER: Duration = Duration::MAX;
const JUST: Duration = Duration::from_millis(1);

#[test]
fn a_written_file_is_read_once_it_rests_and_not_before_its_time() {
    let mut ground = Ground::new(STAND_IN, AT_ONCE);
    ground.write();
    assert!(ground.after(SETTLED - JUST).is_empty());
    let told = ground.after(JUST);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].path.clone(), told[0].occasion), (ground.text(), Occasion::Written));
    assert!(ground.after(SETTLED * 1000).is_empty());
    assert_eq!(ground.files.pending(), 0);
}

#[test]
fn a_file_that_does_not_rest_is_looked_at_ever_later_and_read_all_the_same() {
    let mut ground = Ground::new(&STAND_IN[..20], NEVER);
    ground.write();
    let mut waited = Duration::ZERO;
    for look in 0..PATIENT {
        let wait = SETTLED * (1 << look);
        waited += wait;
        assert!(ground.after(wait).is_empty(), "look {look}");
    }
    // What a slow download brings late is read too.
    fs::write(&ground.path, STAND_IN).unwrap();
    let last = SETTLED * (1 << PATIENT);
    assert!(ground.after(last - JUST).is_empty());
    assert_eq!(ground.after(JUST).len(), 1);
    assert!(waited + last < Duration::from_secs(80));
    for look in PATIENT + 1..=LAST {
        ground.after(SETTLED * (1 << look));
    }
    assert_eq!(ground.files.pending(), 0, "there is a last look");
}

#[test]
fn writing_again_does_not_put_the_look_off() {
    let mut ground = Ground::new(STAND_IN, AT_ONCE);
    ground.write();
    assert!(ground.after(SETTLED - JUST).is_empty());
    ground.write();
    assert_eq!(ground.after(JUST).len(), 1);
}

#[test]
fn a_script_that_is_run_as_soon_as_it_is_written_is_read_at_once() {
    let mut ground = Ground::new(STAND_IN, NEVER);
    ground.write();
    ground.run_as_script();
    assert_eq!(ground.after(Duration::ZERO).len(), 1);
}

#[test]
fn a_file_that_begins_like_no_program_is_not_read() {
    let mut ground = Ground::new(&[b"text ", STAND_IN].concat(), AT_ONCE);
    ground.write();
    assert!(ground.after(SETTLED).is_empty());
    assert_eq!(ground.files.count().seen, 1);
}

#[test]
fn files_beyond_those_that_may_wait_are_counted() {
    let mut ground = Ground::new(STAND_IN, AT_ONCE);
    let path = ground.path.clone();
    for number in 0..=WAITING {
        ground.path = path.with_file_name(number.to_string());
        ground.write();
    }
    assert_eq!(ground.files.count().lost, 1);
    assert_eq!(ground.files.pending(), WAITING);
}

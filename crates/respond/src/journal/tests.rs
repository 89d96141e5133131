use std::{fs, io::Write, os::unix::fs::PermissionsExt};

use minesweep_model::FileId;
use tempfile::TempDir;

use super::*;

const BY: ProcessKey = ProcessKey { pid: 7, start_ticks: 70 };

fn open(folder: &Path) -> Journal {
    Journal::open(folder, "boot", BY).unwrap()
}

fn freeze(pid: u32) -> Intent {
    let process = ProcessKey { pid, start_ticks: 5 };
    Intent {
        action: Action::Freeze { process },
        inverse: Inverse::Action(Action::Thaw { process }),
        target: Target {
            key: process,
            exe: "/tmp/x\n\u{7f}é".to_owned(),
            file: Some(FileId { dev: 1, inode: 2 }),
        },
    }
}

fn kill(pid: u32) -> Intent {
    let process = ProcessKey { pid, start_ticks: 5 };
    Intent { action: Action::Kill { process }, inverse: Inverse::None("no".to_owned()), ..freeze(pid) }
}

fn done(id: u64) -> Note {
    Note { id, state: EntryState::Done, text: String::new() }
}

fn ids(journal: &Journal) -> Vec<u64> {
    journal.open_entries().map(|entry| entry.id).collect()
}

fn current(folder: &TempDir) -> PathBuf {
    folder.path().join("journal.jsonl")
}

#[test]
fn an_entry_is_on_disk_before_plan_returns_and_comes_back_whole() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    assert_eq!(journal.plan(10, "inc-1", &[freeze(100), kill(101)]).unwrap(), [1, 2]);
    journal.note(11, &[done(1), done(2)]).unwrap();

    let read = entries(folder.path(), 10).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].id, read[0].set, read[1].set), (1, 1, 1));
    assert_eq!((read[0].at_ms, read[0].changed_ms, read[0].state), (10, 11, EntryState::Done));
    assert_eq!(
        (&read[0].action, &read[0].inverse, &read[0].target),
        (&freeze(100).action, &freeze(100).inverse, &freeze(100).target)
    );
    assert_eq!((read[0].by, read[0].boot_id.as_str(), read[0].cause.as_str()), (BY, "boot", "inc-1"));

    let journal = open(folder.path());
    assert_eq!(ids(&journal), [1], "a kill has nothing to undo");
    assert_eq!(journal.damaged(), 0);
}

#[test]
fn every_state_but_planned_done_and_undoing_closes_an_entry() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    let states = [
        (EntryState::Planned, true),
        (EntryState::Done, true),
        (EntryState::Undoing, true),
        (EntryState::Already, false),
        (EntryState::Gone, false),
        (EntryState::Failed, false),
        (EntryState::Undone, false),
        (EntryState::Closed, false),
    ];
    for (state, stays_open) in states {
        let id = journal.plan(1, "c", &[freeze(1)]).unwrap()[0];
        journal.note(2, &[Note { id, state, text: String::new() }]).unwrap();
        assert_eq!(journal.open_entry(id).is_some(), stays_open, "{state:?}");
        assert_eq!(open(folder.path()).open_entry(id).is_some(), stays_open, "{state:?} read again");
    }
}

#[test]
fn a_last_line_torn_at_any_byte_is_passed_over_and_counted_once() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    journal.plan(1, "whole", &[freeze(1)]).unwrap();
    let whole = fs::read(current(&folder)).unwrap();
    journal.plan(2, "torn", &[freeze(2)]).unwrap();
    let both = fs::read(current(&folder)).unwrap();

    // Without its last byte the line is whole but for its end, and counts as written.
    fs::write(current(&folder), &both[..both.len() - 1]).unwrap();
    assert_eq!((ids(&open(folder.path())), open(folder.path()).damaged()), (vec![1, 2], 0));
    assert_eq!(open(folder.path()).plan(3, "after", &[freeze(3)]).unwrap(), [3]);
    assert_eq!(ids(&open(folder.path())), [1, 2, 3]);

    for end in whole.len() + 1..both.len() - 1 {
        fs::write(current(&folder), &both[..end]).unwrap();
        let mut journal = open(folder.path());
        assert_eq!((ids(&journal), journal.damaged()), (vec![1], 1), "cut at {end}");
        assert_eq!(journal.plan(3, "after", &[freeze(3)]).unwrap(), [2]);
        let journal = open(folder.path());
        assert_eq!((ids(&journal), journal.damaged()), (vec![1, 2], 1), "written after a cut at {end}");
    }
}

#[test]
fn a_damaged_line_in_the_middle_hides_no_other_line() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    journal.plan(1, "c", &[freeze(1)]).unwrap();
    let long = vec![b'x'; 200_000];
    for junk in [
        &b"\xff\xfe\x00\n"[..],
        b"{}\n",
        b"{\"v\":1}\n",
        b"{\"v\":1,\"kind\":\"entry\"}\n",
        b"[1]\n",
        &[&long[..], b"\n"].concat(),
    ] {
        fs::OpenOptions::new().append(true).open(current(&folder)).unwrap().write_all(junk).unwrap();
    }
    assert_eq!(journal.plan(2, "c", &[freeze(2)]).unwrap(), [2]);
    assert_eq!(ids(&open(folder.path())), [1, 2]);
    assert!(open(folder.path()).damaged() >= 6);
}

#[test]
fn a_newer_journal_is_refused_by_name_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    journal.plan(1, "c", &[freeze(1)]).unwrap();
    let newer = format!("{{\"v\":{},\"kind\":\"something\",\"else\":true}}\n", minesweep_model::FORMAT + 1);
    fs::OpenOptions::new().append(true).open(current(&folder)).unwrap().write_all(newer.as_bytes()).unwrap();
    let before = fs::read(current(&folder)).unwrap();

    let refused = Journal::open(folder.path(), "boot", BY).err().unwrap();
    assert!(
        matches!(&refused, JournalError::Newer { path, found: 2 } if *path == current(&folder)),
        "{refused}"
    );
    assert!(refused.to_string().contains("journal.jsonl is of version 2"), "{refused}");
    assert!(matches!(entries(folder.path(), 9).unwrap_err(), JournalError::Newer { .. }));
    assert!(
        matches!(journal.plan(2, "c", &[freeze(2)]).unwrap_err(), JournalError::Newer { .. }),
        "also in mid-run"
    );
    assert!(matches!(journal.note(2, &[done(1)]).unwrap_err(), JournalError::Newer { .. }));
    assert_eq!(fs::read(current(&folder)).unwrap(), before);
}

#[test]
fn two_journals_of_one_folder_never_give_the_same_id_and_see_each_other() {
    let folder = TempDir::new().unwrap();
    let (mut agent, mut undo) = (open(folder.path()), open(folder.path()));
    assert_eq!(agent.plan(1, "a", &[freeze(1)]).unwrap(), [1]);
    assert_eq!(undo.plan(2, "b", &[freeze(2)]).unwrap(), [2]);
    assert_eq!(agent.plan(3, "c", &[freeze(3)]).unwrap(), [3]);
    undo.note(4, &[Note { id: 1, state: EntryState::Undone, text: String::new() }]).unwrap();
    assert_eq!(ids(&agent), [1, 2, 3]);
    agent.refresh().unwrap();
    assert_eq!(ids(&agent), [2, 3]);
}

#[test]
fn a_lock_that_is_not_let_go_is_an_error_and_not_a_wait_without_end() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    let lock = File::open(folder.path().join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    assert!(matches!(journal.plan(1, "c", &[freeze(1)]).unwrap_err(), JournalError::Busy(_)));
    drop(lock);
    assert_eq!(journal.plan(1, "c", &[freeze(1)]).unwrap(), [1]);
}

#[test]
fn rotation_keeps_four_old_files_and_every_open_entry() {
    let folder = TempDir::new().unwrap();
    let (mut journal, mut other) = (open(folder.path()), open(folder.path()));
    journal.limit_bytes = 2000;
    let kept = journal.plan(1, "kept", &[freeze(1)]).unwrap()[0];
    let mut last = kept;
    for at_ms in 2..60 {
        last = journal.plan(at_ms, "closed", &[freeze(2)]).unwrap()[0];
        journal.note(at_ms, &[Note { id: last, state: EntryState::Undone, text: String::new() }]).unwrap();
    }
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["journal.1.jsonl", "journal.2.jsonl", "journal.3.jsonl", "journal.4.jsonl", "journal.jsonl", "lock"]
    );
    assert_eq!(last, 59);
    assert_eq!(ids(&open(folder.path())), [kept]);
    other.refresh().unwrap();
    assert_eq!(ids(&other), [kept], "also for one that had the old file open");
    assert_eq!(other.plan(99, "next", &[freeze(3)]).unwrap(), [60]);
    let read = entries(folder.path(), 5).unwrap();
    assert_eq!(read.iter().map(|entry| entry.id).collect::<Vec<_>>(), [56, 57, 58, 59, 60]);
}

#[test]
fn a_journal_that_was_deleted_begins_again_with_what_is_open() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    journal.plan(1, "c", &[freeze(1)]).unwrap();
    fs::remove_file(current(&folder)).unwrap();
    assert_eq!(journal.plan(2, "c", &[freeze(2)]).unwrap(), [2]);
    assert_eq!(ids(&open(folder.path())), [1, 2]);
}

#[test]
fn more_open_entries_than_the_limit_are_refused_before_a_change() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    let many: Vec<Intent> = (0..4096).map(freeze).collect();
    journal.plan(1, "c", &many).unwrap();
    let full = journal.plan(2, "c", &[freeze(9)]).unwrap_err();
    assert!(matches!(full, JournalError::Full(4096)), "{full}");
    assert_eq!(open(folder.path()).open_entries().count(), 4096);
}

#[test]
fn texts_of_any_length_are_cut_and_their_line_is_read_again() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path());
    let mut intent = freeze(1);
    intent.target.exe = "\u{1}é".repeat(100_000);
    journal.plan(1, &"\u{1}".repeat(100_000), &[intent]).unwrap();
    journal.note(2, &[Note { id: 1, state: EntryState::Done, text: "ü".repeat(100_000) }]).unwrap();
    let journal = open(folder.path());
    let entry = journal.open_entry(1).unwrap();
    assert_eq!((entry.cause.len(), entry.note.len()), (1024, 1024));
    assert!(entry.target.exe.len() > 4000 && entry.target.exe.len() <= 4096);
}

#[test]
fn the_folder_and_its_files_are_closed_to_others() {
    let folder = TempDir::new().unwrap();
    let inside = folder.path().join("a/journal");
    open(&inside).plan(1, "c", &[freeze(1)]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inside), 0o700);
    for name in ["journal.jsonl", "lock"] {
        assert_eq!(mode(&inside.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_link_in_place_of_the_journal_is_not_followed() {
    let folder = TempDir::new().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    std::os::unix::fs::symlink(&elsewhere, current(&folder)).unwrap();
    assert!(Journal::open(folder.path(), "boot", BY).is_err());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
}

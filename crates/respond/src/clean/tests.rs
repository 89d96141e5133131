use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use minesweep_model::{
    Text,
    clean::{CleanStep, Form, Phase, Place, Risk, TextLine},
};
use rustix::fs::{IFlags, Mode, XattrFlags, ioctl_getflags, ioctl_setflags, setxattr};

use super::*;
use crate::{Options, Undo, disk::hex};

/// A root and a data folder of their own. Locks are taken off before they go.
struct Ground {
    held: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { held: tempfile::tempdir().unwrap() };
        fs::create_dir(ground.root()).unwrap();
        ground
    }

    fn root(&self) -> PathBuf {
        self.held.path().join("root")
    }

    fn responder(&self) -> Responder {
        Responder::start(&Options { data_dir: self.held.path().join("data") }).unwrap()
    }

    fn write(&self, path: &str, text: &[u8], mode: u32) -> PathBuf {
        let at = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, text).unwrap();
        fs::set_permissions(&at, Permissions::from_mode(mode)).unwrap();
        at
    }

    fn place(&self, path: &[u8]) -> Place {
        let disk = Disk::open(&self.root()).unwrap();
        let caught = disk.catch(path).unwrap();
        Place {
            path: Bytes(path.to_vec()),
            file: Some(caught.id),
            form: caught.form.clone(),
            size: caught.traits.size,
            sha256: caught.sha256(path).unwrap(),
        }
    }

    fn apply(&self, remedies: Vec<Remedy>) -> Vec<OutcomeState> {
        let mut responder = self.responder();
        let mut cleaning = responder.clean(&self.root(), 1).unwrap();
        let outcomes = cleaning.carry_out(&remedies.into_iter().map(step).collect::<Vec<_>>(), "test", 1);
        cleaning.end().unwrap();
        outcomes.into_iter().map(|outcome| outcome.state).collect()
    }

    fn undo(&self) -> Vec<OutcomeState> {
        let undone = self.responder().undo(Undo::Newest, 2).unwrap();
        undone.outcomes.into_iter().map(|outcome| outcome.state).collect()
    }

    /// All there is of each path: type, mode, owner, times, flags, content or target.
    fn picture(&self) -> BTreeMap<PathBuf, String> {
        let mut seen = BTreeMap::new();
        picture(&self.root(), &mut seen);
        seen
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        unlock(&self.root());
    }
}

fn unlock(folder: &Path) {
    clear(folder);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            unlock(&entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            clear(&entry.path());
        }
    }
}

fn clear(path: &Path) {
    if let Ok(file) = File::open(path)
        && let Ok(flags) = ioctl_getflags(&file)
    {
        let _ = ioctl_setflags(&file, flags - IFlags::IMMUTABLE - IFlags::APPEND);
    }
}

fn flags(path: &Path) -> u32 {
    ioctl_getflags(File::open(path).unwrap()).unwrap().bits()
}

fn lock(path: &Path) -> (u32, u32) {
    let was = flags(path);
    ioctl_setflags(File::open(path).unwrap(), IFlags::from_bits_retain(was) | IFlags::IMMUTABLE).unwrap();
    (flags(path), was)
}

fn picture(path: &Path, seen: &mut BTreeMap<PathBuf, String>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let mut text = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
    if meta.is_dir() {
        // The times of folders that stay are the folder's own; what happened in it shows.
        for entry in fs::read_dir(path).unwrap() {
            picture(&entry.unwrap().path(), seen);
        }
    } else {
        text += &format!(" {}.{}", meta.mtime(), meta.mtime_nsec());
        // Looking at a link or a locked file changes its time of access, and a test cannot set that back.
        let is_locked = meta.is_file() && flags(path) & IFlags::IMMUTABLE.bits() != 0;
        if !meta.is_symlink() && !is_locked {
            text += &format!(" {}.{}", meta.atime(), meta.atime_nsec());
        }
    }
    if meta.is_symlink() {
        text += &format!(" -> {:?}", fs::read_link(path).unwrap());
    }
    if meta.is_file() {
        let mut names = vec![0u8; 4096];
        let length = rustix::fs::listxattr(path, names.as_mut_slice()).unwrap();
        names.truncate(length);
        text += &format!(" {} {:x} {}", hex(&names), flags(path), hex(&fs::read(path).unwrap()));
        let time = rustix::fs::Timespec { tv_sec: meta.atime(), tv_nsec: meta.atime_nsec() };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: rustix::fs::Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() },
        };
        // Reading changed the time of access; a locked file keeps it anyway.
        let _ = rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty());
    }
    seen.insert(path.to_owned(), text);
}

fn step(remedy: Remedy) -> CleanStep {
    CleanStep {
        id: 1,
        phase: Phase::Remove,
        does: Does::Change(Box::new(remedy)),
        reason: Text::default(),
        evidence: Vec::new(),
        risk: Risk::Low,
        touches: Vec::new(),
    }
}

fn line(number: u32, text: &str) -> TextLine {
    TextLine { number, text: Bytes(text.as_bytes().to_vec()) }
}

fn take(place: Place) -> Remedy {
    Remedy::Quarantine { place }
}

#[test]
fn files_links_fifos_and_empty_folders_go_and_come_back_with_all_they_had() {
    let ground = Ground::new();
    let bad = ground.write("/tmp/.x/bad\n\x1b[31m", b"\x7fELF payload", 0o4755);
    setxattr(&bad, "user.note", b"kept", XattrFlags::empty()).unwrap();
    let caps = [1u8, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    setxattr(&bad, "security.capability", &caps, XattrFlags::empty()).unwrap();
    std::os::unix::fs::chown(&bad, Some(1234), Some(99)).unwrap();
    fs::set_permissions(&bad, Permissions::from_mode(0o4755)).unwrap();
    setxattr(&bad, "security.capability", &caps, XattrFlags::empty()).unwrap();
    symlink("/nowhere", ground.root().join("tmp/.x/link")).unwrap();
    let fifo = ground.root().join("tmp/.x/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::create_dir(ground.root().join("tmp/.x/empty")).unwrap();
    let before = ground.picture();

    let names: [&[u8]; 5] =
        [b"/tmp/.x/bad\n\x1b[31m", b"/tmp/.x/link", b"/tmp/.x/fifo", b"/tmp/.x/empty", b"/tmp/.x"];
    let mut remedies: Vec<Remedy> = names.iter().take(4).map(|name| take(ground.place(name))).collect();
    remedies.push(take(Place { size: 0, ..ground.place(b"/tmp/.x") }));
    assert_eq!(ground.apply(remedies), vec![OutcomeState::Done; 5]);
    assert!(!ground.root().join("tmp/.x").exists());

    assert_eq!(ground.undo(), vec![OutcomeState::Done; 5]);
    assert_eq!(ground.picture(), before);
}

#[test]
fn the_store_holds_nothing_that_a_scanner_would_find() {
    let ground = Ground::new();
    ground.write("/bad", b"a very plain marker text", 0o755);
    ground.apply(vec![take(ground.place(b"/bad"))]);
    let body = fs::read(ground.held.path().join("data/quarantine/1.body")).unwrap();
    assert_eq!(body.len(), 24);
    assert!(!body.windows(5).any(|part| part == b"plain"));
    let listed = quarantine(&ground.held.path().join("data")).unwrap();
    assert_eq!(listed.first().unwrap().as_ref().unwrap().path.0, b"/bad");
    let out = ground.held.path().join("out");
    export(&ground.held.path().join("data"), 1, &out).unwrap();
    assert_eq!(fs::read(&out).unwrap(), b"a very plain marker text");
}

#[test]
fn one_line_goes_and_every_other_byte_of_the_crontab_stays() {
    let ground = Ground::new();
    let text = b"# own\r\n*/5 * * * * /usr/bin/backup\n* * * * * /tmp/.x/go\n\xff\xfe odd\n@daily true";
    let tab = ground.write("/var/spool/cron/crontabs/root", text, 0o600);
    let before = ground.picture();
    let place = ground.place(b"/var/spool/cron/crontabs/root");
    // The number is stale: the line is found by what it says.
    let drop = Remedy::DropLines { place: place.clone(), lines: vec![line(9, "* * * * * /tmp/.x/go")] };
    assert_eq!(ground.apply(vec![drop.clone()]), vec![OutcomeState::Done]);
    assert_eq!(fs::read(&tab).unwrap(), b"# own\r\n*/5 * * * * /usr/bin/backup\n\xff\xfe odd\n@daily true");
    assert_eq!(fs::metadata(&tab).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(
        ground.apply(vec![drop]),
        vec![OutcomeState::Gone],
        "it is no longer the file that was judged"
    );
    assert_eq!(ground.undo(), vec![OutcomeState::Done]);
    assert_eq!(ground.picture(), before);
}

#[test]
fn a_locked_file_is_refused_until_its_flags_are_cleared_and_undo_locks_it_again() {
    let ground = Ground::new();
    let bad = ground.write("/etc/x/bad", b"x", 0o755);
    let (locked, free) = lock(&bad);
    let (folder_locked, folder_free) = lock(bad.parent().unwrap());
    let before = ground.picture();
    let (place, folder) = (ground.place(b"/etc/x/bad"), ground.place(b"/etc/x"));
    let [OutcomeState::Failed(why)] = &ground.apply(vec![take(place.clone())])[..] else {
        panic!("it was taken")
    };
    assert!(why.contains("chattr"), "{why}");
    let unlock = |place: Place, flags, was| Remedy::SetFlags { place, flags, was };
    let remedies =
        vec![unlock(folder, folder_free, folder_locked), unlock(place.clone(), free, locked), take(place)];
    assert_eq!(ground.apply(remedies), vec![OutcomeState::Done; 3]);
    assert!(!bad.exists());
    assert_eq!(ground.undo(), vec![OutcomeState::Done; 3]);
    assert_eq!(ground.picture(), before);
}

#[test]
fn a_replaced_command_gets_the_content_and_mode_of_the_original_that_was_moved_aside() {
    let ground = Ground::new();
    let fake = ground.write("/usr/bin/ps", b"#!/bin/sh\nfilter", 0o777);
    ground.write("/usr/bin/ps.orig", b"\x7fELF real ps", 0o755);
    let before = ground.picture();
    let replace =
        Remedy::Replace { place: ground.place(b"/usr/bin/ps"), from: ground.place(b"/usr/bin/ps.orig") };
    assert_eq!(ground.apply(vec![replace]), vec![OutcomeState::Done]);
    assert_eq!(fs::read(&fake).unwrap(), b"\x7fELF real ps");
    assert_eq!(fs::metadata(&fake).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(ground.undo(), vec![OutcomeState::Done]);
    assert_eq!(ground.picture(), before);
}

#[test]
fn what_is_no_longer_what_was_judged_stays() {
    let ground = Ground::new();
    let other = ground.write("/srv/data", b"precious", 0o644);
    let bad = ground.write("/tmp/bad", b"bad", 0o755);
    let place = ground.place(b"/tmp/bad");
    fs::remove_file(&bad).unwrap();
    symlink("/srv/data", &bad).unwrap();
    assert_eq!(ground.apply(vec![take(place.clone())]), vec![OutcomeState::Gone]);
    fs::remove_file(&bad).unwrap();
    fs::rename(&other, &bad).unwrap();
    assert_eq!(ground.apply(vec![take(place.clone())]), vec![OutcomeState::Gone]);
    assert_eq!(fs::read(&bad).unwrap(), b"precious");
    // The same inode with another content.
    let place = ground.place(b"/tmp/bad");
    fs::write(&bad, b"changed!").unwrap();
    assert_eq!(ground.apply(vec![take(place)]), vec![OutcomeState::Gone]);
}

#[test]
fn a_link_in_the_path_does_not_lead_out_of_the_root() {
    let ground = Ground::new();
    let outside = ground.held.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), b"host's own").unwrap();
    symlink(&outside, ground.root().join("way")).unwrap();
    let place = Place { path: Bytes(b"/way/f".to_vec()), form: Form::File, ..Place::default() };
    assert_eq!(ground.apply(vec![take(place)]), vec![OutcomeState::Gone]);
    assert!(outside.join("f").exists());
}

#[test]
fn what_a_person_changed_after_the_cleaning_is_not_overwritten_by_undo() {
    let ground = Ground::new();
    let hosts = ground.write("/etc/hosts", b"127.0.0.1 localhost\n0.0.0.0 mirror\n", 0o644);
    let drop =
        Remedy::DropLines { place: ground.place(b"/etc/hosts"), lines: vec![line(2, "0.0.0.0 mirror")] };
    ground.apply(vec![drop]);
    fs::write(&hosts, b"127.0.0.1 localhost\n10.0.0.1 own\n").unwrap();
    let [OutcomeState::Failed(why)] = &ground.undo()[..] else { panic!("it was overwritten") };
    assert!(why.contains("quarantine export 1"), "{why}");
    assert_eq!(fs::read(&hosts).unwrap(), b"127.0.0.1 localhost\n10.0.0.1 own\n");
}

#[test]
fn a_sparse_giant_is_refused_before_anything_is_changed() {
    let ground = Ground::new();
    let bad = ground.write("/tmp/big", b"", 0o755);
    File::options().write(true).open(&bad).unwrap().set_len(10 << 30).unwrap();
    let caught = Disk::open(&ground.root()).unwrap().catch(b"/tmp/big").unwrap();
    let place = Place {
        path: Bytes(b"/tmp/big".to_vec()),
        file: Some(caught.id),
        size: 10 << 30,
        ..Place::default()
    };
    assert!(matches!(&ground.apply(vec![take(place)])[..], [OutcomeState::Failed(_)]));
    assert!(bad.exists());
}

/// Stages at which a run is killed: with its copy and its entry, then with the file aside, then with the file gone.
#[test]
fn a_run_that_was_killed_at_any_stage_is_taken_up_in_the_same_set() {
    for stage in 0..3 {
        let ground = Ground::new();
        ground.write("/tmp/one", b"one", 0o755);
        ground.write("/tmp/two", b"two", 0o755);
        let before = ground.picture();
        let (one, two) = (ground.place(b"/tmp/one"), ground.place(b"/tmp/two"));
        {
            let mut responder = ground.responder();
            let mut cleaning = responder.clean(&ground.root(), 1).unwrap();
            assert_eq!(cleaning.carry_out(&[step(take(one.clone()))], "test", 1).len(), 1);
            // The second step ends in the middle, and the cleaner without a word.
            let bench = Bench { disk: &cleaning.disk, store: &cleaning.store, now_ms: 1 };
            let ready = bench.ready(&take(two.clone())).unwrap();
            let intent = Intent {
                action: disk_action(&cleaning.disk, take(two.clone())),
                inverse: ready.inverse,
                target: Target { key: ProcessKey { pid: 0, start_ticks: 0 }, exe: String::new(), file: None },
            };
            cleaning.responder.journal.plan(1, "test", &[intent]).unwrap();
            let at = ground.root().join("tmp/two");
            let sha256 = two.sha256.get(..12).unwrap();
            match stage {
                0 => {}
                1 => fs::rename(&at, at.with_file_name(format!(".minesweep-2-{sha256}"))).unwrap(),
                _ => fs::remove_file(&at).unwrap(),
            }
        }
        let mark = marker(&ground.held.path().join("data"));
        // The killed run is this test's process, which lives: as if it had been another one.
        let text = fs::read_to_string(&mark).unwrap();
        let mut marked: Marker = serde_json::from_str(&text).unwrap();
        marked.by.start_ticks += 1;
        fs::write(&mark, serde_json::to_vec(&marked).unwrap()).unwrap();

        let again = ground.apply(vec![take(one), take(two)]);
        let second = if stage == 0 { OutcomeState::Done } else { OutcomeState::Gone };
        assert_eq!(again, vec![OutcomeState::Gone, second], "stage {stage}");
        assert_eq!(fs::read_dir(ground.root().join("tmp")).unwrap().count(), 0, "stage {stage}");
        assert!(!mark.exists());
        assert_eq!(ground.undo(), vec![OutcomeState::Done; 2], "stage {stage}");
        assert_eq!(ground.picture(), before, "stage {stage}");
    }
}

#[test]
fn a_half_copy_of_a_killed_undo_does_not_stop_the_next_undo() {
    let ground = Ground::new();
    ground.write("/tmp/bad", b"whole content", 0o755);
    let before = ground.picture();
    let place = ground.place(b"/tmp/bad");
    ground.apply(vec![take(place.clone())]);
    let aside = format!("tmp/.minesweep-1-{}", place.sha256.get(..12).unwrap());
    fs::write(ground.root().join(aside), b"whole").unwrap();
    assert_eq!(ground.undo(), vec![OutcomeState::Done]);
    assert_eq!(ground.picture(), before);
}

#[test]
fn a_stranger_that_a_killed_run_moved_aside_goes_back_to_its_place() {
    let ground = Ground::new();
    ground.write("/tmp/bad", b"bad", 0o755);
    let disk = Disk::open(&ground.root()).unwrap();
    let store = Store::open(&ground.held.path().join("data")).unwrap();
    let bench = Bench { disk: &disk, store: &store, now_ms: 1 };
    let place = ground.place(b"/tmp/bad");
    let ready = bench.ready(&take(place.clone())).unwrap();
    // Exchanged for another file just before the run moved it aside and was killed.
    fs::remove_file(ground.root().join("tmp/bad")).unwrap();
    let aside = format!("tmp/.minesweep-1-{}", place.sha256.get(..12).unwrap());
    fs::write(ground.root().join(&aside), b"precious").unwrap();
    assert_eq!(was_made(&disk, &store, &take(place), &ready.inverse), Ok(false));
    assert_eq!(fs::read(ground.root().join("tmp/bad")).unwrap(), b"precious");
    assert!(!ground.root().join(aside).exists());
}

#[test]
fn hostile_names_and_the_other_names_of_a_hard_link_do_no_harm() {
    let ground = Ground::new();
    ground.write("/tmp/keep", b"shared", 0o644);
    let folder = ground.root().join("tmp");
    let names: [Vec<u8>; 4] =
        [vec![b'n'; 255], b"\xff\xfe\x80".to_vec(), b"-rf ; \x1b]0;x\x07\n".to_vec(), b"..x".to_vec()];
    for name in &names {
        fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    fs::hard_link(folder.join("keep"), folder.join("alias")).unwrap();
    let before = ground.picture();
    let mut remedies: Vec<Remedy> =
        names.iter().map(|name| take(ground.place(&[b"/tmp/", name.as_slice()].concat()))).collect();
    remedies.push(take(ground.place(b"/tmp/alias")));
    assert_eq!(ground.apply(remedies), vec![OutcomeState::Done; 5]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    assert_eq!(fs::metadata(folder.join("keep")).unwrap().len(), 6);
    assert_eq!(ground.undo(), vec![OutcomeState::Done; 5]);
    assert_eq!(ground.picture(), before);
}

#[test]
fn units_of_a_mounted_disk_are_not_asked_of_the_manager_that_runs() {
    let ground = Ground::new();
    let stop = Remedy::StopUnit { unit: "cron.service".to_owned() };
    assert_eq!(ground.apply(vec![stop, Remedy::ReloadUnits]), vec![OutcomeState::Already; 2]);
    let start = Remedy::StartUnit { unit: "cron.service".to_owned() };
    let [OutcomeState::Failed(why)] = &ground.apply(vec![start])[..] else { panic!("it was started") };
    assert!(why.contains("no service manager runs here"), "{why}");
}

#[test]
fn an_item_is_put_back_by_its_number_and_undo_has_nothing_left_of_it() {
    let ground = Ground::new();
    ground.write("/tmp/one", b"one", 0o711);
    ground.write("/tmp/two", b"two", 0o755);
    let before = ground.picture();
    ground.apply(vec![take(ground.place(b"/tmp/one")), take(ground.place(b"/tmp/two"))]);
    let mut responder = ground.responder();
    assert_eq!(responder.restore(1, 2).unwrap().state, OutcomeState::Done);
    assert!(matches!(responder.restore(9, 2), Err(RespondError::Store(QuarantineError::NoSuchItem(9)))));
    drop(responder);
    assert!(ground.root().join("tmp/one").exists() && !ground.root().join("tmp/two").exists());
    assert_eq!(ground.undo(), vec![OutcomeState::Done], "only the second is left");
    assert_eq!(ground.picture(), before);
    fs::remove_file(ground.root().join("tmp/two")).unwrap();
    assert_eq!(ground.responder().restore(2, 3).unwrap().state, OutcomeState::Done);
    assert_eq!(ground.picture(), before);
}

/// Random trees and random changes of them: undo gives back the tree.
#[test]
fn after_any_changes_undo_gives_back_the_same_tree() {
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    for _ in 0..12 {
        let ground = Ground::new();
        let mut paths = Vec::new();
        for at in 0..8 {
            let path = format!("/d{}/e{}/f{at}", roll(3), roll(2));
            let text: String = (0..roll(9)).map(|line| format!("line {line} of {at}\n")).collect();
            let file = ground.write(&path, text.as_bytes(), 0o600 | u32::try_from(roll(0o200)).unwrap());
            if roll(2) == 0 {
                setxattr(&file, "user.x", text.as_bytes(), XattrFlags::empty()).unwrap();
            }
            paths.push(path);
        }
        let before = ground.picture();
        let mut remedies = Vec::new();
        for path in &paths {
            let place = ground.place(path.as_bytes());
            match roll(4) {
                0 => {}
                1 => remedies.push(take(place)),
                2 => {
                    let at = path.rsplit('f').next().unwrap();
                    let lines = vec![line(2, &format!("line 1 of {at}"))];
                    remedies.push(Remedy::DropLines { place, lines });
                }
                _ => {
                    let from = ground.place(paths.first().unwrap().as_bytes());
                    remedies.push(Remedy::Replace { place, from });
                }
            }
        }
        let states = ground.apply(remedies);
        assert!(!states.iter().any(|state| matches!(state, OutcomeState::Failed(_))), "{states:?}");
        if states.contains(&OutcomeState::Done) {
            let undone = ground.undo();
            assert!(
                undone.iter().all(|state| matches!(state, OutcomeState::Done | OutcomeState::Already)),
                "{undone:?}"
            );
        }
        assert_eq!(ground.picture(), before);
    }
}

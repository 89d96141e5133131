//! One change to a disk: aimed and copied to the store first, made after its entry is in the journal.
//!
//! Nothing is deleted before the store has it, and nothing is renamed or unlinked but the very inode that was judged: a
//! name is moved aside within its folder, looked at, and moved back when it turns out to be another file.

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use minesweep_model::{
    Action, Bytes,
    clean::{Form, Place, Remedy, TextLine},
};
use rustix::{
    fs::{AtFlags, IFlags, RenameFlags, futimens, ioctl_getflags, ioctl_setflags, renameat_with, unlinkat},
    io::Errno,
    mount::{UnmountFlags, unmount},
};
use sha2::{Digest, Sha256};

use crate::{
    disk::{Caught, Disk, Traits, each_part, hex, refused, refused_io, shown},
    journal::Inverse,
    leftover::clear_copy,
    mounts::{Mount, mount},
    put::{NOW, Put, aside, synced, times},
    store::{Item, Store, Taking},
    target::NotDone,
    units::Manager,
};

/// A change that is ready: its inverse is known, and what it takes away lies in the store.
pub(crate) struct Ready {
    aim: Aim,
    pub(crate) inverse: Inverse,
}

enum Aim {
    /// Nothing is left to do.
    Already,
    /// Take it out of its place.
    Take(Caught, Item),
    /// Put this content in its place.
    Text(Caught, Item, Vec<u8>),
    /// Put the content of the second in the place of the first.
    Copy(Caught, Item, Box<Caught>),
    Flags(Caught, u32),
    Unmount(Mount),
    Restore(Box<Item>),
    Stop(Manager, String),
    Start(Manager, String),
    Reload(Manager),
}

/// Where changes are made, and where what they take goes.
pub(crate) struct Bench<'a> {
    pub(crate) disk: &'a Disk,
    pub(crate) store: &'a Store,
    pub(crate) now_ms: u64,
}

impl Bench<'_> {
    /// Aims at what a remedy names and copies what it will take away. Changes nothing but the store.
    pub(crate) fn ready(&self, remedy: &Remedy) -> Result<Ready, NotDone> {
        match remedy {
            Remedy::Quarantine { place } => self.ready_to_take(place),
            Remedy::DropLines { place, lines } => self.ready_to_drop(place, lines),
            Remedy::Replace { place, from } => self.ready_to_replace(place, from),
            Remedy::SetFlags { place, flags, was } => self.ready_to_flag(place, *flags, *was),
            Remedy::Unmount { point, id, .. } => {
                let why = "the mount only hid what lies beneath".to_owned();
                let found = mount(*id, &point.0)
                    .map_err(|failed| refused_io("read the mounts at", &point.0, &failed))?;
                let aim = found.map_or(Aim::Already, Aim::Unmount);
                Ok(Ready { aim, inverse: Inverse::None(why) })
            }
            Remedy::Restore { item, .. } => {
                let aim = Aim::Restore(Box::new(self.store.item(*item)?));
                Ok(Ready { aim, inverse: Inverse::None("putting back is itself an undo".to_owned()) })
            }
            Remedy::StopUnit { unit } => self.ready_to_stop(unit),
            Remedy::StartUnit { unit } => self.ready_to_start(unit),
            Remedy::ReloadUnits => Ok(match self.manager()? {
                Some(manager) => {
                    let why = "files were only read again".to_owned();
                    Ready { aim: Aim::Reload(manager), inverse: Inverse::None(why) }
                }
                None => Ready { aim: Aim::Already, inverse: Inverse::None(NO_MANAGER.to_owned()) },
            }),
        }
    }

    /// Makes the change.
    pub(crate) fn strike(&self, ready: Ready) -> Result<bool, NotDone> {
        match ready.aim {
            Aim::Already => return Ok(false),
            Aim::Take(caught, item) => take_away(&caught, &item)?,
            Aim::Text(caught, item, text) => {
                let now = Traits { modified: NOW, accessed: NOW, ..caught.traits.clone() };
                let put = Put { folder: &caught.folder, name: &caught.name, item: &item, traits: &now };
                put.file(Some(&caught), |into| into.write_all(&text))?;
            }
            Aim::Copy(caught, item, from) => {
                let put =
                    Put { folder: &caught.folder, name: &caught.name, item: &item, traits: &from.traits };
                let file = from.file.as_ref().ok_or(NotDone::Gone)?;
                put.file(Some(&caught), |into| each_part(file, |part| into.write_all(part)).map(|_| ()))?;
            }
            Aim::Flags(caught, flags) => set_flags(&caught, flags)?,
            Aim::Unmount(mount) => {
                unmount(OsStr::from_bytes(&mount.point), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
                    .map_err(|failed| refused("unmount", &mount.point, failed))?;
            }
            Aim::Restore(item) => return self.restore(&item),
            Aim::Stop(mut manager, unit) => manager.stop(&unit)?,
            Aim::Start(mut manager, unit) => manager.start(&unit)?,
            Aim::Reload(mut manager) => manager.reload()?,
        }
        Ok(true)
    }

    fn ready_to_take(&self, place: &Place) -> Result<Ready, NotDone> {
        let caught = self.disk.catch_judged(place)?;
        self.unlocked(&caught, &place.path)?;
        let item = self.keep(&caught, &place.path, "", &place.sha256)?;
        Ok(Ready { inverse: back(&item, self.disk), aim: Aim::Take(caught, item) })
    }

    fn ready_to_drop(&self, place: &Place, lines: &[TextLine]) -> Result<Ready, NotDone> {
        let caught = self.disk.catch_judged(place)?;
        let before = caught.text(&place.path.0)?;
        let after = without(&before, lines);
        if after == before {
            return Ok(Ready { aim: Aim::Already, inverse: nothing() });
        }
        self.unlocked(&caught, &place.path)?;
        let left = hex(&Sha256::digest(&after));
        let item = self.keep(&caught, &place.path, &left, &place.sha256)?;
        Ok(Ready { inverse: back(&item, self.disk), aim: Aim::Text(caught, item, after) })
    }

    fn ready_to_replace(&self, place: &Place, from: &Place) -> Result<Ready, NotDone> {
        let caught = self.disk.catch_judged(place)?;
        let source = self.disk.catch_judged(from)?;
        if caught.form != Form::File || source.form != Form::File || from.sha256.is_empty() {
            return Err(NotDone::Refused(format!(
                "{} is replaced only by a file whose digest is known",
                shown(&place.path.0)
            )));
        }
        self.unlocked(&caught, &place.path)?;
        let item = self.keep(&caught, &place.path, &from.sha256, &place.sha256)?;
        Ok(Ready { inverse: back(&item, self.disk), aim: Aim::Copy(caught, item, Box::new(source)) })
    }

    fn ready_to_flag(&self, place: &Place, flags: u32, was: u32) -> Result<Ready, NotDone> {
        let caught = self.disk.catch_judged(place)?;
        let now = caught.traits.flags;
        if now == flags {
            return Ok(Ready { aim: Aim::Already, inverse: nothing() });
        }
        if now != was {
            return Err(NotDone::Gone);
        }
        // What is put back has the inode of a copy: the inverse goes by path and content.
        let later = Place { file: None, ..place.clone() };
        let inverse = disk_action(self.disk, Remedy::SetFlags { place: later, flags: was, was: flags });
        Ok(Ready { aim: Aim::Flags(caught, flags), inverse: Inverse::Action(inverse) })
    }

    fn ready_to_stop(&self, unit: &str) -> Result<Ready, NotDone> {
        let Some(mut manager) = self.manager()? else {
            return Ok(Ready { aim: Aim::Already, inverse: Inverse::None(NO_MANAGER.to_owned()) });
        };
        if !manager.is_active(unit)? {
            return Ok(Ready { aim: Aim::Already, inverse: nothing() });
        }
        let inverse = disk_action(self.disk, Remedy::StartUnit { unit: unit.to_owned() });
        Ok(Ready { aim: Aim::Stop(manager, unit.to_owned()), inverse: Inverse::Action(inverse) })
    }

    fn ready_to_start(&self, unit: &str) -> Result<Ready, NotDone> {
        let Some(mut manager) = self.manager()? else {
            return Err(NotDone::Refused(format!("{NO_MANAGER}, so {unit} is not started")));
        };
        if manager.is_active(unit)? {
            return Ok(Ready { aim: Aim::Already, inverse: nothing() });
        }
        let inverse = disk_action(self.disk, Remedy::StopUnit { unit: unit.to_owned() });
        Ok(Ready { aim: Aim::Start(manager, unit.to_owned()), inverse: Inverse::Action(inverse) })
    }

    /// The service manager of this disk; the one that runs is not that of a mounted disk.
    fn manager(&self) -> Result<Option<Manager>, NotDone> {
        manager_of(self.disk)
    }

    fn keep(&self, caught: &Caught, path: &Bytes, left: &str, judged: &str) -> Result<Item, NotDone> {
        let taking = Taking { root: &self.disk.root, path: &path.0, at_ms: self.now_ms, left };
        self.store.take(caught, &taking, judged)
    }

    fn unlocked(&self, caught: &Caught, path: &Bytes) -> Result<(), NotDone> {
        if !caught.is_locked() {
            return Ok(());
        }
        Err(NotDone::Refused(format!(
            "{} or its folder is locked (chattr +i or +a); its flags must be cleared first",
            shown(&path.0)
        )))
    }

    /// Puts an item back. `false` when it is there already.
    fn restore(&self, item: &Item) -> Result<bool, NotDone> {
        let there = match self.disk.catch(&item.path.0) {
            Ok(there) => Some(there),
            Err(NotDone::Gone) => None,
            Err(refused) => return Err(refused),
        };
        if let Some(there) = &there {
            let sha256 = there.sha256(&item.path.0)?;
            if there.form == item.form && sha256 == item.sha256 {
                return Ok(false);
            }
            if item.left.is_empty() || sha256 != item.left {
                return Err(NotDone::Refused(format!(
                    "{} has changed since; it stays, and `minesweep quarantine export {}` gives what was there before",
                    item.shown(),
                    item.item
                )));
            }
        }
        let (folder, name) = self.disk.parent(&item.path.0)?;
        clear_copy(&folder, item)?;
        let put = Put { folder: &folder, name, item, traits: &item.traits };
        match &item.form {
            Form::File => {
                put.file(there.as_ref(), |into| self.store.write_out(item, into).map_err(io::Error::other))?
            }
            Form::Folder => put.folder()?,
            Form::Link(to) => put.link(to)?,
            Form::Special => put.special()?,
        }
        Ok(true)
    }

    /// A folder that was put back gets its times again after its files are in it.
    pub(crate) fn settle_folder(&self, item: u64) -> Result<(), NotDone> {
        let item = self.store.item(item)?;
        if item.form == Form::Folder
            && let Some(folder) = self.disk.catch(&item.path.0)?.file
        {
            futimens(&folder, &times(&item.traits))
                .map_err(|failed| refused("set the times of", &item.path.0, failed))?;
        }
        Ok(())
    }
}

pub(crate) fn manager_of(disk: &Disk) -> Result<Option<Manager>, NotDone> {
    if disk.root == Path::new("/") { Manager::connect() } else { Ok(None) }
}

/// The action of the journal for a change on a disk.
pub(crate) fn disk_action(disk: &Disk, remedy: Remedy) -> Action {
    Action::Disk { root: Bytes(disk.root.as_os_str().as_bytes().to_vec()), remedy: Box::new(remedy) }
}

fn back(item: &Item, disk: &Disk) -> Inverse {
    Inverse::Action(disk_action(disk, Remedy::Restore { item: item.item, path: item.path.clone() }))
}

fn nothing() -> Inverse {
    Inverse::None("nothing was changed".to_owned())
}

/// A text without lines: each by its number where it still has that, else the first that reads the same.
fn without(text: &[u8], drop: &[TextLine]) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let reads = |at: usize, text: &[u8]| {
        lines.get(at).is_some_and(|line| line.strip_suffix(b"\n").unwrap_or(line) == text)
    };
    let mut dropped = vec![false; lines.len()];
    for line in drop {
        let at = usize::try_from(line.number).unwrap_or(0).wrapping_sub(1);
        let is_free = |at: usize| dropped.get(at) == Some(&false) && reads(at, &line.text.0);
        let found = if is_free(at) { Some(at) } else { (0..lines.len()).find(|&at| is_free(at)) };
        if let Some(mark) = found.and_then(|at| dropped.get_mut(at)) {
            *mark = true;
        }
    }
    lines
        .iter()
        .zip(&dropped)
        .filter(|(_, dropped)| !**dropped)
        .flat_map(|(line, _)| line.iter().copied())
        .collect()
}

/// Moves a name aside, makes sure that it was the file that was judged, and unlinks it.
fn take_away(caught: &Caught, item: &Item) -> Result<(), NotDone> {
    let (name, aside) = (OsStr::from_bytes(&caught.name), aside(item));
    let path = &item.path.0;
    match renameat_with(&caught.folder, name, &caught.folder, aside.as_str(), RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(NotDone::Gone),
        Err(failed) => return Err(refused("move aside", path, failed)),
    }
    let moved_back = |why: NotDone| match renameat_with(
        &caught.folder,
        aside.as_str(),
        &caught.folder,
        name,
        RenameFlags::NOREPLACE,
    ) {
        Ok(()) => why,
        Err(failed) => refused("move back", path, failed),
    };
    if !caught.is_named(aside.as_bytes()) {
        return Err(moved_back(NotDone::Gone));
    }
    let flags = if caught.form == Form::Folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match unlinkat(&caught.folder, aside.as_str(), flags) {
        Ok(()) => synced(&caught.folder, path),
        Err(failed) => Err(moved_back(refused("take away", path, failed))),
    }
}

fn set_flags(caught: &Caught, flags: u32) -> Result<(), NotDone> {
    let file = caught.file.as_ref().ok_or(NotDone::Gone)?;
    let failed = |why| refused("set the flags of", &caught.name, why);
    ioctl_setflags(file, IFlags::from_bits_retain(flags)).map_err(failed)?;
    let now = ioctl_getflags(file).map_err(failed)?.bits();
    if now == flags { Ok(()) } else { Err(failed(Errno::INVAL)) }
}

/// Why a unit is neither stopped nor started.
const NO_MANAGER: &str = "no service manager runs here";

//! What a run that was killed left on a disk: whether its last change was made, and its copies.

use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
};

use minesweep_model::{
    Action,
    clean::{Form, Remedy},
};
use rustix::{
    fs::{AtFlags, RenameFlags, renameat_with, unlinkat},
    io::Errno,
};

use crate::{
    disk::{Disk, refused, refused_io},
    journal::Inverse,
    mounts::mount,
    put::aside,
    remedy::manager_of,
    store::{Item, Store},
    target::NotDone,
};

/// Whether a change that nobody lived to tell of was made; the leftovers of a half-made one are taken away.
pub(crate) fn was_made(
    disk: &Disk,
    store: &Store,
    remedy: &Remedy,
    inverse: &Inverse,
) -> Result<bool, NotDone> {
    match (remedy, inverse) {
        (Remedy::SetFlags { place, flags, .. }, _) => Ok(disk.catch(&place.path.0)?.traits.flags == *flags),
        (Remedy::Unmount { point, id, .. }, _) => {
            let found =
                mount(*id, &point.0).map_err(|failed| refused_io("read the mounts at", &point.0, &failed))?;
            Ok(found.is_none())
        }
        (Remedy::StopUnit { unit }, _) => match manager_of(disk)? {
            Some(mut manager) => Ok(!manager.is_active(unit)?),
            None => Ok(true),
        },
        (Remedy::StartUnit { unit }, _) => match manager_of(disk)? {
            Some(mut manager) => manager.is_active(unit),
            None => Ok(false),
        },
        (_, Inverse::Action(Action::Disk { remedy, .. })) => {
            let Remedy::Restore { item, .. } = **remedy else { return Ok(false) };
            let item = store.item(item)?;
            sweep(disk, &item)?;
            let there = match disk.catch(&item.path.0) {
                Ok(there) => Some(there.sha256(&item.path.0)?),
                Err(NotDone::Gone) => None,
                Err(refused) => return Err(refused),
            };
            Ok(match there {
                None => item.left.is_empty(),
                Some(sha256) => !item.left.is_empty() && sha256 == item.left,
            })
        }
        _ => Ok(false),
    }
}

/// Takes away the half of a copy that an undo left when it was killed. Its name is new with each item.
pub(crate) fn clear_copy(folder: &OwnedFd, item: &Item) -> Result<(), NotDone> {
    match unlinkat(folder, aside(item).as_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        Err(failed) => Err(refused("clear what was left beside", &item.path.0, failed)),
    }
}

/// Takes away what a run that was killed left beside a place: its own copy, or the file that the store has. Anything
/// else was exchanged for that one in the moment of the kill, and goes back.
fn sweep(disk: &Disk, item: &Item) -> Result<(), NotDone> {
    let path = &item.path.0;
    let (folder, name) = match disk.parent(path) {
        Ok(found) => found,
        Err(NotDone::Gone) => return Ok(()),
        Err(refused) => return Err(refused),
    };
    let (aside, name) = (aside(item), OsStr::from_bytes(name));
    let left = match disk.catch_beside(path, aside.as_bytes()) {
        Ok(left) => left,
        Err(NotDone::Gone) => return Ok(()),
        Err(refused) => return Err(refused),
    };
    let placed = match disk.catch(path) {
        Ok(there) => there.sha256(path)? == item.left && !item.left.is_empty(),
        Err(NotDone::Gone) => false,
        Err(refused) => return Err(refused),
    };
    let is_kept = left.form == item.form && left.sha256(path)? == item.sha256;
    // A copy of ours is under this name only where something is put in place of another.
    let is_copy = !item.left.is_empty() && !placed;
    if !is_kept && !is_copy {
        let flags = if placed { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(&folder, aside.as_str(), &folder, name, flags)
            .map_err(|why| refused("put back", path, why))?;
        if !placed {
            return Ok(());
        }
    }
    let flags = if left.form == Form::Folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match unlinkat(&folder, aside.as_str(), flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(failed) => Err(refused("clear what was left beside", path, failed)),
    }
}

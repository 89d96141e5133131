//! Records of files to events.

use minesweep_model::{Bytes, FileAct, FileEvent, FileId};

use super::{
    calls::{self, ACTS},
    convert::device,
    place::{Caller, PATH_LIMIT, Places},
    record::{FileData, FileRecord, Words},
    watched,
};
use crate::proc::root::Folder;

/// `enum file_flag`.
const FILE_BASE_CUT: u32 = 1;
const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_SYMLINK_FOLLOW: u32 = 0x400;
const MS_BIND_OR_MOVE: u32 = 0x1000 | 0x2000;
/// Access mode of `open`: anything but reading only.
const WRITES: u64 = 3;
/// `O_CREAT` and `O_TRUNC`.
const MAKES: u64 = 0o100 | 0o1000;
/// The request whose argument has flags of another numbering, and those of both.
const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;
const XFLAGS: [(u64, u64); 2] = [(0x8, 0x10), (0x10, 0x20)];

/// Acts that give a file another name.
const RENAMES: [FileAct; 2] = [FileAct::Rename, FileAct::Link];

/// The event; `None` for a refusal that is no news.
pub(crate) fn event(places: &mut Places, data: &FileData) -> Option<FileEvent> {
    let record = &data.record;
    let act = act(record)?;
    let caller = Caller { pid: record.who.pid, namespace: record.namespace };
    let bytes = path(places, caller, act, data);
    let path = text(&bytes);
    let is_done = record.result >= 0;
    if !is_done && record.call & calls::OPENS != 0 && !watched::is_news(act, &path) {
        return None;
    }
    let other = other(places, caller, data);
    let name = [other.as_ref().filter(|_| RENAMES.contains(&act)), Some(&bytes)].into_iter().flatten().next();
    Some(FileEvent {
        process: record.who.known(),
        act,
        path,
        name: name.filter(|name| std::str::from_utf8(name).is_err()).cloned().map(Bytes),
        other: other.as_deref().map(text),
        file: (record.inode != 0).then(|| FileId { dev: device(record.device), inode: record.inode }),
        value: value(act, record),
        is_done,
        mounts: places.apart(record.namespace),
    })
}

/// What an opening was meant for is known from its flags when there is no file.
fn act(record: &FileRecord) -> Option<FileAct> {
    let act = *ACTS.get(usize::try_from(record.act).ok()?.checked_sub(1)?)?;
    let is_refused_open = record.call & calls::OPENS != 0 && record.result < 0;
    let reads = act == FileAct::Write && record.value & WRITES == 0 && record.value & MAKES == 0;
    Some(if is_refused_open && reads { FileAct::Read } else { act })
}

fn path(places: &mut Places, caller: Caller, act: FileAct, data: &FileData) -> Vec<u8> {
    let record = &data.record;
    if record.flags & FILE_BASE_CUT != 0 && !data.place.word.starts_with(b"/") {
        return deep_path(record, &data.place.word);
    }
    let follows = record.call & calls::FOLLOWS != 0 && record.at & AT_SYMLINK_NOFOLLOW == 0;
    match act {
        FileAct::Memfd => data.place.word.clone(),
        // Its flags are not those of `at`.
        FileAct::Mount => places.path(caller, &data.place, true),
        FileAct::Link => places.path(caller, &data.place, record.at & AT_SYMLINK_FOLLOW != 0),
        _named => places.path(caller, &data.place, follows),
    }
}

/// A folder that is too deep for the kernel side is read from /proc while the process is there. Else its words are
/// all that is told.
fn deep_path(record: &FileRecord, word: &[u8]) -> Vec<u8> {
    let link = if record.dir == libc::AT_FDCWD { "cwd".to_owned() } else { format!("fd/{}", record.dir) };
    let folder = Folder::open(record.who.pid).and_then(|process| process.link(&link));
    let mut path = folder.unwrap_or_default();
    if !path.is_empty() && !word.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(word);
    path
}

fn other(places: &mut Places, caller: Caller, data: &FileData) -> Option<Vec<u8>> {
    let Words { base, word } = &data.other;
    if base.is_empty() && word.is_empty() {
        return None;
    }
    let call = data.record.call;
    let is_name =
        call & calls::MOUNTS != 0 && data.record.at & MS_BIND_OR_MOVE == 0 && !word.starts_with(b"/");
    if call & calls::OTHER_TEXT != 0 || is_name {
        return Some(word.clone());
    }
    let follows = call & calls::FOLLOWS != 0;
    Some(places.path(caller, &data.other, follows))
}

fn value(act: FileAct, record: &FileRecord) -> Option<u64> {
    match act {
        FileAct::Mode => Some(record.value & 0o7777),
        FileAct::Owner => Some(record.value),
        FileAct::Flags if record.call & calls::VALUE_AT_64 != 0 || record.at == FS_IOC_FSSETXATTR => {
            Some(XFLAGS.iter().filter(|(theirs, _)| record.value & theirs != 0).map(|(_, ours)| ours).sum())
        }
        FileAct::Flags => Some(record.value),
        FileAct::Mount => (record.call & calls::MOUNTS != 0).then_some(record.value),
        FileAct::Create
        | FileAct::Write
        | FileAct::Read
        | FileAct::Rename
        | FileAct::Link
        | FileAct::Symlink
        | FileAct::Remove
        | FileAct::Xattr
        | FileAct::Unmount
        | FileAct::Memfd => None,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..PATH_LIMIT).unwrap_or(bytes)).into_owned()
}

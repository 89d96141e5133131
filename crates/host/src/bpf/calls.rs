//! The system calls that change files: their numbers, and where their arguments stand.
//!
//! One table: how the kernel side reads a call at its return, and how its records are read. All that
//! depends on the processor (with bpf/registers.h). Does not say what is suspicious.

use minesweep_model::FileAct::{
    self, Create, Flags, Link, Memfd, Mode, Mount, Owner, Remove, Rename, Symlink, Unmount, Write, Xattr,
};

use super::record::CallRow;

/// What is done, by its number in `enum file_act` less 1: the place of the act in [`FileAct`].
pub(crate) const ACTS: [FileAct; 14] = [
    Create,
    Write,
    FileAct::Read,
    Rename,
    Link,
    Symlink,
    Remove,
    Mode,
    Owner,
    Xattr,
    Flags,
    Mount,
    Unmount,
    Memfd,
];

/// The result is a descriptor; the act depends on it.
pub(crate) const OPENS: u32 = 1;
/// `dir` is the file itself.
pub(crate) const ON_FILE: u32 = 2;
/// A symbolic link stands for its target.
pub(crate) const FOLLOWS: u32 = 4;
/// Told also when refused.
pub(crate) const REFUSALS: u32 = 8;
/// The other word is no path.
pub(crate) const OTHER_TEXT: u32 = 16;
/// The result is a descriptor of what the word names.
pub(crate) const MAKES_FILE: u32 = 32;
/// An ioctl: only requests that set flags.
pub(crate) const FLAGS_ONLY: u32 = 64;
/// Two values: user and group.
pub(crate) const OWNER: u32 = 128;
/// The value is a pointer to 32 bits.
pub(crate) const VALUE_AT: u32 = 256;
/// The value is a pointer to 64 bits.
pub(crate) const VALUE_AT_64: u32 = 512;
/// The flags say whether the other word is a path.
pub(crate) const MOUNTS: u32 = 1024;
/// It maps memory.
const MAPS: u32 = 2048;
/// It writes at a place.
const WRITES_AT: u32 = 4096;
/// The result is a connection.
const ACCEPTS: u32 = 8192;

/// Numbers above this are not looked at.
pub(crate) const NUMBERS: usize = 512;

/// A call in both numberings; 0: not there.
struct Call {
    own: i64,
    of_32_bit: u16,
    row: CallRow,
}

const fn call(own: i64, of_32_bit: u16, row: CallRow) -> Call {
    Call { own, of_32_bit, row }
}

/// The rows by number: own calls, then those of 32-bit programs; and a bit for each number that is in either.
pub(crate) fn rows() -> ([[CallRow; NUMBERS]; 2], [u64; NUMBERS / 64]) {
    let mut rows = [[NONE; NUMBERS]; 2];
    let mut told = [0; NUMBERS / 64];
    let [own, compat] = &mut rows;
    for call in CALLS {
        let numbers = [
            (&mut *own, usize::try_from(call.own).unwrap_or_default()),
            (&mut *compat, call.of_32_bit.into()),
        ];
        for (rows, number) in numbers.into_iter().filter(|(_, number)| *number != 0) {
            if let (Some(row), Some(word)) = (rows.get_mut(number), told.get_mut(number / 64)) {
                *row = call.row;
                *word |= 1 << (number % 64);
            }
        }
    }
    (rows, told)
}

const NONE: CallRow =
    CallRow { flags: 0, act: 0, dir: 0, word: 0, other_dir: 0, other_word: 0, value: 0, at: 0, pad: 0 };

/// The places in `row` count arguments from 1.
const fn act(act: FileAct, flags: u32, row: CallRow) -> CallRow {
    CallRow { act: act as u8 + 1, flags, ..row }
}

/// A call on the path in its first argument.
const PATH: CallRow = CallRow { word: 1, ..NONE };
/// A call on a folder's descriptor and a path.
const AT: CallRow = CallRow { dir: 1, word: 2, ..NONE };
/// A call on a descriptor.
const FILE: CallRow = CallRow { dir: 1, ..NONE };
/// Two paths, or a path and a text.
const PATHS: CallRow = CallRow { word: 1, other_word: 2, ..NONE };
/// Two folders and two paths.
const PATHS_AT: CallRow = CallRow { dir: 1, word: 2, other_dir: 3, other_word: 4, ..NONE };

const OPEN: u32 = OPENS | FOLLOWS | REFUSALS;

/// Every call that is told. Numbers without a name in `libc` are those of the kernel's table.
const CALLS: &[Call] = &[
    call(libc::SYS_open, 5, act(Write, OPEN, CallRow { value: 2, ..PATH })),
    call(libc::SYS_creat, 8, act(Create, OPEN, PATH)),
    call(libc::SYS_openat, 295, act(Write, OPEN, CallRow { value: 3, ..AT })),
    call(libc::SYS_openat2, 437, act(Write, OPEN | VALUE_AT_64, CallRow { value: 3, ..AT })),
    call(libc::SYS_open_by_handle_at, 342, act(Write, OPENS, NONE)),
    call(libc::SYS_truncate, 92, act(Write, FOLLOWS, PATH)),
    call(0, 193, act(Write, FOLLOWS, PATH)),
    call(libc::SYS_mkdir, 39, act(Create, 0, PATH)),
    call(libc::SYS_mkdirat, 296, act(Create, 0, AT)),
    call(libc::SYS_mknod, 14, act(Create, 0, PATH)),
    call(libc::SYS_mknodat, 297, act(Create, 0, AT)),
    call(libc::SYS_rename, 38, act(Rename, 0, PATHS)),
    call(libc::SYS_renameat, 302, act(Rename, 0, PATHS_AT)),
    call(libc::SYS_renameat2, 353, act(Rename, 0, PATHS_AT)),
    call(libc::SYS_link, 9, act(Link, 0, PATHS)),
    call(libc::SYS_linkat, 303, act(Link, 0, CallRow { at: 5, ..PATHS_AT })),
    call(libc::SYS_symlink, 83, act(Symlink, OTHER_TEXT, CallRow { word: 2, other_word: 1, ..NONE })),
    call(
        libc::SYS_symlinkat,
        304,
        act(Symlink, OTHER_TEXT, CallRow { dir: 2, word: 3, other_word: 1, ..NONE }),
    ),
    call(libc::SYS_unlink, 10, act(Remove, 0, PATH)),
    call(libc::SYS_unlinkat, 301, act(Remove, 0, AT)),
    call(libc::SYS_rmdir, 40, act(Remove, 0, PATH)),
    call(libc::SYS_chmod, 15, act(Mode, FOLLOWS, CallRow { value: 2, ..PATH })),
    call(libc::SYS_fchmod, 94, act(Mode, ON_FILE, CallRow { value: 2, ..FILE })),
    call(libc::SYS_fchmodat, 306, act(Mode, FOLLOWS, CallRow { value: 3, ..AT })),
    call(452, 452, act(Mode, FOLLOWS, CallRow { value: 3, at: 4, ..AT })),
    call(libc::SYS_chown, 212, act(Owner, FOLLOWS | OWNER, CallRow { value: 2, ..PATH })),
    call(0, 182, act(Owner, FOLLOWS | OWNER, CallRow { value: 2, ..PATH })),
    call(libc::SYS_lchown, 198, act(Owner, OWNER, CallRow { value: 2, ..PATH })),
    call(0, 16, act(Owner, OWNER, CallRow { value: 2, ..PATH })),
    call(libc::SYS_fchown, 207, act(Owner, ON_FILE | OWNER, CallRow { value: 2, ..FILE })),
    call(0, 95, act(Owner, ON_FILE | OWNER, CallRow { value: 2, ..FILE })),
    call(libc::SYS_fchownat, 298, act(Owner, FOLLOWS | OWNER, CallRow { value: 3, at: 5, ..AT })),
    call(libc::SYS_setxattr, 226, act(Xattr, FOLLOWS | OTHER_TEXT, PATHS)),
    call(libc::SYS_lsetxattr, 227, act(Xattr, OTHER_TEXT, PATHS)),
    call(libc::SYS_fsetxattr, 228, act(Xattr, ON_FILE | OTHER_TEXT, CallRow { other_word: 2, ..FILE })),
    call(463, 463, act(Xattr, FOLLOWS | OTHER_TEXT, CallRow { at: 3, other_word: 4, ..AT })),
    call(libc::SYS_removexattr, 235, act(Xattr, FOLLOWS | OTHER_TEXT, PATHS)),
    call(libc::SYS_lremovexattr, 236, act(Xattr, OTHER_TEXT, PATHS)),
    call(libc::SYS_fremovexattr, 237, act(Xattr, ON_FILE | OTHER_TEXT, CallRow { other_word: 2, ..FILE })),
    call(466, 466, act(Xattr, FOLLOWS | OTHER_TEXT, CallRow { at: 3, other_word: 4, ..AT })),
    call(
        libc::SYS_ioctl,
        54,
        act(Flags, ON_FILE | FLAGS_ONLY | VALUE_AT | REFUSALS, CallRow { value: 3, at: 2, ..FILE }),
    ),
    call(469, 469, act(Flags, FOLLOWS | VALUE_AT_64 | REFUSALS, CallRow { value: 3, at: 5, ..AT })),
    call(
        libc::SYS_mount,
        21,
        act(Mount, FOLLOWS | MOUNTS | REFUSALS, CallRow { word: 2, other_word: 1, value: 4, at: 4, ..NONE }),
    ),
    call(
        libc::SYS_move_mount,
        429,
        act(Mount, FOLLOWS | REFUSALS, CallRow { dir: 3, word: 4, other_dir: 1, other_word: 2, ..NONE }),
    ),
    call(libc::SYS_umount2, 52, act(Unmount, FOLLOWS | REFUSALS, PATH)),
    call(libc::SYS_memfd_create, 356, act(Memfd, MAKES_FILE, PATH)),
    // No acts on files.
    call(libc::SYS_mmap, 192, CallRow { flags: MAPS, ..NONE }),
    call(libc::SYS_pwrite64, 181, CallRow { flags: WRITES_AT, ..NONE }),
    call(libc::SYS_accept, 0, CallRow { flags: ACCEPTS, ..NONE }),
    call(libc::SYS_accept4, 364, CallRow { flags: ACCEPTS, ..NONE }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_a_row_of_its_own_and_a_bit() {
        let (rows, told) = rows();
        let wanted = |of: fn(&Call) -> usize| CALLS.iter().filter(|call| of(call) != 0).count();
        let is_used = |row: &CallRow| row.act != 0 || row.flags != 0;
        let have = |rows: &[CallRow]| rows.iter().filter(|row| is_used(row)).count();
        assert_eq!(have(&rows[0]), wanted(|call| usize::try_from(call.own).unwrap()));
        assert_eq!(have(&rows[1]), wanted(|call| usize::from(call.of_32_bit)));
        for number in 0..NUMBERS {
            let is_told = told[number / 64] >> (number % 64) & 1 == 1;
            assert_eq!(is_told, rows.iter().any(|rows| is_used(&rows[number])), "{number}");
        }
    }

    #[test]
    fn an_act_has_the_same_number_in_the_model_in_the_table_and_in_the_kernel_side() {
        for (place, act) in ACTS.iter().enumerate() {
            assert_eq!(*act as usize, place, "{act:?}");
        }
        // Another act in the model ends up here, for want of an arm.
        let last = |act: FileAct| match act {
            Create
            | Write
            | FileAct::Read
            | Rename
            | Link
            | Symlink
            | Remove
            | Mode
            | Owner
            | Xattr
            | Flags
            | Mount
            | Unmount
            | Memfd => Memfd as usize,
        };
        assert_eq!(last(Create) + 1, ACTS.len());
        let header = include_str!("../../bpf/record.h");
        let body = header.split_once("enum file_act {").unwrap().1.split_once("};").unwrap().0;
        let names: Vec<&str> = body.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        assert_eq!(names.first(), Some(&"FILE_CREATE = 1"));
        for (name, act) in names.iter().zip(ACTS) {
            let name = name.trim_end_matches(" = 1").trim_start_matches("FILE_");
            assert_eq!(name.to_lowercase(), format!("{act:?}").to_lowercase());
        }
    }
}

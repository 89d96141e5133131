//! Context switches of a process, summed over its threads: the kernel keeps them by thread only.

use std::io;

use rustix::fs::OFlags;

use crate::proc::{
    root::{self, Folder},
    status::Status,
};

/// Most threads that are asked in one sample, all processes together: about 10 ms of CPU time.
pub(super) const MAX_THREADS: usize = 1024;
/// Most threads of one process.
const MAX_THREADS_EACH: usize = 256;

/// Voluntary and involuntary switches of the threads that live, at most as many as there is room for.
pub(super) fn of(pid: u32, room: &mut usize, buffer: &mut Vec<u8>) -> Option<(u64, u64)> {
    sum(pid, room, buffer).ok()
}

fn sum(pid: u32, room: &mut usize, buffer: &mut Vec<u8>) -> io::Result<(u64, u64)> {
    let threads = Folder::open(pid)?.folder("task")?;
    let (ids, _cut) = threads.numbers(MAX_THREADS_EACH.min(*room))?;
    *room = room.saturating_sub(ids.len());
    let mut total = (0_u64, 0_u64);
    for id in ids {
        let Ok(file) = threads.file(&format!("{id}/status"), OFlags::RDONLY) else { continue };
        root::fill(&file, root::SMALL, buffer)?;
        let status = Status::parse(buffer);
        total = (total.0.saturating_add(status.voluntary), total.1.saturating_add(status.involuntary));
    }
    Ok(total)
}

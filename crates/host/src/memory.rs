//! How the allocator deals with pages that are free again.
//!
//! We hold little and now and then need much for a moment: to compile the rules, to sum up a program, to read the maps
//! of all processes. Left to itself the C library keeps what such a moment needed, for every thread apart: a large
//! piece that was freed once makes it take pieces of that size from the heap from then on, where a small one behind it
//! keeps all of it. It does not change what is allocated, nor count it.

use libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, c_int, mallopt};
use rustix::mm::Advice;

/// From this size on a piece has pages of its own, which go back when it is freed.
const OWN_PAGES_BYTES: c_int = 128 << 10;
/// This much may be free at the end of the heap.
const SPARE_BYTES: c_int = 256 << 10;
/// All threads use one heap: of ours one works all the time, the others now and then.
const HEAPS: c_int = 1;

/// Sets the limits. For the start of the program, before there are threads.
pub fn keep_lean() {
    let limits =
        [(M_MMAP_THRESHOLD, OWN_PAGES_BYTES), (M_TRIM_THRESHOLD, SPARE_BYTES), (libc::M_ARENA_MAX, HEAPS)];
    for (name, value) in limits {
        // SAFETY: takes two numbers; what it changes the allocator guards by its own lock.
        if unsafe { mallopt(name, value) } == 0 {
            tracing::warn!(
                name,
                value,
                "the allocator refuses a limit; more memory may be kept than is needed"
            );
        }
    }
}

/// Gives pages back that are free in the middle of the heap too. For the end of work that needed much for a moment;
/// it goes through the whole heap, so not for each event.
pub fn give_back() {
    // SAFETY: touches free pieces only, under the allocator's own lock.
    let gave = unsafe { libc::malloc_trim(0) };
    tracing::trace!(gave, "free pages were given back");
}

/// Lets go of the pages of our own code and constants. What still runs comes back from the page cache as it is used;
/// what only the start or a deep look needed counts as ours no more.
pub fn forget_code() {
    let (from, to) = (&raw const __executable_start, &raw const etext);
    let page = rustix::param::page_size();
    let from = from.map_addr(|address| address.next_multiple_of(page));
    let bytes = (to.addr() & !(page - 1)).saturating_sub(from.addr());
    // SAFETY: from the start of the program to the end of its code nothing is ever written, so each page is read from
    // the program's file again when it is touched.
    let answer = unsafe { rustix::mm::madvise(from.cast_mut().cast(), bytes, Advice::LinuxDontNeed) };
    if let Err(error) = answer {
        tracing::debug!(%error, "the code of the start stays in memory");
    }
}

// SAFETY: the linker sets both names; only their addresses are taken.
unsafe extern "C" {
    static __executable_start: u8;
    static etext: u8;
}

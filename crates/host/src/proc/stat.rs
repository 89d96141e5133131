//! `/proc/PID/stat`, whatever name the process gave itself.
//!
//! The name may hold spaces, parentheses, new lines and bytes that are no text, so it ends at the *last* `)`: nothing
//! after it can hold one. Field numbers are those of proc(5).

use crate::proc::root;
use std::io;

/// The kernel's mark of a kernel thread (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The fields that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat<'a> {
    /// Name of the leading thread, at most 64 bytes.
    pub(crate) comm: &'a [u8],
    /// State letter; `Z` for ended but not yet reaped.
    pub(crate) state: u8,
    /// Parent's pid.
    pub(crate) parent_pid: u32,
    /// Pid of the leader of its session; 0 for none, or for one of another namespace.
    pub(crate) session: u32,
    /// Runs in the kernel only.
    pub(crate) is_kernel_thread: bool,
    /// Own time, user and system, 1/100 s.
    pub(crate) own_ticks: u64,
    /// Time of children that were waited for, and of theirs, 1/100 s.
    pub(crate) children_ticks: u64,
    /// Threads.
    pub(crate) threads: u32,
    /// Start since boot, 1/100 s.
    pub(crate) start_ticks: u64,
    /// Resident pages.
    pub(crate) rss_pages: u64,
}

impl<'a> Stat<'a> {
    /// Reads the text of `/proc/PID/stat`; `None` when it is not one.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let open = text.iter().position(|&b| b == b'(')?;
        let close = text.iter().rposition(|&b| b == b')')?;
        let comm = text.get(open + 1..close)?;
        let mut fields = text.get(close + 1..)?.split(|&b| b == b' ').filter(|f| !f.is_empty());
        let state = *fields.next()?.first()?;
        let parent_pid = u32::try_from(number(fields.next()?)?).ok()?;
        let session = u32::try_from(number(fields.nth(1)?)?).ok()?;
        let flags = number(fields.nth(2)?)?;
        let user = number(fields.nth(4)?)?;
        let system = number(fields.next()?)?;
        let children_user = number(fields.next()?)?;
        let children_system = number(fields.next()?)?;
        let threads = u32::try_from(number(fields.nth(2)?)?).ok()?;
        let start_ticks = number(fields.nth(1)?)?;
        let rss_pages = number(fields.nth(1)?)?;
        Some(Self {
            comm,
            state,
            parent_pid,
            session,
            is_kernel_thread: flags & KERNEL_THREAD != 0,
            own_ticks: user.saturating_add(system),
            children_ticks: children_user.saturating_add(children_system),
            threads,
            start_ticks,
            rss_pages,
        })
    }
}

/// Reads the stat of a process into `buffer`.
pub(crate) fn read(pid: u32, buffer: &mut Vec<u8>) -> io::Result<Stat<'_>> {
    root::fill_once(&format!("{pid}/stat"), buffer)?;
    Stat::parse(buffer).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not in the known form"))
    })
}

/// A decimal number; one below zero, as old kernels print for times that ran backwards, counts as none.
pub(crate) fn number(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim();
    if text.starts_with('-') {
        return text.parse::<i64>().ok().map(|_| 0);
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str =
        "S 7 812 813 0 -1 4194560 1 2 3 4 150 50 20 -5 20 0 9 0 123456 1000 42 18446744073709551615";

    #[test]
    fn a_name_of_parentheses_spaces_and_new_lines_does_not_shift_the_fields() {
        for name in ["sh", "a) R 1 1 (", "x y", "(sd-pam)", ")\n) Z 0", "", ")))"] {
            let text = format!("812 ({name}) {TAIL}");
            let stat = Stat::parse(text.as_bytes()).unwrap();
            assert_eq!(stat.comm, name.as_bytes());
            assert_eq!((stat.state, stat.parent_pid, stat.threads, stat.session), (b'S', 7, 9, 813));
            assert_eq!((stat.own_ticks, stat.children_ticks), (200, 20));
            assert_eq!((stat.start_ticks, stat.rss_pages), (123_456, 42));
            assert!(!stat.is_kernel_thread);
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_kept_as_bytes() {
        let mut text = b"1 (\xff\xfe) ".to_vec();
        text.extend_from_slice(TAIL.as_bytes());
        assert_eq!(Stat::parse(&text).unwrap().comm, b"\xff\xfe");
    }

    #[test]
    fn a_kernel_thread_is_known_by_its_flag_not_its_name() {
        let text = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0";
        assert!(Stat::parse(text.as_bytes()).unwrap().is_kernel_thread);
    }

    #[test]
    fn a_cut_text_is_nothing() {
        let whole = format!("812 (sh) {TAIL}");
        let last_needed = whole.find(" 42").unwrap();
        for cut in 0..last_needed {
            assert_eq!(Stat::parse(&whole.as_bytes()[..cut]), None, "{cut}");
        }
        assert_eq!(Stat::parse(b")("), None);
    }
}

//! Attaches a program to the tracepoint of a system call.
//!
//! The number of a tracepoint stands in tracefs, which is not mounted everywhere. We open one of our own that is
//! attached nowhere, so no mount appears and none is needed.

use std::{
    io::{self, Read as _},
    os::fd::{AsFd as _, FromRawFd as _, IntoRawFd as _, OwnedFd},
    sync::OnceLock,
};

use libbpf_rs::{Link, ProgramMut};
use rustix::{
    fs::{Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// Attaches `program` to `syscalls:call`.
pub(crate) fn attach(program: &ProgramMut<'_>, call: &str) -> io::Result<Link> {
    let event = open_event(number(call)?)?;
    // libbpf keeps the descriptor and closes it with the link, or with the error.
    program.attach_perf_event(event.into_raw_fd()).map_err(super::load::io_error)
}

fn number(call: &str) -> io::Result<u64> {
    let path = format!("events/syscalls/{call}/id");
    let mut text = String::new();
    let file = openat(tracefs()?, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    std::fs::File::from(file).take(32).read_to_string(&mut text)?;
    text.trim().parse().map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))
}

fn tracefs() -> io::Result<&'static OwnedFd> {
    static ROOT: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(root) = ROOT.get() {
        return Ok(root);
    }
    let root = detached().or_else(|_refused| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open("/sys/kernel/tracing", flags, Mode::empty())
    })?;
    Ok(ROOT.get_or_init(|| root))
}

fn detached() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// `struct perf_event_attr` in its first published size.
#[repr(C)]
#[derive(Default)]
struct EventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

const ATTR_BYTES: u32 = 64;
const _: () = assert!(size_of::<EventAttr>() == ATTR_BYTES as usize);
const PERF_TYPE_TRACEPOINT: u32 = 2;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;

/// Opens the tracepoint for all processes. One processor is named, as the kernel asks; a program attached to a
/// tracepoint's event runs on all of them.
fn open_event(number: u64) -> io::Result<OwnedFd> {
    let attr =
        EventAttr { kind: PERF_TYPE_TRACEPOINT, size: ATTR_BYTES, config: number, ..EventAttr::default() };
    // SAFETY: `attr` is a valid perf_event_attr of the size it states and lives through the call.
    let fd =
        unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC) };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just given us this descriptor; nobody else has it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _failed => Err(io::Error::last_os_error()),
    }
}

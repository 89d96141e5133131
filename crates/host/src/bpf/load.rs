//! Loads the programs into the kernel and attaches them, each on its own: one that is refused makes one thing blind.
//!
//! Everything hangs on descriptors of this process; nothing is pinned, so nothing outlives it.

use std::{
    error::Error as _,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use libbpf_rs::{Link, MapCore as _, MapFlags, MapHandle, Object, ObjectBuilder, OpenObject, PrintLevel};

use super::{
    record::{self, Settings, WatchedIn, WatchedName},
    watched,
};
use crate::SensorError;

/// The sensor's programs.
pub(crate) static SENSOR: &Image<[u8]> = &Image(*include_bytes!(concat!(env!("OUT_DIR"), "/sensor.bpf.o")));

/// The iterators.
pub(crate) static LOOK: &Image<[u8]> = &Image(*include_bytes!(concat!(env!("OUT_DIR"), "/look.bpf.o")));

/// An ELF file where libelf wants it: on a boundary of eight bytes.
#[repr(align(8))]
pub(crate) struct Image<T: ?Sized>(T);

/// Where a program is attached.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// Named by its section.
    Named,
    /// The root of the cgroup2 tree.
    Cgroup,
}

/// A program and what we do not see without it.
pub(crate) struct Hook {
    program: &'static str,
    /// As in [`minesweep_model::Blind::what`].
    pub(crate) sees: &'static [&'static str],
    pub(crate) place: Place,
}

const fn hook(program: &'static str, sees: &'static [&'static str], place: Place) -> Hook {
    Hook { program, sees, place }
}

/// Every program of sensor.bpf.c.
pub(crate) static HOOKS: [Hook; 14] = [
    hook("on_exec", &["exec"], Place::Named),
    hook("on_fork", &["fork"], Place::Named),
    hook("on_exit", &["exit"], Place::Named),
    hook("on_connect4", &["connect"], Place::Cgroup),
    hook("on_connect6", &["connect"], Place::Cgroup),
    hook("on_tcp", &["connect"], Place::Cgroup),
    hook("on_sendmsg4", &["dns-process"], Place::Cgroup),
    hook("on_sendmsg6", &["dns-process"], Place::Cgroup),
    hook("on_state", &["closed"], Place::Named),
    // Before the next, which reports what this one found.
    hook("on_sender", &["sender"], Place::Cgroup),
    hook("on_bytes_out", &["bytes"], Place::Cgroup),
    hook("on_bytes_in", &["bytes"], Place::Cgroup),
    hook("on_switch", &["rounding"], Place::Named),
    hook("on_call", &["accept", "maps", "msr", "settings", "files"], Place::Named),
];

/// Hooks that the kernel does not take, and why.
pub(crate) type Refused = Vec<(&'static Hook, io::Error)>;

/// What is in the kernel now.
pub(crate) struct Loaded {
    pub(crate) object: Object,
    pub(crate) links: Vec<Link>,
    pub(crate) refused: Refused,
}

/// Loads and attaches what the kernel takes. Without the exec hook nothing is loaded: the other sensor sees more then.
pub(crate) fn load(settings: &Settings, cgroup: Option<&Path>) -> Result<Loaded, SensorError> {
    quiet_library();
    check_types()?;
    let (object, mut refused) = load_programs(settings)?;
    watch_names(&object).map_err(|cause| refuse("its map of watched names", cause))?;
    let mut links = Vec::new();
    let root = match cgroup {
        Some(path) => open_folder(path),
        None => Err(io::Error::new(io::ErrorKind::NotFound, "no cgroup2 is mounted")),
    };
    for hook in &HOOKS {
        if refused.iter().any(|(known, _)| known.program == hook.program) {
            continue;
        }
        match attach(&object, hook, root.as_ref()) {
            Ok(more) => links.extend(more),
            Err(cause) => refused.push((hook, cause)),
        }
    }
    if let Some(at) = refused.iter().position(|(hook, _)| hook.sees.contains(&"exec")) {
        let (_, cause) = refused.swap_remove(at);
        return Err(refuse("the tracepoint sched_process_exec; the proc sensor does without", cause));
    }
    Ok(Loaded { object, links, refused })
}

/// An error of the sensor.
pub(crate) fn refuse(what: impl Into<String>, source: io::Error) -> SensorError {
    SensorError::Refused { sensor: "bpf", what: what.into(), source }
}

/// The system's error inside libbpf's.
pub(crate) fn io_error(error: libbpf_rs::Error) -> io::Error {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(code) = inner.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        source = inner.source();
    }
    io::Error::new(error_kind(&error), format!("{error:#}"))
}

/// A map of a loaded object. libbpf puts the object's name before those of data sections.
pub(crate) fn map(object: &Object, name: &str) -> io::Result<MapHandle> {
    let found = object.maps().find(|map| map.name().to_string_lossy().ends_with(name));
    MapHandle::try_from(&found.ok_or(io::ErrorKind::NotFound)?).map_err(io_error)
}

/// Opens an image; the caller sets it up and loads it.
pub(crate) fn open(image: &Image<[u8]>) -> io::Result<OpenObject> {
    ObjectBuilder::default().open_memory(&image.0).map_err(io_error)
}

/// Sends what libbpf says to the log, where a refused program is no alarm.
pub(crate) fn quiet_library() {
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| {
        tracing::debug!(line = line.trim_end(), "libbpf")
    })));
}

/// Says what is missing before libbpf says it in its own words.
pub(crate) fn check_types() -> Result<(), SensorError> {
    match Path::new("/sys/kernel/btf/vmlinux").try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(refuse(
            "the kernel's type information, /sys/kernel/btf/vmlinux; mount /sys, or use the proc sensor on kernels \
             without CONFIG_DEBUG_INFO_BTF",
            io::ErrorKind::NotFound.into(),
        )),
        Err(cause) => Err(refuse("the kernel's type information, /sys/kernel/btf/vmlinux", cause)),
    }
}

fn error_kind(error: &libbpf_rs::Error) -> io::ErrorKind {
    match error.kind() {
        libbpf_rs::ErrorKind::NotFound => io::ErrorKind::NotFound,
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        libbpf_rs::ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
        _other => io::ErrorKind::Other,
    }
}

/// Loads all programs at once; when the kernel refuses that, asks for each alone and then loads those it takes.
fn load_programs(settings: &Settings) -> Result<(Object, Refused), SensorError> {
    let first = match load_only(settings, |_| true) {
        Ok(object) => return Ok((object, Vec::new())),
        Err(cause) => cause,
    };
    let mut refused = Vec::new();
    for hook in &HOOKS {
        if let Err(cause) = load_only(settings, |program| program == hook.program) {
            refused.push((hook, cause));
        }
    }
    if refused.len() == HOOKS.len() {
        return Err(refuse(
            "eBPF; run as root with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, on Linux 5.8 or newer",
            first,
        ));
    }
    let is_taken = |program: &str| !refused.iter().any(|(hook, _)| hook.program == program);
    let object = load_only(settings, is_taken).map_err(|cause| refuse("eBPF programs", cause))?;
    Ok((object, refused))
}

fn load_only(settings: &Settings, is_wanted: impl Fn(&str) -> bool) -> io::Result<Object> {
    let mut object = open(SENSOR)?;
    for mut program in object.progs_mut() {
        let wanted = program.name().to_str().is_some_and(&is_wanted);
        program.set_autoload(wanted);
    }
    let mut rodata = object
        .maps_mut()
        .find(|map| map.name() == ".rodata" || map.name().to_string_lossy().ends_with(".rodata"))
        .ok_or(io::ErrorKind::NotFound)?;
    let bytes = record::bytes_of(settings);
    let value = rodata.initial_value_mut().ok_or(io::ErrorKind::NotFound)?;
    value.get_mut(..bytes.len()).ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(bytes);
    object.load().map_err(io_error)
}

/// The names whose reading is told, and those that are told in file systems that are left out.
fn watch_names(object: &Object) -> io::Result<()> {
    let names = map(object, "watched_names")?;
    for watched in watched::NAMES {
        let key = WatchedName { name: padded(watched.name) };
        let value = WatchedIn { acts: watched.acts, folder: padded(watched.folder) };
        names.update(record::bytes_of(&key), record::bytes_of(&value), MapFlags::ANY).map_err(io_error)?;
    }
    Ok(())
}

/// A C string in a field of its own length; what does not fit is cut, a NUL stays.
pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut out = [0; N];
    let room = N.saturating_sub(1);
    for (to, from) in out.iter_mut().take(room).zip(text.bytes()) {
        *to = from;
    }
    out
}

fn attach(object: &Object, hook: &Hook, cgroup: Result<&OwnedFd, &io::Error>) -> io::Result<Vec<Link>> {
    let program =
        object.progs_mut().find(|program| program.name() == hook.program).ok_or(io::ErrorKind::NotFound)?;
    match hook.place {
        Place::Named => Ok(vec![program.attach().map_err(io_error)?]),
        Place::Cgroup => {
            let root = cgroup.map_err(|cause| io::Error::new(cause.kind(), cause.to_string()))?;
            Ok(vec![program.attach_cgroup(root.as_raw_fd()).map_err(io_error)?])
        }
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Where cgroup2 is mounted, the whole tree rather than a part of it.
pub(crate) fn cgroup_root(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| super::cgroup::mount_path(path))
    })
}

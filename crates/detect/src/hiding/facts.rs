//! What a look for hidden things found, judged.

use minesweep_model::{FileAct, FileEvent, HidingFact, Owner, ProcMount};

use super::{
    HIDDEN_MODULE, HIDDEN_SOCKET, IMMUTABLE_FILE, KERNEL_TAINT, MODULE_WITHOUT_FILE, ODD_NAME,
    OWNERLESS_SOCKET, PRELOAD, PROC_HIDEPID, PROC_MOUNT, REPLACED_COMMAND, Sign, UNOWNED_LIBRARY,
    UNOWNED_MODULE, names, places, words,
};
use crate::tree::base_name;

/// Fewer processes than these say nothing of a share.
const ENOUGH_PROCESSES: u32 = 4;
/// `FS_IMMUTABLE_FL` and `FS_APPEND_FL` of linux/fs.h.
const IMMUTABLE: u64 = 0x10;
const APPEND_ONLY: u64 = 0x20;

/// Ports on which the kernel itself listens: NFS and its helpers, iSCSI, SMB.
const KERNEL_PORTS: [u16; 4] = [2049, 20_048, 3260, 445];

/// Files that guides for hardening tell people to lock.
const OFTEN_LOCKED: [&str; 12] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/fstab",
    "/etc/services",
    "/etc/ssh/sshd_config",
    "/etc/inittab",
];

/// Where a lock keeps something that starts by itself, or a dropped file, from being taken away.
const HELD: [&str; 19] = [
    "/etc/cron",
    "/var/spool/cron",
    "/etc/anacrontab",
    "/etc/systemd/",
    "/lib/systemd/",
    "/usr/lib/systemd/",
    "/etc/ld.so.preload",
    "/etc/rc",
    "/etc/init.d/",
    "/etc/profile",
    "/etc/bash",
    "/etc/update-motd.d/",
    "/usr/bin/",
    "/usr/sbin/",
    "/bin/",
    "/sbin/",
    "/usr/local/bin/",
    "/usr/local/sbin/",
    "/usr/local/lib/",
];

/// What a fact means.
pub(crate) fn fact(fact: &HidingFact) -> Option<Sign> {
    match fact {
        HidingFact::Runs { path, owner } => names::unowned(path, owner),
        HidingFact::ProcMount(mount) => proc_mount(mount),
        HidingFact::Preload { by, library, owner, exists } => {
            let is_odd = *exists && is_odd_preload(by, library, owner);
            is_odd.then(|| Sign::new(PRELOAD, library, words::preload(by, library)))
        }
        HidingFact::Mapped { library, processes, of } => {
            let is_odd = *of >= ENOUGH_PROCESSES && u64::from(*processes) * 2 > u64::from(*of);
            is_odd.then(|| Sign::new(UNOWNED_LIBRARY, library, words::mapped(library, *processes, *of)))
        }
        HidingFact::Replaced { path, package, target, original } => {
            let why = words::replaced(path, package, target.as_deref(), original.as_deref());
            Some(Sign::new(REPLACED_COMMAND, path, why))
        }
        HidingFact::Module { name, seen_in, missing_in } => (!missing_in.is_empty())
            .then(|| Sign::new(HIDDEN_MODULE, name, words::hidden_module(name, seen_in, missing_in))),
        HidingFact::ModuleFile { name, path, owner } => module_file(name, path.as_deref(), owner),
        HidingFact::Taint { bits } => Some(Sign::new(KERNEL_TAINT, "", words::taint(*bits))),
        HidingFact::Locked { path, is_immutable, .. } => locked(path, *is_immutable),
        HidingFact::Name { path } => odd_file(path),
        HidingFact::Socket { local, protocol, is_in_table } => {
            let thing = format!("{protocol:?} {local}");
            if !is_in_table {
                return Some(Sign::new(HIDDEN_SOCKET, &thing, words::hidden_socket(*local)));
            }
            let is_kernels = KERNEL_PORTS.contains(&local.port());
            (!is_kernels).then(|| Sign::new(OWNERLESS_SOCKET, &thing, words::ownerless_socket(*local)))
        }
    }
}

/// What a change of a file hides, whoever did it.
pub(crate) fn file(event: &FileEvent) -> Option<Sign> {
    if !event.is_done {
        return None;
    }
    let path = event.path.as_str();
    match event.act {
        // Only a whole folder of a process: runtimes mount on /proc/self/fd/N, which stands for another place.
        FileAct::Mount => {
            let of = path.trim_end_matches('/').strip_prefix("/proc/")?;
            let is_process = !of.is_empty() && of.bytes().all(|b| b.is_ascii_digit());
            let what = event.other.as_deref().unwrap_or_default();
            is_process.then(|| Sign::new(PROC_MOUNT, path, words::proc_mount(path, what)))
        }
        FileAct::Flags => {
            let flags = event.value?;
            (flags & (IMMUTABLE | APPEND_ONLY) != 0).then(|| locked(path, flags & IMMUTABLE != 0))?
        }
        FileAct::Create | FileAct::Symlink => odd_file(path),
        FileAct::Rename | FileAct::Link => odd_file(event.other.as_deref()?),
        FileAct::Write
        | FileAct::Read
        | FileAct::Remove
        | FileAct::Mode
        | FileAct::Owner
        | FileAct::Xattr
        | FileAct::Unmount
        | FileAct::Memfd => None,
    }
}

fn proc_mount(mount: &ProcMount) -> Option<Sign> {
    let point = mount.point.as_str();
    let what = format!("{} {}", mount.kind, mount.root);
    if point == "/proc" {
        // A part of /proc, or something else, in the place of /proc. Each namespace has a whole one of its own.
        if mount.kind != "proc" || mount.root != "/" {
            return Some(Sign::new(PROC_MOUNT, point, words::proc_mount(point, &what)));
        }
        let hidepid = mount.hidepid.as_deref().filter(|_| !mount.is_in_fstab)?;
        return Some(Sign::new(PROC_HIDEPID, point, words::hidepid(hidepid)));
    }
    let first = point.strip_prefix("/proc/")?.split('/').next()?;
    let is_process = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
    is_process.then(|| Sign::new(PROC_MOUNT, point, words::proc_mount(point, &what)))
}

/// The linker's own file counts for every process of the machine; the environment only for one, and people set it
/// for allocators and profilers of their own.
fn is_odd_preload(by: &str, library: &str, owner: &Owner) -> bool {
    let is_odd_place = places::is_throwaway(library) || places::is_in_hidden_folder(library);
    match owner {
        Owner::Package(_) => false,
        Owner::Unknown => is_odd_place,
        Owner::Nobody => by.starts_with('/') || is_odd_place || places::is_system(library),
    }
}

fn module_file(name: &str, path: Option<&str>, owner: &Owner) -> Option<Sign> {
    let Some(path) = path else {
        return Some(Sign::new(MODULE_WITHOUT_FILE, name, words::module_without_file(name)));
    };
    // DKMS and the kernel's own build put modules there.
    let is_built = ["/updates/", "/dkms/", "/weak-updates/"].iter().any(|part| path.contains(part));
    (*owner == Owner::Nobody && !is_built)
        .then(|| Sign::new(UNOWNED_MODULE, name, words::unowned_module(name, path)))
}

fn locked(path: &str, is_immutable: bool) -> Option<Sign> {
    if OFTEN_LOCKED.contains(&path) {
        return None;
    }
    let is_held = places::starts_with_any(path, &HELD)
        || path.contains("/.ssh/")
        || path.ends_with("/.ssh")
        || places::is_throwaway(path);
    is_held.then(|| Sign::new(IMMUTABLE_FILE, path, words::locked(path, is_immutable)))
}

/// Folders in which nobody tests what names a file may have.
const PLAIN_NAMES: [&str; 13] = [
    "/tmp/",
    "/var/tmp/",
    "/dev/",
    "/etc/",
    "/usr/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/opt/",
    "/run/",
    "/var/spool/",
    "/boot/",
    "/root/",
];

fn odd_file(path: &str) -> Option<Sign> {
    if !places::starts_with_any(path, &PLAIN_NAMES) && path.matches('/').count() > 1 {
        return None;
    }
    let oddity = names::odd(base_name(path))?;
    Some(Sign::new(ODD_NAME, path, words::odd_name(path, oddity)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(point: &str, kind: &str, root: &str) -> ProcMount {
        let text = str::to_owned;
        ProcMount {
            point: text(point),
            kind: text(kind),
            root: text(root),
            hidepid: None,
            is_in_fstab: false,
        }
    }

    #[test]
    fn mounts_of_runtimes_and_of_the_system_below_proc_are_usual() {
        for (point, kind, root) in [
            ("/proc", "proc", "/"),
            ("/proc/sys/fs/binfmt_misc", "autofs", "/"),
            ("/proc/cpuinfo", "fuse.lxcfs", "/proc/cpuinfo"),
            ("/proc/acpi", "tmpfs", "/"),
            ("/proc/kcore", "devtmpfs", "/null"),
            ("/proc/fs/nfsd", "nfsd", "/"),
        ] {
            assert_eq!(proc_mount(&mount(point, kind, root)), None, "{point}");
        }
        for (point, kind, root) in [
            ("/proc/812", "ext4", "/tmp/empty"),
            ("/proc/812", "proc", "/2"),
            ("/proc/812/status", "tmpfs", "/"),
            ("/proc", "tmpfs", "/"),
            ("/proc", "proc", "/1"),
        ] {
            assert_eq!(proc_mount(&mount(point, kind, root)).unwrap().rule, PROC_MOUNT, "{point} {kind}");
        }
    }

    #[test]
    fn hidepid_that_the_machine_asks_for_is_hardening() {
        let mut proc = mount("/proc", "proc", "/");
        proc.hidepid = Some("2".to_owned());
        assert_eq!(proc_mount(&proc).unwrap().rule, PROC_HIDEPID);
        proc.is_in_fstab = true;
        assert_eq!(proc_mount(&proc), None);
    }

    #[test]
    fn half_of_the_processes_is_not_more_than_half() {
        let mapped = |processes, of| fact(&HidingFact::Mapped { library: "/l.so".to_owned(), processes, of });
        assert_eq!(mapped(5, 10), None);
        assert_eq!(mapped(3, 3), None, "too few to tell");
        assert!(mapped(6, 10).is_some());
        assert!(mapped(u32::MAX, u32::MAX).is_some());
    }
}

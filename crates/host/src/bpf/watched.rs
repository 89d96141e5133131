//! Which files are told of when they are only read, and where a refused try is news.
//!
//! Names and folders, handed to the kernel side at load. Copies, does not judge: what a reading means is a rule's
//! business. Everything that is written, made, moved or removed is told anyway, but for the file systems below.

use minesweep_model::FileAct;

/// Reading is told.
pub(crate) const READ: u32 = 1;
/// Writing is told also in file systems that are left out.
pub(crate) const WRITE: u32 = 2;

/// A name that is watched, in a folder of that name or, when that is empty, in any.
pub(crate) struct Watched {
    pub(crate) name: &'static str,
    pub(crate) folder: &'static str,
    pub(crate) acts: u32,
}

const fn read(name: &'static str, folder: &'static str) -> Watched {
    Watched { name, folder, acts: READ }
}

const fn write(name: &'static str) -> Watched {
    Watched { name, folder: "", acts: WRITE }
}

/// Names of at most 39 bytes, folders of at most 23.
pub(crate) const NAMES: &[Watched] = &[
    // Passwords and who may become whom.
    read("shadow", "etc"),
    read("shadow-", "etc"),
    read("gshadow", "etc"),
    read("gshadow-", "etc"),
    read("sudoers", "etc"),
    read("opasswd", "security"),
    // Keys of the machine and of people; those in .ssh are told by their folder.
    read("ssh_host_rsa_key", "ssh"),
    read("ssh_host_ecdsa_key", "ssh"),
    read("ssh_host_ed25519_key", "ssh"),
    read("id_rsa", ""),
    read("id_ecdsa", ""),
    read("id_ed25519", ""),
    // Clouds, clusters and services.
    read("config.json", ".docker"),
    read("credentials.db", "gcloud"),
    read("access_tokens.db", "gcloud"),
    read("application_default_credentials.json", "gcloud"),
    read("kubelet.conf", "kubernetes"),
    read("admin.conf", "kubernetes"),
    read("super-admin.conf", "kubernetes"),
    read("kubeconfig", ""),
    read("token", ""),
    read(".git-credentials", ""),
    read(".netrc", ""),
    read(".pgpass", ""),
    read(".my.cnf", ""),
    read(".s3cfg", ""),
    read(".vault-token", ""),
    read("rclone.conf", "rclone"),
    read("wallet.dat", ""),
    // Settings of the kernel that miners raise or that lead out of a container; memory of others.
    write("nr_hugepages"),
    write("nr_overcommit_hugepages"),
    write("allow_writes"),
    write("nmi_watchdog"),
    write("drop_caches"),
    write("swappiness"),
    write("core_pattern"),
    write("modprobe"),
    write("uevent_helper"),
    write("release_agent"),
    write("notify_on_release"),
    write("sysrq-trigger"),
    write("randomize_va_space"),
    write("ptrace_scope"),
    write("modules_disabled"),
    write("ip_forward"),
    write("enforce"),
    write("mem"),
    write("kmem"),
    write("msr"),
];

/// Folders in which each file is watched for reading; names of at most seven bytes, which the kernel side compares as
/// one word.
pub(crate) const FOLDERS: &[&str] = &[".ssh", ".gnupg", ".aws", ".azure", ".kube"];

/// File systems that hold no files but views of the kernel, by the magic numbers of `statfs`: written to all day, and
/// nothing stays there. Pipes, sockets and terminals are left out by their kind.
pub(crate) const EXCLUDED: &[u32] = &[
    0x0000_9fa0, // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0xcafe_4a11, // bpf
    0x1980_0202, // mqueue
    0xde5e_81e4, // efivarfs
    0x6165_676c, // pstore
    0x5a3c_69f0, // apparmorfs
];

/// Folders below which a refused opening for writing is news.
const KEPT: &[&str] = &[
    "/etc/",
    "/root/",
    "/boot/",
    "/usr/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib64/",
    "/opt/",
    "/var/spool/",
    "/var/log/",
    "/proc/",
    "/sys/",
    "/dev/",
];

/// Is a refused opening news?
pub(crate) fn is_news(act: FileAct, path: &str) -> bool {
    if act != FileAct::Read {
        return KEPT.iter().any(|folder| path.starts_with(folder));
    }
    let mut parts = path.rsplit('/');
    let (Some(name), Some(folder)) = (parts.next(), parts.next()) else { return false };
    let is_named = |watched: &Watched| {
        watched.name == name
            && watched.acts & READ != 0
            && (watched.folder.is_empty() || watched.folder == folder)
    };
    FOLDERS.contains(&folder) || NAMES.iter().any(is_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_fits_the_kernel_sides_room_and_stands_once() {
        for watched in NAMES {
            assert!(watched.name.len() < 40 && watched.folder.len() < 24, "{}", watched.name);
            assert_eq!(
                NAMES.iter().filter(|other| other.name == watched.name).count(),
                1,
                "{}",
                watched.name
            );
        }
        assert!(FOLDERS.len() <= 8 && FOLDERS.iter().all(|name| name.len() < 8));
        assert!(EXCLUDED.len() <= 16);
    }

    #[test]
    fn a_refusal_is_news_for_core_files_only() {
        assert!(is_news(FileAct::Read, "/etc/shadow"));
        assert!(is_news(FileAct::Read, "/home/a/.ssh/any"));
        assert!(!is_news(FileAct::Read, "/srv/shadow"));
        assert!(!is_news(FileAct::Read, "shadow"));
        assert!(is_news(FileAct::Write, "/etc/ld.so.preload"));
        assert!(!is_news(FileAct::Write, "/home/a/file"));
    }
}

//! Places of the file tree, by who writes there.

/// Folders that anybody may write to and that nobody keeps programs in.
const THROWAWAY: [&str; 7] =
    ["/tmp/", "/var/tmp/", "/dev/shm/", "/dev/mqueue/", "/run/lock/", "/var/lock/", "/memfd:"];

/// Folders of programs that packages bring.
const SYSTEM: [&str; 10] = [
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib64/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/libexec/",
    "/usr/lib32/",
];

/// Folders that hold data, never programs that a person started.
const DATA: [&str; 11] = [
    "/etc/",
    "/var/",
    "/boot/",
    "/dev/",
    "/proc/",
    "/sys/",
    "/run/",
    "/usr/share/",
    "/usr/include/",
    "/usr/games/",
    "/lost+found/",
];

/// Of these, where other package managers keep programs, and what the user's session mounts.
const DATA_WITH_PROGRAMS: [&str; 5] =
    ["/var/lib/snapd/", "/var/lib/flatpak/", "/var/lib/docker/", "/var/lib/containers/", "/run/user/"];

/// Anybody may write there.
pub(super) fn is_throwaway(path: &str) -> bool {
    starts_with_any(path, &THROWAWAY)
}

/// It lies in the open of a folder of that kind, or hidden in it: nothing that was unpacked or built there.
pub(super) fn is_dropped(path: &str) -> bool {
    let rest = THROWAWAY.iter().find_map(|folder| path.strip_prefix(folder));
    rest.is_some_and(|rest| !rest.contains('/') || is_in_hidden_folder(path))
}

/// Packages keep programs and libraries there.
pub(super) fn is_system(path: &str) -> bool {
    starts_with_any(path, &SYSTEM)
}

/// A folder of the path begins with a dot.
pub(super) fn is_in_hidden_folder(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, _)| folder.contains("/."))
}

/// No installer and no developer keeps a program there.
pub(super) fn is_odd_for_programs(path: &str) -> bool {
    let is_data = starts_with_any(path, &DATA) && !starts_with_any(path, &DATA_WITH_PROGRAMS);
    is_throwaway(path) || is_in_hidden_folder(path) || is_data
}

pub(super) fn starts_with_any(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_odd_for_programs_when_only_data_or_nobody_lives_there() {
        for path in ["/tmp/x", "/dev/shm/.a/x", "/etc/x", "/var/lib/x", "/root/.cache/x", "/home/u/.x/sshd"] {
            assert!(is_odd_for_programs(path), "{path}");
        }
        for path in
            ["/usr/sbin/sshd", "/opt/x/sshd", "/home/u/src/sshd", "/var/lib/snapd/snap/x", "/tmpfiles/x"]
        {
            assert!(!is_odd_for_programs(path), "{path}");
        }
        assert!(!is_in_hidden_folder("/home/u/.profile"), "the file itself may begin with a dot");
    }
}

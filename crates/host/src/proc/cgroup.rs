//! The container a process runs in, read from its control group path.
//!
//! The path is a claim: root on the host can make a group with any name and move a process into it. So the container
//! explains and groups; nothing is trusted or spared for it.

use minesweep_model::Container;

/// Path and container from `/proc/PID/cgroup` (v1, v2 or both). The path that names a container wins, then the
/// unified one, then systemd's, then the first.
pub(crate) fn read(text: &[u8]) -> (String, Option<Container>) {
    let text = String::from_utf8_lossy(text);
    let mut best: Option<(u8, &str, Option<Container>)> = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let found = container(path);
        let rank = match (&found, hierarchy, controllers) {
            (Some(_), _, _) => 4,
            (None, "0", "") if path != "/" => 3,
            (None, _, "name=systemd") if path != "/" => 2,
            (None, _, _) if path != "/" => 1,
            (None, _, _) => 0,
        };
        if best.as_ref().is_none_or(|(best_rank, _, _)| rank > *best_rank) {
            best = Some((rank, path, found));
        }
    }
    best.map(|(_, path, found)| (path.to_owned(), found)).unwrap_or_default()
}

/// The innermost container that a control group path names. Monitors of a container (`conmon`) run outside it.
pub fn container(path: &str) -> Option<Container> {
    let mut found = None;
    let mut parent = "";
    for segment in path.split('/') {
        if let Some((runtime, id)) = segment_id(segment) {
            let runtime = if runtime.is_empty() { runtime_of_parent(parent) } else { runtime };
            found = Some(Container { id: id.to_owned(), runtime: runtime.to_owned() });
        }
        parent = segment;
    }
    found
}

/// Prefixes that runtimes put before the id, in the systemd and the cgroupfs form.
const PREFIXES: [(&str, &str); 6] = [
    ("docker", "docker"),
    ("libpod", "podman"),
    ("cri-containerd", "containerd"),
    ("nerdctl", "containerd"),
    ("crio", "crio"),
    ("containerd", "containerd"),
];

fn segment_id(segment: &str) -> Option<(&'static str, &str)> {
    let name = segment.strip_suffix(".scope").unwrap_or(segment);
    if is_id(name) {
        return Some(("", name));
    }
    // `kubepods-pod1.slice:cri-containerd:ID`: systemd's form taken for a cgroupfs path.
    let name = name.rsplit_once(".slice:").map_or(name, |(_, rest)| rest);
    PREFIXES.iter().find_map(|&(prefix, runtime)| {
        let id = name.strip_prefix(prefix)?.strip_prefix(['-', ':'])?;
        is_id(id).then_some((runtime, id))
    })
}

fn runtime_of_parent(parent: &str) -> &'static str {
    match parent {
        "docker" | "docker.slice" => "docker",
        "libpod_parent" | "machine.slice" => "podman",
        "k8s.io" | "moby" => "containerd",
        _other => "",
    }
}

/// 64 lower-case hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn each_runtime_is_known_by_its_path() {
        for (path, runtime) in [
            (format!("/docker/{ID}"), "docker"),
            (format!("/system.slice/docker-{ID}.scope"), "docker"),
            (format!("/machine.slice/libpod-{ID}.scope/container"), "podman"),
            (format!("/libpod_parent/libpod-{ID}"), "podman"),
            (format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), "containerd"),
            (format!("/system.slice/kubepods-burstable-pod1.slice:cri-containerd:{ID}"), "containerd"),
            (format!("/kubepods.slice/kubepods-besteffort.slice/crio-{ID}.scope"), "crio"),
            (format!("/kubepods/besteffort/pod0a1b/{ID}"), ""),
            (format!("/k8s.io/{ID}"), "containerd"),
        ] {
            assert_eq!(
                container(&path),
                Some(Container { id: ID.into(), runtime: runtime.into() }),
                "{path}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_a_container_is_none() {
        let upper = ID.to_uppercase();
        let short = &ID[..63];
        for path in [
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/docker/{upper}"),
            format!("/docker/{short}"),
            format!("/system.slice/my-{ID}.service"),
            "/user.slice/user-0.slice/session-1.scope".to_owned(),
            "/".to_owned(),
            String::new(),
        ] {
            assert_eq!(container(&path), None, "{path}");
        }
    }

    #[test]
    fn a_container_inside_a_container_is_the_inner_one() {
        let inner = ID.replace('0', "f");
        let path = format!("/docker/{ID}/docker/{inner}");
        assert_eq!(container(&path).unwrap().id, inner);
    }

    #[test]
    fn mixed_versions_give_the_path_that_names_the_container() {
        let text = format!("12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n");
        let (path, found) = read(text.as_bytes());
        assert_eq!(path, format!("/docker/{ID}"));
        assert_eq!(found.unwrap().id, ID);
    }

    #[test]
    fn without_a_container_the_unified_path_is_taken() {
        let text = b"5:memory:/m\n1:name=systemd:/s\n0::/system.slice/ssh.service\n";
        assert_eq!(read(text), ("/system.slice/ssh.service".to_owned(), None));
        assert_eq!(read(b"4:memory:/only/v1\n1:name=systemd:/\n"), ("/only/v1".to_owned(), None));
        assert_eq!(read(b"0::/\n"), ("/".to_owned(), None));
        assert_eq!(read(b"\xff:nonsense"), (String::new(), None));
    }

    #[test]
    fn a_colon_in_the_path_stays_in_it() {
        assert_eq!(read(b"0::/a:b/c\n").0, "/a:b/c");
    }
}

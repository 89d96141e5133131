//! The machine itself: who it is, and what it lets us see.
//!
//! Reads only; where a capability can only be known by asking the kernel, the question changes nothing.

mod checks;

use std::{fs, path::Path};

use minesweep_model::{Host, Text};

use crate::{proc::lossy, proc::root};

pub use self::checks::doctor;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Something is not seen, or only in another way.
    Degraded,
    /// Not there; what rests on it is blind.
    Missing,
}

/// One thing that matters for what can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Short and stable, e.g. `btf`.
    pub name: &'static str,
    /// How it came out.
    pub state: CheckState,
    /// What was found, and the remedy where there is one.
    pub text: Text,
}

/// The machine. The sensor and what is blind are for the caller to add.
pub fn host() -> Host {
    Host {
        name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        machine_id: first_line("/etc/machine-id"),
        boot_id: lossy(&root::read("sys/kernel/random/boot_id", 64).unwrap_or_default()).trim().to_owned(),
        kernel: kernel(),
        os: os(&text("/etc/os-release")),
        cpus: cpus(),
        cpu_model: cpu_model(&lossy(&root::read("cpuinfo", 4096).unwrap_or_default())),
        sensor: String::new(),
        blind: Vec::new(),
    }
}

/// Release of the kernel.
pub(crate) fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Logical processors that are on, also those that this process may not use.
fn cpus() -> u32 {
    let stat = root::read("stat", 128 << 10).unwrap_or_default();
    let lines = stat.split(|&b| b == b'\n').skip(1).take_while(|line| line.starts_with(b"cpu")).count();
    u32::try_from(lines).unwrap_or(u32::MAX)
}

/// Most bytes of a text in /etc.
const TEXT_BYTES: u64 = 16 << 10;

fn text(path: &str) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(TEXT_BYTES).read_to_end(&mut bytes));
    if read.is_err() { String::new() } else { lossy(&bytes) }
}

fn first_line(path: &str) -> String {
    text(path).lines().next().unwrap_or_default().trim().to_owned()
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

fn os(release: &str) -> String {
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    };
    field("PRETTY_NAME").or_else(|| field("NAME")).unwrap_or_default()
}

fn cpu_model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_named_as_it_names_itself() {
        assert_eq!(
            os("NAME=\"A\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(os("NAME=Alpine\n"), "Alpine");
        assert_eq!(os(""), "");
    }

    #[test]
    fn the_processor_is_named_by_its_first_entry() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 2:1 GHz\n"), "Some CPU @ 2:1 GHz");
        assert_eq!(cpu_model("processor : 0\n"), "");
    }
}

//! A tool of the system under another name: by what it is asked to do, when its file is not known.

use minesweep_model::Process;

use super::{Language, is_coveted, is_fetcher, language, tools};
use crate::tree::base_name;

/// Programs that put files in place and take them away; what they rename is an upgrade.
const PACKAGERS: [&str; 14] = [
    "dpkg",
    "dpkg-divert",
    "dpkg-deb",
    "rpm",
    "rpm-ostree",
    "yum",
    "dnf",
    "dnf5",
    "microdnf",
    "apk",
    "pacman",
    "update-alternatives",
    "snapd",
    "zypper",
];

/// The tool whose way of asking this is: `-fsSL URL` is curl's, `-qO- URL` is wget's. `None` for tools under their own
/// name, interpreters, and everything that fetches.
pub(crate) fn asked_like(process: &Process) -> Option<&'static str> {
    let name = base_name(&process.exe);
    let is_known =
        is_fetcher(name) || is_coveted(name) || tools::is_multi_call(name) || tools::wrapper(name).is_some();
    if is_known || language(name).is_some() || name.is_empty() {
        return None;
    }
    let args = process.argv.get(1..)?.iter().take(32);
    let is_url =
        |arg: &String| ["http://", "https://", "ftp://"].iter().any(|scheme| arg.starts_with(scheme));
    if !args.clone().any(is_url) {
        return None;
    }
    let mut tool = None;
    for arg in args {
        let letters = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-')).unwrap_or_default();
        let curls = letters.chars().filter(|c| "fsSLkI".contains(*c)).count();
        if curls >= 3 && letters.chars().all(|c| "fsSLkIoOJv".contains(c)) {
            tool = Some("curl");
        }
        if matches!(letters, "qO-" | "qO" | "O-" | "qcO" | "cqO") || arg == "--no-check-certificate" {
            tool = Some("wget");
        }
    }
    tool
}

/// The tool's own name, when a file of that name in the system's folders gets another name by somebody who is no
/// package tool.
pub(crate) fn renamed<'a>(by: &Process, old: &'a str, new: &str) -> Option<&'a str> {
    let name = tool_at(old)?;
    let is_other = base_name(new) != name && !base_name(new).is_empty();
    let is_packager = PACKAGERS.contains(&base_name(&by.exe)) && !by.exe.starts_with("/tmp/");
    (is_other && !is_packager).then_some(name)
}

/// The tool that lies at this path.
pub(crate) fn tool_at(path: &str) -> Option<&str> {
    const FOLDERS: [&str; 6] =
        ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"];
    let name = base_name(path);
    let is_system = FOLDERS.iter().any(|folder| path.strip_prefix(folder) == Some(name));
    (is_coveted(name) && is_system).then_some(name)
}

/// The script of an interpreter.
pub(crate) fn script(process: &Process) -> Option<&str> {
    let of = language(&process.exe)?;
    let mut rest = process.argv.get(1..)?.iter();
    let first = rest.find(|arg| !arg.starts_with('-') || arg.len() < 2)?;
    // A shell's `-c` is followed by a text.
    let has_text = of == Language::Shell && process.argv.get(1..)?.iter().any(|arg| is_text_option(arg));
    (!has_text).then_some(first)
}

fn is_text_option(arg: &str) -> bool {
    arg.starts_with('-') && !arg.starts_with("--") && arg.contains('c')
}

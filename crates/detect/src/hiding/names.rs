//! The names a process goes by: what the kernel calls it, what it calls itself, and the file it runs.
//!
//! Only the file cannot be chosen freely. A name alone is never bad; a name that belongs to somebody else is, when the
//! file lies where that somebody never does.

use minesweep_model::{Origin, Owner, Process};

use super::{
    AGENT_REMOVED, HIDDEN_PROCESS, KERNEL_THREAD_NAME, NAME_SPOOF, ODD_NAME, Sign, WORN_NAME, agents, places,
    words,
};
use crate::tree::base_name;

/// What kernel threads are called; a number or more may follow. Names that programs have too (`watchdog`, `netns`) are
/// left out.
const KERNEL_THREADS: [&str; 24] = [
    "kworker",
    "ksoftirqd",
    "kthreadd",
    "kswapd",
    "kdevtmpfs",
    "khugepaged",
    "khungtaskd",
    "kblockd",
    "kcompactd",
    "kintegrityd",
    "kthrotld",
    "kauditd",
    "bioset",
    "oom_reaper",
    "rcu_sched",
    "rcu_preempt",
    "rcu_bh",
    "rcu_gp",
    "migration/",
    "cpuhp/",
    "irq/",
    "jbd2/",
    "scsi_eh_",
    "watchdog/",
];

/// Services that every system has. A program of that name elsewhere is a copy or a mask.
const SERVICES: [&str; 26] = [
    "systemd",
    "(sd-pam)",
    "dbus-daemon",
    "dbus-broker",
    "sshd",
    "sshd-session",
    "crond",
    "cron",
    "atd",
    "rsyslogd",
    "syslogd",
    "auditd",
    "agetty",
    "NetworkManager",
    "polkitd",
    "udevd",
    "chronyd",
    "ntpd",
    "irqbalance",
    "accounts-daemon",
    "snapd",
    "acpid",
    "lvmetad",
    "gssproxy",
    "firewalld",
    "dhclient",
];

/// Tools and servers that a process outside of the system's folders has no reason to call itself.
const PROGRAMS: [&str; 24] = [
    "bash",
    "sh",
    "dash",
    "ps",
    "top",
    "htop",
    "ls",
    "ssh",
    "su",
    "sudo",
    "vim",
    "vi",
    "nginx",
    "apache2",
    "httpd",
    "php-fpm",
    "mysqld",
    "postgres",
    "redis-server",
    "java",
    "python3",
    "perl",
    "docker",
    "containerd",
];

/// Servers that people build and try in temporary folders too: there only the file itself, or one in a hidden folder, is
/// a mask.
const SERVERS: [&str; 12] = [
    "nginx",
    "httpd",
    "apache2",
    "php-fpm",
    "mysqld",
    "postgres",
    "redis-server",
    "dockerd",
    "containerd",
    "kubelet",
    "java",
    "init",
];

/// What the names of a process say.
pub(crate) fn names(process: &Process) -> Vec<Sign> {
    let mut signs = Vec::new();
    if process.is_hidden {
        signs.push(Sign::new(HIDDEN_PROCESS, "", words::hidden_process(process)));
    }
    // A kernel thread is what it is called; a process that has ended or is only known by number has no file.
    if process.origin == Origin::Kernel || process.exe.is_empty() {
        return signs;
    }
    if let Some(shown) = kernel_thread(process) {
        signs.push(Sign::new(KERNEL_THREAD_NAME, &shown, words::kernel_thread(&shown, &process.exe)));
    } else if let Some(worn) = worn(process) {
        signs.push(Sign::new(WORN_NAME, worn, words::worn(worn, &process.exe)));
    } else if let Some(shown) = spoofed(process) {
        signs.push(Sign::new(NAME_SPOOF, &shown, words::spoofed(&shown, &process.exe)));
    }
    if let Some((part, oddity)) = odd_path(process) {
        signs.push(Sign::new(ODD_NAME, &part, words::odd_name(&part, oddity)));
    }
    if let Some((agent, text)) = agents::stop(process) {
        signs.push(Sign::new(AGENT_REMOVED, agent, words::agent_stopped(agent, &text)));
    }
    signs
}

/// A service of the system's folders that no package brought.
pub(super) fn unowned(path: &str, owner: &Owner) -> Option<Sign> {
    let name = base_name(path);
    let is_worn = *owner == Owner::Nobody && is_service(name) && places::is_system(path);
    is_worn.then(|| Sign::new(WORN_NAME, name, words::unowned_service(name, path)))
}

/// The name of a kernel thread that a process with a file goes by.
fn kernel_thread(process: &Process) -> Option<String> {
    let first = process.argv.first().map(String::as_str).unwrap_or_default();
    let has_one_word = process.argv.iter().skip(1).all(String::is_empty);
    let is_bracketed = has_one_word && first.len() > 2 && first.starts_with('[') && first.ends_with(']');
    if is_bracketed && !first.contains(char::is_whitespace) {
        return Some(first.to_owned());
    }
    [process.comm.as_str(), first, base_name(&process.exe)]
        .into_iter()
        .find(|name| {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            places::starts_with_any(name, &KERNEL_THREADS)
        })
        .map(str::to_owned)
}

/// The name of a service or cloud agent that runs from a place where it never lies.
fn worn(process: &Process) -> Option<&'static str> {
    let exe = process.exe.as_str();
    let file_name = base_name(exe);
    let is_odd_place = match process.container {
        // Images put programs anywhere; only what was dropped is odd.
        Some(_) => places::is_throwaway(exe),
        None => places::is_odd_for_programs(exe),
    };
    if let Some((agent, folders)) = agents::program(file_name) {
        let is_at_home = places::starts_with_any(exe, folders) || places::is_system(exe);
        return (!is_at_home && is_odd_place).then_some(agent);
    }
    if is_service(file_name) && is_odd_place {
        return service(file_name);
    }
    if let Some(server) = SERVERS.into_iter().find(|server| *server == file_name)
        && places::is_dropped(exe)
    {
        return Some(server);
    }
    let title = shown(process);
    [process.comm.as_str(), title].into_iter().find_map(|name| {
        let worn = service(name).or_else(|| agents::program(name).map(|(agent, _)| agent))?;
        let is_dropped = places::is_throwaway(exe) || process.origin == Origin::Memfd;
        (is_dropped && file_name != name).then_some(worn)
    })
}

/// The name of the system's program that a dropped file pretends to be.
fn spoofed(process: &Process) -> Option<String> {
    let exe = process.exe.as_str();
    let is_dropped = places::is_throwaway(exe) || process.origin == Origin::Memfd;
    if !is_dropped {
        return None;
    }
    let file_name = base_name(exe);
    let first = process.argv.first().map(String::as_str).unwrap_or_default();
    // Started by a link: the same program under its usual path.
    let is_other_path = places::is_system(first) && base_name(first) != file_name;
    if is_other_path {
        return Some(first.to_owned());
    }
    [process.comm.as_str(), shown(process)]
        .into_iter()
        .find(|name| PROGRAMS.contains(name) && *name != file_name)
        .map(str::to_owned)
}

/// What a listing shows of the first argument: its last part up to a colon, without the dash of a login shell.
fn shown(process: &Process) -> &str {
    let first = process.argv.first().map(String::as_str).unwrap_or_default();
    let word = first.split([' ', ':']).next().unwrap_or_default();
    base_name(word).trim_start_matches('-')
}

fn is_service(name: &str) -> bool {
    service(name).is_some()
}

fn service(name: &str) -> Option<&'static str> {
    if name.starts_with("systemd-") {
        return Some("systemd-*");
    }
    SERVICES.into_iter().find(|service| *service == name)
}

/// Why a name is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// Only dots, or dots at the end: looks like a folder's own entry.
    Dots,
    /// Blanks at an end, where no eye sees them.
    Blanks,
    /// Characters that are not shown or turn the text around.
    Invisible,
    /// Arguments within the name, so that it reads as another program's command line.
    Switches,
}

fn odd_path(process: &Process) -> Option<(String, Oddity)> {
    // `/memfd:` and what the kernel adds is no name that anybody looks up.
    let path = if process.origin == Origin::Memfd { "" } else { process.exe.as_str() };
    let parts = path.split('/').skip(1).map(|part| (part, odd(part).or_else(|| switches(part))));
    let shown = [process.comm.as_str(), process.argv.first().map(String::as_str).unwrap_or_default()]
        .into_iter()
        .map(|name| (name, invisible(name)));
    parts.chain(shown).find_map(|(part, oddity)| Some((part.to_owned(), oddity?)))
}

/// Is this name of a file odd wherever it lies?
pub(super) fn odd(name: &str) -> Option<Oddity> {
    if name.len() > 2 && name.chars().all(|c| c == '.') || name.ends_with("..") && name != ".." {
        return Some(Oddity::Dots);
    }
    if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        return Some(Oddity::Blanks);
    }
    invisible(name)
}

/// Controls, marks of direction, and blanks without width. The joiners of Indic scripts and emoji are text.
fn invisible(name: &str) -> Option<Oddity> {
    let is_invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
    };
    // A first argument may be text of several lines; in a name a tab or new line is odd, in a title it is layout.
    name.contains(|c| is_invisible(c) && c != '\n' && c != '\t').then_some(Oddity::Invisible)
}

fn switches(name: &str) -> Option<Oddity> {
    let (_, rest) = name.split_once(" -")?;
    rest.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic()).then_some(Oddity::Switches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::process;

    #[test]
    fn a_name_is_odd_by_its_ends_and_by_what_is_not_shown() {
        for (name, oddity) in [
            ("...", Oddity::Dots),
            ("sshd..", Oddity::Dots),
            (" ", Oddity::Blanks),
            (".. ", Oddity::Blanks),
            ("gpj\u{202e}.sh", Oddity::Invisible),
            ("a\u{200b}", Oddity::Invisible),
            ("a\u{1}", Oddity::Invisible),
        ] {
            assert_eq!(odd(name), Some(oddity), "{name:?}");
        }
        for name in ["", ".", "..", ".x", "a b", "中 文", "a.b.", "நி\u{200d}", "x - y"] {
            assert_eq!(odd(name), None, "{name:?}");
        }
        assert_eq!(switches("ps -ef"), Some(Oddity::Switches));
        assert_eq!(switches("report - copy"), None);
        assert_eq!(switches("a-b -1"), None);
    }

    #[test]
    fn titles_that_programs_give_themselves_are_no_kernel_threads() {
        for argv in ["[lxc monitor] /var/lib/lxc a", "[", "[]", "[celeryd: a@b]  -active-", "sshd: a [priv]"]
        {
            let mut one = process(5, 1, "/usr/bin/x");
            one.argv = vec![argv.to_owned()];
            assert_eq!(kernel_thread(&one), None, "{argv}");
        }
        let mut one = process(5, 1, "/usr/bin/x");
        one.argv = vec!["[kworker/0:1-events]".to_owned()];
        assert_eq!(kernel_thread(&one).unwrap(), "[kworker/0:1-events]");
        one.argv.push("-c".to_owned());
        assert_eq!(kernel_thread(&one).unwrap(), "[kworker/0:1-events]", "the name itself is enough");
    }

    #[test]
    fn a_process_that_is_only_a_number_has_no_name_to_judge() {
        let mut one = process(5, 1, "");
        one.comm = "kworker/0:1".to_owned();
        assert!(names(&one).is_empty());
        one.is_hidden = true;
        assert_eq!(names(&one).len(), 1);
    }
}

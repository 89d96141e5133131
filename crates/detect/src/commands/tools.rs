//! Names of programs by what they are used for. A name can be worn by anyone, so a name alone never makes a detection;
//! what is done with the program does.

use crate::tree::base_name;

const SHELLS: [&str; 9] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash", "fish"];
const FETCHERS: [&str; 14] = [
    "curl",
    "wget",
    "fetch",
    "lwp-download",
    "lwp-request",
    "GET",
    "aria2c",
    "axel",
    "tftp",
    "ftp",
    "lftp",
    "ftpget",
    "lynx",
    "http",
];
const NET_PIPES: [&str; 8] =
    ["nc", "ncat", "netcat", "nc.openbsd", "nc.traditional", "telnet", "socat", "cryptcat"];
const SCANNERS: [&str; 9] =
    ["masscan", "zmap", "pnscan", "zgrab", "zgrab2", "fscan", "rustscan", "naabu", "nmap"];
/// Tools that intruders give another name, so that they have them to themselves or are not found by them.
const COVETED: [&str; 14] = [
    "curl", "wget", "chattr", "lsattr", "ps", "top", "htop", "netstat", "ss", "lsof", "pstree", "crontab",
    "iptables", "nc",
];

/// What an interpreter reads and runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Shell,
    Python,
    Perl,
    Ruby,
    Php,
    Node,
    Lua,
    Awk,
    Pwsh,
}

/// The name without a version: `python3.11` is `python`.
pub(crate) fn plain_name(path: &str) -> &str {
    let name = base_name(path);
    let cut = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if cut.is_empty() { name } else { cut }
}

/// The language of an interpreter.
pub(crate) fn language(path: &str) -> Option<Language> {
    let name = plain_name(path);
    Some(match name {
        name if SHELLS.contains(&name.trim_start_matches('-')) => Language::Shell,
        "python" | "pypy" => Language::Python,
        "perl" => Language::Perl,
        "ruby" => Language::Ruby,
        "php" | "php-cli" => Language::Php,
        "node" | "nodejs" | "bun" => Language::Node,
        "lua" | "luajit" => Language::Lua,
        "awk" | "gawk" | "mawk" | "nawk" => Language::Awk,
        "pwsh" => Language::Pwsh,
        _other => return None,
    })
}

/// It brings files from elsewhere.
pub(crate) fn is_fetcher(path: &str) -> bool {
    FETCHERS.contains(&base_name(path))
}

/// It joins its input and output to a connection.
pub(crate) fn is_net_pipe(path: &str) -> bool {
    NET_PIPES.contains(&base_name(path))
}

/// It asks many machines.
pub(crate) fn is_scanner(path: &str) -> bool {
    SCANNERS.contains(&base_name(path))
}

/// It is one of the tools that intruders rename.
pub(crate) fn is_coveted(path: &str) -> bool {
    COVETED.contains(&base_name(path))
}

/// Names that hold many programs in one file, so that one file under many names says nothing.
pub(crate) fn is_multi_call(path: &str) -> bool {
    matches!(base_name(path), "busybox" | "toybox" | "coreutils" | "gnu-coreutils")
}

/// `/b?n/c?rl`: what the shell would find, among the names we know.
pub(crate) fn by_pattern(pattern: &str) -> Option<&'static str> {
    let name = base_name(pattern);
    if !name.contains(['?', '*', '[']) || name.len() > 32 || !pattern.starts_with('/') {
        return None;
    }
    let known = SHELLS.iter().chain(&FETCHERS).chain(&NET_PIPES).chain(&["base64", "python3", "perl", "cat"]);
    known.copied().find(|known| {
        let (mut have, mut want) = (known.chars(), name.chars());
        loop {
            match (want.next(), have.next()) {
                (None, None) => return true,
                (Some('*'), _) => return known.len() >= 2 && name.len() > 1,
                (Some('?'), Some(_)) => {}
                (Some(want), Some(have)) if want == have => {}
                (Some(_) | None, Some(_) | None) => return false,
            }
        }
    })
}

/// What stands before another command and changes nothing of what it does.
pub(crate) enum Wrapper {
    /// Options that take a word of their own, and how many words come before the command.
    Plain(&'static [&'static str], usize),
    /// `su -c`, `script -c`: a text for a shell.
    Text,
}

/// Whether a program only runs another.
pub(crate) fn wrapper(path: &str) -> Option<Wrapper> {
    Some(match base_name(path) {
        "sudo" => Wrapper::Plain(&["-u", "-g", "-h", "-p", "-C", "-r", "-t", "-U", "-D"], 0),
        "doas" => Wrapper::Plain(&["-u", "-C"], 0),
        "env" => Wrapper::Plain(&["-u", "-C"], 0),
        "nohup" | "setsid" | "busybox" | "toybox" | "command" | "builtin" | "exec" | "time" | "ltrace" => {
            Wrapper::Plain(&["-a"], 0)
        }
        "nice" => Wrapper::Plain(&["-n"], 0),
        "ionice" => Wrapper::Plain(&["-c", "-n", "-p"], 0),
        "stdbuf" => Wrapper::Plain(&["-i", "-o", "-e"], 0),
        "strace" => Wrapper::Plain(&["-e", "-o", "-p", "-s"], 0),
        "timeout" => Wrapper::Plain(&["-k", "-s"], 1),
        "chroot" | "flock" | "taskset" => Wrapper::Plain(&["-w", "-E"], 1),
        "proxychains" | "proxychains4" | "torsocks" | "torify" => Wrapper::Plain(&["-f"], 0),
        "xargs" => Wrapper::Plain(&["-I", "-i", "-n", "-P", "-d", "-L", "-a", "-s", "-E"], 0),
        "unshare" | "nsenter" | "chrt" => Wrapper::Plain(&["-t", "-S", "-G"], 0),
        "su" | "runuser" | "script" => Wrapper::Text,
        _other => return None,
    })
}

//! Whose hand is on a shell: from where its first descriptors lead.
//!
//! A socket on input and output is a shell for whoever is at the other end, unless a program whose work that is gave it
//! (inetd, a socket unit). A relay is judged by what it is: an interpreter, a tool that joins connections, or a program
//! of nobody. Login services, terminals and build runners of packages are none of these.

use minesweep_model::{Process, Relay, Severity, Stdio, StdioKind};

use super::{is_net_pipe, language, plain_name};
use crate::tree::{base_name, is_shared_tool};

/// Programs that hand a connection to what they start.
const HANDERS: [&str; 11] = [
    "inetd",
    "xinetd",
    "tcpd",
    "tcpserver",
    "tcpsvd",
    "rshd",
    "in.rshd",
    "rexecd",
    "in.rexecd",
    "telnetd",
    "in.telnetd",
];
/// Words in the arguments of interpreters that serve terminals to people, behind a login of their own.
const NOTEBOOKS: [&str; 7] =
    ["jupyter", "ipykernel", "terminado", "code-server", "vscode", "salt-minion", "buildbot"];
/// Folders of packages and of the system; what runs from elsewhere is nobody's.
const PLACES: [&str; 6] = ["/usr/", "/bin/", "/sbin/", "/opt/", "/snap/", "/nix/"];

/// A shell in somebody's hand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hand<'a> {
    pub(crate) remote: std::net::SocketAddr,
    pub(crate) severity: Severity,
    pub(crate) relay: Option<&'a Relay>,
}

/// Who holds it; `None` when nobody far away does. `relay_argv` gives the arguments of a relay, as far as known.
pub(crate) fn hand<'a>(
    process: &Process,
    parent: Option<&Process>,
    stdio: &'a [Stdio],
    relay_argv: impl Fn(&Relay) -> Vec<String>,
) -> Option<Hand<'a>> {
    let of = |fd: u32| stdio.iter().find(|one| one.fd == fd);
    let tcp = |fd: u32| of(fd).filter(|one| one.kind == StdioKind::Tcp).and_then(|one| one.remote);
    if let (Some(remote), Some(_)) = (tcp(0), tcp(1).or(tcp(2))) {
        let is_handed = parent.is_some_and(|parent| is_hander(parent, process));
        return (!is_handed).then_some(Hand { remote, severity: Severity::Critical, relay: None });
    }
    let holds = |fd: u32, relay: &Relay| {
        of(fd).is_some_and(|one| one.relays.iter().any(|it| it.process == relay.process))
    };
    // A service that reads what its child says holds one end of it; who also tells it what to do holds both.
    let is_both =
        |relay: &&Relay| is_joiner(&relay.exe) || holds(0, relay) && (holds(1, relay) || holds(2, relay));
    let relays = stdio.iter().flat_map(|one| &one.relays).filter(is_both);
    let judged = relays.filter_map(|relay| Some((relay, judge(relay, &relay_argv(relay))?)));
    let (relay, severity) = judged.max_by_key(|(_, severity)| *severity)?;
    Some(Hand { remote: relay.remote, severity, relay: Some(relay) })
}

fn is_hander(parent: &Process, process: &Process) -> bool {
    let name = base_name(&parent.exe);
    let is_busybox =
        super::is_multi_call(name) && parent.argv.iter().take(2).any(|arg| HANDERS.contains(&base_name(arg)));
    // A socket unit with `Accept=yes` starts an instance for each connection: `name@7-192.0.2.1:22-….service`.
    let is_instance = parent.key.pid == 1
        && process
            .cgroup
            .rsplit('/')
            .next()
            .is_some_and(|unit| unit.contains('@') && unit.ends_with(".service"));
    HANDERS.contains(&name) || is_busybox || is_instance
}

fn judge(relay: &Relay, argv: &[String]) -> Option<Severity> {
    let is_named = argv.iter().take(8).any(|arg| NOTEBOOKS.iter().any(|word| arg.contains(word)));
    let is_interpreter = language(&relay.exe).is_some();
    let is_tool = is_joiner(&relay.exe);
    let is_nobodys = !PLACES.iter().any(|place| relay.exe.starts_with(place));
    match (is_named, is_interpreter || is_tool, is_nobodys) {
        (true, ..) => None,
        // Something that listens and was connected to may be a terminal of one's own making.
        (false, true, _) if relay.is_accepted && is_interpreter => Some(Severity::High),
        (false, true, _) | (false, false, true) => Some(Severity::Critical),
        (false, false, false) => None,
    }
}

/// A tool whose only work is to join what it reads and a connection.
fn is_joiner(exe: &str) -> bool {
    is_net_pipe(exe) || plain_name(exe) == "openssl"
}

/// It reads commands: an interpreter without a text or script of its own.
pub(crate) fn is_reading(process: &Process) -> bool {
    (language(&process.exe).is_some() || is_shared_tool(process) && super::is_multi_call(&process.exe))
        && super::understand(&process.argv).is_reading
}

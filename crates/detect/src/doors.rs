//! Through which door an intruder came: what was asked of the service whose child he is, by whom.
//!
//! Keeps the last requests of each process that accepts connections. A service behind a proxy is asked by the proxy; the
//! entry is then what the proxy was asked. Bounded; the oldest goes first.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use minesweep_model::{Flow, Process, ProcessKey, Said, Text};

use crate::tree::{Tree, base_name};

/// Most processes that accept connections, and most connections to this machine itself, that are remembered.
const PROCESSES_LIMIT: usize = 4096;
/// Requests kept of each.
const ASKED_LIMIT: usize = 8;
/// A request this long ago is no longer why a service starts something.
const RECENT_MS: u64 = 60_000;
/// Requests that wait for the accept of their connection.
const EARLY_LIMIT: usize = 256;
/// Longest request line kept.
const WORDS_LIMIT: usize = 200;
/// Processes walked up; a service's child is near.
const ABOVE_LIMIT: usize = 8;

/// One connection that was accepted, and the last request on it.
#[derive(Clone, Debug)]
struct Asked {
    at_ms: u64,
    local: SocketAddr,
    remote: SocketAddr,
    words: Option<String>,
}

/// Who asked what of whom.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    asked: BTreeMap<ProcessKey, VecDeque<Asked>>,
    order: VecDeque<ProcessKey>,
    /// Our ends of connections to this machine itself, and whose they are.
    inner: BTreeMap<SocketAddr, ProcessKey>,
    inner_order: VecDeque<SocketAddr>,
    /// Requests that came before their connection was accepted, by socket cookie.
    early: VecDeque<(u64, String)>,
}

/// The door that was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Door {
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) at_ms: u64,
    pub(crate) text: Text,
}

impl Doors {
    /// A connection was accepted.
    pub(crate) fn accepted(&mut self, flow: &Flow, at_ms: u64) {
        let Some(key) = flow.process else { return };
        let early = self.early.iter().position(|(cookie, _)| *cookie == flow.cookie);
        let words = early.and_then(|at| self.early.remove(at)).map(|(_, words)| words);
        self.ask(key, Asked { at_ms, local: flow.local, remote: flow.remote, words });
    }

    /// A connection was opened; only those to this machine itself are of use.
    pub(crate) fn connected(&mut self, flow: &Flow) {
        let Some(key) = flow.process.filter(|_| flow.remote.ip().to_canonical().is_loopback()) else {
            return;
        };
        if self.inner.insert(flow.local, key).is_none() {
            self.inner_order.push_back(flow.local);
        }
        if self.inner.len() > PROCESSES_LIMIT
            && let Some(oldest) = self.inner_order.pop_front()
        {
            self.inner.remove(&oldest);
        }
    }

    /// A request arrived on a connection that `key` accepted, or that nobody has accepted yet: data may be there before
    /// the service takes the connection.
    pub(crate) fn request(&mut self, key: Option<ProcessKey>, said: &Said, words: &str, at_ms: u64) {
        let words: String = words.chars().take(WORDS_LIMIT).collect();
        if let Some(key) = key {
            self.ask(key, Asked { at_ms, local: said.local, remote: said.remote, words: Some(words) });
            return;
        }
        self.early.push_back((said.cookie, words));
        if self.early.len() > EARLY_LIMIT {
            self.early.pop_front();
        }
    }

    fn ask(&mut self, key: ProcessKey, mut asked: Asked) {
        if !self.asked.contains_key(&key) {
            self.order.push_back(key);
        }
        let ring = self.asked.entry(key).or_default();
        // The accept of a connection and its requests are one.
        if let Some(at) = ring.iter().position(|have| have.remote == asked.remote)
            && let Some(before) = ring.remove(at)
        {
            asked.words = asked.words.or(before.words);
        }
        ring.push_back(asked);
        if ring.len() > ASKED_LIMIT {
            ring.pop_front();
        }
        if self.asked.len() > PROCESSES_LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.asked.remove(&oldest);
        }
    }

    /// How what `key` does came about: the nearest service above it that was asked something lately, or the package
    /// that is being installed.
    pub(crate) fn find(&self, tree: &Tree, key: ProcessKey, at_ms: u64) -> Option<Door> {
        let itself = tree.get(key).into_iter();
        let line = itself.chain(tree.ancestors(key)).take(ABOVE_LIMIT);
        for above in line {
            if let Some(package) = package(&above.process) {
                let text = Text::new(format!("installed with {package}"), format!("随 {package} 一起安装"));
                return Some(Door { remote: None, at_ms, text });
            }
            if let Some(asked) = self.newest(above.process.key, at_ms) {
                return Some(self.door(tree, &above.process, asked, at_ms));
            }
        }
        None
    }

    fn newest(&self, key: ProcessKey, at_ms: u64) -> Option<&Asked> {
        let ring = self.asked.get(&key)?;
        ring.iter().rev().find(|asked| at_ms.saturating_sub(asked.at_ms) <= RECENT_MS)
    }

    fn door(&self, tree: &Tree, service: &Process, asked: &Asked, at_ms: u64) -> Door {
        let proxy = self.inner.get(&asked.remote).filter(|proxy| **proxy != service.key);
        let through = proxy.and_then(|proxy| Some((tree.process(*proxy)?, self.newest(*proxy, at_ms)?)));
        let (remote, words) = match through {
            Some((_, front)) => (front.remote, front.words.as_ref().or(asked.words.as_ref())),
            None => (asked.remote, asked.words.as_ref()),
        };
        let service_name = format!("{} (pid {})", name(service), service.key.pid);
        let port = through.map_or(asked.local.port(), |(_, front)| front.local.port());
        let via = through.map(|(proxy, _)| name(proxy).to_owned());
        Door {
            remote: Some(remote),
            at_ms: asked.at_ms,
            text: sentence(&service_name, port, remote, words, via),
        }
    }
}

/// A service as people know it: Debian's redis-server is a link to redis-check-rdb.
fn name(service: &Process) -> &str {
    if service.comm.is_empty() { base_name(&service.exe) } else { &service.comm }
}

fn sentence(
    service: &str,
    port: u16,
    remote: SocketAddr,
    words: Option<&String>,
    via: Option<String>,
) -> Text {
    let (via, zh_via) =
        via.map(|via| (format!(" through {via}"), format!("（经 {via}）"))).unwrap_or_default();
    let (said, zh_said) = words
        .map(|words| (format!(", which asked: {words}"), format!("，请求为：{words}")))
        .unwrap_or_default();
    Text::new(
        format!("through {service} on port {port}, asked by {remote}{via}{said}"),
        format!("经由 {service} 的 {port} 端口，来自 {remote}{zh_via}{zh_said}"),
    )
}

/// The package that a package manager's process is about to unpack or configure, as its arguments name it.
fn package(process: &Process) -> Option<String> {
    if !matches!(base_name(&process.exe), "dpkg" | "rpm" | "apt" | "apt-get" | "dnf" | "yum" | "pip" | "npm")
    {
        return None;
    }
    let named = |word: &&String| !word.starts_with('-') && !matches!(word.as_str(), "install" | "i");
    let words = process.argv.iter().skip(1).filter(named).take(3);
    let names: Vec<String> = words.map(|word| word.chars().take(WORDS_LIMIT).collect()).collect();
    Some(format!("{} {}", base_name(&process.exe), names.join(" ")).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use minesweep_model::{Role, Utterance};

    use super::*;
    use crate::testing::{key, process};

    fn flow(pid: u32, local: &str, remote: &str) -> Flow {
        Flow {
            cookie: 1,
            process: Some(key(pid)),
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            protocol: minesweep_model::Protocol::Tcp,
        }
    }

    fn said(cookie: u64) -> Said {
        Said {
            cookie,
            process: None,
            role: Role::Server,
            local: "10.0.0.1:8080".parse().unwrap(),
            remote: "192.0.2.7:5000".parse().unwrap(),
            via: None,
            utterance: Utterance::Tls { sni: None, alpn: Vec::new(), ja4: String::new() },
        }
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for (pid, parent, exe) in [
            (1, 0, "/usr/lib/systemd/systemd"),
            (10, 1, "/usr/sbin/nginx"),
            (20, 1, "/usr/bin/python3"),
            (21, 20, "/usr/bin/dash"),
            (30, 1, "/usr/bin/dpkg"),
            (31, 30, "/usr/bin/dash"),
        ] {
            tree.learn(&Process {
                argv: vec![exe.to_owned(), "-i".to_owned(), "free-game.deb".to_owned()],
                ..process(pid, parent, exe)
            });
        }
        tree
    }

    #[test]
    fn the_door_is_the_last_request_of_the_service_above() {
        let (mut doors, tree) = (Doors::default(), tree());
        doors.accepted(&flow(20, "10.0.0.1:8080", "192.0.2.7:5000"), 1000);
        doors.request(Some(key(20)), &said(1), "GET /ping?h=x", 1001);
        let door = doors.find(&tree, key(21), 2000).unwrap();
        assert_eq!(door.remote, Some("192.0.2.7:5000".parse().unwrap()));
        assert_eq!(
            door.text.en,
            "through python3 (pid 20) on port 8080, asked by 192.0.2.7:5000, which asked: GET /ping?h=x"
        );
        assert!(doors.find(&tree, key(21), 1002 + RECENT_MS).is_none(), "too long ago");
        assert!(doors.find(&tree, key(10), 2000).is_none(), "not asked");
    }

    #[test]
    fn a_request_that_is_there_before_the_service_takes_its_connection_is_named() {
        let (mut doors, tree) = (Doors::default(), tree());
        let flow = flow(20, "10.0.0.1:8080", "192.0.2.7:5000");
        let asked = |doors: &Doors| doors.find(&tree, key(21), 2000).unwrap().text.en.contains("GET /early");
        doors.request(None, &said(1), "GET /early", 999);
        doors.accepted(&flow, 1000);
        assert!(asked(&doors), "nobody had taken it yet");
        let mut doors = Doors::default();
        doors.request(Some(key(20)), &said(1), "GET /early", 999);
        doors.accepted(&flow, 1000);
        assert!(asked(&doors), "the accept was told later");
        for cookie in 0..1000 {
            doors.request(None, &said(cookie), "GET /", 1000);
        }
        assert_eq!(doors.early.len(), EARLY_LIMIT);
    }

    #[test]
    fn behind_a_proxy_it_is_what_the_proxy_was_asked() {
        let (mut doors, tree) = (Doors::default(), tree());
        doors.accepted(&flow(10, "10.0.0.1:80", "192.0.2.7:5000"), 1000);
        doors.connected(&flow(10, "127.0.0.1:40000", "127.0.0.1:8080"));
        doors.accepted(&flow(20, "127.0.0.1:8080", "127.0.0.1:40000"), 1001);
        let door = doors.find(&tree, key(21), 1500).unwrap();
        assert_eq!(door.remote, Some("192.0.2.7:5000".parse().unwrap()));
        assert!(
            door.text.en.contains("port 80, ") && door.text.en.contains("through nginx"),
            "{}",
            door.text.en
        );
    }

    #[test]
    fn what_a_package_brings_names_the_package() {
        let door = Doors::default().find(&tree(), key(31), 5).unwrap();
        assert_eq!((door.remote, door.text.en.as_str()), (None, "installed with dpkg free-game.deb"));
    }

    #[test]
    fn a_flood_of_services_and_requests_is_bounded() {
        let mut doors = Doors::default();
        for pid in 0..10_000_u32 {
            let port = 1024 + u16::try_from(pid % 60_000).unwrap();
            for _ in 0..3 {
                doors.accepted(&flow(pid, "10.0.0.1:80", &format!("192.0.2.7:{port}")), u64::from(pid));
            }
            doors.connected(&flow(pid, &format!("127.0.0.1:{port}"), "127.0.0.1:80"));
        }
        assert_eq!((doors.asked.len(), doors.order.len()), (PROCESSES_LIMIT, PROCESSES_LIMIT));
        assert_eq!((doors.inner.len(), doors.inner_order.len()), (PROCESSES_LIMIT, PROCESSES_LIMIT));
    }
}

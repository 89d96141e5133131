//! Whom the processes of one session turn to, and how many: fan-out over ports that worms live on, scans, and scans of
//! this machine.
//!
//! Counts different addresses, so that asking the same ones again is nothing. Counted per session, because a worm's
//! script starts one `ssh` a host. A monitor that keeps its connections is no scanner, however many it has. Bounded;
//! what found no room is counted. Decides nothing about who may; that is `engine/spread`.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use minesweep_model::{Flow, ProcessKey};

/// Ids of the rules that are matched here and in `engine/spread`.
pub(crate) const IDS: &[&str] = &[FAN_OUT_SSH, FAN_OUT, SCAN, METADATA, TOR];
pub(crate) const FAN_OUT_SSH: &str = "network.fan-out-ssh";
pub(crate) const FAN_OUT: &str = "network.fan-out";
pub(crate) const SCAN: &str = "network.scan";
pub(crate) const METADATA: &str = "network.metadata-service";
pub(crate) const TOR: &str = "network.tor";

/// More than this many different machines over SSH in an hour: the threshold of Elastic's rule for brute force; a
/// person seldom logs in to more than a handful.
const SSH_HOSTS: usize = 15;
const SSH_MS: u64 = 60 * 60_000;
/// More than this many machines on a port that worms live on, in ten minutes. A client of a cluster has a few nodes.
const SERVICE_HOSTS: usize = 10;
const SERVICE_MS: u64 = 10 * 60_000;
/// More than this many machines on any one port in a minute; pnscan asks hundreds a second.
const SCAN_HOSTS: usize = 64;
const SCAN_MS: u64 = 60_000;
/// One machine that reaches this many of our ports in ten seconds tries them all; a monitor spreads its checks.
const INWARD_PORTS: usize = 15;
const INWARD_MS: u64 = 10_000;
/// Redis, Docker, kubelet, etcd, data bases, Hadoop, Elasticsearch, VNC, RDP, SMB, telnet, ADB: where mining worms look.
const WORM_PORTS: [u16; 28] = [
    23, 445, 873, 1433, 2323, 2375, 2376, 2377, 2379, 3306, 3389, 4243, 5432, 5555, 5900, 5984, 6379, 6443,
    7001, 8088, 8983, 9200, 10250, 10255, 11211, 27017, 50070, 61616,
];
/// Ports on which one asks the whole world: many addresses are everyday, unless nobody answers.
const WORLD_PORTS: [u16; 7] = [25, 53, 80, 123, 443, 853, 8080];

/// Most sessions, ports of one session, addresses on one port, open connections and remote machines remembered.
const SESSIONS_LIMIT: usize = 1024;
const PORTS_LIMIT: usize = 32;
const HOSTS_LIMIT: usize = 128;
const OPEN_LIMIT: usize = 8192;
const REMOTES_LIMIT: usize = 1024;

/// What a session was seen to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fan {
    pub(crate) rule: &'static str,
    pub(crate) port: u16,
    pub(crate) hosts: usize,
}

/// Addresses on one port, and when each was last turned to.
#[derive(Debug, Default)]
struct Hosts {
    last_ms: BTreeMap<IpAddr, u64>,
    /// Connections that are open and on which the other side spoke.
    held: usize,
    answered: usize,
    told_ms: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Open {
    session: ProcessKey,
    port: u16,
    has_answer: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    sessions: BTreeMap<ProcessKey, BTreeMap<u16, Hosts>>,
    order: VecDeque<ProcessKey>,
    open: BTreeMap<u64, Open>,
    opened: VecDeque<u64>,
    inward: BTreeMap<IpAddr, BTreeMap<u16, u64>>,
    remotes: VecDeque<IpAddr>,
    /// Sessions, ports and connections that were forgotten for want of room.
    pub(crate) lost: u64,
}

impl Spread {
    /// A session opens a connection. `is_blind`: the sensor shows no bytes, so that each counts as answered.
    pub(crate) fn connect(
        &mut self,
        session: ProcessKey,
        flow: &Flow,
        is_blind: bool,
        at_ms: u64,
    ) -> Option<Fan> {
        let (ip, port) = (flow.remote.ip().to_canonical(), flow.remote.port());
        self.follow(flow.cookie, session, port);
        let hosts = self.hosts(session, port)?;
        if hosts.last_ms.len() >= HOSTS_LIMIT && !hosts.last_ms.contains_key(&ip) {
            hosts.last_ms.retain(|_, last| at_ms.saturating_sub(*last) <= SCAN_MS);
            if hosts.last_ms.len() >= HOSTS_LIMIT {
                hosts.last_ms.pop_first();
            }
        }
        hosts.last_ms.insert(ip, at_ms);
        let fan = hosts.judge(port, at_ms);
        if is_blind {
            self.answered(flow.cookie);
        }
        fan
    }

    /// The other side spoke.
    pub(crate) fn answered(&mut self, cookie: u64) {
        let Some(open) = self.open.get_mut(&cookie).filter(|open| !open.has_answer) else { return };
        open.has_answer = true;
        if let Some(hosts) = self.sessions.get_mut(&open.session).and_then(|ports| ports.get_mut(&open.port))
        {
            hosts.held = hosts.held.saturating_add(1);
            hosts.answered = hosts.answered.saturating_add(1);
        }
    }

    /// A connection ended.
    pub(crate) fn closed(&mut self, cookie: u64) {
        let Some(open) = self.open.remove(&cookie).filter(|open| open.has_answer) else { return };
        if let Some(hosts) = self.sessions.get_mut(&open.session).and_then(|ports| ports.get_mut(&open.port))
        {
            hosts.held = hosts.held.saturating_sub(1);
        }
    }

    /// A machine reaches one of our ports; the answer is how many, once it tries them all.
    pub(crate) fn accepted(&mut self, flow: &Flow, at_ms: u64) -> Option<usize> {
        let ip = flow.remote.ip().to_canonical();
        if ip.is_loopback() {
            return None;
        }
        if !self.inward.contains_key(&ip) {
            self.remotes.push_back(ip);
            if self.remotes.len() > REMOTES_LIMIT
                && let Some(oldest) = self.remotes.pop_front()
            {
                self.inward.remove(&oldest);
            }
        }
        let ports = self.inward.entry(ip).or_default();
        ports.retain(|_, last| at_ms.saturating_sub(*last) <= INWARD_MS);
        let is_news = ports.insert(flow.local.port(), at_ms).is_none();
        (is_news && ports.len() == INWARD_PORTS + 1).then_some(ports.len())
    }

    fn hosts(&mut self, session: ProcessKey, port: u16) -> Option<&mut Hosts> {
        if !self.sessions.contains_key(&session) {
            self.order.push_back(session);
            if self.order.len() > SESSIONS_LIMIT
                && let Some(oldest) = self.order.pop_front()
            {
                self.sessions.remove(&oldest);
                self.lost = self.lost.saturating_add(1);
            }
        }
        let ports = self.sessions.entry(session).or_default();
        if ports.len() >= PORTS_LIMIT && !ports.contains_key(&port) {
            let last = |hosts: &Hosts| hosts.last_ms.values().max().copied();
            let oldest = ports.iter().min_by_key(|(_, hosts)| last(hosts)).map(|(port, _)| *port)?;
            ports.remove(&oldest);
            self.lost = self.lost.saturating_add(1);
        }
        Some(ports.entry(port).or_default())
    }

    fn follow(&mut self, cookie: u64, session: ProcessKey, port: u16) {
        if self.open.insert(cookie, Open { session, port, has_answer: false }).is_none() {
            self.opened.push_back(cookie);
        }
        while self.opened.len() > OPEN_LIMIT {
            let Some(oldest) = self.opened.pop_front() else { return };
            if self.open.contains_key(&oldest) {
                self.closed(oldest);
                self.lost = self.lost.saturating_add(1);
            }
        }
    }

    /// Sizes, for tests of the bounds.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 4] {
        [self.sessions.len(), self.open.len(), self.opened.len(), self.inward.len()]
    }
}

impl Hosts {
    fn judge(&mut self, port: u16, at_ms: u64) -> Option<Fan> {
        let within = |span_ms: u64| {
            self.last_ms.values().filter(|last| at_ms.saturating_sub(**last) <= span_ms).count()
        };
        let (rule, hosts, span_ms) = match port {
            22 if within(SSH_MS) > SSH_HOSTS => (FAN_OUT_SSH, within(SSH_MS), SSH_MS),
            port if WORM_PORTS.contains(&port) && within(SERVICE_MS) > SERVICE_HOSTS => {
                (FAN_OUT, within(SERVICE_MS), SERVICE_MS)
            }
            _ if within(SCAN_MS) > SCAN_HOSTS => (SCAN, within(SCAN_MS), SCAN_MS),
            _ => return None,
        };
        let is_kept = self.held.saturating_mul(2) >= hosts;
        let is_usual = WORLD_PORTS.contains(&port) && self.answered.saturating_mul(2) >= hosts;
        if rule != FAN_OUT_SSH && (is_kept || is_usual) {
            return None;
        }
        let is_told = self.told_ms.get(rule).is_some_and(|told| at_ms.saturating_sub(*told) <= span_ms);
        if is_told {
            return None;
        }
        self.told_ms.insert(rule, at_ms);
        Some(Fan { rule, port, hosts })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use minesweep_model::Protocol;

    use super::*;

    fn key(pid: u32) -> ProcessKey {
        ProcessKey { pid, start_ticks: 1 }
    }

    fn flow(cookie: u64, host: u32, port: u16, local: u16) -> Flow {
        let local = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), local);
        let remote = SocketAddr::new(Ipv4Addr::from(0xcb00_7100 + host).into(), port);
        Flow { cookie, process: None, local, remote, protocol: Protocol::Tcp }
    }

    fn connects(spread: &mut Spread, port: u16, count: u32, apart_ms: u64) -> Vec<Fan> {
        (0..count)
            .filter_map(|i| {
                spread.connect(key(1), &flow(u64::from(i), i, port, 4000), false, u64::from(i) * apart_ms)
            })
            .collect()
    }

    #[test]
    fn the_sixteenth_machine_over_ssh_within_an_hour_is_told_once() {
        assert_eq!(connects(&mut Spread::default(), 22, 15, 1000), []);
        let told = connects(&mut Spread::default(), 22, 40, 1000);
        assert_eq!(told, [Fan { rule: FAN_OUT_SSH, port: 22, hosts: 16 }]);
        assert_eq!(connects(&mut Spread::default(), 22, 40, 6 * 60_000), [], "ten an hour");
    }

    #[test]
    fn the_same_machines_again_are_nothing() {
        let mut spread = Spread::default();
        let told = (0..1000_u32).filter(|i| {
            spread.connect(key(1), &flow(u64::from(*i), i % 10, 6379, 1), false, u64::from(*i)).is_some()
        });
        assert_eq!(told.count(), 0);
    }

    #[test]
    fn a_monitor_that_keeps_its_connections_is_no_worm() {
        let mut spread = Spread::default();
        for i in 0..50 {
            assert_eq!(spread.connect(key(1), &flow(u64::from(i), i, 10250, 1), false, 10), None, "{i}");
            spread.answered(u64::from(i));
        }
        let mut worm = Spread::default();
        let told = (0..50_u32).find_map(|i| {
            let told = worm.connect(key(1), &flow(u64::from(i), i, 10250, 1), false, 10);
            worm.answered(u64::from(i));
            worm.closed(u64::from(i));
            told
        });
        assert_eq!(told, Some(Fan { rule: FAN_OUT, port: 10250, hosts: 11 }));
    }

    #[test]
    fn a_browser_with_a_hundred_answers_is_no_scan_and_a_hundred_silent_machines_are() {
        let mut spread = Spread::default();
        for i in 0..100 {
            assert_eq!(spread.connect(key(1), &flow(u64::from(i), i, 443, 1), false, 10), None);
            spread.answered(u64::from(i));
            spread.closed(u64::from(i));
        }
        let told = connects(&mut Spread::default(), 443, 100, 10);
        assert_eq!(told, [Fan { rule: SCAN, port: 443, hosts: 65 }]);
        assert_eq!(connects(&mut Spread::default(), 9999, 100, 1000), [], "one a second");
    }

    #[test]
    fn one_machine_on_sixteen_of_our_ports_within_ten_seconds_is_told_once() {
        let mut spread = Spread::default();
        let told: Vec<usize> = (0..40_u16)
            .filter_map(|i| spread.accepted(&flow(u64::from(i), 9, 4000, 1000 + i), u64::from(i) * 10))
            .collect();
        assert_eq!(told, [16]);
        let mut slow = Spread::default();
        let told = (0..40_u16)
            .filter_map(|i| slow.accepted(&flow(u64::from(i), 9, 4000, 1000 + i), u64::from(i) * 1000));
        assert_eq!(told.count(), 0);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let mut spread = Spread::default();
        for i in 0..20_000_u32 {
            let port = u16::try_from(i % 60_000).unwrap();
            spread.connect(key(i), &flow(u64::from(i), i, port, 1), false, 0);
            spread.connect(key(7), &flow(u64::from(i + 20_000), i, port, 1), false, 0);
            spread.accepted(&flow(1, i, 1, 1), 0);
        }
        assert_eq!(spread.sizes(), [1024, 8192, 8192, 1024]);
        assert!(spread.lost > 0);
    }
}

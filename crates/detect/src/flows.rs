//! Connections: whose they are, what their other end was called, and what mining was said on them.
//!
//! Names come only from DNS answers that this machine received; nothing is ever resolved.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

use minesweep_model::{Flow, ProcessKey, Role, Said, Stratum, StratumVerb};

use crate::facts::{Facts, Rank};

/// Most connections followed at once.
pub(crate) const FLOWS_LIMIT: usize = 16_384;
/// Most addresses whose name is remembered.
const NAMES_LIMIT: usize = 4096;
/// Shares needed to state a hash rate; the time between shares is random, three leave an error of about 60 %.
const SHARES_FOR_RATE: u64 = 3;

/// One connection.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) process: Option<ProcessKey>,
    pub(crate) session: Option<Box<Session>>,
}

/// What was said on one connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) facts: Facts,
    pub(crate) confidence: u8,
    pub(crate) dialect: String,
    pub(crate) agent: Option<String>,
    /// Which detections were made of it: see [`Told`].
    pub(crate) told: Told,
    /// When the detection was first made.
    pub(crate) told_ms: Option<u64>,
    /// Our part, once the parser was sure enough for a detection.
    pub(crate) sure_role: Option<Role>,
    first_ms: u64,
    sent: Shares,
    accepted: Shares,
}

/// How much of a session was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    /// Nothing.
    Nothing,
    /// That somebody mines; whose connection it is was not known.
    WithoutOwner,
    /// That it mines; the wallet was not known yet.
    WithoutWallet,
    /// All.
    All,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shares {
    count: u64,
    hashes: f64,
    last_ms: u64,
}

impl Shares {
    fn add(&mut self, at_ms: u64, hashes: f64) {
        self.count = self.count.saturating_add(1);
        self.hashes += hashes;
        self.last_ms = at_ms;
    }

    fn rate_hs(&self, first_ms: u64) -> Option<f64> {
        let seconds = self.last_ms.saturating_sub(first_ms) as f64 / 1000.0;
        (self.count >= SHARES_FOR_RATE && seconds >= 1.0 && self.hashes > 0.0).then(|| self.hashes / seconds)
    }
}

impl Session {
    fn new(at_ms: u64, dialect: &str) -> Self {
        Self {
            facts: Facts::default(),
            confidence: 0,
            dialect: dialect.to_owned(),
            agent: None,
            told: Told::Nothing,
            told_ms: None,
            sure_role: None,
            first_ms: at_ms,
            sent: Shares::default(),
            accepted: Shares::default(),
        }
    }

    fn hear(&mut self, at_ms: u64, said: &Stratum) {
        self.confidence = self.confidence.max(said.confidence);
        for (place, value) in [
            (&mut self.facts.wallet, &said.wallet),
            (&mut self.facts.worker, &said.worker),
            (&mut self.facts.algorithm, &said.algorithm),
        ] {
            place.learn(Rank::Wire, value.as_deref().unwrap_or_default());
        }
        if self.agent.is_none() {
            self.agent.clone_from(&said.agent);
        }
        let hashes = said.difficulty.filter(|d| d.is_finite() && *d > 0.0).unwrap_or(0.0);
        match said.verb {
            StratumVerb::Share => self.sent.add(at_ms, hashes),
            StratumVerb::Accepted => self.accepted.add(at_ms, hashes),
            StratumVerb::Hello
            | StratumVerb::Login
            | StratumVerb::Welcome
            | StratumVerb::Job
            | StratumVerb::Difficulty
            | StratumVerb::Rejected
            | StratumVerb::Other => {}
        }
        let reported = said.reported_hs.filter(|rate| rate.is_finite() && *rate > 0.0);
        self.facts.rate_hs = self
            .accepted
            .rate_hs(self.first_ms)
            .or_else(|| self.sent.rate_hs(self.first_ms))
            .or(reported)
            .or(self.facts.rate_hs);
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    known: BTreeMap<u64, Known>,
    order: VecDeque<u64>,
    names: BTreeMap<IpAddr, String>,
    names_order: VecDeque<IpAddr>,
    /// Connections that were forgotten for want of room.
    pub(crate) lost: u64,
}

impl Flows {
    /// A connection was opened or accepted.
    pub(crate) fn open(&mut self, flow: &Flow) {
        let known = self.entry(flow.cookie);
        if flow.process.is_some() {
            known.process = flow.process;
        }
    }

    /// A connection ended.
    pub(crate) fn close(&mut self, cookie: u64) {
        self.known.remove(&cookie);
        // The queue may hold the cookies of closed flows; sweep before it outgrows its bound.
        if self.order.len() > FLOWS_LIMIT * 2 {
            let known = &self.known;
            self.order.retain(|cookie| known.contains_key(cookie));
        }
    }

    /// Whose connection it is.
    pub(crate) fn owner(&self, said: &Said) -> Option<ProcessKey> {
        said.process.or_else(|| self.known.get(&said.cookie)?.process)
    }

    /// Adds a mining message to its session and returns the session.
    pub(crate) fn hear(&mut self, at_ms: u64, said: &Said, stratum: &Stratum) -> &mut Session {
        let pool = self.pool_of(said);
        let known = self.entry(said.cookie);
        if said.process.is_some() {
            known.process = said.process;
        }
        let session = known.session.get_or_insert_with(|| Box::new(Session::new(at_ms, &stratum.dialect)));
        session.hear(at_ms, stratum);
        session.facts.pool.learn(Rank::Wire, &pool);
        session
    }

    /// What was said on a connection so far.
    pub(crate) fn session(&mut self, cookie: u64) -> Option<&mut Session> {
        self.known.get_mut(&cookie)?.session.as_deref_mut()
    }

    /// Remembers what an answer called an address.
    pub(crate) fn name(&mut self, name: &str, addresses: &[IpAddr]) {
        for address in addresses {
            if self.names.insert(*address, name.to_owned()).is_none() {
                self.names_order.push_back(*address);
            }
            if self.names.len() > NAMES_LIMIT
                && let Some(oldest) = self.names_order.pop_front()
            {
                self.names.remove(&oldest);
            }
        }
    }

    /// The name by which an address was looked up.
    pub(crate) fn named(&self, address: IpAddr) -> Option<&str> {
        self.names.get(&address.to_canonical()).map(AsRef::as_ref)
    }

    /// `name:port` where an answer named the address, else the address.
    pub(crate) fn call(&self, end: SocketAddr) -> String {
        match self.names.get(&end.ip().to_canonical()) {
            Some(name) => format!("{name}:{}", end.port()),
            None => SocketAddr::new(end.ip().to_canonical(), end.port()).to_string(),
        }
    }

    fn pool_of(&self, said: &Said) -> String {
        said.via.clone().unwrap_or_else(|| self.call(said.remote))
    }

    fn entry(&mut self, cookie: u64) -> &mut Known {
        if !self.known.contains_key(&cookie) {
            while self.known.len() >= FLOWS_LIMIT {
                let Some(oldest) = self.order.pop_front() else { break };
                if self.known.remove(&oldest).is_some() {
                    self.lost = self.lost.saturating_add(1);
                }
            }
            self.order.push_back(cookie);
        }
        self.known.entry(cookie).or_insert(Known { process: None, session: None })
    }
}

#[cfg(test)]
mod tests {
    use minesweep_model::Utterance;

    use super::*;

    fn stratum(verb: StratumVerb, difficulty: Option<f64>, reported_hs: Option<f64>) -> Stratum {
        Stratum {
            dialect: "cryptonote".to_owned(),
            verb,
            confidence: 95,
            wallet: None,
            worker: None,
            agent: None,
            algorithm: None,
            difficulty,
            reported_hs,
            excerpt: String::new(),
        }
    }

    fn said(via: Option<&str>) -> Said {
        Said {
            cookie: 1,
            process: None,
            local: "10.0.0.1:5000".parse().unwrap(),
            remote: "203.0.113.9:3333".parse().unwrap(),
            via: via.map(str::to_owned),
            role: Role::Client,
            utterance: Utterance::DnsQuestion { name: String::new(), kind: String::new() },
        }
    }

    fn rate(steps: &[(u64, StratumVerb, Option<f64>, Option<f64>)]) -> Option<f64> {
        let mut flows = Flows::default();
        let mut rate = None;
        for (at_ms, verb, difficulty, reported) in steps {
            rate = flows.hear(*at_ms, &said(None), &stratum(*verb, *difficulty, *reported)).facts.rate_hs;
        }
        rate
    }

    #[test]
    fn a_hash_rate_needs_three_shares_and_accepted_ones_count_before_sent_ones() {
        use StratumVerb::{Accepted, Login, Share};
        let share = |at| (at, Share, Some(1000.0), None);
        assert_eq!(rate(&[(0, Login, None, None), share(1000), share(2000)]), None);
        assert_eq!(rate(&[(0, Login, None, None), share(1000), share(2000), share(3000)]), Some(1000.0));
        let taken = |at| (at, Accepted, Some(1000.0), None);
        let steps = [
            (0, Login, None, None),
            share(1000),
            taken(1000),
            share(2000),
            taken(2000),
            share(3000),
            share(4000),
        ];
        assert_eq!(rate(&steps), Some(1000.0), "two accepted are too few, four sent in four seconds");
        assert_eq!(
            rate(&[(0, Login, None, Some(420.0)), share(1000)]),
            Some(420.0),
            "what the miner reports"
        );
        assert_eq!(rate(&[(0, Login, None, Some(f64::NAN))]), None);
    }

    #[test]
    fn the_pool_is_the_tunnels_target_then_the_name_then_the_address() {
        let mut flows = Flows::default();
        assert_eq!(flows.pool_of(&said(None)), "203.0.113.9:3333");
        flows.name("pool.example", &["203.0.113.9".parse().unwrap()]);
        assert_eq!(flows.pool_of(&said(None)), "pool.example:3333");
        assert_eq!(flows.pool_of(&said(Some("real.example:443"))), "real.example:443");
    }

    #[test]
    fn a_flood_of_flows_and_names_is_bounded_and_counted() {
        let mut flows = Flows::default();
        for cookie in 0..40_000 {
            flows.entry(cookie);
            if cookie % 2 == 0 {
                flows.close(cookie);
            }
        }
        assert!(flows.known.len() <= FLOWS_LIMIT && flows.order.len() <= FLOWS_LIMIT * 2 + 1);
        assert_eq!(flows.lost, 20_000 - 16_384);
        for number in 0..10_000_u32 {
            flows.name("a", &[IpAddr::from(number.to_be_bytes())]);
        }
        assert!(flows.names.len() <= NAMES_LIMIT && flows.names_order.len() <= NAMES_LIMIT);
    }
}

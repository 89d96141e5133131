//! What was said on the wire: mining protocols, and names that are on the list of pools.

use std::net::SocketAddr;

use minesweep_model::{Flow, ProcessKey, Role, Said, Severity, Stratum, StratumVerb, Utterance};

use super::{Engine, Output};
use crate::{
    facts::{Facts, Rank},
    finding::{Finding, Telling},
    flows::Told,
    ids,
    lists::PoolLevel,
    rules::RuleId,
    tree::ENDS_LIMIT,
    words::{self, Met},
};

/// Below this the parser is not sure enough for a detection.
const STRATUM_CONFIDENCE: u8 = 80;
/// From here on it is as sure as the rule.
const STRATUM_CERTAIN: u8 = 90;
/// What is left of the weight below that.
const STRATUM_UNSURE_SHARE: f64 = 0.85;
/// Marks, among the things a process is told for, that it relays and that it serves.
const RELAYS: u64 = u64::MAX;
const SERVES: u64 = u64::MAX - 1;
/// How long a hello waits for the login; a miner sends it with the answer, a round trip later.
const GREETING_MS: u64 = 1000;
/// Most connections that wait; further ones are told at once.
const GREETED_LIMIT: usize = 256;
/// What is left of the weight of a name that only a crawler found.
const CANDIDATE_SHARE: f64 = 1.0 / 3.0;

impl Engine {
    pub(super) fn said(&mut self, said: &Said, at_ms: u64, out: &mut Vec<Output>) {
        match &said.utterance {
            Utterance::Stratum(stratum) => self.stratum(said, stratum, at_ms, out),
            Utterance::Tls { sni: Some(name), .. } => self.named(said, Met::Tls, name, at_ms, out),
            Utterance::Http { method, path, host, .. } => {
                if said.role == Role::Server {
                    self.doors.request(self.flows.owner(said), said, &format!("{method} {path}"), at_ms);
                }
                if let Some(host) = host {
                    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
                    self.named(said, Met::Http, name, at_ms, out);
                }
            }
            Utterance::DnsQuestion { name, .. } => self.named(said, Met::DnsQuestion, name, at_ms, out),
            Utterance::DnsAnswer { name, addresses } => {
                self.flows.name(name, addresses);
                self.named(said, Met::DnsAnswer, name, at_ms, out);
            }
            Utterance::Tls { sni: None, .. } => {}
        }
    }

    fn stratum(&mut self, said: &Said, stratum: &Stratum, at_ms: u64, out: &mut Vec<Output>) {
        let owner = self.flows.owner(said);
        let session = self.flows.hear(at_ms, said, stratum);
        if session.confidence < STRATUM_CONFIDENCE {
            return;
        }
        session.sure_role = Some(said.role);
        if let Some(key) = owner {
            self.note_end(key, said.role, said.local, said.remote);
        }
        match said.role {
            Role::Client if self.waits_for_login(said, stratum, at_ms) => {}
            Role::Client => self.mines(owner, said, at_ms, out),
            Role::Server => self.serves(owner, said, at_ms, out),
        }
    }

    /// A hello is followed by the login that names the wallet; it is told together with it, if that comes soon.
    fn waits_for_login(&mut self, said: &Said, stratum: &Stratum, at_ms: u64) -> bool {
        let is_greeting = match stratum.verb {
            StratumVerb::Hello | StratumVerb::Welcome | StratumVerb::Difficulty | StratumVerb::Other => true,
            StratumVerb::Login
            | StratumVerb::Job
            | StratumVerb::Share
            | StratumVerb::Accepted
            | StratumVerb::Rejected => false,
        };
        let is_new = self
            .flows
            .session(said.cookie)
            .is_some_and(|session| session.told == Told::Nothing && session.facts.wallet.value().is_none());
        let has_room = self.greeted.len() < GREETED_LIMIT || self.greeted.contains_key(&said.cookie);
        if is_greeting && is_new && has_room {
            self.greeted.entry(said.cookie).or_insert_with(|| (at_ms, said.clone()));
            return true;
        }
        self.greeted.remove(&said.cookie);
        false
    }

    /// Tells of those that said hello a second ago and no more.
    pub(super) fn tell_greeted(&mut self, at_ms: u64, out: &mut Vec<Output>) {
        let is_over = |since_ms: u64| at_ms.saturating_sub(since_ms) >= GREETING_MS;
        let over: Vec<u64> = self
            .greeted
            .iter()
            .filter(|(_, (since, _))| is_over(*since))
            .map(|(cookie, _)| *cookie)
            .collect();
        for cookie in over {
            self.tell_greeting(cookie, at_ms, out);
        }
    }

    /// Tells of a connection that said hello, now that no more is to be waited for.
    pub(super) fn tell_greeting(&mut self, cookie: u64, at_ms: u64, out: &mut Vec<Output>) {
        if let Some((_, said)) = self.greeted.remove(&cookie) {
            self.mines(self.flows.owner(&said), &said, at_ms, out);
        }
    }

    fn note_end(&mut self, key: ProcessKey, role: Role, local: SocketAddr, remote: SocketAddr) {
        let Some(entry) = self.tree.entry(key) else { return };
        let (ends, end) = match role {
            Role::Client => (&mut entry.activity.client_ends, local),
            Role::Server => (&mut entry.activity.inner_ends, remote),
        };
        if ends.len() < ENDS_LIMIT {
            ends.insert(end);
        }
    }

    /// A connection was opened or accepted. Its first words may have come before: they wait in the socket until the
    /// process accepts it.
    pub(super) fn opened(&mut self, flow: &Flow) {
        self.flows.open(flow);
        let Some(key) = flow.process else { return };
        if let Some(role) = self.flows.session(flow.cookie).and_then(|session| session.sure_role) {
            self.note_end(key, role, flow.local, flow.remote);
        }
    }

    /// Whom a process mines for, as ends of its connections. A relay that forks answers in the child on what the parent
    /// accepted.
    fn relayed_ends(&self, key: ProcessKey) -> Vec<SocketAddr> {
        let Some(activity) = self.tree.get(key).map(|entry| &entry.activity) else { return Vec::new() };
        if activity.client_ends.is_empty() {
            return Vec::new();
        }
        let parent = self.tree.copied_from(key).map(|parent| &parent.activity.inner_ends);
        // A program that talks to a pool inside itself (a test) has both ends of one connection.
        let inner = activity.inner_ends.iter().chain(parent.into_iter().flatten());
        inner.filter(|end| !activity.client_ends.contains(end)).take(ENDS_LIMIT).copied().collect()
    }

    /// Our end asks for work: it mines, or passes on what others mine.
    fn mines(&mut self, owner: Option<ProcessKey>, said: &Said, at_ms: u64, out: &mut Vec<Output>) {
        let inner = owner.map(|key| self.relayed_ends(key)).unwrap_or_default();
        let Some(session) = self.flows.session(said.cookie) else { return };
        let told = match (owner, session.facts.wallet.value()) {
            (None, _) => Told::WithoutOwner,
            (Some(_), None) => Told::WithoutWallet,
            (Some(_), Some(_)) => Told::All,
        };
        let mut facts = session.facts.clone();
        facts.is_relay = !inner.is_empty();
        if session.told >= told {
            if let Some(key) = owner {
                self.refresh(key, &facts, at_ms, out);
            }
            return;
        }
        let is_first = session.told < Told::WithoutWallet;
        session.told = told;
        let since_ms = *session.told_ms.get_or_insert(at_ms);
        let pool = facts.pool.value().unwrap_or_default();
        let why = if inner.is_empty() {
            words::stratum(pool, session)
        } else {
            words::relay(pool, session, &inner)
        };
        let confidence = session.confidence;
        let mut finding = Finding::new(self.rules.rule(RuleId::Stratum), owner, why);
        if confidence < STRATUM_CERTAIN {
            finding = finding.weaker(STRATUM_UNSURE_SHARE, Severity::High);
        }
        finding.confidence = confidence;
        finding.remote = Some(said.remote);
        finding.cookie = Some(said.cookie);
        finding.thing = said.cookie;
        finding.since_ms = Some(since_ms);
        finding.facts = facts;
        if is_first && !self.fires_first(owner, RuleId::Stratum, said.cookie) {
            finding.telling = Telling::Folded;
        }
        self.absorb(finding, at_ms, out);
    }

    /// Our end hands out work. Alone that is a pool, and nobody mines here; beside a client it is a relay.
    fn serves(&mut self, owner: Option<ProcessKey>, said: &Said, at_ms: u64, out: &mut Vec<Output>) {
        let Some(key) = owner else { return };
        let inner = self.relayed_ends(key);
        let Some(entry) = self.tree.get(key) else { return };
        let mut facts = entry.activity.facts.clone();
        let Some(session) = self.flows.session(said.cookie) else { return };
        let rule = self.rules.rule(RuleId::Stratum);
        let mut finding = if inner.is_empty() {
            let mut finding = Finding::new(rule, owner, words::pool_served(said.local, said.remote));
            finding.severity = Severity::Informational;
            finding.telling = Telling::Aside;
            finding.thing = SERVES;
            finding
        } else {
            facts.is_relay = true;
            let pool = facts.pool.value().unwrap_or_default().to_owned();
            let mut finding = Finding::new(rule, owner, words::relay(&pool, session, &inner));
            finding.thing = RELAYS;
            finding.facts = facts;
            finding
        };
        finding.remote = Some(said.remote);
        finding.cookie = Some(said.cookie);
        finding.confidence = session.confidence;
        if self.fires_first(owner, RuleId::Stratum, finding.thing) {
            self.absorb(finding, at_ms, out);
        }
    }

    /// A name was asked for or spoken; only our own asking counts, a server is named by others.
    fn named(&mut self, said: &Said, met: Met, name: &str, at_ms: u64, out: &mut Vec<Output>) {
        let (Role::Client, Some(entry)) = (said.role, self.rules.pools().find(name)) else { return };
        let why = words::pool_name(met, name, &entry.host, &entry.pool);
        let mut finding = Finding::new(self.rules.rule(RuleId::PoolName), self.flows.owner(said), why);
        match entry.level {
            PoolLevel::Confirmed => {}
            PoolLevel::Candidate => finding = finding.weaker(CANDIDATE_SHARE, Severity::Low),
        }
        finding.thing = ids::thing(&entry.host);
        finding.cookie = Some(said.cookie);
        match met {
            Met::DnsQuestion | Met::DnsAnswer => {}
            Met::Tls | Met::Http => {
                finding.remote = Some(said.remote);
                let mut facts = Facts::default();
                facts.pool.learn(Rank::Wire, &format!("{name}:{}", said.remote.port()));
                finding.facts = facts;
            }
        }
        if !self.fires_first(finding.subject, RuleId::PoolName, finding.thing) {
            finding.telling = Telling::Folded;
        }
        self.absorb(finding, at_ms, out);
    }

    /// True the first time for this process, rule and thing. Connections without a known process share one bounded
    /// memory, so that a flood of them is told once.
    pub(super) fn fires_first(&mut self, key: Option<ProcessKey>, rule: RuleId, thing: u64) -> bool {
        match key {
            Some(key) => self.tree.entry(key).is_some_and(|entry| entry.activity.fires_first(rule, thing)),
            None => self.unowned.fires_first(rule, thing),
        }
    }
}

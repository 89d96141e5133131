//! What is held against one root cause, from the first weak sign to the closed incident.
//!
//! A dossier becomes an incident when the verdict says so. It is told again when something changed that a reader
//! cares about, and figures that always move are told once a minute: never a flood.

use std::{collections::BTreeMap, sync::Arc};

use minesweep_model::{
    Action, Change, Detection, Entry, Evidence, Group, Incident, IncidentState, Mining, Outcome,
    OutcomeState, Process, ProcessKey, Severity, Text,
};

use crate::{behaviour::Behaviour, facts::Facts, lists::HashRates, settings::Settings, verdict, words};

/// Most processes of one dossier.
pub(crate) const MEMBERS_LIMIT: usize = 64;
/// Most detections kept.
const FINDINGS_LIMIT: usize = 64;
/// Most outcomes kept; the oldest goes.
const OUTCOMES_LIMIT: usize = 256;
/// Figures that always move are told this often.
const FIGURES_EVERY_MS: u64 = 60_000;
/// A pool, wallet or process that only changes is told at most this often; a new one at once.
const CHANGES_EVERY_MS: u64 = 5_000;
/// Share of the strongest sign of a dossier that makes a member a miner. A script that has a pool in its arguments and
/// a busy runner stand beside their miner; they are not it.
const MINER_SHARE: f64 = 0.5;
/// A change of the probability that a reader cares about.
const PROBABILITY_STEP: f64 = 0.05;

/// A process that takes part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Member {
    /// CPU time since its start, milliseconds.
    pub(crate) total_ms: u64,
    /// Processors it kept busy when last seen.
    pub(crate) busy: f64,
    pub(crate) has_exited: bool,
    /// Weight of the strongest that it did itself; 0 when it is here for whose child it is.
    pub(crate) weight: f64,
    /// It only passes on what others mine.
    pub(crate) only_relays: bool,
    is_stopped: bool,
}

/// How sure it is that this was the way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryRank {
    /// What was fetched was run, by whomever.
    Fetched,
    /// A service above was asked something shortly before, or a package was being installed.
    Above,
    /// A login that a rule names.
    Login,
}

/// How a process joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// There was room, or it was there.
    Beside,
    /// An ended one made room.
    InPlaceOf(ProcessKey),
    /// All 64 run.
    NoRoom,
}

/// What is held against one root cause.
#[derive(Debug)]
pub(crate) struct Dossier {
    pub(crate) root: Arc<Process>,
    pub(crate) members: BTreeMap<ProcessKey, Member>,
    pub(crate) facts: Facts,
    /// What was done besides mining.
    pub(crate) behaviour: Behaviour,
    /// How it came in; a login goes before what a service was asked.
    pub(crate) entry: Option<(EntryRank, Entry)>,
    pub(crate) changed_ms: u64,
    /// Processes for which there was no room.
    pub(crate) members_lost: u64,
    since_ms: u64,
    opening: Option<Opening>,
    evidence: BTreeMap<String, Evidence>,
    findings: Vec<Detection>,
    folded: u64,
    outcomes: Vec<Outcome>,
    spent_ms: u64,
    told: Option<Told>,
}

#[derive(Clone, Debug)]
struct Opening {
    uid: String,
    at_ms: u64,
    state: IncidentState,
}

/// What a reader was last told.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    at_ms: u64,
    rules: Vec<String>,
    mining: Mining,
    state: IncidentState,
    outcomes: usize,
}

/// What turns a dossier into an incident for people.
pub(crate) struct Terms<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) rates: &'a HashRates,
    pub(crate) boot_id: &'a str,
}

impl Dossier {
    pub(crate) fn new(root: Arc<Process>, at_ms: u64) -> Self {
        Self {
            root,
            members: BTreeMap::new(),
            facts: Facts::default(),
            behaviour: Behaviour::default(),
            entry: None,
            changed_ms: at_ms,
            members_lost: 0,
            since_ms: at_ms,
            opening: None,
            evidence: BTreeMap::new(),
            findings: Vec::new(),
            folded: 0,
            outcomes: Vec::new(),
            spent_ms: 0,
            told: None,
        }
    }

    /// Uid, once it is an incident.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.opening.as_ref().map(|opening| opening.uid.as_str())
    }

    /// State, once it is an incident.
    pub(crate) fn state(&self) -> Option<IncidentState> {
        self.opening.as_ref().map(|opening| opening.state)
    }

    /// Adds a process. One that ended already, since its words arrived after its end, joins as ended.
    pub(crate) fn join(&mut self, key: ProcessKey, total_ms: u64, has_exited: bool) -> Joined {
        if self.members.contains_key(&key) {
            return Joined::Beside;
        }
        let mut joined = Joined::Beside;
        if self.members.len() >= MEMBERS_LIMIT {
            let ended = self.members.iter().find(|(_, member)| member.has_exited).map(|(key, _)| *key);
            let Some((ended, member)) = ended.and_then(|key| self.members.remove_entry(&key)) else {
                self.members_lost = self.members_lost.saturating_add(1);
                return Joined::NoRoom;
            };
            self.spent_ms = self.spent_ms.saturating_add(member.total_ms);
            joined = Joined::InPlaceOf(ended);
        }
        self.members.insert(key, Member { total_ms, has_exited, ..Member::default() });
        joined
    }

    /// Lets a process go that became another program.
    pub(crate) fn leave(&mut self, key: ProcessKey) {
        if let Some(member) = self.members.remove(&key) {
            self.spent_ms = self.spent_ms.saturating_add(member.total_ms);
        }
    }

    /// Takes what is known of a member.
    pub(crate) fn learn(&mut self, key: ProcessKey, facts: &Facts) {
        self.facts.merge(facts);
        if let Some(member) = self.members.get_mut(&key) {
            member.only_relays = facts.only_relays();
        }
    }

    /// Holds something against a member.
    pub(crate) fn charge(&mut self, key: ProcessKey, weight: f64) {
        if let Some(member) = self.members.get_mut(&key) {
            member.weight = member.weight.max(weight);
        }
    }

    /// The member only passes on what others mine.
    pub(crate) fn only_relays(&self, key: ProcessKey) -> bool {
        self.members.get(&key).is_some_and(|member| member.only_relays)
    }

    /// Members that mine themselves: who relays is none, nor who only has a weak sign beside somebody's strong one.
    pub(crate) fn miners(&self) -> impl Iterator<Item = ProcessKey> {
        let strongest = self.members.values().map(|member| member.weight).fold(0.0, f64::max);
        let mines = move |member: &Member| {
            !member.only_relays && member.weight > 0.0 && member.weight >= strongest * MINER_SHARE
        };
        self.members.iter().filter(move |(_, member)| mines(member)).map(|(key, _)| *key)
    }

    /// Takes in a piece of evidence: of one rule the strongest counts, the newest dates it.
    pub(crate) fn weigh(&mut self, piece: Evidence) {
        self.changed_ms = piece.at_ms;
        match self.evidence.get_mut(&piece.rule) {
            Some(have) if have.weight > piece.weight => have.at_ms = piece.at_ms,
            Some(have) => *have = piece,
            None => {
                self.evidence.insert(piece.rule.clone(), piece);
            }
        }
    }

    /// Keeps a detection: one of a rule, the first; the same one with more in it replaces itself.
    pub(crate) fn keep(&mut self, detection: &Detection) {
        if let Some(same) = self.findings.iter_mut().find(|have| have.uid == detection.uid) {
            same.clone_from(detection);
        } else if self.findings.len() >= FINDINGS_LIMIT
            || self.findings.iter().any(|have| have.rule == detection.rule)
        {
            self.fold();
        } else {
            self.findings.push(detection.clone());
        }
    }

    /// Keeps a step of an intrusion: the same rule again is another step, in order, as long as there is room.
    pub(crate) fn keep_step(&mut self, detection: &Detection) {
        if self.findings.len() >= FINDINGS_LIMIT {
            self.fold();
        } else {
            self.findings.push(detection.clone());
        }
    }

    /// Takes a way in; a surer one replaces it.
    pub(crate) fn enter(&mut self, rank: EntryRank, entry: Entry) {
        if self.entry.as_ref().is_none_or(|(have, _)| *have < rank) {
            self.entry = Some((rank, entry));
        }
    }

    /// Counts a detection that is not kept.
    pub(crate) fn fold(&mut self) {
        self.folded = self.folded.saturating_add(1);
    }

    /// Notes what was done. True when the outcome was about one of its processes.
    pub(crate) fn note(&mut self, outcome: &Outcome) -> bool {
        let is_ours =
            self.uid() == Some(outcome.cause.as_str()) || self.members.contains_key(&outcome.target.key);
        if !is_ours {
            return false;
        }
        let took = matches!(outcome.state, OutcomeState::Done | OutcomeState::Already);
        if let Some(member) = self.members.get_mut(&outcome.target.key).filter(|_| took) {
            match outcome.action {
                Action::Freeze { .. } | Action::Kill { .. } => member.is_stopped = true,
                Action::Thaw { .. } => member.is_stopped = false,
                Action::CutSocket { .. } | Action::Disk { .. } => {}
            }
        }
        if self.outcomes.len() >= OUTCOMES_LIMIT {
            self.outcomes.remove(0);
        }
        self.outcomes.push(outcome.clone());
        self.changed_ms = self.changed_ms.max(outcome.at_ms);
        true
    }

    /// The last thing done to a process, when it took.
    pub(crate) fn last_done(&self, key: ProcessKey) -> Option<&Action> {
        let done = |outcome: &&Outcome| {
            outcome.target.key == key
                && matches!(outcome.state, OutcomeState::Done | OutcomeState::Already)
                && !matches!(outcome.action, Action::CutSocket { .. })
        };
        self.outcomes.iter().rev().find(done).map(|outcome| &outcome.action)
    }

    /// When something was last tried with a process and did not take.
    pub(crate) fn last_failed_ms(&self, key: ProcessKey) -> Option<u64> {
        let failed = |outcome: &&Outcome| {
            outcome.target.key == key
                && matches!(outcome.state, OutcomeState::Gone | OutcomeState::Failed(_))
                && !matches!(outcome.action, Action::CutSocket { .. })
        };
        self.outcomes.iter().rev().find(failed).map(|outcome| outcome.at_ms)
    }

    /// Some process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.members.values().any(|member| !member.has_exited)
    }

    /// Weighs the evidence; a dossier that is due becomes an incident. True when it is one.
    pub(crate) fn settle(&mut self, at_ms: u64, terms: &Terms<'_>) -> bool {
        let mines = verdict::probability(self.evidence.values()) >= terms.settings.open_probability
            && verdict::has_cause(self.evidence.values());
        let is_due = mines || self.behaviour.is_due();
        if self.opening.is_none() && !is_due {
            return false;
        }
        // It is told open before it is told closed, also when the process ended before its words arrived.
        let state = if self.told.is_some() { self.next_state() } else { IncidentState::Open };
        let key = self.root.key;
        let opening = self.opening.get_or_insert_with(|| Opening {
            uid: crate::ids::uid(terms.boot_id, "incident", Some(key), at_ms, 0),
            at_ms,
            state,
        });
        opening.state = state;
        true
    }

    /// What a reader is to be told now: that it opened, changed or closed.
    pub(crate) fn review(&mut self, at_ms: u64, terms: &Terms<'_>) -> Option<(Change, Incident)> {
        if !self.settle(at_ms, terms) {
            return None;
        }
        let now = Told {
            at_ms,
            rules: self.evidence.keys().cloned().collect(),
            mining: self.mining(terms),
            state: self.state()?,
            outcomes: self.outcomes.len(),
        };
        let change = match &self.told {
            None => Change::Created,
            Some(told) if now.state == IncidentState::Closed && told.state != IncidentState::Closed => {
                Change::Closed
            }
            Some(told) if now.differs(told) => Change::Updated,
            Some(_) => return None,
        };
        self.changed_ms = at_ms;
        self.told = Some(now);
        self.incident(terms).map(|incident| (change, incident))
    }

    fn next_state(&self) -> IncidentState {
        let mut running = self.members.values().filter(|member| !member.has_exited).peekable();
        if running.peek().is_none() && self.behaviour.is_due() {
            // What an intruder did stays done when his processes end: a person closes it.
            self.state().unwrap_or(IncidentState::Open)
        } else if running.peek().is_none() {
            IncidentState::Closed
        } else if running.all(|member| member.is_stopped) {
            IncidentState::Contained
        } else {
            IncidentState::Open
        }
    }

    /// What is known of the mining.
    pub(crate) fn mining(&self, terms: &Terms<'_>) -> Mining {
        let mut mining =
            Mining { probability: verdict::probability(self.evidence.values()), ..Mining::default() };
        self.facts.fill(&mut mining);
        if self.miners().next().is_some() {
            mining.kind = self.facts.own_kind();
        }
        let running = || self.members.iter().filter(|(_, member)| !member.has_exited);
        let busy: f64 = running().map(|(_, member)| member.busy.round()).sum();
        mining.hash_rate_hs = self.facts.rate_hs;
        if mining.hash_rate_hs.is_none() && busy >= 1.0 {
            let rate = self.facts.algorithm.value().and_then(|algorithm| terms.rates.per_thread(algorithm));
            mining.hash_rate_hs = rate.map(|rate| rate * busy);
            mining.estimated = mining.hash_rate_hs.is_some();
        }
        let total_ms =
            self.members.values().fold(self.spent_ms, |sum, member| sum.saturating_add(member.total_ms));
        mining.cpu_seconds = total_ms as f64 / 1000.0;
        mining.cost = mining.cpu_seconds / 3600.0 * terms.settings.price_per_cpu_hour;
        mining.pids = running().map(|(key, _)| key.pid).collect();
        let mut miners = self.miners().filter_map(|key| self.members.get(&key)).peekable();
        mining.has_ended = miners.peek().is_some() && miners.all(|miner| miner.has_exited);
        if mining.pids.is_empty() {
            mining.pids = self.members.keys().map(|key| key.pid).collect();
        }
        mining
    }

    /// The verdict says that it mines; else the incident is about what else was done.
    fn mines(&self, mining: &Mining, terms: &Terms<'_>) -> bool {
        mining.probability >= terms.settings.open_probability || !self.behaviour.is_due()
    }

    fn severity(&self, mining: &Mining, terms: &Terms<'_>) -> Severity {
        let mined = self.mines(mining, terms).then(|| verdict::severity(mining.probability));
        mined.max(self.behaviour.worst()).unwrap_or(Severity::Medium)
    }

    /// Whom the title names: a process that mines, and not the shell that started it.
    fn worker(&self) -> &Process {
        let miners: Vec<ProcessKey> = self.miners().collect();
        let of_mining = self.findings.iter().filter(|finding| finding.rule.starts_with("mining."));
        let mut subjects = of_mining.filter_map(|finding| finding.subject.as_ref());
        subjects.find(|subject| miners.contains(&subject.key)).unwrap_or(&self.root)
    }

    /// The incident as people get it; `None` before it opened.
    pub(crate) fn incident(&self, terms: &Terms<'_>) -> Option<Incident> {
        let opening = self.opening.as_ref()?;
        let mining = self.mining(terms);
        let mut evidence: Vec<Evidence> = self.evidence.values().cloned().collect();
        evidence.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.rule.cmp(&b.rule)));
        Some(Incident {
            uid: opening.uid.clone(),
            since_ms: self.since_ms,
            opened_ms: opening.at_ms,
            changed_ms: self.changed_ms,
            state: opening.state,
            severity: self.severity(&mining, terms),
            title: if self.mines(&mining, terms) {
                words::incident(self.worker(), &mining)
            } else {
                words::intrusion(&self.root, &self.findings)
            },
            root: self.root.as_ref().clone(),
            entry: self.entry.as_ref().map(|(_, entry)| entry.clone()),
            processes: self.members.keys().copied().collect(),
            mining,
            evidence,
            findings: self.findings.clone(),
            folded: self.folded,
            outcomes: self.outcomes.clone(),
        })
    }
}

impl Told {
    fn differs(&self, told: &Self) -> bool {
        let is_new = |now: &Option<String>, then: &Option<String>| now.is_some() && then.is_none();
        let (now, then) = (&self.mining, &told.mining);
        let is_urgent = self.rules != told.rules
            || self.state != told.state
            || self.outcomes != told.outcomes
            || now.kind != then.kind
            || now.has_ended != then.has_ended
            || (now.probability - then.probability).abs() >= PROBABILITY_STEP
            || is_new(&now.pool, &then.pool)
            || is_new(&now.wallet, &then.wallet)
            || is_new(&now.worker, &then.worker)
            || is_new(&now.algorithm, &then.algorithm);
        let has_changed = (&now.pool, &now.wallet, &now.worker, &now.algorithm, &now.pids)
            != (&then.pool, &then.wallet, &then.worker, &then.algorithm, &then.pids);
        let has_moved = now.cpu_seconds > then.cpu_seconds || now.hash_rate_hs != then.hash_rate_hs;
        let passed_ms = self.at_ms.saturating_sub(told.at_ms);
        is_urgent
            || has_changed && passed_ms >= CHANGES_EVERY_MS
            || has_moved && passed_ms >= FIGURES_EVERY_MS
    }
}

/// A piece of evidence.
pub(crate) fn evidence(rule: &str, group: Group, weight: f64, text: Text, at_ms: u64) -> Evidence {
    Evidence { rule: rule.to_owned(), group, weight, text, at_ms }
}

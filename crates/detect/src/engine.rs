//! Takes events one by one, in order, and says what they mean.
//!
//! Pure: no clock, no file, no thread. The same events give the same answers, byte for byte. Everything is bounded,
//! and what found no room is counted.

mod absorb;
mod commands;
mod excepted;
mod hiding;
mod load;
mod logs;
mod matched;
mod process;
mod said;
mod scanned;
mod spread;
mod told;

pub(crate) use absorb::CLUE;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use minesweep_model::{
    Action, Change, Detection, Event, Host, Incident, Outcome, Process, ProcessKey, Said, What,
};

use crate::{
    access::{self, Access, Intruders},
    commands::recent::{Pastes, Recent},
    doors::Doors,
    dossiers::Dossiers,
    exceptions::Ledger,
    flows::Flows,
    load::{HiddenTime, SustainedLoad},
    looks::Looks,
    rules::Rules,
    settings::Settings,
    sigma::Correlator,
    spread::Spread,
    tree::{Activity, Tree},
    writes::Writes,
};

/// What an event led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A rule matched. Sent again with the same uid when the wallet became known only afterwards.
    Detection(Box<Detection>),
    /// An incident opened, changed or closed.
    Incident {
        /// Which of the three.
        change: Change,
        /// The whole incident.
        incident: Box<Incident>,
    },
    /// The process is worth a look: send [`What::Looked`] back.
    Look(ProcessKey),
}

/// What was thrown out for want of room since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Running processes.
    pub processes: u64,
    /// Connections.
    pub flows: u64,
    /// Suspicions and incidents whose processes ran.
    pub incidents: u64,
    /// Processes of one incident beyond 64.
    pub members: u64,
    /// Looks that were not asked for.
    pub looks: u64,
    /// Sources and users of failed logins that still counted.
    pub logins: u64,
    /// Lines of logs in the name of a program that did not write them.
    pub forged_lines: u64,
    /// Groups and events of correlations.
    pub correlated: u64,
    /// Sessions and ports whose connections were counted.
    pub spread: u64,
}

/// The detection engine of one host.
pub struct Engine {
    settings: Settings,
    rules: Arc<Rules>,
    host: Host,
    /// When the machine was first told of.
    began_ms: u64,
    tree: Tree,
    flows: Flows,
    writes: Writes,
    doors: Doors,
    dossiers: Dossiers,
    hidden: HiddenTime,
    sustained: SustainedLoad,
    looks: Looks,
    /// What lately ran and was fetched.
    recent: Recent,
    pastes: Pastes,
    spread: Spread,
    access: Access,
    forged_lines: u64,
    intruders: Intruders,
    /// What was told of connections whose process is not known.
    unowned: Activity,
    unowned_hits: told::UnownedHits,
    /// Connections that said hello to a pool and have not named a wallet yet, by cookie: when, and the words.
    greeted: BTreeMap<u64, (u64, Said)>,
    /// What correlation rules remember.
    correlator: Correlator,
    /// What exceptions hid.
    ledger: Ledger,
    /// Processes whose freeze is planned and whose outcome is not known yet: it is not planned twice.
    pub(crate) planned: BTreeSet<ProcessKey>,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(settings: Settings, rules: Arc<Rules>) -> Self {
        Self {
            settings,
            rules,
            host: Host::default(),
            began_ms: 0,
            tree: Tree::default(),
            flows: Flows::default(),
            writes: Writes::default(),
            doors: Doors::default(),
            dossiers: Dossiers::default(),
            hidden: HiddenTime::default(),
            sustained: SustainedLoad::default(),
            looks: Looks::default(),
            recent: Recent::default(),
            pastes: Pastes::default(),
            spread: Spread::default(),
            access: Access::default(),
            forged_lines: 0,
            intruders: access::intruders(),
            unowned: Activity::default(),
            unowned_hits: told::UnownedHits::default(),
            greeted: BTreeMap::new(),
            correlator: Correlator::default(),
            ledger: Ledger::default(),
            planned: BTreeSet::new(),
        }
    }

    /// Takes one event. Its time must not go back by much: time is what the event says.
    #[must_use = "outputs that are dropped are detections that nobody sees"]
    pub fn observe(&mut self, event: &Event) -> Vec<Output> {
        let mut out = Vec::new();
        let at_ms = event.at_ms;
        let is_news = self.is_news(event);
        self.tell_greeted(at_ms, &mut out);
        self.know_hash(event);
        match &event.what {
            What::Host(host) => {
                if self.host == Host::default() {
                    self.began_ms = at_ms;
                }
                self.host = host.clone();
            }
            What::Running(process) => self.running(process, at_ms, &mut out),
            What::Fork { parent, child } => self.fork(*parent, *child, at_ms, &mut out),
            What::Exec(process) => self.exec(process, at_ms, &mut out),
            What::Exit { process } => self.exit(*process, at_ms, &mut out),
            What::Connect(flow) => {
                self.doors.connected(flow);
                self.opened(flow);
                self.command_connects(flow, at_ms, &mut out);
                self.spreads(flow, at_ms, &mut out);
            }
            What::Accept(flow) => {
                self.doors.accepted(flow, at_ms);
                self.opened(flow);
                self.is_scanned(flow, at_ms, &mut out);
            }
            What::Closed { cookie } => {
                self.tell_greeting(*cookie, at_ms, &mut out);
                self.flows.close(*cookie);
                self.spread.closed(*cookie);
            }
            What::Said(said) => {
                self.said(said, at_ms, &mut out);
                self.spread_said(said, at_ms, &mut out);
            }
            What::Rounding(rounding) => self.rounding(rounding, at_ms, &mut out),
            What::Cpu(sample) => self.cpu(sample, at_ms, &mut out),
            What::Gpu(use_of) => self.gpu(use_of, at_ms, &mut out),
            What::BigMap(map) => self.big_map(map, at_ms, &mut out),
            What::MsrWrite(write) => self.msr_write(write, at_ms, &mut out),
            What::SettingWrite(write) => self.setting_write(write, at_ms, &mut out),
            What::Looked(looked) => self.looked(looked, at_ms, &mut out),
            What::Scanned(scanned) => self.scanned(scanned, at_ms, &mut out),
            What::Hiding(sign) => self.hiding(sign, at_ms, &mut out),
            What::Outcome(outcome) => self.outcome(outcome, at_ms, &mut out),
            // Bytes come back as `Said` when `traffic` understood them; losses are the sensor's to report.
            What::File(event) => {
                self.writes.note(&self.tree, event, at_ms);
                self.hiding_file(event, at_ms, &mut out);
                self.command_file(event, at_ms, &mut out);
            }
            What::Log(line) => self.log(line, at_ms, &mut out),
            What::Bytes(bytes) => self.spread_bytes(bytes),
            What::Lost(_) => {}
        }
        if is_news {
            self.matched(event, &mut out);
        }
        out
    }

    /// Every incident, open or lately closed, oldest first.
    pub fn incidents(&self) -> Vec<Incident> {
        let terms = self.terms();
        self.dossiers.iter().filter_map(|dossier| dossier.incident(&terms)).collect()
    }

    /// What was thrown out for want of room.
    pub fn losses(&self) -> Losses {
        Losses {
            processes: self.tree.lost,
            flows: self.flows.lost,
            incidents: self.dossiers.lost,
            members: self.dossiers.members_lost(),
            looks: self.looks.lost,
            logins: self.access.lost(),
            forged_lines: self.forged_lines,
            correlated: self.correlator.lost,
            spread: self.spread.lost,
        }
    }

    /// The machine, as its first event told it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// A process as last seen.
    pub fn process(&self, key: ProcessKey) -> Option<&Process> {
        self.tree.process(key).map(AsRef::as_ref)
    }

    /// The rules in use.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn dossiers(&self) -> &Dossiers {
        &self.dossiers
    }

    /// The incident shows what was done about it, and becomes contained when nothing of it runs on.
    fn outcome(&mut self, outcome: &Outcome, at_ms: u64, out: &mut Vec<Output>) {
        if matches!(outcome.action, Action::Freeze { .. }) {
            self.planned.remove(&outcome.target.key);
        }
        for id in self.dossiers.ids() {
            if self.dossiers.get_mut(id).is_some_and(|dossier| dossier.note(outcome)) {
                self.review(id, at_ms, out);
            }
        }
    }

    fn is_own(&self, key: ProcessKey) -> bool {
        self.settings.own_pid == Some(key.pid)
    }
}

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod command_tests;
#[cfg(test)]
mod story_tests;
#[cfg(test)]
mod tests;

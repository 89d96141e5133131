//! From a match of a rule of content to a detection, and into the story of its root cause.

use std::collections::{BTreeSet, VecDeque};

use minesweep_model::{Detection, Entry, Evidence, Group, Mining, ProcessKey};

use super::{Engine, Output};
use crate::{
    content_rule::Hit,
    doors::Door,
    dossier::{EntryRank, Terms, evidence},
    ids,
};

/// Ids of rules whose other end is who came in.
const LOGINS: &str = "access.";
/// The rule whose match names from where what runs was fetched.
const FETCHED: &str = "intrusion.download-run";

/// Most matches without a process remembered: more attackers at once are told again now and then.
const UNOWNED_LIMIT: usize = 8192;

/// Matches that no process is the subject of, newest last.
#[derive(Debug, Default)]
pub(super) struct UnownedHits {
    known: BTreeSet<(u64, u64)>,
    order: VecDeque<(u64, u64)>,
}

impl UnownedHits {
    fn is_first(&mut self, what: (u64, u64)) -> bool {
        if !self.known.insert(what) {
            return false;
        }
        self.order.push_back(what);
        if self.order.len() > UNOWNED_LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Engine {
    /// Tells a match the first time for this rule, subject and thing, and afterwards only counts it.
    pub(crate) fn tell_hit(&mut self, hit: &Hit<'_>, at_ms: u64, out: &mut Vec<Output>) {
        if hit.subject.is_some_and(|key| self.is_own(key)) {
            return;
        }
        if self.is_excepted(&hit.rule.id, hit.subject, hit.remote, &hit.why, at_ms) {
            return;
        }
        let id = hit.subject.and_then(|key| self.dossiers.place_step(&self.tree, &self.writes, key, at_ms));
        if let Some((id, key)) = id.zip(hit.subject) {
            self.enter(id, key, Some(hit), at_ms);
        }
        if self.is_pasted(hit, at_ms) || !self.is_first_hit(hit) {
            if let Some(dossier) = id.and_then(|id| self.dossiers.get_mut(id)) {
                dossier.fold();
            }
            return;
        }
        let piece = evidence(&hit.rule.id, Group::Behaviour, 0.0, hit.why.clone(), at_ms);
        if let Some(dossier) = id.and_then(|id| self.dossiers.get_mut(id)) {
            dossier.behaviour.add(&hit.rule.id, hit.rule.severity, at_ms);
            dossier.weigh(piece.clone());
        }
        let Self { dossiers, settings, rules, host, .. } = self;
        let terms = Terms { settings, rates: rules.rates(), boot_id: &host.boot_id };
        let is_incident =
            id.and_then(|id| dossiers.get_mut(id)).is_some_and(|dossier| dossier.settle(at_ms, &terms));
        let mut detection = self.hit_detection(hit, piece, at_ms);
        if let Some(dossier) = id.and_then(|id| self.dossiers.get_mut(id)) {
            detection.incident = dossier.uid().filter(|_| is_incident).map(str::to_owned);
            dossier.keep_step(&detection);
        }
        out.push(Output::Detection(Box::new(detection)));
        if let Some(id) = id {
            self.review(id, at_ms, out);
        }
    }

    /// Looks how it came in, until that is known.
    pub(crate) fn enter(&mut self, id: u64, key: ProcessKey, hit: Option<&Hit<'_>>, at_ms: u64) {
        let Some(dossier) = self.dossiers.get_mut(id) else { return };
        if let Some(login) = hit.filter(|hit| hit.rule.id.starts_with(LOGINS) && hit.remote.is_some()) {
            dossier.enter(EntryRank::Login, Entry { at_ms, remote: login.remote, text: login.why.clone() });
            return;
        }
        if dossier.entry.as_ref().is_some_and(|(rank, _)| *rank >= EntryRank::Above) {
            return;
        }
        if let Some(Door { remote, at_ms, text }) = self.doors.find(&self.tree, key, at_ms) {
            dossier.enter(EntryRank::Above, Entry { at_ms, remote, text });
        } else if let Some(run) = hit.filter(|hit| hit.rule.id == FETCHED) {
            dossier.enter(EntryRank::Fetched, Entry { at_ms, remote: run.remote, text: run.why.clone() });
        }
    }

    fn is_first_hit(&mut self, hit: &Hit<'_>) -> bool {
        let what = (ids::thing(&hit.rule.id), hit.thing);
        match hit.subject {
            Some(key) => {
                self.tree.entry(key).is_some_and(|entry| entry.activity.hits_first(what, hit.rule.severity))
            }
            None => self.unowned_hits.is_first(what),
        }
    }

    fn hit_detection(&self, hit: &Hit<'_>, piece: Evidence, at_ms: u64) -> Detection {
        let process = |key| self.tree.process(key).map(|process| process.as_ref().clone());
        let rule = hit.rule;
        Detection {
            uid: ids::uid(&self.host.boot_id, &rule.id, hit.subject, at_ms, hit.thing),
            rule: rule.id.clone(),
            at_ms,
            severity: rule.severity,
            confidence: rule.confidence,
            title: rule.title.clone(),
            why: hit.why.clone(),
            advice: rule.advice.clone(),
            attacks: rule.attacks.clone(),
            subject: hit.subject.and_then(process),
            parent: hit
                .subject
                .and_then(|key| self.tree.parent(key))
                .map(|entry| entry.process.as_ref().clone()),
            file: None,
            remote: hit.remote,
            cookie: None,
            evidence: vec![piece],
            mining: Mining {
                pids: hit.subject.map(|key| key.pid).into_iter().collect(),
                ..Mining::default()
            },
            incident: None,
        }
    }
}

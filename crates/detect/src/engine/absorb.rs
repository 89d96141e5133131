//! From a finding to what people get: evidence into the dossier, a detection, and the incident when it changed.

use minesweep_model::{Detection, Evidence, Group, Mining, ProcessKey, Text};

use super::{Engine, Output};
use crate::looks::Reason;
use crate::{
    dossier::{MEMBERS_LIMIT, Terms, evidence},
    facts::{Facts, Rank},
    finding::{Finding, Telling},
    ids, verdict, words,
};

/// Evidence of this weight or more is worth a look for pool and wallet.
const STRONG: f64 = 0.5;
/// Id of the evidence that clues give; it has no detection of its own.
pub(crate) const CLUE: &str = "mining.clue";
/// What a pool and a wallet together weigh: an editor with a miner's configuration open carries both.
const CLUE_WEIGHT: f64 = 0.45;
/// What one of them weighs.
const CLUE_WEIGHT_ONE: f64 = 0.3;
/// Share that is left when they stood only in a file near by: it may be another's, and the rule for files has weighed
/// the same words. With that rule 0.4985: a stray file opens nothing alone.
const CLUE_BESIDE_SHARE: f64 = 1.0 / 3.0;
/// Share that is left when they lay only in memory, where a page that was read leaves them too.
const CLUE_MEMORY_SHARE: f64 = 0.5;

impl Engine {
    pub(super) fn absorb(&mut self, finding: Finding, at_ms: u64, out: &mut Vec<Output>) {
        if finding.subject.is_some_and(|key| self.is_own(key)) {
            return;
        }
        let name = finding.imported.as_ref().map_or(finding.rule.id(), |imported| imported.id.as_str());
        if self.is_excepted(name, finding.subject, finding.remote, &finding.why, at_ms) {
            return;
        }
        let id = self.charge(&finding, at_ms);
        if let Some((id, key)) = id.zip(finding.subject) {
            self.enter(id, key, None, at_ms);
        }
        match finding.telling {
            Telling::Told | Telling::Aside => {
                let detection = self.detection(&finding, id, at_ms);
                if let Some(dossier) = id.and_then(|id| self.dossiers.get_mut(id)) {
                    dossier.keep(&detection);
                }
                out.push(Output::Detection(Box::new(detection)));
            }
            Telling::Folded => {
                if let Some(dossier) = id.and_then(|id| self.dossiers.get_mut(id)) {
                    dossier.fold();
                }
            }
        }
        let Some(id) = id else { return };
        self.review(id, at_ms, out);
        let is_unclear = self.dossiers.get(id).is_some_and(|dossier| !dossier.facts.is_complete());
        if finding.weight >= STRONG
            && is_unclear
            && let Some(key) = finding.subject
        {
            self.look(key, Reason::Strong, at_ms, out);
        }
    }

    /// Puts the evidence into the dossier of the process.
    fn charge(&mut self, finding: &Finding, at_ms: u64) -> Option<u64> {
        let key = finding.subject.filter(|_| finding.telling != Telling::Aside)?;
        let group = self.rules.rule(finding.rule).group;
        let piece = evidence(finding.rule.id(), group, finding.weight, finding.why.clone(), at_ms);
        self.hold(key, piece, &finding.facts, at_ms)
    }

    fn hold(&mut self, key: ProcessKey, piece: Evidence, facts: &Facts, at_ms: u64) -> Option<u64> {
        let activity = &mut self.tree.entry(key)?.activity;
        activity.facts.merge(facts);
        let facts = activity.facts.clone();
        let id = self.dossiers.place(&self.tree, &self.writes, key, own_wallet(&facts), at_ms)?;
        let Self { dossiers, settings, rules, host, tree, .. } = self;
        let dossier = dossiers.get_mut(id)?;
        dossier.learn(key, &facts);
        dossier.charge(key, piece.weight);
        dossier.weigh(piece);
        let terms = Terms { settings, rates: rules.rates(), boot_id: &host.boot_id };
        if dossier.settle(at_ms, &terms)
            && dossier.miners().any(|miner| miner == key)
            && let Some(entry) = tree.entry(key)
            && !std::mem::replace(&mut entry.activity.has_copies_joined, true)
        {
            for copy in tree.copies(key, MEMBERS_LIMIT) {
                dossiers.join(tree, id, copy);
            }
        }
        Some(id)
    }

    /// Brings what is newly known of a process into its dossier.
    pub(super) fn refresh(&mut self, key: ProcessKey, facts: &Facts, at_ms: u64, out: &mut Vec<Output>) {
        let Some(entry) = self.tree.entry(key) else { return };
        entry.activity.facts.merge(facts);
        let Some(id) = self.dossiers.of(key) else { return };
        let facts = entry.activity.facts.clone();
        if let Some(dossier) = self.dossiers.get_mut(id) {
            dossier.learn(key, &facts);
        }
        self.dossiers.learn_wallet(id, own_wallet(&facts));
        self.review(id, at_ms, out);
    }

    /// Weighs what a process carries.
    pub(super) fn carry(&mut self, key: ProcessKey, at_ms: u64, out: &mut Vec<Output>) {
        if self.is_own(key) {
            return;
        }
        let Some(facts) = self.tree.get(key).map(|entry| entry.activity.facts.clone()) else { return };
        // What was said on the wire weighs as protocol, and a concluded peer weighs nothing.
        let is_carried = |rank: &Rank| matches!(rank, Rank::Beside | Rank::Memory | Rank::File | Rank::Argv);
        let pool = facts.pool.rank().filter(is_carried);
        let wallet = facts.wallet.rank().filter(is_carried);
        let Some(best) = pool.max(wallet) else { return };
        let share = match best {
            Rank::Beside => CLUE_BESIDE_SHARE,
            Rank::Memory => CLUE_MEMORY_SHARE,
            Rank::Guess | Rank::File | Rank::Argv | Rank::Wire => 1.0,
        };
        let weight = share * if pool.is_some() && wallet.is_some() { CLUE_WEIGHT } else { CLUE_WEIGHT_ONE };
        let file = pool.and(facts.pool.file()).or(wallet.and(facts.wallet.file()));
        let why = words::clue(pool.and(facts.pool.value()), wallet.and(facts.wallet.value()), file);
        if self.is_excepted(CLUE, Some(key), None, &why, at_ms) {
            return;
        }
        let piece = evidence(CLUE, Group::Clue, weight, why, at_ms);
        if let Some(id) = self.hold(key, piece, &Facts::default(), at_ms) {
            self.review(id, at_ms, out);
        }
    }

    pub(super) fn review(&mut self, id: u64, at_ms: u64, out: &mut Vec<Output>) {
        let Self { dossiers, settings, rules, host, .. } = self;
        let terms = Terms { settings, rates: rules.rates(), boot_id: &host.boot_id };
        if let Some((change, incident)) =
            dossiers.get_mut(id).and_then(|dossier| dossier.review(at_ms, &terms))
        {
            out.push(Output::Incident { change, incident: Box::new(incident) });
        }
    }

    pub(super) fn look(&mut self, key: ProcessKey, reason: Reason, at_ms: u64, out: &mut Vec<Output>) {
        if self.is_own(key) {
            return;
        }
        let Some(entry) = self.tree.entry(key).filter(|entry| !entry.has_exited) else { return };
        out.extend(self.looks.ask(key, &mut entry.activity, reason, at_ms).map(Output::Look));
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms { settings: &self.settings, rates: self.rules.rates(), boot_id: &self.host.boot_id }
    }

    fn detection(&self, finding: &Finding, id: Option<u64>, at_ms: u64) -> Detection {
        let rule = self.rules.rule(finding.rule);
        let dossier = id.and_then(|id| self.dossiers.get(id));
        let piece = evidence(rule.id.id(), rule.group, finding.weight, finding.why.clone(), at_ms);
        let mut mining = match dossier {
            Some(dossier) => dossier.mining(&self.terms()),
            None => self.mining_alone(finding, &piece),
        };
        overlay(&mut mining, &finding.facts);
        if let Some(entry) = finding.subject.and_then(|key| self.tree.get(key)) {
            mining.kind = entry.activity.facts.kind();
        }
        let subject =
            finding.subject.and_then(|key| self.tree.process(key)).map(|process| process.as_ref().clone());
        let parent =
            finding.subject.and_then(|key| self.tree.parent(key)).map(|entry| entry.process.as_ref().clone());
        let since_ms = finding.since_ms.unwrap_or(at_ms);
        let name = finding.imported.as_ref().map_or(rule.id.id(), |imported| imported.id.as_str());
        Detection {
            uid: ids::uid(&self.host.boot_id, name, finding.subject, since_ms, finding.thing),
            rule: name.to_owned(),
            at_ms,
            severity: finding.severity,
            confidence: finding.confidence,
            title: title(finding, &rule.title),
            why: finding.why.clone(),
            advice: rule.advice.clone(),
            attacks: if finding.imported.is_some() { Vec::new() } else { rule.attacks.clone() },
            subject,
            parent,
            file: None,
            remote: finding.remote,
            cookie: finding.cookie,
            evidence: vec![piece],
            mining,
            incident: dossier.and_then(|dossier| dossier.uid()).map(str::to_owned),
        }
    }

    /// Mining as one finding alone shows it.
    fn mining_alone(&self, finding: &Finding, piece: &Evidence) -> Mining {
        let probability = match finding.telling {
            Telling::Aside => 0.0,
            Telling::Told | Telling::Folded => verdict::probability([piece]),
        };
        let mut mining = Mining { probability, ..Mining::default() };
        finding.facts.fill(&mut mining);
        mining.pids.extend(finding.subject.map(|key| key.pid));
        mining
    }
}

/// The wallet that a process mines for. One that only passes on is no cause of the mining, so its wallet joins it to
/// nobody.
fn own_wallet(facts: &Facts) -> Option<&str> {
    facts.wallet.value().filter(|_| !facts.only_relays())
}

/// What this one thing said goes before what is known of the process in all.
fn overlay(mining: &mut Mining, facts: &Facts) {
    for (place, known) in [
        (&mut mining.pool, &facts.pool),
        (&mut mining.wallet, &facts.wallet),
        (&mut mining.worker, &facts.worker),
        (&mut mining.algorithm, &facts.algorithm),
    ] {
        if let Some(value) = known.value() {
            *place = Some(value.to_owned());
        }
    }
}

fn title(finding: &Finding, title: &Text) -> Text {
    if let Some(imported) = &finding.imported {
        imported.title.clone()
    } else if finding.facts.is_relay {
        Text::new(format!("{}: a relay", title.en), format!("{}：中转", title.zh))
    } else {
        title.clone()
    }
}

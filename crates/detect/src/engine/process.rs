//! What processes are and do: who starts whom, arguments, rounding modes, memory, registers, and the answer to a look.

use std::net::SocketAddr;

use minesweep_model::{
    BigMap, Clue, ClueSource, Looked, MsrWrite, Origin, Process, ProcessKey, Rounding, SettingWrite,
    Severity, Text,
};

use super::{Engine, Output};
use crate::{
    clues, config_keys,
    facts::{Facts, Rank},
    finding::{Finding, Imported, Telling},
    ids,
    looks::Reason,
    rules::RuleId,
    signs::{
        MemorySign, RoundingSign, SettingSign, is_miner_length, is_odd_huge_map, is_prefetch_register,
        judge_setting,
    },
    tree::{base_name, is_interpreter, is_shared_tool, is_starter},
    words,
};

/// Our own rules over files; an imported rule may be about anything, so it is told under its own name and weighs
/// nothing here.
const OWN_FILE_RULES: &str = "mining.";
/// What is left of a weight when the cache of the light mode was seen, not the data set: more programs come near it.
const LIGHT_MODE_SHARE: f64 = 0.55;
/// A register that was only opened for writing, or refused by the kernel.
const MSR_OPENED_SHARE: f64 = 0.9;
/// An odd huge-page map of a size that no miner takes.
const ODD_SIZE_SHARE: f64 = 0.65;
/// Data bases and virtual machines raise the number of huge pages too.
const HUGE_RAISED_SHARE: f64 = 0.25;
/// The file that matched is not the executable, but its script or configuration.
const SCRIPT_SHARE: f64 = 0.7;
/// It is a file near by, which may be another's: with steady load it opens an incident, alone it does not.
const NEAR_SHARE: f64 = 0.48;
/// Arguments with the configuration keys of miners.
const ARGV_KEYS_SHARE: f64 = 0.8;

impl Engine {
    pub(super) fn running(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        let is_news = self.tree.process(process.key).is_none_or(|known| known.argv != process.argv);
        self.tree.learn(process);
        self.come_back(process, at_ms, out);
        if is_news {
            self.arguments(process, at_ms, out);
            self.command_runs(process, at_ms, out);
        }
        self.hiding_names(process, at_ms, out);
    }

    pub(super) fn exec(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        self.tree.exec(process);
        self.dossiers.leave_by_exec(process);
        self.come_back(process, at_ms, out);
        self.arguments(process, at_ms, out);
        self.hiding_names(process, at_ms, out);
        self.command(process, at_ms, out);
    }

    /// A child of a process that mines takes part until it becomes another program.
    pub(super) fn fork(&mut self, parent: ProcessKey, child: ProcessKey, at_ms: u64, out: &mut Vec<Output>) {
        self.tree.fork(parent, child, at_ms);
        let is_grouped = self.tree.process(parent).is_some_and(|process| !is_starter(process));
        let Some(id) = self.dossiers.of(parent).filter(|_| is_grouped && !self.is_own(child)) else { return };
        if self.dossiers.get(id).is_some_and(|dossier| dossier.uid().is_some()) {
            self.dossiers.join(&self.tree, id, child);
            self.review(id, at_ms, out);
        }
    }

    pub(super) fn exit(&mut self, key: ProcessKey, at_ms: u64, out: &mut Vec<Output>) {
        self.hidden.exit();
        self.recent.exit(key, at_ms);
        self.tree.exit(key);
        if let Some(id) = self.dossiers.exit(key) {
            self.review(id, at_ms, out);
        }
    }

    /// The same file runs again: the incident goes on, whatever the new process did so far.
    fn come_back(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        let says_nothing = is_interpreter(process) || is_shared_tool(process) || is_starter(process);
        if says_nothing || self.is_own(process.key) || self.dossiers.of(process.key).is_some() {
            return;
        }
        if let Some(id) = self.dossiers.comes_back(process, at_ms) {
            self.dossiers.join(&self.tree, id, process.key);
            self.review(id, at_ms, out);
        }
    }

    fn arguments(&mut self, process: &Process, at_ms: u64, out: &mut Vec<Output>) {
        let key = process.key;
        let found = clues::argv(&process.argv);
        let keys = config_keys::count_words(&process.argv);
        if !found.is_empty() {
            if let Some(entry) = self.tree.entry(key) {
                entry.activity.facts.learn_clues(&found);
                if let Some((pool, source)) = found.iter().find_map(as_pool) {
                    entry.activity.facts.pool.learn(source.into(), pool);
                }
                entry.activity.pool_clues =
                    found.into_iter().filter(|clue| as_pool(clue).is_some()).collect();
            }
            self.carry(key, at_ms, out);
        }
        if keys >= config_keys::ENOUGH && self.fires_first(Some(key), RuleId::MinerFile, ids::thing("argv")) {
            let rule = self.rules.rule(RuleId::MinerFile);
            let finding =
                Finding::new(rule, Some(key), words::argv_keys(keys)).weaker(ARGV_KEYS_SHARE, Severity::High);
            self.absorb(finding, at_ms, out);
        }
    }

    pub(super) fn rounding(&mut self, rounding: &Rounding, at_ms: u64, out: &mut Vec<Output>) {
        let key = rounding.process;
        let Some(entry) = self.tree.entry(key) else { return };
        if entry.process.origin == Origin::Kernel {
            return;
        }
        match entry.activity.rounding.add(at_ms, rounding.samples) {
            RoundingSign::None => {}
            RoundingSign::Directed => self.look(key, Reason::Hint, at_ms, out),
            RoundingSign::RandomX(samples) => {
                let mut finding =
                    Finding::new(self.rules.rule(RuleId::RandomX), Some(key), words::randomx(samples));
                // The family is sure, the member of it is a guess.
                finding.facts.algorithm.learn(Rank::Guess, "randomx");
                finding.facts.computes = true;
                self.once(finding, at_ms, out);
            }
        }
    }

    pub(super) fn big_map(&mut self, map: &BigMap, at_ms: u64, out: &mut Vec<Output>) {
        let key = map.process;
        if is_odd_huge_map(map) {
            let rule = self.rules.rule(RuleId::HugePages);
            let mut finding = Finding::new(rule, Some(key), words::odd_map(map));
            finding.severity = Severity::High;
            if !is_miner_length(map.length_bytes) {
                finding = finding.weaker(ODD_SIZE_SHARE, Severity::Medium);
            }
            self.once(finding, at_ms, out);
        }
        if let Some(entry) = self.tree.entry(key) {
            entry.activity.maps.add_map(map);
        }
        self.memory(key, at_ms, out);
    }

    fn memory(&mut self, key: ProcessKey, at_ms: u64, out: &mut Vec<Output>) {
        let Some(signs) = self.tree.get(key).map(|entry| entry.activity.maps) else { return };
        let sign = signs.judge();
        let rule = self.rules.rule(RuleId::RandomXMemory);
        let mut finding = Finding::new(rule, Some(key), words::memory(sign, &signs));
        match sign {
            MemorySign::None => return,
            MemorySign::Fast => {
                finding.thing = 1;
                finding.facts.computes = true;
            }
            MemorySign::Light => finding = finding.weaker(LIGHT_MODE_SHARE, Severity::Medium),
        }
        finding.facts.algorithm.learn(Rank::Guess, "randomx");
        self.once(finding, at_ms, out);
    }

    pub(super) fn msr_write(&mut self, write: &MsrWrite, at_ms: u64, out: &mut Vec<Output>) {
        if !is_prefetch_register(write.register) {
            return;
        }
        let rule = self.rules.rule(RuleId::MsrTuning);
        let mut finding = Finding::new(rule, Some(write.process), words::register(write));
        if !write.is_done {
            finding = finding.weaker(MSR_OPENED_SHARE, Severity::Medium);
        }
        self.once(finding, at_ms, out);
    }

    pub(super) fn setting_write(&mut self, write: &SettingWrite, at_ms: u64, out: &mut Vec<Output>) {
        let (rule, share) = match judge_setting(write) {
            SettingSign::None => return,
            SettingSign::MsrOpened => (RuleId::MsrTuning, MSR_OPENED_SHARE),
            SettingSign::HugePagesRaised => (RuleId::HugePages, HUGE_RAISED_SHARE),
        };
        let finding = Finding::new(self.rules.rule(rule), Some(write.process), words::setting(write));
        let severity = if self.is_from_settings(write.process) { Severity::Low } else { Severity::Medium };
        let mut finding = finding.weaker(share, severity);
        finding.thing = ids::thing(&write.path);
        self.once(finding, at_ms, out);
    }

    /// It is the tool that puts files of settings in force, as at boot and by administrators.
    fn is_from_settings(&self, key: ProcessKey) -> bool {
        let Some(process) = self.tree.process(key).filter(|process| is_shared_tool(process)) else {
            return false;
        };
        let is_file = |arg: &String| arg.starts_with("-p") || arg.starts_with("--load") || arg == "--system";
        let is_said = |arg: &String| arg.contains('=') && !arg.starts_with("--");
        match base_name(&process.exe) {
            "systemd-sysctl" => true,
            "sysctl" => process.argv.iter().any(is_file) && !process.argv.iter().any(is_said),
            _ => false,
        }
    }

    /// Tells a finding the first time, and afterwards only counts it.
    pub(super) fn once(&mut self, mut finding: Finding, at_ms: u64, out: &mut Vec<Output>) {
        if !self.fires_first(finding.subject, finding.rule, finding.thing) {
            finding.telling = Telling::Folded;
        }
        self.absorb(finding, at_ms, out);
    }

    pub(super) fn looked(&mut self, looked: &Looked, at_ms: u64, out: &mut Vec<Output>) {
        let key = looked.process.key;
        self.running(&looked.process, at_ms, out);
        let mut facts = Facts::default();
        facts.learn_clues(&looked.clues);
        let argued = self.tree.get(key).map(|entry| entry.activity.pool_clues.as_slice()).unwrap_or_default();
        let pools: Vec<&Clue> = argued.iter().chain(&looked.clues).collect();
        match self.pool_of(&pools, &looked.peers) {
            Some(Pool::Carried(pool, source)) => facts.pool.learn_clue(source, pool),
            Some(Pool::Peer(pool)) => facts.pool.learn(Rank::Guess, &pool),
            None => {}
        }
        if let Some(entry) = self.tree.entry(key) {
            entry.activity.maps.set_looked(looked);
        }
        self.refresh(key, &facts, at_ms, out);
        if !looked.clues.is_empty() {
            self.carry(key, at_ms, out);
        }
        self.hits(looked, at_ms, out);
        self.memory(key, at_ms, out);
        self.stdio(looked, at_ms, out);
    }

    fn hits(&mut self, looked: &Looked, at_ms: u64, out: &mut Vec<Output>) {
        for hit in &looked.hits {
            let title = self.rules.files().title(&hit.rule);
            let why = words::file(hit, title);
            let mut finding = Finding::new(self.rules.rule(RuleId::MinerFile), Some(looked.process.key), why);
            finding.thing = ids::thing(&hit.rule);
            if hit.is_beside {
                finding = finding.weaker(NEAR_SHARE, Severity::Low);
            } else if hit.path != looked.process.exe {
                finding = finding.weaker(SCRIPT_SHARE, Severity::High);
            }
            if !hit.rule.starts_with(OWN_FILE_RULES) {
                let title = title.cloned().unwrap_or_else(|| Text::new(hit.rule.clone(), hit.rule.clone()));
                finding.imported = Some(Imported { id: hit.rule.clone(), title });
                finding.telling = Telling::Aside;
                if !self.fires_first(finding.subject, finding.rule, finding.thing) {
                    continue;
                }
                self.absorb(finding, at_ms, out);
            } else {
                self.once(finding, at_ms, out);
            }
        }
    }

    /// Which pool it is, when the wire does not say: a carried one that a peer confirms; else one that its arguments
    /// or its own files state; else the only peer outside; else whatever there is. Of several the best source's.
    fn pool_of<'c>(&self, clues: &[&'c Clue], peers: &[SocketAddr]) -> Option<Pool<'c>> {
        let carried: Vec<(&'c str, &'c ClueSource)> = clues.iter().filter_map(|clue| as_pool(clue)).collect();
        let best = |is_meant: &dyn Fn(&str, Rank) -> bool| {
            let meant = carried.iter().filter(|(pool, source)| is_meant(pool, (*source).into()));
            // The first of equals, which the maximum would take last.
            meant
                .rev()
                .max_by_key(|(_, source)| Rank::from(*source))
                .map(|(pool, source)| Pool::Carried(pool, source))
        };
        let outside: Vec<&SocketAddr> =
            peers.iter().filter(|peer| !peer.ip().to_canonical().is_loopback()).collect();
        let only = match outside.as_slice() {
            [only] => Some(Pool::Peer(self.flows.call(**only))),
            _ => None,
        };
        best(&|pool, _| peers.iter().any(|peer| self.is_peer(pool, *peer)))
            .or_else(|| best(&|pool, rank| rank > Rank::Memory && !is_donation(pool)))
            .or(only)
            .or_else(|| best(&|pool, _| !is_donation(pool)))
            .or_else(|| {
                outside.first().copied().or(peers.first()).map(|peer| Pool::Peer(self.flows.call(*peer)))
            })
    }

    /// The peer may be the pool: same address, or the name that DNS gave it, or a name with the same port.
    fn is_peer(&self, pool: &str, peer: SocketAddr) -> bool {
        let Some((_, port)) = pool.rsplit_once(':') else { return false };
        match pool.parse::<SocketAddr>() {
            Ok(address) => {
                address.ip().to_canonical() == peer.ip().to_canonical() && address.port() == peer.port()
            }
            Err(_) => self.flows.call(peer) == pool || port == peer.port().to_string(),
        }
    }
}

/// A pool, and how it is known.
enum Pool<'a> {
    /// The process carries its name.
    Carried(&'a str, &'a ClueSource),
    /// It is connected to it.
    Peer(String),
}

fn as_pool(clue: &Clue) -> Option<(&str, &ClueSource)> {
    match clue {
        Clue::Pool(pool, source) => Some((pool, source)),
        Clue::Wallet(..) | Clue::Worker(..) | Clue::Algorithm(..) => None,
    }
}

/// The author's own pool, built into the miner: it is carried by every copy and says nothing of its user.
fn is_donation(pool: &str) -> bool {
    pool.starts_with("donate.")
}

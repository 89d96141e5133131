//! Samples of the processors and graphics processors.

use minesweep_model::{CpuSample, GpuUse, IncidentState, Origin, ProcessKey};

use super::{Engine, Output};
use crate::{
    facts::Facts,
    finding::{Finding, Telling},
    load::{Steady, Sustained},
    looks::Reason,
    rules::RuleId,
    settings::SustainedAction,
    words,
};

/// A hidden process counts from this share of a processor: less may be a race between two listings.
const HIDDEN_LEAST_SHARE: f64 = 0.5;
/// Where rounding modes are not seen, a process that has used this much processor time is looked at: its memory is then
/// all that tells a miner from a codec. Time used and not share, since a miner on a loaded machine gets little. Most
/// compilers are done before.
const BLIND_LOOK_CPU_MS: u64 = 10_000;
/// A process that keeps a graphics processor this busy, in percent, uses it to compute.
const GPU_LEAST_PERCENT: u64 = 50;

impl Engine {
    pub(super) fn cpu(&mut self, sample: &CpuSample, at_ms: u64, out: &mut Vec<Output>) {
        for use_of in &sample.processes {
            let key = use_of.process;
            let Some(entry) = self.tree.entry(key) else { continue };
            if entry.process.origin == Origin::Kernel {
                continue;
            }
            let steady = entry.activity.cpu.add(at_ms, sample.over_ms, use_of);
            let has_used = entry.activity.cpu.has_used_again(BLIND_LOOK_CPU_MS);
            let (busy, is_hidden) = (entry.activity.cpu.busy_now, entry.process.is_hidden);
            self.note_use(key, busy, use_of.total_ms);
            if is_hidden && busy >= HIDDEN_LEAST_SHARE {
                let rule = self.rules.rule(RuleId::HiddenCpu);
                self.once(Finding::new(rule, Some(key), words::hidden_process(busy)), at_ms, out);
            }
            if let Some(steady) = steady {
                self.steady(key, &steady, at_ms, out);
            }
            if has_used && self.host.blind.iter().any(|blind| blind.what == "rounding") {
                self.look(key, Reason::Hint, at_ms, out);
            }
        }
        self.hidden_time(sample, at_ms, out);
        for load in self.sustained.add_cpu(&self.settings.sustained, at_ms, sample) {
            self.sustained(&load, at_ms, out);
        }
        self.tick(at_ms, out);
    }

    pub(super) fn gpu(&mut self, use_of: &GpuUse, at_ms: u64, out: &mut Vec<Output>) {
        if use_of.busy_ms.saturating_mul(100) >= use_of.over_ms.max(1).saturating_mul(GPU_LEAST_PERCENT) {
            let facts = Facts { uses_gpu: true, ..Facts::default() };
            self.refresh(use_of.process, &facts, at_ms, out);
        }
        for load in self.sustained.add_gpu(&self.settings.sustained, at_ms, use_of) {
            self.sustained(&load, at_ms, out);
        }
    }

    fn note_use(&mut self, key: ProcessKey, busy: f64, total_ms: u64) {
        let dossier = self.dossiers.of(key).and_then(|id| self.dossiers.get_mut(id));
        if let Some(member) = dossier.and_then(|dossier| dossier.members.get_mut(&key)) {
            member.busy = busy;
            member.total_ms = member.total_ms.max(total_ms);
        }
    }

    fn steady(&mut self, key: ProcessKey, steady: &Steady, at_ms: u64, out: &mut Vec<Output>) {
        let finding = Finding::new(self.rules.rule(RuleId::SteadyCpu), Some(key), words::steady(steady));
        self.once(finding, at_ms, out);
        self.look(key, Reason::Hint, at_ms, out);
    }

    fn hidden_time(&mut self, sample: &CpuSample, at_ms: u64, out: &mut Vec<Output>) {
        // Without eBPF the end of a process comes without its time.
        let times_ended = self.host.sensor != "proc";
        if let Some(processors) = self.hidden.add(sample, times_ended) {
            let why = words::hidden_time(processors, sample.cpus);
            let finding = Finding::new(self.rules.rule(RuleId::HiddenCpu), None, why);
            self.absorb(finding, at_ms, out);
        }
    }

    /// Told beside all dossiers: load says nothing about who mines.
    fn sustained(&mut self, load: &Sustained, at_ms: u64, out: &mut Vec<Output>) {
        match load.threshold.action {
            SustainedAction::Alert => {
                let rule = self.rules.rule(RuleId::SustainedLoad);
                let mut finding = Finding::new(rule, load.busiest, words::sustained(load));
                finding.telling = Telling::Aside;
                finding.thing = crate::ids::thing(&load.device);
                self.absorb(finding, at_ms, out);
            }
            SustainedAction::None => {}
        }
    }

    /// What time brings: figures that are due, and a second look at what is still unclear.
    fn tick(&mut self, at_ms: u64, out: &mut Vec<Output>) {
        for id in self.dossiers.ids() {
            self.review(id, at_ms, out);
            let unclear = self.dossiers.get(id).filter(|dossier| {
                dossier.state() == Some(IncidentState::Open) && !dossier.facts.is_complete()
            });
            if let Some(key) = unclear.map(|dossier| dossier.root.key) {
                self.look(key, Reason::Strong, at_ms, out);
            }
        }
    }
}

//! What is to be done about a detection or an incident. Pure: it only says so; `respond` does it.
//!
//! Acts on processes that mine, never on those that only pass on or serve, and never on what the machine, its
//! operator or this agent needs to go on.

use std::{collections::BTreeSet, sync::Arc};

use minesweep_model::{
    Action, Change, Detection, Incident, IncidentState, Kind, Mode, Origin, Plan, Process, ProcessKey, Step,
    Text,
};

use crate::{
    dossier::Dossier,
    engine::{Engine, Output},
    rules::RuleId,
    tree::is_interpreter,
};

/// Block mode acts on a mining protocol from this parser confidence.
const BLOCK_CONFIDENCE: u8 = 90;
/// Strict mode, from this: the least at which a detection is made at all.
const STRICT_CONFIDENCE: u8 = 80;
/// Block mode acts on an incident from this probability: at least one sign that hardly anything but mining gives.
const BLOCK_PROBABILITY: f64 = 0.9;
/// What did not take (a full disk keeps the journal from being written) is tried again after this time at the earliest:
/// the failure itself changes the incident, and would ask for the next one at once.
const RETRY_MS: u64 = 5_000;
/// Strict mode, from this.
const STRICT_PROBABILITY: f64 = 0.6;

/// Files whose processes keep a machine reachable and running. Matched by full path and only when the file is on
/// disk: a name alone can be worn by anyone.
const KEPT: [&str; 14] = [
    "/sbin/init",
    "/usr/sbin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd-logind",
    "/usr/lib/systemd/systemd-logind",
    "/usr/bin/dbus-daemon",
    "/usr/bin/dbus-broker",
    "/usr/sbin/sshd",
    "/usr/lib/openssh/sshd-session",
    "/usr/libexec/openssh/sshd-session",
    "/usr/bin/containerd",
    "/usr/bin/dockerd",
    "/usr/bin/containerd-shim-runc-v2",
];

impl Engine {
    /// What `mode` allows to be done about `trigger`; empty in observe mode.
    #[must_use = "a plan that is dropped leaves the miner running"]
    pub fn plan(&mut self, mode: Mode, trigger: &Output) -> Plan {
        let (confidence, probability) = match mode {
            Mode::Observe => return Plan::default(),
            Mode::Block => (BLOCK_CONFIDENCE, BLOCK_PROBABILITY),
            Mode::Strict => (STRICT_CONFIDENCE, STRICT_PROBABILITY),
        };
        let plan = match trigger {
            Output::Detection(detection) => self.plan_detection(detection, confidence),
            Output::Incident { change: Change::Created | Change::Updated, incident } => {
                self.plan_incident(incident, probability)
            }
            Output::Incident { change: Change::Closed, .. } | Output::Look(_) => Plan::default(),
        };
        self.planned.extend(plan.steps.iter().filter_map(|step| match step.action {
            Action::Freeze { process } => Some(process),
            Action::Kill { .. } | Action::Thaw { .. } | Action::CutSocket { .. } | Action::Disk { .. } => {
                None
            }
        }));
        plan
    }

    /// A freeze of it is under way, or it is frozen and was not let go on since.
    fn is_dealt_with(&self, key: ProcessKey) -> bool {
        let last = || self.dossiers().of(key).and_then(|id| self.dossiers().get(id)?.last_done(key));
        self.planned.contains(&key) || matches!(last(), Some(Action::Freeze { .. } | Action::Kill { .. }))
    }

    /// Freezes who spoke and cuts what it spoke on, before the first share.
    fn plan_detection(&self, detection: &Detection, confidence: u8) -> Plan {
        let mut plan = Plan { cause: detection.uid.clone(), steps: Vec::new() };
        let speaks = detection.rule == RuleId::Stratum.id()
            && detection.confidence >= confidence
            && detection.mining.probability > 0.0
            && detection.mining.kind != Kind::Relay;
        let Some(target) = detection.subject.as_ref().filter(|subject| speaks && !self.is_kept(subject))
        else {
            return plan;
        };
        let reason = &detection.why;
        if !self.is_dealt_with(target.key) {
            plan.steps.push(step(Action::Freeze { process: target.key }, target, reason));
        }
        if let Some(cookie) = detection.cookie {
            plan.steps.push(step(Action::CutSocket { process: target.key, cookie }, target, reason));
        }
        plan
    }

    /// Freezes every process of the incident that mines, or came from one that does, and was not dealt with.
    fn plan_incident(&self, incident: &Incident, probability: f64) -> Plan {
        let mut plan = Plan { cause: incident.uid.clone(), steps: Vec::new() };
        let is_due = incident.state == IncidentState::Open && incident.mining.probability >= probability;
        if !is_due {
            return plan;
        }
        for key in &incident.processes {
            if let Some(target) = self.to_freeze(&incident.uid, *key, incident.changed_ms) {
                plan.steps.push(step(Action::Freeze { process: *key }, &target, &incident.title));
            }
        }
        plan
    }

    fn to_freeze(&self, uid: &str, key: ProcessKey, now_ms: u64) -> Option<Arc<Process>> {
        let entry = self.tree().get(key).filter(|entry| !entry.has_exited)?;
        let dossier = self.dossiers().find(uid)?;
        let has_just_failed =
            dossier.last_failed_ms(key).is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < RETRY_MS);
        if has_just_failed || self.planned.contains(&key) || !self.takes_part(dossier, &entry.process) {
            return None;
        }
        match dossier.last_done(key) {
            // Frozen stays frozen; and who was thawed was thawed by a person, who knows better.
            Some(Action::Freeze { .. } | Action::Thaw { .. } | Action::Kill { .. }) => None,
            Some(Action::CutSocket { .. } | Action::Disk { .. }) | None => {
                Some(entry.process.clone()).filter(|process| !self.is_kept(process))
            }
        }
    }

    /// It mines itself, a miner started it, or it is a miner's file come again. Others of the incident (who relays, who
    /// started the miner and only has a weak sign) are shown and left running.
    fn takes_part(&self, dossier: &Dossier, process: &Process) -> bool {
        let miners: BTreeSet<ProcessKey> = dossier.miners().collect();
        let is_same_file = |miner: &ProcessKey| {
            self.tree()
                .process(*miner)
                .is_some_and(|miner| miner.file.is_some() && miner.file == process.file)
        };
        miners.contains(&process.key)
            || !dossier.only_relays(process.key)
                && (self.tree().ancestors(process.key).any(|above| miners.contains(&above.process.key))
                    || !is_interpreter(process) && miners.iter().any(is_same_file))
    }

    /// The machine, its operator or this agent needs it: it is never acted on.
    fn is_kept(&self, process: &Process) -> bool {
        let own = self.settings().own_pid;
        let is_agents = own == Some(process.key.pid)
            || own.and_then(|pid| self.tree().by_pid(pid)).is_some_and(|agent| {
                self.tree().ancestors(agent).any(|above| above.process.key == process.key)
            });
        process.key.pid <= 2
            || process.origin == Origin::Kernel
            || is_agents
            || process.origin == Origin::Disk && KEPT.contains(&process.exe.as_str())
    }
}

fn step(action: Action, target: &Process, reason: &Text) -> Step {
    Step { action, target: target.clone(), reason: reason.clone() }
}

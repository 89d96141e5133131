//! How far an intrusion came, by ATT&CK tactic.

use serde::{Deserialize, Serialize};

use crate::{Action, Incident, OutcomeState};

/// Tactics in the order of an intrusion, ATT&CK Enterprise 17.1.
const TACTICS: [&str; 14] = [
    "TA0043", "TA0042", "TA0001", "TA0002", "TA0003", "TA0004", "TA0005", "TA0006", "TA0007", "TA0008",
    "TA0009", "TA0011", "TA0010", "TA0040",
];

/// A stage that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stage {
    /// Tactic, e.g. `TA0003`.
    pub tactic: String,
    /// Its name.
    pub name: String,
    /// First seen, Unix milliseconds.
    pub first_ms: u64,
    /// Steps of the incident that belong to it.
    pub steps: u32,
    /// Of these, how many were done by a process that was stopped afterwards.
    pub stopped: u32,
}

impl Incident {
    /// The stages of the intrusion that were seen, in the order of ATT&CK's tactics. A step of several tactics counts
    /// in each.
    pub fn stages(&self) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::new();
        for finding in &self.findings {
            let stopped =
                u32::from(finding.subject.as_ref().is_some_and(|subject| self.was_stopped(subject.key)));
            let mut counted: Vec<&str> = Vec::new();
            for attack in finding.attacks.iter() {
                if counted.contains(&attack.tactic.as_str()) {
                    continue;
                }
                counted.push(&attack.tactic);
                if let Some(stage) = stages.iter_mut().find(|stage| stage.tactic == attack.tactic) {
                    stage.first_ms = stage.first_ms.min(finding.at_ms);
                    stage.steps = stage.steps.saturating_add(1);
                    stage.stopped = stage.stopped.saturating_add(stopped);
                } else {
                    stages.push(Stage {
                        tactic: attack.tactic.clone(),
                        name: attack.tactic_name.clone(),
                        first_ms: finding.at_ms,
                        steps: 1,
                        stopped,
                    });
                }
            }
        }
        stages.sort_by_key(|stage| TACTICS.iter().position(|tactic| *tactic == stage.tactic));
        stages
    }

    fn was_stopped(&self, key: crate::ProcessKey) -> bool {
        self.outcomes.iter().any(|outcome| {
            outcome.target.key == key
                && matches!(outcome.state, OutcomeState::Done | OutcomeState::Already)
                && matches!(outcome.action, Action::Freeze { .. } | Action::Kill { .. })
        })
    }
}

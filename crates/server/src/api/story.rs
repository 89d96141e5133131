//! What an incident's steps say of the intrusion: how it began, from where, how far it came.
//!
//! A step is a finding of a rule about behaviour; the signs of mining beside it are no steps. What a step is and which
//! stage it belongs to comes from the model; this only picks.

use minesweep_model::{Detection, Entry, Group, Incident, Severity, Stage, Text};
use serde::Serialize;
use utoipa::ToSchema;

/// An incident, whole, with what follows from its steps.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentView {
    /// The incident.
    #[serde(flatten)]
    pub incident: Incident,
    /// What its steps say.
    pub story: Story,
}

/// What the steps of an incident say, taken together.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Story {
    /// It is about mining.
    pub is_mining: bool,
    /// It is about an intrusion, with or without mining.
    pub is_intrusion: bool,
    /// Stages that were seen, in the order of ATT&CK's tactics.
    pub stages: Vec<Stage>,
    /// How it came in: as the agent saw it, else the first step that is a way in.
    pub entry: Option<Entry>,
    /// Address that the intruder came from.
    pub source: Option<String>,
}

impl Story {
    /// The story of `incident`.
    pub fn of(incident: &Incident) -> Self {
        Self {
            is_mining: incident.is_mining(),
            is_intrusion: is_intrusion(incident),
            stages: incident.stages(),
            source: source(incident),
            entry: entry(incident),
        }
    }
}

/// It is about an intrusion: either about nothing else, or with a step that is not everyday work beside the mining.
pub(crate) fn is_intrusion(incident: &Incident) -> bool {
    !incident.is_mining() || steps(incident).any(|step| step.severity >= Severity::Medium)
}

/// Address that the intruder came from, without the port, which is his computer's choice.
pub(crate) fn source(incident: &Incident) -> Option<String> {
    entry(incident)?.remote.map(|remote| remote.ip().to_canonical().to_string())
}

/// Title of the worst step, the first of them when there are several.
pub(crate) fn worst_step(incident: &Incident) -> Option<Text> {
    let worst = steps(incident).map(|step| step.severity).max()?;
    steps(incident).find(|step| step.severity == worst).map(|step| step.title.clone())
}

/// When the newest step was seen; 0 without any.
pub(crate) fn last_step_ms(incident: &Incident) -> u64 {
    steps(incident).map(|step| step.at_ms).max().unwrap_or(0)
}

/// Processes that take part in the mining, as long as it goes on. Beside an intrusion these are the ones with a sign of mining: the shell and
/// the download tool of the same session mine nothing.
pub(crate) fn miners(incident: &Incident) -> usize {
    if !incident.is_mining() || incident.mining.has_ended {
        return 0;
    }
    if steps(incident).next().is_none() {
        return incident.processes.len();
    }
    let signs = incident.findings.iter().filter(|finding| !is_step(finding));
    let mut keys: Vec<_> =
        signs.filter_map(|sign| sign.subject.as_ref()).map(|subject| subject.key).collect();
    keys.sort_unstable();
    keys.dedup();
    // The verdict says that it mines, also when the findings that said so found no room.
    keys.len().max(1)
}

fn entry(incident: &Incident) -> Option<Entry> {
    let of_step = |step: &Detection| Entry { at_ms: step.at_ms, remote: step.remote, text: step.why.clone() };
    incident.entry.clone().or_else(|| way_in(incident).map(of_step))
}

/// The first step by which somebody comes in: of the tactic Initial Access, or from an address that did not serve to
/// get out again.
fn way_in(incident: &Incident) -> Option<&Detection> {
    let is = |step: &Detection, tactics: &[&str]| {
        step.attacks.iter().any(|attack| tactics.contains(&attack.tactic.as_str()))
    };
    let comes_in =
        |step: &&Detection| is(step, &[INITIAL_ACCESS]) || step.remote.is_some() && !is(step, &OUTWARD);
    steps(incident).find(comes_in)
}

fn steps(incident: &Incident) -> impl Iterator<Item = &Detection> {
    incident.findings.iter().filter(|finding| is_step(finding))
}

fn is_step(finding: &Detection) -> bool {
    finding.evidence.iter().any(|piece| piece.group == Group::Behaviour)
}

const INITIAL_ACCESS: &str = "TA0001";

/// Discovery, lateral movement, exfiltration, command and control, impact: the other end is a target or a server of
/// the intruder, and not where he came from.
const OUTWARD: [&str; 5] = ["TA0007", "TA0008", "TA0010", "TA0011", "TA0040"];

//! Incident Finding (class 2005).
//!
//! One line when it opens and one at each change, all with the incident's uid in `metadata.uid` and
//! `metadata.correlation_uid`; detections and remediations name the same `correlation_uid`. The process at the root
//! is `actor.process`: the class has no evidences.

use serde::Serialize;

use super::head::{About, Class, Confidence, Line, Named};
use super::objects::{AttackObject, Endpoint, FindingInfo, ProcessObject};
use super::unmapped::{EvidenceFacts, MiningFacts, ProcessFacts};
use crate::{Attack, Change, Host, Incident, IncidentState, Lang, Stage};

#[derive(Serialize)]
struct Body<'a> {
    status_code: IncidentState,
    #[serde(flatten)]
    confidence: Confidence,
    desc: &'a str,
    start_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<u64>,
    /// Detections, also those that were folded away.
    count: u64,
    finding_info_list: Vec<FindingInfo<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attacks: Vec<AttackObject<'a>>,
    actor: Actor<'a>,
    assignee_group: Group,
    unmapped: Unmapped<'a>,
}

#[derive(Serialize)]
struct Actor<'a> {
    process: ProcessObject<'a>,
}

#[derive(Serialize)]
struct Group {
    name: &'static str,
}

#[derive(Serialize)]
struct Unmapped<'a> {
    mining: MiningFacts<'a>,
    process: ProcessFacts<'a>,
    evidence: Vec<EvidenceFacts<'a>>,
    /// How it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryFacts<'a>>,
    /// How far it came, by ATT&CK tactic.
    stages: Vec<Stage>,
    folded: u64,
}

#[derive(Serialize)]
struct EntryFacts<'a> {
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Endpoint>,
    text: &'a str,
}

pub(super) fn line<'a>(
    change: Change,
    incident: &'a Incident,
    host: &'a Host,
    lang: Lang,
) -> impl Serialize + 'a {
    let about = About {
        class: CLASS,
        activity: activity(change),
        status: status(change, incident.state),
        severity: incident.severity,
        time: incident.changed_ms,
        uid: incident.uid.clone(),
        story: Some(&incident.uid),
        message: incident.title.of(lang).to_owned(),
    };
    Line::new(about, body(change, incident, lang), host, lang)
}

const CLASS: Class = Class {
    uid: 2005,
    name: "Incident Finding",
    category_uid: 2,
    category_name: "Findings",
    // OCSF: the class implies the incident profile, which is to be named.
    profiles: &["container", "host", "incident"],
};

fn activity(change: Change) -> Named {
    match change {
        Change::Created => Named(1, "Create"),
        Change::Updated => Named(2, "Update"),
        Change::Closed => Named(3, "Close"),
    }
}

fn status(change: Change, state: IncidentState) -> Named {
    match (change, state) {
        (Change::Closed, IncidentState::Open | IncidentState::Contained | IncidentState::Closed)
        | (Change::Created | Change::Updated, IncidentState::Closed) => Named(5, "Closed"),
        (Change::Created, IncidentState::Open) => Named(1, "New"),
        (Change::Updated, IncidentState::Open)
        | (Change::Created | Change::Updated, IncidentState::Contained) => Named(2, "In Progress"),
    }
}

fn body(change: Change, incident: &Incident, lang: Lang) -> Body<'_> {
    let title = incident.title.of(lang);
    let findings = match incident.findings.as_slice() {
        // The list may not be empty: the incident stands for the findings it does not name.
        [] => vec![FindingInfo::bare(&incident.uid, title, incident.since_ms, incident.changed_ms)],
        findings => findings.iter().map(|finding| FindingInfo::of(finding, lang)).collect(),
    };
    let named = u64::try_from(incident.findings.len()).unwrap_or(u64::MAX);
    Body {
        status_code: incident.state,
        confidence: Confidence::of(percent(incident.mining.probability)),
        desc: title,
        start_time: incident.since_ms,
        end_time: match change {
            Change::Created | Change::Updated => None,
            Change::Closed => Some(incident.changed_ms),
        },
        count: named.saturating_add(incident.folded),
        finding_info_list: findings,
        attacks: attacks(incident),
        actor: Actor { process: ProcessObject::of(&incident.root, None).with_container(&incident.root) },
        // OCSF demands an assignee, and on one machine there is none yet.
        assignee_group: Group { name: "unassigned" },
        unmapped: Unmapped {
            mining: MiningFacts::of(&incident.mining),
            process: ProcessFacts::of(&incident.root),
            evidence: incident.evidence.iter().map(|evidence| EvidenceFacts::of(evidence, lang)).collect(),
            entry: incident.entry.as_ref().map(|entry| EntryFacts {
                at_ms: entry.at_ms,
                src_endpoint: entry.remote.map(Endpoint::of),
                text: entry.text.of(lang),
            }),
            stages: incident.stages(),
            folded: incident.folded,
        },
    }
}

/// Techniques of all findings, each once, in the order in which they were first seen.
fn attacks(incident: &Incident) -> Vec<AttackObject<'_>> {
    let mut seen: Vec<&Attack> = Vec::new();
    for attack in incident.findings.iter().flat_map(|finding| &finding.attacks) {
        if !seen.contains(&attack) {
            seen.push(attack);
        }
    }
    seen.into_iter().map(AttackObject::of).collect()
}

/// 0 to 1 as 0 to 100, cut, not rounded: 100 is said only when nothing is left to doubt. What is no number is 0.
#[allow(clippy::cast_possible_truncation, reason = "clamped to 0..=100 first; `as` makes NaN 0")]
fn percent(probability: f64) -> u8 {
    // A millionth of a percent, so that 0.57 * 100 = 56.999... is 57.
    (probability * 100.0 + 1e-6).clamp(0.0, 100.0) as u8
}

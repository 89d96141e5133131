//! The lines a program reads: detections, incidents and what was done, in OCSF 1.8.0 form.
//!
//! Pure conversion. The answer depends on nothing but the arguments, and fields come in a fixed order, so a replay
//! prints the same bytes as the run. Why these classes and fields: docs/adr/0002-ocsf-lines.md; the published
//! schema they are held against: tests/fixtures/ocsf. Does not write: a caller serialises each value to one line.

mod detection;
mod head;
mod incident;
mod objects;
mod remediation;
mod unmapped;

use serde::Serialize;

use crate::{Change, Detection, Host, Incident, Lang, Outcome};

/// OCSF version of every line (`metadata.version`); the schema of that version is in tests/fixtures/ocsf.
pub const VERSION: &str = "1.8.0";

/// A rule that matched, as a Detection Finding (class 2004, activity 1 create).
///
/// `evidences[0]` is the subject, or the device when it is about the machine itself; what the rule rests on follows.
pub fn detection_finding<'a>(detection: &'a Detection, host: &'a Host, lang: Lang) -> impl Serialize + 'a {
    detection::line(detection, host, lang)
}

/// An incident as an Incident Finding (class 2005): activity 1 create, 2 update, 3 close, always with the same uid.
pub fn incident_finding<'a>(
    change: Change,
    incident: &'a Incident,
    host: &'a Host,
    lang: Lang,
) -> impl Serialize + 'a {
    incident::line(change, incident, host, lang)
}

/// What was done: Process Remediation Activity (class 7003), for a connection Network Remediation Activity (7004).
pub fn remediation<'a>(outcome: &'a Outcome, host: &'a Host, lang: Lang) -> impl Serialize + 'a {
    remediation::line(outcome, host, lang)
}

//! What every line begins with: class, activity, time, severity, the product and the machine.
//!
//! One place, so that `type_uid`, captions and profiles cannot drift apart between classes. Numbers and captions
//! are those of OCSF 1.8.0. Knows nothing of detections or incidents.

use serde::Serialize;

use super::VERSION;
use super::objects::Device;
use crate::{Host, Lang, Severity};

/// A class of OCSF.
pub(super) struct Class {
    pub uid: u32,
    pub name: &'static str,
    pub category_uid: u32,
    pub category_name: &'static str,
    /// Profiles whose attributes the line may carry: `device`, `actor` (host), `namespace_pid`, `container`.
    pub profiles: &'static [&'static str],
}

/// A number of OCSF with its caption.
#[derive(Clone, Copy)]
pub(super) struct Named(pub u32, pub &'static str);

/// What the head needs of each line.
pub(super) struct About<'a> {
    pub class: Class,
    pub activity: Named,
    pub status: Named,
    pub severity: Severity,
    pub time: u64,
    pub uid: String,
    /// Uid of the incident; joins the lines of one story.
    pub story: Option<&'a str>,
    pub message: String,
}

/// A whole line: head first, then what its class adds.
#[derive(Serialize)]
pub(super) struct Line<'a, Body> {
    class_uid: u32,
    class_name: &'static str,
    category_uid: u32,
    category_name: &'static str,
    activity_id: u32,
    activity_name: &'static str,
    type_uid: u32,
    type_name: String,
    time: u64,
    severity_id: u8,
    severity: &'static str,
    status_id: u32,
    status: &'static str,
    message: String,
    #[serde(flatten)]
    body: Body,
    device: Device<'a>,
    metadata: Metadata<'a>,
}

impl<'a, Body> Line<'a, Body> {
    pub(super) fn new(about: About<'a>, body: Body, host: &'a Host, lang: Lang) -> Self {
        let About { class, activity, status, severity, time, uid, story, message } = about;
        Self {
            class_uid: class.uid,
            class_name: class.name,
            category_uid: class.category_uid,
            category_name: class.category_name,
            activity_id: activity.0,
            activity_name: activity.1,
            type_uid: class.uid * 100 + activity.0,
            type_name: format!("{}: {}", class.name, activity.1),
            time,
            severity_id: severity.id(),
            severity: severity.caption(),
            status_id: status.0,
            status: status.1,
            message,
            body,
            device: Device::of(host),
            metadata: Metadata {
                version: VERSION,
                product: Product {
                    name: "Minesweep",
                    vendor_name: "Minesweep",
                    version: env!("CARGO_PKG_VERSION"),
                    lang,
                },
                profiles: class.profiles,
                uid,
                correlation_uid: story,
                logged_time: time,
            },
        }
    }
}

#[derive(Serialize)]
struct Metadata<'a> {
    version: &'static str,
    product: Product,
    profiles: &'static [&'static str],
    uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_uid: Option<&'a str>,
    /// The event's own time: a clock read here would make a replay differ from the run.
    logged_time: u64,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
    lang: Lang,
}

/// How sure, in OCSF's three words and as a number.
#[derive(Serialize)]
pub(super) struct Confidence {
    confidence_id: u32,
    confidence: &'static str,
    confidence_score: u8,
}

impl Confidence {
    /// From 0 to 100. 80 is where a finding may be acted on alone (`Stratum::confidence`), 50 is an even chance.
    pub(super) fn of(score: u8) -> Self {
        let score = score.min(100);
        let (confidence_id, confidence) = match score {
            80.. => (3, "High"),
            50.. => (2, "Medium"),
            0.. => (1, "Low"),
        };
        Self { confidence_id, confidence, confidence_score: score }
    }
}

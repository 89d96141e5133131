//! Detection Finding (class 2004).
//!
//! The rule is `finding_info.analytic`, the subject `evidences[0]`, what the rule rests on the evidences after it.

use serde::Serialize;

use super::head::{About, Class, Confidence, Line, Named};
use super::objects::{ContainerObject, Device, Endpoint, File, FindingInfo, ProcessObject, filled};
use super::unmapped::{EvidenceFacts, MiningFacts, ProcessFacts};
use crate::{Detection, Host, Lang};

#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    confidence: Confidence,
    finding_info: FindingInfo<'a>,
    evidences: Vec<EvidenceObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<Advice<'a>>,
    unmapped: Unmapped<'a>,
}

#[derive(Serialize)]
struct Advice<'a> {
    desc: &'a str,
}

#[derive(Serialize)]
struct Unmapped<'a> {
    mining: MiningFacts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessFacts<'a>>,
}

/// One of `evidences[]`. OCSF asks for at least one of process, endpoint, device and data.
#[derive(Default, Serialize)]
struct EvidenceObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<ContainerObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_endpoint: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Device<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<EvidenceFacts<'a>>,
}

pub(super) fn line<'a>(detection: &'a Detection, host: &'a Host, lang: Lang) -> impl Serialize + 'a {
    let about = About {
        class: CLASS,
        activity: Named(1, "Create"),
        status: Named(1, "New"),
        severity: detection.severity,
        time: detection.at_ms,
        uid: detection.uid.clone(),
        story: detection.incident.as_deref(),
        message: detection.title.of(lang).to_owned(),
    };
    let body = Body {
        confidence: Confidence::of(detection.confidence),
        finding_info: FindingInfo::of(detection, lang),
        evidences: evidences(detection, host, lang),
        remediation: filled(detection.advice.of(lang)).map(|desc| Advice { desc }),
        unmapped: Unmapped {
            mining: MiningFacts::of(&detection.mining),
            process: detection.subject.as_ref().map(ProcessFacts::of),
        },
    };
    Line::new(about, body, host, lang)
}

const CLASS: Class = Class {
    uid: 2004,
    name: "Detection Finding",
    category_uid: 2,
    category_name: "Findings",
    profiles: &["container", "host"],
};

fn evidences<'a>(detection: &'a Detection, host: &'a Host, lang: Lang) -> Vec<EvidenceObject<'a>> {
    let rest = detection.evidence.iter().map(|evidence| EvidenceObject {
        name: Some(&evidence.rule),
        data: Some(EvidenceFacts::of(evidence, lang)),
        ..EvidenceObject::default()
    });
    std::iter::once(subject(detection, host)).chain(rest).collect()
}

/// The process and its connection; the machine when it is about neither.
fn subject<'a>(detection: &'a Detection, host: &'a Host) -> EvidenceObject<'a> {
    let is_machine = detection.subject.is_none() && detection.remote.is_none();
    let process = detection.subject.as_ref();
    let remote = detection.remote.map(Endpoint::of);
    // Who logs in comes from there.
    let (src_endpoint, dst_endpoint) =
        if detection.rule.starts_with("access.") { (remote, None) } else { (None, remote) };
    EvidenceObject {
        process: process.map(|process| ProcessObject::of(process, detection.parent.as_ref())),
        file: detection.file.as_deref().map(File::scanned),
        container: process.and_then(|process| process.container.as_ref()).and_then(ContainerObject::of),
        src_endpoint,
        dst_endpoint,
        device: is_machine.then(|| Device::of(host)),
        ..EvidenceObject::default()
    }
}

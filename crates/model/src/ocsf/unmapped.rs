//! What OCSF has no field for, under `unmapped`: the mining itself, odd facts of a process, the weighed evidence.
//!
//! `unmapped` is the one open object of a line; its shape is ours and as stable as the rest (DESIGN.md, "The
//! command line"). A number that JSON cannot hold is left out.

use serde::Serialize;

use super::objects::filled;
use crate::{Evidence, Group, Kind, Lang, Mining, Origin, Process};

#[derive(Serialize)]
pub(super) struct MiningFacts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_rate_hs: Option<f64>,
    estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    pids: &'a [u32],
}

impl<'a> MiningFacts<'a> {
    pub(super) fn of(mining: &'a Mining) -> Self {
        let finite = |number: f64| number.is_finite().then_some(number);
        Self {
            probability: finite(mining.probability),
            kind: mining.kind,
            pool: mining.pool.as_deref(),
            wallet: mining.wallet.as_deref(),
            worker: mining.worker.as_deref(),
            algorithm: mining.algorithm.as_deref(),
            hash_rate_hs: mining.hash_rate_hs.and_then(finite),
            estimated: mining.estimated,
            cpu_seconds: finite(mining.cpu_seconds),
            cost: finite(mining.cost),
            pids: &mining.pids,
        }
    }
}

/// What is odd about a process and has no attribute in OCSF.
#[derive(Serialize)]
pub(super) struct ProcessFacts<'a> {
    /// Where the executable's bytes come from.
    origin: Origin,
    is_hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<&'a str>,
}

impl<'a> ProcessFacts<'a> {
    pub(super) fn of(process: &'a Process) -> Self {
        Self {
            origin: process.origin,
            is_hidden: process.is_hidden,
            threads: (process.threads != 0).then_some(process.threads),
            cgroup: filled(&process.cgroup),
        }
    }
}

/// OCSF's `file.is_deleted`: a memory file was never in a directory, so it is not deleted from one.
pub(super) fn origin_is_deleted(origin: Origin) -> bool {
    match origin {
        Origin::Deleted => true,
        Origin::Disk | Origin::OverlayUpper | Origin::Memfd | Origin::Kernel => false,
    }
}

/// One thing a finding or a verdict rests on.
#[derive(Serialize)]
pub(super) struct EvidenceFacts<'a> {
    rule: &'a str,
    group: Group,
    weight: f64,
    text: &'a str,
    at_ms: u64,
}

impl<'a> EvidenceFacts<'a> {
    pub(super) fn of(evidence: &'a Evidence, lang: Lang) -> Self {
        Self {
            rule: &evidence.rule,
            group: evidence.group,
            weight: evidence.weight,
            text: evidence.text.of(lang),
            at_ms: evidence.at_ms,
        }
    }
}

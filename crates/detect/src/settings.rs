//! What the owner of a machine may set about detection.

use serde::{Deserialize, Serialize};

use crate::access::AccessSettings;

/// Settings of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Price of one hour of one processor, in `currency`. Default 0.04: about what a virtual processor costs by the
    /// hour at the large clouds.
    pub price_per_cpu_hour: f64,
    /// Name of the currency.
    pub currency: String,
    /// Loads that are told when they last.
    pub sustained: Vec<SustainedThreshold>,
    /// When logins are told.
    pub access: AccessSettings,
    /// Probability from which an incident opens, 0 to 1. Default 0.5: more likely mining than not.
    pub open_probability: f64,
    /// The agent's own pid, in its own namespace: never judged, never acted on.
    pub own_pid: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        let threshold = |metric| SustainedThreshold {
            metric,
            percent: 80.0,
            minutes: 5.0,
            action: SustainedAction::Alert,
        };
        Self {
            price_per_cpu_hour: 0.04,
            currency: "USD".to_owned(),
            sustained: vec![threshold(Metric::Cpu), threshold(Metric::Gpu)],
            access: AccessSettings::default(),
            open_probability: 0.5,
            own_pid: None,
        }
    }
}

/// A load and how long it must last to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SustainedThreshold {
    /// Of what.
    pub metric: Metric,
    /// Busier than this, 0 to 100.
    pub percent: f64,
    /// For at least this long, minutes.
    pub minutes: f64,
    /// What then.
    pub action: SustainedAction,
}

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// All processors together.
    Cpu,
    /// One graphics processor.
    Gpu,
}

/// What a sustained load leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SustainedAction {
    /// A detection of severity low.
    Alert,
    /// Nothing.
    None,
}

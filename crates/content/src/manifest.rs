//! The first page of a bundle: which format, which version, whose licence.

use serde::Deserialize;

use crate::ContentError;

/// Where it is in the bundle.
pub(crate) const FILE: &str = "manifest.yaml";
/// The format this program reads.
const FORMAT: u32 = 1;

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the bundle; 1.
    pub format: u32,
    /// Version of the rules.
    pub version: String,
    /// Licence of the rules that name none of their own, SPDX.
    pub licence: String,
    /// ATT&CK version whose ids the rules use.
    pub attack_version: String,
}

impl Manifest {
    pub(crate) fn parse(text: &str) -> Result<Self, ContentError> {
        #[derive(Deserialize)]
        struct Form {
            format: Option<u32>,
        }
        // The format first: a newer bundle may have keys that we would refuse with a misleading message.
        let form: Form =
            serde_yaml_ng::from_str(text).map_err(|error| ContentError::broken(FILE, error.to_string()))?;
        match form.format {
            Some(FORMAT) => {}
            Some(found) if found > FORMAT => return Err(ContentError::Newer { found, known: FORMAT }),
            Some(_) | None => return Err(ContentError::broken(FILE, "it must say format: 1")),
        }
        serde_yaml_ng::from_str(text).map_err(|error| ContentError::broken(FILE, error.to_string()))
    }
}

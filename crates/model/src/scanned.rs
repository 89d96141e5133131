//! A file in which file rules matched: what reports, lists and a vault name it by.

use serde::{Deserialize, Serialize};

use crate::{FileId, ProcessKey};

/// Why a file was looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// It lay there when somebody asked for a scan.
    Scan,
    /// A process wrote it.
    Written,
    /// A process runs it.
    Run,
}

/// A rule that matched, and where in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileRuleMatch {
    /// Rule id.
    pub rule: String,
    /// Member of the archive, layers joined by `!`; empty for the file itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub member: String,
}

/// A file in which rules matched. Text is lossy UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Scanned {
    /// The file, at most 4 KiB; below the root that was asked for.
    pub path: String,
    /// The file itself.
    pub file: FileId,
    /// Its length.
    pub size_bytes: u64,
    /// MD5, hexadecimal; empty when the file changed while it was read.
    pub md5: String,
    /// SHA-256, hexadecimal; empty as above.
    pub sha256: String,
    /// Rules that matched, at most 32.
    pub matches: Vec<FileRuleMatch>,
    /// Why it was looked into.
    pub occasion: Occasion,
    /// Who wrote or runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessKey>,
}

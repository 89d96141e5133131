//! Loads and checks the rule bundle, and hands each engine the text of its rules.
//!
//! The default bundle is inside the binary, so that the binary works copied alone to any host; a folder can stand
//! in for it. Content only knows the shape of the bundle: which files there are, that each has its cases, licence
//! and source. What the text of a rule means is compiled by the engine that runs it. This crate is the only reader
//! of `content/`.

mod check;
mod manifest;
mod unpack;

use std::{collections::BTreeMap, path::Path};

pub use manifest::Manifest;

/// Largest file of a bundle, bytes. The largest public YARA pack in one file is about 1 MiB; ours are far below.
pub const FILE_LIMIT_BYTES: usize = 4 << 20;
/// Largest bundle, bytes.
pub const BUNDLE_LIMIT_BYTES: usize = 32 << 20;
/// Most files in a bundle.
pub const FILES_LIMIT: usize = 4096;

/// What an engine takes from the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Texts, weights and cases of the mining rules: `mining/*.yml`.
    Mining,
    /// Texts and cases of other rules that match by code: `behaviour/*.yml`.
    Behaviour,
    /// What lines of logs say of logins: `access/*.yml`; each pattern has its examples with it.
    Access,
    /// Rules in Sigma and their cases: `sigma/AREA/*.yml`, `sigma/AREA/*.cases.yml`.
    Sigma,
    /// File rules and their cases: `yara/*.yar`, `yara/*.cases.yml`.
    Yara,
    /// Lists: pools, hash rates, ATT&CK names: `intel/*.csv`.
    Intel,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Mining, Self::Behaviour, Self::Access, Self::Sigma, Self::Yara, Self::Intel];

    /// Its folder in the bundle.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Mining => "mining",
            Self::Behaviour => "behaviour",
            Self::Access => "access",
            Self::Sigma => "sigma",
            Self::Yara => "yara",
            Self::Intel => "intel",
        }
    }

    fn of(path: &str) -> Option<Self> {
        let (folder, _) = path.split_once('/')?;
        Self::ALL.into_iter().find(|kind| kind.folder() == folder)
    }
}

/// A checked set of rules.
#[derive(Clone, Debug)]
pub struct Bundle {
    manifest: Manifest,
    files: BTreeMap<String, String>,
}

impl Bundle {
    /// The bundle inside this binary.
    pub fn embedded() -> Result<Self, ContentError> {
        Self::from_files(unpack::embedded()?)
    }

    /// The bundle in a folder.
    pub fn from_dir(path: &Path) -> Result<Self, ContentError> {
        Self::from_files(unpack::folder(path)?)
    }

    /// Version, licence and ATT&CK version of this bundle.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Path and text of each file of a kind, cases included, in order of path.
    pub fn files(&self, kind: Kind) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(move |(path, _)| Kind::of(path) == Some(kind))
    }

    /// Path and text of every rule file, in order of path; what `detect::Rules::compile` takes.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    fn from_files(mut files: BTreeMap<String, String>) -> Result<Self, ContentError> {
        let text = files.remove(manifest::FILE).ok_or_else(|| {
            ContentError::broken(
                manifest::FILE,
                "it is missing; a bundle begins with a manifest.yaml of format 1",
            )
        })?;
        let manifest = Manifest::parse(&text)?;
        check::files(&manifest, &files)?;
        Ok(Self { manifest, files })
    }
}

/// Why a bundle is refused. It is refused as a whole: half a bundle would be silently blind.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A file or folder cannot be read.
    #[error("cannot read content {path}; check that it is there and readable")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is there and wrong.
    #[error("content file {path} is refused: {reason}")]
    Broken {
        /// Which, relative to the bundle.
        path: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The bundle was made for a newer program.
    #[error(
        "content of format {found} is newer than this program, which reads format {known}; update minesweep"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The bundle or a file of it is too large.
    #[error("content {path} is over the limit of {limit}; split it or take rules out")]
    TooLarge {
        /// Which.
        path: String,
        /// The limit, with its unit.
        limit: String,
    },
}

impl ContentError {
    fn broken(path: &str, reason: impl Into<String>) -> Self {
        Self::Broken { path: path.to_owned(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests;

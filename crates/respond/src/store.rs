//! The quarantine: what was taken out of its place, with all it had, so that it can be put back to the last bit.
//!
//! An item is a body and a description of it. The body is enciphered with a key that lies in the description: not for
//! secrecy, but so that no scanner takes the store for an infection and nothing in it can be started. An item is whole on
//! disk before anything is changed. Bounded: 512 MiB an item, 4096 items, and a sixteenth of the disk stays free, but no
//! more than 256 MiB.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher},
};
use minesweep_model::{Bytes, FORMAT, clean::Form};
use rustix::fs::statvfs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    disk::{BODY_LIMIT_BYTES, Caught, Traits, each_part, hex, random, refused_io, shown},
    target::NotDone,
};

/// Why an item of the store cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The file system refused.
    #[error("cannot {what} {} in the quarantine", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No such item.
    #[error("the quarantine holds no item {0}; `minesweep quarantine list` shows what there is")]
    NoSuchItem(u64),
    /// A newer Minesweep wrote it.
    #[error(
        "item {item} of the quarantine is of version {found}, and this program reads up to {FORMAT}: use the newer program; the item is left as it is"
    )]
    Newer {
        /// Which.
        item: u64,
        /// Its version.
        found: u32,
    },
    /// The description or the body was damaged.
    #[error("item {0} of the quarantine is damaged: {1}")]
    Damaged(u64, String),
}

/// An item as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Number.
    pub item: u64,
    /// When it was taken, Unix milliseconds.
    pub at_ms: u64,
    /// Where it lay, below `root`.
    pub path: Bytes,
    /// The root: `/` or a mounted disk.
    pub root: PathBuf,
    /// What it is.
    pub form: Form,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its content; empty for links, folders and special files.
    pub sha256: String,
}

/// Description of an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    v: u32,
    pub(crate) item: u64,
    at_ms: u64,
    pub(crate) root: PathBuf,
    pub(crate) path: Bytes,
    pub(crate) form: Form,
    pub(crate) traits: Traits,
    pub(crate) sha256: String,
    key: String,
    /// SHA-256 of what was put in its place; empty when nothing was.
    pub(crate) left: String,
}

/// The store of one data folder.
pub(crate) struct Store {
    folder: PathBuf,
}

/// What an item is taken of.
pub(crate) struct Taking<'a> {
    pub(crate) root: &'a Path,
    pub(crate) path: &'a [u8],
    pub(crate) at_ms: u64,
    /// SHA-256 of what will be put in its place; empty for nothing.
    pub(crate) left: &'a str,
}

impl Store {
    /// Opens the store, making its folder (0700) when it is missing.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, QuarantineError> {
        let folder = data_dir.join("quarantine");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at("make", &folder))?;
        Ok(Self { folder })
    }

    /// Copies what is held into the store; on disk when this returns. Its digest must be `judged`, when that is known.
    pub(crate) fn take(&self, caught: &Caught, taking: &Taking<'_>, judged: &str) -> Result<Item, NotDone> {
        if caught.form == Form::File && caught.traits.size > BODY_LIMIT_BYTES {
            return Err(NotDone::Refused(format!(
                "nothing was changed: {} has {} bytes, and the quarantine takes {BODY_LIMIT_BYTES} of a file; move it away by hand",
                shown(taking.path),
                caught.traits.size
            )));
        }
        self.has_room(caught.traits.size)?;
        let key = random::<32>().map_err(|failed| refused_io("keep", taking.path, &failed))?;
        let (item, mut body) = self.begin().map_err(|failed| refused_io("keep", taking.path, &failed))?;
        let kept = match (&caught.form, &caught.file) {
            (Form::File, Some(file)) => encipher(file, &mut body, &key),
            _ => Ok(String::new()),
        };
        let done = kept.and_then(|sha256| {
            body.sync_all()?;
            let described = Item {
                v: FORMAT,
                item,
                at_ms: taking.at_ms,
                root: taking.root.to_owned(),
                path: Bytes(taking.path.to_vec()),
                form: caught.form.clone(),
                traits: caught.traits.clone(),
                sha256,
                key: hex(&key),
                left: taking.left.to_owned(),
            };
            self.describe(&described)?;
            Ok(described)
        });
        match done {
            Ok(described) if judged.is_empty() || judged == described.sha256 => Ok(described),
            Ok(_) => {
                self.forget(item);
                Err(NotDone::Gone)
            }
            Err(failed) => {
                self.forget(item);
                Err(refused_io("keep a copy, so nothing was changed, of", taking.path, &failed))
            }
        }
    }

    /// The items, oldest first; damaged ones are errors of their own.
    pub(crate) fn list(&self) -> Result<Vec<Result<Stored, QuarantineError>>, QuarantineError> {
        let mut numbers = self.numbers().map_err(at("list", &self.folder))?;
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|item| self.item(item).map(|item| item.stored())).collect())
    }

    /// The description of an item.
    pub(crate) fn item(&self, item: u64) -> Result<Item, QuarantineError> {
        let path = self.meta(item);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(META_LIMIT_BYTES).read_to_end(&mut text).map_err(at("read", &path))?,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                return Err(QuarantineError::NoSuchItem(item));
            }
            Err(source) => return Err(at("open", &path)(source)),
        };
        let damaged = |why: serde_json::Error| QuarantineError::Damaged(item, why.to_string());
        let Version { v } = serde_json::from_slice(&text).map_err(damaged)?;
        if v > FORMAT {
            return Err(QuarantineError::Newer { item, found: v });
        }
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// Writes the content of an item out, and checks it.
    pub(crate) fn write_out(&self, item: &Item, into: &mut impl Write) -> Result<(), QuarantineError> {
        let path = self.body(item.item);
        let body = File::open(&path).map_err(at("open", &path))?;
        let mut cipher = cipher(&item.key).ok_or_else(|| {
            QuarantineError::Damaged(item.item, "its key is not 64 hexadecimal digits".to_owned())
        })?;
        let mut hash = Sha256::new();
        each_part(&body, |part| {
            let mut plain = part.to_vec();
            cipher.apply_keystream(&mut plain);
            hash.update(&plain);
            into.write_all(&plain)
        })
        .map_err(at("read", &path))?;
        if item.form == Form::File && hex(&hash.finalize()) != item.sha256 {
            return Err(QuarantineError::Damaged(item.item, "its content is not what was taken".to_owned()));
        }
        Ok(())
    }

    fn begin(&self) -> io::Result<(u64, File)> {
        let numbers = self.numbers()?;
        if numbers.len() >= ITEMS_LIMIT {
            return Err(io::Error::other(format!(
                "the quarantine holds {ITEMS_LIMIT} items; export them and remove its folder"
            )));
        }
        let item = numbers.into_iter().max().unwrap_or(0).saturating_add(1);
        Ok((item, fresh(&self.body(item))?))
    }

    /// Numbers of bodies and descriptions alike, so that a number is never used twice.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number: Option<u64> =
                Path::new(&name).file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            found.extend(number);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn describe(&self, item: &Item) -> io::Result<()> {
        let mut file = fresh(&self.meta(item.item))?;
        file.write_all(&serde_json::to_vec(item)?)?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()
    }

    fn forget(&self, item: u64) {
        for path in [self.meta(item), self.body(item)] {
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
                Err(failed) => {
                    tracing::warn!(path = %path.display(), %failed, "a useless item stays in the quarantine")
                }
            }
        }
    }

    fn has_room(&self, bytes: u64) -> Result<(), NotDone> {
        let disk = statvfs(&self.folder).map_err(|failed| {
            NotDone::Refused(format!("cannot see how full the quarantine's disk is: {failed}"))
        })?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let spare = (disk.f_blocks.saturating_mul(disk.f_frsize) / 16).min(SPARE_BYTES);
        if free < bytes.saturating_add(spare) {
            return Err(NotDone::Refused(format!(
                "the disk of {} is too full to keep {bytes} bytes; free some, or name another folder with --data-dir",
                self.folder.display()
            )));
        }
        Ok(())
    }

    fn meta(&self, item: u64) -> PathBuf {
        self.folder.join(format!("{item}.meta"))
    }

    fn body(&self, item: u64) -> PathBuf {
        self.folder.join(format!("{item}.body"))
    }
}

/// Writes a file out enciphered; its SHA-256.
fn encipher(file: &File, body: &mut File, key: &[u8; 32]) -> io::Result<String> {
    let mut cipher = ChaCha20::new(key.into(), &NONCE.into());
    let mut hash = Sha256::new();
    each_part(file, |part| {
        hash.update(part);
        let mut hidden = part.to_vec();
        cipher.apply_keystream(&mut hidden);
        body.write_all(&hidden)
    })?;
    Ok(hex(&hash.finalize()))
}

fn cipher(key: &str) -> Option<ChaCha20> {
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(key.get(at * 2..at * 2 + 2)?, 16).ok()).collect::<Option<_>>()?;
    ChaCha20::new_from_slices(&bytes, &NONCE).ok()
}

fn fresh(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

fn at(what: &'static str, path: &Path) -> impl Fn(io::Error) -> QuarantineError {
    let path = path.to_owned();
    move |source| QuarantineError::Io { what, path: path.clone(), source }
}

impl From<QuarantineError> for NotDone {
    fn from(failed: QuarantineError) -> Self {
        Self::Refused(crate::responder::told(&failed))
    }
}

impl Item {
    /// As a person sees it.
    pub(crate) fn stored(&self) -> Stored {
        Stored {
            item: self.item,
            at_ms: self.at_ms,
            path: self.path.clone(),
            root: self.root.clone(),
            form: self.form.clone(),
            size: self.traits.size,
            sha256: self.sha256.clone(),
        }
    }

    /// Where it lay, in words.
    pub(crate) fn shown(&self) -> String {
        shown(&self.path.0)
    }
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Each item has a key of its own, so that the nonce need not differ.
const NONCE: [u8; 12] = [0; 12];
/// Items kept.
const ITEMS_LIMIT: usize = 4096;
/// What a large disk keeps free: a miner may have filled it, and must be taken all the same.
const SPARE_BYTES: u64 = 256 << 20;
/// A description with 64 KiB of attributes, each byte at most four in JSON, and the rest.
const META_LIMIT_BYTES: u64 = 8 << 20;

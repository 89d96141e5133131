//! Brings a bundle into memory, from the binary or from a folder, within fixed bounds.
//!
//! Does not judge what it reads; that is `check`.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{BUNDLE_LIMIT_BYTES, ContentError, FILE_LIMIT_BYTES, FILES_LIMIT};

/// Folders below the root: the kind, and the area within it.
const DEPTH_LIMIT: usize = 2;

static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/content.z"));

/// The files inside the binary.
pub(crate) fn embedded() -> Result<BTreeMap<String, String>, ContentError> {
    let damaged = || ContentError::broken("(embedded)", "this program's file is damaged; install it again");
    let blob = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(EMBEDDED, BUNDLE_LIMIT_BYTES)
        .map_err(|_| damaged())?;
    let mut rest = blob.as_slice();
    let mut files = BTreeMap::new();
    while !rest.is_empty() {
        let path = take_text(&mut rest).ok_or_else(damaged)?;
        let text = take_text(&mut rest).ok_or_else(damaged)?;
        files.insert(path, text);
    }
    Ok(files)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (bytes, tail) = tail.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = tail;
    String::from_utf8(bytes.to_vec()).ok()
}

/// The files of a folder and of the folders in it, one level deep. Links are not followed: a bundle is one folder.
pub(crate) fn folder(root: &Path) -> Result<BTreeMap<String, String>, ContentError> {
    let mut files = BTreeMap::new();
    let mut left_bytes = BUNDLE_LIMIT_BYTES;
    // Folders with their depth below the root; what lies deeper is refused as no regular file.
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for path in list(&folder)? {
            if depth < DEPTH_LIMIT && path.is_dir() && !path.is_symlink() {
                folders.push((path, depth + 1));
            } else {
                take_file(root, &path, &mut left_bytes, &mut files)?;
            }
        }
        if folders.len() > FILES_LIMIT {
            return Err(too_large(root, format!("{FILES_LIMIT} folders")));
        }
    }
    Ok(files)
}

fn list(at: &Path) -> Result<Vec<PathBuf>, ContentError> {
    let unreadable = |source| ContentError::Unreadable { path: at.display().to_string(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(at).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
        if paths.len() > FILES_LIMIT {
            return Err(too_large(at, format!("{FILES_LIMIT} files")));
        }
    }
    paths.sort();
    Ok(paths)
}

fn take_file(
    root: &Path,
    path: &Path,
    left_bytes: &mut usize,
    files: &mut BTreeMap<String, String>,
) -> Result<(), ContentError> {
    let unreadable = |source| ContentError::Unreadable { path: path.display().to_string(), source };
    let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
    if !fs::symlink_metadata(path).map_err(unreadable)?.is_file() {
        return Err(ContentError::broken(
            &name,
            "it is not a regular file; a bundle has files at most two folders deep",
        ));
    }
    let mut bytes = Vec::new();
    let bound = u64::try_from(FILE_LIMIT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > FILE_LIMIT_BYTES {
        return Err(too_large(path, format!("{} MiB a file", FILE_LIMIT_BYTES >> 20)));
    }
    *left_bytes = left_bytes
        .checked_sub(bytes.len())
        .ok_or_else(|| too_large(root, format!("{} MiB a bundle", BUNDLE_LIMIT_BYTES >> 20)))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        ContentError::broken(&name, format!("it is not UTF-8 text ({})", error.utf8_error()))
    })?;
    if files.len() == FILES_LIMIT {
        return Err(too_large(root, format!("{FILES_LIMIT} files")));
    }
    files.insert(name, text);
    Ok(())
}

fn too_large(path: &Path, limit: String) -> ContentError {
    ContentError::TooLarge { path: path.display().to_string(), limit }
}

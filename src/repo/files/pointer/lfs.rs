//! Git LFS: a pointer of three lines in the place of a file, and the objects that such pointers name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::Sha256;

use super::super::error::{FileError, Place};
use super::{hash, is_hex};

/// Files of this many bytes and more are no pointers.
pub(in crate::repo) const POINTER_MAX: u64 = 1024;

/// What a pointer begins with, of today's Git LFS and of the one before it had that name.
const STARTS: [&[u8]; 2] = [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];

/// A pointer: the object that stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo) struct Pointer {
    /// SHA-256 in hexadecimal.
    pub oid: String,
    /// Bytes.
    pub size: u64,
}

impl Pointer {
    /// Reads a pointer; `None` where the bytes do not begin as one. `file` is what it is called in errors.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Option<Pointer>, FileError> {
        if bytes.len() as u64 >= POINTER_MAX || !STARTS.iter().any(|start| bytes.starts_with(start)) {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(bytes);
        let (mut oid, mut size) = (None, None);
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match key {
                "oid" => oid = value.strip_prefix("sha256:").filter(|oid| is_hex(oid, 64)),
                "size" => size = value.parse().ok(),
                _ => {}
            }
        }
        match (oid, size) {
            (Some(oid), Some(size)) => Ok(Some(Pointer { oid: oid.to_owned(), size })),
            _ => Err(FileError::bad(file, Place::File, "begins as a Git LFS pointer, but names no object: its lines oid and size are damaged")
                .with_hint("git checkout brings the pointer back")),
        }
    }

    /// The object, from the first of these stores that has it, tested against size and hash.
    pub fn find(&self, file: &str, storages: &[PathBuf]) -> Result<PathBuf, FileError> {
        let (Some(a), Some(b)) = (self.oid.get(..2), self.oid.get(2..4)) else {
            return Err(FileError::bad(file, Place::File, "its Git LFS pointer names no object"));
        };
        let places = storages.iter().map(|storage| storage.join("objects").join(a).join(b).join(&self.oid));
        let Some(path) = places.into_iter().find(|path| path.is_file()) else {
            let why = if storages.is_empty() { "is a Git LFS pointer outside of a Git repository" } else { "is a Git LFS pointer, and its object is not here" };
            return Err(FileError::bad(file, Place::File, why).with_hint("'git lfs pull' brings the file; 'git lfs fetch --all' those of all commits"));
        };
        let damaged = |what: String| FileError::bad(file, Place::File, what).with_hint("delete the object and fetch it again: git lfs fsck, git lfs pull");
        let length = std::fs::metadata(&path).map_err(|e| FileError::io(path.display(), e))?.len();
        if length != self.size {
            return Err(damaged(format!("its Git LFS object {} has {length} bytes, and the pointer says {}", path.display(), self.size)));
        }
        if hash::<Sha256>(&path, |_| None)?.0 != self.oid {
            return Err(damaged(format!("its Git LFS object {} is damaged: its bytes have another hash", path.display())));
        }
        Ok(path)
    }
}

/// Where the objects of a Git repository are: in the folder that all its worktrees share, or where its setting `lfs.storage` says.
pub(in crate::repo) fn storage_of(repository: &gix::Repository) -> PathBuf {
    let common = repository.common_dir();
    match repository.config_snapshot().string("lfs.storage") {
        // Relative to Git's own folder, as Git LFS has it.
        Some(said) => common.join(PathBuf::from(said.to_string())),
        None => common.join("lfs"),
    }
}

/// The stores that a pointer's object may be in: that of the repository around the file, and of the one around the working folder, where Git runs what it
/// gives temporary files to.
pub(super) fn storages(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found: Vec<PathBuf> = Vec::new();
    for near in [folder, Path::new(".")] {
        found.extend(storage_near(near).filter(|storage| !found.contains(storage)));
    }
    found
}

/// The store of the repository around a folder. It is looked for once: a folder of pictures holds thousands of pointers.
fn storage_near(folder: &Path) -> Option<PathBuf> {
    static KNOWN: Mutex<Option<HashMap<PathBuf, Option<PathBuf>>>> = Mutex::new(None);
    let folder = std::fs::canonicalize(folder).ok()?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    known.entry(folder).or_insert_with_key(|folder| gix::discover(folder).ok().map(|repository| storage_of(&repository))).clone()
}

//! Files that stand for others: Git LFS pointers, and the `.dvc` files of DVC. What they name is found in the caches of those tools, tested against its hash, and read in
//! their place. Nothing is fetched.

pub(in crate::repo) mod dvc;
pub(in crate::repo) mod lfs;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use md5::Digest;

use super::error::FileError;
use super::{Input, Kept};

/// What stands in an input's place; `None` where it stands for itself.
pub(super) fn resolve(input: &Input) -> Result<Option<Kept>, FileError> {
    let Input::Path(path) = input else { return Ok(None) };
    if path.extension().is_some_and(|ending| ending == "dvc") && path.is_file() {
        return dvc::resolve(path).map(Some);
    }
    if let Some(beside) = dvc_beside(path) {
        return dvc::resolve(&beside).map(Some);
    }
    let Some(pointer) = lfs_pointer(path)? else { return Ok(None) };
    let shown = path.display().to_string();
    let found = pointer.find(&shown, &lfs::storages(path))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Some(Kept { folder, files: vec![(shown, found)], is_folder: false }))
}

/// The `.dvc` file that stands for a file or folder which is not here.
pub fn dvc_beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let beside = path.with_file_name(format!("{name}.dvc"));
    (!path.exists() && beside.is_file()).then_some(beside)
}

/// The file to read in the place of a media file; says why where it is a pointer to nothing.
pub(super) fn through(path: PathBuf) -> Result<PathBuf, String> {
    let told = |e: FileError| match e {
        FileError::Bad { what, .. } => what,
        other => other.to_string(),
    };
    match lfs_pointer(&path).map_err(told)? {
        Some(pointer) => pointer.find("", &lfs::storages(&path)).map_err(told),
        None => Ok(path),
    }
}

/// Reads a file that is small enough to be a pointer.
fn lfs_pointer(path: &Path) -> Result<Option<lfs::Pointer>, FileError> {
    // A file that cannot be looked at is told where it is read.
    let small = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() < lfs::POINTER_MAX);
    if !small {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(lfs::POINTER_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        return Ok(None);
    }
    lfs::Pointer::parse(&path.display().to_string(), &bytes)
}

/// The hash of a file's bytes in hexadecimal, and how many there are. `each` may make other bytes of a part.
fn hash<D: Digest>(path: &Path, each: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<(String, u64), FileError> {
    let failed = |e| FileError::io(path.display(), e);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut length) = (D::new(), 0);
    // In the parts in which DVC 2 took text apart.
    let mut part = Vec::new();
    while file.by_ref().take(1 << 20).read_to_end(&mut part).map_err(failed)? > 0 {
        length += part.len() as u64;
        match each(&part) {
            Some(other) => hasher.update(other),
            None => hasher.update(&part),
        }
        part.clear();
    }
    Ok((hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), length))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

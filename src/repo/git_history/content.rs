//! What a version of a file holds: its bytes, or those that a pointer of Git LFS or DVC stands for.

use std::path::PathBuf;
use std::rc::Rc;

use super::super::RepoError;
use super::super::files::pointer::{dvc, lfs};
use super::super::files::{FileError, Input, Kept};
use super::source::Source;
use super::walk::Version;

/// Brings versions of a file where they can be read as any file: one at a time, each in the place of the last.
pub(super) struct Contents {
    source: Rc<Source>,
    folder: tempfile::TempDir,
    storages: Vec<PathBuf>,
}

impl Contents {
    pub fn new(source: Rc<Source>) -> Result<Contents, RepoError> {
        let folder = tempfile::Builder::new().prefix("dsv-git-").tempdir().map_err(RepoError::io(std::env::temp_dir()))?;
        let storages = vec![lfs::storage_of(&source.repository)];
        Ok(Contents { source, folder, storages })
    }

    /// The version's files, called by the path that they have in Git; `None` where it was deleted. An error of [`FileError::Bad`] is the version's own.
    pub fn of(&self, version: &Version) -> Result<Option<Vec<Input>>, RepoError> {
        let Some(entry) = version.entry else { return Ok(None) };
        let bad = |what: &str| RepoError::from(FileError::bad_file(&version.path, what));
        if !entry.mode.is_blob() {
            let kinds = [(entry.mode.is_tree(), "is a folder there"), (entry.mode.is_link(), "is a symbolic link there")];
            return Err(bad(kinds.iter().find(|kind| kind.0).map_or("is a submodule there", |kind| kind.1)));
        }
        let Some(bytes) = self.source.blob(entry.id)? else { return Err(bad("its content is not in this clone, which has only a part of the objects")) };
        let kept = |name: &str, at: PathBuf| Kept { folder: self.folder.path().to_owned(), files: vec![(name.to_owned(), at)], is_folder: false };
        if entry.is_dvc {
            return Ok(Some(vec![Input::Kept(self.of_dvc(version, &bytes)?)]));
        }
        if let Some(pointer) = lfs::Pointer::parse(&version.path, &bytes)? {
            return Ok(Some(vec![Input::Kept(kept(&version.path, pointer.find(&version.path, &self.storages)?))]));
        }
        if let Some(line) = conflict(&bytes) {
            return Err(FileError::bad_line(&version.path, line, "there is a conflict marker of a merge in Git").into());
        }
        let at = self.folder.path().join("version");
        std::fs::write(&at, bytes).map_err(RepoError::io(&at))?;
        Ok(Some(vec![Input::Kept(kept(&version.path, at))]))
    }

    /// What a `.dvc` file stands for, from the cache of the worktree's project.
    fn of_dvc(&self, version: &Version, bytes: &[u8]) -> Result<Kept, RepoError> {
        let shown = if version.path.ends_with(".dvc") { version.path.clone() } else { format!("{}.dvc", version.path) };
        let (above, name) = shown.rsplit_once('/').unwrap_or(("", &shown));
        let outs = dvc::parse(&shown, &String::from_utf8_lossy(bytes))?;
        let out = match outs.as_slice() {
            [one] => one,
            several => several
                .iter()
                .find(|out| format!("{}.dvc", out.path) == name)
                .ok_or_else(|| FileError::bad_file(&shown, "stands for several files, of which one can be replayed"))?,
        };
        let caches = self.source.tops().into_iter().filter_map(|top| {
            // The folder need not be there today.
            let folder = top.join(above);
            dvc::Cache::around(folder.ancestors().find(|folder| folder.is_dir())?)
        });
        let mut error = FileError::bad_file(&shown, "no folder .dvc around it, so DVC's cache is not known");
        for cache in caches {
            match cache.find(&shown, out, None) {
                Ok(files) => {
                    let is_folder = out.md5.ends_with(".dir");
                    let named = |name: String| if is_folder || above.is_empty() { name } else { format!("{above}/{name}") };
                    let files = files.into_iter().map(|(name, at)| (named(name), at)).collect();
                    return Ok(Kept { folder: self.folder.path().to_owned(), files, is_folder });
                }
                Err(other) => error = other,
            }
        }
        Err(error.into())
    }
}

/// The line, from 1, at which text has the first marker of a merge conflict that nobody settled.
fn conflict(bytes: &[u8]) -> Option<u64> {
    let mut open = None;
    let mut halved = false;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"<<<<<<< ") {
            open = open.or(Some(number));
        } else if line == b"=======" {
            halved |= open.is_some();
        } else if line.starts_with(b">>>>>>> ") && halved {
            return open;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_markers_are_found() {
        assert_eq!(conflict(b"a\n1\n<<<<<<< HEAD\n2\n=======\n3\n>>>>>>> other\n"), Some(3));
        assert_eq!(conflict(b"a\r\n<<<<<<< HEAD\r\n2\r\n||||||| base\r\n=======\r\n3\r\n>>>>>>> other\r\n"), Some(2));
        for fine in [&b""[..], b"a\n=======\n", b"<<<<<<< HEAD\n1\n", b">>>>>>> a\n=======\n<<<<<<< b\n"] {
            assert_eq!(conflict(fine), None, "{}", String::from_utf8_lossy(fine));
        }
    }
}

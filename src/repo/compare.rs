//! Two files compared as two states of one table, in a repository that is made for it and vanishes with it.

use std::path::Path;
use std::sync::Arc;

use super::files::{Input, ReadOptions};
use super::import::table_seed;
use super::{Change, ImportMode, ImportOptions, NameChange, OpenOptions, Repo, RepoError};
use crate::base::{Progress, TableObjectId};
use crate::store::MemoryStore;
use crate::table::Table;

/// Files of more bytes together than this are not held in memory.
const MEMORY_MAX: u64 = 256 << 20;

/// Two files as two states of one table.
pub struct FilePair {
    /// Where the two states are.
    pub repo: Repo,
    /// How they differ as wholes, under the name that was given; `None` where neither file is there, or both are one table.
    pub change: Option<NameChange<TableObjectId>>,
    /// Goes when the repository does.
    _folder: Option<tempfile::TempDir>,
}

impl FilePair {
    /// Reads both files; a side without one is an absent table. Rows are matched by the columns of `key`, and without any by content in order, as a text diff does.
    pub fn open(
        name: &str,
        old: Option<Input>,
        new: Option<Input>,
        key: &[String],
        read: &ReadOptions,
        options: &OpenOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<FilePair, RepoError> {
        let size = |input: &Option<Input>| match input {
            Some(Input::Path(path)) => std::fs::metadata(path).map_or(0, |file| file.len()),
            _ => 0,
        };
        let (mut repo, folder) = repository(size(&old) + size(&new), options)?;
        repo.set_progress(progress);
        let seed = table_seed(name, None);
        let options = ImportOptions { mode: ImportMode::Replace, key: key.to_vec(), read: read.clone(), keep: None };
        let state = |table: Option<Table>, input: Input| -> Result<(Table, TableObjectId), RepoError> {
            let (table, _) = repo.replaced(table, seed, &[input], &options)?;
            let id = table.store(repo.objects())?;
            Ok((table, id))
        };
        let change = match (old, new) {
            (None, None) => None,
            (None, Some(new)) => Some(Change::Added(state(None, new)?.1)),
            (Some(old), None) => Some(Change::Removed(state(None, old)?.1)),
            (Some(old), Some(new)) => {
                let (table, before) = state(None, old)?;
                let (_, after) = state(Some(table), new)?;
                (before != after).then_some(Change::Changed(before, after))
            }
        };
        Ok(FilePair { repo, change: change.map(|change| NameChange { name: name.to_owned(), change }), _folder: folder })
    }
}

fn repository(bytes: u64, options: &OpenOptions) -> Result<(Repo, Option<tempfile::TempDir>), RepoError> {
    if bytes <= MEMORY_MAX {
        let repo = Repo::on_store(None, Arc::new(MemoryStore::new()), options);
        repo.make("main")?;
        return Ok((repo, None));
    }
    let folder = tempfile::Builder::new().prefix("dsv-compare-").tempdir().map_err(RepoError::io(std::env::temp_dir()))?;
    let repo = Repo::init_with(Path::new(folder.path()), "main", options)?;
    Ok((repo, Some(folder)))
}

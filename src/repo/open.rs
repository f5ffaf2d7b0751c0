//! `init`, and finding and opening a repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::remotes::look_beyond;
use super::{Environment, Repo, RepoError};
use crate::base::name::check_ref;
use crate::chunk::{Limits, Objects};
use crate::history::{HistoryError, StoreLedger};
use crate::store::{LocalStore, Store};
use crate::table::expression::Expressions;

/// The folder that holds a repository, within the one that a person works in.
pub const FOLDER: &str = ".dsv";

/// How to open a repository.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Clock and variables.
    pub environment: Environment,
    /// Sizes of chunks, packs and caches.
    pub limits: Limits,
    /// What understands SQL, for checks; without it, what needs SQL is refused.
    pub expressions: Option<Arc<dyn Expressions>>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { environment: Environment::system(), limits: Limits::default(), expressions: None }
    }
}

impl Repo {
    /// Makes a repository in `dir`, which is made too where it is missing, with `branch` checked out, and opens it.
    pub fn init(dir: &Path, branch: &str) -> Result<Repo, RepoError> {
        Repo::init_with(dir, branch, &OpenOptions::default())
    }

    /// [`Repo::init`] with options.
    pub fn init_with(dir: &Path, branch: &str, options: &OpenOptions) -> Result<Repo, RepoError> {
        check_ref("branch", branch)?;
        let folder = dir.join(FOLDER);
        if is_repository(&folder) {
            return Err(RepoError::Exists(dir.to_owned()));
        }
        let new = !folder.exists();
        let made = LocalStore::create(&folder).map_err(HistoryError::from).map_err(RepoError::from).and_then(|store| {
            let repo = Repo::on_store(Some(absolute(&folder)), Arc::new(store), options);
            repo.make(branch)?;
            Ok(repo)
        });
        if made.is_err() && new {
            // Nothing but this attempt has been in it; what cannot be removed does not hide the error.
            let _ = fs::remove_dir_all(&folder);
        }
        made.map_err(|error| match error {
            // Another `init` was faster.
            RepoError::History(HistoryError::Moved { .. }) => RepoError::Exists(dir.to_owned()),
            other => other,
        })
    }

    /// Opens the repository that `dir` is in: that of the nearest folder upwards which has one.
    pub fn open(dir: &Path) -> Result<Repo, RepoError> {
        Repo::open_with(dir, &OpenOptions::default())
    }

    /// [`Repo::open`] with options.
    pub fn open_with(dir: &Path, options: &OpenOptions) -> Result<Repo, RepoError> {
        let start = fs::canonicalize(dir).map_err(RepoError::io(dir))?;
        let folder = start.ancestors().map(|above| above.join(FOLDER)).find(|folder| is_repository(folder));
        let folder = folder.ok_or_else(|| RepoError::NoRepository(dir.to_owned()))?;
        let store = LocalStore::open(&folder).map_err(HistoryError::from)?;
        let repo = Repo::on_store(Some(folder.clone()), Arc::new(store), options);
        look_beyond(&repo.objects, &folder, options)?;
        // Damage and other versions of the format are told at once.
        repo.view()?;
        Ok(repo)
    }

    /// The repository kept in a store; `dir` is the folder of its settings, where there is one.
    pub fn on_store(dir: Option<PathBuf>, store: Arc<dyn Store>, options: &OpenOptions) -> Repo {
        let objects = Arc::new(Objects::new(store, options.limits.clone()));
        Repo::assemble(dir, objects.clone(), Arc::new(StoreLedger::new(objects)), options)
    }

    /// The folder that holds the repository (its `.dsv`); none for one that is kept elsewhere.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }
}

fn is_repository(folder: &Path) -> bool {
    folder.join("head").is_file()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

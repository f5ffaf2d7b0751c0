//! Lazy clones: commits and the tops of trees are here, and all else stays on the remote until it is read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::{Config, OpenOptions, Repo, RepoError};
use super::connect::{Remote, RemoteOptions};
use super::{remote_url, remotes_in};
use crate::chunk::{Beyond, ChunkError, Objects};
use crate::store::{RemoteFault, StoreError};

/// The remote that has what a lazy clone lacks: opened when something is missing for the first time.
#[derive(Debug)]
struct LazyRemote {
    dir: PathBuf,
    name: String,
    open: OpenOptions,
    opened: Mutex<Option<Arc<Objects>>>,
}

impl LazyRemote {
    fn connect(&self) -> Result<Arc<Objects>, RepoError> {
        let config = Config::new(Some(&self.dir), &self.open.environment);
        let remote = open_named(&config, &self.name, &RemoteOptions::default(), &self.open)?;
        // Refused where nothing is there any more.
        remote.existing()?;
        Ok(remote.repo.objects.clone())
    }
}

impl Beyond for LazyRemote {
    fn objects(&self) -> Result<Arc<Objects>, ChunkError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(objects) = &*opened {
            return Ok(objects.clone());
        }
        let objects = self.connect().map_err(|error| {
            let told = error.store_error().cloned();
            told.unwrap_or_else(|| StoreError::Remote { path: format!("remote '{}'", self.name), fault: RemoteFault::Other, why: error.to_string() })
        })?;
        *opened = Some(objects.clone());
        Ok(objects)
    }

    fn opened(&self) -> Option<Arc<Objects>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The remote that the settings of a repository name as the one that has what it lacks.
pub(super) fn lazy_remote(config: &Config) -> Result<Option<String>, RepoError> {
    for remote in remotes_in(config)? {
        if config.get(&format!("remote.{}.lazy", remote.name))?.as_deref() == Some("true") {
            return Ok(Some(remote.name));
        }
    }
    Ok(None)
}

/// Opens a remote by its name, as the settings describe it.
pub(super) fn open_named(config: &Config, name: &str, options: &RemoteOptions, open: &OpenOptions) -> Result<Remote, RepoError> {
    let url = remote_url(config, name)?;
    let setting = |key: &str| config.get(&format!("remote.{name}.{key}"));
    let options = RemoteOptions {
        endpoint: options.endpoint.clone().or(setting("endpoint")?),
        region: options.region.clone().or(setting("region")?),
        lock: options.lock || setting("lock")?.as_deref() == Some("true"),
        ..options.clone()
    };
    Remote::open(&url, &options, open)
}

/// Lets the objects of the repository in `dir` (its `.dsv`) be found on its remote where it is a lazy clone.
pub(in crate::repo) fn look_beyond(objects: &Objects, dir: &Path, open: &OpenOptions) -> Result<(), RepoError> {
    if !dir.join("config.toml").is_file() {
        return Ok(());
    }
    if let Some(name) = lazy_remote(&Config::new(Some(dir), &open.environment))? {
        // Its data are read there, not its checks.
        let open = OpenOptions { expressions: None, ..open.clone() };
        objects.set_beyond(Arc::new(LazyRemote { dir: dir.to_owned(), name, open, opened: Mutex::default() }));
    }
    Ok(())
}

impl Repo {
    /// The remote that has what this repository lacks, if it is a lazy clone.
    pub fn lazy_remote(&self) -> Result<Option<String>, RepoError> {
        lazy_remote(&self.config())
    }
}

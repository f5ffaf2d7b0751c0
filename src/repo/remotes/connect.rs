//! Opening what is at an address.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::open::FOLDER;
use super::super::{Config, OpenOptions, Repo, RepoError};
use crate::base::CommitId;
use crate::chunk::Objects;
use crate::history::{HistoryError, StoreLedger, View};
#[cfg(feature = "remote")]
use crate::store::remote::{Connect, Location, RemoteStore, check_endpoint};
use crate::store::{CachedStore, LocalStore, Store};

use super::cache::page_cache;
use super::lazy::lazy_remote;
use super::remote_url;

/// How remotes are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteOptions {
    /// The address of a store that speaks S3's, Azure's or Google's protocol elsewhere than they do.
    pub endpoint: Option<String>,
    /// The region of a bucket.
    pub region: Option<String>,
    /// Requests at the same time, at most.
    pub concurrency: Option<usize>,
    /// Bytes a second, at most.
    pub bytes_per_second: Option<u64>,
    /// How often a failed request is tried again.
    pub retries: Option<usize>,
    /// Milliseconds after which a request has failed.
    pub timeout_ms: Option<u64>,
    /// Whether a store that ignores conditions is used all the same, with a lock object.
    pub lock: bool,
}

/// Another repository, at an address.
#[derive(Debug)]
pub struct Remote {
    /// The address, for people.
    pub url: String,
    pub(super) repo: Repo,
    pub(super) kind: Place,
}

/// Where a remote is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In a folder; it may have to be made.
    Folder(PathBuf),
    /// On the network.
    #[cfg(feature = "remote")]
    Network(Arc<RemoteStore>),
}

/// What is in a repository that is read from the outside.
impl Remote {
    /// Opens the repository at an address. Nothing needs to be there yet.
    pub fn open(url: &str, options: &RemoteOptions, open: &OpenOptions) -> Result<Remote, RepoError> {
        let (shown, store, kind) = reach(url, options, open)?;
        // Only what is far is worth to be kept.
        let store = if store.is_far() { Arc::new(CachedStore::new(store, shown.clone(), page_cache(&open.environment)?)) } else { store };
        let objects = Arc::new(Objects::new(store, open.limits.clone()));
        let ledger = Arc::new(StoreLedger::shared(objects.clone()));
        Ok(Remote { url: shown, repo: Repo { is_remote: true, ..Repo::assemble(None, objects, ledger, open) }, kind })
    }

    /// A remote on a store that a test has made.
    #[cfg(all(test, feature = "remote"))]
    pub fn on(store: RemoteStore, open: &OpenOptions) -> Remote {
        let store = Arc::new(store);
        let cached = Arc::new(CachedStore::new(store.clone(), store.address().to_owned(), None));
        let objects = Arc::new(Objects::new(cached, open.limits.clone()));
        let ledger = Arc::new(StoreLedger::shared(objects.clone()));
        Remote { url: store.address().to_owned(), repo: Repo { is_remote: true, ..Repo::assemble(None, objects, ledger, open) }, kind: Place::Network(store) }
    }

    /// The newest state; none where there is no repository yet.
    pub fn view(&self) -> Result<Option<View>, RepoError> {
        Ok(View::newest(&self.repo.objects, &*self.repo.ledger)?)
    }

    /// The newest state, where there must be one that has all of its data.
    pub fn existing(&self) -> Result<View, RepoError> {
        #[cfg_attr(not(feature = "remote"), allow(irrefutable_let_patterns))] // A folder is all there is without it.
        if let Place::Folder(dir) = &self.kind {
            let config = Config::new(Some(dir), &self.repo.environment);
            if let Some(name) = lazy_remote(&config)? {
                let url = remote_url(&config, &name)?;
                return Err(RepoError::refused_with(
                    format!("{}: it is a lazy clone, which has not all of its data", self.url),
                    format!("take them from where it does: {url}"),
                ));
            }
        }
        self.view()?.ok_or_else(|| {
            RepoError::refused_with(format!("{}: there is no dsv repository", self.url), "'dsv push' makes one there; check the address otherwise")
        })
    }

    /// The repository, to be read.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The repository, to be worked on where it is.
    pub fn into_repo(self) -> Repo {
        self.repo
    }

    /// The repository, to be read: what `view` shows, and what is new after some seconds.
    pub fn into_reader(self, view: &View) -> Repo {
        Repo { ledger: Arc::new(StoreLedger::reading(self.repo.objects.clone(), &view.mark)), ..self.repo }
    }

    /// The branch that a clone checks out, and its commit.
    pub fn default_branch(&self, view: &View) -> Result<Option<(String, CommitId)>, RepoError> {
        let branches = view.state.branches()?;
        let named = match view.state.checked_out() {
            Ok(crate::format::operation::HeadRef::Branch(name)) => branches.get(&name).map(|commit| (name, *commit)),
            Ok(_) | Err(HistoryError::NoValue(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let main = || branches.get("main").map(|commit| ("main".to_owned(), *commit));
        Ok(named.or_else(main).or_else(|| branches.into_iter().next()))
    }
}

/// Refuses an address that cannot be one.
pub fn check_address(url: &str) -> Result<(), RepoError> {
    #[cfg(feature = "remote")]
    Location::parse(url).map_err(HistoryError::from)?;
    if url.is_empty() { Err(RepoError::refused("an empty address")) } else { Ok(()) }
}

type Reached = (String, Arc<dyn Store>, Place);

#[cfg(feature = "remote")]
fn reach(url: &str, options: &RemoteOptions, open: &OpenOptions) -> Result<Reached, RepoError> {
    let location = Location::parse(url).map_err(HistoryError::from)?;
    if let Location::Folder(path) = location {
        return folder(&path);
    }
    if let Some(endpoint) = &options.endpoint {
        check_endpoint(endpoint).map_err(HistoryError::from)?;
    }
    let environment = open.environment.clone();
    let mut connect = Connect::new(move |name| environment.variable(name));
    connect.endpoint = options.endpoint.clone();
    connect.region = options.region.clone();
    connect.bytes_per_second = options.bytes_per_second;
    connect.lock = options.lock;
    connect.concurrency = options.concurrency.unwrap_or(connect.concurrency);
    connect.retries = options.retries.unwrap_or(connect.retries);
    connect.timeout_ms = options.timeout_ms.unwrap_or(connect.timeout_ms);
    let store = Arc::new(RemoteStore::new(&location, &connect).map_err(HistoryError::from)?);
    Ok((location.to_string(), store.clone(), Place::Network(store)))
}

#[cfg(not(feature = "remote"))]
fn reach(url: &str, _: &RemoteOptions, _: &OpenOptions) -> Result<Reached, RepoError> {
    match url.split_once("://") {
        None => folder(Path::new(url)),
        Some((scheme, _)) => Err(RepoError::refused(format!("this build of dsv does not speak {scheme}://"))),
    }
}

/// A folder: one that a person works in, or one that is a repository and nothing else.
fn folder(path: &Path) -> Result<Reached, RepoError> {
    let path = std::path::absolute(path).map_err(RepoError::io(path))?;
    let within = path.join(FOLDER);
    let place = if within.join("head").is_file() { within } else { path.clone() };
    let store: Arc<dyn Store> = if place.join("head").is_file() {
        Arc::new(LocalStore::open(&place).map_err(HistoryError::from)?)
    } else {
        Arc::new(Absent(place.display().to_string()))
    };
    Ok((path.display().to_string(), store, Place::Folder(place)))
}

impl Remote {
    /// Makes room for a repository where there is none: a folder, and in a bucket nothing. Refuses a folder that holds something else, and a store that ignores conditions.
    pub(super) fn prepare(self, options: &RemoteOptions, open: &OpenOptions) -> Result<Remote, RepoError> {
        #[cfg(not(feature = "remote"))]
        let _ = options;
        match &self.kind {
            Place::Folder(path) => {
                // What a first push that was cut has left is no obstacle.
                let own = |entry: std::io::Result<std::fs::DirEntry>| {
                    entry.is_ok_and(|entry| ["packs", "catalogs", "tmp", "lock"].iter().any(|name| entry.file_name() == *name))
                };
                let is_empty = std::fs::read_dir(path).map_or(true, |mut entries| entries.all(own));
                if !is_empty {
                    return Err(RepoError::refused_with(
                        format!("{}: the folder holds something else", path.display()),
                        "a remote needs a folder of its own, or one that is a repository",
                    ));
                }
                LocalStore::create(path).map_err(HistoryError::from)?;
                let store: Arc<dyn Store> = Arc::new(LocalStore::open(path).map_err(HistoryError::from)?);
                let objects = Arc::new(Objects::new(store, open.limits.clone()));
                let ledger = Arc::new(StoreLedger::shared(objects.clone()));
                Ok(Remote { repo: Repo { is_remote: true, ..Repo::assemble(None, objects, ledger, open) }, ..self })
            }
            #[cfg(feature = "remote")]
            Place::Network(store) => {
                if let Some(name) = store.foreign().map_err(HistoryError::from)? {
                    return Err(RepoError::refused_with(
                        format!("{}: it holds something else: '{}'", self.url, name.escape_debug()),
                        "a remote needs a prefix of its own, such as s3://bucket/name",
                    ));
                }
                self.check_conditions(options)?;
                Ok(self)
            }
        }
    }

    /// Fails where the store ignores the conditions of requests, unless a lock object is to stand in for them.
    #[cfg(feature = "remote")]
    pub(super) fn check_conditions(&self, options: &RemoteOptions) -> Result<(), RepoError> {
        match &self.kind {
            Place::Network(store) if !options.lock => {
                let nonce: String = crate::chunk::nonce().iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(store.check_conditions(&nonce).map_err(HistoryError::from)?)
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(feature = "remote"))]
    pub(super) fn check_conditions(&self, _: &RemoteOptions) -> Result<(), RepoError> {
        Ok(())
    }

    /// True for one that is reached over the network.
    pub(super) fn is_network(&self) -> bool {
        !matches!(self.kind, Place::Folder(_))
    }
}

/// A folder that is not there, or holds no repository: nothing is in it.
#[derive(Debug)]
struct Absent(String);

impl Store for Absent {
    fn read_head(&self) -> Result<Option<Vec<u8>>, crate::store::StoreError> {
        Ok(None)
    }

    fn swap_head(&self, _: Option<&[u8]>, _: &[u8]) -> Result<bool, crate::store::StoreError> {
        Err(self.none())
    }

    fn read(&self, _: &str, _: std::ops::Range<u64>) -> Result<bytes::Bytes, crate::store::StoreError> {
        Err(self.none())
    }

    fn length(&self, _: &str) -> Result<u64, crate::store::StoreError> {
        Err(self.none())
    }

    fn create(&self) -> Result<Box<dyn crate::store::NewFile>, crate::store::StoreError> {
        Err(self.none())
    }

    fn delete(&self, _: &str) -> Result<(), crate::store::StoreError> {
        Ok(())
    }

    fn list(&self, _: &str) -> Result<Vec<crate::store::Listed>, crate::store::StoreError> {
        Ok(Vec::new())
    }

    fn clear_unfinished(&self, _: u64) -> Result<u64, crate::store::StoreError> {
        Ok(0)
    }
}

impl Absent {
    fn none(&self) -> crate::store::StoreError {
        crate::store::StoreError::NotFound { path: self.0.clone() }
    }
}

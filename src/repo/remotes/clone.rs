//! `clone`: another repository's history, here.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::open::FOLDER;
use super::super::{OpenOptions, Repo, RepoError};
use super::connect::{Remote, RemoteOptions};
use super::fetch::{FetchOptions, Fetched};
use super::{ORIGIN, tracking_key};
use crate::base::Progress;
use crate::format::operation::HeadRef;
use crate::history::Transaction;
use crate::history::state::{HEAD, branch_key};

/// In the folder of a repository that a clone has begun and not ended: the address.
const UNFINISHED: &str = "cloning";

/// How to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloneOptions {
    /// The branch that is checked out; the remote's own choice without.
    pub branch: Option<String>,
    /// Bring commits and the tops of trees alone; all else when it is read.
    pub lazy: bool,
    /// Into a folder that holds other things too, such as code, as long as it holds no repository.
    pub beside: bool,
    /// How the remote is asked.
    pub remote: RemoteOptions,
}

/// What was cloned.
#[derive(Debug)]
pub struct Cloned {
    /// The repository.
    pub repo: Repo,
    /// The branch that is checked out.
    pub branch: String,
    /// What was fetched.
    pub fetched: Fetched,
}

impl Repo {
    /// Clones what is at an address into a folder, which is made. One that an earlier try left unfinished is gone on with.
    pub fn clone_from(url: &str, dir: &Path, options: &CloneOptions, open: &OpenOptions, progress: std::sync::Arc<dyn Progress>) -> Result<Cloned, RepoError> {
        let remote = Remote::open(url, &options.remote, open)?;
        let theirs = remote.existing()?;
        let chosen = match &options.branch {
            Some(branch) => match theirs.state.branch(branch)? {
                Some(commit) => Some((branch.clone(), commit)),
                None => {
                    let branches = theirs.state.branches()?;
                    let nearest = crate::base::name::nearest(branch, branches.keys().map(String::as_str)).into_iter().map(str::to_owned).collect();
                    return Err(RepoError::NoBranch { name: branch.clone(), nearest, other: false });
                }
            },
            None => remote.default_branch(&theirs)?,
        };
        let branch = chosen.as_ref().map_or("main", |(name, _)| name).to_owned();
        let mark = dir.join(FOLDER).join(UNFINISHED);
        let mut repo = match fs::read_to_string(&mark) {
            Ok(begun) if begun == url => Repo::open_with(dir, open)?,
            Ok(begun) => {
                return Err(RepoError::refused_with(format!("{}: an unfinished clone of {begun}", dir.display()), "remove the folder, or clone into another"));
            }
            Err(_) => {
                if !options.beside && fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
                    return Err(RepoError::refused_with(format!("{}: the folder is not empty", dir.display()), "name another folder: 'dsv clone URL FOLDER'"));
                }
                let repo = Repo::init_with(dir, &branch, open)?;
                fs::write(&mark, url).map_err(RepoError::io(&mark))?;
                repo
            }
        };
        repo.set_progress(progress);
        if repo.remotes()?.is_empty() {
            repo.add_remote(ORIGIN, &kept(url)?)?;
        }
        for (key, value) in [("endpoint", &options.remote.endpoint), ("region", &options.remote.region)] {
            if let Some(value) = value {
                repo.config().set(super::super::config::Scope::Repository, &format!("remote.{ORIGIN}.{key}"), value)?;
            }
        }
        if options.lazy {
            repo.config().set(super::super::config::Scope::Repository, &format!("remote.{ORIGIN}.lazy"), "true")?;
            let folder = dir.join(FOLDER);
            super::look_beyond(&repo.objects, &folder, open)?;
        }
        let fetched = repo.fetch_from(ORIGIN, &remote, &theirs, &FetchOptions { remote: options.remote.clone(), ..FetchOptions::default() })?;
        if let Some((name, commit)) = &chosen {
            let mut transaction = Transaction::new(Some(repo.view()?));
            transaction.set(HEAD, Some(HeadRef::Branch(name.clone()).encode()))?;
            transaction.set(&branch_key(name), Some(commit.as_bytes().to_vec()))?;
            transaction.rely_on(&tracking_key(ORIGIN, name))?;
            repo.publish(transaction, "clone")?;
            repo.set_upstream(name, ORIGIN, name)?;
        }
        fs::remove_file(&mark).map_err(RepoError::io(&mark))?;
        Ok(Cloned { repo, branch, fetched })
    }

    /// The folder that a clone of an address goes to: its last part.
    pub fn clone_folder(url: &str) -> Option<PathBuf> {
        let path = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
        let path = path.strip_suffix("/.dsv").unwrap_or(path);
        let name = path.rsplit('/').next().filter(|name| !name.is_empty() && *name != "." && *name != "..")?;
        Some(PathBuf::from(name))
    }
}

/// An address as it is kept: a folder's whole path, so that it is found from anywhere.
fn kept(url: &str) -> Result<String, RepoError> {
    if url.contains("://") {
        return Ok(url.to_owned());
    }
    let path = std::path::absolute(url).map_err(RepoError::io(url))?;
    Ok(path.to_string_lossy().into_owned())
}

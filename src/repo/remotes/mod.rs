//! Remotes: other repositories, by a name and an address; `fetch`, `push`, `clone`.

mod cache;
mod clone;
mod connect;
mod fetch;
mod lazy;
mod part;
mod push;

use super::config::{Config, Scope};
use super::{Repo, RepoError};
use crate::base::CommitId;
use crate::base::name::{check_ref, nearest};
use crate::history::Transaction;

pub use cache::page_cache;
pub use clone::{CloneOptions, Cloned};
pub use connect::{Remote, RemoteOptions};
pub use fetch::{FetchOptions, Fetched};
pub(super) use lazy::look_beyond;
pub use part::{FetchedPart, Part};
pub use push::{Force, PushRequest, Pushed};

/// The remote that is meant where none is named.
pub const ORIGIN: &str = "origin";

/// A remote, as the settings have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteInfo {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
}

/// What became of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Its name, without the remote's.
    pub name: String,
    /// True for a tag.
    pub is_tag: bool,
    /// What it named before.
    pub old: Option<CommitId>,
    /// What it names now.
    pub new: Option<CommitId>,
    /// How it came about.
    pub kind: RefChange,
}

/// How a ref changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefChange {
    /// It was there already.
    Same,
    /// It is new.
    New,
    /// It went on to a commit that contains the one before.
    Forward,
    /// It went elsewhere: commits that it had are no longer in it.
    Forced,
    /// It is gone.
    Deleted,
    /// It was left as it is, and why.
    Refused(String),
}

impl Repo {
    /// The remotes, by name.
    pub fn remotes(&self) -> Result<Vec<RemoteInfo>, RepoError> {
        remotes_in(&self.config())
    }

    /// The address of a remote.
    pub fn remote_url(&self, name: &str) -> Result<String, RepoError> {
        remote_url(&self.config(), name)
    }

    /// Names a remote. The address is read, not asked.
    pub fn add_remote(&self, name: &str, url: &str) -> Result<(), RepoError> {
        check_ref("remote", name)?;
        if self.remotes()?.iter().any(|remote| remote.name == name) {
            return Err(RepoError::Taken { what: "remote", name: name.to_owned() });
        }
        self.set_url(name, url)
    }

    /// Gives a remote another address.
    pub fn set_remote_url(&self, name: &str, url: &str) -> Result<(), RepoError> {
        self.remote_url(name)?;
        self.set_url(name, url)
    }

    fn set_url(&self, name: &str, url: &str) -> Result<(), RepoError> {
        connect::check_address(url)?;
        // What was found out about another place says nothing of this one.
        for key in ["conditions", "unfinished"] {
            self.config().unset(Scope::Repository, &format!("remote.{name}.{key}"))?;
        }
        self.config().set(Scope::Repository, &format!("remote.{name}.url"), url)
    }

    /// Forgets a remote, with the refs that were fetched from it; what they name stays until `gc`.
    pub fn remove_remote(&self, name: &str) -> Result<(), RepoError> {
        if self.lazy_remote()?.as_deref() == Some(name) {
            return Err(RepoError::refused_with(
                format!("remote '{name}' has the data of this lazy clone"),
                "'dsv remote set-url' names another place of the same repository",
            ));
        }
        self.remote_url(name)?;
        self.move_tracking(name, None)?;
        self.move_followers(name, None)?;
        self.forget_settings(name)
    }

    /// Gives a remote another name.
    pub fn rename_remote(&self, name: &str, to: &str) -> Result<(), RepoError> {
        self.remote_url(name)?;
        check_ref("remote", to)?;
        if self.remotes()?.iter().any(|remote| remote.name == to) {
            return Err(RepoError::Taken { what: "remote", name: to.to_owned() });
        }
        let settings = self.settings_of(name)?;
        for (key, value) in &settings {
            self.config().set(Scope::Repository, &format!("remote.{to}.{key}"), value)?;
        }
        self.move_tracking(name, Some(to))?;
        self.move_followers(name, Some(to))?;
        self.forget_settings(name)
    }

    /// Lets the branches that follow a remote follow it under another name, or nothing.
    fn move_followers(&self, name: &str, to: Option<&str>) -> Result<(), RepoError> {
        for branch in self.view()?.state.branches()?.into_keys() {
            let Some((_, there)) = self.upstream(&branch)?.filter(|(remote, _)| remote == name) else { continue };
            match to {
                Some(to) => self.set_upstream(&branch, to, &there)?,
                None => {
                    for key in ["remote", "merge"] {
                        self.config().unset_at(Scope::Repository, &["branch", &branch, key])?;
                    }
                }
            }
        }
        Ok(())
    }

    fn settings_of(&self, name: &str) -> Result<Vec<(String, String)>, RepoError> {
        let prefix = format!("remote.{name}.");
        let settings = self.config().list()?.into_iter().filter(|setting| setting.scope == Scope::Repository);
        Ok(settings.filter_map(|setting| Some((setting.key.strip_prefix(&prefix)?.to_owned(), setting.value))).collect())
    }

    fn forget_settings(&self, name: &str) -> Result<(), RepoError> {
        for (key, _) in self.settings_of(name)? {
            self.config().unset(Scope::Repository, &format!("remote.{name}.{key}"))?;
        }
        Ok(())
    }

    fn move_tracking(&self, name: &str, to: Option<&str>) -> Result<(), RepoError> {
        let view = self.view()?;
        let mut transaction = Transaction::new(Some(view.clone()));
        for (tracked, commit) in view.state.remotes()? {
            let Some(branch) = tracked.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')) else { continue };
            transaction.set(&tracking_key(name, branch), None)?;
            if let Some(to) = to {
                transaction.set(&tracking_key(to, branch), Some(commit.as_bytes().to_vec()))?;
            }
        }
        self.publish(transaction, format!("remote {} {name}", if to.is_some() { "rename" } else { "remove" }))?;
        Ok(())
    }

    /// The remote that is meant where none is named: the only one, or `origin`.
    pub fn default_remote(&self) -> Result<String, RepoError> {
        let remotes = self.remotes()?;
        match remotes.as_slice() {
            [] => Err(RepoError::refused_with("there is no remote", "name one: 'dsv remote add origin URL'")),
            [only] => Ok(only.name.clone()),
            many if many.iter().any(|remote| remote.name == ORIGIN) => Ok(ORIGIN.to_owned()),
            many => {
                let names: Vec<&str> = many.iter().map(|remote| remote.name.as_str()).collect();
                Err(RepoError::refused_with("there are several remotes", format!("name one of them: {}", names.join(", "))))
            }
        }
    }
}

impl Repo {
    /// Notes which branch of which remote a branch follows.
    pub fn set_upstream(&self, branch: &str, remote: &str, theirs: &str) -> Result<(), RepoError> {
        self.config().set_at(Scope::Repository, &["branch", branch, "remote"], remote)?;
        self.config().set_at(Scope::Repository, &["branch", branch, "merge"], theirs)
    }

    /// The remote, and the branch there, that a branch follows.
    pub fn upstream(&self, branch: &str) -> Result<Option<(String, String)>, RepoError> {
        let remote = self.config().get_at(&["branch", branch, "remote"])?;
        Ok(remote.zip(self.config().get_at(&["branch", branch, "merge"])?))
    }
}

/// The remotes that settings name.
fn remotes_in(config: &Config) -> Result<Vec<RemoteInfo>, RepoError> {
    let named = |setting: super::Setting| {
        let name = setting.key.strip_prefix("remote.")?.strip_suffix(".url")?;
        Some(RemoteInfo { name: name.to_owned(), url: setting.value })
    };
    Ok(config.list()?.into_iter().filter_map(named).collect())
}

fn remote_url(config: &Config, name: &str) -> Result<String, RepoError> {
    let remotes = remotes_in(config)?;
    match remotes.iter().find(|remote| remote.name == name) {
        Some(remote) => Ok(remote.url.clone()),
        None => {
            let nearest = nearest(name, remotes.iter().map(|remote| remote.name.as_str())).into_iter().map(str::to_owned).collect();
            Err(RepoError::NoRemote { name: name.to_owned(), nearest })
        }
    }
}

/// The key of a remote-tracking ref.
fn tracking_key(remote: &str, branch: &str) -> String {
    format!("remotes/{remote}/{branch}")
}

//! `fetch`: brings what a remote has and is not here, and notes where its branches are.

use std::collections::HashSet;

use super::super::{Repo, RepoError};
use super::connect::{Remote, RemoteOptions};
use super::lazy::open_named;
use super::{RefChange, RefUpdate, tracking_key};
use crate::base::name::check_ref;
use crate::base::progress::Unit;
use crate::base::{CommitId, PackId};
use crate::chunk::{Cargo, Direction, Objects};
use crate::format::head::Head;
use crate::history::lack::{Depth, Lack, lack};
use crate::history::state::tag_key;
use crate::history::{HistoryError, Transaction, View};

/// What to fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchOptions {
    /// Branches; all of them without any.
    pub branches: Vec<String>,
    /// Forget refs of branches that are gone there.
    pub prune: bool,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// How the remote is asked.
    pub remote: RemoteOptions,
}

/// What was fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The remote's branches and tags, without those that were here already.
    pub refs: Vec<RefUpdate>,
    /// Commits that are new here.
    pub commits: u64,
    /// Objects that came.
    pub objects: u64,
    /// Bytes that came.
    pub bytes: u64,
}

impl Fetched {
    /// True for a ref whose name is one; others are told as refused.
    fn keep(&mut self, name: &str, is_tag: bool, commit: CommitId) -> bool {
        let checked = check_ref(if is_tag { "tag" } else { "branch" }, name);
        if checked.is_err() {
            let kind = RefChange::Refused("that is no name".into());
            self.refs.push(RefUpdate { name: name.escape_debug().to_string(), is_tag, old: None, new: Some(commit), kind });
        }
        checked.is_ok()
    }
}

/// The packs that a repository has given up.
pub(super) fn condemned(view: &View) -> Result<HashSet<PackId>, RepoError> {
    let head = Head::decode(&view.mark.token).map_err(HistoryError::Head)?;
    Ok(head.condemned.into_iter().map(|(id, _)| id).collect())
}

impl Repo {
    /// Fetches from a remote. What was brought by an earlier try that was cut is taken up.
    pub fn fetch(&self, name: &str, options: &FetchOptions) -> Result<Fetched, RepoError> {
        let remote = self.open_remote(name, &options.remote)?;
        let theirs = remote.existing()?;
        self.fetch_from(name, &remote, &theirs, options)
    }

    /// Opens a remote by its name.
    pub fn open_remote(&self, name: &str, options: &RemoteOptions) -> Result<Remote, RepoError> {
        open_named(&self.config(), name, options, &self.open_options())
    }

    pub(in crate::repo) fn fetch_from(&self, name: &str, remote: &Remote, theirs: &View, options: &FetchOptions) -> Result<Fetched, RepoError> {
        let ours = self.view()?;
        let mut branches = theirs.state.branches()?;
        let mut tags = theirs.state.tags()?;
        // Names that could not be made here are not taken over: whoever chose them may mean a terminal, or another ref.
        let mut done = Fetched::default();
        branches.retain(|name, commit| done.keep(name, false, *commit));
        tags.retain(|name, tag| done.keep(name, true, tag.commit));
        if !options.branches.is_empty() {
            for wanted in &options.branches {
                if !branches.contains_key(wanted) {
                    let nearest = crate::base::name::nearest(wanted, branches.keys().map(String::as_str)).into_iter().map(str::to_owned).collect();
                    return Err(RepoError::NoBranch { name: format!("{name}/{wanted}"), nearest, other: false });
                }
            }
            branches.retain(|branch, _| options.branches.contains(branch));
            tags.clear();
        }
        let known = self.graph.ancestors(self.tips(&ours)?)?;
        let tips = branches.values().copied().chain(tags.values().map(|tag| tag.commit));
        self.progress.start("comparing histories", None, Unit::Objects);
        // A lazy clone brings the rest when it is read.
        let depth = if self.objects.is_partial() { Depth::Tops } else { Depth::Whole };
        let lacking = lack(&remote.repo.objects, &self.objects, tips, &known, depth, &*self.progress);
        self.progress.finish();
        let Lack { commits, mut wanted, .. } = lacking?;
        let mut here = HashSet::new();
        for id in &wanted {
            if self.objects.rely_on(*id)? {
                here.insert(*id);
            }
        }
        wanted.retain(|id| !here.contains(id));
        let cargo = remote.repo.objects.plan_cargo(&wanted, &condemned(&ours)?, &|_| true)?;
        (done.commits, done.objects, done.bytes) = (commits.len() as u64, cargo.objects, cargo.bytes);
        let mut transaction = Transaction::new(Some(ours.clone()));
        for (branch, commit) in &branches {
            let key = tracking_key(name, branch);
            let old = ours.state.remote(&format!("{name}/{branch}"))?;
            transaction.set(&key, Some(commit.as_bytes().to_vec()))?;
            let kind = match old {
                Some(old) if old == *commit => continue,
                None => RefChange::New,
                Some(old) if remote.repo.graph.ancestors([*commit])?.contains(&old) => RefChange::Forward,
                Some(_) => RefChange::Forced,
            };
            done.refs.push(RefUpdate { name: branch.clone(), is_tag: false, old, new: Some(*commit), kind });
        }
        for (tag, value) in &tags {
            let update = |old, kind| RefUpdate { name: tag.clone(), is_tag: true, old, new: Some(value.commit), kind };
            match ours.state.tag(tag)? {
                Some(same) if same.commit == value.commit => {}
                Some(other) => done.refs.push(update(Some(other.commit), RefChange::Refused("a tag of that name is here, and names another commit".into()))),
                None => {
                    transaction.set(&tag_key(tag), Some(value.encode()))?;
                    done.refs.push(update(None, RefChange::New));
                }
            }
        }
        if options.prune && options.branches.is_empty() {
            for (tracked, old) in ours.state.remotes()? {
                let Some(branch) = tracked.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')) else { continue };
                if !branches.contains_key(branch) {
                    transaction.set(&tracking_key(name, branch), None)?;
                    done.refs.push(RefUpdate { name: branch.to_owned(), is_tag: false, old: Some(old), new: None, kind: RefChange::Deleted });
                }
            }
        }
        if options.dry_run {
            return Ok(done);
        }
        self.bring(&remote.repo.objects, &cargo)?;
        self.publish(transaction, format!("fetch {name}"))?;
        Ok(done)
    }

    /// Brings objects of another repository; they are in no head yet.
    pub(super) fn bring(&self, far: &Objects, cargo: &Cargo) -> Result<(), RepoError> {
        self.progress.start("fetching", Some(cargo.bytes), Unit::Bytes);
        let carried = far.carry(cargo, &self.objects, Direction::Fetch, true, &*self.progress);
        self.progress.finish();
        if self.progress.interrupted() || carried.is_err() {
            self.objects.abandon();
        }
        if self.progress.interrupted() { Err(RepoError::Interrupted) } else { Ok(carried?) }
    }

    /// The commits that refs name, all of whose history is here.
    pub(super) fn tips(&self, view: &View) -> Result<Vec<CommitId>, RepoError> {
        let mut tips: Vec<CommitId> = view.state.branches()?.into_values().collect();
        tips.extend(view.state.remotes()?.into_values());
        tips.extend(view.state.tags()?.into_values().map(|tag| tag.commit));
        match view.state.head_commit() {
            Ok(head) => tips.extend(head),
            // A remote that was made by a push may have none.
            Err(HistoryError::NoValue(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(tips)
    }
}

//! `push`: sends what a remote lacks, and moves its branches.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::super::config::Scope;
use super::super::{Repo, RepoError};
use super::connect::{Remote, RemoteOptions};
use super::fetch::condemned;
use super::{RefChange, RefUpdate, tracking_key};
use crate::base::name::check_ref;
use crate::base::progress::Unit;
use crate::base::{CommitId, ObjectId};
use crate::chunk::{Cargo, Direction, Objects};
use crate::format::operation::HeadRef;
use crate::history::lack::{Depth, Lack, lack};
use crate::history::state::{HEAD, branch_key, tag_key};
use crate::history::{HistoryError, Transaction, View};

/// Whether a branch may go to a commit that does not contain the one it is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Force {
    /// Never.
    #[default]
    No,
    /// If it still is where it was fetched last: nobody's work is lost unseen.
    Lease,
    /// Always.
    Yes,
}

/// What to push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushRequest {
    /// Branches here, and what they are called there.
    pub branches: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
    /// Branches there that go.
    pub delete: Vec<String>,
    /// Whether branches may go elsewhere than on.
    pub force: Force,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// How the remote is asked.
    pub remote: RemoteOptions,
}

/// What was pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Each branch and tag that was asked for.
    pub refs: Vec<RefUpdate>,
    /// Commits that are new there.
    pub commits: u64,
    /// Objects that went.
    pub objects: u64,
    /// Bytes that went.
    pub bytes: u64,
    /// True where the repository there was made.
    pub made: bool,
    /// True where this repository has pushed to one there before: somebody has emptied it.
    pub was_emptied: bool,
}

impl Pushed {
    /// True where a ref was refused; the others were pushed.
    pub fn is_refused(&self) -> bool {
        self.refs.iter().any(|update| matches!(update.kind, RefChange::Refused(_)))
    }
}

impl Repo {
    /// Pushes to a remote, which is made where nothing is yet. Refs that are refused are told, and the others go.
    pub fn push(&self, name: &str, request: &PushRequest) -> Result<Pushed, RepoError> {
        self.push_asking(name, request, &|_| Ok(()))
    }

    /// As [`Repo::push`]; before anything is sent, `ask` is shown what will become of each ref, in the order of branches, tags and those to delete. After an error of it nothing is changed.
    pub fn push_asking(&self, name: &str, request: &PushRequest, ask: &dyn Fn(&[RefUpdate]) -> Result<(), RepoError>) -> Result<Pushed, RepoError> {
        let remote = self.open_remote(name, &request.remote)?;
        self.push_to(name, remote, request, ask)
    }

    pub(in crate::repo) fn push_to(
        &self,
        name: &str,
        mut remote: Remote,
        request: &PushRequest,
        ask: &dyn Fn(&[RefUpdate]) -> Result<(), RepoError>,
    ) -> Result<Pushed, RepoError> {
        let ours = self.view()?;
        let theirs = remote.view()?;
        let (known, bad) = self.commits_of(theirs.as_ref())?;
        // That is forgotten where the address changes; the refs are not.
        let was_known = self.config().get(&format!("remote.{name}.conditions"))?.is_some();
        let mut done = Pushed { made: theirs.is_none(), was_emptied: theirs.is_none() && was_known, ..Pushed::default() };
        let (mut changes, mut tips) = (BTreeMap::new(), Vec::new());
        for (branch, to) in &request.branches {
            check_ref("branch", to)?;
            let tip = self.tip(&ours, branch)?;
            let old = theirs.as_ref().map_or(Ok(None), |view| view.state.branch(to))?;
            let tracked = ours.state.remote(&format!("{name}/{to}"))?;
            let kind = match old {
                None if request.force == Force::Lease && tracked.is_some() => RefChange::Refused("it is gone there since it was fetched last".into()),
                None => RefChange::New,
                Some(old) if old == tip => RefChange::Same,
                Some(old) if !bad.contains(&old) && self.graph.ancestors([tip])?.contains(&old) => RefChange::Forward,
                Some(_) if request.force == Force::Yes => RefChange::Forced,
                Some(old) if request.force == Force::Lease && tracked == Some(old) => RefChange::Forced,
                Some(_) if request.force == Force::Lease => RefChange::Refused("it has moved there since it was fetched last: fetch, and look".into()),
                Some(old) if bad.contains(&old) => RefChange::Refused("it has commits there that are not here: fetch first, or 'dsv pull'".into()),
                Some(_) => RefChange::Refused("it has commits there that this branch lacks: 'dsv pull' merges them".into()),
            };
            if !matches!(kind, RefChange::Same | RefChange::Refused(_)) {
                changes.insert(branch_key(to), Some(tip.as_bytes().to_vec()));
                tips.push(tip);
            }
            done.refs.push(RefUpdate { name: to.clone(), is_tag: false, old, new: Some(tip), kind });
        }
        for tag in &request.tags {
            let value = ours.state.tag(tag)?.ok_or_else(|| RepoError::NoTag { name: tag.clone(), nearest: vec![] })?;
            let old = theirs.as_ref().map_or(Ok(None), |view| view.state.tag(tag))?.map(|tag| tag.commit);
            let kind = match old {
                None => RefChange::New,
                Some(old) if old == value.commit => RefChange::Same,
                Some(_) if request.force == Force::Yes => RefChange::Forced,
                Some(_) => RefChange::Refused("a tag of that name is there, and names another commit".into()),
            };
            if matches!(kind, RefChange::New | RefChange::Forced) {
                changes.insert(tag_key(tag), Some(value.encode()));
                tips.push(value.commit);
            }
            done.refs.push(RefUpdate { name: tag.clone(), is_tag: true, old, new: Some(value.commit), kind });
        }
        for branch in &request.delete {
            let old = theirs.as_ref().map_or(Ok(None), |view| view.state.branch(branch))?;
            let kind = if old.is_some() { RefChange::Deleted } else { RefChange::Refused("there is no such branch".into()) };
            if old.is_some() {
                changes.insert(branch_key(branch), None);
            }
            done.refs.push(RefUpdate { name: branch.clone(), is_tag: false, old, new: None, kind });
        }

        self.progress.start("comparing histories", None, Unit::Objects);
        let lacking = lack(&self.objects, &self.objects, tips, &known, Depth::Whole, &*self.progress);
        self.progress.finish();
        let mut lacking = lacking?;
        let (beyond, far) = self.take_beyond(&mut lacking, &remote)?;
        let gone = theirs.as_ref().map_or_else(|| Ok(HashSet::new()), condemned)?;
        let cargo = self.objects.plan_cargo(&lacking.wanted, &gone, &|id: ObjectId| lacking.shared.contains(&id))?;
        let passed_on = match &beyond {
            Some(beyond) => beyond.plan_cargo(&far, &gone, &|_| false)?,
            None => Cargo::default(),
        };
        (done.commits, done.objects, done.bytes) = (lacking.commits.len() as u64, cargo.objects + passed_on.objects, cargo.bytes + passed_on.bytes);
        if request.dry_run || changes.is_empty() {
            if !request.dry_run {
                self.track(name, &done)?;
            }
            return Ok(done);
        }
        ask(&done.refs)?;
        if theirs.is_none() {
            remote = remote.prepare(&request.remote, &self.open_options())?;
        } else if remote.is_network() && self.config().get(&format!("remote.{name}.conditions"))?.is_none() {
            remote.check_conditions(&request.remote)?;
        }
        if remote.is_network() && !request.remote.lock {
            self.config().set(Scope::Repository, &format!("remote.{name}.conditions"), "kept")?;
        }
        // Noted before the first byte goes: where this try is cut, the next one looks for what it brought.
        let unfinished = format!("remote.{name}.unfinished");
        let again = self.config().get(&unfinished)?.is_some();
        if cargo.packs() > 0 {
            self.config().set(Scope::Repository, &unfinished, "push")?;
        }
        self.progress.start("pushing", Some(done.bytes), Unit::Bytes);
        let mut carried = self.objects.carry(&cargo, &remote.repo.objects, Direction::Push, again, &*self.progress);
        if let (Ok(()), Some(beyond)) = (&carried, &beyond) {
            carried = beyond.carry(&passed_on, &remote.repo.objects, Direction::Push, again, &*self.progress);
        }
        self.progress.finish();
        if self.progress.interrupted() || carried.is_err() {
            remote.repo.objects.abandon();
        }
        if self.progress.interrupted() {
            return Err(RepoError::Interrupted);
        }
        carried?;
        let mut transaction = Transaction::new(theirs.clone());
        if theirs.is_none() {
            // What a clone checks out. A remote has no other HEAD.
            let current = ours.state.head()?;
            let is_current = |(from, _): &&(String, String)| current == HeadRef::Branch(from.clone());
            if let Some((_, to)) = request.branches.iter().find(is_current).or(request.branches.first()) {
                transaction.set(HEAD, Some(HeadRef::Branch(to.clone()).encode()))?;
            }
        }
        for (key, value) in &changes {
            transaction.set(key, value.clone())?;
        }
        match remote.repo.publish_as(self, transaction, "push") {
            Ok(_) => {}
            Err(RepoError::History(HistoryError::Moved { key })) => {
                // All go, or none.
                let why = format!("{} has moved there meanwhile: fetch first, or 'dsv pull'", crate::history::name_of(&key));
                let changed = done.refs.iter_mut().filter(|update| !matches!(update.kind, RefChange::Same | RefChange::Refused(_)));
                changed.for_each(|update| update.kind = RefChange::Refused(why.clone()));
                return Ok(done);
            }
            Err(error) => return Err(error),
        }
        self.config().unset(Scope::Repository, &unfinished)?;
        self.track(name, &done)?;
        Ok(done)
    }

    /// What a lazy clone is to push and has not itself: as far as the remote does not have it either, it is passed on from where it is, which comes back with it.
    fn take_beyond(&self, lacking: &mut Lack, remote: &Remote) -> Result<(Option<Arc<Objects>>, HashSet<ObjectId>), RepoError> {
        let mut far = HashSet::new();
        if !self.objects.is_partial() {
            return Ok((None, far));
        }
        for id in &lacking.wanted {
            if !self.objects.contains(*id)? {
                far.insert(*id);
            }
        }
        lacking.wanted.retain(|id| !far.contains(id));
        let mut lacks = HashSet::new();
        for id in far {
            // What is there must stay there.
            if !remote.repo.objects.rely_on(id)? {
                lacks.insert(id);
            }
        }
        Ok((if lacks.is_empty() { None } else { self.objects.beyond()? }, lacks))
    }

    /// The tip of a branch here.
    fn tip(&self, view: &View, branch: &str) -> Result<CommitId, RepoError> {
        match view.state.branch(branch)? {
            Some(tip) => Ok(tip),
            None if super::super::branch::branch_exists(&view.state, branch)? => {
                Err(RepoError::refused_with(format!("branch '{branch}' has no commit yet"), "commit something first"))
            }
            None => Err(self.no_branch(&view.state, branch)?),
        }
    }

    /// The commits of a remote's refs that are here, with all their ancestors, and the tips that are not.
    fn commits_of(&self, theirs: Option<&View>) -> Result<(HashSet<CommitId>, Vec<CommitId>), RepoError> {
        let Some(view) = theirs else { return Ok(Default::default()) };
        let (mut here, mut missing) = (Vec::new(), Vec::new());
        let tags = view.state.tags()?.into_values().map(|tag| tag.commit);
        for tip in view.state.branches()?.into_values().chain(tags) {
            if self.objects.contains(tip)? { here.push(tip) } else { missing.push(tip) }
        }
        Ok((self.graph.ancestors(here)?, missing))
    }

    /// Notes where the remote's branches are now.
    fn track(&self, name: &str, done: &Pushed) -> Result<(), RepoError> {
        let mut transaction = Transaction::new(Some(self.view()?));
        for update in done.refs.iter().filter(|update| !update.is_tag && !matches!(update.kind, RefChange::Refused(_))) {
            transaction.set(&tracking_key(name, &update.name), update.new.map(|commit| commit.as_bytes().to_vec()))?;
        }
        match self.publish(transaction, format!("push {name}")) {
            // A fetch beside it knows as well where they are.
            Ok(_) | Err(RepoError::History(HistoryError::Moved { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

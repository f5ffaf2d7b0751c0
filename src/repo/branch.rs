//! `branch`: list, create, rename and delete branches.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Repo, RepoError};
use crate::base::CommitId;
use crate::base::name::{check_ref, nearest};
use crate::format::commit::Commit;
use crate::format::operation::HeadRef;
use crate::history::state::{HEAD, branch_key, working_key};
use crate::history::{State, Transaction, short};

/// A branch.
#[derive(Debug, Clone)]
pub struct BranchInfo {
    /// Its name.
    pub name: String,
    /// Its commit; none before the first.
    pub commit: Option<(CommitId, Arc<Commit>)>,
    /// True for the branch that is checked out.
    pub current: bool,
    /// True where it has uncommitted changes.
    pub uncommitted: bool,
}

impl Repo {
    /// All branches by name, those included that have no commit yet but are checked out or have uncommitted changes.
    pub fn branches(&self) -> Result<Vec<BranchInfo>, RepoError> {
        let state = self.view()?.state;
        let (head, tips, workings) = (state.head()?, state.branches()?, state.workings()?);
        let mut names: BTreeSet<String> = tips.keys().cloned().collect();
        names.extend(workings.keys().filter(|name| *name != HEAD).cloned());
        if let HeadRef::Branch(name) = &head {
            names.insert(name.clone());
        }
        let info = |name: String| {
            let commit = tips.get(&name).map(|id| Ok::<_, RepoError>((*id, self.commit_of(*id)?))).transpose()?;
            let current = matches!(&head, HeadRef::Branch(current) if *current == name);
            Ok(BranchInfo { commit, current, uncommitted: workings.contains_key(&name), name })
        };
        names.into_iter().map(info).collect()
    }

    /// The branch that is checked out; none where `HEAD` is detached.
    pub fn current_branch(&self) -> Result<Option<String>, RepoError> {
        Ok(match self.view()?.state.head()? {
            HeadRef::Branch(name) => Some(name),
            HeadRef::Commit(_) => None,
        })
    }

    /// Makes a branch at a revision, by default `HEAD`. `force` moves one that exists, unless it is checked out or has uncommitted changes.
    pub fn create_branch(&self, name: &str, revision: Option<&str>, force: bool) -> Result<CommitId, RepoError> {
        check_ref("branch", name)?;
        let view = self.view()?;
        let commit = self.resolve_in(&view, revision.unwrap_or("HEAD"))?;
        if branch_exists(&view.state, name)? {
            if !force {
                return Err(RepoError::Taken { what: "branch", name: name.to_owned() });
            }
            let target = HeadRef::Branch(name.to_owned());
            if view.state.head()? == target || view.state.checked_out()? == target {
                return Err(RepoError::refused_with(format!("branch '{name}' is checked out"), "'dsv reset' moves the branch that is checked out"));
            }
            if view.state.working(&target)?.is_some() {
                return Err(RepoError::refused_with(
                    format!("branch '{name}' has uncommitted changes"),
                    format!("commit them first, or drop them: 'dsv switch {name}', 'dsv reset --hard'"),
                ));
            }
        }
        let mut transaction = Transaction::new(Some(view));
        transaction.rely_on(HEAD)?;
        transaction.rely_on(&working_key(&HeadRef::Branch(name.to_owned())))?;
        transaction.set(&branch_key(name), Some(commit.as_bytes().to_vec()))?;
        self.publish(transaction, format!("branch {name}"))?;
        Ok(commit)
    }

    /// Gives a branch, by default the one that is checked out, another name; its uncommitted changes go with it. `force` lets it replace
    /// another branch. Returns the old name.
    pub fn rename_branch(&self, old: Option<&str>, new: &str, force: bool) -> Result<String, RepoError> {
        check_ref("branch", new)?;
        let view = self.view()?;
        let (head, checked_out) = (view.state.head()?, view.state.checked_out()?);
        let old = match (old, &head) {
            (Some(old), _) => old.to_owned(),
            (None, HeadRef::Branch(name)) => name.clone(),
            (None, HeadRef::Commit(_)) => return Err(RepoError::refused("no branch is checked out: name the one to rename")),
        };
        if !branch_exists(&view.state, &old)? {
            return Err(self.no_branch(&view.state, &old)?);
        }
        if old == new {
            return Ok(old);
        }
        if !force && branch_exists(&view.state, new)? {
            return Err(RepoError::Taken { what: "branch", name: new.to_owned() });
        }
        let (from, to) = (HeadRef::Branch(old.clone()), HeadRef::Branch(new.to_owned()));
        if head == to || checked_out == to {
            return Err(RepoError::refused(format!("branch '{new}' is checked out: it cannot be replaced")));
        }
        if self.pinned.as_deref() == Some(&*old) {
            return Err(RepoError::refused_with(format!("this handle stays on branch '{old}'"), "rename it with one that was opened on the repository"));
        }
        let mut transaction = Transaction::new(Some(view.clone()));
        transaction.rely_on(HEAD)?;
        transaction.set(&branch_key(new), view.state.get(&branch_key(&old))?)?;
        transaction.set(&working_key(&to), view.state.get(&working_key(&from))?)?;
        transaction.set(&branch_key(&old), None)?;
        transaction.set(&working_key(&from), None)?;
        if checked_out == from {
            transaction.set(HEAD, Some(to.encode()))?;
        }
        self.publish(transaction, format!("branch -m {old} {new}"))?;
        Ok(old)
    }

    /// Deletes a branch; returns its commit. Without `force` it is refused where commits or uncommitted changes would be lost from sight: where
    /// `HEAD` does not contain its commit. `undo` brings it back either way.
    pub fn delete_branch(&self, name: &str, force: bool) -> Result<Option<CommitId>, RepoError> {
        let view = self.view()?;
        let target = HeadRef::Branch(name.to_owned());
        if view.state.head()? == target || view.state.checked_out()? == target {
            return Err(RepoError::refused_with(format!("branch '{name}' is checked out"), "switch to another branch first"));
        }
        if !branch_exists(&view.state, name)? {
            return Err(self.no_branch(&view.state, name)?);
        }
        let tip = view.state.branch(name)?;
        if !force {
            if view.state.working(&target)?.is_some() {
                return Err(RepoError::refused_with(
                    format!("branch '{name}' has uncommitted changes"),
                    format!("'dsv branch -D {name}' deletes it all the same"),
                ));
            }
            if let Some(tip) = tip {
                let merged = view.state.head_commit()?.map_or(Ok(false), |head| self.graph.is_ancestor(tip, head))?;
                if !merged {
                    return Err(RepoError::refused_with(
                        format!("branch '{name}' is not merged: HEAD does not contain its commit {}", short(&tip)),
                        format!("'dsv branch -D {name}' deletes it all the same"),
                    ));
                }
            }
        }
        let mut transaction = Transaction::new(Some(view));
        transaction.rely_on(HEAD)?;
        transaction.set(&branch_key(name), None)?;
        transaction.set(&working_key(&target), None)?;
        self.publish(transaction, format!("branch -d {name}"))?;
        Ok(tip)
    }

    /// The error of a branch that is not there.
    pub(super) fn no_branch(&self, state: &State, name: &str) -> Result<RepoError, RepoError> {
        let branches = state.branches()?;
        let nearest = nearest(name, branches.keys().map(String::as_str)).into_iter().map(str::to_owned).collect();
        Ok(RepoError::NoBranch { name: name.to_owned(), nearest, other: self.resolve(name).is_ok() })
    }
}

/// True for a branch that has a commit or uncommitted changes, or is checked out.
pub(super) fn branch_exists(state: &State, name: &str) -> Result<bool, RepoError> {
    let target = HeadRef::Branch(name.to_owned());
    Ok(state.branch(name)?.is_some() || state.working(&target)?.is_some() || state.checked_out()? == target)
}

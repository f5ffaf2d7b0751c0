//! The working state: the uncommitted snapshot of what is checked out.

use super::{Repo, RepoError};
use crate::base::CommitId;
use crate::base::name::nearest;
use crate::format::merging::Merging;
use crate::format::operation::{HeadRef, Working};
use crate::format::snapshot::Snapshot;
use crate::history::state::{HEAD, branch_key, working_key};
use crate::history::{HistoryError, Transaction, View, load_snapshot, store_snapshot};

/// What is checked out, its commit, and the data as it is now.
#[derive(Debug, Clone)]
pub struct WorkingState {
    /// The view that it was read from.
    pub view: View,
    /// What is checked out.
    pub head: HeadRef,
    /// Its commit; none on a branch without one.
    pub tip: Option<CommitId>,
    /// The commit that the uncommitted changes were made from: `tip`, unless the branch was moved under them.
    pub base: Option<CommitId>,
    /// The tables and views as they are now.
    pub snapshot: Snapshot,
    /// The merge that is to be ended by a commit, if one is in progress.
    pub merging: Option<Merging>,
    /// True where something is uncommitted, or a merge is in progress.
    pub dirty: bool,
}

impl WorkingState {
    /// Fails where something is uncommitted, or a merge is in progress.
    pub(super) fn check_clean(&self) -> Result<(), RepoError> {
        match &self.merging {
            Some(merging) => Err(RepoError::InProgress { verb: merging.verb.clone(), revision: merging.revision.clone() }),
            None if self.dirty => Err(RepoError::refused_with("there are uncommitted changes", "commit them first, or forget them with 'dsv reset --hard'")),
            None => Ok(()),
        }
    }

    /// Fails where the branch was moved, by a push or another clone, since the uncommitted changes were made.
    pub(super) fn check_current(&self) -> Result<(), RepoError> {
        match (&self.head, self.tip) {
            (HeadRef::Branch(branch), Some(tip)) if self.dirty && self.base != self.tip => Err(RepoError::Outdated { branch: branch.clone(), tip }),
            _ => Ok(()),
        }
    }
}

impl Repo {
    /// The working state of what is checked out.
    pub fn working(&self) -> Result<WorkingState, RepoError> {
        self.working_in(self.view()?)
    }

    pub(super) fn working_in(&self, view: View) -> Result<WorkingState, RepoError> {
        let head = view.state.head()?;
        let tip = view.state.head_commit()?;
        let (base, snapshot, merging, dirty) = match view.state.working(&head)? {
            Some(Working { base, snapshot, merging }) => (base, load_snapshot(&self.objects, snapshot)?, merging, true),
            None => (tip, tip.map_or_else(|| Ok(Snapshot::default()), |tip| self.snapshot_of(tip))?, None, false),
        };
        Ok(WorkingState { view, head, tip, base, snapshot, merging, dirty })
    }

    /// The tables and views as they are now, uncommitted changes included.
    pub fn working_snapshot(&self) -> Result<Snapshot, RepoError> {
        Ok(self.working()?.snapshot)
    }

    /// Replaces the working snapshot by what `edit` makes of it, as one operation that is logged as `command`; returns the new one. Objects
    /// that `edit` writes go into the same commit of the store. Nothing happens where `edit` fails or changes nothing.
    pub fn update_working<E: From<RepoError>>(&self, command: &str, edit: impl FnOnce(&Snapshot) -> Result<Snapshot, E>) -> Result<Snapshot, E> {
        let working = self.working()?;
        let snapshot = edit(&working.snapshot).inspect_err(|_| self.drop_written())?;
        let mut transaction = Transaction::new(Some(working.view.clone()));
        self.set_working(&mut transaction, &working.head, working.base, &snapshot, working.merging)?;
        self.publish(transaction, command)?;
        Ok(snapshot)
    }

    /// Sets the working state of `head` in a transaction: absent where it equals its base and ends no merge.
    pub(super) fn set_working(
        &self,
        transaction: &mut Transaction,
        head: &HeadRef,
        base: Option<CommitId>,
        snapshot: &Snapshot,
        merging: Option<Merging>,
    ) -> Result<(), RepoError> {
        let unchanged = match base {
            _ if merging.is_some() => false,
            Some(base) => self.snapshot_of(base)? == *snapshot,
            None => *snapshot == Snapshot::default(),
        };
        let value = if unchanged { None } else { Some(Working { base, snapshot: store_snapshot(&self.objects, snapshot)?, merging }.encode()) };
        transaction.set(&working_key(head), value)?;
        // A working state belongs to a commit: nobody may move the branch under it unseen.
        transaction.rely_on(&tip_key(head))?;
        Ok(())
    }

    /// Moves what is checked out to a commit, in a transaction.
    pub(super) fn set_tip(&self, transaction: &mut Transaction, head: &HeadRef, commit: CommitId) -> Result<(), HistoryError> {
        match head {
            HeadRef::Branch(name) => transaction.set(&branch_key(name), Some(commit.as_bytes().to_vec()))?,
            HeadRef::Commit(_) => transaction.set(HEAD, Some(HeadRef::Commit(commit).encode()))?,
        }
        transaction.rely_on(&working_key(head))
    }
}

fn tip_key(head: &HeadRef) -> String {
    match head {
        HeadRef::Branch(name) => branch_key(name),
        HeadRef::Commit(_) => HEAD.to_owned(),
    }
}

/// The error of a table that `snapshot` has not.
pub(super) fn no_table(snapshot: &Snapshot, name: &str, at: Option<&str>) -> RepoError {
    if snapshot.views.contains_key(name) {
        return RepoError::refused_with(format!("'{name}' is a view, not a table"), "a view is read by 'dsv query', 'dsv head' and 'dsv export'");
    }
    let nearest = nearest(name, snapshot.tables.keys().map(String::as_str)).into_iter().map(str::to_owned).collect();
    RepoError::NoTable { name: name.to_owned(), at: at.map(str::to_owned), nearest }
}

//! When code is merged, so is its data: two pins become one.

use super::Pin;
use crate::base::CommitId;
use crate::format::operation::HeadRef;
use crate::history::Transaction;
use crate::history::short;
use crate::history::state::branch_key;
use crate::repo::{MergeOutcome, MergeRequest, Repo, RepoError};

/// How the names of branches begin that are made for a merge of pins. They go once what they have is in a branch that somebody made.
const PASSING: &str = "merge-";

/// What became of two pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinMerge {
    /// One pin for both.
    Merged(Pin),
    /// The data disagree: a merge of them is in progress on that branch (without one, where no branch was checked out), with so many conflicts.
    Conflicts {
        /// The branch.
        branch: Option<String>,
        /// Conflicts.
        conflicts: usize,
    },
}

impl Repo {
    /// Merges the data that two pins name. Where one has the other's commit, that is the answer and nothing changes here. Else their commits are merged, on the branch of
    /// one of them that is at its commit, or on a new one. While code is `rebased`, theirs is what is taken along, commit by commit: no branch moves before the end, and
    /// the merged pin names theirs. Fails where a commit is not in this repository, and where that branch has uncommitted changes.
    pub fn merge_pins(&self, ours: &Pin, theirs: &Pin, rebased: bool) -> Result<PinMerge, RepoError> {
        for pin in [ours, theirs] {
            if !self.has_commit(pin.commit)? {
                return Err(RepoError::refused_with(
                    format!("commit {}, which is to be merged, is not here", short(&pin.commit)),
                    "'dsv fetch' brings it, and 'dsv git merge' merges then",
                ));
            }
        }
        if self.graph.is_ancestor(theirs.commit, ours.commit)? {
            return Ok(PinMerge::Merged(ours.clone()));
        }
        if self.graph.is_ancestor(ours.commit, theirs.commit)? {
            // The code that is merged into keeps the branch that it has, if that branch can go along.
            let branch = match &ours.branch {
                Some(name) if self.view()?.state.branch(name)? == Some(ours.commit) => Some(name.clone()),
                _ => theirs.branch.clone(),
            };
            return Ok(PinMerge::Merged(Pin { branch, ..theirs.clone() }));
        }
        let (place, other) = self.place_of(ours, theirs, rebased)?;
        let handle = match &place {
            Some(branch) if self.current_branch()?.as_ref() == Some(branch) => None,
            Some(branch) => Some(self.on_branch(branch)?),
            None => None,
        };
        let repo = handle.as_ref().unwrap_or(self);
        let from = other.branch.clone().map_or_else(|| short(&other.commit), |branch| format!("{branch} ({})", short(&other.commit)));
        let request = MergeRequest { message: Some(format!("Merge {from}, as the code was merged")), ..MergeRequest::default() };
        let report = repo.merge(&[other.commit.to_string()], &request)?;
        match report.outcome {
            MergeOutcome::Conflicts => {
                let conflicts = report.names.len() + report.tables.iter().map(|table| table.conflicts.len()).sum::<usize>();
                Ok(PinMerge::Conflicts { branch: place, conflicts })
            }
            _ => {
                let mut pin = repo.pin()?;
                if rebased {
                    pin.branch = theirs.branch.clone();
                }
                Ok(PinMerge::Merged(Pin { remote: pin.remote.or_else(|| ours.remote.clone()), ..pin }))
            }
        }
    }

    /// The branch on which two pins' commits are merged, and the pin that is merged into it; no branch where what is checked out is our commit without one.
    fn place_of<'a>(&self, ours: &'a Pin, theirs: &'a Pin, rebased: bool) -> Result<(Option<String>, &'a Pin), RepoError> {
        let view = self.view()?;
        for (here, other) in [(ours, theirs), (theirs, ours)].into_iter().filter(|_| !rebased) {
            if let Some(branch) = &here.branch
                && view.state.branch(branch)? == Some(here.commit)
            {
                return Ok((Some(branch.clone()), other));
            }
        }
        if !rebased && view.state.head()? == HeadRef::Commit(ours.commit) {
            return Ok((None, theirs));
        }
        let name = format!("{PASSING}{}-{}", short(&ours.commit), short(&theirs.commit));
        if view.state.branch(&name)? != Some(ours.commit) {
            let mut transaction = Transaction::new(Some(view.clone()));
            transaction.set(&branch_key(&name), Some(ours.commit.as_bytes().to_vec()))?;
            self.publish(transaction, format!("branch {name}"))?;
        }
        Ok((Some(name), theirs))
    }

    /// Deletes branches that were made for merges of pins, where another commit has all that is in them.
    pub(super) fn drop_passing(&self, now_in: CommitId) -> Result<(), RepoError> {
        let view = self.view()?;
        let is_passing = |name: &str| {
            let ids = name.strip_prefix(PASSING).and_then(|ids| ids.split_once('-'));
            ids.is_some_and(|(a, b)| [a, b].iter().all(|id| id.len() == 8 && id.bytes().all(|c| c.is_ascii_hexdigit())))
        };
        let head = view.state.head()?;
        let mut transaction = Transaction::new(Some(view.clone()));
        for (name, tip) in view.state.branches()?.into_iter().filter(|(name, _)| is_passing(name)) {
            let this = HeadRef::Branch(name.clone());
            if this != head && view.state.working(&this)?.is_none() && self.graph.is_ancestor(tip, now_in)? {
                transaction.set(&branch_key(&name), None)?;
            }
        }
        if !transaction.is_empty() {
            self.publish(transaction, "git follow")?;
        }
        Ok(())
    }

    /// True where a commit contains those of both pins.
    pub fn contains_both(&self, commit: CommitId, one: &Pin, other: &Pin) -> Result<bool, RepoError> {
        for pin in [one, other] {
            if !self.has_commit(pin.commit)? || !self.graph.is_ancestor(pin.commit, commit)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

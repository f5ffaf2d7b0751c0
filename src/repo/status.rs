//! `status`: what is checked out, and what is not committed.

use super::changes::{self, NameChange};
use super::{Repo, RepoError};
use crate::base::{CommitId, TableObjectId};
use crate::format::check::Check;
use crate::format::merging::Merging;
use crate::format::operation::HeadRef;
use crate::format::snapshot::Snapshot;

/// What is checked out, and what differs from its commit.
#[derive(Debug, Clone)]
pub struct Status {
    /// The branch, or the commit of a detached `HEAD`.
    pub head: HeadRef,
    /// Its commit; none before the first.
    pub commit: Option<CommitId>,
    /// The commit that the uncommitted changes were made from, where it is not `commit`: the branch has moved since.
    pub outdated: Option<Option<CommitId>>,
    /// The tables that differ from the commit that the changes were made from.
    pub tables: Vec<NameChange<TableObjectId>>,
    /// The views that differ.
    pub views: Vec<NameChange<String>>,
    /// The merge in progress, and how many conflicts are left.
    pub merging: Option<(Merging, u64)>,
    /// The checks that differ.
    pub checks: Vec<NameChange<Check>>,
}

impl Status {
    /// True where nothing is uncommitted.
    pub fn is_clean(&self) -> bool {
        self.tables.is_empty() && self.views.is_empty() && self.checks.is_empty() && self.merging.is_none()
    }
}

impl Repo {
    /// What is checked out, and what differs from its commit.
    pub fn status(&self) -> Result<Status, RepoError> {
        let working = self.working()?;
        let before = working.base.map_or_else(|| Ok(Snapshot::default()), |base| self.snapshot_of(base))?;
        let merging = match working.merging.clone() {
            Some(merging) => {
                let left = self.conflicts_left(&merging)?;
                Some((merging, left))
            }
            None => None,
        };
        Ok(Status {
            merging,
            outdated: (working.dirty && working.base != working.tip).then_some(working.base),
            tables: changes::tables(&before, &working.snapshot),
            views: changes::views(&before, &working.snapshot),
            checks: changes::checks(&before, &working.snapshot),
            head: working.head,
            commit: working.tip,
        })
    }
}

//! What queries need of a repository: the tables of a revision, and the rows of the system tables.

use std::sync::Arc;

use crate::base::TableObjectId;
use crate::chunk::Objects;

use super::QueryError;

/// A repository, as queries see it. Calls may read and block; they are made from threads that may.
pub trait Revisions: Send + Sync {
    /// The tables, by name, of the commit that a revision names; of the working state of what is checked out without one. Text that names no commit is
    /// [`QueryError::NoRevision`] with the names that come near it.
    fn snapshot(&self, revision: Option<&str>) -> Result<Vec<(String, TableObjectId)>, QueryError>;

    /// Where the tables are.
    fn objects(&self) -> Arc<Objects>;

    /// The commits that branches, tags and what is checked out reach, newest first.
    fn commits(&self) -> Result<Vec<CommitRow>, QueryError>;

    /// The branches and tags, by name.
    fn refs(&self) -> Result<Vec<RefRow>, QueryError>;
}

/// A row of `dsv.commits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRow {
    /// The whole id.
    pub id: String,
    /// The parents' ids, in order.
    pub parents: Vec<String>,
    /// Who made the change.
    pub author: String,
    /// Their address.
    pub email: String,
    /// When it was made, in milliseconds since 1970 UTC.
    pub authored_millis: i64,
    /// When the commit was made, in milliseconds since 1970 UTC.
    pub committed_millis: i64,
    /// Why.
    pub message: String,
}

/// A row of `dsv.branches` or `dsv.tags`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefRow {
    /// Which of the two.
    pub kind: RefKind,
    /// Its name.
    pub name: String,
    /// The commit's id; a branch may have none yet.
    pub commit: Option<String>,
    /// It is the branch that is checked out.
    pub current: bool,
    /// A tag's message.
    pub message: Option<String>,
}

/// What a ref is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// Moves with each commit.
    Branch,
    /// Does not move.
    Tag,
}

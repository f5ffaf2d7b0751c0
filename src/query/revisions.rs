//! What queries need of a repository: the tables of a revision, and the rows of the system tables.

use std::sync::Arc;

use crate::base::CommitId;
use crate::chunk::Objects;
use crate::format::snapshot::Snapshot;

use super::QueryError;

/// A repository, as queries see it. Calls may read and block; they are made from threads that may.
pub trait Revisions: Send + Sync {
    /// The tables and views of the commit that a revision names; of the working state of what is checked out without one. Text that names no commit is
    /// [`QueryError::NoRevision`] with the names that come near it.
    fn snapshot(&self, revision: Option<&str>) -> Result<Snapshot, QueryError>;

    /// Where the tables are.
    fn objects(&self) -> Arc<Objects>;

    /// The commits that branches, tags and what is checked out reach, newest first.
    fn commits(&self) -> Result<Vec<CommitRow>, QueryError>;

    /// The branches and tags, by name.
    fn refs(&self) -> Result<Vec<RefRow>, QueryError>;

    /// The commit that last set each cell of some columns of a table, by index, in some slots: a list for each column.
    fn blame(&self, table: &str, revision: Option<&str>, columns: &[usize], slots: &[u64]) -> Result<Vec<Vec<Option<CommitId>>>, QueryError>;

    /// The conflicts that the merge in progress has left.
    fn conflicts(&self) -> Result<Vec<ConflictRow>, QueryError>;
}

/// A row of `dsv.conflicts`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConflictRow {
    /// The table or view.
    pub table: String,
    /// The kind, in one word.
    pub kind: String,
    /// The row's id.
    pub row: Option<String>,
    /// The row's key: its cells as text, separated by commas.
    pub key: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The cells of base, ours and theirs as text.
    pub cells: [Option<String>; 3],
    /// What is wrong, for kinds that say it.
    pub why: Option<String>,
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

//! A say before commits are made: what stands above this floor looks at what is to be committed, words its message, or stops it.

use std::fmt;

use super::RepoError;
use crate::base::CommitId;
use crate::format::snapshot::Snapshot;

/// A commit that is about to be made. Its objects can be read through the repository's own handle; no other process sees them yet.
#[derive(Debug)]
pub struct Proposed<'a> {
    /// The tables and views of its first parent.
    pub before: &'a Snapshot,
    /// Its own.
    pub after: &'a Snapshot,
    /// The commits that it will follow.
    pub parents: &'a [CommitId],
    /// Its message.
    pub message: &'a str,
}

/// Has a say before a merge or a replay makes a commit.
pub trait Gate: fmt::Debug {
    /// The message that the commit shall have. After an error nothing is changed; [`RepoError::Stopped`] is the one for a plain no.
    fn pass(&self, proposed: &Proposed<'_>) -> Result<String, RepoError>;
}

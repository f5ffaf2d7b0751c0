//! The error of this floor.

use super::revision::BadRevision;
use super::{ChunkError, short};
use crate::base::{CommitId, ObjectId, OperationId};
use crate::format::FormatError;
use crate::store::StoreError;
use crate::tree::TreeError;

/// Why history could not be read or moved.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// An object of history does not read.
    #[error("{what} {id:.12}: {source}")]
    Malformed {
        /// What kind of object it is.
        what: &'static str,
        /// Its id.
        id: ObjectId,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A value of the state does not read.
    #[error("the state's entry '{key}': {source}")]
    Value {
        /// Its key.
        key: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// The state lacks a key that must be there.
    #[error("the state has no entry '{0}'")]
    NoValue(&'static str),
    /// The state's tree could not be read or written.
    #[error(transparent)]
    Tree(TreeError),
    /// The object store failed.
    #[error(transparent)]
    Objects(#[from] ChunkError),
    /// Text that is no revision.
    #[error(transparent)]
    BadRevision(#[from] BadRevision),
    /// No branch, tag or commit has that name.
    #[error("there is no branch, tag or commit '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names like it, the nearest first.
        nearest: Vec<String>,
    },
    /// The first digits of several commits' ids.
    #[error("commit id {prefix} is ambiguous: {}", candidates.iter().map(|(id, subject)| format!("{} ({subject})", short(id))).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// The digits.
        prefix: String,
        /// The commits, with the first line of their messages.
        candidates: Vec<(CommitId, String)>,
    },
    /// The branch has no commit yet.
    #[error("branch '{0}' has no commit yet")]
    NoCommit(String),
    /// A step beyond the first commit, or to a parent that is not there.
    #[error("'{revision}': commit {} has {parents} parent{}", short(at), if *parents == 1 { "" } else { "s" })]
    NoParent {
        /// The whole revision.
        revision: String,
        /// The commit from which the step fails.
        at: CommitId,
        /// How many parents it has.
        parents: usize,
    },
    /// No message has the text that was looked for.
    #[error("no commit has '{0}' in its message")]
    NoMessage(String),
    /// `@{...}` holds text that is no time.
    #[error("'{0}' is not a time; try 'yesterday', '2 hours ago' or '2026-01-31 12:00'")]
    NotATime(String),
    /// The operation log does not reach that far.
    #[error("'{revision}': the operation log of '{line}' {why}")]
    LogTooShort {
        /// The whole revision.
        revision: String,
        /// Whose log.
        line: String,
        /// How far it goes.
        why: String,
    },
    /// Another writer changed the same thing first.
    #[error("{} moved while this ran", name_of(key))]
    Moved {
        /// The key of the state.
        key: String,
    },
    /// Other writers kept winning.
    #[error("other writers kept changing the repository: gave up after {0} attempts")]
    Contended(u32),
    /// The operation log has no such operation.
    #[error("there is no operation '{0}'")]
    UnknownOperation(String),
    /// Several operations' ids start so.
    #[error("operation id {0} is ambiguous")]
    AmbiguousOperation(String),
    /// Nothing is left to undo.
    #[error("nothing to undo")]
    NothingToUndo,
    /// Nothing is left to redo.
    #[error("nothing to redo")]
    NothingToRedo,
    /// The operation cannot be taken back, as what it changed has changed again.
    #[error("cannot take back operation {operation:.8} ({command}): {} has moved since{}", name_of(key), by.as_ref().map(|by| format!(", by '{by}'")).unwrap_or_default())]
    MovedSince {
        /// The operation.
        operation: OperationId,
        /// Its command.
        command: String,
        /// The key of the state that has moved.
        key: String,
        /// The command that moved it last.
        by: Option<String>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The head pointer does not read.
    #[error(transparent)]
    Head(FormatError),
    /// What was named is no longer there in full.
    #[error("object {0:.12} is gone: garbage collection has taken what no branch, tag or recent operation held")]
    Gone(ObjectId),
    /// The operation is older than what garbage collection keeps.
    #[error("operation {0:.8} cannot be taken back: garbage collection has forgotten what was before it")]
    Forgotten(OperationId),
    /// Garbage collection took what this writer wrote for garbage, as it took too long.
    #[error("what this command wrote was collected as garbage before it was done")]
    Collected,
    /// The work was stopped.
    #[error("interrupted")]
    Interrupted,
    /// The head pointer could not be swapped, and whether it was after all could not be found out.
    #[error("it is not known whether the change was made: {0}")]
    Unsettled(Box<HistoryError>),
}

impl From<TreeError> for HistoryError {
    fn from(error: TreeError) -> Self {
        match error {
            // What the object store said, without the tree's wrapping.
            TreeError::Store(inner) => match inner.downcast::<ChunkError>() {
                Ok(inner) => HistoryError::Objects(*inner),
                Err(inner) => HistoryError::Tree(TreeError::Store(inner)),
            },
            other => HistoryError::Tree(other),
        }
    }
}

/// A key of the state in a person's words.
pub fn name_of(key: &str) -> String {
    match key.split_once('/') {
        Some(("heads", name)) => format!("branch '{name}'"),
        Some(("tags", name)) => format!("tag '{name}'"),
        Some(("working", "HEAD")) => "the uncommitted changes".to_owned(),
        Some(("working", name)) => format!("the uncommitted changes of branch '{name}'"),
        _ => key.to_owned(),
    }
}

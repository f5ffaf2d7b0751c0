//! The one error of this floor.

use arrow::error::ArrowError;

use crate::repo::RepoError;
use crate::table::TableError;
use crate::tree::TreeError;

/// Why samples could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// A text that is no state of a loader.
    #[error("this is no state of a loader: {0}")]
    NoState(String),
    /// A state of something else.
    #[error("the state is of another {what}: it says {was}, and this loader has {is}")]
    OtherState {
        /// What differs.
        what: &'static str,
        /// What the state says.
        was: String,
        /// What the loader has.
        is: String,
    },
    /// A row past the end of what is loaded.
    #[error("there is no row {row}: {rows} are loaded")]
    NoRow {
        /// The row, from 0.
        row: u64,
        /// How many there are.
        rows: u64,
    },
    /// The repository's own.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The table's own.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl From<TreeError> for LoaderError {
    fn from(error: TreeError) -> Self {
        TableError::from(error).into()
    }
}

impl From<ArrowError> for LoaderError {
    fn from(error: ArrowError) -> Self {
        TableError::from(error).into()
    }
}

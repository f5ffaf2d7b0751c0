//! The one error of this floor.

use arrow::error::ArrowError;

#[cfg(feature = "query")]
use crate::query::QueryError;
use crate::repo::RepoError;
use crate::store::StoreError;
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
    /// Nothing to load.
    #[error("there is nothing to load: {0}")]
    Empty(String),
    /// Options that cannot be.
    #[error("{0}")]
    Options(String),
    /// A column that is no tensor, and what to do about it.
    #[error("column '{column}' is {ty}, which cannot become a tensor: {hint}")]
    NoTensor {
        /// Its name.
        column: String,
        /// Its type.
        ty: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// A cell that cannot be loaded.
    #[error("column '{column}' of {row}: {why}")]
    BadCell {
        /// The column.
        column: String,
        /// The row, by its id.
        row: String,
        /// What is wrong.
        why: String,
    },
    /// No good row was found to stand in for a bad one.
    #[error("{tried} rows in turn could not be loaded, the last because of column '{column}': {why}")]
    AllBad {
        /// How many were tried.
        tried: u64,
        /// The column.
        column: String,
        /// What is wrong.
        why: String,
    },
    /// A fault of the loader's own, in one of its threads.
    #[error("a thread of the loader failed: {0}")]
    Thread(String),
    /// A device that is not there, or a tensor that it refused.
    #[error("{0}")]
    Device(String),
    /// The repository's own.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// The table's own.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The store's own, of what is put aside while it is loaded.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The query's own.
    #[cfg(feature = "query")]
    #[error(transparent)]
    Query(#[from] QueryError),
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

//! The one error of this floor.

use crate::base::name::BadName;
use crate::chunk::ChunkError;
use crate::format::{FormatError, TypeError};
use crate::tree::TreeError;

/// Why a table could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// There is no such column.
    #[error("table has no column '{name}'")]
    NoColumn {
        /// The name asked for.
        name: String,
        /// Names that come near it.
        near: Vec<String>,
    },
    /// A column of that name exists.
    #[error("column '{0}' stands twice")]
    DuplicateColumn(String),
    /// A value does not fit its column.
    #[error("row {row}, column '{column}': {why}")]
    Value {
        /// The row, counted from 1 in what was being read or in the table.
        row: u64,
        /// The column.
        column: String,
        /// Why it does not fit.
        why: String,
    },
    /// The key is broken.
    #[error("row {row}: {why}")]
    Key {
        /// The row, counted from 1 in what was being read or in the table.
        row: u64,
        /// What the key says and why it cannot stand.
        why: String,
    },
    /// The change does not fit the schema.
    #[error("{0}")]
    Schema(String),
    /// Slots past the end were asked for.
    #[error("slot {slot} of a table with {slots} slots")]
    Slot {
        /// The slot.
        slot: u64,
        /// The table's slots.
        slots: u64,
    },
    /// A file that holds a large value could not be read.
    #[error("{path}: {source}")]
    Source {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Work was interrupted; nothing was changed.
    #[error("interrupted")]
    Interrupted,
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A type that does not read.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// An object does not read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A chunk could not be read or written.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A tree could not be read or written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Arrow refused.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

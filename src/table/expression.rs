//! What understands expressions. The floors that keep and test them know no SQL: whoever opens a repository brings it along, as the query floor has it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::base::Progress;
use crate::chunk::Objects;
use crate::format::snapshot::Snapshot;

use super::{Table, TableError};

/// The rows that a query returns, in batches.
pub type Answer = Box<dyn Iterator<Item = Result<RecordBatch, ExpressionError>>>;

/// Understands expressions, given as text.
pub trait Expressions: fmt::Debug + Send + Sync {
    /// A predicate over single rows of a table. Errors with [`ExpressionError::Unfit`] where the text is none, or is not true or false.
    fn predicate(&self, table: &Arc<Table>, text: &str) -> Result<Box<dyn Predicate>, ExpressionError>;

    /// The rows of a query over the tables and views of one snapshot. It sees nothing else, no other revision, so that its answer is a matter of the snapshot alone.
    fn rows(&self, objects: &Arc<Objects>, snapshot: &Snapshot, text: &str, progress: &Arc<dyn Progress>) -> Result<Answer, ExpressionError>;

    /// The names of the tables and views that a query reads.
    fn tables(&self, text: &str) -> Result<BTreeSet<String>, ExpressionError>;
}

/// A predicate over single rows of one table.
pub trait Predicate {
    /// The columns that it reads, by index, ascending.
    fn columns(&self) -> Vec<usize>;

    /// The slots of the live rows, within ranges that ascend and do not overlap, for which it is false: neither true nor null. Ascending. Reads the
    /// columns of [`Predicate::columns`] alone, and of them only what statistics do not settle.
    fn false_rows(&self, objects: &Arc<Objects>, ranges: Vec<Range<u64>>, progress: &Arc<dyn Progress>) -> Result<Vec<u64>, ExpressionError>;
}

/// Why an expression gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExpressionError {
    /// It means nothing for the tables that are there: no such column, types that do not go together, no SQL at all.
    #[error("{why}")]
    Unfit {
        /// What is wrong, in one line.
        why: String,
        /// What helps.
        hint: Option<String>,
    },
    /// It failed for some row: a division by zero, a text that is no number.
    #[error("{0}")]
    Failed(String),
    /// The work was stopped.
    #[error("interrupted")]
    Interrupted,
    /// A table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
}

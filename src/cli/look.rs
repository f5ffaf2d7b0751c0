//! A table as a verb looks at it: of which revision, and which of its columns.

use std::sync::Arc;

use super::error::CliError;
use crate::chunk::Objects;
use crate::format::Type;
use crate::repo::Repo;
use crate::table::Table;
use crate::table::scan::{Scan, ScanIter};

/// What to look at, as the arguments say it.
#[derive(Debug, Clone)]
pub struct Look {
    /// The table.
    pub table: String,
    /// The revision; the working state without one.
    pub at: Option<String>,
    /// The columns, in order; all without any.
    pub columns: Vec<String>,
}

/// A table that was found, with the columns chosen.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where its data is.
    pub objects: Arc<Objects>,
    /// The table.
    pub table: Arc<Table>,
    /// The chosen columns, by index.
    pub indices: Vec<usize>,
    /// Their names and types.
    pub columns: Vec<(String, Type)>,
}

impl Look {
    /// Finds the table and its columns.
    pub fn find(&self, repo: &Repo) -> Result<Found, CliError> {
        let table = repo.table(&self.table, self.at.as_deref())?;
        let indices = if self.columns.is_empty() {
            (0..table.schema.columns.len()).collect()
        } else {
            self.columns.iter().map(|name| table.schema.index(name)).collect::<Result<Vec<_>, _>>()?
        };
        let columns = indices.iter().filter_map(|i| table.schema.columns.get(*i)).map(|c| (c.name.clone(), c.ty.clone())).collect();
        Ok(Found { objects: repo.objects().clone(), table, indices, columns })
    }
}

impl Found {
    /// Rows in all.
    pub fn rows(&self) -> Result<u64, CliError> {
        Ok(self.table.rows(&self.objects)?)
    }

    /// A scan of the chosen columns.
    pub fn scan(&self) -> Scan {
        self.table.scan(&self.objects).columns(self.indices.clone())
    }

    /// The first `rows` rows.
    pub fn first(&self, rows: u64) -> Result<First, CliError> {
        let batch_rows = usize::try_from(rows.clamp(1, 8192)).unwrap_or(8192);
        Ok(First { scan: self.scan().batch_rows(batch_rows).open()?, left: rows })
    }
}

/// The first rows of a scan.
pub struct First {
    scan: ScanIter,
    left: u64,
}

impl Iterator for First {
    type Item = Result<arrow::array::RecordBatch, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let batch = match self.scan.next()? {
            Ok(batch) => batch,
            Err(e) => return Some(Err(e.into())),
        };
        let keep = usize::try_from(self.left).map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
        self.left -= keep as u64;
        Some(Ok(batch.slice(0, keep)))
    }
}

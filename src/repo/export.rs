//! `dsv export`: a table of any revision becomes a file.

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::base::progress::Unit;
use crate::format::Type;
use crate::table::{Table, TableError};

use super::files::write::{Target, WriteError, WriteOptions, Written, write};
use super::{Repo, RepoError};

impl Repo {
    /// Writes the live rows of a table in order; `columns` by name, or all. Memory stays bounded; where it fails the target is as it was.
    pub fn export(&self, table: &Arc<Table>, columns: &[String], target: Target, options: &WriteOptions) -> Result<Written, RepoError> {
        let indices = match columns {
            [] => (0..table.columns.len()).collect(),
            names => names.iter().map(|name| table.schema.index(name)).collect::<Result<Vec<_>, TableError>>()?,
        };
        let described: Vec<(String, Type)> = indices.iter().map(|i| (table.schema.columns[*i].name.clone(), table.schema.columns[*i].ty.clone())).collect();
        let rows = table.rows(self.objects())?;
        let mut batches = table.scan(self.objects()).columns(indices).open()?;
        self.export_rows(&described, &mut batches, Some(rows), target, options)
    }

    /// Writes rows from anywhere; `rows` is how many they are, if that is known.
    pub fn export_rows<E: Into<RepoError>>(
        &self,
        columns: &[(String, Type)],
        batches: &mut dyn Iterator<Item = Result<RecordBatch, E>>,
        rows: Option<u64>,
        target: Target,
        options: &WriteOptions,
    ) -> Result<Written, RepoError> {
        self.progress().start("exporting", rows, Unit::Rows);
        let written = write(target, columns, batches, options, self.progress()).map_err(|e| match e {
            WriteError::Rows(e) => e.into(),
            WriteError::File(e) => RepoError::File(e),
        })?;
        self.progress().finish();
        Ok(written)
    }
}

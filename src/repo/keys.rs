//! Keys of rows that come in: matched with those of a table, and tested for repeats.

use std::collections::HashSet;

use arrow::array::{Array, BooleanArray, RecordBatch};

use crate::format::Type;
use crate::table::key::{KeyIndex, RowHash, RowHasher};
use crate::table::{Table, TableError};

use super::RepoError;

/// Watches over keys while rows come in.
pub(super) struct Keys {
    /// The key's columns in the batches; empty without a key.
    columns: Vec<usize>,
    index: Option<KeyIndex>,
    hasher: Option<RowHasher>,
    names: Vec<String>,
    seen: HashSet<RowHash>,
}

impl Keys {
    /// Over rows with these columns, for a table whose rows `index` knows; without one, keys are tested among the new rows alone.
    pub fn new(table: &Table, columns: &[(String, Type)], index: Option<KeyIndex>) -> Result<Self, RepoError> {
        let (mut places, mut names, mut storage) = (Vec::new(), Vec::new(), Vec::new());
        for i in table.schema.key_indices() {
            let column = &table.schema.columns[i];
            let place = columns.iter().position(|(name, _)| *name == column.name);
            places.push(place.ok_or_else(|| RepoError::refused(format!("column '{}' belongs to the table's key, and is not given", column.name)))?);
            names.push(column.name.clone());
            storage.push(column.ty.storage());
        }
        let hasher = if places.is_empty() { None } else { Some(RowHasher::new(storage)?) };
        Ok(Keys { columns: places, index, hasher, names, seen: HashSet::new() })
    }

    fn hashes(&self, batch: &RecordBatch, before: u64) -> Result<Vec<RowHash>, TableError> {
        let Some(hasher) = &self.hasher else { return Ok(Vec::new()) };
        let cells: Vec<_> = self.columns.iter().map(|i| batch.column(*i).clone()).collect();
        for (column, name) in cells.iter().zip(&self.names) {
            if let Some(row) = (0..column.len()).find(|i| column.is_null(*i)) {
                return Err(TableError::Key { row: before + row as u64 + 1, why: format!("the key column '{name}' is null") });
            }
        }
        hasher.hash(&cells)
    }

    fn twice(&self, batch: &RecordBatch, i: usize, before: u64) -> TableError {
        let shown: Vec<String> = self.columns.iter().map(|c| arrow::util::display::array_value_to_string(batch.column(*c), i).unwrap_or_default()).collect();
        TableError::Key { row: before + i as u64 + 1, why: format!("the key ({}) = ({}) stands twice", self.names.join(", "), shown.join(", ")) }
    }

    /// Rows that must all be new.
    pub fn check_new(&mut self, batch: &RecordBatch, before: u64) -> Result<(), TableError> {
        for (i, hash) in self.hashes(batch, before)?.into_iter().enumerate() {
            if !self.seen.insert(hash) || self.index.as_ref().is_some_and(|index| index.get(hash).is_some()) {
                return Err(self.twice(batch, i, before));
            }
        }
        Ok(())
    }

    /// The slot of each row, or none where its key is new.
    pub fn match_slots(&mut self, batch: &RecordBatch, before: u64) -> Result<Vec<Option<u64>>, TableError> {
        let mut slots = Vec::with_capacity(batch.num_rows());
        for (i, hash) in self.hashes(batch, before)?.into_iter().enumerate() {
            if !self.seen.insert(hash) {
                return Err(self.twice(batch, i, before));
            }
            slots.push(self.index.as_ref().and_then(|index| index.get(hash)));
        }
        Ok(slots)
    }

    /// Whether each row is the first of its key, which no row of the table has.
    pub fn fresh(&mut self, batch: &RecordBatch, before: u64) -> Result<BooleanArray, TableError> {
        let hashes = self.hashes(batch, before)?;
        Ok(hashes.into_iter().map(|hash| Some(self.index.as_ref().is_none_or(|index| index.get(hash).is_none()) && self.seen.insert(hash))).collect())
    }
}

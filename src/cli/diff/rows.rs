//! One batch of rows that differ, taken apart.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use serde_json::{Map, Value};

use crate::cli::error::CliError;
use crate::cli::value;
use crate::format::Type;
use crate::format::table::Column;
use crate::repo::RowDiff;
use crate::table::Table;

/// One of the two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The older.
    Before,
    /// The newer.
    After,
}

/// A column of a batch: its type and its cells.
pub type Cells<'a> = (&'a Type, &'a ArrayRef);

/// One batch of a [`RowDiff`] with all fields.
pub struct Rows<'a> {
    diff: &'a RowDiff,
    batch: &'a RecordBatch,
}

impl<'a> Rows<'a> {
    /// Of a batch that `diff` gave.
    pub fn new(diff: &'a RowDiff, batch: &'a RecordBatch) -> Rows<'a> {
        Rows { diff, batch }
    }

    /// Rows in it.
    pub fn count(&self) -> usize {
        self.batch.num_rows()
    }

    /// `added`, `removed` or `changed`.
    pub fn change(&self, row: usize) -> &'static str {
        match self.batch.column(0).as_string_opt::<i32>().map(|words| words.value(row)) {
            Some("added") => "added",
            Some("removed") => "removed",
            _ => "changed",
        }
    }

    /// The row's id.
    pub fn id(&self, row: usize) -> &str {
        self.batch.column(1).as_string_opt::<i32>().map_or("", |ids| ids.value(row))
    }

    /// The names of the columns that differ.
    pub fn columns(&self, row: usize) -> Vec<String> {
        let Some(lists) = self.batch.column(2).as_list_opt::<i32>().filter(|lists| lists.is_valid(row)) else { return Vec::new() };
        let names = lists.value(row);
        names.as_string_opt::<i32>().map(|names| names.iter().flatten().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The cells of a state, its table, and the columns that they are of, by index.
    fn side(&self, side: Side) -> Option<(&'a StructArray, &'a Arc<Table>, &'a [usize])> {
        let (before, after) = self.diff.shown();
        let (old, new) = (self.diff.old(), self.diff.new_state());
        match side {
            Side::Before => Some((self.batch.column(3).as_struct_opt()?, old.or(new)?, before)),
            Side::After => Some((self.batch.column(4).as_struct_opt()?, new.or(old)?, after)),
        }
    }

    /// The columns of a state, and their cells.
    pub fn all(&self, side: Side) -> impl Iterator<Item = (&'a Column, &'a ArrayRef)> {
        self.side(side).into_iter().flat_map(|(cells, table, shown)| {
            let columns = shown.iter().filter_map(|i| table.schema.columns.get(*i));
            columns.zip(cells.columns())
        })
    }

    /// One column of a state, by its index there.
    pub fn cells(&self, side: Side, column: usize) -> Option<Cells<'a>> {
        let (cells, table, shown) = self.side(side)?;
        let place = shown.iter().position(|i| *i == column)?;
        Some((&table.schema.columns.get(column)?.ty, cells.columns().get(place)?))
    }

    /// All the cells of a row in one state, by name.
    pub fn whole(&self, side: Side, row: usize) -> Result<Map<String, Value>, CliError> {
        self.all(side).map(|(column, array)| Ok((column.name.clone(), value::json(&column.ty, array, row)?))).collect()
    }

    /// The row's key as it is, or as it was where the row is gone; `None` in a table without one.
    pub fn key(&self, row: usize) -> Result<Option<Map<String, Value>>, CliError> {
        let side = if self.change(row) == "removed" { Side::Before } else { Side::After };
        let Some((_, table, _)) = self.side(side) else { return Ok(None) };
        let mut key = Map::new();
        for index in table.schema.key_indices() {
            let (Some((ty, array)), Some(column)) = (self.cells(side, index), table.schema.columns.get(index)) else { return Ok(None) };
            key.insert(column.name.clone(), value::json(ty, array, row)?);
        }
        Ok(Some(key).filter(|key| !key.is_empty()))
    }

    /// What to call the row: `id=3`, or its id.
    pub fn name(&self, row: usize) -> Result<String, CliError> {
        Ok(match self.key(row)? {
            Some(key) => key.iter().map(|(name, cell)| format!("{name}={}", plain(cell))).collect::<Vec<_>>().join(", "),
            None => self.id(row).to_owned(),
        })
    }
}

/// A JSON value as text; text without its quotes.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

//! What the formats that have types of their own share: their batches brought to the columns' types, and cut to size.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};

use super::ReadOptions;
use super::conform::conform;
use super::error::{FileError, Place};
use super::guard::guarded;
use super::reading::{Found, Guess, Part};
use super::source::Source;
use crate::format::Type;

/// The columns of a file with a schema.
pub(super) fn find(source: &Source, schema: &Schema) -> Result<Found, FileError> {
    let mut seen = HashSet::new();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            return Err(source.bad(Place::File, format!("two columns are named '{}'", field.name())).with_hint("rename one in the file"));
        }
        let ty = Type::from_field(field).map_err(|e| source.bad(Place::File, format!("column '{}': {e}", field.name())))?;
        // A column of nulls alone takes the type that it has elsewhere.
        let guess = if *field.data_type() == DataType::Null { Guess::Texts(Default::default()) } else { Guess::Fixed(ty) };
        columns.push((field.name().clone(), guess));
    }
    Ok(Found { columns, open: false })
}

pub(super) struct Typed {
    pub source: Arc<Source>,
    /// For each column wanted: its place in the file, its type there and its type here.
    columns: Vec<(String, usize, Type, Type)>,
    waiting: Option<RecordBatch>,
    /// Rows that were handed out.
    rows: u64,
    limits: (usize, usize),
}

impl Typed {
    pub fn new(source: Arc<Source>, schema: &Schema, columns: &[(String, Type)], options: &ReadOptions) -> Result<Typed, FileError> {
        let mut places = Vec::with_capacity(columns.len());
        for (name, ty) in columns {
            let found = schema.fields().iter().enumerate().find(|(_, field)| field.name() == name);
            let (at, field) = found.ok_or_else(|| source.bad(Place::File, format!("has no column '{name}'")))?;
            let from = Type::from_field(field).map_err(|e| source.bad(Place::File, format!("column '{name}': {e}")))?;
            places.push((name.clone(), at, from, ty.clone()));
        }
        Ok(Typed { source, columns: places, waiting: None, rows: 0, limits: (options.batch_rows.max(1), options.batch_bytes.max(1)) })
    }

    /// The next batch of the file.
    pub fn take(&mut self, batch: RecordBatch) {
        self.waiting = Some(batch).filter(|b| b.num_rows() > 0);
    }

    /// A part of what was taken; `None` when it is used up.
    pub fn next(&mut self) -> Result<Option<Part>, FileError> {
        let Some(batch) = self.waiting.take() else { return Ok(None) };
        // Not the buffers' sizes: slices share them. The estimate is of an even spread.
        let bytes: usize = batch.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let even = (self.limits.1 as u128 * batch.num_rows() as u128 / bytes.max(1) as u128).try_into().unwrap_or(usize::MAX);
        let rows = batch.num_rows().min(self.limits.0).min(even).max(1);
        let part = batch.slice(0, rows);
        if rows < batch.num_rows() {
            self.waiting = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, at, from, to) in &self.columns {
            let column = part.columns().get(*at).ok_or_else(|| self.source.bad(Place::File, "a batch lacks a column"))?;
            let conformed = guarded(|| conform(column, from, to)).map_err(|panic| self.source.bad(Place::Row(self.rows + 1), panic))?;
            columns.push(conformed.map_err(|clash| {
                let place = clash.row.map_or(Place::Row(self.rows + 1), |row| Place::Row(self.rows + row as u64 + 1));
                clash.misfit.at(&self.source.name, place, name)
            })?);
        }
        self.rows += rows as u64;
        Ok(Some(Part::new(columns, rows)))
    }
}

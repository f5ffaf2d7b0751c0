//! The rows of one table that differ as a file, in the columns that SQL's `diff(A, B, TABLE)` gives.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::Differing;
use crate::cli::error::CliError;

/// The rows, a batch at a time: at most `limit` of each kind. With `flat`, a column for each field of `before` and `after`, called `before.NAME` and
/// `after.NAME`; else those two are structs.
pub fn batches(table: &Differing, limit: u64, flat: bool) -> Result<(SchemaRef, impl Iterator<Item = Result<RecordBatch, CliError>> + use<>), CliError> {
    let rows = table.rows.clone().open_filtered(table.filter(limit))?;
    let nested = rows.schema();
    let schema = if flat { flattened(&nested) } else { nested };
    let given = schema.clone();
    let batches = rows.map(move |batch| {
        let batch = batch?;
        if !flat {
            return Ok(batch);
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(given.fields().len());
        for array in batch.columns() {
            match array.as_struct_opt() {
                Some(cells) => arrays.extend(cells.columns().iter().cloned()),
                None => arrays.push(array.clone()),
            }
        }
        RecordBatch::try_new(given.clone(), arrays).map_err(|e| CliError::fault(e.to_string()))
    });
    Ok((schema, batches))
}

fn flattened(nested: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for field in nested.fields() {
        match field.data_type() {
            DataType::Struct(inner) => {
                fields.extend(inner.iter().map(|f| Arc::new(f.as_ref().clone().with_name(format!("{}.{}", field.name(), f.name())).with_nullable(true))));
            }
            _ => fields.push(field.clone()),
        }
    }
    Arc::new(Schema::new(fields))
}

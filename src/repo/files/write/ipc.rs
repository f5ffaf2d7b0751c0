//! Arrow IPC files.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;

use super::super::error::{FileError, Place};
use super::target::Output;
use super::{Sink, Written};
use crate::format::Type;

pub(super) struct Arrow {
    writer: FileWriter<Output>,
    schema: SchemaRef,
    name: String,
}

fn refused(name: &str, error: ArrowError) -> FileError {
    match error {
        ArrowError::IoError(_, source) => FileError::io(name, source),
        other => FileError::bad(name, Place::File, other),
    }
}

impl Arrow {
    pub fn open(output: Output, columns: &[(String, Type)]) -> Result<Arrow, FileError> {
        let name = output.name.clone();
        let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(|(name, ty)| ty.field(name, true)).collect::<Vec<_>>()));
        let writer = FileWriter::try_new(output, &schema).map_err(|e| refused(&name, e))?;
        Ok(Arrow { writer, schema, name })
    }
}

impl Sink for Arrow {
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns.to_vec(), &options).map_err(FileError::usage)?;
        self.writer.write(&batch).map_err(|e| refused(&self.name, e))
    }

    fn finish(mut self: Box<Self>) -> Result<Written, FileError> {
        self.writer.finish().map_err(|e| refused(&self.name, e))?;
        let Arrow { writer, name, .. } = *self;
        writer.into_inner().map_err(|e| refused(&name, e))?.finish()
    }
}

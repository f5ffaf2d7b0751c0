//! Parquet files.

use std::fs::File;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::errors::ParquetError;
use arrow::array::RecordBatch;

use super::ReadOptions;
use super::error::{FileError, Place};
use super::guard::guarded;
use super::reading::{Found, Part, Parts, Reader};
use super::source::Source;
use super::typed;
use crate::base::Progress;
use crate::format::Type;

/// Bytes of a column's values on average: larger ones would break the bound on memory.
const VALUE_MAX: i64 = 256 << 20;

pub(super) struct Parquet {
    source: Arc<Source>,
    metadata: ArrowReaderMetadata,
}

impl Parquet {
    pub fn open(source: Arc<Source>) -> Result<Parquet, FileError> {
        let file = source.seekable()?;
        let metadata = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()));
        let metadata = metadata.map_err(|panic| source.bad(Place::File, panic))?.map_err(|e| refusal(&source, Place::File, e))?;
        // With the footer in the clear, the columns may still not be.
        if metadata.metadata().row_groups().iter().any(|group| group.columns().iter().any(|column| column.crypto_metadata().is_some())) {
            return Err(encrypted(&source, Place::File));
        }
        let columns = || metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
        if let Some(column) = columns().find(|column| column.uncompressed_size() / column.num_values().max(1) > VALUE_MAX) {
            let what =
                format!("column '{}' has values of {} MiB", column.column_path().string(), (column.uncompressed_size() / column.num_values().max(1)) >> 20);
            return Err(source.bad(Place::File, what).with_hint("dsv imports values of up to 256 MiB from tables; keep larger ones as files, for --media"));
        }
        Ok(Parquet { source, metadata })
    }

    /// Rows of a batch, so that the widest row group's batches keep to the bytes.
    fn batch_rows(&self, options: &ReadOptions) -> usize {
        let mut rows = options.batch_rows;
        for group in self.metadata.metadata().row_groups() {
            let bytes = usize::try_from(group.total_byte_size()).unwrap_or(0);
            let of_group = usize::try_from(group.num_rows()).unwrap_or(0);
            if let Some(row) = bytes.checked_div(of_group).filter(|row| *row > 0) {
                rows = rows.min(options.batch_bytes / row);
            }
        }
        rows.max(1)
    }
}

fn encrypted(source: &Source, place: Place) -> FileError {
    source.bad(place, "the Parquet file is encrypted").with_hint("write it again without encryption: dsv keeps no keys")
}

fn refusal(source: &Source, place: Place, error: ParquetError) -> FileError {
    let text = error.to_string();
    let refused = source.bad(place, format!("is not a Parquet file that can be read: {text}"));
    if text.contains("decrypt") || text.contains("encrypt") {
        return encrypted(source, place);
    }
    if text.contains("EOF") || text.contains("Corrupt footer") || text.contains("Invalid Parquet file") || text.contains("smaller than") {
        return refused.with_hint("is it cut short? fetch or write it again");
    }
    refused
}

impl Reader for Parquet {
    fn find(&self, _: &ReadOptions, _: &dyn Fn(&str) -> bool, progress: &Arc<dyn Progress>) -> Result<Found, FileError> {
        progress.advance(self.source.length);
        typed::find(&self.source, self.metadata.schema())
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        let file = self.source.seekable()?;
        let builder = ParquetRecordBatchReaderBuilder::<File>::new_with_metadata(file, self.metadata.clone()).with_batch_size(self.batch_rows(options));
        let reader = guarded(|| builder.build()).map_err(|panic| self.source.bad(Place::File, panic))?;
        let reader = reader.map_err(|e| refusal(&self.source, Place::File, e))?;
        Ok(Box::new(ParquetParts {
            reader,
            rows: 0,
            rows_total: self.metadata.metadata().file_metadata().num_rows().max(1).unsigned_abs(),
            told: 0,
            typed: typed::Typed::new(self.source.clone(), self.metadata.schema(), columns, options)?,
            progress: progress.clone(),
        }))
    }
}

struct ParquetParts {
    reader: ParquetRecordBatchReader,
    rows: u64,
    rows_total: u64,
    told: u64,
    typed: typed::Typed,
    progress: Arc<dyn Progress>,
}

impl ParquetParts {
    fn read(&mut self) -> Result<Option<RecordBatch>, FileError> {
        let source = &self.typed.source;
        let place = Place::Row(self.rows + 1);
        let next = guarded(|| self.reader.next()).map_err(|panic| source.bad(place, panic))?;
        let Some(batch) = next.transpose().map_err(|e| refusal(source, place, ParquetError::ArrowError(e.to_string())))? else {
            self.progress.advance(source.length.saturating_sub(self.told));
            return Ok(None);
        };
        self.rows += batch.num_rows() as u64;
        // Columns lie apart in the file: progress goes by rows.
        let done = u128::from(source.length) * u128::from(self.rows.min(self.rows_total)) / u128::from(self.rows_total);
        let done = u64::try_from(done).unwrap_or(source.length);
        self.progress.advance(done.saturating_sub(self.told));
        self.told = self.told.max(done);
        Ok(Some(batch))
    }
}

impl Parts for ParquetParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        loop {
            if let Some(part) = self.typed.next()? {
                return Ok(Some(part));
            }
            match self.read()? {
                Some(batch) => self.typed.take(batch),
                None => return Ok(None),
            }
        }
    }
}

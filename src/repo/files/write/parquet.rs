//! Parquet with zstd, and the Arrow schema in it: types come back whole, those that Parquet lacks included.

use std::io::Write;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};

use super::super::error::FileError;
use super::target::{Output, ZSTD_LEVEL};
use super::{Sink, Written};
use crate::format::Type;

/// A row group is written when it has so many bytes: it stands in memory until then.
const GROUP_BYTES: usize = 64 << 20;

pub(super) struct Parquet {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    name: String,
}

impl Parquet {
    pub fn open(output: Output, columns: &[(String, Type)]) -> Result<Parquet, FileError> {
        let name = output.name.clone();
        if let Some((column, ty)) = columns.iter().find(|(_, ty)| !fits(ty)) {
            return Err(
                FileError::usage(format!("column '{column}': Parquet has no place for {ty}, a struct without fields")).with_hint("write JSON lines or Arrow")
            );
        }
        let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(|(name, ty)| ty.field(name, true)).collect::<Vec<_>>()));
        let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
        let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).set_created_by(format!("dsv {}", env!("CARGO_PKG_VERSION")));
        for (name, ty) in columns {
            // Encoded files and vectors do not shrink, and their extremes tell nothing.
            if ty.is_media() || *ty == Type::BINARY || matches!(ty, Type::Embedding { .. } | Type::Tensor { .. }) {
                for path in [ColumnPath::from(name.as_str()), ColumnPath::new(vec![name.clone(), "list".to_owned(), "item".to_owned()])] {
                    properties = properties.set_column_dictionary_enabled(path.clone(), false).set_column_statistics_enabled(path, EnabledStatistics::None);
                }
            }
            if ty.is_media() {
                properties = properties.set_column_compression(ColumnPath::from(name.as_str()), Compression::UNCOMPRESSED);
            }
        }
        let writer = ArrowWriter::try_new(output, schema.clone(), Some(properties.build())).map_err(|e| refused(&name, e))?;
        Ok(Parquet { writer, schema, name })
    }
}

fn refused(name: &str, error: ::parquet::errors::ParquetError) -> FileError {
    match error {
        ::parquet::errors::ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => FileError::io(name, *error),
            Err(other) => FileError::io(name, std::io::Error::other(other)),
        },
        other => FileError::bad(name, super::super::Place::File, other),
    }
}

/// Parquet has no structs without fields, and no decimals of a negative scale.
fn fits(ty: &Type) -> bool {
    match ty {
        Type::Struct(fields) => !fields.is_empty() && fields.iter().all(|(_, ty)| fits(ty)),
        Type::List(item) => fits(item),
        Type::Map(key, value) => fits(key) && fits(value),
        Type::Plain(DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) => *scale >= 0,
        _ => true,
    }
}

impl Sink for Parquet {
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns.to_vec(), &options).map_err(FileError::usage)?;
        self.writer.write(&batch).map_err(|e| refused(&self.name, e))?;
        if self.writer.in_progress_size().max(self.writer.memory_size()) > GROUP_BYTES {
            self.writer.flush().map_err(|e| refused(&self.name, e))?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, FileError> {
        let Parquet { writer, name, .. } = *self;
        let mut output = writer.into_inner().map_err(|e| refused(&name, e))?;
        output.flush().map_err(|e| FileError::io(&name, e))?;
        output.finish()
    }
}

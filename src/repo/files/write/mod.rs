//! Rows written as files of other tools, so that reading them back gives the same rows.
//!
//! A file is written under a temporary name beside its target and renamed at the end; whatever fails, the file that was there stays.
//!
//! | format | what is lost |
//! |---|---|
//! | Parquet, Arrow | nothing |
//! | JSON | types, which `--types` brings back; the bits of NaNs |
//! | CSV | the same; a null and an empty text in a table of one column |
//! | images | the same, of the columns that stand in `rows.jsonl` beside the pictures |
//! | npy, WebDataset | all that is not in their columns |

mod csv;
mod images;
mod ipc;
mod json;
mod npy;
mod parquet;
mod target;
mod webdataset;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};

use super::conform::conform;
use super::error::{FileError, Place};
use super::{Compression, FileFormat};
use crate::base::Progress;
use crate::format::Type;
use target::Output;

/// Where rows go.
pub enum Target {
    /// A file, or for images a folder.
    Path(PathBuf),
    /// A stream, under a name for messages.
    Writer(String, Box<dyn Write + Send>),
}

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The format; otherwise that of the name.
    pub format: Option<FileFormat>,
    /// The compression; otherwise that of the name.
    pub compression: Option<Compression>,
    /// The delimiter of CSV, if not the comma.
    pub delimiter: Option<u8>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Files: one, or as many as there are images.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The rows could not be had.
    #[error(transparent)]
    Rows(E),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Takes batches and makes a file of them.
trait Sink {
    /// `columns` are of the layout that the columns' types have.
    fn batch(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), FileError>;
    /// Completes what was written, in its place.
    fn finish(self: Box<Self>) -> Result<Written, FileError>;
}

/// Rows before this batch, for messages.
struct Counted {
    rows: u64,
}

/// Writes all the batches, whose columns have the names and types of `columns`. After an error the target is as it was.
pub fn write<E>(
    target: Target,
    columns: &[(String, Type)],
    batches: &mut dyn Iterator<Item = Result<RecordBatch, E>>,
    options: &WriteOptions,
    progress: &Arc<dyn Progress>,
) -> Result<Written, WriteError<E>> {
    let name = match &target {
        Target::Path(path) => path.display().to_string(),
        Target::Writer(name, _) => name.clone(),
    };
    let format = match (options.format, FileFormat::of_name(&name), &target) {
        (Some(format), ..) | (None, Some(format), _) => format,
        (None, None, Target::Path(path)) if path.is_dir() || name.ends_with('/') => FileFormat::Images,
        (None, None, _) => {
            let hint = "end it with .csv, .tsv, .jsonl, .json, .parquet, .arrow, .npy, .tar or / (a folder of images), or say --format";
            return Err(FileError::usage(format!("'{name}' does not tell its format")).with_hint(hint).into());
        }
    };
    let mut sink = open(target, &name, format, columns, options)?;
    let mut counted = Counted { rows: 0 };
    for batch in batches {
        if progress.interrupted() {
            return Err(FileError::Interrupted.into());
        }
        let batch = batch.map_err(WriteError::Rows)?;
        let arrays = laid_out(&batch, columns, &name, &counted)?;
        sink.batch(&arrays, batch.num_rows())?;
        counted.rows += batch.num_rows() as u64;
        progress.advance(batch.num_rows() as u64);
    }
    let written = sink.finish()?;
    Ok(Written { rows: counted.rows, ..written })
}

fn laid_out(batch: &RecordBatch, columns: &[(String, Type)], name: &str, counted: &Counted) -> Result<Vec<ArrayRef>, FileError> {
    if batch.num_columns() != columns.len() {
        return Err(FileError::usage(format!("{} columns are named, a batch has {}", columns.len(), batch.num_columns())));
    }
    let arrays = columns.iter().zip(batch.columns()).map(|((column, ty), array)| {
        conform(array, ty, ty).map_err(|clash| clash.misfit.at(name, Place::Row(counted.rows + clash.row.map_or(0, |r| r as u64) + 1), column))
    });
    arrays.collect()
}

fn open(target: Target, name: &str, format: FileFormat, columns: &[(String, Type)], options: &WriteOptions) -> Result<Box<dyn Sink>, FileError> {
    if columns.is_empty() {
        return Err(FileError::usage("there are no columns to write"));
    }
    if format == FileFormat::Video {
        return Err(FileError::usage("a video cannot be written"));
    }
    if format == FileFormat::Images {
        return match target {
            Target::Path(folder) => Ok(Box::new(images::Images::open(folder, columns)?)),
            Target::Writer(..) => {
                Err(FileError::usage("a folder of images cannot be written to a stream").with_hint("name a folder, or use --format webdataset"))
            }
        };
    }
    let output = Output::create(target, options.compression.unwrap_or(Compression::of_name(name)))?;
    Ok(match format {
        FileFormat::Csv => Box::new(csv::Csv::open(output, columns, options.delimiter.unwrap_or(b','))?),
        FileFormat::Tsv => Box::new(csv::Csv::open(output, columns, options.delimiter.unwrap_or(b'\t'))?),
        FileFormat::JsonLines => Box::new(json::Json::open(output, columns, true)),
        FileFormat::Json => Box::new(json::Json::open(output, columns, false)),
        FileFormat::Parquet => Box::new(parquet::Parquet::open(output, columns)?),
        FileFormat::Arrow => Box::new(ipc::Arrow::open(output, columns)?),
        FileFormat::Npy => Box::new(npy::Npy::open(output, columns)?),
        FileFormat::WebDataset | FileFormat::Images | FileFormat::Video => Box::new(webdataset::WebDataset::open(output, columns)?),
    })
}

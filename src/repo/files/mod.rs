//! Files of other tools: read into Arrow batches, and written from them. Knows no repository.
//!
//! ```text
//! open   source (names, globs, compression, formats) -> reading (columns of all files, then parts in order) -> attach (media files)
//!        pointer/ (what Git LFS and DVC keep elsewhere)
//!        readers: csv  json  parquet  arrow  npy  images  webdataset  video/ (by ffmpeg)       build: cells to columns    conform: arrays to types
//! write  write/ (a temporary beside the target, renamed at the end)        print: cells to text
//! ```

mod ahead;
mod attach;
mod base64;
mod build;
mod calendar;
pub(in crate::repo) mod conform;
mod csv;
mod error;
mod guard;
mod images;
mod ipc;
mod json;
pub mod media;
mod npy;
mod number;
mod parquet;
#[cfg(feature = "git")]
pub(in crate::repo) mod pointer;
mod print;
mod reading;
mod source;
mod temp;
#[cfg(test)]
mod tests;
mod typed;
mod unify;
pub mod video;
mod webdataset;
pub mod write;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;

pub use base64::text as base64_text;
pub use error::{FileError, Place};
pub use media::{Check, Media, MediaKind};
#[cfg(feature = "git")]
pub use pointer::dvc_beside;
pub use source::{Compression, inputs, spool_stdin};
pub use temp::TempFile;
pub use unify::unify;

/// A cell of a column of that type as JSON, as exports have it; says why where it cannot be printed.
pub fn cell_json(ty: &crate::format::Type, array: &dyn arrow::array::Array, row: usize) -> Result<String, String> {
    let mut out = String::new();
    print::json(ty, array, row, &mut out).map(|()| out)
}

/// The numbers of a whole `.npy` file in the order of C, as a vector; says why where it holds no numbers.
pub fn npy_numbers(bytes: &[u8]) -> Result<Vec<f64>, String> {
    use arrow::array::AsArray;
    let header = npy::Header::parse(bytes)?;
    let cell = header.whole(bytes.get(header.start..).unwrap_or_default())?;
    let numbers = cell.as_fixed_size_list_opt().ok_or("it holds no numbers")?.values();
    let numbers = arrow::compute::cast(numbers, &arrow::datatypes::DataType::Float64).map_err(|e| e.to_string())?;
    Ok(numbers.as_primitive::<arrow::datatypes::Float64Type>().values().to_vec())
}

pub use write::{Target, WriteError, WriteOptions, Written, write};

use crate::base::Progress;
use crate::format::Type;
pub use crate::table::write::LargeCell;

/// A value of more bytes than this is kept apart from its batch, as docs/format.md section 7 does.
pub const LARGE_BYTES: u64 = 4 << 20;

/// The formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated text (RFC 4180), or with another delimiter.
    Csv,
    /// Tab-separated text.
    Tsv,
    /// One JSON object a line.
    JsonLines,
    /// A JSON document with an array of objects.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, as a file or a stream; Feather of version 2.
    Arrow,
    /// NumPy's array file.
    Npy,
    /// A folder of images, or some images by name.
    Images,
    /// A tar of samples: files of one name and several extensions.
    WebDataset,
    /// A video, or a folder of them: only where [`ReadOptions::video`] says what is taken of it.
    Video,
}

impl std::str::FromStr for FileFormat {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "csv" => FileFormat::Csv,
            "tsv" => FileFormat::Tsv,
            "jsonl" | "ndjson" => FileFormat::JsonLines,
            "json" => FileFormat::Json,
            "parquet" => FileFormat::Parquet,
            "arrow" | "ipc" | "feather" => FileFormat::Arrow,
            "npy" => FileFormat::Npy,
            "images" => FileFormat::Images,
            "webdataset" | "tar" => FileFormat::WebDataset,
            _ => {
                return Err(FileError::usage(format!("'{text}' is not a file format"))
                    .with_hint("formats: csv, tsv, jsonl, json, parquet, arrow, npy, images, webdataset"));
            }
        })
    }
}

/// Files kept elsewhere, under the names that they go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The folder that paths in them are relative to.
    pub folder: PathBuf,
    /// Their names, from which formats are told and which errors have, and where their bytes are.
    pub files: Vec<(String, PathBuf)>,
    /// They are the files of one folder, with names relative to it.
    pub is_folder: bool,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file, or a folder of images.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// Files under other names than their own.
    Kept(Kept),
}

/// What to do about a media file that is missing or broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Fail.
    #[default]
    Stop,
    /// Leave the row out, and tell of it in [`Batches::skipped`].
    Skip,
    /// Make the cell null, and tell of it in [`Batches::skipped`].
    Null,
}

/// How to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The format of every input; otherwise told by content and name.
    pub format: Option<FileFormat>,
    /// Types of some columns, which must be there.
    pub types: Vec<(String, Type)>,
    /// Types of columns that may be there: those of the table that is appended to.
    pub hints: Vec<(String, Type)>,
    /// All columns, in order.
    pub schema: Option<Vec<(String, Type)>>,
    /// Columns in which an empty CSV field is an empty text, if they are of text.
    pub text_keys: Vec<String>,
    /// Where in a JSON document the array of rows is.
    pub records: Option<String>,
    /// Columns of paths, which become the files' bytes. Paths are relative to the file's folder, else to the working folder.
    pub media: Vec<String>,
    /// What a broken or missing media file does.
    pub on_error: OnError,
    /// How closely media files are looked at.
    pub check: Check,
    /// The inputs are videos, read in this way.
    pub video: Option<video::VideoOptions>,
    /// The delimiter of CSV files, which is otherwise found out.
    pub delimiter: Option<u8>,
    /// Whether CSV files start with a line of names.
    pub header: bool,
    /// Texts, besides the empty one, that mean null in CSV fields without quotes.
    pub null_values: Vec<String>,
    /// The most rows of a batch.
    pub batch_rows: usize,
    /// The bytes that a batch may have before it is cut; one row may exceed them.
    pub batch_bytes: usize,
    /// Media values of more bytes are not loaded, but returned as [`LargeCell`].
    pub large_bytes: u64,
    /// Where temporary files go; otherwise the system's folder.
    pub spool_folder: Option<PathBuf>,
    /// What the reading of rows is called as a stage of progress. It begins with the first batch asked for, and is the caller's to finish.
    pub stage: &'static str,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            format: None,
            types: vec![],
            hints: vec![],
            schema: None,
            text_keys: vec![],
            records: None,
            media: vec![],
            on_error: OnError::Stop,
            check: Check::default(),
            video: None,
            delimiter: None,
            header: true,
            null_values: vec![],
            batch_rows: 8192,
            batch_bytes: 32 << 20,
            large_bytes: LARGE_BYTES,
            spool_folder: None,
            stage: "reading",
        }
    }
}

/// The file to read in the place of a media file, which may be a pointer to one; says why where it cannot be had.
#[cfg(feature = "git")]
fn through(path: PathBuf) -> Result<PathBuf, String> {
    pointer::through(path)
}

/// Without Git every file stands for itself.
#[cfg(not(feature = "git"))]
fn through(path: PathBuf) -> Result<PathBuf, String> {
    Ok(path)
}

/// Rows in the order of the input, all of one file.
#[derive(Debug)]
pub struct Batch {
    /// The cells; the fields are [`Type::field`] of [`Batches::columns`], all nullable.
    pub rows: RecordBatch,
    /// Cells that are null in `rows`, but should be the bytes of a file.
    pub large: Vec<LargeCell>,
    /// Temporary files among those of `large`; they go with the batch.
    pub held: Vec<TempFile>,
    /// Which of the inputs the rows come from.
    pub file: usize,
    /// Rows of that file before these, those that were left out not counted.
    pub first_row: u64,
}

/// A row that was left out, or a cell that was made null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file that has the row.
    pub file: String,
    /// The row in that file, from 1; 0 where it is none in particular.
    pub row: u64,
    /// What was wrong.
    pub why: String,
}

/// The rows of some files, as one table.
pub trait Batches: Send {
    /// Names and types.
    fn columns(&self) -> &[(String, Type)];
    /// The next rows, at least one; `None` at the end. After an error there is no use in going on.
    fn next(&mut self) -> Result<Option<Batch>, FileError>;
    /// What was left out so far; complete at the end.
    fn skipped(&self) -> &[Skipped];
}

/// Opens files as one table: columns are matched by name and their types unified. Where a format has no types of its own, everything
/// is read twice: once to find types that hold every value exactly, once to read. Memory stays bounded.
pub fn open(inputs: &[Input], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Batches>, FileError> {
    let sources = source::find(inputs, options, progress)?;
    if sources.is_empty() {
        return Err(FileError::usage("no file is given"));
    }
    if options.media.is_empty() {
        return Ok(Box::new(ahead::Ahead::new(reading::Files::open(sources, options, progress)?)));
    }
    Ok(Box::new(ahead::Ahead::new(attach::Attached::open(sources, options, progress)?)))
}

//! Rows as an answer: to the terminal, as JSON lines, or as a file of any format.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::context::Context;
use super::error::CliError;
use super::ui::{format, rows};
use crate::base::{NoProgress, Progress};
use crate::format::Type;
use crate::repo::files::{self, FileFormat, Target, WriteError, WriteOptions, Written};

/// How to write an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// A Markdown table.
    Markdown,
    /// A file's format.
    File(FileFormat),
}

impl Form {
    /// From `--format`; `json` means lines, as everywhere under `--json`.
    pub fn parse(text: &str) -> Result<Form, CliError> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "table" => Form::Table,
            "markdown" | "md" => Form::Markdown,
            "json" | "jsonl" => Form::File(FileFormat::JsonLines),
            _ => match text.parse() {
                Ok(format @ (FileFormat::Csv | FileFormat::Tsv | FileFormat::Parquet | FileFormat::Arrow)) => Form::File(format),
                _ => {
                    let error = CliError::usage(format!("'{text}' is not a format of answers"));
                    return Err(error.hint("formats: table, csv, tsv, json, parquet, arrow, markdown"));
                }
            },
        })
    }

    /// From a file's name.
    pub fn of_path(path: &Path) -> Option<Form> {
        if path.extension().is_some_and(|e| e == "md") {
            return Some(Form::Markdown);
        }
        FileFormat::of_name(&path.to_string_lossy()).map(Form::File)
    }

    /// True where the bytes are no text.
    fn is_binary(self) -> bool {
        matches!(self, Form::File(FileFormat::Parquet | FileFormat::Arrow))
    }
}

/// The types of an answer's columns; columns of types that dsv does not store are refused by the formats of files.
pub fn columns(schema: &SchemaRef) -> Result<Vec<(String, Type)>, CliError> {
    let column = |field: &Arc<arrow::datatypes::Field>| match Type::from_field(field) {
        Ok(ty) => Ok((field.name().clone(), ty)),
        Err(e) => Err(CliError::fault(format!("column '{}': {e}", field.name()))),
    };
    schema.fields().iter().map(column).collect()
}

/// Prints rows to stdout in that form; returns how many.
pub fn print(context: &Context, form: Form, schema: &SchemaRef, batches: &mut dyn Iterator<Item = Result<RecordBatch, CliError>>) -> Result<u64, CliError> {
    let ui = &context.ui;
    if form.is_binary() && ui.width.is_some() {
        return Err(CliError::usage("binary data would go to the terminal").hint("write it to a file with -o FILE"));
    }
    match form {
        Form::Table => {
            let mut out = ui.page();
            let rows = rows::table(ui, &mut out, schema, batches)?;
            out.finish()?;
            Ok(rows)
        }
        Form::Markdown => {
            let mut out = ui.page();
            let rows = rows::markdown(&mut out, schema, batches)?;
            out.finish()?;
            Ok(rows)
        }
        Form::File(format) => {
            let options = WriteOptions { format: Some(format), ..WriteOptions::default() };
            let target = Target::Writer("stdout".to_owned(), Box::new(ui.out()));
            let no_progress: Arc<dyn Progress> = Arc::new(NoProgress);
            Ok(write(target, &columns(schema)?, batches, &options, &no_progress)?.rows)
        }
    }
}

/// Refuses to write over a file unless `force` says so.
pub fn refuse_taken(path: &Path, force: bool) -> Result<(), CliError> {
    if path.is_file() && !force {
        return Err(CliError::usage(format!("'{}' exists already", path.display())).hint("--force writes over it"));
    }
    Ok(())
}

/// Writes rows to a file in a form, or in that of its name, and says how many.
pub fn save(
    context: &Context,
    path: &Path,
    form: Option<Form>,
    force: bool,
    schema: &SchemaRef,
    batches: &mut dyn Iterator<Item = Result<RecordBatch, CliError>>,
    progress: &Arc<dyn Progress>,
) -> Result<(), CliError> {
    let shown = path.display();
    let path = &context.path(path);
    refuse_taken(path, force)?;
    let (rows, size) = match form.or_else(|| Form::of_path(path)) {
        Some(text @ (Form::Table | Form::Markdown)) => {
            let failed = |e: std::io::Error| CliError::fault(format!("{shown}: {e}"));
            let mut file = BufWriter::new(File::create(path).map_err(failed)?);
            let rows = match text {
                Form::Markdown => rows::markdown(&mut file, schema, batches)?,
                _ => rows::table(&context.ui.plain(), &mut file, schema, batches)?,
            };
            file.flush().map_err(failed)?;
            (rows, file.get_ref().metadata().map_err(failed)?.len())
        }
        other => {
            let format = match other {
                Some(Form::File(format)) => Some(format),
                _ => None,
            };
            let options = WriteOptions { format, ..WriteOptions::default() };
            let written = write(Target::Path(path.to_owned()), &columns(schema)?, batches, &options, progress)?;
            (written.rows, written.bytes)
        }
    };
    context.ui.note(format!("Wrote {} to {shown} ({})", format::plural(rows, "row"), format::bytes(size)));
    Ok(())
}

/// Writes rows to a file, or another target.
pub fn write(
    target: Target,
    columns: &[(String, Type)],
    batches: &mut dyn Iterator<Item = Result<RecordBatch, CliError>>,
    options: &WriteOptions,
    progress: &Arc<dyn Progress>,
) -> Result<Written, CliError> {
    files::write(target, columns, batches, options, progress).map_err(|e| match e {
        WriteError::Rows(e) => e,
        WriteError::File(files::FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => source.into(),
        WriteError::File(e) => e.into(),
    })
}

/// A path's target; `-` is stdout.
pub fn target(context: &Context, file: &str) -> Target {
    if file == "-" { Target::Writer("stdout".to_owned(), Box::new(context.ui.out())) } else { Target::Path(target_path(context, file)) }
}

/// A path relative to `-C DIR` that keeps its last slash, which says that it is a folder.
pub fn target_path(context: &Context, file: &str) -> PathBuf {
    let path = context.path(file);
    if file.ends_with('/') && !path.as_os_str().to_string_lossy().ends_with('/') { path.join("") } else { path }
}

/// The first cell of a batch as JSON writes it; text without its quotes.
pub fn cell_text(columns: &[(String, Type)], batch: &RecordBatch) -> Result<String, CliError> {
    let buffer = Buffer::default();
    let options = WriteOptions { format: Some(FileFormat::JsonLines), ..WriteOptions::default() };
    let target = Target::Writer("stdout".to_owned(), Box::new(buffer.clone()));
    let no_progress: Arc<dyn Progress> = Arc::new(NoProgress);
    write(target, columns, &mut std::iter::once(Ok(batch.clone())), &options, &no_progress)?;
    let bytes = std::mem::take(&mut *buffer.0.lock().unwrap_or_else(PoisonError::into_inner));
    let line: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes).map_err(|e| CliError::fault(e.to_string()))?;
    Ok(match line.into_iter().next() {
        Some((_, serde_json::Value::String(text))) => text,
        Some((_, value)) => value.to_string(),
        None => String::new(),
    })
}

/// Bytes in memory that outlive the writer that they are given to.
#[derive(Debug, Default, Clone)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

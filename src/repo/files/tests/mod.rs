//! Reading and writing together.

mod bad;
mod parquet;
mod real;
mod round_trip;
mod several;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::*;
use crate::base::NoProgress;

/// The folder of real data, or `None`, said on standard error.
pub(super) fn real_data() -> Option<PathBuf> {
    let path = match std::env::var_os("DSV_TEST_DATA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: data: no real data at {} (DSV_TEST_DATA)", path.display());
    None
}

/// All files below a folder, sorted.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(super) type Table = (Vec<(String, Type)>, RecordBatch);

pub(super) fn quiet() -> Arc<dyn Progress> {
    Arc::new(NoProgress)
}

/// All rows of some files, as one batch.
pub(super) fn read_all(paths: &[&Path], options: &ReadOptions) -> Result<Table, FileError> {
    let inputs: Vec<Input> = paths.iter().map(|p| Input::Path(p.to_path_buf())).collect();
    let mut batches = open(&inputs, options, &quiet())?;
    let columns = batches.columns().to_vec();
    let fields: Vec<_> = columns.iter().map(|(name, ty)| ty.field(name, true)).collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let mut all = Vec::new();
    while let Some(batch) = batches.next()? {
        assert!(batch.rows.num_rows() > 0 && batch.rows.num_rows() <= options.batch_rows);
        assert_eq!(batch.rows.schema(), schema);
        assert!(batch.large.is_empty(), "large cells are tested by themselves");
        all.push(batch.rows);
    }
    Ok((columns, concat_batches(&schema, &all).unwrap()))
}

pub(super) fn read(path: &Path) -> Result<Table, FileError> {
    read_all(&[path], &ReadOptions::default())
}

/// The same text as a file of that name in a new folder, read.
pub(super) fn read_text(name: &str, text: impl AsRef<[u8]>) -> Result<Table, FileError> {
    read_text_with(name, text, &ReadOptions::default())
}

pub(super) fn read_text_with(name: &str, text: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Table, FileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    read_all(&[&path], options)
}

pub(super) fn write_table(path: &Path, table: &Table) -> Result<Written, WriteError<Infallible>> {
    let (columns, rows) = table;
    // Several batches, so that seams are met.
    let step = rows.num_rows().div_ceil(3).max(1);
    let mut batches = (0..rows.num_rows()).step_by(step).map(|at| Ok(rows.slice(at, step.min(rows.num_rows() - at))));
    write(Target::Path(path.to_path_buf()), columns, &mut batches, &WriteOptions::default(), &quiet())
}

/// Types as text: `a: int64, b: text`.
pub(super) fn types(table: &Table) -> String {
    table.0.iter().map(|(name, ty)| format!("{name}: {ty}")).collect::<Vec<_>>().join(", ")
}

/// Rows as JSON lines, by the writer of this module.
pub(super) fn lines(table: &Table) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    write_table(&path, table).unwrap();
    std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect()
}

//! The yardstick: three states of the table as Parquet files with zstd, compared and merged by arrow-rs.

use std::fs::File;
use std::path::Path;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchReader};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::kernels::zip::zip;
use dsv::repo::Repo;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::data::TABLE;

const STATES: [(&str, &str); 3] = [("base", "main~1"), ("ours", "main"), ("theirs", "dev")];

fn writer(path: &Path, schema: arrow::datatypes::SchemaRef) -> ArrowWriter<File> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    ArrowWriter::try_new(File::create(path).expect("a file"), schema, Some(properties)).expect("a writer")
}

fn reader(dir: &Path, state: &str) -> ParquetRecordBatchReader {
    let file = File::open(dir.join(state)).expect("a file");
    ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").with_batch_size(65_536).build().expect("a reader")
}

/// Writes the three states.
pub fn write(repo: &Repo, dir: &Path) {
    for (name, revision) in STATES {
        let mut batches = repo.table(TABLE, Some(revision)).expect("the table").scan(repo.objects()).open().expect("a scan").map(|b| b.expect("rows"));
        let first = batches.next().expect("rows");
        let mut to = writer(&dir.join(name), first.schema());
        std::iter::once(first).chain(batches).for_each(|batch| to.write(&batch).expect("room"));
        to.close().expect("room");
    }
}

fn apart(a: &ArrayRef, b: &ArrayRef) -> BooleanArray {
    distinct(a, b).expect("columns of one type")
}

/// How many cells of ours and theirs differ.
pub fn diff(dir: &Path) -> u64 {
    let mut cells = 0;
    for (ours, theirs) in reader(dir, "ours").zip(reader(dir, "theirs")) {
        let (ours, theirs) = (ours.expect("rows"), theirs.expect("rows"));
        cells += ours.columns().iter().zip(theirs.columns()).map(|(a, b)| apart(a, b).true_count() as u64).sum::<u64>();
    }
    cells
}

/// Merges the three states into a file, cell by cell, and returns how many cells one side or the other changed.
pub fn merge(dir: &Path) -> u64 {
    let (base, ours, theirs) = (reader(dir, "base"), reader(dir, "ours"), reader(dir, "theirs"));
    let schema = RecordBatchReader::schema(&base);
    let mut to = writer(&dir.join("merged"), schema.clone());
    let mut changed = 0;
    for ((base, ours), theirs) in base.zip(ours).zip(theirs) {
        let (base, ours, theirs) = (base.expect("rows"), ours.expect("rows"), theirs.expect("rows"));
        let column = |i: usize| -> ArrayRef {
            let (b, o, t) = (base.column(i), ours.column(i), theirs.column(i));
            let (here, there) = (apart(b, o), apart(b, t));
            changed += (here.true_count() + there.true_count()) as u64;
            zip(&here, o, t).expect("columns of one type")
        };
        let columns: Vec<ArrayRef> = (0..base.num_columns()).map(column).collect();
        to.write(&RecordBatch::try_new(schema.clone(), columns).expect("columns of one length")).expect("room");
    }
    to.close().expect("room");
    changed
}

//! A table of 10 narrow columns in Parquet: importing it against rewriting it, and scanning the table against reading the file.

use std::fs::File;
use std::path::Path;

use dsv::repo::files::Input;
use dsv::repo::{ImportOptions, Repo};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use tempfile::TempDir;

use crate::Options;
use crate::data::rows;
use crate::race;
use crate::report::{over, ratio, side};

/// Rows are about 90 bytes each in memory.
const ROW_BYTES: u64 = 90;

fn writer(path: &Path, schema: arrow::datatypes::SchemaRef) -> ArrowWriter<File> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    ArrowWriter::try_new(File::create(path).expect("a file"), schema, Some(properties)).expect("a writer")
}

fn reader(path: &Path) -> ParquetRecordBatchReader {
    ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file")).expect("Parquet").with_batch_size(8192).build().expect("a reader")
}

fn import(into: &Path, table: &Path) -> Repo {
    let repo = Repo::init(into, "main").expect("a repository");
    repo.import("frames", &[Input::Path(table.to_owned())], &ImportOptions::default(), "import").expect("an import");
    repo
}

fn scan(dir: &Path, threads: usize) -> usize {
    let repo = Repo::open(dir).expect("the repository");
    let table = repo.table("frames", None).expect("the table");
    let count = |range: std::ops::Range<u64>| -> usize {
        table.scan(repo.objects()).slots(range).open().expect("a scan").map(|batch| batch.expect("a batch").num_rows()).sum()
    };
    match threads {
        1 => count(0..table.slots(repo.objects()).expect("rows")),
        _ => table.partitions(repo.objects(), threads).expect("ranges").into_par_iter().map(count).sum(),
    }
}

pub fn run(options: &Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let (table, repository) = (dir.path().join("frames.parquet"), dir.path().join("repository"));
    let count = options.mb.map_or(1_000_000, |mb| mb * 1_000_000 / ROW_BYTES);
    let mut to = writer(&table, rows(0..1).schema());
    for from in (0..count).step_by(50_000) {
        to.write(&rows(from..count.min(from + 50_000))).expect("room");
    }
    to.close().expect("room");
    import(&repository, &table);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
    let packs: u64 = std::fs::read_dir(repository.join(".dsv/packs")).expect("packs").map(|entry| size(&entry.expect("a pack").path())).sum();
    println!("  {count} rows of 10 columns: {:.1} MB in Parquet with zstd, {:.1} MB in the repository", size(&table) as f64 / 1e6, packs as f64 / 1e6);
    let [rewrite, import] = race(
        options.rounds,
        [
            side("reading Parquet and writing it with zstd (arrow-rs)", || {
                let into = TempDir::new_in(dir.path()).expect("a folder");
                let reader = reader(&table);
                let mut to = writer(&into.path().join("copy.parquet"), arrow::array::RecordBatchReader::schema(&reader));
                reader.for_each(|batch| to.write(&batch.expect("rows")).expect("room"));
                to.close().expect("room");
                into
            }),
            side("importing the Parquet", || {
                let into = TempDir::new_in(dir.path()).expect("a folder");
                (import(into.path(), &table), into)
            }),
        ],
    );
    ratio("import / rewriting, time", over(import, rewrite), 1.0, false);
    let threads = rayon::current_num_threads();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let [read, one, scanned, parallel] = race(
        options.rounds,
        [
            side("reading the Parquet (arrow-rs), one thread", || {
                assert_eq!(reader(&table).map(|batch| batch.expect("rows").num_rows()).sum::<usize>(), count as usize)
            }),
            side("open and scan, one thread", || alone.install(|| assert_eq!(scan(&repository, 1), count as usize))),
            side("open and scan, columns side by side", || assert_eq!(scan(&repository, 1), count as usize)),
            side("open and scan, a range of rows for each thread", || assert_eq!(scan(&repository, threads), count as usize)),
        ],
    );
    println!("  {:<58} {:>10.2}", "reading Parquet / scanning, one thread each", over(read, one));
    println!("  {:<58} {:>10.2}", "reading Parquet / scanning, columns side by side", over(read, scanned));
    ratio("reading Parquet / scanning with all threads", over(read, parallel), 2.0, true);
}

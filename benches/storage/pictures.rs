//! A folder of JPEGs: importing it against hashing its bytes, and random pictures against Parquet and the files themselves.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use dsv::repo::files::Input;
use dsv::repo::{ImportOptions, Repo};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use tempfile::TempDir;

use crate::Options;
use crate::data::{commit, draw, pictures};
use crate::race;
use crate::report::{over, ratio, side};

const PICKED: usize = 1000;

pub fn run(options: &Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("pictures");
    fs::create_dir(&folder).expect("a folder");
    let files = pictures(&folder, options.mb.unwrap_or(400) * 1_000_000);
    let bytes: u64 = files.iter().map(|file| fs::metadata(file).map_or(0, |m| m.len())).sum();
    println!("  {} JPEGs of {:.0} MB in all", files.len(), bytes as f64 / 1e6);
    import(options, dir.path(), &folder, &files);
    random(options, dir.path(), &folder, &files);
}

fn read(file: &Path, into: &mut Vec<u8>) {
    into.clear();
    File::open(file).and_then(|mut file| file.read_to_end(into)).expect("a picture");
}

fn import_folder(into: &Path, folder: &Path) -> Repo {
    let repo = Repo::init(into, "main").expect("a repository");
    repo.import("pictures", &[Input::Path(folder.to_owned())], &ImportOptions::default(), "import").expect("an import");
    repo
}

fn import(options: &Options, dir: &Path, folder: &Path, files: &[PathBuf]) {
    let mut whole = Vec::new();
    let mut ends = vec![0];
    for file in files {
        File::open(file).and_then(|mut file| file.read_to_end(&mut whole)).expect("a picture");
        ends.push(whole.len());
    }
    let pieces: Vec<&[u8]> = ends.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
    let mut buffer = Vec::new();
    let [hash, hash_all, read_hash, copy, import] = race(
        options.rounds,
        [
            side("hashing the bytes with BLAKE3, in memory, one thread", || black_box(blake3::hash(&whole))),
            side("the same, all threads", || pieces.par_iter().map(|piece| blake3::hash(piece).as_bytes()[0]).reduce(|| 0, |a, b| a ^ b)),
            side("reading the files and hashing each, one thread", || {
                for file in files {
                    read(file, &mut buffer);
                    black_box(blake3::hash(&buffer));
                }
            }),
            side("copying the files into one, synced", || {
                let mut to = tempfile::tempfile_in(dir).expect("a file");
                let mut bytes = Vec::new();
                for file in files {
                    read(file, &mut bytes);
                    to.write_all(&bytes).expect("room");
                }
                to.sync_all().expect("room");
                to
            }),
            side("importing the folder", || {
                let into = TempDir::new_in(dir).expect("a folder");
                (import_folder(into.path(), folder), into)
            }),
        ],
    );
    println!("  {:<58} {:>10.0} MB/s", "importing", whole.len() as f64 / 1e6 / import.as_secs_f64());
    ratio("import / hashing, throughput", over(hash, import), 0.8, true);
    println!("  {:<58} {:>10.2}", "import / hashing with all threads, throughput", over(hash_all, import));
    println!("  {:<58} {:>10.2}", "import / reading and hashing, throughput", over(read_hash, import));
    println!("  {:<58} {:>10.2}", "import / a synced copy, throughput", over(copy, import));
}

fn write_parquet(path: &Path, files: &[PathBuf]) {
    let mut writer: Option<ArrowWriter<File>> = None;
    for part in files.chunks(500) {
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(part.iter().map(|file| file.to_string_lossy())));
        let pictures: ArrayRef = Arc::new(BinaryArray::from_iter_values(part.iter().map(|file| fs::read(file).expect("a picture"))));
        let batch = RecordBatch::try_from_iter([("path", names), ("image", pictures)]).expect("two columns");
        let writer = writer.get_or_insert_with(|| {
            let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
            ArrowWriter::try_new(File::create(path).expect("a file"), batch.schema(), Some(properties)).expect("a writer")
        });
        writer.write(&batch).expect("room");
    }
    writer.expect("pictures").close().expect("room");
}

/// The pictures of some rows, which ascend, from a Parquet file with an index of its pages.
fn from_parquet(path: &Path, rows: &[usize]) -> usize {
    let options = ArrowReaderOptions::new().with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path).expect("a file"), options).expect("Parquet");
    let mut selectors = Vec::new();
    let mut at = 0;
    for row in rows {
        selectors.push(RowSelector::skip(row - at));
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["image"]);
    let reader = builder.with_projection(mask).with_row_selection(RowSelection::from(selectors)).build().expect("a reader");
    reader.map(|batch| batch.expect("rows").num_rows()).sum()
}

fn from_repository(dir: &Path, rows: &[u64]) -> usize {
    let repo = Repo::open(dir).expect("the repository");
    let table = repo.table("pictures", None).expect("the table");
    let column = table.schema.index("image").expect("the column");
    table.take(repo.objects(), rows, &[column]).expect("rows").num_rows()
}

fn random(options: &Options, dir: &Path, folder: &Path, files: &[PathBuf]) {
    let (repository, table) = (dir.join("repository"), dir.join("pictures.parquet"));
    commit(&import_folder(&repository, folder));
    write_parquet(&table, files);
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|row| draw(*row as u64, 40));
    order.truncate(PICKED);
    let mut picked = order.clone();
    picked.sort_unstable();
    let slots: Vec<u64> = picked.iter().map(|row| *row as u64).collect();
    let mut buffer = Vec::new();
    let [dsv, parquet, plain] = race(
        options.rounds,
        [
            side("1,000 random pictures: open, take", || assert_eq!(from_repository(&repository, &slots), picked.len())),
            side("1,000 random pictures: open Parquet, select", || assert_eq!(from_parquet(&table, &picked), picked.len())),
            side("1,000 random pictures: open and read their files", || picked.iter().for_each(|row| read(&files[*row], &mut buffer))),
        ],
    );
    ratio("Parquet / dsv", over(parquet, dsv), 50.0, true);
    ratio("dsv / files", over(dsv, plain), 1.0, false);
    let [dsv, parquet, plain] = race(
        options.rounds.min(3),
        [
            side("1,000 times: open, take one picture", || order.iter().for_each(|row| assert_eq!(from_repository(&repository, &[*row as u64]), 1))),
            side("1,000 times: open Parquet, select one picture", || order.iter().for_each(|row| assert_eq!(from_parquet(&table, &[*row]), 1))),
            side("1,000 times: open and read a file", || order.iter().for_each(|row| read(&files[*row], &mut buffer))),
        ],
    );
    ratio("an open for each: Parquet / dsv", over(parquet, dsv), 50.0, true);
    ratio("an open for each: dsv / files", over(dsv, plain), 1.0, false);
}

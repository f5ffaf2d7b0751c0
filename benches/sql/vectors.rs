//! The nearest 100 of a million embeddings, exactly, by cosine.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type};
use dsv::format::Type;
use dsv::query::{Param, Params};
use dsv::repo::{Repo, RepoError};
use dsv::table::write::RowWriter;
use serde_json::json;

use crate::Options;
use crate::data::{commit, draw};
use crate::peers::Peers;
use crate::report::{over, race_all, ratio, side};
use crate::sides::{Dsv, threads};

const ROWS: u64 = 1_000_000;
const DIM: usize = 512;
const STEP: u64 = 8192;
const SQL: &str = "SELECT id FROM vectors ORDER BY cosine_distance(embedding, :q) LIMIT 100";

/// Numbers between -1 and 1, two from each draw.
fn numbers(rows: std::ops::Range<u64>) -> Vec<f32> {
    let number = |bits: u64| (bits as u32 as f32 / u32::MAX as f32) * 2.0 - 1.0;
    let pairs = rows.flat_map(|row| (0..DIM as u64 / 2).map(move |pair| draw(row, pair)));
    pairs.flat_map(|bits| [number(bits), number(bits >> 32)]).collect()
}

fn vectors(numbers: Vec<f32>) -> FixedSizeListArray {
    let item = Arc::new(Field::new_list_field(DataType::Float32, false));
    FixedSizeListArray::new(item, DIM as i32, Arc::new(Float32Array::from(numbers)), None)
}

/// A table of them, and their bytes alone in a file.
fn made(dir: &Path, count: u64) -> (Repo, File) {
    let repo = Repo::init(&dir.join("repository"), "main").expect("a repository");
    let embedding = Type::Embedding { dim: DIM as u32, half: false };
    let columns = [("id".to_owned(), Type::Plain(DataType::Int64)), ("embedding".to_owned(), embedding)];
    repo.create_table("vectors", &columns, &[], "create").expect("a table");
    let path = dir.join("numbers");
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    let filled = repo.edit_table("vectors", "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for from in (0..count).step_by(STEP as usize) {
            let rows = from..count.min(from + STEP);
            let numbers = numbers(rows.clone());
            file.write_all(&numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()).expect("room");
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.map(|row| row as i64)));
            let batch = RecordBatch::try_from_iter([("id", ids), ("embedding", Arc::new(vectors(numbers)) as ArrayRef)]).expect("columns of one length");
            writer.push(&batch, &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    });
    filled.expect("rows");
    commit(&repo);
    file.flush().expect("room");
    (repo, File::open(&path).expect("the file"))
}

/// Reads all bytes of a file into memory that is used over and over, on all cores.
fn read_all(file: &File, bytes: u64) {
    let threads = threads() as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let (mut at, end) = (bytes * thread / threads, bytes * (thread + 1) / threads);
                let mut buffer = vec![0; 1 << 20];
                while at < end {
                    let part = &mut buffer[..(end - at).min(1 << 20) as usize];
                    file.read_exact_at(part, at).expect("the bytes");
                    std::hint::black_box(&part);
                    at += part.len() as u64;
                }
            });
        }
    });
}

fn ids(batches: &[RecordBatch]) -> HashSet<i64> {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

pub fn run(options: &Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let count = ROWS / options.part;
    let (repo, file) = made(dir.path(), count);
    let bytes = count * DIM as u64 * 4;
    let query = numbers(count..count + 1);
    let mut params = Params::new();
    params.set("q", Param::Text(json!(query).to_string()));
    let (dsv, peers) = (Dsv::new(repo), Peers::start(threads()));
    println!("  {count} x {DIM} float32, {:.0} MB: {SQL}", bytes as f64 / 1e6);
    let began = std::time::Instant::now();
    let found = ids(&dsv.batches(SQL, &params));
    println!("  {:<58} {:>10.1} ms", "dsv, the first time, every block verified", began.elapsed().as_secs_f64() * 1e3);
    let mut sides =
        vec![side("dsv", || assert_eq!(ids(&dsv.batches(SQL, &params)), found)), side("reading the bytes, on all cores", || read_all(&file, bytes))];
    if let Some(peers) = &peers {
        let lance = dir.path().join("vectors.lance");
        peers.ask(&json!({"do": "lance_from_vectors", "numbers": dir.path().join("numbers"), "rows": count, "dim": DIM, "to": lance}));
        let request = json!({"do": "nearest", "path": lance, "query": query, "k": 100});
        let found = &found;
        sides.push(side("Lance", move || {
            let answer = peers.ask(&request);
            let ids: HashSet<i64> = answer["ids"].as_array().expect("ids").iter().filter_map(|id| id.as_i64()).collect();
            // Sums of float32 in another order may exchange two at the edge.
            assert!(ids.intersection(found).count() >= 99, "the same rows are nearest");
        }));
    }
    let best = race_all(options.rounds, &mut sides);
    println!("  {:<58} {:>10.2} GB/s", "dsv", bytes as f64 / 1e9 / best[0].as_secs_f64());
    ratio("reading / dsv", over(best[1], best[0]), 0.7, true);
    if let Some(lance) = best.get(2) {
        ratio("Lance / dsv", over(*lance, best[0]), 2.0, true);
    }
}

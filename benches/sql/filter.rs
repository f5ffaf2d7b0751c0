//! Rows that pass a filter of numbers and text: 5 of 12 columns.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int32Array, RecordBatch};
use dsv::repo::files::Input;
use dsv::repo::{ImportOptions, Repo};

use crate::Options;
use crate::data;
use crate::peers::Peers;
use crate::report::{over, race_all, ratio, side};
use crate::sides::{Dsv, Parquet, threads, write_parquet};

const ROWS: u64 = 4_000_000;
const STEP: u64 = 50_000;

/// What is asked, each with the share of the rows that it gives.
const QUERIES: [(&str, &str); 3] = [
    ("4%", "SELECT id, score, label, caption, user FROM frames WHERE score > 0.9 AND label IN ('cat', 'dog') AND width >= 800"),
    ("a third", "SELECT id, score, label, caption, user FROM frames WHERE label IN ('cat', 'dog')"),
    ("1 in 4,000", "SELECT id, score, label, caption, user FROM frames WHERE user BETWEEN 100 AND 122"),
];

/// The ten columns of [`data::rows`], and two more.
fn rows(from: u64, to: u64) -> RecordBatch {
    let ten = data::rows(from..to);
    let motion: ArrayRef = Arc::new(Float64Array::from_iter_values((from..to).map(|row| (data::draw(row, 20) % 10_000) as f64 / 100.0)));
    let scene: ArrayRef = Arc::new(Int32Array::from_iter_values((from..to).map(|row| (row / 300) as i32)));
    let fields = ten.schema();
    let named = fields.fields().iter().map(|field| field.name().as_str()).zip(ten.columns().iter().cloned());
    let named = named.map(|(name, values)| (name, values.clone(), values.null_count() > 0 || name == "note"));
    RecordBatch::try_from_iter_with_nullable(named.chain([("motion", motion, false), ("scene", scene, false)])).expect("columns of one length")
}

/// Writes them as a Parquet file, and imports that.
fn made(dir: &Path, count: u64) -> (std::path::PathBuf, Repo) {
    let file = dir.join("frames.parquet");
    let steps = (0..count).step_by(STEP as usize);
    write_parquet(&file, rows(0, 1).schema(), steps.map(|from| rows(from, count.min(from + STEP))));
    let repo = Repo::init(&dir.join("repository"), "main").expect("a repository");
    repo.import("frames", &[Input::Path(file.clone())], &ImportOptions::default(), "import").expect("an import");
    (file, repo)
}

pub fn run(options: &Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, repo) = made(dir.path(), ROWS / options.part);
    let (dsv, peers) = (Dsv::new(repo), Peers::start(threads()));
    let tables: [(&str, &Path); 1] = [("frames", &file)];
    let (plain, pushed) = (Parquet::new(&tables, false), Parquet::new(&tables, true));
    for (share, sql) in QUERIES.into_iter().enumerate().filter(|(at, _)| options.query.is_none_or(|only| only == at + 1)).map(|(_, query)| query) {
        println!("  {share}: {sql}");
        let rows = dsv.rows(sql);
        let mut sides = vec![
            side("dsv", || assert_eq!(dsv.rows(sql), rows)),
            side("DataFusion over Parquet", || assert_eq!(plain.rows(sql), rows)),
            side("the same, filters pushed into its reader", || assert_eq!(pushed.rows(sql), rows)),
        ];
        if let Some(peers) = &peers {
            let sql = sql.replace("FROM frames", &format!("FROM read_parquet('{}')", file.display()));
            sides.push(side("DuckDB over Parquet", move || assert_eq!(peers.sql(&sql), rows)));
        }
        let best = race_all(options.rounds, &mut sides);
        ratio("DataFusion / dsv", over(best[1].min(best[2]), best[0]), 1.0, true);
        if let Some(duckdb) = best.get(3) {
            ratio("DuckDB / dsv", over(*duckdb, best[0]), 1.0, true);
        }
    }
}

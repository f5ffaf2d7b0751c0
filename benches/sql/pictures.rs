//! One row in a hundred of a table of pictures, found by a score.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use dsv::repo::files::Input;
use dsv::repo::{ImportOptions, Repo};
use serde_json::json;

use crate::Options;
use crate::data::{draw, pictures};
use crate::peers::{Peers, rows};
use crate::report::{over, race_all, ratio, side};
use crate::sides::{Dsv, Parquet, threads, write_parquet};

const BYTES: u64 = 800_000_000;

pub fn run(options: &Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let (folder, file, lance) = (dir.path().join("pictures"), dir.path().join("frames.parquet"), dir.path().join("frames.lance"));
    fs::create_dir(&folder).expect("a folder");
    let files = pictures(&folder, BYTES / options.part);
    let batch = |from: usize, to: usize| {
        let each = from as u64..to as u64;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(each.clone().map(|row| row as i64)))),
            ("score", Arc::new(Float64Array::from_iter_values(each.clone().map(|row| draw(row, 4) as f64 / u64::MAX as f64)))),
            ("caption", Arc::new(StringArray::from_iter_values(each.map(|row| format!("picture {row} of a series of {}", draw(row, 5) % 700))))),
            ("image", Arc::new(BinaryArray::from_iter_values(files[from..to].iter().map(|file| fs::read(file).expect("a picture"))))),
        ];
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    };
    write_parquet(&file, batch(0, 1).schema(), (0..files.len()).step_by(500).map(|from| batch(from, files.len().min(from + 500))));
    let repo = Repo::init(&dir.path().join("repository"), "main").expect("a repository");
    repo.import("frames", &[Input::Path(file.clone())], &ImportOptions::default(), "import").expect("an import");
    let (dsv, peers) = (Dsv::new(repo), Peers::start(threads()));
    let tables: [(&str, &Path); 1] = [("frames", &file)];
    let (plain, pushed) = (Parquet::new(&tables, false), Parquet::new(&tables, true));
    let sql = "SELECT id, caption, image FROM frames WHERE score > 0.99";
    let found = dsv.rows(sql);
    println!("  {sql}: {found} of {} pictures of {:.0} MB in all", files.len(), fs::metadata(&file).map_or(0, |m| m.len()) as f64 / 1e6);
    let mut sides = vec![
        side("dsv", || assert_eq!(dsv.rows(sql), found)),
        side("DataFusion over Parquet", || assert_eq!(plain.rows(sql), found)),
        side("the same, filters pushed into its reader", || assert_eq!(pushed.rows(sql), found)),
    ];
    if let Some(peers) = &peers {
        peers.ask(&json!({"do": "lance_from_parquet", "parquet": file, "to": lance}));
        let sql = sql.replace("FROM frames", &format!("FROM read_parquet('{}')", file.display()));
        sides.push(side("DuckDB over Parquet", move || assert_eq!(peers.sql(&sql), found)));
        let request = json!({"do": "lance", "path": lance, "columns": ["id", "caption", "image"], "filter": "score > 0.99"});
        sides.push(side("Lance", move || assert_eq!(rows(&peers.ask(&request)), found)));
    }
    let best = race_all(options.rounds, &mut sides);
    ratio("DataFusion / dsv", over(best[1].min(best[2]), best[0]), 5.0, true);
    if let [_, _, _, duckdb, lance] = best.as_slice() {
        ratio("DuckDB / dsv", over(*duckdb, best[0]), 5.0, true);
        ratio("Lance / dsv", over(*lance, best[0]), 1.0, true);
    }
}

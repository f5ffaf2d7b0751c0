//! The 22 queries of TPC-H at scale factor 1.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dsv::repo::files::Input;
use dsv::repo::{ImportOptions, Repo};

use crate::Options;
use crate::peers::python;
use crate::report::ratio;
use crate::sides::{Dsv, Parquet};

const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];
const QUERIES: usize = 22;

/// The folder that has the tables as Parquet files, made in `dir` where none is named.
fn folder(dir: &Path) -> Option<PathBuf> {
    if let Some(known) = std::env::var_os("DSV_TEST_TPCH").map(|folder| Path::new(&folder).join("1")).filter(|folder| folder.is_dir()) {
        return Some(known);
    }
    let Some(python) = python() else {
        println!("  skipped: DSV_TEST_TPCH names no folder with a folder '1', and DSV_BENCH_PYTHON is not set");
        return None;
    };
    let to = dir.join("tpch");
    let mut command = Command::new(python.with_file_name("tpchgen-cli"));
    command.args(["parquet", "--scale-factor", "1", "--compression", "ZSTD(1)", "--output-dir"]).arg(&to).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("tpchgen-cli").success(), "tpchgen-cli makes the tables");
    Some(to)
}

/// The bytes of all files below a folder.
fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) }).sum()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

fn timed(run: impl FnOnce() -> usize) -> (Duration, usize) {
    let began = Instant::now();
    let rows = run();
    (began.elapsed(), rows)
}

pub fn run(options: &Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(folder) = folder(dir.path()) else { return };
    let files: Vec<(&str, PathBuf)> = TABLES.iter().map(|table| (*table, folder.join(format!("{table}.parquet")))).collect();
    let bytes: u64 = files.iter().map(|(_, file)| file.metadata().expect("a Parquet file").len()).sum();
    let repository = dir.path().join("repository");
    let repo = Repo::init(&repository, "main").expect("a repository");
    let began = Instant::now();
    for (table, file) in &files {
        repo.import(table, &[Input::Path(file.clone())], &ImportOptions::default(), "import").expect("an import");
    }
    let (seconds, packs) = (began.elapsed().as_secs_f64(), size(&repository));
    println!("  imported in {seconds:.1} s: {:.1} MB of Parquet files, {:.1} MB of packs", bytes as f64 / 1e6, packs as f64 / 1e6);
    let tables: Vec<(&str, &Path)> = files.iter().map(|(table, file)| (*table, file.as_path())).collect();
    let (dsv, parquet) = (Dsv::new(repo), Parquet::new(&tables, false));
    let text = |number| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/tpch/q{number:02}.sql"))).expect("a query");
    let queries: Vec<(usize, String)> =
        (1..=QUERIES).filter(|number| options.query.is_none_or(|only| only == *number)).map(|number| (number, text(number))).collect();

    // By round and query, in seconds: dsv, then Parquet. The first round warms both up and does not count.
    let mut times = Vec::new();
    for round in 0..=options.rounds {
        let mut of_round = Vec::new();
        for (number, sql) in &queries {
            let mut sides = [(Duration::ZERO, 0); 2];
            // The two take turns in being first.
            for side in [round % 2, 1 - round % 2] {
                sides[side] = timed(|| if side == 0 { dsv.rows(sql) } else { parquet.rows(sql) });
            }
            assert_eq!(sides[0].1, sides[1].1, "rows of query {number}");
            of_round.push((sides[0].0.as_secs_f64(), sides[1].0.as_secs_f64()));
        }
        if round > 0 {
            let (dsv, parquet) = of_round.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
            println!("  round {round}: dsv {dsv:.2} s, Parquet {parquet:.2} s, {:.2} times as long", dsv / parquet);
            times.push(of_round);
        }
    }
    for (at, (number, _)) in queries.iter().enumerate() {
        let of = |side: fn(&(f64, f64)) -> f64| median(times.iter().map(|round| side(&round[at])).collect());
        let (dsv, parquet) = (of(|pair| pair.0), of(|pair| pair.1));
        println!("  query {number:>2}: dsv {:>8.1} ms, Parquet {:>8.1} ms, x {:>5.2}", dsv * 1e3, parquet * 1e3, dsv / parquet);
    }
    let sum = |round: &Vec<(f64, f64)>, side: fn(&(f64, f64)) -> f64| round.iter().map(side).sum::<f64>();
    let all = median(times.iter().map(|round| sum(round, |pair| pair.0) / sum(round, |pair| pair.1)).collect());
    ratio("all 22: dsv / DataFusion over Parquet, half of all rounds", all, 1.0, false);
}

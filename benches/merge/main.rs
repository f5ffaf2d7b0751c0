//! What diff and merge cost against the size of the table, at a constant change: 100 cells on each side of a table of 8 columns.
//!
//! ```text
//! cargo bench --profile full --no-default-features --bench merge                       100,000, 1,000,000 and 10,000,000 rows
//! cargo bench --profile full --no-default-features --bench merge -- --rows 1000000     no table larger than that
//! ```
//!
//! The repository is opened anew for each figure, and a merge counts with its commit. The yardstick does the same work on the same rows kept as
//! Parquet files, in the kindest case: rows are matched by their place, and columns are compared a batch at a time. It reads all, as whoever has but
//! files must, and so it grows with the table. Ratios travel between machines, times do not.

mod data;
mod files;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dsv::repo::{MergeOutcome, MergeRequest, Repo};
use dsv::table::diff::diff;

const SIZES: [u64; 3] = [100_000, 1_000_000, 10_000_000];
/// Cells that each side changes.
const CELLS: u64 = 100;
/// How many times as long the largest table may take as the smallest.
const FLAT: f64 = 2.0;
/// A yardstick that reads everything is run so many times at most.
const FILE_ROUNDS: usize = 3;

struct Options {
    rows_max: u64,
    rounds: usize,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { rows_max: u64::MAX, rounds: 15 };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).ok_or(format!("{argument} needs a number"));
        match argument.as_str() {
            "--rows" => options.rows_max = number()?.max(SIZES[0]),
            "--rounds" => options.rounds = number()?.max(1) as usize,
            // What cargo says to every benchmark.
            "--bench" => {}
            other => return Err(format!("'{other}' is none of: --rows N, --rounds N")),
        }
    }
    Ok(options)
}

/// One size, and the times that its rounds took.
struct Size {
    rows: u64,
    dir: tempfile::TempDir,
    times: [Vec<Duration>; 4],
}

impl Size {
    fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }
}

fn diff_once(dir: &Path) -> u64 {
    let repo = Repo::open(dir).expect("the repository");
    let [old, new] = ["main", "dev"].map(|revision| repo.table(data::TABLE, Some(revision)).expect("the table"));
    diff(repo.objects(), &old, &new).expect("a diff").cells_changed()
}

fn merge_once(dir: &Path) {
    let repo = Repo::open(dir).expect("the repository");
    let report = repo.merge(&["dev".to_owned()], &MergeRequest::default()).expect("a merge");
    assert!(matches!(report.outcome, MergeOutcome::Merged(Some(_))), "{:?}", report.outcome);
}

fn time<T>(into: &mut Vec<Duration>, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = run();
    into.push(start.elapsed());
    done
}

fn round(size: &mut Size, with_files: bool) {
    let (repository, dir) = (size.repository(), size.dir.path().to_owned());
    let [diffs, merges, file_diffs, file_merges] = &mut size.times;
    let cells = time(diffs, || diff_once(&repository));
    time(merges, || merge_once(&repository));
    Repo::open(&repository).expect("the repository").undo(None).expect("to take the merge back");
    if with_files {
        assert_eq!(cells, time(file_diffs, || files::diff(&dir)));
        let merged = time(file_merges, || files::merge(&dir));
        assert_eq!(merged, cells);
    }
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).map_or(f64::NAN, Duration::as_secs_f64) * 1e3
}

fn report(sizes: &[Size]) {
    let what = ["diff", "merge with its commit", "diff of two Parquet files", "merge of three Parquet files into a fourth"];
    for (i, what) in what.iter().enumerate() {
        let first = median(&sizes[0].times[i]);
        for size in sizes {
            let (n, times) = (size.times[i].len(), median(&size.times[i]));
            let ratio = times / first;
            let aim = match (i, ratio <= FLAT) {
                (2.., _) => "",
                (_, true) => "aim at most 2: met",
                (_, false) => "aim at most 2: MISSED",
            };
            println!("  {what:<44} {:>10} rows {times:>10.2} ms (half of {n})  x {ratio:>6.2}  {aim}", size.rows);
        }
    }
    let last = &sizes[sizes.len() - 1];
    for (name, own, file) in [("diff", 0, 2), ("merge", 1, 3)] {
        println!("  {name} at {} rows: the files take {:.0} times as long", last.rows, median(&last.times[file]) / median(&last.times[own]));
    }
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let mut sizes = Vec::new();
    for rows in SIZES.into_iter().filter(|rows| *rows <= options.rows_max) {
        let size = Size { rows, dir: tempfile::tempdir().expect("a folder"), times: Default::default() };
        let repo = data::repository(&size.repository(), rows);
        files::write(&repo, size.dir.path());
        sizes.push(size);
    }
    println!("\ndiff and merge of two branches that changed {CELLS} cells each, {} columns", data::COLUMNS);
    // The sizes take turns, so that what else the machine does hits all of them alike.
    for n in 0..options.rounds {
        for size in &mut sizes {
            round(size, n < FILE_ROUNDS);
        }
    }
    report(&sizes);
    ExitCode::SUCCESS
}

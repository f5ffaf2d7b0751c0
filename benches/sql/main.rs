//! What SQL over dsv's tables costs, beside DataFusion and DuckDB over Parquet files of the same rows, and beside Lance. The sides take turns, with as many threads each.
//!
//! ```text
//! make bench                                            everything, storage and merging with it
//! cargo bench --profile full --bench sql                what needs no Python
//! cargo bench --profile full --bench sql -- vectors --rounds 9 --part 10
//! ```
//!
//! Subjects: filter (5 of 12 columns of 4,000,000 rows), pictures (1% of them), vectors (the nearest 100 of 1,000,000 x 512), tpch (22 queries at scale factor 1). `--part N` takes one in N of the rows, `--query N` runs one query alone, of filter and tpch.
//!
//! DSV_BENCH_PYTHON names a Python that has what benches/requirements.txt lists; without one, DuckDB and Lance are left out, and TPC-H unless DSV_TEST_TPCH names a folder whose folder `1` holds its
//! Parquet files. Pictures come from the folder that DSV_TEST_DATA names; without it they are drawn. Ratios travel between machines, times do not.

mod filter;
mod peers;
mod pictures;
mod sides;
mod tpch;
mod vectors;

#[path = "../common/data.rs"]
mod data;
#[path = "../common/report.rs"]
mod report;

use std::process::ExitCode;

/// The allocator of the `dsv` binary, here for dsv and DataFusion alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What was asked for on the command line.
pub struct Options {
    subjects: Vec<String>,
    /// How often each side of a comparison is run.
    rounds: usize,
    /// One in so many of the rows is made.
    part: u64,
    /// The only query of TPC-H or of the filters to run, by its number.
    query: Option<usize>,
}

const SUBJECTS: [(&str, fn(&Options)); 4] = [("filter", filter::run), ("pictures", pictures::run), ("vectors", vectors::run), ("tpch", tpch::run)];

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { subjects: Vec::new(), rounds: 5, part: 1, query: None };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).filter(|n| *n > 0).ok_or(format!("{argument} needs a number above 0"));
        match argument.as_str() {
            "--rounds" => options.rounds = number()? as usize,
            "--part" => options.part = number()?,
            "--query" => options.query = Some(number()? as usize),
            // What cargo says to every benchmark.
            "--bench" => {}
            subject if SUBJECTS.iter().any(|(name, _)| *name == subject) => options.subjects.push(argument),
            other => return Err(format!("'{other}' is none of: {}, --rounds N, --part N, --query N", SUBJECTS.map(|(name, _)| name).join(", "))),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(options) => {
            for (name, run) in SUBJECTS {
                if options.subjects.is_empty() || options.subjects.iter().any(|subject| subject == name) {
                    println!("\n{name}");
                    run(&options);
                }
            }
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

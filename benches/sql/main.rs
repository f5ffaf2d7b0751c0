//! What SQL over dsv's tables costs: the 22 queries of TPC-H at scale factor 1, beside DataFusion over Parquet files of the same rows, compressed with zstd. The two take turns in the same process,
//! with as many threads each.
//!
//! ```text
//! DSV_TEST_TPCH=FOLDER cargo bench --bench sql                    FOLDER/1 holds the files, as tpchgen-cli writes them: parquet -s 1 -c 'ZSTD(1)' -o FOLDER/1
//! DSV_TEST_TPCH=FOLDER cargo bench --bench sql -- --rounds 9
//! ```
//!
//! `make test-full` leaves such a folder as `.oracles/tpch`. Ratios travel between machines, times do not.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::config::Dialect;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use dsv::query::{Options, Params, Session};
use dsv::repo::files::Input;
use dsv::repo::{ImportOptions, Repo};

const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];
const QUERIES: usize = 22;

struct Arguments {
    folder: PathBuf,
    rounds: usize,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut rounds = 5;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => rounds = arguments.next().and_then(|text| text.parse().ok()).filter(|n| *n > 0).ok_or("--rounds needs a number above 0")?,
            // What cargo says to every benchmark.
            "--bench" => {}
            other => return Err(format!("'{other}' is not: --rounds N")),
        }
    }
    let folder = std::env::var_os("DSV_TEST_TPCH").map(|folder| Path::new(&folder).join("1")).filter(|folder| folder.is_dir());
    Ok(Arguments { folder: folder.ok_or("DSV_TEST_TPCH names no folder with TPC-H at scale factor 1 in '1'")?, rounds })
}

/// The two sides, and the texts of the queries.
struct Sides {
    session: Session,
    parquet: SessionContext,
    runtime: tokio::runtime::Runtime,
    queries: Vec<String>,
}

impl Sides {
    fn new(folder: &Path, dir: &Path) -> Sides {
        let options = Options::default();
        let repo = Repo::init(dir, "main").expect("a repository");
        let mut config = SessionConfig::new().with_target_partitions(options.threads);
        config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
        let parquet = SessionContext::new_with_config(config);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).build().expect("threads");
        let began = Instant::now();
        let mut bytes = 0;
        for table in TABLES {
            let path = folder.join(format!("{table}.parquet"));
            bytes += path.metadata().expect("a Parquet file").len();
            repo.import(table, &[Input::Path(path.clone())], &ImportOptions::default(), "import").expect("an import");
            let path = path.to_str().expect("a path in UTF-8");
            runtime.block_on(parquet.register_parquet(table, path, ParquetReadOptions::default())).expect("a table");
        }
        println!(
            "  imported in {:.1} s: {:.1} MB of Parquet files, {:.1} MB of packs",
            began.elapsed().as_secs_f64(),
            bytes as f64 / 1e6,
            size(dir) as f64 / 1e6
        );
        let query = |number| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/tpch/q{number:02}.sql"));
            std::fs::read_to_string(path).expect("a query")
        };
        let session = Session::new(Arc::new(repo), options).expect("a session");
        Sides { session, parquet, runtime, queries: (1..=QUERIES).map(query).collect() }
    }

    /// How long a query takes over dsv's tables, its planning included, and the rows that it gives.
    fn dsv(&self, number: usize) -> (Duration, usize) {
        let began = Instant::now();
        let answer = self.session.query(&self.queries[number], &Params::new(), None).expect("an answer");
        let rows = answer.map(|batch| batch.expect("a batch").num_rows()).sum();
        (began.elapsed(), rows)
    }

    /// The same over Parquet files.
    fn parquet(&self, number: usize) -> (Duration, usize) {
        let began = Instant::now();
        let batches = self.runtime.block_on(async { self.parquet.sql(&self.queries[number]).await?.collect().await }).expect("an answer");
        (began.elapsed(), batches.iter().map(|batch| batch.num_rows()).sum())
    }
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

fn run(arguments: &Arguments) {
    let dir = tempfile::tempdir().expect("a folder");
    println!("TPC-H, scale factor 1");
    let sides = Sides::new(&arguments.folder, dir.path());
    // By round and query, in seconds: dsv, then Parquet. The first round warms both up and does not count.
    let mut times = Vec::new();
    for round in 0..=arguments.rounds {
        let mut of_round = Vec::new();
        for number in 0..QUERIES {
            let (dsv, parquet) = match round % 2 {
                0 => (sides.dsv(number), sides.parquet(number)),
                _ => {
                    let parquet = sides.parquet(number);
                    (sides.dsv(number), parquet)
                }
            };
            assert_eq!(dsv.1, parquet.1, "rows of query {}", number + 1);
            of_round.push((dsv.0.as_secs_f64(), parquet.0.as_secs_f64()));
        }
        if round > 0 {
            let (dsv, parquet) = of_round.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
            println!("  round {round}: dsv {dsv:.2} s, Parquet {parquet:.2} s, {:.2} times as long", dsv / parquet);
            times.push(of_round);
        }
    }
    for number in 0..QUERIES {
        let of = |side: fn(&(f64, f64)) -> f64| median(times.iter().map(|round| side(&round[number])).collect());
        let (dsv, parquet) = (of(|pair| pair.0), of(|pair| pair.1));
        println!("  query {:>2}: dsv {:>8.1} ms, Parquet {:>8.1} ms, x {:>5.2}", number + 1, dsv * 1e3, parquet * 1e3, dsv / parquet);
    }
    let sum = |round: &Vec<(f64, f64)>, side: fn(&(f64, f64)) -> f64| round.iter().map(side).sum::<f64>();
    let ratio = median(times.iter().map(|round| sum(round, |pair| pair.0) / sum(round, |pair| pair.1)).collect());
    println!("  all 22: dsv takes {ratio:.2} times as long as DataFusion over Parquet (half of {} rounds)", times.len());
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(arguments) => {
            run(&arguments);
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

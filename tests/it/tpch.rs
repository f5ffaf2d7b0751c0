//! TPC-H: its 22 queries over tables of a repository, against DataFusion over the Parquet files that the tables were imported from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::config::Dialect;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use dsv::query::{Options, Params, Session};
use dsv::repo::Repo;

use crate::support::{Sandbox, skip};

const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];

/// The Parquet files of a scale factor: `DSV_TEST_TPCH`, which `scripts/test.py` fills.
fn folder(scale: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("DSV_TEST_TPCH").map(|folder| PathBuf::from(folder).join(scale)) else {
        skip("tpch", "no tables of TPC-H (DSV_TEST_TPCH)");
        return None;
    };
    if !folder.is_dir() {
        skip("tpch", &format!("no tables of TPC-H at scale factor {scale} (DSV_TEST_TPCH)"));
        return None;
    }
    Some(folder)
}

/// The text of a query.
fn query(number: usize) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/tpch/q{number:02}.sql"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All cells as text: numbers are decimals or integers throughout, so equal text is equality to the last digit.
fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let format = FormatOptions::new().with_null("NULL");
    let row = |batch: &RecordBatch, at: usize| {
        let text = |column| ArrayFormatter::try_new(column, &format).unwrap().value(at).to_string();
        batch.columns().iter().map(|column| text(&**column)).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect()
}

/// A repository with the tables, and the answers to all queries, which are the same in both.
fn answers(folder: &Path) -> (Sandbox, Vec<Vec<Vec<String>>>) {
    let s = Sandbox::repo();
    for table in TABLES {
        s.ok(["import".into(), table.into(), folder.join(format!("{table}.parquet"))]);
    }
    let session = Session::new(Arc::new(Repo::open(&s.path(".")).unwrap()), Options { threads: 2, ..Options::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    let alone = SessionContext::new_with_config(config);
    for table in TABLES {
        let path = folder.join(format!("{table}.parquet"));
        runtime.block_on(alone.register_parquet(table, path.to_str().unwrap(), ParquetReadOptions::default())).unwrap();
    }
    let answer = |number: usize| {
        let sql = query(number);
        let found = session.query(&sql, &Params::new(), None).unwrap_or_else(|e| panic!("query {number}: {e}"));
        let found = cells(&found.map(|batch| batch.unwrap_or_else(|e| panic!("query {number}: {e}"))).collect::<Vec<_>>());
        let expected = runtime.block_on(async { alone.sql(&sql).await?.collect().await }).unwrap_or_else(|e| panic!("query {number}: {e}"));
        assert_eq!(found, cells(&expected), "query {number}");
        found
    };
    let answers = (1..=22).map(answer).collect();
    (s, answers)
}

#[test]
fn answers_at_a_hundredth_are_those_of_datafusion_over_parquet() {
    let Some(folder) = folder("0.01") else { return };
    let (s, answers) = answers(&folder);
    assert!(answers.iter().all(|rows| !rows.is_empty()), "{:?}", answers.iter().map(Vec::len).collect::<Vec<_>>());
    // The command line gives the same cells.
    for number in [1, 4, 10, 13, 16] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/tpch/q{number:02}.sql"));
        let told = s.ok(["query".as_ref(), "-f".as_ref(), file.as_os_str(), "--format".as_ref(), "csv".as_ref()]);
        let rows = csv::Reader::from_reader(told.as_bytes()).into_records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(rows.collect::<Vec<_>>(), answers[number - 1], "query {number}");
    }
}

#[test]
#[ignore = "long: scale factor 1"]
fn answers_at_scale_one_are_also_those_of_the_specification() {
    let Some(folder) = folder("1") else { return };
    let (_, answers) = answers(&folder);
    // The first row of some answers, as TPC-H's own validation has them, to the digits that it gives.
    let known: [(usize, &[(usize, &str)]); 9] = [
        (1, &[(0, "A"), (1, "F"), (2, "37734107.00"), (3, "56586554400.73"), (4, "53758257134.87"), (9, "1478493")]),
        (3, &[(0, "2456423"), (1, "406181.01")]),
        (4, &[(0, "1-URGENT"), (1, "10594")]),
        (6, &[(0, "123141078.22")]),
        (14, &[(0, "16.38")]),
        (15, &[(0, "8449"), (4, "1772627.20")]),
        (17, &[(0, "348406.05")]),
        (18, &[(0, "Customer#000128120"), (2, "4722021"), (4, "544089.09"), (5, "323.00")]),
        (19, &[(0, "3083843.05")]),
    ];
    for (number, cells) in known {
        for (column, start) in cells {
            let found = &answers[number - 1][0][*column];
            assert!(found.starts_with(start), "query {number}, column {column}: {found} and not {start}");
        }
    }
    assert!(answers.iter().all(|rows| !rows.is_empty()), "{:?}", answers.iter().map(Vec::len).collect::<Vec<_>>());
}

//! The order of samples over a real table, which SQL makes.

#![cfg(feature = "query")]

mod bad;
mod batches;
#[cfg(feature = "candle")]
mod device;
mod gallery;

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::*;
use crate::query::{Options, Params, Session};
use crate::repo::{CommitOptions, Repo};

fn run(repo: &Arc<Repo>, sql: &str) {
    let outcome = Session::new(repo.clone(), Options::default()).unwrap().run(repo, sql, &Params::new(), None, sql);
    outcome.unwrap();
}

fn commit(repo: &Repo) {
    repo.commit(&CommitOptions { message: Some("a change".into()), ..Default::default() }).unwrap();
}

/// 2,000 rows but one in seven, in several pieces, committed.
fn made(dir: &std::path::Path) -> Arc<Repo> {
    let repo = Arc::new(Repo::init(dir, "main").unwrap());
    run(&repo, "CREATE TABLE t AS SELECT value AS n, 'row ' || value AS name FROM generate_series(0, 999)");
    run(&repo, "INSERT INTO t SELECT value, 'row ' || value FROM generate_series(1000, 1999)");
    run(&repo, "UPDATE t SET name = upper(name) WHERE n % 13 = 0");
    run(&repo, "DELETE FROM t WHERE n % 7 = 0");
    commit(&repo);
    repo
}

fn numbers(selection: &Selection, rows: &[u64]) -> Vec<i64> {
    selection.read(rows).unwrap().column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// All samples of two epochs, as `world` ranks have them together.
fn samples(selection: &Selection, world: u64) -> Vec<i64> {
    let shape = Shape { block_rows: 32, window_blocks: 4 };
    let mut all = Vec::new();
    for epoch in 0..2 {
        let order = Order::shuffled(selection.rows(), shape, 11, epoch);
        let places: Vec<u64> = (0..order.windows()).flat_map(|window| order.window(window)).collect();
        let share = |rank| Share { batch: 60 / world, rank, world, last: LastBatch::Short };
        let mut from = 0;
        for _ in 0..share(0).steps(order.rows(), from) {
            for rank in 0..world {
                let mine = share(rank).places(order.rows(), from);
                all.extend(numbers(selection, &places[mine.start as usize..mine.end as usize]));
            }
            from = share(0).after(order.rows(), from);
        }
    }
    all
}

#[test]
fn samples_do_not_depend_on_ranks_compaction_or_added_columns() {
    let dir = tempfile::tempdir().unwrap();
    let repo = made(dir.path());
    let of = |revision: &str| Selection::of_table(&repo, revision, "t", Some(&["n"])).unwrap();
    let first = of("main");
    let expected: Vec<i64> = (0..2000).filter(|n| n % 7 != 0).collect();
    assert_eq!(numbers(&first, &(0..first.rows()).collect::<Vec<_>>()), expected);
    let alone = samples(&first, 1);
    assert_ne!(alone[..expected.len()], alone[expected.len()..], "epochs differ");
    for epoch in alone.chunks(expected.len()) {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
    }
    assert_eq!(samples(&first, 2), alone);
    assert_eq!(samples(&first, 3), alone);

    repo.compact(&[], true, "compact").unwrap();
    run(&repo, "ALTER TABLE t ADD COLUMN score DOUBLE");
    commit(&repo);
    let second = of("main");
    assert_ne!(second.commit(), first.commit());
    assert_eq!((samples(&second, 1), second.digest()), (alone.clone(), first.digest()));
    // Other columns and other rows are another selection.
    assert_ne!(Selection::of_table(&repo, "main", "t", None).unwrap().digest(), first.digest());
    run(&repo, "DELETE FROM t WHERE n = 1");
    commit(&repo);
    assert_ne!(of("main").digest(), first.digest());
    // What was opened stays what it was.
    assert_eq!(samples(&first, 2), alone);
}

#[test]
fn rows_come_in_any_order_and_more_than_once() {
    let dir = tempfile::tempdir().unwrap();
    let selection = Selection::of_table(&made(dir.path()), "main", "t", None).unwrap();
    let batch = selection.read(&[5, 0, 5, 1713, 2]).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[6, 1, 6, 1999, 3]);
    assert_eq!(batch.column(1).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["row 6", "row 1", "row 6", "row 1999", "row 3"]);
    assert_eq!(selection.read(&[]).unwrap().num_rows(), 0);
    assert!(matches!(selection.read(&[selection.rows()]), Err(LoaderError::NoRow { row: 1714, rows: 1714 })));
}

#[test]
fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let repo = made(dir.path());
    let of = |revision: &str, table: &str, column: &str| Selection::of_table(&repo, revision, table, Some(&[column])).unwrap_err().to_string();
    assert!(of("mian", "t", "n").contains("mian"));
    assert!(of("main", "tt", "n").contains("tt"));
    assert!(of("main", "t", "nn").contains("nn"));
}

//! What a diff and a merge cost: blocks and nodes read, bytes written, against the size of the table and of the change.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};

use super::merging::switch;
use super::sizes::{bytes, draw};
use super::{commit, options};
use crate::base::TableObjectId;
use crate::chunk::Reads;
use crate::format::Type;
use crate::repo::{MergeOutcome, MergeRequest, Repo, RepoError};
use crate::table::Table;
use crate::table::diff::diff;
use crate::table::edit::Fill;
use crate::table::write::RowWriter;

const COLUMNS: usize = 8;

/// A table of numbers: a sequence, and columns of few or many values.
fn start(dir: &Path, rows: u64) -> Repo {
    let repo = Repo::init_with(dir, "main", &options()).unwrap();
    let columns: Vec<(String, Type)> = (0..COLUMNS).map(|c| (format!("c{c}"), Type::INT64)).collect();
    repo.create_table("t", &columns, &[], "create").unwrap();
    repo.edit_table("t", "import", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for from in (0..rows).step_by(100_000) {
            let all = from..rows.min(from + 100_000);
            let column = |c: usize| -> ArrayRef {
                Arc::new(Int64Array::from_iter_values(all.clone().map(|row| if c == 0 { row as i64 } else { (draw(row, c as u64) % (4 << (2 * c))) as i64 })))
            };
            let schema = table.schema.arrow(&(0..COLUMNS).collect::<Vec<_>>());
            writer.push(&RecordBatch::try_new(schema, (0..COLUMNS).map(column).collect()).unwrap(), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    })
    .unwrap();
    commit(&repo, "import").unwrap();
    repo
}

/// Another process's look at it, with nothing in memory.
fn again(dir: &Path) -> Repo {
    Repo::open_with(dir, &options()).unwrap()
}

/// Changes `n` cells at drawn rows, each in a column of its own, as one commit.
fn change(repo: &Repo, rows: u64, n: u64, seed: u64) {
    repo.edit_table("t", "change", |table| -> Result<_, RepoError> {
        let mut table = (*table).clone();
        for column in 1..COLUMNS as u64 {
            let mut slots: Vec<u64> = (0..n).filter(|i| 1 + i % (COLUMNS as u64 - 1) == column).map(|i| draw(seed * 1_000_003 + i, 77) % rows).collect();
            slots.sort_unstable();
            slots.dedup();
            let values: ArrayRef = Arc::new(Int64Array::from_iter_values(slots.iter().map(|slot| -1 - *slot as i64 - seed as i64)));
            table = table.set_cells(repo.objects(), column as usize, &slots, &values)?;
        }
        Ok(table)
    })
    .unwrap();
    commit(repo, "change").unwrap();
}

fn spent(after: Reads, before: Reads) -> Reads {
    Reads { blocks: after.blocks - before.blocks, nodes: after.nodes - before.nodes, bytes: after.bytes - before.bytes }
}

fn table(repo: &Repo, revision: &str) -> Table {
    let id: TableObjectId = repo.snapshot_at(revision).unwrap().tables["t"];
    Table::load(repo.objects(), id).unwrap()
}

fn costs_follow_the_change(rows: u64) {
    const CELLS: u64 = 100;
    let dir = tempfile::tempdir().unwrap();
    let repo = start(dir.path(), rows);
    repo.create_branch("dev", None, false).unwrap();
    change(&repo, rows, CELLS, 1);
    switch(&repo, "dev", false);
    change(&repo, rows, CELLS, 2);
    switch(&repo, "main", false);
    // From the root of a column of this size to a leaf.
    let height = 3;
    let changed = 2 * CELLS;

    let repo = again(dir.path());
    let (old, new) = (table(&repo, "main"), table(&repo, "dev"));
    let before = repo.objects().reads();
    let found = diff(repo.objects(), &old, &new).unwrap();
    let read = spent(repo.objects().reads(), before);
    // Nobody but the rule tells how many: some draws may meet.
    let told = found.cells_changed();
    assert!(told <= changed && told > changed * 9 / 10, "{told}");
    println!("{rows} rows, {told} cells apart: a diff reads {read:?}");
    assert!(read.blocks <= 2 * changed && read.nodes <= 2 * changed * height, "{read:?}");

    let repo = again(dir.path());
    let size = bytes(dir.path());
    let before = repo.objects().reads();
    let report = repo.merge(&["dev".to_owned()], &MergeRequest::default()).unwrap();
    let read = spent(repo.objects().reads(), before);
    let written = bytes(dir.path()) - size;
    println!("{rows} rows, {CELLS} cells on each side: a merge reads {read:?} and writes {written} bytes; {:?}", report.outcome);
    assert!(read.blocks <= 2 * changed && read.nodes <= 2 * changed * height, "{read:?}");
    assert!(written < 1_000_000, "{written}");

    // What was merged has the changes of both.
    assert!(matches!(report.outcome, MergeOutcome::Merged(Some(_))));
    let (ours, merged) = (table(&repo, "main^1"), table(&repo, "main"));
    let (here, there) =
        (diff(repo.objects(), &merged, &ours).unwrap().cells_changed(), diff(repo.objects(), &merged, &table(&repo, "dev")).unwrap().cells_changed());
    assert_eq!(here + there, told);
    assert!(here > CELLS * 9 / 10 && there > CELLS * 9 / 10);

    // Two branches that each add a column.
    repo.create_branch("score", None, false).unwrap();
    let fill = |factor: i64| -> Fill {
        Fill::Values(Box::new(
            (0..rows)
                .step_by(100_000)
                .map(move |from| Ok(Arc::new(Int64Array::from_iter_values((from..rows.min(from + 100_000)).map(|row| row as i64 * factor))) as ArrayRef)),
        ))
    };
    for (branch, factor) in [("score", 3), ("main", 5)] {
        switch(&repo, branch, false);
        repo.edit_table("t", "add", |table| -> Result<_, RepoError> { Ok(table.add_column(repo.objects(), branch, Type::INT64, fill(factor))?) }).unwrap();
        commit(&repo, "add").unwrap();
    }
    let repo = again(dir.path());
    let before = repo.objects().reads();
    let report = repo.merge(&["score".to_owned()], &MergeRequest::default()).unwrap();
    assert!(matches!(report.outcome, MergeOutcome::Merged(Some(_))));
    let read = spent(repo.objects().reads(), before);
    println!("{rows} rows, a column added on each side: a merge reads {read:?}");
    assert_eq!(read.blocks, 0);
}

#[test]
fn the_cost_of_diff_and_merge_follows_the_change() {
    costs_follow_the_change(300_000);
}

#[test]
#[ignore = "long: 10,000,000 rows"]
fn the_cost_of_diff_and_merge_follows_the_change_in_ten_million_rows() {
    costs_follow_the_change(10_000_000);
}

#[test]
fn merging_small_changes_of_a_small_table_writes_little() {
    let dir = tempfile::tempdir().unwrap();
    let repo = start(dir.path(), 20_000);
    repo.set_key("t", &["c0".to_owned()], "key").unwrap();
    commit(&repo, "key").unwrap();
    repo.create_branch("dev", None, false).unwrap();
    for (branch, seed) in [("main", 1u64), ("dev", 2)] {
        switch(&repo, branch, false);
        // Rows of which cells change, rows that go, and rows that come: a hundred in all.
        change(&repo, 20_000, 60, seed);
        repo.edit_table("t", "delete and append", |table| -> Result<_, RepoError> {
            let mut slots: Vec<u64> = (0..20).map(|i| draw(seed * 555 + i, 9) % 20_000).collect();
            slots.sort_unstable();
            slots.dedup();
            let table = table.delete(repo.objects(), &slots)?;
            let columns: Vec<_> = table.schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
            let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
            let values =
                |c: u64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..20).map(|i| (20_000 * seed + i + if c == 0 { 0 } else { c }) as i64))) };
            let schema = table.schema.arrow(&(0..COLUMNS).collect::<Vec<_>>());
            writer.push(&RecordBatch::try_new(schema, (0..COLUMNS as u64).map(values).collect()).unwrap(), &[])?;
            Ok(table.append(repo.objects(), writer.finish()?)?)
        })
        .unwrap();
        commit(&repo, "delete and append").unwrap();
    }
    switch(&repo, "main", false);
    let size = bytes(dir.path());
    // A row that one changed and the other deleted is theirs to decide here.
    let request = MergeRequest { strategy: Some(crate::table::merge::Side::Theirs), ..Default::default() };
    let report = repo.merge(&["dev".to_owned()], &request).unwrap();
    assert!(matches!(report.outcome, MergeOutcome::Merged(Some(_))));
    let written = bytes(dir.path()) - size;
    println!("20,000 rows, 100 changed on each side: a merge writes {written} bytes");
    assert!(written < 32_000, "{written}");
    assert!(repo.table("t", None).unwrap().rows(repo.objects()).unwrap().abs_diff(20_000) < 5);
}

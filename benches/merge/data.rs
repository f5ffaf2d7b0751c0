//! The table that is measured, and the two branches that changed it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use dsv::format::Type;
use dsv::format::mix::mix;
use dsv::repo::{CommitOptions, Repo, RepoError, SwitchOptions};
use dsv::table::write::RowWriter;

pub const TABLE: &str = "t";
pub const COLUMNS: usize = 8;
/// Rows written at a time.
const BATCH: u64 = 100_000;

/// A number that looks random and follows from `a` and `b`.
fn draw(a: u64, b: u64) -> u64 {
    mix(mix(a) ^ b)
}

/// A sequence, and columns of few or many numbers.
fn cell(row: u64, column: usize) -> i64 {
    if column == 0 { row as i64 } else { (draw(row, column as u64) % (4 << (2 * column))) as i64 }
}

fn commit(repo: &Repo, message: &str) {
    repo.commit(&CommitOptions { message: Some(message.into()), ..Default::default() }).expect("a commit");
}

/// Changes [`CELLS`](crate::CELLS) cells at rows that follow from `seed`, spread over all columns but the first, as one commit. No row is drawn for
/// two seeds: those of one are even, those of the other odd.
fn change(repo: &Repo, rows: u64, seed: u64) {
    let changed = repo.edit_table(TABLE, "change", |table| -> Result<_, RepoError> {
        let mut table = (*table).clone();
        for column in 1..COLUMNS {
            let mut slots: Vec<u64> = (0..crate::CELLS)
                .filter(|i| 1 + *i as usize % (COLUMNS - 1) == column)
                // One in each hundredth of the table.
                .map(|i| (i * (rows / crate::CELLS) + draw(i, seed) % (rows / crate::CELLS)) / 2 * 2 + seed % 2)
                .collect();
            slots.sort_unstable();
            let values: ArrayRef = Arc::new(Int64Array::from_iter_values(slots.iter().map(|slot| -1 - *slot as i64)));
            table = table.set_cells(repo.objects(), column, &slots, &values)?;
        }
        Ok(table)
    });
    changed.expect("changed cells");
    commit(repo, "change");
}

/// A repository in `dir` whose branches `main` (checked out) and `dev` changed the table of their common commit `main~1`.
pub fn repository(dir: &Path, rows: u64) -> Repo {
    let repo = Repo::init(dir, "main").expect("a repository");
    let columns: Vec<(String, Type)> = (0..COLUMNS).map(|c| (format!("c{c}"), Type::INT64)).collect();
    repo.create_table(TABLE, &columns, &[], "create").expect("a table");
    let filled = repo.edit_table(TABLE, "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        let schema = table.schema.arrow(&(0..COLUMNS).collect::<Vec<_>>());
        for from in (0..rows).step_by(BATCH as usize) {
            let column = |c: usize| -> ArrayRef { Arc::new(Int64Array::from_iter_values((from..rows.min(from + BATCH)).map(|row| cell(row, c)))) };
            let batch = RecordBatch::try_new(schema.clone(), (0..COLUMNS).map(column).collect()).expect("columns of one length");
            writer.push(&batch, &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    });
    filled.expect("rows");
    commit(&repo, "fill");
    repo.create_branch("dev", None, false).expect("a branch");
    change(&repo, rows, 1);
    repo.switch("dev", &SwitchOptions::default()).expect("the branch");
    change(&repo, rows, 2);
    repo.switch("main", &SwitchOptions::default()).expect("the branch");
    repo
}

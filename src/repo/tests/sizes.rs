//! What small changes of a large table add to the repository, in bytes of its files.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;

use super::{commit, options};
use crate::format::Type;
use crate::repo::{Repo, RepoError};
use crate::table::write::RowWriter;

const KB: i64 = 1000;

/// A number that looks random and follows from `row` and `column`.
pub fn draw(row: u64, column: u64) -> u64 {
    crate::format::mix::mix(row.wrapping_mul(31) ^ column << 56)
}

/// Ten columns as tables of training data have them: keys, labels, scores, text, times, nulls.
fn batch(rows: std::ops::Range<u64>) -> RecordBatch {
    let labels = ["cat", "dog", "bird", "fish", "horse", "none"];
    let text =
        |row: u64| format!("a picture of {} number {} beside {}", labels[draw(row, 1) as usize % 6], draw(row, 2) % 5000, labels[draw(row, 3) as usize % 6]);
    let each = || rows.clone();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(each().map(|row| row as i64)))),
        ("score", Arc::new(Float64Array::from_iter_values(each().map(|row| draw(row, 4) as f64 / u64::MAX as f64)))),
        ("weight", Arc::new(Float32Array::from_iter_values(each().map(|row| (draw(row, 5) % 1000) as f32 / 1000.0)))),
        ("user", Arc::new(Int32Array::from_iter_values(each().map(|row| (draw(row, 6) % 90_000) as i32)))),
        ("checked", Arc::new(BooleanArray::from_iter(each().map(|row| Some(draw(row, 7).is_multiple_of(3)))))),
        ("label", Arc::new(StringArray::from_iter_values(each().map(|row| labels[draw(row, 8) as usize % 6])))),
        ("caption", Arc::new(StringArray::from_iter_values(each().map(text)))),
        ("at", Arc::new(Int64Array::from_iter_values(each().map(|row| 1_700_000_000_000 + row as i64 * 40 + (draw(row, 9) % 7) as i64)))),
        ("note", Arc::new(StringArray::from_iter(each().map(|row| draw(row, 10).is_multiple_of(20).then(|| format!("see {}", draw(row, 11) % 100)))))),
        ("width", Arc::new(Int16Array::from_iter_values(each().map(|row| 640 + 16 * (draw(row, 12) % 40) as i16)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn with_table(dir: &Path, rows: u64) -> Repo {
    let repo = Repo::init_with(dir, "main", &options()).unwrap();
    let columns: Vec<(String, Type)> =
        batch(0..1).schema().fields().iter().map(|field| (field.name().clone(), Type::Plain(field.data_type().clone()))).collect();
    repo.create_table("frames", &columns, &[], "create").unwrap();
    repo.edit_table("frames", "import", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for from in (0..rows).step_by(50_000) {
            writer.push(&batch(from..rows.min(from + 50_000)), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    })
    .unwrap();
    commit(&repo, "import").unwrap();
    repo
}

/// The lengths of all files in a folder and those below it.
pub fn bytes(dir: &Path) -> i64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.file_type().unwrap().is_dir() { bytes(&entry.path()) } else { entry.metadata().unwrap().len() as i64 }).sum()
}

/// A cell for the column of that number.
fn cell(column: usize, n: i64) -> ArrayRef {
    match column {
        0 | 7 => Arc::new(Int64Array::from(vec![-n])),
        1 => Arc::new(Float64Array::from(vec![n as f64])),
        2 => Arc::new(Float32Array::from(vec![n as f32])),
        3 => Arc::new(Int32Array::from(vec![n as i32])),
        4 => Arc::new(BooleanArray::from(vec![n % 2 == 0])),
        9 => Arc::new(Int16Array::from(vec![n as i16])),
        _ => Arc::new(StringArray::from(vec![format!("now it is said in other words: {n}")])),
    }
}

/// Sets a cell and commits.
fn set_cell(repo: &Repo, column: usize, slot: u64, n: i64) {
    let edited =
        repo.edit_table("frames", "set a cell", |table| -> Result<_, RepoError> { Ok(table.set_cells(repo.objects(), column, &[slot], &cell(column, n))?) });
    edited.unwrap();
    commit(repo, "set a cell").unwrap();
}

/// Each small change stays below its bound, and so does a long row of one-cell commits. Says what it found with `--show-output`.
fn small_changes(rows: u64, commits: u64) {
    let dir = tempfile::tempdir().unwrap();
    let repo = with_table(dir.path(), rows);
    let mut before = bytes(dir.path());
    println!("{rows} rows: {before} bytes");
    let mut added = |what: &str, below: i64| {
        let now = bytes(dir.path());
        let grown = now - before;
        before = now;
        println!("{what}: {grown} bytes, bound {below}");
        assert!(grown < below, "{what}: {grown} bytes");
    };
    repo.create_branch("side", None, false).unwrap();
    added("a branch", KB);
    for column in 0..10 {
        set_cell(&repo, column, draw(column as u64, 20) % rows, 7);
        added(&format!("one cell of column {column}"), 16 * KB);
    }
    repo.add_column("frames", "source", Type::TEXT, Some("camera 1"), "add").unwrap();
    commit(&repo, "a constant column").unwrap();
    added("a constant column", 8 * KB);
    let gone: Vec<u64> = (0..rows).filter(|row| draw(*row, 21).is_multiple_of(100)).collect();
    repo.edit_table("frames", "delete", |table| -> Result<_, RepoError> { Ok(table.delete(repo.objects(), &gone)?) }).unwrap();
    commit(&repo, "fewer").unwrap();
    added("deleting 1% of the rows", 200 * KB);
    for n in 0..commits {
        set_cell(&repo, draw(n, 22) as usize % 10, draw(n, 23) % rows, n as i64);
    }
    added(&format!("{commits} commits of one cell"), 16 * KB * commits as i64);
}

#[test]
fn small_changes_of_a_million_rows_add_little() {
    small_changes(1_000_000, 20);
}

#[test]
#[ignore = "long: 1,000 commits"]
fn a_thousand_commits_add_little() {
    small_changes(1_000_000, 1000);
}

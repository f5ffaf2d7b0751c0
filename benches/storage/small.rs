//! Small changes of a table of 1,000,000 rows and 10 columns: how long a change and its commit take, and what many of them do to reads.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, StringArray};
use dsv::format::Type;
use dsv::repo::{Repo, RepoError};
use dsv::table::write::RowWriter;

use crate::Options;
use crate::data::{commit, draw, rows};
use crate::race;
use crate::report::{over, ratio, side};

const ROWS: u64 = 1_000_000;
const COMMITS: u64 = 1000;

fn set_cell(repo: &Repo, n: u64) {
    let (column, value): (usize, ArrayRef) = match n % 2 {
        0 => (1, Arc::new(Float64Array::from(vec![n as f64]))),
        _ => (6, Arc::new(StringArray::from(vec![format!("now it is said in other words: {n}")]))),
    };
    let slot = draw(n, 20) % ROWS;
    let edited = repo.edit_table("frames", "set a cell", |table| -> Result<_, RepoError> { Ok(table.set_cells(repo.objects(), column, &[slot], &value)?) });
    edited.expect("an edit");
}

/// Opens the repository and reads every cell.
fn read_all(dir: &Path) {
    let repo = Repo::open(dir).expect("the repository");
    let table = repo.table("frames", None).expect("the table");
    let rows: usize = table.scan(repo.objects()).open().expect("a scan").map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows as u64, ROWS);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a file");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a file").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("room")),
        }
    }
}

/// A repository in `dir` with [`rows`] as the table `frames`, committed.
fn repository(dir: &Path, count: u64) -> Repo {
    let repo = Repo::init(dir, "main").expect("a repository");
    let fields = rows(0..1).schema();
    let columns: Vec<(String, Type)> = fields.fields().iter().map(|field| (field.name().clone(), Type::Plain(field.data_type().clone()))).collect();
    repo.create_table("frames", &columns, &[], "create").expect("a table");
    let filled = repo.edit_table("frames", "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for from in (0..count).step_by(50_000) {
            writer.push(&rows(from..count.min(from + 50_000)), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    });
    filled.expect("rows");
    commit(&repo);
    repo
}

pub fn run(options: &Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = repository(dir.path(), ROWS);
    // The repository as it is now is kept, to be read in turns with what becomes of it.
    let kept = tempfile::tempdir().expect("a folder");
    copy(dir.path(), kept.path());
    let (mut edits, mut commits) = (Vec::new(), Vec::new());
    for n in 0..COMMITS {
        let start = Instant::now();
        set_cell(&repo, n);
        edits.push(start.elapsed());
        let start = Instant::now();
        commit(&repo);
        commits.push(start.elapsed());
    }
    edits.sort();
    commits.sort();
    let ms = |times: &[Duration], share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("  {:<58} {:>10.1} ms, 99 of 100 within {:.1} ms", "setting a cell of 1,000,000 rows", ms(&edits, 0.5), ms(&edits, 0.99));
    println!("  {:<58} {:>10.1} ms, 99 of 100 within {:.1} ms", "committing it", ms(&commits, 0.5), ms(&commits, 0.99));
    ratio("commit, half of them within, ms", ms(&commits, 0.5), 50.0, false);
    ratio("change and commit together, ms", ms(&edits, 0.5) + ms(&commits, 0.5), 50.0, false);
    let sides = [side("reading all before", || read_all(kept.path())), side("reading all after 1,000 commits", || read_all(dir.path()))];
    let [before, after] = race(options.rounds, sides);
    ratio("reading all after 1,000 commits / before", over(after, before), 1.3, false);
    // A process of its own for each change, as on the command line.
    let mut fresh = Vec::new();
    drop(repo);
    for n in 0..20 {
        let start = Instant::now();
        let repo = Repo::open(dir.path()).expect("the repository");
        set_cell(&repo, COMMITS + n);
        drop(repo);
        commit(&Repo::open(dir.path()).expect("the repository"));
        fresh.push(start.elapsed());
    }
    fresh.sort();
    ratio("change and commit, the repository opened for each, ms", ms(&fresh, 0.5), 50.0, false);
}

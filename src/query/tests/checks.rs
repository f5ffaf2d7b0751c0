//! Checks of a repository, against plain rows: what breaks them, and that only what changed is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use crate::base::NoProgress;
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::snapshot::Snapshot;
use crate::query::expressions;
use crate::repo::{CommitOptions, NewCheck, OpenOptions, Repo, RepoError, Severity};
use crate::table::Table;
use crate::table::check::Closely;
use crate::table::write::RowWriter;

type Row = (Option<i64>, Option<String>);

fn repo(dir: &std::path::Path, sql: bool) -> Repo {
    let options = OpenOptions { expressions: sql.then(expressions), ..OpenOptions::default() };
    if dir.join(".dsv").exists() { Repo::open_with(dir, &options).unwrap() } else { Repo::init_with(dir, "main", &options).unwrap() }
}

fn columns() -> Vec<(String, Type)> {
    vec![("n".to_owned(), Type::INT64), ("t".to_owned(), Type::TEXT)]
}

fn batch(rows: &[Row]) -> Vec<ArrayRef> {
    vec![Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.0))), Arc::new(StringArray::from_iter(rows.iter().map(|r| r.1.clone())))]
}

fn append(objects: &Arc<Objects>, table: &Table, rows: &[Row]) -> Table {
    let mut writer = RowWriter::new(objects, table, &columns()).unwrap();
    writer.push(&RecordBatch::try_new(table.schema.arrow(&[0, 1]), batch(rows)).unwrap(), &[]).unwrap();
    table.append(objects, writer.finish().unwrap()).unwrap()
}

fn commit(repo: &Repo) -> Result<(), RepoError> {
    repo.commit(&CommitOptions { message: Some("x".into()), allow_empty: true, ..Default::default() }).map(drop)
}

#[derive(Debug, Clone)]
enum Change {
    Append(Vec<Row>),
    Delete(Vec<prop::sample::Index>),
    Set(Vec<(prop::sample::Index, Row)>),
}

fn row() -> impl Strategy<Value = Row> {
    let n = prop_oneof![20 => 0i64..100, 3 => 0i64..3, 1 => -2i64..0, 1 => 99i64..102];
    let t = prop_oneof![10 => "[ab]{3}", 3 => Just("a".to_owned()), 1 => Just("bb".to_owned())];
    (prop::option::weighted(0.95, n), prop::option::weighted(0.95, t))
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        prop::collection::vec(row(), 1..6).prop_map(Change::Append),
        prop::collection::vec(index(), 0..3).prop_map(Change::Delete),
        prop::collection::vec((index(), row()), 0..3).prop_map(Change::Set),
    ]
}

/// The rows by slot, `None` where one is deleted.
type Slots = Vec<Option<Row>>;

fn apply(objects: &Arc<Objects>, table: &Table, slots: &mut Slots, change: &Change) -> Table {
    let at = |i: &prop::sample::Index, n: usize| i.index(n) as u64;
    match change {
        Change::Append(rows) => {
            slots.extend(rows.iter().cloned().map(Some));
            append(objects, table, rows)
        }
        Change::Delete(_) | Change::Set(_) if slots.is_empty() => table.clone(),
        Change::Delete(which) => {
            let gone: std::collections::BTreeSet<u64> = which.iter().map(|i| at(i, slots.len())).collect();
            gone.iter().for_each(|slot| slots[*slot as usize] = None);
            table.delete(objects, &gone.into_iter().collect::<Vec<_>>()).unwrap()
        }
        Change::Set(which) => {
            let set: BTreeMap<u64, Row> = which.iter().map(|(i, row)| (at(i, slots.len()), row.clone())).collect();
            let places: Vec<u64> = set.keys().copied().collect();
            let cells = batch(&set.values().cloned().collect::<Vec<_>>());
            for (slot, row) in set {
                if let Some(known) = &mut slots[slot as usize] {
                    *known = row;
                }
            }
            let table = table.set_cells(objects, 0, &places, &cells[0]).unwrap();
            table.set_cells(objects, 1, &places, &cells[1]).unwrap()
        }
    }
}

/// The checks of the twin, and whether a row, or all rows together, break them.
fn rules() -> Vec<(&'static str, NewCheck)> {
    let table = || "t".to_owned();
    vec![
        ("a-least", NewCheck::Predicate { table: table(), sql: "n >= 0 AND 100 / (n + 1) >= 1 AND t <> 'bb'".into() }),
        ("b-filled", NewCheck::NotNull { table: table(), columns: vec!["t".into(), "n".into()] }),
        ("c-once", NewCheck::Unique { table: table(), columns: vec!["t".into(), "n".into()] }),
        ("d-few", NewCheck::Query { sql: "SELECT n FROM t WHERE n = 7".into() }),
    ]
}

/// Every slot that breaks a check, by check; of rows that are alike, all but the first.
fn naive(slots: &Slots) -> BTreeMap<&'static str, Vec<u64>> {
    let live: Vec<(u64, &Row)> = slots.iter().zip(0..).filter_map(|(row, slot)| Some((slot, row.as_ref()?))).collect();
    let least = |(n, t): &Row| n.is_some_and(|n| n < 0) || n.is_some_and(|n| n >= 0 && 100 / (n + 1) < 1) || t.as_deref() == Some("bb");
    let pick = |test: &dyn Fn(&Row) -> bool| live.iter().filter(|(_, row)| test(row)).map(|(slot, _)| *slot).collect::<Vec<_>>();
    let mut seen = std::collections::HashSet::new();
    let once = live.iter().filter(|(_, row)| row.0.is_some() && row.1.is_some() && !seen.insert((*row).clone())).map(|(slot, _)| *slot).collect();
    let found =
        [("a-least", pick(&least)), ("b-filled", pick(&|row| row.0.is_none() || row.1.is_none())), ("c-once", once), ("d-few", pick(&|row| row.0 == Some(7)))];
    found.into_iter().filter(|(_, slots)| !slots.is_empty()).collect()
}

fn with_table(repo: &Repo, table: &Table) -> Snapshot {
    let id = table.store(repo.objects()).unwrap();
    repo.update_working("edit", |now| {
        let mut now = now.clone();
        now.tables.insert("t".into(), id);
        Ok::<_, RepoError>(now)
    })
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(std::env::var("DSV_TEST_CASES").ok().and_then(|n| n.parse().ok()).map_or(60, |n: u32| n.min(600))))]

    #[test]
    fn whole_and_since_agree_with_plain_rows(first in prop::collection::vec(row(), 1..30), changes in prop::collection::vec(change(), 1..6)) {
        let dir = tempfile::tempdir().unwrap();
        let repo = repo(dir.path(), true);
        let objects = repo.objects().clone();
        repo.create_table("t", &columns(), &[], "create").unwrap();
        for (name, new) in rules() {
            assert!(repo.add_check(name, &new, Severity::Error, false, 0, "check").unwrap().1);
        }
        // A state that keeps them all, to begin with.
        let mut slots = Slots::new();
        for row in first {
            slots.push(Some(row));
            if !naive(&slots).is_empty() {
                slots.pop();
            }
        }
        let rows: Vec<Row> = slots.iter().flatten().cloned().collect();
        let mut table = (*repo.table("t", None).unwrap()).clone();
        if !rows.is_empty() {
            table = append(&objects, &table, &rows);
        }
        let mut before = with_table(&repo, &table);
        commit(&repo).unwrap();
        let mut kept = slots.clone();
        for change in &changes {
            let was = slots.clone();
            table = apply(&objects, &table, &mut slots, change);
            let after = with_table(&repo, &table);
            let expected = naive(&slots);
            let whole = repo.run_checks(&[], None, None, 0).unwrap();
            for tested in &whole {
                prop_assert_eq!(tested.failing, expected.get(tested.check.as_str()).map_or(0, |slots| slots.len() as u64), "{} {:?}", tested.check, slots);
            }
            {
                // Since a state that kept them: only what changed can have broken them.
                let found = repo.check_snapshot(&[&before], &after).unwrap();
                let names: std::collections::BTreeSet<&str> = found.iter().map(|v| v.check.as_str()).collect();
                prop_assert_eq!(names, expected.keys().copied().collect::<std::collections::BTreeSet<_>>());
                for violation in found.iter().filter(|v| v.slot.is_some()) {
                    let slot = violation.slot.unwrap();
                    prop_assert!(was.get(slot as usize) != slots.get(slot as usize), "{:?} did not change", violation);
                    prop_assert_eq!(violation.row, table.row_ids(&objects, slot..slot + 1).unwrap().first().copied());
                    if violation.check != "c-once" {
                        prop_assert!(expected[violation.check.as_str()].contains(&slot));
                    }
                }
            }
            prop_assert_eq!(commit(&repo).is_err(), !expected.is_empty());
            if !expected.is_empty() {
                // What the commits kept; nothing was changed by the refusal.
                repo.restore(&["t".to_owned()], None).unwrap();
                (slots, table) = (kept.clone(), (*repo.table("t", None).unwrap()).clone());
            } else {
                kept = slots.clone();
                before = after;
            }
        }
    }
}

#[test]
fn rows_that_two_states_kept_each_for_itself_may_still_be_alike() {
    let dir = tempfile::tempdir().unwrap();
    let repo = repo(dir.path(), true);
    let objects = repo.objects().clone();
    repo.create_table("t", &columns(), &[], "create").unwrap();
    let base = append(&objects, &repo.table("t", None).unwrap(), &[(Some(1), None), (Some(2), None)]);
    with_table(&repo, &base);
    repo.add_check("once", &NewCheck::Unique { table: "t".into(), columns: vec!["n".into()] }, Severity::Error, false, 9, "check").unwrap();
    let of = |table: &Table| with_table(&repo, table);
    let cell = |n: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![n])) };
    let ours = base.set_cells(&objects, 0, &[0], &cell(5)).unwrap();
    let theirs = base.set_cells(&objects, 0, &[1], &cell(5)).unwrap();
    let merged = ours.set_cells(&objects, 0, &[1], &cell(5)).unwrap();
    let (ours, theirs, merged) = (of(&ours), of(&theirs), of(&merged));
    for before in [&[&ours, &theirs][..], &[&theirs, &ours], &[&ours], &[]] {
        assert_eq!(repo.check_snapshot(before, &merged).unwrap().len(), 1);
    }
    assert!(repo.check_snapshot(&[&ours, &theirs], &ours).unwrap().is_empty());
}

#[test]
fn only_changed_rows_are_read() {
    let objects = super::support::small();
    let rows: Vec<Row> = (0..20_000).map(|n| (Some(n), Some(format!("text {n}")))).collect();
    let id = crate::base::TableId([3; 16]);
    let empty = Table::create(&objects, id, crate::table::Schema::of(id, &columns())).unwrap();
    let table = append(&objects, &empty, &rows);
    let set: ArrayRef = Arc::new(Int64Array::from(vec![-1]));
    let edited = Arc::new(table.set_cells(&objects, 0, &[9_000], &set).unwrap());
    let quiet: Arc<dyn crate::base::Progress> = Arc::new(NoProgress);
    // A predicate that statistics cannot settle, so that whatever is asked for is read.
    let predicate = expressions().predicate(&edited, "abs(n) + length(t) > 6").unwrap();
    let ranges = crate::table::check::changed(&objects, &table, &edited, &predicate.columns(), true, Closely::Places).unwrap();
    assert_eq!(ranges, [9_000..9_001]);
    let counting = Counting::default();
    let seen = counting.0.clone();
    let progress: Arc<dyn crate::base::Progress> = Arc::new(counting);
    assert!(predicate.false_rows(&objects, ranges, &progress).unwrap().is_empty());
    assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 1);
    // What statistics settle is not read at all: the whole table holds this but for the one row.
    let bound = expressions().predicate(&edited, "n >= 0").unwrap();
    let counting = Counting::default();
    let seen = counting.0.clone();
    let progress: Arc<dyn crate::base::Progress> = Arc::new(counting);
    assert_eq!(bound.false_rows(&objects, std::iter::once(0..20_000).collect(), &progress).unwrap(), [9_000]);
    assert!(seen.load(std::sync::atomic::Ordering::SeqCst) < 200);
    // A key that changed is looked for among the others where it may be.
    let twice = Arc::new(table.set_cells(&objects, 0, &[9_000], &(Arc::new(Int64Array::from(vec![17])) as ArrayRef)).unwrap());
    let counting = Counting::default();
    let one: Vec<std::ops::Range<u64>> = std::iter::once(9_000..9_001).collect();
    assert_eq!(crate::table::check::repeated(&objects, &twice, &one, &[0], &counting).unwrap(), [(9_000, 17)]);
    assert!(counting.0.load(std::sync::atomic::Ordering::SeqCst) < 400);
    assert!(crate::table::check::nulls(&objects, &twice, &one, &[0, 1], &*quiet).unwrap().is_empty());
}

/// A commit of 100 changed cells tests its predicate on those alone: of the column next to nothing is read, by a process that knows nothing yet.
fn a_predicate_reads_little(rows: u64) {
    let dir = tempfile::tempdir().unwrap();
    let first = repo(dir.path(), true);
    let columns = [("n".to_owned(), Type::INT64)];
    first.create_table("t", &columns, &[], "create").unwrap();
    let value = |row: u64| (crate::format::mix::mix(row) >> 1) as i64;
    let mut writer = RowWriter::new(first.objects(), &first.table("t", None).unwrap(), &columns).unwrap();
    let table = first.table("t", None).unwrap();
    for from in (0..rows).step_by(100_000) {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values((from..rows.min(from + 100_000)).map(value)));
        writer.push(&RecordBatch::try_new(table.schema.arrow(&[0]), vec![values]).unwrap(), &[]).unwrap();
    }
    let table = table.append(first.objects(), writer.finish().unwrap()).unwrap();
    with_table(&first, &table);
    // Statistics cannot settle it.
    let new = NewCheck::Predicate { table: "t".into(), sql: "n % 3 <> 7 AND n <> 5".into() };
    assert!(first.add_check("odd", &new, Severity::Error, false, 9, "check").unwrap().1);
    commit(&first).unwrap();
    for wrong in [false, true] {
        let slots: std::collections::BTreeSet<u64> = (0..100).map(|i| crate::format::mix::mix(i + 1_000_000) % rows).collect();
        let mut values: Vec<i64> = slots.iter().map(|slot| value(*slot) / 2).collect();
        values[17] = if wrong { 5 } else { 6 };
        let slots: Vec<u64> = slots.into_iter().collect();
        let values: ArrayRef = Arc::new(Int64Array::from(values));
        with_table(&first, &first.table("t", None).unwrap().set_cells(first.objects(), 0, &slots, &values).unwrap());
        let fresh = repo(dir.path(), true);
        let before = fresh.objects().reads();
        match commit(&fresh) {
            Ok(()) => assert!(!wrong),
            Err(RepoError::Checks { broken }) => assert!(wrong && broken[0].failing == 1 && broken[0].violations[0].slot == Some(slots[17])),
            Err(other) => panic!("{other}"),
        }
        let read = fresh.objects().reads().bytes - before.bytes;
        println!("{rows} rows, 100 cells changed: a commit with a predicate reads {read} bytes of blocks and nodes, the column has {}", rows * 8);
        assert!(read > 0 && read < rows * 8 / 100, "{read}");
    }
}

#[test]
fn a_predicate_reads_what_changed() {
    a_predicate_reads_little(1_000_000);
}

#[test]
#[ignore = "long: 10,000,000 rows"]
fn a_predicate_reads_what_changed_of_ten_million_rows() {
    a_predicate_reads_little(10_000_000);
}

/// Counts the rows that were read.
#[derive(Default)]
struct Counting(Arc<std::sync::atomic::AtomicU64>);

impl crate::base::Progress for Counting {
    fn start(&self, _: &str, _: Option<u64>, _: crate::base::progress::Unit) {}
    fn advance(&self, rows: u64) {
        self.0.fetch_add(rows, std::sync::atomic::Ordering::SeqCst);
    }
    fn finish(&self) {}
}

#[test]
fn without_sql_and_with_a_column_renamed_the_commit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let with = repo(dir.path(), true);
    with.create_table("t", &columns(), &[], "create").unwrap();
    with.add_check("least", &NewCheck::Predicate { table: "t".into(), sql: "n >= 0".into() }, Severity::Error, false, 9, "check").unwrap();
    let without = repo(dir.path(), false);
    assert!(matches!(commit(&without), Err(RepoError::NoSql { .. })));
    commit(&with).unwrap();
    with.rename_table("t", "u", "rename").unwrap();
    commit(&with).unwrap();
    with.rename_column("u", "n", "m", "rename").unwrap();
    let told = commit(&with).unwrap_err().to_string();
    assert!(told.starts_with("check 'least' cannot be evaluated: no column 'n'"), "{told}");
    assert_eq!(with.drop_table("u", "drop").unwrap(), ["least"]);
    commit(&with).unwrap();
}

//! Blame, the history of a row and restored parts, against plain rows kept for each commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::merging::{read, set, start, switch};
use super::{commit, memory};
use crate::base::{CommitId, RowId};
use crate::repo::blame::{RowChange, RowName};
use crate::repo::{CommitOptions, MergeRequest, Repo, RepoError};
use crate::table::merge::Side;
use crate::table::write::RowWriter;

#[derive(Debug, Clone)]
enum Step {
    Set(usize, Vec<u64>, i64),
    Delete(u64),
    Append(i64),
    Switch,
    Merge,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        4 => (0usize..2, prop::collection::vec(0u64..8, 1..4), 0i64..4).prop_map(|(c, s, v)| Step::Set(c, s, v)),
        1 => (0u64..8).prop_map(Step::Delete),
        1 => (0i64..4).prop_map(Step::Append),
        1 => Just(Step::Switch),
        1 => Just(Step::Merge),
    ];
    prop::collection::vec(one, 1..12)
}

type Rows = BTreeMap<RowId, [i64; 2]>;

/// The rows of a commit's table.
fn rows(repo: &Repo, at: &str) -> Rows {
    let table = repo.table("t", Some(at)).unwrap();
    let slots = table.slots_of_rows(repo.objects(), &(0..table.rows(repo.objects()).unwrap()).collect::<Vec<_>>()).unwrap();
    let cells = table.take(repo.objects(), &slots, &[1, 2]).unwrap();
    let cell = |column: usize, i: usize| cells.column(column).as_primitive::<Int64Type>().value(i);
    slots.iter().enumerate().map(|(i, slot)| (table.row_ids(repo.objects(), *slot..*slot + 1).unwrap()[0], [cell(0, i), cell(1, i)])).collect()
}

fn apply(repo: &Repo, step: &Step, n: usize) -> bool {
    let edit = |edit: &dyn Fn(&crate::table::Table) -> Result<crate::table::Table, RepoError>| repo.edit_table("t", "step", |table| edit(&table)).unwrap();
    match step {
        Step::Set(column, slots, value) => edit(&|table| {
            let last = table.slots(repo.objects())?;
            let mut slots: Vec<u64> = slots.iter().map(|s| s % last).collect();
            slots.sort_unstable();
            slots.dedup();
            let values: ArrayRef = Arc::new(Int64Array::from(vec![*value; slots.len()]));
            Ok(table.set_cells(repo.objects(), column + 1, &slots, &values)?)
        }),
        Step::Delete(slot) => edit(&|table| Ok(table.delete(repo.objects(), &[slot % table.slots(repo.objects())?])?)),
        Step::Append(value) => edit(&|table| {
            let columns: Vec<_> = table.schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
            let mut writer = RowWriter::new(repo.objects(), table, &columns)?;
            let one = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
            writer.push(&RecordBatch::try_new(table.schema.arrow(&[0, 1, 2]), vec![one(1000 + n as i64), one(*value), one(*value)]).unwrap(), &[])?;
            Ok(table.append(repo.objects(), writer.finish()?)?)
        }),
        Step::Switch => {
            let other = if repo.current_branch().unwrap().as_deref() == Some("main") { "dev" } else { "main" };
            switch(repo, other, false);
            return false;
        }
        Step::Merge => {
            let other = if repo.current_branch().unwrap().as_deref() == Some("main") { "dev" } else { "main" };
            repo.merge(&[other.to_owned()], &MergeRequest { strategy: Some(Side::Theirs), ..Default::default() }).unwrap();
            return false;
        }
    }
    repo.commit(&CommitOptions { message: Some(format!("step {n}")), allow_empty: true, ..Default::default() }).unwrap();
    true
}

/// The commit that last set a cell, by the rule alone.
fn naive(repo: &Repo, states: &mut BTreeMap<CommitId, Rows>, at: CommitId, row: RowId, column: usize) -> CommitId {
    let mut state = |id: CommitId| states.entry(id).or_insert_with(|| rows(repo, &id.to_string())).get(&row).map(|cells| cells[column]);
    let now = state(at);
    let parents = repo.commit_of(at).unwrap().parents.clone();
    match parents.into_iter().find(|parent| state(*parent) == now) {
        Some(parent) => naive(repo, states, parent, row, column),
        None => at,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn blame_follows_the_rule(steps in steps()) {
        let (_, repo) = memory();
        start(&repo, 6);
        repo.create_branch("dev", None, false).unwrap();
        for (n, step) in steps.iter().enumerate() {
            apply(&repo, step, n);
        }
        let tip = repo.resolve("HEAD").unwrap();
        let table = repo.table("t", None).unwrap();
        let slots = table.slots_of_rows(repo.objects(), &(0..table.rows(repo.objects()).unwrap()).collect::<Vec<_>>()).unwrap();
        let found = repo.blame("t", None, &[1, 2], &slots).unwrap();
        let mut states = BTreeMap::new();
        for (i, slot) in slots.iter().enumerate() {
            let id = table.row_ids(repo.objects(), *slot..*slot + 1).unwrap()[0];
            for column in 0..2 {
                prop_assert_eq!(found[column][i], Some(naive(&repo, &mut states, tip, id, column)), "row {} column {}", i, column);
            }
            // The row's history has each commit that changed it, and no other.
            let log = repo.row_log("t", None, &RowName::Id(id)).unwrap();
            for (at, commit) in repo.graph().walk([tip], [], crate::history::Order::Date).unwrap().map(Result::unwrap) {
                let mut state = |id_: CommitId| states.entry(id_).or_insert_with(|| rows(&repo, &id_.to_string())).get(&id).copied();
                let now = state(at);
                let changed = if commit.parents.is_empty() { now.is_some() } else { commit.parents.iter().all(|p| state(*p) != now) };
                prop_assert_eq!(log.iter().any(|step| step.commit == at), changed);
            }
        }
    }
}

#[test]
fn what_is_not_committed_is_nobodys_and_renames_are_followed() {
    let (_, repo) = memory();
    start(&repo, 6);
    let first = repo.resolve("HEAD").unwrap();
    set(&repo, "a", &[(2, 5)]);
    let second = repo.resolve("HEAD").unwrap();
    repo.rename_column("t", "a", "alpha", "rename").unwrap();
    repo.rename_table("t", "u", "rename").unwrap();
    commit(&repo, "names").unwrap();
    repo.edit_table("u", "edit", |table| -> Result<_, RepoError> {
        Ok(table.set_cells(repo.objects(), 1, &[3], &(Arc::new(Int64Array::from(vec![9])) as ArrayRef))?)
    })
    .unwrap();
    assert_eq!(repo.blame("u", None, &[1], &[1, 2, 3]).unwrap(), [[Some(first), Some(second), None]]);
    assert_eq!(repo.blame("u", Some("HEAD"), &[1], &[3]).unwrap(), [[Some(first)]]);
    let log = repo.row_log("u", None, &RowName::Key("2".into())).unwrap();
    let told: Vec<_> = log.iter().map(|step| (step.commit, step.change.clone())).collect();
    assert_eq!(told, [(second, RowChange::Changed(vec!["a".into()])), (first, RowChange::Added)]);
    assert!(repo.row_log("u", None, &RowName::Key("77".into())).unwrap_err().to_string().contains("no row '77'"));
    assert!(repo.find_row("u", None, &RowName::Key("77".into())).is_err());
}

#[test]
fn columns_and_rows_come_back() {
    let (_, repo) = memory();
    start(&repo, 6);
    set(&repo, "a", &[(0, 1), (1, 1), (2, 1)]);
    set(&repo, "b", &[(1, 7), (2, 7)]);
    repo.edit_table("t", "edit", |table| -> Result<_, RepoError> { Ok(table.delete(repo.objects(), &[2])?.drop_column("b")?) }).unwrap();
    commit(&repo, "delete and drop").unwrap();
    set(&repo, "a", &[(0, 50), (4, 50)]);
    // A column that is there, in rows that both have; one that was dropped.
    repo.restore_columns("t", &["a".into()], Some("HEAD~3")).unwrap();
    assert_eq!(read(&repo, "a"), [1, 1, 0, 0, 0]);
    repo.restore_columns("t", &["b".into()], Some("HEAD~2")).unwrap();
    assert_eq!(read(&repo, "b"), [0, 7, 0, 0, 0]);
    // A deleted row, with its identity; a row of one column.
    let id = repo.table("t", Some("HEAD~2")).unwrap().row_ids(repo.objects(), 2..3).unwrap();
    repo.restore_rows("t", &[2], &[], Some("HEAD~2")).unwrap();
    assert_eq!((read(&repo, "a"), read(&repo, "b")), (vec![1, 1, 1, 0, 0, 0], vec![0, 7, 7, 0, 0, 0]));
    assert_eq!(repo.table("t", None).unwrap().row_ids(repo.objects(), 2..3).unwrap(), id);
    repo.restore_rows("t", &[1], &["b".into()], Some("HEAD~3")).unwrap();
    assert_eq!((read(&repo, "a"), read(&repo, "b")), (vec![1, 1, 1, 0, 0, 0], vec![0, 0, 7, 0, 0, 0]));
    assert!(repo.restore_columns("t", &["c".into()], None).is_err());
    // A column that was made wider since, in a table with more rows: narrow again, where all values fit.
    apply(&repo, &Step::Append(3), 1);
    repo.retype_column("t", "a", "float64".parse().unwrap(), "wider").unwrap();
    repo.restore_columns("t", &["a".into()], Some("HEAD~3")).unwrap();
    assert_eq!(read(&repo, "a").last(), Some(&3));
    // A key column whose old cells make two rows of one key.
    set(&repo, "n", &[(0, 4), (4, 0)]);
    let before = read(&repo, "n");
    set(&repo, "n", &[(0, 90)]);
    repo.restore_rows("t", &[0], &["n".into()], Some("HEAD~1")).unwrap();
    assert_eq!(read(&repo, "n"), before);
    set(&repo, "n", &[(0, 91), (1, 4)]);
    let error = repo.restore_rows("t", &[0], &["n".into()], Some("HEAD~2")).unwrap_err();
    assert!(error.to_string().contains("key"), "{error}");
}

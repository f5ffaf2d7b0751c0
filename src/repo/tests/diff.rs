//! The relation of changed rows against two plain lists of rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use crate::chunk::Objects;
use crate::format::Type;
use crate::repo::{DIFF_FIELDS, RowDiff};
use crate::table::Table;
use crate::table::changes::RowChange;
use crate::table::edit::Fill;
use crate::table::tests::{Change, Row, apply, change, histories, made, row, small};

/// A row of the relation: the change, the row's id, the changed columns, before and after.
type Line = (String, String, Option<Vec<String>>, Option<Row>, Option<Row>);

fn whole(diff: RowDiff) -> RecordBatch {
    let schema = diff.schema();
    let batches: Vec<RecordBatch> = diff.open().unwrap().collect::<Result<_, _>>().unwrap();
    assert!(batches.iter().all(|b| b.num_rows() > 0));
    concat_batches(&schema, &batches).unwrap()
}

fn lines(batch: &RecordBatch) -> Vec<Line> {
    let text = |name: &str, row: usize| batch[name].as_string::<i32>().value(row).to_owned();
    let side = |name: &str, row: usize| {
        let side = batch[name].as_struct();
        let (n, t) = (side.column(0).as_primitive::<Int64Type>(), side.column(1).as_string::<i32>());
        side.is_valid(row).then(|| (n.is_valid(row).then(|| n.value(row)), t.is_valid(row).then(|| t.value(row).to_owned())))
    };
    let columns = |row: usize| {
        let lists = batch["columns"].as_list::<i32>();
        lists.is_valid(row).then(|| lists.value(row).as_string::<i32>().iter().map(|name| name.unwrap().to_owned()).collect())
    };
    (0..batch.num_rows()).map(|row| (text("change", row), text("row", row), columns(row), side("before", row), side("after", row))).collect()
}

/// The same from plain rows: those of the newer state in order, and those that are gone.
fn twin(old: &[(String, Row)], new: &[(String, Row)]) -> (Vec<Line>, Vec<Line>) {
    let before: HashMap<&String, &Row> = old.iter().map(|(id, row)| (id, row)).collect();
    let after: HashMap<&String, &Row> = new.iter().map(|(id, row)| (id, row)).collect();
    let there = new.iter().filter_map(|(id, row)| {
        let Some(was) = before.get(id) else { return Some(("added".to_owned(), id.clone(), None, None, Some(row.clone()))) };
        let columns: Vec<String> = [(was.0 != row.0, "n"), (was.1 != row.1, "t")].iter().filter(|c| c.0).map(|c| c.1.to_owned()).collect();
        (!columns.is_empty()).then(|| ("changed".to_owned(), id.clone(), Some(columns), Some((*was).clone()), Some(row.clone())))
    });
    let gone = old.iter().filter(|(id, _)| !after.contains_key(id));
    (there.collect(), gone.map(|(id, row)| ("removed".to_owned(), id.clone(), None, Some(row.clone()), None)).collect())
}

struct States {
    objects: Arc<Objects>,
    old: Arc<Table>,
    new: Arc<Table>,
    before: Vec<(String, Row)>,
    after: Vec<(String, Row)>,
}

fn states(rows: &[Row], earlier: &[Change], later: &[Change]) -> States {
    let objects = small();
    let (mut table, mut twin) = (made(&objects, rows), Vec::new());
    twin.extend(crate::table::tests::read(&objects, &table));
    earlier.iter().for_each(|change| table = apply(&objects, &table, &mut twin, change));
    let (old, before) = (Arc::new(table.clone()), twin.clone());
    later.iter().for_each(|change| table = apply(&objects, &table, &mut twin, change));
    States { objects, old, new: Arc::new(table), before, after: twin }
}

impl States {
    fn diff(&self) -> RowDiff {
        RowDiff::new(self.objects.clone(), Some(self.old.clone()), Some(self.new.clone()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(200)))]

    #[test]
    fn the_relation_is_what_plain_rows_say(
        rows in prop::collection::vec(row(), 0..120),
        earlier in prop::collection::vec(change(), 0..3),
        later in prop::collection::vec(change(), 0..5),
        batch_rows in 1usize..40,
        limit in 0u64..60,
        backwards in any::<bool>(),
    ) {
        let mut states = states(&rows, &earlier, &later);
        if backwards {
            std::mem::swap(&mut states.old, &mut states.new);
            std::mem::swap(&mut states.before, &mut states.after);
        }
        let batch = whole(states.diff().batch_rows(batch_rows));
        let found = lines(&batch);
        let (there, gone) = twin(&states.before, &states.after);
        let (mut removed, kept): (Vec<Line>, Vec<Line>) = found.into_iter().partition(|line| line.0 == "removed");
        prop_assert_eq!(kept, there);
        let place = |line: &Line| states.before.iter().position(|(id, _)| *id == line.1);
        removed.sort_by_key(place);
        prop_assert_eq!(removed, gone);

        // Laid on the older state, cell by cell, it gives the newer.
        let mut laid: HashMap<String, Row> = states.before.iter().cloned().collect();
        for (change, id, columns, before, after) in lines(&batch) {
            match (change.as_str(), after) {
                ("removed", None) => prop_assert_eq!(laid.remove(&id), before),
                ("added", Some(row)) => prop_assert_eq!(laid.insert(id, row), None),
                (_, Some(after)) => {
                    let row = laid.get_mut(&id).unwrap();
                    prop_assert_eq!(Some(&*row), before.as_ref());
                    for column in columns.unwrap() {
                        if column == "n" { row.0 = after.0 } else { row.1.clone_from(&after.1) }
                    }
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(laid, states.after.iter().cloned().collect());

        // Fewer rows and fewer fields are a part of the same.
        let rows = (limit as usize).min(batch.num_rows());
        prop_assert_eq!(whole(states.diff().batch_bytes(200).limit(limit)), batch.slice(0, rows));
        prop_assert_eq!(whole(states.diff().project(vec![4, 0])), batch.project(&[4, 0]).unwrap());
        let mut even = false;
        let filtered = states.diff().batch_rows(batch_rows).open_filtered(Some(Box::new(move |rows| Ok(rows.iter().map(|_| { even = !even; even }).collect()))));
        let filtered: Vec<Line> = filtered.unwrap().flat_map(|b| lines(&b.unwrap())).collect();
        prop_assert_eq!(filtered, lines(&batch).into_iter().step_by(2).collect::<Vec<_>>());
        let changes: Vec<RowChange> = states.diff().rows().unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(changes.len(), batch.num_rows());
        let summary = crate::table::diff::diff(&states.objects, &states.old, &states.new).unwrap();
        let cells: u64 = changes.iter().map(|c| if let RowChange::Changed { columns, .. } = c { columns.len() as u64 } else { 0 }).sum();
        prop_assert_eq!(cells, summary.cells_changed());
    }
}

fn plain(rows: i64) -> Vec<Row> {
    (0..rows).map(|n| (Some(n), Some(format!("t{n}")))).collect()
}

#[test]
fn removed_rows_stand_at_their_old_place() {
    let objects = small();
    let old = made(&objects, &plain(10));
    let deleted = old.delete(&objects, &[0, 1, 5]).unwrap();
    let more = crate::table::tests::write(&objects, &deleted, &plain(1));
    let new = deleted.append(&objects, more).unwrap();
    let new = new.set_cells(&objects, 0, &[4, 6], &(Arc::new(arrow::array::Int64Array::from(vec![40, 60])) as _)).unwrap();
    let order = |new: &Table| {
        let batch = whole(RowDiff::new(objects.clone(), Some(Arc::new(old.clone())), Some(Arc::new(new.clone()))));
        lines(&batch).into_iter().map(|(change, id, ..)| format!("{change} {}", id.split(':').next_back().unwrap())).collect::<Vec<_>>()
    };
    let expected = ["removed 0", "removed 1", "changed 4", "removed 5", "changed 6", "added 0"];
    assert_eq!(order(&new), expected);
    // The same where the slots are gone as well.
    assert_eq!(order(&new.purge(&objects).unwrap().0), expected);
}

#[test]
fn a_state_that_is_absent_has_no_rows() {
    let objects = small();
    let table = Arc::new(made(&objects, &plain(3)).delete(&objects, &[1]).unwrap());
    let added = whole(RowDiff::new(objects.clone(), None, Some(table.clone())));
    assert_eq!(lines(&added).iter().map(|l| (l.0.as_str(), l.4.clone().unwrap().0)).collect::<Vec<_>>(), [("added", Some(0)), ("added", Some(2))]);
    let removed = whole(RowDiff::new(objects.clone(), Some(table.clone()), None));
    assert_eq!(lines(&removed).iter().map(|l| (l.0.as_str(), l.3.clone().unwrap().0)).collect::<Vec<_>>(), [("removed", Some(0)), ("removed", Some(2))]);
    assert_eq!(added.schema(), removed.schema());
    assert_eq!(whole(RowDiff::new(objects.clone(), Some(table.clone()), Some(table))).num_rows(), 0);
    assert_eq!(RowDiff::new(objects, None, None).schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), DIFF_FIELDS);
}

#[test]
fn columns_are_matched_by_identity() {
    let objects = small();
    let old = Arc::new(made(&objects, &plain(4)));
    let one = Arc::new(arrow::array::Int64Array::from(vec![9])) as arrow::array::ArrayRef;
    let new = old.set_cells(&objects, 0, &[2], &one).unwrap().rename_column("n", "number").unwrap();
    let new = Arc::new(new.add_column(&objects, "score", Type::INT64, Fill::Constant(one)).unwrap().drop_column("t").unwrap());
    let diff = || RowDiff::new(objects.clone(), Some(old.clone()), Some(new.clone()));
    let names = |batch: &RecordBatch, side: &str| batch[side].as_struct().column_names().join(",");
    let batch = whole(diff());
    assert_eq!((batch.num_rows(), names(&batch, "before"), names(&batch, "after")), (1, "n,t".to_owned(), "number,score".to_owned()));
    assert_eq!(batch["columns"].as_list::<i32>().value(0).as_string::<i32>().value(0), "number");

    let shown = |column: &str| whole(diff().show(&[column.to_owned()]).unwrap());
    for (column, before, after) in [("number", "n", "number"), ("n", "n", "number"), ("t", "t", ""), ("score", "", "score")] {
        let batch = shown(column);
        assert_eq!((names(&batch, "before"), names(&batch, "after")), (before.to_owned(), after.to_owned()), "{column}");
    }
    for (column, rows) in [("number", 1), ("n", 1), ("t", 0), ("score", 0)] {
        assert_eq!(whole(diff().compare(&[column.to_owned()]).unwrap()).num_rows(), rows, "{column}");
    }
    let error = diff().compare(&["scor".to_owned()]).unwrap_err();
    assert_eq!((error.to_string(), error.hints()), ("table has no column 'scor'".to_owned(), vec!["did you mean 'score'?".to_owned()]));
}

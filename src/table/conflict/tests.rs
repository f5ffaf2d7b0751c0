//! Conflicts kept and settled.

use arrow::array::Int64Array;

use super::*;
use crate::table::merge::{MergeOptions, merge};
use crate::table::tests::{Row, made, read, small};

fn conflict(kind: ConflictKind) -> Conflict {
    Conflict { kind, column: Some(ColumnId([3; 16])), base: None, ours: Some(4), theirs: Some(1 << 40), merged: Some(4) }
}

fn rows(n: i64) -> Vec<Row> {
    (0..n).map(|i| (Some(i), Some(format!("row {i}")))).collect()
}

#[test]
fn a_list_comes_back_as_it_was_written() {
    let objects = small();
    let kinds = [
        ConflictKind::Cell,
        ConflictKind::Deleted(Side::Ours),
        ConflictKind::Deleted(Side::Theirs),
        ConflictKind::Key,
        ConflictKind::Dropped(Side::Ours),
        ConflictKind::Dropped(Side::Theirs),
        ConflictKind::Schema("apart".into()),
        ConflictKind::Check("positive".into()),
        ConflictKind::Whole("both".into()),
    ];
    let all: Vec<Listed> = kinds
        .into_iter()
        .enumerate()
        .map(|(i, kind)| Listed { table: (i % 2 == 0).then_some(TableId([i as u8; 16])), name: format!("t{i}"), conflict: conflict(kind) })
        .collect();
    let kept = Arc::new(list(&objects, &all).unwrap());
    let found = listed(&objects, &kept).unwrap();
    assert_eq!(found.iter().map(|(_, listed)| listed.clone()).collect::<Vec<_>>(), all);
    // Those that are settled are deleted rows.
    let left = Arc::new(kept.delete(&objects, &[found[0].0, found[3].0]).unwrap());
    assert_eq!(listed(&objects, &left).unwrap().len(), all.len() - 2);
    assert_eq!(listed(&objects, &Arc::new(list(&objects, &[]).unwrap())).unwrap(), []);
}

#[test]
fn columns_in_conflict_are_settled_as_a_side_has_them() {
    let objects = small();
    let base = made(&objects, &rows(30));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["changed"]));
    let names = |table: &Table| table.schema.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let settled = |ours: &Table, theirs: &Table, side: Side| {
        let merged = merge(&objects, &base, ours, theirs, &MergeOptions::default()).unwrap();
        assert!(!merged.conflicts.is_empty());
        let dispute = Dispute { base: &base, ours, theirs, merged: &merged.table };
        dispute.settle(&objects, &merged.table, &merged.conflicts.iter().collect::<Vec<_>>(), Some(side)).unwrap()
    };
    let dropped = base.drop_column("t").unwrap();
    let changed = base.set_cells(&objects, 1, &[3], &text).unwrap();
    for (ours, theirs) in [(&dropped, &changed), (&changed, &dropped)] {
        assert_eq!(names(&settled(ours, theirs, Side::Ours)), names(ours));
        let theirs_won = settled(ours, theirs, Side::Theirs);
        assert_eq!(names(&theirs_won), names(theirs));
        if names(theirs).len() == 2 {
            assert_eq!(read(&objects, &theirs_won), read(&objects, &changed));
        }
    }
    let (a, b) = (base.rename_column("t", "a").unwrap(), base.rename_column("t", "b").unwrap());
    assert_eq!(names(&settled(&a, &b, Side::Ours)), ["n", "a"]);
    assert_eq!(names(&settled(&a, &b, Side::Theirs)), ["n", "b"]);
    // One name for two columns.
    let added = |ty: Type| base.add_column(&objects, "x", ty.clone(), crate::table::edit::Fill::Constant(new_null_array(&ty.storage(), 1))).unwrap();
    for (side, ty) in [(Side::Ours, Type::INT64), (Side::Theirs, Type::TEXT)] {
        let table = settled(&added(Type::INT64), &added(Type::TEXT), side);
        assert_eq!(names(&table), ["n", "t", "x"]);
        assert_eq!(table.schema.columns[2].ty, ty);
    }
}

#[test]
fn cells_in_any_order_and_values_for_conflicts() {
    let objects = small();
    let base = made(&objects, &rows(9));
    let cells = cells_at(&objects, &base, 0, &[Some(7), None, Some(2), Some(7)]).unwrap();
    assert_eq!(&cells, &(Arc::new(Int64Array::from(vec![Some(7), None, Some(2), Some(7)])) as ArrayRef));
    let set = |slots: &[u64], value: i64| {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![value; slots.len()]));
        base.set_cells(&objects, 0, slots, &values).unwrap()
    };
    let (ours, theirs) = (set(&[1, 5], 100), set(&[1, 5, 6], 200));
    let merged = merge(&objects, &base, &ours, &theirs, &MergeOptions::default()).unwrap();
    let dispute = Dispute { base: &base, ours: &ours, theirs: &theirs, merged: &merged.table };
    let conflicts: Vec<&Conflict> = merged.conflicts.iter().rev().collect();
    // Rows that came or moved meanwhile do not matter.
    let now = merged.table.delete(&objects, &[0]).unwrap();
    let values: ArrayRef = Arc::new(Int64Array::from(vec![55, 11]));
    let table = dispute.set(&objects, &now, &conflicts, &values).unwrap();
    let found: Vec<Option<i64>> = read(&objects, &table).into_iter().map(|(_, row)| row.0).collect();
    assert_eq!(
        found,
        [1, 2, 3, 4, 5, 6, 7, 8].map(|n| Some(if n == 1 {
            11
        } else if n == 5 {
            55
        } else if n == 6 {
            200
        } else {
            n
        }))
    );
}

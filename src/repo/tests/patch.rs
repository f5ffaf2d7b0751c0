//! What a diff of two states says, laid upon the rows of the one, gives those of the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, StructArray};
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;

use crate::chunk::Objects;
use crate::format::Type;
use crate::repo::RowDiff;
use crate::table::Table;
use crate::table::changes::{RowChange, RowChanges};
use crate::table::diff::{SchemaChange, align, diff};
use crate::table::edit::Fill;
use crate::table::tests::{Change, apply, change, histories, made, read, row, small};

/// A row's cells as text, by the column's name.
type Cells = BTreeMap<String, Option<String>>;

/// A change of rows, or of the columns behind the first two. Indices are taken modulo what is there.
#[derive(Debug, Clone)]
enum Edit {
    Rows(Change),
    Add { text: bool, constant: bool },
    Set(prop::sample::Index, Vec<(prop::sample::Index, u8)>),
    Drop(prop::sample::Index),
    Rename(prop::sample::Index),
    Retype(prop::sample::Index, bool),
}

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let index = any::<prop::sample::Index>;
    let one = prop_oneof![
        6 => change().prop_map(Edit::Rows),
        2 => any::<(bool, bool)>().prop_map(|(text, constant)| Edit::Add { text, constant }),
        2 => (index(), prop::collection::vec((index(), any::<u8>()), 1..9)).prop_map(|(column, cells)| Edit::Set(column, cells)),
        1 => index().prop_map(Edit::Drop),
        1 => index().prop_map(Edit::Rename),
        1 => (index(), any::<bool>()).prop_map(|(column, text)| Edit::Retype(column, text)),
    ];
    prop::collection::vec(one, 0..most)
}

/// Values of a column's type; every fourth is null.
fn values(ty: &Type, seeds: impl Iterator<Item = u8>) -> ArrayRef {
    let seeds = seeds.map(|seed| (!seed.is_multiple_of(4)).then_some(seed));
    match *ty == Type::TEXT {
        true => Arc::new(StringArray::from_iter(seeds.map(|seed| seed.map(|seed| format!("{}", i32::from(seed) - 100))))),
        false => {
            let numbers: ArrayRef = Arc::new(Int32Array::from_iter(seeds.map(|seed| seed.map(|seed| i32::from(seed) - 100))));
            arrow::compute::cast(&numbers, &ty.storage()).unwrap()
        }
    }
}

fn edited(objects: &Arc<Objects>, table: &Table, edit: &Edit, number: usize) -> Table {
    let extra = |index: &prop::sample::Index| (table.columns.len() > 2).then(|| 2 + index.index(table.columns.len() - 2));
    let name = |column: usize| table.schema.columns[column].name.clone();
    let slots: Vec<u64> = table.live_slots(objects).unwrap().collect();
    match edit {
        Edit::Rows(change) => apply(objects, table, &mut read(objects, table), change),
        Edit::Add { text, constant } => {
            let ty = if *text { Type::TEXT } else { "int32".parse().unwrap() };
            let fill = match constant {
                true => Fill::Constant(values(&ty, std::iter::once(number as u8))),
                false => Fill::Values(Box::new(std::iter::once(Ok(values(&ty, (0..slots.len()).map(|i| i as u8)))))),
            };
            table.add_column(objects, &format!("x{number}"), ty, fill).unwrap()
        }
        Edit::Set(column, cells) => {
            let Some(column) = extra(column).filter(|_| !slots.is_empty()) else { return table.clone() };
            let cells: BTreeMap<u64, u8> = cells.iter().map(|(at, seed)| (slots[at.index(slots.len())], *seed)).collect();
            let values = values(&table.schema.columns[column].ty, cells.values().copied());
            table.set_cells(objects, column, &cells.keys().copied().collect::<Vec<_>>(), &values).unwrap()
        }
        Edit::Drop(column) => extra(column).map_or(table.clone(), |column| table.drop_column(&name(column)).unwrap()),
        Edit::Rename(column) => extra(column).map_or(table.clone(), |column| table.rename_column(&name(column), &format!("y{number}")).unwrap()),
        Edit::Retype(column, text) => {
            let ty = if *text { Type::TEXT } else { Type::INT64 };
            extra(column).map_or(table.clone(), |column| table.retype_column(objects, &name(column), ty).unwrap())
        }
    }
}

fn cells<'a>(columns: impl Iterator<Item = (&'a str, &'a ArrayRef)>, row: usize) -> Cells {
    columns.map(|(name, column)| (name.to_owned(), column.is_valid(row).then(|| array_value_to_string(column, row).unwrap()))).collect()
}

fn rows(objects: &Arc<Objects>, table: &Table) -> Vec<(String, Cells)> {
    let mut out = Vec::new();
    for batch in Arc::new(table.clone()).scan(objects).with_row_ids(true).open().unwrap() {
        let batch = batch.unwrap();
        let (schema, ids) = (batch.schema(), batch.column(0).as_string::<i32>());
        let names = || schema.fields().iter().skip(1).map(|f| f.name().as_str()).zip(&batch.columns()[1..]);
        out.extend((0..batch.num_rows()).map(|row| (ids.value(row).to_owned(), cells(names(), row))));
    }
    out
}

/// Lays the changes of columns upon rows: `None` for the cells of a column that came, which are in the newer state alone.
fn with_columns(before: &[(String, Cells)], changes: &[SchemaChange]) -> HashMap<String, Cells> {
    let mut to: HashMap<&str, Option<&str>> = HashMap::new();
    for change in changes {
        match change {
            SchemaChange::Renamed { from, to: name } => drop(to.insert(from, Some(name))),
            SchemaChange::Dropped { name, .. } => drop(to.insert(name, None)),
            SchemaChange::Added { .. } | SchemaChange::Retyped { .. } => {}
        }
    }
    let name = |old: &String| to.get(old.as_str()).map_or(Some(old.clone()), |new| new.map(str::to_owned));
    let moved = |cells: &Cells| -> Cells { cells.iter().filter_map(|(old, cell)| Some((name(old)?, cell.clone()))).collect() };
    before.iter().map(|(id, cells)| (id.clone(), moved(cells))).collect()
}

fn side(batch: &RecordBatch, name: &str, row: usize) -> Option<Cells> {
    let side: &StructArray = batch[name].as_struct();
    side.is_valid(row).then(|| cells(side.column_names().into_iter().zip(side.columns()), row))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(300)))]

    #[test]
    fn a_diff_laid_upon_the_older_state_gives_the_newer(
        first in prop::collection::vec(row(), 0..60), earlier in edits(4), later in edits(6), backwards in any::<bool>(),
    ) {
        let objects = small();
        let mut table = made(&objects, &first);
        let numbered = |edits: &[Edit], from: usize| edits.iter().cloned().zip(from..).collect::<Vec<_>>();
        for (edit, number) in numbered(&earlier, 0) {
            table = edited(&objects, &table, &edit, number);
        }
        let mut old = table.clone();
        for (edit, number) in numbered(&later, 100) {
            table = edited(&objects, &table, &edit, number);
        }
        let mut new = table;
        if backwards {
            std::mem::swap(&mut old, &mut new);
        }
        let (before, after) = (rows(&objects, &old), rows(&objects, &new));
        let summary = diff(&objects, &old, &new).unwrap();
        let came: HashSet<&str> = summary.schema.iter().filter_map(|c| if let SchemaChange::Added { name, .. } = c { Some(name.as_str()) } else { None }).collect();

        // The values.
        let mut found = with_columns(&before, &summary.schema);
        let was: HashMap<&String, &Cells> = before.iter().map(|(id, cells)| (id, cells)).collect();
        let relation = RowDiff::new(objects.clone(), Some(Arc::new(old.clone())), Some(Arc::new(new.clone())));
        let mut added = HashSet::new();
        for batch in relation.open().unwrap() {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                let id = batch["row"].as_string::<i32>().value(row).to_owned();
                let (gone, now) = (side(&batch, "before", row), side(&batch, "after", row));
                prop_assert_eq!(gone.as_ref(), was.get(&id).copied());
                match (batch["change"].as_string::<i32>().value(row), now) {
                    ("added", Some(now)) => {
                        prop_assert!(found.insert(id.clone(), now).is_none());
                        added.insert(id);
                    }
                    ("removed", None) => prop_assert!(found.remove(&id).is_some()),
                    ("changed", Some(now)) => {
                        let names = batch["columns"].as_list::<i32>().value(row);
                        let cells = found.get_mut(&id).unwrap();
                        for name in names.as_string::<i32>().iter().flatten() {
                            prop_assert!(cells.insert(name.to_owned(), now[name].clone()).is_some());
                        }
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
        let expected: HashMap<String, Cells> = after.iter().map(|(id, cells)| {
            let told = |name: &String| added.contains(id) || !came.contains(name.as_str());
            (id.clone(), cells.iter().filter(|(name, _)| told(name)).map(|(name, cell)| (name.clone(), cell.clone())).collect())
        }).collect();
        prop_assert_eq!(found, expected);

        // The order: rows of both stand where the stretches that align say, added ones at their own slots.
        let segments = align(&objects, &old, &new).unwrap();
        let at = |slot: u64| segments.iter().find(|s| (s.old..s.old + s.rows).contains(&slot)).map(|s| s.new + (slot - s.old));
        let (mut slots, mut removed, mut changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let changes = RowChanges::open(&objects, Some(Arc::new(old.clone())), Some(Arc::new(new.clone())), None).unwrap();
        let pairs = changes.pairs().to_vec();
        for change in changes {
            match change.unwrap() {
                RowChange::Added { new } => prop_assert!(slots.insert(new)),
                RowChange::Removed { old } => prop_assert!(removed.insert(old)),
                RowChange::Changed { old, new, columns } => changed.extend(columns.into_iter().map(|c| (pairs[c], old, new))),
            }
        }
        // The summary says the same.
        prop_assert_eq!(summary.added.iter().cloned().flatten().collect::<BTreeSet<u64>>(), slots.clone());
        prop_assert_eq!(summary.removed.iter().cloned().flatten().collect::<BTreeSet<u64>>(), removed.clone());
        let cells = summary.changed.iter().flat_map(|c| c.cells.iter().map(|(a, b)| ((c.old, c.new), *a, *b)));
        prop_assert_eq!(cells.collect::<BTreeSet<_>>(), changed);
        for slot in old.live_slots(&objects).unwrap().filter(|slot| !removed.contains(slot)) {
            prop_assert!(slots.insert(at(slot).unwrap()));
        }
        let ids: Vec<String> = slots.iter().map(|slot| new.row_ids(&objects, *slot..slot + 1).unwrap()[0].to_string()).collect();
        prop_assert_eq!(&ids, &after.iter().map(|r| r.0.clone()).collect::<Vec<_>>());
        if !summary.reordered {
            let kept: HashSet<&String> = ids.iter().collect();
            let (here, there) = (before.iter().map(|r| &r.0).filter(|id| kept.contains(id)), ids.iter().filter(|id| was.contains_key(id)));
            prop_assert!(here.eq(there));
        }
    }
}

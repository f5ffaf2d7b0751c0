//! Tables against plain rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::arrange::Piece;
use super::diff::diff;
use super::edit::Fill;
use super::key::KeyIndex;
use super::replace::{Changes, Rewriter, RowPrinter, match_rows};
use super::write::{LargeCell, NewRows, RowWriter};
use super::*;
use crate::chunk::{ChunkLimits, Limits};
use crate::format::Type;
use crate::format::node::Slice;
use crate::store::MemoryStore;

/// How many histories to try: more where `make test-full` asks for it.
pub(crate) fn histories(few: u32) -> u32 {
    std::env::var("DSV_TEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(few)
}

/// Objects in memory, with chunks and blocks so small that tables of a few hundred rows have many.
pub(crate) fn small() -> Arc<Objects> {
    let chunk =
        ChunkLimits { block_bytes: 64, block_rows_max: 64, bytes_min: 128, bytes_mean: 256, bytes_max: 1024, rows_min: 16, rows_mean: 32, rows_max: 128 };
    Arc::new(Objects::new(Arc::new(MemoryStore::new()), Limits { chunk, ..Limits::default() }))
}

fn full() -> Arc<Objects> {
    Arc::new(Objects::new(Arc::new(MemoryStore::new()), Limits::default()))
}

pub(crate) type Row = (Option<i64>, Option<String>);

pub(crate) fn columns() -> Vec<(String, Type)> {
    vec![("n".into(), Type::INT64), ("t".into(), Type::TEXT)]
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.0)));
    let t: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|r| r.1.clone())));
    RecordBatch::try_from_iter_with_nullable([("n", n, true), ("t", t, true)]).unwrap()
}

pub(crate) fn empty(objects: &Arc<Objects>) -> Table {
    let id = TableId([1; 16]);
    Table::create(objects, id, Schema::of(id, &columns())).unwrap()
}

pub(crate) fn write(objects: &Arc<Objects>, table: &Table, rows: &[Row]) -> NewRows {
    let mut writer = RowWriter::new(objects, table, &columns()).unwrap();
    for part in rows.chunks(7) {
        writer.push(&batch(part), &[]).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn made(objects: &Arc<Objects>, rows: &[Row]) -> Table {
    let table = empty(objects);
    let new = write(objects, &table, rows);
    table.append(objects, new).unwrap()
}

/// All live rows, with their ids.
pub(crate) fn read(objects: &Arc<Objects>, table: &Table) -> Vec<(String, Row)> {
    let table = Arc::new(table.clone());
    let columns = vec![table.schema.index("n").unwrap(), table.schema.index("t").unwrap()];
    let mut out = Vec::new();
    for batch in table.scan(objects).columns(columns).with_row_ids(true).batch_rows(50).open().unwrap() {
        let batch = batch.unwrap();
        let (ids, n, t) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>(), batch.column(2).as_string::<i32>());
        for i in 0..batch.num_rows() {
            let row = (n.is_valid(i).then(|| n.value(i)), t.is_valid(i).then(|| t.value(i).to_owned()));
            out.push((ids.value(i).to_owned(), row));
        }
    }
    out
}

fn rows_of(objects: &Arc<Objects>, table: &Table) -> Vec<Row> {
    read(objects, table).into_iter().map(|r| r.1).collect()
}

pub(crate) fn row() -> impl Strategy<Value = Row> {
    (prop::option::weighted(0.9, 0i64..40), prop::option::weighted(0.9, "[a-c]{0,3}|x{70,90}"))
}

/// A change of a table; indices are taken modulo what is there.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Append(Vec<Row>),
    SetN(Vec<(prop::sample::Index, Option<i64>)>),
    SetT(Vec<(prop::sample::Index, Option<String>)>),
    Delete(Vec<prop::sample::Index>),
    Move(prop::sample::Index, prop::sample::Index, prop::sample::Index),
    Replace(Vec<prop::sample::Index>, Vec<(prop::sample::Index, Row)>),
    Compact,
    Purge,
    Reload,
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        prop::collection::vec(row(), 0..80).prop_map(Change::Append),
        prop::collection::vec((index(), prop::option::of(0i64..40)), 1..12).prop_map(Change::SetN),
        prop::collection::vec((index(), prop::option::of("[d-f]{0,3}|y{70,90}")), 1..50).prop_map(Change::SetT),
        prop::collection::vec(index(), 1..30).prop_map(Change::Delete),
        (index(), index(), index()).prop_map(|(a, b, c)| Change::Move(a, b, c)),
        (prop::collection::vec(index(), 0..20), prop::collection::vec((index(), row()), 0..20)).prop_map(|(d, i)| Change::Replace(d, i)),
        Just(Change::Compact),
        Just(Change::Purge),
        Just(Change::Reload),
    ]
}

/// The slots of some live rows, ascending, with what goes there; the last of several for one row counts.
fn places<T: Clone>(slots: &[u64], wanted: &[(prop::sample::Index, T)]) -> Vec<(usize, u64, T)> {
    let by_rank: std::collections::BTreeMap<usize, T> = wanted.iter().map(|(i, v)| (i.index(slots.len()), v.clone())).collect();
    by_rank.into_iter().map(|(rank, value)| (rank, slots[rank], value)).collect()
}

pub(crate) fn apply(objects: &Arc<Objects>, table: &Table, twin: &mut Vec<(String, Row)>, change: &Change) -> Table {
    let slots: Vec<u64> = table.live_slots(objects).unwrap().collect();
    let add = |twin: &mut Vec<(String, Row)>, new: &NewRows, rows: &[Row]| {
        twin.extend(rows.iter().enumerate().map(|(i, r)| (format!("{}:{i}", new.origin), r.clone())));
    };
    match change {
        Change::Append(rows) => {
            let new = write(objects, table, rows);
            add(twin, &new, rows);
            table.append(objects, new).unwrap()
        }
        Change::SetN(_) | Change::SetT(_) | Change::Delete(_) | Change::Move(..) if slots.is_empty() => table.clone(),
        Change::SetN(cells) => {
            let cells = places(&slots, cells);
            for (rank, _, value) in &cells {
                twin[*rank].1.0 = *value;
            }
            let values: ArrayRef = Arc::new(Int64Array::from_iter(cells.iter().map(|c| c.2)));
            table.set_cells(objects, 0, &cells.iter().map(|c| c.1).collect::<Vec<_>>(), &values).unwrap()
        }
        Change::SetT(cells) => {
            let cells = places(&slots, cells);
            for (rank, _, value) in &cells {
                twin[*rank].1.1 = value.clone();
            }
            let values: ArrayRef = Arc::new(StringArray::from_iter(cells.iter().map(|c| c.2.clone())));
            table.set_cells(objects, 1, &cells.iter().map(|c| c.1).collect::<Vec<_>>(), &values).unwrap()
        }
        Change::Delete(indices) => {
            let gone = places(&slots, &indices.iter().map(|i| (*i, ())).collect::<Vec<_>>());
            for (rank, ..) in gone.iter().rev() {
                twin.remove(*rank);
            }
            table.delete(objects, &gone.iter().map(|g| g.1).collect::<Vec<_>>()).unwrap()
        }
        Change::Move(a, b, c) => {
            let n = table.slots(objects).unwrap();
            let mut cuts = [a, b, c].map(|i| i.index(n as usize + 1) as u64);
            cuts.sort();
            let [a, b, c] = cuts;
            let pieces = [Piece::Old(0..a), Piece::Old(b..c), Piece::Old(a..b), Piece::Old(c..n)];
            let rank = |slot: u64| slots.partition_point(|s| *s < slot);
            let (x, y, z) = (rank(a), rank(b), rank(c));
            twin[x..z].rotate_left(y - x);
            table.arrange(objects, &pieces, NewRows { origin: crate::base::Origin([0; 16]), rows: 0, columns: vec![] }).unwrap()
        }
        Change::Replace(gone, come) => {
            let mut file: Vec<Row> = twin.iter().map(|r| r.1.clone()).collect();
            for i in gone {
                if !file.is_empty() {
                    file.remove(i.index(file.len()));
                }
            }
            for (i, row) in come {
                file.insert(i.index(file.len() + 1), row.clone());
            }
            let (table, _) = replace_by_content(objects, table, &file);
            *twin = read(objects, &table);
            assert_eq!(twin.iter().map(|r| r.1.clone()).collect::<Vec<_>>(), file);
            table
        }
        Change::Compact => table.compact(objects, &|_| ()).unwrap().0,
        Change::Purge => table.purge(objects).unwrap().0,
        Change::Reload => Table::load(objects, table.store(objects).unwrap()).unwrap(),
    }
}

fn replace_by_content(objects: &Arc<Objects>, table: &Table, file: &[Row]) -> (Table, Changes) {
    let table = Arc::new(table.clone());
    let printer = RowPrinter::new(&[Type::INT64, Type::TEXT]).unwrap();
    let slots: Vec<u64> = table.live_slots(objects).unwrap().collect();
    let mut old = Vec::new();
    for batch in table.scan(objects).columns(vec![0, 1]).open().unwrap() {
        old.extend(printer.print(batch.unwrap().columns()).unwrap());
    }
    let new = printer.print(batch(file).columns()).unwrap();
    let matches: Vec<Option<u64>> = match_rows(&old, &new).into_iter().map(|m| m.map(|rank| slots[rank as usize])).collect();
    let mut rewriter = Rewriter::new(objects, &table, &columns()).unwrap();
    for (part, matches) in file.chunks(9).zip(matches.chunks(9)) {
        rewriter.push(&batch(part), &[], matches).unwrap();
    }
    rewriter.finish(true).unwrap()
}

/// Added, removed, changed cells, by row id.
fn naive_diff(old: &[(String, Row)], new: &[(String, Row)]) -> (u64, u64, u64) {
    let before: HashMap<&String, &Row> = old.iter().map(|(id, r)| (id, r)).collect();
    let after: HashMap<&String, &Row> = new.iter().map(|(id, r)| (id, r)).collect();
    let cells = before.iter().filter_map(|(id, a)| after.get(*id).map(|b| u64::from(a.0 != b.0) + u64::from(a.1 != b.1))).sum();
    (after.keys().filter(|id| !before.contains_key(*id)).count() as u64, before.keys().filter(|id| !after.contains_key(*id)).count() as u64, cells)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn changes_match_plain_rows(changes in prop::collection::vec(change(), 1..12)) {
        let objects = small();
        let mut table = empty(&objects);
        let mut twin = Vec::new();
        let mut past: Vec<(Table, Vec<(String, Row)>)> = vec![(table.clone(), twin.clone())];
        for change in &changes {
            table = apply(&objects, &table, &mut twin, change);
            prop_assert_eq!(&read(&objects, &table), &twin, "{:?}", change);
            prop_assert_eq!(table.rows(&objects).unwrap(), twin.len() as u64);
            past.push((table.clone(), twin.clone()));
        }
        for (old, before) in &past {
            prop_assert_eq!(&read(&objects, old), before, "the past has changed");
            let found = diff(&objects, old, &table).unwrap();
            prop_assert_eq!((found.rows_added(), found.rows_removed(), found.cells_changed()), naive_diff(before, &twin));
        }
        // Scattered reads agree with scans.
        let slots: Vec<u64> = table.live_slots(&objects).unwrap().step_by(3).collect();
        let taken = table.take(&objects, &slots, &[0, 1]).unwrap();
        let ranks: Vec<u64> = (0..twin.len() as u64).step_by(3).collect();
        prop_assert_eq!(table.slots_of_rows(&objects, &ranks).unwrap(), slots);
        let expected: Vec<Row> = twin.iter().step_by(3).map(|r| r.1.clone()).collect();
        prop_assert_eq!(taken, batch(&expected));
    }

    #[test]
    fn the_same_rows_in_other_pieces_are_the_same_table(rows in prop::collection::vec(row(), 0..200), cut in 1usize..50) {
        let objects = small();
        let table = empty(&objects);
        let mut writer = RowWriter::new(&objects, &table, &columns()).unwrap();
        for part in rows.chunks(cut) {
            writer.push(&batch(part), &[]).unwrap();
        }
        let other = table.append(&objects, writer.finish().unwrap()).unwrap();
        prop_assert_eq!(made(&objects, &rows).store(&objects).unwrap(), other.store(&objects).unwrap());
    }

    #[test]
    fn pruning_never_loses_a_row(rows in prop::collection::vec(row(), 1..300), edits in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(0i64..40)), 0..9), wanted in 0i64..40) {
        let objects = small();
        let table = made(&objects, &rows);
        let mut twin: Vec<(String, Row)> = read(&objects, &table);
        let table = apply(&objects, &table, &mut twin, &Change::SetN(edits));
        use crate::format::stats::Scalar;
        let may = |stats: &crate::format::stats::Stats, _| match (&stats.min, &stats.max) {
            (Some(Scalar::Int(min)), Some(Scalar::Int(max))) => (*min..=*max).contains(&wanted),
            _ => false,
        };
        let kept = table.prune(&objects, 0, &may, vec![0..rows.len() as u64]).unwrap();
        for (slot, row) in twin.iter().enumerate() {
            prop_assert!(row.1.0 != Some(wanted) || kept.iter().any(|r| r.contains(&(slot as u64))));
        }
    }

    #[test]
    fn upsert_by_key(before in prop::collection::btree_map(0i64..60, "[a-c]{0,2}", 0..50), file in prop::collection::btree_map(0i64..60, "[a-c]{0,2}", 0..50), replace in any::<bool>(), backwards in any::<bool>()) {
        let objects = small();
        let rows: Vec<Row> = before.iter().map(|(k, v)| (Some(*k), Some(v.clone()))).collect();
        let table = Arc::new(made(&objects, &rows));
        let ids: HashMap<i64, String> = read(&objects, &table).into_iter().map(|(id, r)| (r.0.unwrap(), id)).collect();
        let index = KeyIndex::build(&objects, &table, vec![0]).unwrap();
        let mut file: Vec<Row> = file.iter().map(|(k, v)| (Some(*k), Some(v.clone()))).collect();
        if backwards { file.reverse(); }
        let mut rewriter = Rewriter::new(&objects, &table, &columns()).unwrap();
        for part in file.chunks(8) {
            let part = batch(part);
            let slots: Vec<_> = index.hash(&[part.column(0).clone()], 0).unwrap().into_iter().map(|h| index.get(h)).collect();
            rewriter.push(&part, &[], &slots).unwrap();
        }
        let (after, counts) = rewriter.finish(replace).unwrap();
        let found = read(&objects, &after);
        let expected: Vec<Row> = if replace { file.clone() } else {
            let new: HashMap<i64, &Row> = file.iter().map(|r| (r.0.unwrap(), r)).collect();
            let mut all: Vec<Row> = rows.iter().map(|r| (*new.get(&r.0.unwrap()).unwrap_or(&r)).clone()).collect();
            all.extend(file.iter().filter(|r| !before.contains_key(&r.0.unwrap())).cloned());
            all
        };
        prop_assert_eq!(found.iter().map(|r| r.1.clone()).collect::<Vec<_>>(), expected);
        for (id, row) in &found {
            if let Some(old) = ids.get(&row.0.unwrap()) { prop_assert_eq!(id, old); }
        }
        let changed = file.iter().filter(|r| before.get(&r.0.unwrap()).is_some_and(|v| Some(v) != r.1.as_ref())).count() as u64;
        prop_assert_eq!((counts.changed, counts.cells), (changed, changed));
        prop_assert_eq!(counts.added, file.iter().filter(|r| !before.contains_key(&r.0.unwrap())).count() as u64);
    }
}

#[test]
fn replacing_with_few_changes_is_few_changes() {
    let objects = full();
    let rows: Vec<Row> = (0..500).map(|i| (Some(i), Some(format!("name {i}")))).collect();
    let table = made(&objects, &rows);
    let mut file = rows.clone();
    file[10].1 = Some("another".into());
    file.remove(100);
    file.insert(300, (Some(1000), Some("new".into())));
    let (after, counts) = replace_by_content(&objects, &table, &file);
    assert_eq!(counts, Changes { added: 1, removed: 1, changed: 1, cells: 1 });
    assert_eq!(rows_of(&objects, &after), file);
    // The same file once more changes nothing, not even an id.
    let (again, counts) = replace_by_content(&objects, &after, &file);
    assert_eq!(counts, Changes::default());
    assert_eq!(again.store(&objects).unwrap(), after.store(&objects).unwrap());
}

#[test]
fn columns_come_and_go() {
    let objects = full();
    let rows: Vec<Row> = (0..100).map(|i| (Some(i), Some(i.to_string()))).collect();
    let table = made(&objects, &rows).delete(&objects, &[3, 4, 99]).unwrap();
    let half: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let with = table.add_column(&objects, "score", Type::FLOAT64, Fill::Constant(half.clone())).unwrap();
    assert_eq!(with.schema.columns.len(), 3);
    let values: ArrayRef = Arc::new(Float64Array::from_iter_values((0..97).map(f64::from)));
    let given = table.add_column(&objects, "rank", Type::FLOAT64, Fill::Values(Box::new([Ok(values.clone())].into_iter()))).unwrap();
    let scanned: Vec<ArrayRef> = Arc::new(given.clone()).scan(&objects).columns(vec![2]).open().unwrap().map(|b| b.unwrap().column(0).clone()).collect();
    assert_eq!(&*scanned[0], &*values);
    assert!(matches!(with.add_column(&objects, "score", Type::INT64, Fill::Constant(half)), Err(TableError::DuplicateColumn(_))));
    assert!(matches!(with.drop_column("scor"), Err(TableError::NoColumn { near, .. }) if near == ["score"]));
    assert_eq!(with.drop_column("score").unwrap().store(&objects).unwrap(), table.store(&objects).unwrap());

    // Widening changes the schema alone; other retypes change values, or name the first that does not fit.
    let renamed = table.rename_column("n", "number").unwrap().retype_column(&objects, "number", Type::TEXT).unwrap();
    let found: Vec<ArrayRef> =
        Arc::new(renamed.clone()).scan(&objects).columns(vec![0, 1]).open().unwrap().flat_map(|b| b.unwrap().columns().to_vec()).collect();
    assert_eq!(&*found[0], &*found[1]);
    let back = renamed.retype_column(&objects, "number", Type::INT64).unwrap();
    assert_eq!(diff(&objects, &table, &back).unwrap().cells_changed(), 0);
    let odd = made(&objects, &[(None, Some("7".into())), (None, Some("x".into()))]);
    let refused = odd.retype_column(&objects, "t", Type::INT64).unwrap_err();
    assert_eq!(refused.to_string(), "row 2, column 't': 'x' is no int64");
}

#[test]
fn keys_are_unique_and_not_null() {
    let objects = full();
    let twice = Arc::new(made(&objects, &[(Some(1), None), (Some(2), None), (Some(1), None)]));
    let error = KeyIndex::build(&objects, &twice, vec![0]).err().unwrap();
    assert_eq!(error.to_string(), "row 3: the key (n) = (1) stands twice");
    let null = Arc::new(made(&objects, &[(Some(1), None), (None, None)]));
    let error = KeyIndex::build(&objects, &null, vec![0]).err().unwrap();
    assert_eq!(error.to_string(), "row 2: the key column 'n' is null");
}

#[test]
fn large_values_are_ropes() {
    let objects = full();
    let big: Vec<u8> = (0..5_000_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).take(9 << 20).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip");
    std::fs::write(&path, &big).unwrap();
    let id = TableId([2; 16]);
    let columns = vec![("clip".to_owned(), Type::BINARY)];
    let table = Table::create(&objects, id, Schema::of(id, &columns)).unwrap();
    let mut writer = RowWriter::new(&objects, &table, &columns).unwrap();
    let values: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(&b"small"[..]), None, Some(&big[..]), None]));
    let batch = RecordBatch::try_from_iter([("clip", values)]).unwrap();
    writer.push(&batch, &[LargeCell { row: 1, column: 0, source: path }]).unwrap();
    let table = table.append(&objects, writer.finish().unwrap()).unwrap();
    let (from_file, _) = table.reader(&objects, 0).unwrap().find(1).unwrap();
    let (from_memory, _) = table.reader(&objects, 0).unwrap().find(2).unwrap();
    let (Slice::Large(a), Slice::Large(b)) = (&from_file, &from_memory) else { panic!("{from_file:?} {from_memory:?}") };
    assert_eq!(a, b, "equal bytes are one rope");
    assert_eq!(a.length, big.len() as u64);
    let mut part = Vec::new();
    large::stream(&objects, a, 1_000_000..1_000_100, &mut part).unwrap();
    assert_eq!(part, &big[1_000_000..1_000_100]);
    let all = table.take(&objects, &[0, 1, 2, 3], &[0]).unwrap();
    let all = all.column(0).as_binary::<i32>();
    assert_eq!((all.value(0), all.value(1), all.value(2), all.is_null(3)), (&b"small"[..], &big[..], &big[..], true));
}

#[test]
fn a_large_value_that_is_there_is_no_change() {
    let objects = full();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, byte: u8| {
        let path = folder.path().join(name);
        std::fs::write(&path, vec![byte; 5 << 20]).unwrap();
        path
    };
    let (one, other) = (file("one", 1), file("other", 2));
    let id = TableId([2; 16]);
    let columns = vec![("clip".to_owned(), Type::BINARY)];
    let mut table = Table::create(&objects, id, Schema::of(id, &columns)).unwrap();
    let nulls = RecordBatch::try_from_iter_with_nullable([("clip", Arc::new(BinaryArray::from_opt_vec(vec![None, None])) as ArrayRef, true)]).unwrap();
    let mut writer = RowWriter::new(&objects, &table, &columns).unwrap();
    writer.push(&nulls, &[LargeCell { row: 0, column: 0, source: one.clone() }]).unwrap();
    table = table.append(&objects, writer.finish().unwrap()).unwrap();
    // The second row is null at first.
    for (files, cells) in [([&one, &other], 1), ([&one, &other], 0), ([&other, &other], 1), ([&one, &one], 2)] {
        let mut rewriter = Rewriter::new(&objects, &Arc::new(table), &columns).unwrap();
        let large: Vec<LargeCell> = files.iter().zip(0..).map(|(file, row)| LargeCell { row, column: 0, source: (*file).clone() }).collect();
        rewriter.push(&nulls, &large, &[Some(0), Some(1)]).unwrap();
        let (rewritten, changes) = rewriter.finish(true).unwrap();
        assert_eq!(changes, Changes { changed: cells, cells, ..Changes::default() });
        let now = rewritten.take(&objects, &[0, 1], &[0]).unwrap();
        for (row, file) in files.iter().enumerate() {
            assert!(now.column(0).as_binary::<i32>().value(row) == std::fs::read(file).unwrap());
        }
        table = rewritten;
    }
}

#[test]
fn an_edit_of_a_wide_column_writes_little() {
    let objects = full();
    let rows: Vec<Row> = (0..50_000i64).map(|i| (Some(i), Some(blake3::hash(&i.to_le_bytes()).to_string()))).collect();
    let table = made(&objects, &rows);
    table.store(&objects).unwrap();
    let before = objects.written();
    let value: ArrayRef = Arc::new(StringArray::from(vec!["edited"]));
    let edited = table.set_cells(&objects, 1, &[25_000], &value).unwrap();
    edited.store(&objects).unwrap();
    let after = objects.written();
    let bytes = |w: &crate::chunk::Written| w.data_bytes + w.metadata_bytes;
    assert!(bytes(&after) - bytes(&before) < 16_384, "{before:?} {after:?}");
    let taken = edited.take(&objects, &[24_999, 25_000, 25_001], &[1]).unwrap();
    let all = take(taken.column(0), &UInt32Array::from(vec![1]), None).unwrap();
    assert_eq!(all.as_string::<i32>().value(0), "edited");
}

//! Merges against plain rows by id, and by key.

mod order;
mod untouched;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray, StringArray};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::policy::decide;
use super::*;
use crate::format::Type;
use crate::table::conflict::Dispute;
use crate::table::edit::Fill;
use crate::table::tests::{Change, Row, apply, batch, change, columns, empty, histories, made, read, row, small, write};

/// What a conflict says, without slots: its kind, the row's id and the column's name.
type Said = (&'static str, String, Option<&'static str>);

fn said(objects: &Arc<Objects>, base: &Table, ours: &Table, theirs: &Table, found: &[Conflict]) -> BTreeSet<Said> {
    let id = |table: &Table, slot: u64| table.row_ids(objects, slot..slot + 1).unwrap()[0].to_string();
    found
        .iter()
        .map(|c| {
            let row = c.base.map(|s| id(base, s)).or_else(|| c.ours.map(|s| id(ours, s))).or_else(|| c.theirs.map(|s| id(theirs, s)));
            let column = c.column.map(|id| if ours.schema.columns[0].id == id { "n" } else { "t" });
            let kind = match &c.kind {
                ConflictKind::Cell => "cell",
                ConflictKind::Deleted(Side::Ours) => "deleted here",
                ConflictKind::Deleted(Side::Theirs) => "deleted there",
                ConflictKind::Key => "key",
                other => panic!("{other:?}"),
            };
            (kind, row.unwrap(), column)
        })
        .collect()
}

/// The merge of plain rows by id: the rows, and the conflicts.
fn naive(base: &[(String, Row)], ours: &[(String, Row)], theirs: &[(String, Row)]) -> (BTreeMap<String, Row>, BTreeSet<Said>) {
    let map = |rows: &[(String, Row)]| rows.iter().cloned().collect::<HashMap<String, Row>>();
    let (b, o, t) = (map(base), map(ours), map(theirs));
    let (mut rows, mut conflicts) = (BTreeMap::new(), BTreeSet::new());
    for id in b.keys().chain(o.keys()).chain(t.keys()) {
        let (b, o, t) = (b.get(id), o.get(id), t.get(id));
        let merged = match (o, t) {
            (Some(o), Some(t)) => {
                let mut row = o.clone();
                if o.0 != t.0 {
                    if b.map(|b| b.0) == Some(o.0) {
                        row.0 = t.0;
                    } else if b.map(|b| b.0) != Some(t.0) {
                        conflicts.insert(("cell", id.clone(), Some("n")));
                    }
                }
                if o.1 != t.1 {
                    if b.map(|b| &b.1) == Some(&o.1) {
                        row.1.clone_from(&t.1);
                    } else if b.map(|b| &b.1) != Some(&t.1) {
                        conflicts.insert(("cell", id.clone(), Some("t")));
                    }
                }
                Some(row)
            }
            (Some(one), None) if b.is_none_or(|b| b != one) => {
                if b.is_some() {
                    conflicts.insert(("deleted there", id.clone(), None));
                }
                Some(one.clone())
            }
            (None, Some(one)) if b.is_none_or(|b| b != one) => {
                if b.is_some() {
                    conflicts.insert(("deleted here", id.clone(), None));
                    None
                } else {
                    Some(one.clone())
                }
            }
            _ => None,
        };
        rows.extend(merged.map(|row| (id.clone(), row)));
    }
    (rows, conflicts)
}

/// The ids of one list that the other has, in the order of the first.
fn common<'a>(one: &'a [(String, Row)], other: &[(String, Row)]) -> Vec<&'a str> {
    let known: BTreeSet<&str> = other.iter().map(|r| r.0.as_str()).collect();
    one.iter().map(|r| r.0.as_str()).filter(|id| known.contains(id)).collect()
}

fn side() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(500)))]

    #[test]
    fn merges_match_plain_rows(rows in prop::collection::vec(row(), 0..60), before in side(), here in side(), there in side(), together in side()) {
        let objects = small();
        let mut base = made(&objects, &rows);
        let mut b = read(&objects, &base);
        for change in &before {
            base = apply(&objects, &base, &mut b, change);
        }
        // What both do alike, each for itself.
        let (mut ours, mut theirs, mut o, mut t) = (base.clone(), base.clone(), b.clone(), b.clone());
        for change in together.iter().chain(&here) {
            ours = apply(&objects, &ours, &mut o, change);
        }
        for change in together.iter().chain(&there) {
            theirs = apply(&objects, &theirs, &mut t, change);
        }
        let none = MergeOptions::default();
        let merged = merge(&objects, &base, &ours, &theirs, &none).unwrap();
        let (rows, conflicts) = naive(&b, &o, &t);
        let found = read(&objects, &merged.table);
        prop_assert_eq!(found.iter().cloned().collect::<BTreeMap<_, _>>(), rows.clone());
        prop_assert_eq!(found.len(), found.iter().map(|r| &r.0).collect::<BTreeSet<_>>().len());
        prop_assert_eq!(said(&objects, &base, &ours, &theirs, &merged.conflicts), conflicts.clone());
        prop_assert_eq!(merged.table.rows(&objects).unwrap(), found.len() as u64);
        // The order is that of one side; ours, unless they moved rows.
        let as_theirs = common(&found, &t) == common(&t, &found);
        let moved = common(&t, &b) != common(&b, &t) || ours.slots(&objects).unwrap() > o.len() as u64 || theirs.slots(&objects).unwrap() > t.len() as u64;
        prop_assert!(common(&found, &o) == common(&o, &found) || (moved && as_theirs));
        for conflict in merged.conflicts.iter().filter(|c| c.ours.is_some() && c.kind == ConflictKind::Cell) {
            let (ours_id, merged_id) = (ours.row_ids(&objects, conflict.ours.unwrap()..conflict.ours.unwrap() + 1), conflict.merged.unwrap());
            prop_assert_eq!(ours_id.unwrap(), merged.table.row_ids(&objects, merged_id..merged_id + 1).unwrap());
        }

        // The other way round it is the same but for the order, where nothing is in conflict.
        let back = merge(&objects, &base, &theirs, &ours, &none).unwrap();
        let mirrored = conflicts.iter().map(|(kind, id, column)| {
            let kind = match *kind { "deleted here" => "deleted there", "deleted there" => "deleted here", other => other };
            (kind, id.clone(), *column)
        });
        prop_assert_eq!(said(&objects, &base, &theirs, &ours, &back.conflicts), mirrored.collect::<BTreeSet<_>>());
        let back_rows: BTreeMap<String, Row> = read(&objects, &back.table).into_iter().collect();
        prop_assert!(rows.iter().filter(|(id, _)| !conflicts.iter().any(|c| c.1 == **id)).all(|(id, row)| back_rows.get(id) == Some(row)));
        if conflicts.is_empty() {
            prop_assert_eq!(read(&objects, &back.table).into_iter().collect::<BTreeSet<_>>(), found.iter().cloned().collect::<BTreeSet<_>>());
        }
        // A side that wins leaves no conflicts, and all that is not in conflict is as before.
        for wins in [Side::Ours, Side::Theirs] {
            let won = merge(&objects, &base, &ours, &theirs, &MergeOptions { strategy: Some(wins), ..none.clone() }).unwrap();
            prop_assert_eq!(&won.conflicts, &[]);
            let won: BTreeMap<String, Row> = read(&objects, &won.table).into_iter().collect();
            let (o, t): (HashMap<_, _>, HashMap<_, _>) = (o.iter().cloned().collect(), t.iter().cloned().collect());
            for (kind, id, _) in &conflicts {
                let wanted = if wins == Side::Ours { o.get(id) } else { t.get(id) };
                if *kind != "cell" && (wins == Side::Ours || kind == &"deleted there" || ours.spine.is_same(&base.spine)) {
                    prop_assert_eq!(won.get(id), wanted, "{:?} {} {}", wins, kind, id);
                }
            }
            prop_assert!(rows.iter().filter(|(id, _)| !conflicts.iter().any(|c| c.1 == **id)).all(|(id, row)| won.get(id) == Some(row)));
        }
        // Conflicts that are settled leave what the side has.
        for (side, state) in [(None, &b), (Some(Side::Ours), &o), (Some(Side::Theirs), &t)] {
            let state: BTreeMap<&String, &Row> = state.iter().map(|(id, row)| (id, row)).collect();
            let mut wanted = rows.clone();
            for (kind, id, column) in &conflicts {
                match (*kind, state.get(id).copied(), wanted.get_mut(id)) {
                    ("cell", had, Some(row)) if *column == Some("n") => row.0 = had.and_then(|had| had.0),
                    ("cell", had, Some(row)) => row.1 = had.and_then(|had| had.1.clone()),
                    (_, Some(had), _) => drop(wanted.insert(id.clone(), had.clone())),
                    (_, None, _) => drop(wanted.remove(id)),
                }
            }
            let dispute = Dispute { base: &base, ours: &ours, theirs: &theirs, merged: &merged.table };
            let settled = dispute.settle(&objects, &merged.table, &merged.conflicts.iter().collect::<Vec<_>>(), side).unwrap();
            let sorted = |mut rows: Vec<Row>| {
                rows.sort();
                rows
            };
            let found = read(&objects, &settled);
            prop_assert_eq!(found.len(), wanted.len());
            // By their cells: a row that one side purged comes back under another id.
            prop_assert_eq!(sorted(found.into_iter().map(|r| r.1).collect()), sorted(wanted.into_values().collect()), "{:?}", side);
        }
        // What changes nothing changes nothing, and merging again changes nothing.
        for (a, b, c, expected) in [(&base, &ours, &base, &ours), (&base, &base, &ours, &ours), (&base, &ours, &ours, &ours), (&theirs, &merged.table, &theirs, &merged.table)] {
            let again = merge(&objects, a, b, c, &none).unwrap();
            prop_assert_eq!(&again.conflicts, &[]);
            prop_assert_eq!(read(&objects, &again.table), read(&objects, expected));
        }
    }
}

/// Rows by key: the column `n`.
fn keyed(objects: &Arc<Objects>, rows: &BTreeMap<i64, Option<String>>) -> Table {
    let list: Vec<Row> = rows.iter().map(|(k, v)| (Some(*k), v.clone())).collect();
    let mut table = made(objects, &list);
    table.schema.key = vec![table.schema.columns[0].id];
    table
}

#[derive(Debug, Clone)]
enum Upsert {
    Set(i64, Option<String>),
    Delete(i64),
    /// Deletes the row and inserts it anew: another row, with the same key.
    Renew(i64, Option<String>),
}

fn upserts() -> impl Strategy<Value = Vec<Upsert>> {
    let value = || prop::option::weighted(0.9, "[a-c]{1,2}");
    let one = prop_oneof![
        3 => (0i64..12, value()).prop_map(|(k, v)| Upsert::Set(k, v)),
        1 => (0i64..12).prop_map(Upsert::Delete),
        1 => (0i64..12, value()).prop_map(|(k, v)| Upsert::Renew(k, v)),
    ];
    prop::collection::vec(one, 0..8)
}

fn upsert(objects: &Arc<Objects>, table: Table, rows: &mut BTreeMap<i64, Option<String>>, change: &Upsert) -> Table {
    let slot = |table: &Table, k: i64| {
        let slots: Vec<u64> = table.live_slots(objects).unwrap().collect();
        let keys = table.take(objects, &slots, &[0]).unwrap();
        keys.column(0).as_primitive::<Int64Type>().iter().position(|x| x == Some(k)).map(|at| slots[at])
    };
    let insert = |table: &Table, k: i64, v: &Option<String>| {
        let new = write(objects, table, &[(Some(k), v.clone())]);
        table.append(objects, new).unwrap()
    };
    match change {
        Upsert::Set(k, v) => {
            let known = rows.insert(*k, v.clone()).is_some();
            if !known {
                return insert(&table, *k, v);
            }
            let values: ArrayRef = Arc::new(StringArray::from(vec![v.clone()]));
            let at = slot(&table, *k).unwrap();
            table.set_cells(objects, 1, &[at], &values).unwrap()
        }
        Upsert::Delete(k) => match rows.remove(k) {
            Some(_) => table.delete(objects, &[slot(&table, *k).unwrap()]).unwrap(),
            None => table,
        },
        Upsert::Renew(k, v) => {
            let mut table = table;
            if rows.insert(*k, v.clone()).is_some() {
                table = table.delete(objects, &[slot(&table, *k).unwrap()]).unwrap();
            }
            insert(&table, *k, v)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(2000)))]

    #[test]
    fn merges_match_plain_rows_by_key(
        rows in prop::collection::btree_map(0i64..12, prop::option::weighted(0.9, "[a-c]{1,2}"), 0..9), here in upserts(), there in upserts(),
    ) {
        let objects = small();
        let base = keyed(&objects, &rows);
        let (mut ours, mut theirs, mut o, mut t) = (base.clone(), base.clone(), rows.clone(), rows.clone());
        for change in &here {
            ours = upsert(&objects, ours, &mut o, change);
        }
        for change in &there {
            theirs = upsert(&objects, theirs, &mut t, change);
        }
        let merged = merge(&objects, &base, &ours, &theirs, &MergeOptions::default()).unwrap();
        let found = read(&objects, &merged.table);
        let (mut expected, mut conflicts) = (BTreeMap::new(), BTreeSet::new());
        for k in 0..12 {
            let (b, mine, other) = (rows.get(&k), o.get(&k), t.get(&k));
            let value = if mine == other || b == other {
                mine
            } else if b == mine {
                other
            } else {
                conflicts.insert(k);
                mine
            };
            expected.extend(value.map(|v| (k, v.clone())));
        }
        let by_key: BTreeMap<i64, Option<String>> = found.iter().map(|(_, r)| (r.0.unwrap(), r.1.clone())).collect();
        prop_assert_eq!(by_key.len(), found.len());
        prop_assert_eq!(by_key, expected);
        let key = |table: &Table, slot: u64| table.take(&objects, &[slot], &[0]).unwrap().column(0).as_primitive::<Int64Type>().value(0);
        let told: BTreeSet<i64> = merged.conflicts.iter()
            .map(|c| c.base.map(|s| key(&base, s)).or_else(|| c.ours.map(|s| key(&ours, s))).or_else(|| c.theirs.map(|s| key(&theirs, s))).unwrap())
            .collect();
        prop_assert_eq!(told, conflicts);
    }
}

fn rows(n: i64) -> Vec<Row> {
    (0..n).map(|i| (Some(i), Some(format!("row {i}")))).collect()
}

#[test]
fn columns_of_two_branches_are_both_kept_and_nothing_else_is_touched() {
    let objects = small();
    let base = made(&objects, &rows(200));
    let fill = |i: i64| Fill::Values(Box::new((0..1).map(move |_| Ok(Arc::new(Int64Array::from_iter_values((0..200).map(|k| k * i))) as ArrayRef))));
    let ours = base.add_column(&objects, "score", Type::INT64, fill(2)).unwrap();
    let theirs = base.add_column(&objects, "weight", Type::INT64, fill(3)).unwrap().rename_column("t", "text").unwrap();
    let merged = merge(&objects, &base, &ours, &theirs, &MergeOptions::default()).unwrap();
    assert_eq!(merged.conflicts, []);
    let names: Vec<&str> = merged.table.schema.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["n", "text", "score", "weight"]);
    for (column, source) in merged.table.columns.iter().zip([&base.columns[0], &base.columns[1], &ours.columns[2], &theirs.columns[2]]) {
        assert!(column.is_same(source));
    }
    assert_eq!(merged.counts, MergeCounts { columns_added: 1, ..MergeCounts::default() });

    // Rows that the other side added have no cells in the new columns; rows that both have keep theirs.
    let new = write(&objects, &ours, &rows(3));
    let longer = ours.append(&objects, new).unwrap();
    let merged = merge(&objects, &base, &longer, &theirs, &MergeOptions::default()).unwrap();
    let all = merged.table.take(&objects, &[5, 202], &[2, 3]).unwrap();
    let values = |i: usize| all.column(i).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    assert_eq!((values(0), values(1)), (vec![Some(10), None], vec![Some(15), None]));
}

#[test]
fn columns_that_do_not_go_together_are_conflicts() {
    let objects = small();
    let base = made(&objects, &rows(20));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["changed"]));
    let kinds = |ours: &Table, theirs: &Table| -> Vec<ConflictKind> {
        merge(&objects, &base, ours, theirs, &MergeOptions::default()).unwrap().conflicts.into_iter().map(|c| c.kind).collect()
    };
    // Dropped here, changed there, and the other way round; dropped and left alone.
    let dropped = base.drop_column("t").unwrap();
    let changed = base.set_cells(&objects, 1, &[3], &text).unwrap();
    assert_eq!(kinds(&dropped, &changed), [ConflictKind::Dropped(Side::Ours)]);
    assert_eq!(kinds(&changed, &dropped), [ConflictKind::Dropped(Side::Theirs)]);
    let other = base.set_cells(&objects, 0, &[3], &(Arc::new(Int64Array::from(vec![77])) as ArrayRef)).unwrap();
    let merged = merge(&objects, &base, &other, &dropped, &MergeOptions::default()).unwrap();
    assert_eq!((merged.conflicts.len(), merged.table.schema.columns.len(), merged.counts.columns_dropped), (0, 1, 1));
    // Renamed apart; one name for two.
    let (a, b) = (base.rename_column("t", "a").unwrap(), base.rename_column("t", "b").unwrap());
    assert!(matches!(kinds(&a, &b)[..], [ConflictKind::Schema(_)]));
    let added = |table: &Table, ty: Type| table.add_column(&objects, "x", ty.clone(), Fill::Constant(arrow::array::new_null_array(&ty.storage(), 1))).unwrap();
    assert!(matches!(kinds(&added(&base, Type::INT64), &added(&base, Type::TEXT))[..], [ConflictKind::Schema(_)]));
    assert!(matches!(kinds(&base.rename_column("t", "x").unwrap(), &added(&base, Type::TEXT))[..], [ConflictKind::Schema(_)]));
    assert_eq!(kinds(&added(&base, Type::INT64), &added(&base, Type::INT64)), []);
    for strategy in [Side::Ours, Side::Theirs] {
        let options = MergeOptions { strategy: Some(strategy), ..MergeOptions::default() };
        for (x, y) in [(&dropped, &changed), (&a, &b), (&changed, &dropped)] {
            let merged = merge(&objects, &base, x, y, &options).unwrap();
            assert_eq!(merged.conflicts, []);
            let winner = if strategy == Side::Ours { x } else { y };
            let names = |t: &Table| t.schema.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&merged.table), names(winner));
        }
    }
    // Widened on one side, changed on the other.
    let narrow =
        Table::create(&objects, base.id, crate::table::Schema::of(base.id, &[("n".into(), "int32".parse().unwrap()), ("t".into(), Type::TEXT)])).unwrap();
    let new = write(&objects, &narrow, &rows(9));
    let narrow = narrow.append(&objects, new).unwrap();
    let wide = narrow.retype_column(&objects, "n", Type::INT64).unwrap();
    let wide = wide.set_cells(&objects, 0, &[1], &(Arc::new(Int64Array::from(vec![1i64 << 40])) as ArrayRef)).unwrap();
    let edited = narrow.set_cells(&objects, 0, &[2], &(Arc::new(arrow::array::Int32Array::from(vec![-5])) as ArrayRef)).unwrap();
    for (x, y) in [(&wide, &edited), (&edited, &wide)] {
        let merged = merge(&objects, &narrow, x, y, &MergeOptions::default()).unwrap();
        assert_eq!(merged.conflicts, []);
        assert_eq!(merged.table.take(&objects, &[1, 2], &[0]).unwrap().column(0).as_primitive::<Int64Type>().values(), &[1i64 << 40, -5]);
    }
}

#[test]
fn two_rows_that_come_to_one_key_are_a_conflict() {
    let objects = small();
    let base = keyed(&objects, &(0..5).map(|k| (k, Some("x".to_owned()))).collect());
    let set = |slot: u64, k: i64| base.set_cells(&objects, 0, &[slot], &(Arc::new(Int64Array::from(vec![k])) as ArrayRef)).unwrap();
    let merged = merge(&objects, &base, &set(1, 9), &set(2, 9), &MergeOptions::default()).unwrap();
    assert_eq!(merged.conflicts.iter().map(|c| &c.kind).collect::<Vec<_>>(), [&ConflictKind::Key]);
    let merged = merge(&objects, &base, &set(1, 9), &set(2, 9), &MergeOptions { strategy: Some(Side::Ours), ..MergeOptions::default() }).unwrap();
    assert_eq!((merged.conflicts.len(), merged.table.rows(&objects).unwrap()), (0, 4));
}

#[test]
fn a_key_that_one_side_sets_must_hold_for_what_the_other_adds() {
    let objects = small();
    let base = made(&objects, &rows(5));
    let mut ours = base.clone();
    ours.schema.key = vec![ours.schema.columns[0].id];
    for (added, conflicts) in [(rows(2), 1), (vec![(None, None)], 1), (vec![(Some(77), None)], 0)] {
        let new = write(&objects, &base, &added);
        let theirs = base.append(&objects, new).unwrap();
        for (x, y) in [(&ours, &theirs), (&theirs, &ours)] {
            let merged = merge(&objects, &base, x, y, &MergeOptions::default()).unwrap();
            assert_eq!(merged.conflicts.len(), conflicts, "{added:?}");
            assert_eq!(merged.table.schema.key, ours.schema.key);
        }
    }
    // The key's column dropped on the other side.
    let dropped = base.drop_column("n").unwrap();
    let merged = merge(&objects, &base, &ours, &dropped, &MergeOptions::default()).unwrap();
    assert!(matches!(&merged.conflicts[..], [Conflict { kind: ConflictKind::Schema(_), .. }]), "{:?}", merged.conflicts);
}

#[test]
fn policies_decide() {
    let one = |value: Option<i64>| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let numbers = |policy: &str, base: Option<i64>, ours: Option<i64>, theirs: Option<i64>| {
        let decided = decide(policy.parse().unwrap(), &Type::INT64, Side::Theirs, Some(&one(base)), &one(ours), &one(theirs)).unwrap();
        decided.map(|value| value.as_primitive::<Int64Type>().iter().next().unwrap())
    };
    for (policy, expected) in [("ours", 7), ("theirs", 4), ("newest", 4), ("max", 7), ("min", 4), ("sum-of-changes", 6)] {
        assert_eq!(numbers(policy, Some(5), Some(7), Some(4)), Some(Some(expected)), "{policy}");
    }
    assert_eq!(numbers("non-null", Some(5), Some(7), Some(4)), None);
    assert_eq!(numbers("non-null", Some(5), None, Some(4)), Some(Some(4)));
    assert_eq!((numbers("max", None, Some(3), None), numbers("min", None, None, Some(2))), (Some(Some(3)), Some(Some(2))));
    assert_eq!(numbers("sum-of-changes", Some(0), Some(i64::MAX), Some(1)), None);
    assert_eq!(numbers("sum-of-changes", Some(1), Some(i64::MAX), Some(0)), Some(Some(i64::MAX - 1)));
    assert_eq!(numbers("json-by-field", Some(1), Some(2), Some(3)), None);
    assert!("best".parse::<Policy>().is_err());

    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let json = |base: &str, ours: &str, theirs: &str| {
        let decided = decide(Policy::JsonByField, &Type::Json, Side::Ours, Some(&text(base)), &text(ours), &text(theirs)).unwrap();
        decided.map(|value| value.as_string::<i32>().value(0).to_owned())
    };
    let merged = json(r#"{"a":1,"b":{"c":1,"d":2},"e":0}"#, r#"{"a":2,"b":{"c":1,"d":3},"e":0}"#, r#"{"a":1,"b":{"c":5,"d":2},"f":[1]}"#);
    assert_eq!(merged.as_deref(), Some(r#"{"a":2,"b":{"c":5,"d":3},"f":[1]}"#));
    assert_eq!(json(r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#), None);
    assert_eq!(json(r#"{"a":1}"#, "{}", r#"{"a":3}"#), None);

    let list = |items: &[i64]| Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(items.iter().map(|i| Some(*i)))])) as ArrayRef;
    let ty: Type = "list<int64>".parse().unwrap();
    let union = decide(Policy::ListUnion, &ty, Side::Ours, Some(&list(&[1, 2, 3])), &list(&[1, 3, 4]), &list(&[2, 3, 5, 4])).unwrap().unwrap();
    assert_eq!(union.as_list::<i32>().value(0).as_primitive::<Int64Type>().values(), &[3, 4, 5]);

    // In a merge.
    let objects = small();
    let mut base = made(&objects, &rows(5));
    base.schema.columns[0].options.insert(POLICY_OPTION.into(), "max".into());
    let set = |n: i64, t: &str| {
        let table = base.set_cells(&objects, 0, &[2], &one(Some(n))).unwrap();
        table.set_cells(&objects, 1, &[2], &text(t)).unwrap()
    };
    let merged = merge(&objects, &base, &set(30, "a"), &set(50, "b"), &MergeOptions::default()).unwrap();
    assert_eq!((merged.conflicts.len(), merged.counts.decided), (1, 1));
    assert_eq!(read(&objects, &merged.table)[2].1, (Some(50), Some("a".into())));
    assert_eq!(batch(&[]).num_columns(), columns().len());
    assert_eq!(read(&objects, &empty(&objects)), []);
}

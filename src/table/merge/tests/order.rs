//! The order of merged rows against the rule, said over plain lists of slots.

use std::collections::{HashMap, HashSet};

use super::*;

/// The ids of all slots in order, deleted rows among them: those keep a place. And which of them hold a row.
fn slots(objects: &Arc<Objects>, table: &Table) -> (Vec<String>, HashSet<String>) {
    let ids: Vec<String> = table.row_ids(objects, 0..table.slots(objects).unwrap()).unwrap().iter().map(ToString::to_string).collect();
    let live = table.live_slots(objects).unwrap().map(|slot| ids[slot as usize].clone()).collect();
    (ids, live)
}

fn is_moved(one: &[String], other: &[String]) -> bool {
    let places: HashMap<&String, usize> = other.iter().zip(0..).collect();
    !one.iter().filter_map(|id| places.get(id)).is_sorted()
}

/// `kept` in its order, with each row of `new`, which stands in `other`, behind the nearest row before it there that `kept` has, and behind the rows
/// that `kept` alone has there.
fn laid(kept: &[String], other: &[String], new: impl Fn(&String) -> bool) -> Vec<String> {
    let (known, theirs): (HashSet<&String>, HashSet<&String>) = (kept.iter().collect(), other.iter().collect());
    let mut behind: HashMap<Option<&String>, Vec<&String>> = HashMap::new();
    let mut last = None;
    for id in other {
        if known.contains(id) {
            last = Some(id);
        } else if new(id) {
            behind.entry(last).or_default().push(id);
        }
    }
    let mut out: Vec<String> = Vec::new();
    let mut waiting = behind.remove(&None);
    for id in kept {
        if theirs.contains(id) {
            out.extend(waiting.take().into_iter().flatten().cloned());
            waiting = behind.remove(&Some(id));
        }
        out.push(id.clone());
    }
    out.extend(waiting.into_iter().flatten().cloned());
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(500)))]

    #[test]
    fn new_rows_stand_behind_the_row_they_followed(
        rows in prop::collection::vec(row(), 0..30), before in side(), together in side(), here in side(), there in side(),
    ) {
        let objects = small();
        let mut base = made(&objects, &rows);
        let mut b = read(&objects, &base);
        before.iter().for_each(|change| base = apply(&objects, &base, &mut b, change));
        let (mut ours, mut theirs, mut o, mut t) = (base.clone(), base.clone(), b.clone(), b);
        together.iter().chain(&here).for_each(|change| ours = apply(&objects, &ours, &mut o, change));
        together.iter().chain(&there).for_each(|change| theirs = apply(&objects, &theirs, &mut t, change));
        let ((b, was), (o, _), (t, is)) = (slots(&objects, &base), slots(&objects, &ours), slots(&objects, &theirs));
        let expected = if is_moved(&b, &t) && !is_moved(&b, &o) && is_moved(&o, &t) {
            // Their order; our own rows go first at a place, and what they deleted and ours has not is gone.
            let theirs: Vec<String> = t.iter().filter(|id| o.contains(id) || (is.contains(*id) && !was.contains(*id))).cloned().collect();
            ours_first(&theirs, &o)
        } else {
            laid(&o, &t, |id| is.contains(id) && !was.contains(id))
        };
        let merged = merge(&objects, &base, &ours, &theirs, &MergeOptions::default()).unwrap();
        let (found, kept) = slots(&objects, &merged.table);
        let rows = |ids: &[String]| ids.iter().filter(|id| kept.contains(*id)).cloned().collect::<Vec<_>>();
        prop_assert_eq!(rows(&found), rows(&expected));
        prop_assert_eq!(rows(&found).len(), kept.len());
    }
}

/// Their order, with each row that ours alone has right behind the row that it follows in ours.
fn ours_first(theirs: &[String], ours: &[String]) -> Vec<String> {
    let known: HashSet<&String> = theirs.iter().collect();
    let mut behind: HashMap<Option<&String>, Vec<&String>> = HashMap::new();
    let mut last = None;
    for id in ours {
        if known.contains(id) {
            last = Some(id);
        } else {
            behind.entry(last).or_default().push(id);
        }
    }
    let mut out: Vec<String> = behind.remove(&None).into_iter().flatten().cloned().collect();
    for id in theirs {
        out.push(id.clone());
        out.extend(behind.remove(&Some(id)).into_iter().flatten().cloned());
    }
    out
}

#[test]
fn rows_of_both_stand_behind_the_row_before_them_ours_first() {
    let objects = small();
    let base = made(&objects, &rows(4));
    let with = |change: &[Change]| {
        let (mut table, mut twin) = (base.clone(), read(&objects, &base));
        change.iter().for_each(|change| table = apply(&objects, &table, &mut twin, change));
        table
    };
    let text = |table: &Table| read(&objects, table).into_iter().map(|r| r.1.1.unwrap()).collect::<Vec<_>>();
    let insert = |after: u64, texts: &[&str]| {
        let new: Vec<Row> = texts.iter().map(|t| (None, Some((*t).to_owned()))).collect();
        let written = write(&objects, &base, &new);
        use crate::table::arrange::Piece::{New, Old};
        base.arrange(&objects, &[Old(0..after), New(0..new.len() as u64), Old(after..4)], written).unwrap()
    };
    let merged = |ours: &Table, theirs: &Table| text(&merge(&objects, &base, ours, theirs, &MergeOptions::default()).unwrap().table);
    assert_eq!(merged(&insert(2, &["a", "b"]), &insert(2, &["x"])), ["row 0", "row 1", "a", "b", "x", "row 2", "row 3"]);
    assert_eq!(merged(&insert(0, &["a"]), &insert(0, &["x"])), ["a", "x", "row 0", "row 1", "row 2", "row 3"]);
    assert_eq!(merged(&insert(4, &["a"]), &insert(4, &["x"])), ["row 0", "row 1", "row 2", "row 3", "a", "x"]);
    // Where the row before them is gone, slot and all, the nearest one before it that is left.
    let gone = base.delete(&objects, &[1, 2]).unwrap().purge(&objects).unwrap().0;
    assert_eq!(merged(&gone, &insert(3, &["x"])), ["row 0", "x", "row 3"]);
    assert_eq!(merged(&with(&[]), &insert(3, &["x"])), ["row 0", "row 1", "row 2", "x", "row 3"]);
}

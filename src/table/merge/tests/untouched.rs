//! Columns that a merge has no business with, whose values are put out of its reach.

use std::collections::HashMap;

use super::*;
use crate::base::OperationId;
use crate::chunk::Limits;
use crate::format::head::{Head, PackEntry};
use crate::format::pack::TRAILER_BYTES;
use crate::store::{MemoryStore, Store};
use crate::table::write::ColumnWriter;

/// Edits of rows. Compaction is left out: it rewrites all columns, whoever touched them.
fn edits() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change().prop_filter("compaction", |change| !matches!(change, Change::Compact)), 0..4)
}

/// A value for each row, too long to stand in a tree.
fn wide(name: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{name} {row} {}", blake3::hash(format!("{name}{row}").as_bytes())))))
}

/// Objects of a store in memory whose packs can be taken away.
struct Place {
    store: MemoryStore,
    limits: Limits,
}

impl Place {
    fn open(&self, packs: &[PackEntry]) -> Arc<Objects> {
        let objects = Objects::new(Arc::new(self.store.clone()), self.limits.clone());
        objects.refresh(&Head { operation: OperationId([0; 32]), generation: 0, packs: packs.to_vec(), older: None, condemned: vec![] });
        Arc::new(objects)
    }

    /// Writes the chunks of a column into packs of their own, which hold nothing else.
    fn write(&self, packs: &mut Vec<PackEntry>, name: &str, values: &ArrayRef) -> Vec<PackEntry> {
        let objects = self.open(packs);
        let mut writer = ColumnWriter::new(objects.clone(), name, &Type::TEXT);
        writer.push(values, &[]).unwrap();
        let slices = writer.finish().unwrap().0;
        assert!(slices.iter().all(|slice| matches!(slice, crate::format::node::Slice::Chunk { .. })));
        let own = objects.flush().unwrap();
        packs.extend(&own);
        own
    }

    /// Turns every bit of what packs hold, or turns it back; their indexes, by which other objects are sought as well, stay.
    fn turn(&self, packs: &[PackEntry]) {
        for pack in packs {
            let mut bytes = self.store.read(&pack.path(), 0..pack.length).unwrap().to_vec();
            let held = pack.length - pack.index_length - TRAILER_BYTES;
            bytes[..held as usize].iter_mut().for_each(|byte| *byte = !*byte);
            self.store.overwrite(&pack.path(), bytes);
        }
    }
}

/// A column as text, by the row's id.
fn column(objects: &Arc<Objects>, table: &Table, name: &str) -> HashMap<String, Option<String>> {
    let slots: Vec<u64> = table.live_slots(objects).unwrap().collect();
    let values = table.take(objects, &slots, &[table.schema.index(name).unwrap()]).unwrap();
    let ids = slots.iter().map(|slot| table.row_ids(objects, *slot..slot + 1).unwrap()[0].to_string());
    ids.zip(values.column(0).as_string::<i32>().iter().map(|v| v.map(str::to_owned))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories(300)))]

    #[test]
    fn a_column_that_nobody_touched_stays_what_it_is(
        rows in prop::collection::vec(row(), 1..60), before in edits(), here in edits(), there in edits(),
        mine in prop::collection::vec((any::<prop::sample::Index>(), "[a-c]{70}"), 0..9),
    ) {
        let place = Place { store: MemoryStore::new(), limits: small().limits().clone() };
        let mut packs = Vec::new();
        let (nobodys, ours_alone) = (wide("w", rows.len()), wide("v", rows.len()));
        let w = place.write(&mut packs, "w", &nobodys);
        let v = place.write(&mut packs, "v", &ours_alone);
        let objects = place.open(&packs);
        let fill = |values: &ArrayRef| Fill::Values(Box::new(std::iter::once(Ok(values.clone()))));
        let mut base = made(&objects, &rows).add_column(&objects, "w", Type::TEXT, fill(&nobodys)).unwrap();
        base = base.add_column(&objects, "v", Type::TEXT, fill(&ours_alone)).unwrap();
        let mut b = read(&objects, &base);
        before.iter().for_each(|change| base = apply(&objects, &base, &mut b, change));
        let (mut ours, mut theirs, mut o, mut t) = (base.clone(), base.clone(), b.clone(), b.clone());
        here.iter().for_each(|change| ours = apply(&objects, &ours, &mut o, change));
        there.iter().for_each(|change| theirs = apply(&objects, &theirs, &mut t, change));
        let live: Vec<u64> = ours.live_slots(&objects).unwrap().collect();
        if !live.is_empty() {
            let cells: BTreeMap<u64, &String> = mine.iter().map(|(at, text)| (live[at.index(live.len())], text)).collect();
            let values: ArrayRef = Arc::new(StringArray::from_iter_values(cells.values()));
            ours = ours.set_cells(&objects, 3, &cells.keys().copied().collect::<Vec<_>>(), &values).unwrap();
        }
        let (in_base, in_ours) = (column(&objects, &base, "w"), column(&objects, &ours, "v"));
        let ids = [&base, &ours, &theirs].map(|table| table.store(&objects).unwrap());
        packs.extend(objects.flush().unwrap());

        // Nothing is in memory, and the column is nowhere.
        let objects = place.open(&packs);
        let [base, ours, theirs] = ids.map(|id| Table::load(&objects, id).unwrap());
        place.turn(&w);
        // Of rows that they deleted, a merge has to know whether ours changed them.
        let they_deleted = b.iter().any(|(id, _)| t.iter().all(|(other, _)| other != id));
        let unread = if they_deleted { &[][..] } else { &v };
        place.turn(unread);
        let merged = merge(&objects, &base, &ours, &theirs, &MergeOptions::default());
        place.turn(&w);
        place.turn(unread);
        let merged = merged.unwrap().table;
        if theirs.spine.is_same(&base.spine) {
            prop_assert!(merged.columns[2].is_same(&ours.columns[2]));
            prop_assert!(merged.columns[3].is_same(&ours.columns[3]));
        }
        for (id, value) in column(&objects, &merged, "w") {
            prop_assert_eq!(&value, in_base.get(&id).unwrap_or(&None));
        }
        let in_base = column(&objects, &base, "v");
        for (id, value) in column(&objects, &merged, "v") {
            prop_assert_eq!(&value, in_ours.get(&id).or(in_base.get(&id)).unwrap_or(&None));
        }
    }
}

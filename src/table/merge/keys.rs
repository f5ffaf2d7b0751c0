//! Rows by their keys: what stands elsewhere in the spine, and may yet be one row.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::chunk::Objects;

use super::rows::Places;
use super::{Conflict, ConflictKind, MergeOptions, Merged, Rows, Side, Table, TableError};
use crate::table::diff::is_live;
use crate::table::key::{KeyIndex, RowHash, RowHasher};

fn slots(ranges: &[Range<u64>]) -> Vec<u64> {
    ranges.iter().flat_map(Clone::clone).collect()
}

fn without(ranges: &mut Vec<Range<u64>>, gone: &HashSet<u64>) {
    if gone.is_empty() {
        return;
    }
    let left: Vec<u64> = slots(ranges).into_iter().filter(|slot| !gone.contains(slot)).collect();
    ranges.clear();
    for slot in left {
        match ranges.last_mut() {
            Some(last) if last.end == slot => last.end += 1,
            _ => ranges.push(slot..slot + 1),
        }
    }
}

/// Reads the keys of rows of a table whose key columns are these.
struct Keys<'a> {
    objects: &'a Arc<Objects>,
    hasher: RowHasher,
    key: Vec<crate::base::ColumnId>,
}

impl Keys<'_> {
    /// The key of each of the slots, which ascend.
    fn of(&self, table: &Table, slots: &[u64]) -> Result<Vec<RowHash>, TableError> {
        let columns: Vec<usize> = self.key.iter().filter_map(|id| table.schema.columns.iter().position(|c| c.id == *id)).collect();
        let mut hashes = Vec::with_capacity(slots.len());
        for part in slots.chunks(8192) {
            hashes.extend(self.hasher.hash(table.take(self.objects, part, &columns)?.columns())?);
        }
        Ok(hashes)
    }

    fn by_key(&self, table: &Table, ranges: &[Range<u64>]) -> Result<HashMap<RowHash, u64>, TableError> {
        let slots = slots(ranges);
        Ok(self.of(table, &slots)?.into_iter().zip(slots).collect())
    }
}

/// Keys of both sides, if they have the same ones of the same types.
fn keys<'a>(objects: &'a Arc<Objects>, ours: &Table, theirs: &Table) -> Result<Option<Keys<'a>>, TableError> {
    if ours.schema.key.is_empty() || ours.schema.key != theirs.schema.key {
        return Ok(None);
    }
    let types =
        |table: &Table| -> Vec<_> { table.schema.key_indices().into_iter().filter_map(|i| table.schema.columns.get(i)).map(|c| c.ty.storage()).collect() };
    if types(ours) != types(theirs) {
        return Ok(None);
    }
    Ok(Some(Keys { objects, hasher: RowHasher::new(types(ours))?, key: ours.schema.key.clone() }))
}

/// Takes rows with one key for one row: a row that a side deleted and inserted anew, and rows that both inserted. Returns the slots, in theirs, of
/// the latter.
pub fn join_by_key(objects: &Arc<Objects>, base: &Table, ours: &Table, theirs: &Table, rows: &mut Rows) -> Result<HashSet<u64>, TableError> {
    let mut twice = HashSet::new();
    let Some(keys) = keys(objects, ours, theirs)? else { return Ok(twice) };
    if base.schema.key == ours.schema.key {
        let (mut gone, mut came) = (HashSet::new(), HashSet::new());
        if !rows.removed_ours.is_empty() && !rows.added_ours.is_empty() {
            let new = keys.by_key(ours, &rows.added_ours)?;
            for (hash, slot) in keys.by_key(base, &rows.removed_ours)? {
                if let Some(to) = new.get(&hash) {
                    if let Some(there) = rows.base_theirs.get(slot) {
                        rows.theirs_ours.set(there, *to);
                    }
                    rows.base_ours.set(slot, *to);
                    gone.insert(slot);
                    came.insert(*to);
                }
            }
            without(&mut rows.removed_ours, &gone);
            without(&mut rows.added_ours, &came);
        }
        (gone, came) = Default::default();
        if !rows.removed_theirs.is_empty() && !rows.added_theirs.is_empty() {
            let new = keys.by_key(theirs, &rows.added_theirs)?;
            for (hash, slot) in keys.by_key(base, &rows.removed_theirs)? {
                if let Some(from) = new.get(&hash) {
                    if let Some(here) = rows.base_ours.get(slot) {
                        rows.theirs_ours.set(*from, here);
                    }
                    rows.base_theirs.set(slot, *from);
                    gone.insert(slot);
                    came.insert(*from);
                }
            }
            without(&mut rows.removed_theirs, &gone);
            without(&mut rows.added_theirs, &came);
        }
    }
    if !rows.added_ours.is_empty() && !rows.added_theirs.is_empty() {
        let mine = keys.by_key(ours, &rows.added_ours)?;
        for (hash, slot) in keys.by_key(theirs, &rows.added_theirs)? {
            let Some(own) = mine.get(&hash).copied() else { continue };
            // The same row may stand in ours as well, but deleted, with another of that key in its place.
            let elsewhere = match rows.theirs_ours.get(slot) {
                Some(known) => known != own && !is_live(objects, ours.live.get(&**objects)?, known)?,
                None => true,
            };
            if elsewhere {
                rows.theirs_ours.set(slot, own);
                twice.insert(slot);
            }
        }
    }
    Ok(twice)
}

/// Holds the keys that came, or changed, against each other: two live rows of one key are a conflict, and theirs gives way where a strategy says so.
pub fn check(
    objects: &Arc<Objects>,
    (ours, theirs): (&Table, &Table),
    rows: &Rows,
    keyed: &[u64],
    places: &Places,
    done: &mut Merged,
    options: &MergeOptions,
) -> Result<(), TableError> {
    let Some(keys) = keys(objects, ours, theirs)?.filter(|keys| keys.key == done.table.schema.key) else { return check_all(objects, done) };
    let own: Vec<u64> = slots(&rows.added_ours).into_iter().chain(keyed.iter().copied()).filter_map(|slot| places.ours(slot)).collect();
    let new: Vec<u64> = slots(&rows.added_theirs).into_iter().filter_map(|slot| places.theirs(slot)).collect();
    let mut all: Vec<u64> = own.into_iter().chain(new).collect();
    all.sort_unstable();
    all.dedup();
    let live = done.table.live.get(&**objects)?;
    let mut present = Vec::with_capacity(all.len());
    for slot in all {
        if is_live(objects, live, slot)? {
            present.push(slot);
        }
    }
    let theirs_at: HashMap<u64, u64> = slots(&rows.added_theirs).into_iter().filter_map(|slot| Some((places.theirs(slot)?, slot))).collect();
    let mut first: HashMap<RowHash, u64> = HashMap::new();
    let mut gone = Vec::new();
    for (hash, slot) in keys.of(&done.table, &present)?.into_iter().zip(present) {
        match first.get(&hash) {
            None => drop(first.insert(hash, slot)),
            Some(other) => {
                let (kept, late) = if theirs_at.contains_key(other) { (slot, *other) } else { (*other, slot) };
                match options.strategy {
                    Some(Side::Ours) => gone.push(late),
                    Some(Side::Theirs) => gone.push(kept),
                    None => done.conflicts.push(Conflict {
                        kind: ConflictKind::Key,
                        column: None,
                        base: None,
                        ours: None,
                        theirs: theirs_at.get(&late).copied(),
                        merged: Some(kept),
                    }),
                }
            }
        }
    }
    if !gone.is_empty() {
        gone.sort_unstable();
        done.table = done.table.set_live(objects, &gone, false)?;
    }
    Ok(())
}

/// Holds a key that one side alone has, or whose types one side changed, against all rows; a violation is a conflict whatever the strategy, for no side
/// has settled it.
fn check_all(objects: &Arc<Objects>, done: &mut Merged) -> Result<(), TableError> {
    let columns = done.table.schema.key_indices();
    if columns.is_empty() {
        return Ok(());
    }
    match KeyIndex::build(objects, &Arc::new(done.table.clone()), columns) {
        Ok(_) => Ok(()),
        Err(TableError::Key { row, why }) => {
            let kind = ConflictKind::Schema(format!("the key that one side set does not hold for row {row} of the merged table: {why}"));
            done.conflicts.push(Conflict { kind, column: done.table.schema.key.first().copied(), base: None, ours: None, theirs: None, merged: None });
            Ok(())
        }
        Err(other) => Err(other),
    }
}

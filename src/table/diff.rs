//! What changed between two states of a table: columns, rows, cells. Decided by value; equal slices are never read.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, make_comparator};
use arrow::compute::SortOptions;

use crate::base::{ColumnId, Origin};
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::node::{Kind, RowRun, Slice, Spine, Values};
use crate::tree::Rope;

use super::column::ColumnReader;
use super::{Table, TableError};

/// A change of the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChange {
    /// A column is new.
    Added { name: String, ty: Type },
    /// A column is gone.
    Dropped { name: String, ty: Type },
    /// A column has another name.
    Renamed { from: String, to: String },
    /// A column has another type.
    Retyped { name: String, from: Type, to: Type },
}

/// Rows that stand in both states, one after the other in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aligned {
    /// The first slot in the older state.
    pub old: u64,
    /// The first slot in the newer state.
    pub new: u64,
    /// How many.
    pub rows: u64,
}

/// The cells of one column that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnChange {
    /// The column in the older state's schema.
    pub old: usize,
    /// The column in the newer state's schema.
    pub new: usize,
    /// Pairs of slots, old and new, in the order of the newer state.
    pub cells: Vec<(u64, u64)>,
}

/// What differs between two states of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDiff {
    /// Changes of the columns.
    pub schema: Vec<SchemaChange>,
    /// Slots of the newer state whose rows are new.
    pub added: Vec<Range<u64>>,
    /// Slots of the older state whose rows are gone.
    pub removed: Vec<Range<u64>>,
    /// Columns of both with cells that differ, in rows of both.
    pub changed: Vec<ColumnChange>,
    /// Whether rows of both stand in another order.
    pub reordered: bool,
}

impl TableDiff {
    /// True where nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == TableDiff::default()
    }

    /// The number of rows that are new.
    pub fn rows_added(&self) -> u64 {
        self.added.iter().map(|r| r.end - r.start).sum()
    }

    /// The number of rows that are gone.
    pub fn rows_removed(&self) -> u64 {
        self.removed.iter().map(|r| r.end - r.start).sum()
    }

    /// The number of cells that differ, in all columns.
    pub fn cells_changed(&self) -> u64 {
        self.changed.iter().map(|c| c.cells.len() as u64).sum()
    }
}

fn extend(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ if range.is_empty() => {}
        _ => ranges.push(range),
    }
}

/// Compares two states of a table.
pub fn diff(objects: &Arc<Objects>, old: &Table, new: &Table) -> Result<TableDiff, TableError> {
    let store = &**objects;
    let mut out = TableDiff { schema: schema_changes(old, new), ..TableDiff::default() };
    let mut common = Vec::new();
    let rows_same = old.spine.is_same(&new.spine) && old.live.is_same(&new.live);
    let segments = align(objects, old, new)?;
    if rows_same {
        common = segments;
    } else {
        out.reordered = segments.windows(2).any(|w| w[1].old < w[0].old);
        rows(objects, old, new, &segments, &mut common, &mut out)?;
    }
    let places: HashMap<ColumnId, usize> = old.schema.columns.iter().enumerate().map(|(i, c)| (c.id, i)).collect();
    for (i, column) in new.schema.columns.iter().enumerate() {
        let Some(o) = places.get(&column.id).copied() else { continue };
        if rows_same && old.columns[o].is_same(&new.columns[i]) && old.schema.columns[o].ty == column.ty {
            continue;
        }
        let mut change = ColumnChange { old: o, new: i, cells: Vec::new() };
        let (a, b) = (old.columns[o].get(store)?, new.columns[i].get(store)?);
        let storage = column.ty.storage();
        let readers = (ColumnReader::new(objects.clone(), a.clone(), storage.clone()), ColumnReader::new(objects.clone(), b.clone(), storage));
        // A narrower type may not read as the wider: then cells compare under the newer type only where it is the wider one.
        let mut readers =
            if super::schema::widens(&old.schema.columns[o].ty, &column.ty) { readers } else { (old.reader(objects, o)?, new.reader(objects, i)?) };
        for segment in &common {
            cells(store, (a, b), &mut readers, segment, &mut change.cells)?;
        }
        if !change.cells.is_empty() {
            out.changed.push(change);
        }
    }
    // Deleted rows have cells as well, which nobody sees.
    if rows_same && old.rows(store)? < old.slots(store)? {
        let live = new.live.get(store)?;
        for change in &mut out.changed {
            let mut kept = Vec::new();
            let mut rest = &change.cells[..];
            for item in live.items(store, 0, live.rows())? {
                let (start, run) = item?;
                let n = rest.partition_point(|(_, slot)| *slot < start + run.rows);
                if run.live {
                    kept.extend_from_slice(&rest[..n]);
                }
                rest = &rest[n..];
            }
            change.cells = kept;
        }
        out.changed.retain(|c| !c.cells.is_empty());
    }
    Ok(out)
}

fn schema_changes(old: &Table, new: &Table) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    for column in &new.schema.columns {
        match old.schema.columns.iter().find(|c| c.id == column.id) {
            None => changes.push(SchemaChange::Added { name: column.name.clone(), ty: column.ty.clone() }),
            Some(before) => {
                if before.name != column.name {
                    changes.push(SchemaChange::Renamed { from: before.name.clone(), to: column.name.clone() });
                }
                if before.ty != column.ty {
                    changes.push(SchemaChange::Retyped { name: column.name.clone(), from: before.ty.clone(), to: column.ty.clone() });
                }
            }
        }
    }
    for column in &old.schema.columns {
        if new.schema.columns.iter().all(|c| c.id != column.id) {
            changes.push(SchemaChange::Dropped { name: column.name.clone(), ty: column.ty.clone() });
        }
    }
    changes
}

/// Where the rows of the older state stand in the newer, by row id, in the newer's order.
fn align(objects: &Objects, old: &Table, new: &Table) -> Result<Vec<Aligned>, TableError> {
    let (a, b) = (old.spine.get(objects)?, new.spine.get(objects)?);
    if a.content() == b.content() {
        return Ok(if a.rows() == 0 { Vec::new() } else { vec![Aligned { old: 0, new: 0, rows: a.rows() }] });
    }
    let mut places: HashMap<Origin, BTreeMap<u64, (u64, u64)>> = HashMap::new();
    for (slot, run) in runs(objects, a)? {
        places.entry(run.origin).or_default().insert(run.first, (run.rows, slot));
    }
    let mut segments: Vec<Aligned> = Vec::new();
    for (slot, run) in runs(objects, b)? {
        let Some(known) = places.get(&run.origin) else { continue };
        let end = run.first + run.rows;
        let before = known.range(..=run.first).next_back();
        let after = known.range(run.first..end).filter(|(first, _)| **first != run.first);
        for (first, (rows, old_slot)) in before.into_iter().chain(after) {
            let (from, to) = ((*first).max(run.first), (first + rows).min(end));
            if from >= to {
                continue;
            }
            let next = Aligned { old: old_slot + (from - first), new: slot + (from - run.first), rows: to - from };
            match segments.last_mut() {
                Some(last) if last.old + last.rows == next.old && last.new + last.rows == next.new => last.rows += next.rows,
                _ => segments.push(next),
            }
        }
    }
    Ok(segments)
}

fn runs(objects: &Objects, spine: &Rope<Spine>) -> Result<Vec<(u64, RowRun)>, TableError> {
    Ok(spine.items(objects, 0, spine.rows())?.collect::<Result<_, _>>()?)
}

/// Live slots as sorted ranges.
fn live_ranges(objects: &Objects, table: &Table) -> Result<Vec<Range<u64>>, TableError> {
    let live = table.live.get(objects)?;
    let mut ranges = Vec::new();
    for item in live.items(objects, 0, live.rows())? {
        let (start, run) = item?;
        if run.live {
            ranges.push(start..start + run.rows);
        }
    }
    Ok(ranges)
}

/// The parts of `within` that the sorted `ranges` cover, each as its offset in `within` and its length.
fn covered(ranges: &[Range<u64>], within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
    let first = ranges.partition_point(|r| r.end <= within.start);
    let base = within.start;
    ranges[first..].iter().take_while(move |r| r.start < within.end).map(move |r| r.start.max(base) - base..r.end.min(within.end) - base)
}

/// Splits rows into those of both states, and those that came or went.
fn rows(objects: &Objects, old: &Table, new: &Table, segments: &[Aligned], common: &mut Vec<Aligned>, out: &mut TableDiff) -> Result<(), TableError> {
    let (old_live, new_live) = (live_ranges(objects, old)?, live_ranges(objects, new)?);
    let (mut kept_old, mut kept_new): (Vec<Range<u64>>, Vec<Range<u64>>) = Default::default();
    for segment in segments {
        let a: Vec<Range<u64>> = covered(&old_live, segment.old..segment.old + segment.rows).collect();
        for b in covered(&new_live, segment.new..segment.new + segment.rows) {
            for both in covered(&a, b.clone()) {
                let (from, rows) = (b.start + both.start, both.end - both.start);
                common.push(Aligned { old: segment.old + from, new: segment.new + from, rows });
                kept_old.push(segment.old + from..segment.old + from + rows);
                kept_new.push(segment.new + from..segment.new + from + rows);
            }
        }
    }
    kept_old.sort_by_key(|r| r.start);
    for (live, kept, gone) in [(&old_live, &kept_old, &mut out.removed), (&new_live, &kept_new, &mut out.added)] {
        for range in live {
            let mut at = range.start;
            for part in covered(kept, range.clone()) {
                extend(gone, at..range.start + part.start);
                at = range.start + part.end;
            }
            extend(gone, at..range.end);
        }
    }
    Ok(())
}

/// Compares the cells of aligned rows; equal windows onto one chunk are passed over unread.
fn cells(
    store: &Objects,
    ropes: (&Rope<Values>, &Rope<Values>),
    readers: &mut (ColumnReader, ColumnReader),
    segment: &Aligned,
    out: &mut Vec<(u64, u64)>,
) -> Result<(), TableError> {
    let mut left = ropes.0.items(store, segment.old, segment.old + segment.rows)?;
    let mut right = ropes.1.items(store, segment.new, segment.new + segment.rows)?;
    let (mut a, mut b): (Option<(u64, Slice)>, Option<(u64, Slice)>) = (left.next().transpose()?, right.next().transpose()?);
    while let (Some((old, x)), Some((new, y))) = (&a, &b) {
        let (old, new) = (*old, *new);
        let n = Values::rows(x).min(Values::rows(y));
        if !same(x, y) {
            compare(readers, old, new, n, out)?;
        }
        let rest = |slot: u64, slice: &Slice| {
            let rows = Values::rows(slice);
            (rows > n).then(|| (slot + n, Values::cut(slice, n, rows)))
        };
        let (next_a, next_b) = (rest(old, x), rest(new, y));
        a = if next_a.is_some() { next_a } else { left.next().transpose()? };
        b = if next_b.is_some() { next_b } else { right.next().transpose()? };
    }
    Ok(())
}

/// Whether the first rows of two slices are known to be equal.
fn same(x: &Slice, y: &Slice) -> bool {
    match (x, y) {
        (Slice::Chunk { chunk, first, .. }, Slice::Chunk { chunk: other, first: second, .. }) => chunk.id == other.id && first == second,
        (Slice::Large(x), Slice::Large(y)) => x == y,
        _ => false,
    }
}

fn compare(readers: &mut (ColumnReader, ColumnReader), old: u64, new: u64, rows: u64, out: &mut Vec<(u64, u64)>) -> Result<(), TableError> {
    let mut at = 0;
    while at < rows {
        // As many as fit in memory, by the heavier side.
        let n = readers.0.rows_within(old + at, (rows - at).min(65_536), 8 << 20)?;
        let n = readers.1.rows_within(new + at, n, 8 << 20)?;
        let a = readers.0.read(old + at..old + at + n)?;
        let b = readers.1.read(new + at..new + at + n)?;
        if a.data_type() != b.data_type() {
            out.extend((0..n).filter(|i| !(a.is_null(*i as usize) && b.is_null(*i as usize))).map(|i| (old + at + i, new + at + i)));
        } else {
            let equal = make_comparator(&a, &b, SortOptions::default())?;
            out.extend((0..n).filter(|i| equal(*i as usize, *i as usize).is_ne()).map(|i| (old + at + i, new + at + i)));
        }
        at += n;
    }
    Ok(())
}

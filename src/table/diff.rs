//! What changed between two states of a table: columns, rows, cells. Decided by value; what both have is never read.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, make_comparator};
use arrow::compute::SortOptions;
use rayon::prelude::*;

use crate::base::parallel::on_all_cores;
use crate::base::{ColumnId, Origin};
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::node::{Kind, Live, RowRun, Slice, Spine, Values};
use crate::tree::{Rope, TreeError, differ};

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

/// Adds a range behind others, joined with the last where it continues that; an empty one is left out.
pub(super) fn extend(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ if range.is_empty() => {}
        _ => ranges.push(range),
    }
}

/// Compares two states of a table. The cost follows what differs: subtrees of ropes that both have are not read, cells of slices that both have
/// neither.
pub fn diff(objects: &Arc<Objects>, old: &Table, new: &Table) -> Result<TableDiff, TableError> {
    let store = &**objects;
    let mut out = TableDiff { schema: schema_changes(old, new), ..TableDiff::default() };
    let segments = align(objects, old, new)?;
    out.reordered = segments.windows(2).any(|w| w[1].old < w[0].old);
    if !(old.spine.is_same(&new.spine) && old.live.is_same(&new.live)) {
        (out.added, out.removed) = row_changes(objects, old, new, &segments)?;
    }
    let places: HashMap<ColumnId, usize> = old.schema.columns.iter().enumerate().map(|(i, c)| (c.id, i)).collect();
    let in_place = matches!(segments.as_slice(), [one] if one.old == 0 && one.new == 0);
    let is_other = |(o, i): &(usize, usize)| !(in_place && old.columns[*o].is_same(&new.columns[*i]) && old.schema.columns[*o].ty == new.schema.columns[*i].ty);
    let pairs = new.schema.columns.iter().enumerate().filter_map(|(i, column)| Some((*places.get(&column.id)?, i)));
    let pairs: Vec<(usize, usize)> = pairs.filter(is_other).collect();
    // Most of the time goes into reading and unpacking blocks: columns are compared side by side.
    let compared = pairs.par_iter().map(|(o, i)| Ok(ColumnChange { old: *o, new: *i, cells: column_cells(objects, (old, *o), (new, *i), &segments)? }));
    out.changed = on_all_cores(|| compared.collect::<Result<_, TableError>>())?;
    // Deleted rows have cells as well, which nobody sees.
    let (old_live, new_live) = (old.live.get(store)?, new.live.get(store)?);
    for change in &mut out.changed {
        let mut kept = Vec::with_capacity(change.cells.len());
        for (a, b) in change.cells.drain(..) {
            if is_live(store, old_live, a)? && is_live(store, new_live, b)? {
                kept.push((a, b));
            }
        }
        change.cells = kept;
    }
    out.changed.retain(|c| !c.cells.is_empty());
    Ok(out)
}

/// The pairs of slots of aligned rows at which a column of one state and a column of another differ.
pub fn column_cells(objects: &Arc<Objects>, old: (&Table, usize), new: (&Table, usize), segments: &[Aligned]) -> Result<Vec<(u64, u64)>, TableError> {
    let store = &**objects;
    let ((old, o), (new, i)) = (old, new);
    let (a, b) = (old.columns[o].get(store)?, new.columns[i].get(store)?);
    let mut readers = column_readers(objects, (old, o), (new, i))?;
    let mut cells = Vec::new();
    for segment in segments {
        differ::<Values, TableError>(store, (a, segment.old), (b, segment.new), segment.rows, &mut |pair| {
            if is_same_slice(&pair.left, &pair.right) { Ok(()) } else { compare(&mut readers, pair.a, pair.b, Values::rows(&pair.left), &mut cells) }
        })?;
    }
    Ok(cells)
}

/// Readers of a column in two states, whose values compare.
pub fn column_readers(objects: &Arc<Objects>, old: (&Table, usize), new: (&Table, usize)) -> Result<(ColumnReader, ColumnReader), TableError> {
    let ((old, o), (new, i)) = (old, new);
    let (before, after) = (&old.schema.columns[o].ty, &new.schema.columns[i].ty);
    // A narrower type may not read as the wider: then cells compare under the newer type only where it is the wider one.
    if !super::schema::widens(before, after) {
        return Ok((old.reader(objects, o)?, new.reader(objects, i)?));
    }
    let (a, b) = (old.columns[o].get(&**objects)?, new.columns[i].get(&**objects)?);
    let reader = |rope: &Rope<Values>| ColumnReader::new(objects.clone(), rope.clone(), after.storage());
    Ok((reader(a), reader(b)))
}

/// Whether a slot holds a row.
pub fn is_live(objects: &Objects, live: &Rope<Live>, slot: u64) -> Result<bool, TableError> {
    if live.summary() == live.rows() {
        return Ok(true);
    }
    Ok(live.items(objects, slot, slot + 1)?.next().transpose()?.is_some_and(|(_, run)| run.live))
}

/// Changes of the columns between two states, in the newer's order, dropped ones last.
pub fn schema_changes(old: &Table, new: &Table) -> Vec<SchemaChange> {
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

/// Where the rows of the older state stand in the newer, by row id, in the newer's order. Rows before the first difference of the spines are one
/// stretch, of which nothing is read.
pub fn align(objects: &Objects, old: &Table, new: &Table) -> Result<Vec<Aligned>, TableError> {
    let (a, b) = (old.spine.get(objects)?, new.spine.get(objects)?);
    let prefix = common_prefix(objects, a, b)?;
    let mut segments: Vec<Aligned> = Vec::new();
    if prefix > 0 {
        segments.push(Aligned { old: 0, new: 0, rows: prefix });
    }
    let mut places: HashMap<Origin, BTreeMap<u64, (u64, u64)>> = HashMap::new();
    for item in a.items(objects, prefix, a.rows())? {
        let (slot, run) = item?;
        places.entry(run.origin).or_default().insert(run.first, (run.rows, slot));
    }
    if places.is_empty() {
        return Ok(segments);
    }
    for item in b.items(objects, prefix, b.rows())? {
        let (slot, run): (u64, RowRun) = item?;
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

/// How many rows two spines have in common at their start.
fn common_prefix(objects: &Objects, a: &Rope<Spine>, b: &Rope<Spine>) -> Result<u64, TableError> {
    enum Stop {
        At(u64),
        Failed(TreeError),
    }
    impl From<TreeError> for Stop {
        fn from(error: TreeError) -> Self {
            Stop::Failed(error)
        }
    }
    let rows = a.rows().min(b.rows());
    match differ::<Spine, Stop>(objects, (a, 0), (b, 0), rows, &mut |pair| if pair.left == pair.right { Ok(()) } else { Err(Stop::At(pair.a)) }) {
        Ok(()) => Ok(rows),
        Err(Stop::At(row)) => Ok(row),
        Err(Stop::Failed(error)) => Err(error.into()),
    }
}

/// The ranges of `0..rows` that no stretch covers; the stretches as ranges of this side.
fn uncovered(mut covered: Vec<Range<u64>>, rows: u64) -> Vec<Range<u64>> {
    covered.sort_by_key(|r| r.start);
    let (mut at, mut gaps) = (0, Vec::new());
    for range in covered {
        extend(&mut gaps, at..range.start.max(at));
        at = at.max(range.end);
    }
    extend(&mut gaps, at..rows);
    gaps
}

/// Slots in order, of some rows.
pub type Slots = Vec<Range<u64>>;

/// The rows that came, as slots of the newer state, and those that went, as slots of the older; `segments` as [`align`] gives them.
pub fn row_changes(objects: &Objects, old: &Table, new: &Table, segments: &[Aligned]) -> Result<(Slots, Slots), TableError> {
    let (mut came, mut went): (Slots, Slots) = Default::default();
    let (a, b) = (old.live.get(objects)?, new.live.get(objects)?);
    let (mut added, mut removed): (Vec<Range<u64>>, Vec<Range<u64>>) = Default::default();
    for segment in segments {
        differ::<Live, TableError>(objects, (a, segment.old), (b, segment.new), segment.rows, &mut |pair| {
            match (pair.left.live, pair.right.live) {
                (true, false) => removed.push(pair.a..pair.a + pair.left.rows),
                (false, true) => added.push(pair.b..pair.b + pair.right.rows),
                _ => {}
            }
            Ok(())
        })?;
    }
    let sides = [
        (a, segments.iter().map(|s| s.old..s.old + s.rows).collect::<Vec<_>>(), removed, &mut went),
        (b, segments.iter().map(|s| s.new..s.new + s.rows).collect(), added, &mut came),
    ];
    for (live, aligned, mut found, into) in sides {
        for gap in uncovered(aligned, live.rows()) {
            for item in live.items(objects, gap.start, gap.end)? {
                let (start, run) = item?;
                if run.live {
                    found.push(start..start + run.rows);
                }
            }
        }
        found.sort_by_key(|r| r.start);
        found.into_iter().for_each(|range| extend(into, range));
    }
    Ok((came, went))
}

/// Whether the first rows of two slices are known to be equal.
pub fn is_same_slice(x: &Slice, y: &Slice) -> bool {
    match (x, y) {
        (Slice::Chunk { chunk, first, .. }, Slice::Chunk { chunk: other, first: second, .. }) => chunk.id == other.id && first == second,
        (Slice::Large(x), Slice::Large(y)) => x == y,
        _ => false,
    }
}

fn compare(readers: &mut (ColumnReader, ColumnReader), old: u64, new: u64, rows: u64, out: &mut Vec<(u64, u64)>) -> Result<(), TableError> {
    let mut at = 0;
    while at < rows {
        at += compare_some(readers, old + at, new + at, (rows - at).min(65_536), 8 << 20, &mut |a, b| out.push((a, b)))?;
    }
    Ok(())
}

/// Compares as many of `rows` cells as take up about `bytes` on the heavier side, one at least, and calls `each` for the slots of those that differ;
/// returns how many were compared.
pub fn compare_some(
    readers: &mut (ColumnReader, ColumnReader),
    old: u64,
    new: u64,
    rows: u64,
    bytes: u64,
    each: &mut dyn FnMut(u64, u64),
) -> Result<u64, TableError> {
    let n = readers.0.rows_within(old, rows, bytes)?;
    let n = readers.1.rows_within(new, n, bytes)?;
    let a = readers.0.read(old..old + n)?;
    let b = readers.1.read(new..new + n)?;
    if a.data_type() != b.data_type() {
        (0..n).filter(|i| !(a.is_null(*i as usize) && b.is_null(*i as usize))).for_each(|i| each(old + i, new + i));
    } else {
        let equal = make_comparator(&a, &b, SortOptions::default())?;
        (0..n).filter(|i| equal(*i as usize, *i as usize).is_ne()).for_each(|i| each(old + i, new + i));
    }
    Ok(n)
}

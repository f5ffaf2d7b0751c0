//! Rules for the rows of a table: which rows changed since a state that kept them, where a cell is null, which rows repeat another's cells, and which refer to
//! nothing.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, make_comparator};
use arrow::compute::SortOptions;

use crate::base::Progress;
use crate::chunk::Objects;
use crate::format::node::{Kind, Slice, Values};
use crate::format::stats::{Scalar, Stats};
use crate::tree::differ;

use super::column::widen;
use super::diff::{Aligned, align, column_cells, extend, is_same_slice, row_changes};
use super::key::{RowHash, RowHasher};
use super::{Table, TableError};

/// Ranges that are shorter are read together.
const SHORT: u64 = 64;
/// Rows of short ranges that are read at once...
const ROWS_AT_ONCE: usize = 512;
/// ... and about so many bytes of each column, for their cells may be pictures.
const BYTES_AT_ONCE: u64 = 16 << 20;
/// With more rows than this to look for, statistics rule out little.
const SOUGHT_MAX: usize = 4096;

/// How closely cells of two states are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closely {
    /// By where they stand: a cell that was written anew counts as changed, whatever it was before, and none is read. For tests that cost no more than reading.
    Places,
    /// By what they are: cells that were written anew are read, and so is what they were before.
    Values,
}

/// The slots of `new` that hold other rows than `old`, as far as these columns (by index in `new`) tell: rows that came, and rows with a cell that
/// differs. With `by_name`, whoever reads them does so by their names. Slots of deleted rows may be among them. All slots, where `old` had not the same columns.
pub fn changed(objects: &Arc<Objects>, old: &Table, new: &Table, columns: &[usize], by_name: bool, closely: Closely) -> Result<Vec<Range<u64>>, TableError> {
    let slots = new.slots(objects)?;
    let all = || std::iter::once(0..slots).filter(|all| !all.is_empty()).collect();
    if old.id != new.id {
        return Ok(all());
    }
    let mut pairs = Vec::with_capacity(columns.len());
    for index in columns {
        let Some(column) = new.schema.columns.get(*index) else { return Ok(all()) };
        match old.schema.columns.iter().position(|c| c.id == column.id && c.ty == column.ty && (c.name == column.name || !by_name)) {
            Some(before) => pairs.push((before, *index)),
            None => return Ok(all()),
        }
    }
    let placed_alike = old.spine.is_same(&new.spine) && old.live.is_same(&new.live);
    pairs.retain(|(before, after)| !(placed_alike && old.columns[*before].is_same(&new.columns[*after])));
    if placed_alike && pairs.is_empty() {
        return Ok(Vec::new());
    }
    let segments = align(objects, old, new)?;
    let mut found = if placed_alike { Vec::new() } else { row_changes(objects, old, new, &segments)?.0 };
    for (before, after) in pairs {
        match closely {
            Closely::Places => written(objects, (old, before), (new, after), &segments, &mut found)?,
            Closely::Values => found.extend(column_cells(objects, (old, before), (new, after), &segments)?.into_iter().map(|(_, slot)| slot..slot + 1)),
        }
    }
    found.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(found.len());
    for range in found {
        let from = joined.last().map_or(range.start, |last| range.start.max(last.end));
        extend(&mut joined, from..range.end.max(from));
    }
    Ok(joined)
}

/// Whether both states have the same rows in the same places, with the same cells in a column (by index in `new`), as far as ids tell.
pub fn untouched(old: &Table, new: &Table, column: usize) -> bool {
    let Some((described, rope)) = new.schema.columns.get(column).zip(new.columns.get(column)) else { return false };
    let before = old.schema.columns.iter().position(|c| c.id == described.id && c.ty == described.ty).and_then(|i| old.columns.get(i));
    old.id == new.id && old.spine.is_same(&new.spine) && old.live.is_same(&new.live) && before.is_some_and(|before| before.is_same(rope))
}

/// Adds the slots at which a column of `new` has cells that stand elsewhere in `old`. Reads nodes alone.
fn written(
    objects: &Arc<Objects>,
    (old, before): (&Table, usize),
    (new, after): (&Table, usize),
    segments: &[Aligned],
    found: &mut Vec<Range<u64>>,
) -> Result<(), TableError> {
    let (a, b) = (old.columns[before].get(&**objects)?, new.columns[after].get(&**objects)?);
    for segment in segments {
        differ::<Values, TableError>(&**objects, (a, segment.old), (b, segment.new), segment.rows, &mut |pair| {
            match (&pair.left, &pair.right) {
                (left, right) if is_same_slice(left, right) => {}
                // These are at hand.
                (Slice::Literal(left), Slice::Literal(right)) if left.data_type() == right.data_type() => {
                    let order = make_comparator(left, right, SortOptions::default())?;
                    found.extend((0..right.len()).filter(|i| order(*i, *i).is_ne()).map(|i| pair.b + i as u64..pair.b + i as u64 + 1));
                }
                (Slice::Constant { value: left, .. }, Slice::Constant { value: right, .. }) if left == right => {}
                (left, _) => found.push(pair.b..pair.b + Values::rows(left)),
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// The slots that stand in both; each ascends without overlaps.
pub fn within_both(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut i, mut j, mut both) = (0, 0, Vec::new());
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let common = x.start.max(y.start)..x.end.min(y.end);
        if !common.is_empty() {
            both.push(common);
        }
        if x.end < y.end { i += 1 } else { j += 1 }
    }
    both
}

/// Calls `each` with the cells of the live rows of some ranges, which ascend and do not overlap, and with the rows' slots, batch by batch.
pub fn visit(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    ranges: Vec<Range<u64>>,
    columns: &[usize],
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u64], &RecordBatch) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let mut few = Vec::new();
    let flush = |few: &mut Vec<u64>, each: &mut dyn FnMut(&[u64], &RecordBatch) -> Result<(), TableError>| {
        let mut rest = few.as_slice();
        while !rest.is_empty() {
            if progress.interrupted() {
                return Err(TableError::Interrupted);
            }
            let mut rows = rest.len().min(ROWS_AT_ONCE);
            for column in columns {
                rows = table.reader(objects, *column)?.slots_within(&rest[..rows], BYTES_AT_ONCE)?.clamp(1, rows);
            }
            let (part, later) = rest.split_at(rows);
            each(part, &table.take(objects, part, columns)?)?;
            progress.advance(part.len() as u64);
            rest = later;
        }
        few.clear();
        Ok(())
    };
    let live = table.live.get(&**objects)?;
    for range in ranges {
        let mut slots = Vec::new();
        for item in live.items(&**objects, range.start, range.end)? {
            let (start, run) = item?;
            if run.live {
                slots.extend(start..start + run.rows);
            }
        }
        if range.end - range.start < SHORT {
            few.append(&mut slots);
            if few.len() >= ROWS_AT_ONCE {
                flush(&mut few, each)?;
            }
            continue;
        }
        flush(&mut few, each)?;
        let mut at = 0;
        for batch in table.scan(objects).columns(columns.to_vec()).slots(range).open()? {
            if progress.interrupted() {
                return Err(TableError::Interrupted);
            }
            let batch = batch?;
            let here = slots.get(at..at + batch.num_rows()).unwrap_or_default();
            each(here, &batch)?;
            at += batch.num_rows();
            progress.advance(batch.num_rows() as u64);
        }
    }
    flush(&mut few, each)
}

/// The slots of the live rows within ranges, which ascend and do not overlap, that have a null in one of these columns; each with those of the columns that
/// are null. Statistics settle most of it unread.
pub fn nulls(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    ranges: &[Range<u64>],
    columns: &[usize],
    progress: &dyn Progress,
) -> Result<Vec<(u64, Vec<usize>)>, TableError> {
    let mut found: HashMap<u64, Vec<usize>> = HashMap::new();
    for column in columns {
        let perhaps = table.prune(objects, *column, &|stats, _| stats.nulls > 0, ranges.to_vec())?;
        visit(objects, table, perhaps, &[*column], progress, &mut |slots, batch| {
            let cells = batch.column(0);
            for (slot, i) in slots.iter().zip(0..) {
                if cells.is_null(i) {
                    found.entry(*slot).or_default().push(*column);
                }
            }
            Ok(())
        })?;
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    Ok(found)
}

/// Rows whose cells in these columns are those of another row, as slots: the row and the other one. Within `ranges`, which ascend and do not overlap, every
/// such row is found but the first of its kind, and that one too where another stands outside of them. Rows with a null among the cells are equal to none; floats
/// compare by their bits. Of the rows outside, only what statistics do not rule out is read.
pub fn repeated(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    ranges: &[Range<u64>],
    columns: &[usize],
    progress: &dyn Progress,
) -> Result<Vec<(u64, u64)>, TableError> {
    let hasher = RowHasher::new(columns.iter().filter_map(|i| table.schema.columns.get(*i)).map(|c| c.ty.storage()).collect())?;
    let mut first: HashMap<RowHash, u64> = HashMap::new();
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut bounds = Vec::new();
    visit(objects, table, ranges.to_vec(), columns, progress, &mut |slots, batch| {
        for ((slot, hash), i) in slots.iter().zip(hasher.hash(batch.columns())?).zip(0..) {
            if has_null(batch, i) {
                continue;
            }
            match first.get(&hash) {
                Some(other) => found.push((*slot, *other)),
                None => drop(first.insert(hash, *slot)),
            }
            if bounds.len() <= SOUGHT_MAX {
                bounds.push(batch.columns().iter().map(|cells| exactly(Stats::of(&cells.slice(i, 1)))).collect::<Vec<_>>());
            }
        }
        Ok(())
    })?;
    if first.is_empty() {
        return Ok(found);
    }
    let elsewhere = where_may_be(objects, table, columns, &bounds, without(table.slots(objects)?, ranges))?;
    visit(objects, table, elsewhere, columns, progress, &mut |slots, batch| {
        for ((slot, hash), i) in slots.iter().zip(hasher.hash(batch.columns())?).zip(0..) {
            // Once is enough: the others of its kind within the ranges are found already.
            if !has_null(batch, i)
                && let Some(inside) = first.remove(&hash)
            {
                found.push((inside, *slot));
            }
        }
        Ok(())
    })?;
    found.sort_unstable();
    Ok(found)
}

/// Of these ranges, what may hold one of these rows of cells, by the statistics of each column.
fn where_may_be(
    objects: &Arc<Objects>,
    table: &Table,
    columns: &[usize],
    bounds: &[Vec<Option<Scalar>>],
    mut ranges: Vec<Range<u64>>,
) -> Result<Vec<Range<u64>>, TableError> {
    if bounds.len() > SOUGHT_MAX {
        return Ok(ranges);
    }
    for (n, column) in columns.iter().enumerate() {
        let Some(mut sought) = bounds.iter().map(|row| row.get(n).cloned().flatten()).collect::<Option<Vec<Scalar>>>() else { continue };
        sought.sort_by(|a, b| a.compare(b).unwrap_or(std::cmp::Ordering::Equal));
        ranges = table.prune(objects, *column, &|stats, _| may_hold(stats, &sought), ranges)?;
    }
    Ok(ranges)
}

/// Columns of a table, by index.
pub type Columns<'a> = (&'a Arc<Table>, &'a [usize]);

/// Rows of cells that are looked for elsewhere: their hashes, and their values as far as these are few.
#[derive(Default)]
struct Sought {
    keys: HashSet<RowHash>,
    bounds: Vec<Vec<Option<Scalar>>>,
}

impl Sought {
    /// The cells of live rows within ranges; those with a null among them are left out.
    fn read(
        objects: &Arc<Objects>,
        (table, columns): Columns<'_>,
        ranges: &[Range<u64>],
        hasher: &RowHasher,
        progress: &dyn Progress,
    ) -> Result<Sought, TableError> {
        let mut sought = Sought::default();
        visit(objects, table, ranges.to_vec(), columns, progress, &mut |_, batch| {
            let wide = batch.columns().iter().zip(hasher.storage()).map(|(cells, storage)| widen(cells.clone(), storage)).collect::<Result<Vec<_>, _>>()?;
            for (hash, i) in hasher.hash(&wide)?.into_iter().zip(0..) {
                if !has_null(batch, i) && sought.keys.insert(hash) && sought.bounds.len() <= SOUGHT_MAX {
                    sought.bounds.push(wide.iter().map(|cells| exactly(Stats::of(&cells.slice(i, 1)))).collect());
                }
            }
            Ok(())
        })?;
        Ok(sought)
    }
}

/// The slots of live rows of the one table whose cells are those of no row of the other; rows with a null among them are passed over. Within `ranges`, which ascend and do not
/// overlap, all rows are tested; outside of them, those that had their cells from a row that `before`, an older state of the other table, had and that is gone or changed. Both
/// sides' cells are compared as what `hasher` hashes. Keeps a hash for each row of cells that is looked for.
pub fn dangling(
    objects: &Arc<Objects>,
    one: Columns<'_>,
    other: Columns<'_>,
    ranges: &[Range<u64>],
    before: Option<Columns<'_>>,
    hasher: &RowHasher,
    progress: &dyn Progress,
) -> Result<Vec<u64>, TableError> {
    let sought = Sought::read(objects, one, ranges, hasher, progress)?;
    let lost = match before {
        Some((old, columns)) => Sought::read(objects, (old, columns), &changed(objects, other.0, old, columns, false, Closely::Values)?, hasher, progress)?,
        None => Sought::default(),
    };
    let mut missing: HashSet<RowHash> = sought.keys.union(&lost.keys).copied().collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let whole = |table: &Table| -> Result<Vec<Range<u64>>, TableError> { Ok(without(table.slots(objects)?, &[])) };
    let bounds: Vec<_> = sought.bounds.iter().chain(&lost.bounds).cloned().collect();
    let perhaps = where_may_be(objects, other.0, other.1, &bounds, whole(other.0)?)?;
    drop((sought, bounds));
    visit(objects, other.0, perhaps, other.1, progress, &mut |_, batch| {
        for hash in hasher.hash(batch.columns())? {
            missing.remove(&hash);
        }
        Ok(())
    })?;
    let mut found = Vec::new();
    let mut look = |ranges: Vec<Range<u64>>| {
        visit(objects, one.0, ranges, one.1, progress, &mut |slots, batch| {
            let hashes = hasher.hash(batch.columns())?;
            found.extend(slots.iter().zip(hashes).zip(0..).filter(|((_, hash), i)| missing.contains(hash) && !has_null(batch, *i)).map(|((slot, _), _)| *slot));
            Ok(())
        })
    };
    if !missing.is_empty() {
        look(ranges.to_vec())?;
    }
    if lost.keys.iter().any(|key| missing.contains(key)) {
        look(where_may_be(objects, one.0, one.1, &lost.bounds, without(one.0.slots(objects)?, ranges))?)?;
    }
    found.sort_unstable();
    Ok(found)
}

fn has_null(batch: &RecordBatch, row: usize) -> bool {
    batch.columns().iter().any(|cells| cells.is_null(row))
}

/// The one value that such statistics are of, if they say it whole.
fn exactly(stats: Stats) -> Option<Scalar> {
    stats.min.filter(|_| stats.min_exact && stats.max_exact)
}

/// Whether one of these values, which ascend, may be among values of such statistics.
fn may_hold(stats: &Stats, sought: &[Scalar]) -> bool {
    let (Some(min), Some(max)) = (&stats.min, &stats.max) else {
        // Without bounds, nothing is known, unless it is known that there is no value.
        return !(stats.min_exact && stats.max_exact) || stats.nans;
    };
    let least = sought.partition_point(|value| value.compare(min).is_some_and(|order| order.is_lt()));
    stats.nans || sought.get(least).is_some_and(|value| value.compare(max).is_none_or(|order| order.is_le()))
}

/// The slots below `slots` that are in none of the ranges.
pub fn without(slots: u64, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut at, mut left) = (0, Vec::new());
    for range in ranges {
        extend(&mut left, at..range.start.max(at));
        at = at.max(range.end);
    }
    extend(&mut left, at..slots);
    left
}

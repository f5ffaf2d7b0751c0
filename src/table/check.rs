//! Rules for the rows of a table: which rows changed since a state that kept them, where a cell is null, and which rows repeat another's cells.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};

use crate::base::Progress;
use crate::chunk::Objects;
use crate::format::stats::{Scalar, Stats};

use super::diff::{align, column_cells, extend, row_changes};
use super::key::{RowHash, RowHasher};
use super::{Table, TableError};

/// Ranges that are shorter are read together.
const SHORT: u64 = 64;
/// Rows of short ranges that are read at once: few, for their cells may be pictures.
const ROWS_AT_ONCE: usize = 512;
/// With more rows than this to look for, statistics rule out little.
const SOUGHT_MAX: usize = 4096;

/// The slots of `new` that hold other rows than `old`, as far as these columns (by index in `new`) tell: rows that came, and rows with a cell that
/// differs. With `by_name`, whoever reads them does so by their names. Slots of deleted rows may be among them. All slots, where `old` had not the same columns.
pub fn changed(objects: &Arc<Objects>, old: &Table, new: &Table, columns: &[usize], by_name: bool) -> Result<Vec<Range<u64>>, TableError> {
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
        for (_, slot) in column_cells(objects, (old, before), (new, after), &segments)? {
            found.push(slot..slot + 1);
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
fn visit(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    ranges: Vec<Range<u64>>,
    columns: &[usize],
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u64], &RecordBatch) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let mut few = Vec::new();
    let flush = |few: &mut Vec<u64>, each: &mut dyn FnMut(&[u64], &RecordBatch) -> Result<(), TableError>| {
        for part in few.chunks(ROWS_AT_ONCE) {
            if progress.interrupted() {
                return Err(TableError::Interrupted);
            }
            each(part, &table.take(objects, part, columns)?)?;
            progress.advance(part.len() as u64);
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
    let mut elsewhere = without(table.slots(objects)?, ranges);
    if bounds.len() <= SOUGHT_MAX {
        for (n, column) in columns.iter().enumerate() {
            let Some(mut sought) = bounds.iter().map(|row| row.get(n).cloned().flatten()).collect::<Option<Vec<Scalar>>>() else { continue };
            sought.sort_by(|a, b| a.compare(b).unwrap_or(std::cmp::Ordering::Equal));
            elsewhere = table.prune(objects, *column, &|stats, _| may_hold(stats, &sought), elsewhere)?;
        }
    }
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
fn without(slots: u64, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut at, mut left) = (0, Vec::new());
    for range in ranges {
        extend(&mut left, at..range.start.max(at));
        at = at.max(range.end);
    }
    extend(&mut left, at..slots);
    left
}

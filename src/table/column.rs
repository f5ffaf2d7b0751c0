//! Reading one column: runs of rows and scattered rows, cast to the column's type of today.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow::compute::{CastOptions, cast_with_options, concat, take};
use arrow::datatypes::DataType;
use rayon::prelude::*;

use crate::base::ChunkId;
use crate::base::parallel::on_all_cores;
use crate::chunk::Objects;
use crate::format::array::to_storage;
use crate::format::node::{Kind, Slice, Values};
use crate::tree::Rope;

use super::{TableError, large};

/// Slices are taken from the tree for so many slots at a time, and so many of them: to take nodes apart costs more than to come back.
const WINDOW: u64 = 1 << 20;
const WINDOW_SLICES: usize = 128;
/// Slots of fewer slices are picked by the thread that asks: a query has threads of its own, each with its part of the table.
const SPREAD_MIN: usize = 8;

/// Of a far column so many chunks are asked for before they are read.
const CHUNKS_AHEAD: usize = 16;

/// Reads a column from left to right. Stepping back is allowed, and costs a descent.
pub struct ColumnReader {
    objects: Arc<Objects>,
    rope: Rope<Values>,
    storage: DataType,
    /// The slices of a window, each with its first slot.
    window: VecDeque<(u64, Slice)>,
    covered: Range<u64>,
    /// Slices from here on are not looked for ahead of time.
    until: u64,
    /// Where the slice begins from which on chunks were asked for last.
    told: Option<u64>,
}

impl ColumnReader {
    /// A reader of `rope`, whose values come as `storage`.
    pub fn new(objects: Arc<Objects>, rope: Rope<Values>, storage: DataType) -> Self {
        ColumnReader { objects, rope, storage, window: VecDeque::new(), covered: 0..0, until: u64::MAX, told: None }
    }

    /// The same, for slots below `until` only: those behind it can be read as well, and are not looked for ahead of time.
    pub fn until(self, until: u64) -> Self {
        ColumnReader { until, ..self }
    }

    /// Fetches the slices from slot `at` on, unless they are there; those beyond slot `end` are of no interest.
    fn cover(&mut self, at: u64, end: u64) -> Result<(), TableError> {
        let first = self.window.front().map_or(self.covered.end, |(start, _)| *start);
        if at >= self.covered.end || at < first {
            let until = if at < self.until { self.until } else { u64::MAX };
            let to = at.saturating_add(WINDOW).min(end).min(until).min(self.rope.rows());
            self.window = self.rope.items(&*self.objects, at, to)?.take(WINDOW_SLICES).collect::<Result<_, _>>()?;
            let taken = self.window.back().map_or(to, |(start, slice)| start + Values::rows(slice));
            self.covered = at..taken;
            self.told = None;
        }
        while self.window.front().is_some_and(|(start, slice)| start + Values::rows(slice) <= at) {
            self.window.pop_front();
        }
        Ok(())
    }

    /// Asks for the chunks of the window, where they are far.
    fn ask_ahead(&mut self) {
        let first = self.window.front().map(|(start, _)| *start);
        if self.objects.is_far() && self.told != first {
            self.told = first;
            self.objects.ahead(self.window.iter().filter_map(|(_, slice)| chunk_of(slice)).take(CHUNKS_AHEAD));
        }
    }

    /// Starts to bring what holds a range of slots, where it is far: its first chunks, or where it must be `whole` all of them or none.
    pub fn bring(&mut self, range: Range<u64>, chunks_max: usize, whole: bool) -> Result<(), TableError> {
        if !self.objects.is_far() || range.is_empty() {
            return Ok(());
        }
        self.cover(range.start, range.end)?;
        let chunks: Vec<ChunkId> = self.window.iter().take_while(|(start, _)| *start < range.end).filter_map(|(_, slice)| chunk_of(slice)).collect();
        if !whole || (chunks.len() <= chunks_max && self.covered.end >= range.end) {
            self.objects.ahead(chunks.into_iter().take(chunks_max));
        }
        Ok(())
    }

    /// Starts to bring what holds some slots, in any order, where it is far.
    pub fn bring_slots(&mut self, slots: &[u64]) -> Result<(), TableError> {
        let mut chunks = Vec::with_capacity(slots.len());
        for slot in slots {
            chunks.extend(chunk_of(&self.held(*slot)?.0));
        }
        self.objects.ahead(chunks);
        Ok(())
    }

    /// The values of a range of slots.
    pub fn read(&mut self, range: Range<u64>) -> Result<ArrayRef, TableError> {
        let mut parts = Vec::new();
        let mut at = range.start;
        while at < range.end {
            self.cover(at, u64::MAX)?;
            self.ask_ahead();
            for (start, slice) in &self.window {
                let end = start + Values::rows(slice);
                let to = end.min(range.end);
                if at >= range.end {
                    break;
                }
                self.slice(slice, at - start..to - start, &mut parts)?;
                at = to;
            }
        }
        self.join(parts)
    }

    /// How many slots from `at` on hold about `bytes` of values: at least one, at most `rows`. An estimate from the chunks' headers.
    pub fn rows_within(&mut self, at: u64, rows: u64, bytes: u64) -> Result<u64, TableError> {
        if let Some(width) = crate::format::array::fixed_width(&self.storage) {
            return Ok((bytes / (width as u64).max(1)).clamp(1, rows.max(1)));
        }
        self.cover(at, u64::MAX)?;
        let (mut counted, mut size) = (0u64, 0u64);
        for (start, slice) in &self.window {
            let take = (start + Values::rows(slice)).saturating_sub(at + counted).min(rows - counted);
            let cell = cell_bytes(&self.objects, slice)?.max(1);
            let fits = (bytes.saturating_sub(size) / cell).min(take);
            (counted, size) = (counted + fits, size.saturating_add(cell.saturating_mul(fits)));
            if fits < take || counted >= rows {
                break;
            }
        }
        Ok(counted.clamp(1, rows.max(1)))
    }

    /// How many slots from `at` on to read at once, about `n`, for raw blocks to come as one array: up to the end of the slice where it is near, or of the last block of it that ends among `n`; `n` where no block does.
    pub fn rows_unjoined(&mut self, at: u64, n: u64) -> Result<u64, TableError> {
        self.cover(at, u64::MAX)?;
        let Some((start, slice)) = self.window.front() else { return Ok(n) };
        let left = start + Values::rows(slice) - at;
        let Slice::Chunk { chunk, first, .. } = slice else { return Ok(left.min(n)) };
        if left <= n + n / 2 {
            return Ok(left);
        }
        let info = self.objects.chunk(chunk.id)?;
        let row = first + (at - start);
        let block = info.blocks.get(info.block_of(row + n)).map_or(row, |block| block.first_row);
        Ok(if block > row { block - row } else { n })
    }

    /// The values at some slots, which ascend. Only the blocks that hold them are read, by all threads where there are many.
    pub fn take(&mut self, slots: &[u64]) -> Result<ArrayRef, TableError> {
        let beyond = slots.last().map_or(0, |last| last.saturating_add(1));
        let mut slices = Vec::new();
        let mut next = 0;
        while let Some(slot) = slots.get(next).copied() {
            if slot >= self.rope.rows() {
                return Err(TableError::Slot { slot, slots: self.rope.rows() });
            }
            self.cover(slot, beyond)?;
            let Some((start, slice)) = self.window.front().cloned() else { return Err(TableError::Slot { slot, slots: self.rope.rows() }) };
            let end = start + Values::rows(&slice);
            let here = slots[next..].partition_point(|s| *s < end);
            slices.push((start, slice, &slots[next..next + here]));
            next += here;
        }
        if slices.len() > 1 {
            self.objects.ahead(slices.iter().filter_map(|(_, slice, _)| chunk_of(slice)));
        }
        let pick = |(start, slice, wanted): &(u64, Slice, &[u64])| self.pick(*start, slice, wanted);
        let parts: Vec<Vec<ArrayRef>> = if slices.len() < SPREAD_MIN {
            slices.iter().map(pick).collect::<Result<_, _>>()?
        } else {
            on_all_cores(|| slices.par_iter().map(pick).collect::<Result<_, _>>())?
        };
        self.join(parts.into_iter().flatten().collect())
    }

    /// The values at some slots of a slice whose first slot is `start`.
    fn pick(&self, start: u64, slice: &Slice, wanted: &[u64]) -> Result<Vec<ArrayRef>, TableError> {
        let mut parts = Vec::new();
        let Slice::Chunk { chunk, first, .. } = slice else {
            wanted.iter().try_for_each(|slot| self.slice(slice, slot - start..slot - start + 1, &mut parts))?;
            return Ok(parts);
        };
        let info = self.objects.chunk(chunk.id)?;
        let mut rest = wanted;
        while let Some(slot) = rest.first() {
            let row = first + (slot - start);
            let block = info.block_of(row);
            let Some(rows) = info.blocks.get(block).map(|b| b.first_row..b.first_row + b.rows).filter(|r| r.contains(&row)) else {
                return Err(TableError::Slot { slot: *slot, slots: info.rows });
            };
            let n = rest.partition_point(|s| first + (s - start) < rows.end);
            let cells = self.objects.read_block(&info, block)?;
            let row_of = |slot: &u64| (first + (slot - start) - rows.start) as usize;
            // A good part of a block is copied once, when all is joined; less would keep whole blocks in memory until then.
            let (low, high) = rest.get(..n).and_then(|here| Some((row_of(here.first()?), row_of(here.last()?)))).unwrap_or_default();
            if high + 1 - low == n && n as u64 >= (rows.end - rows.start) / 4 {
                parts.push(self.cast(cells.slice(low, n))?);
            } else {
                let indices: UInt32Array = rest.iter().take(n).map(|slot| row_of(slot) as u32).collect();
                parts.push(self.cast(take(&cells, &indices, None)?)?);
            }
            rest = &rest[n..];
        }
        Ok(parts)
    }

    /// How many of some slots, which ascend, hold about `bytes` of values: at least one where there is one. An estimate from the chunks' headers, which costs a step a slice, not a slot.
    pub fn slots_within(&mut self, slots: &[u64], bytes: u64) -> Result<usize, TableError> {
        let (mut counted, mut size) = (0, 0u64);
        while let Some(slot) = slots.get(counted).copied() {
            let (slice, range) = self.held(slot)?;
            let cell = cell_bytes(&self.objects, &slice)?.max(1);
            let here = slots.get(counted..).map_or(0, |rest| rest.partition_point(|slot| *slot < range.end));
            let fits = usize::try_from((bytes - size) / cell).unwrap_or(usize::MAX);
            if fits < here {
                return Ok((counted + fits).max(1));
            }
            counted += here;
            size = size.saturating_add(cell.saturating_mul(here as u64));
        }
        Ok(counted)
    }

    /// The slice that holds one slot, and the slot's place in it.
    pub fn find(&mut self, slot: u64) -> Result<(Slice, u64), TableError> {
        let (slice, range) = self.held(slot)?;
        Ok((slice, slot - range.start))
    }

    /// The slice that holds one slot, and the slots that it holds.
    fn held(&mut self, slot: u64) -> Result<(Slice, Range<u64>), TableError> {
        let beyond = TableError::Slot { slot, slots: self.rope.rows() };
        if slot >= self.rope.rows() {
            return Err(beyond);
        }
        self.cover(slot, u64::MAX)?;
        let (start, slice) = self.window.front().ok_or(beyond)?;
        Ok((slice.clone(), *start..start + Values::rows(slice)))
    }

    fn slice(&self, slice: &Slice, rows: Range<u64>, parts: &mut Vec<ArrayRef>) -> Result<(), TableError> {
        let n = (rows.end - rows.start) as usize;
        let values = match slice {
            Slice::Chunk { chunk, first, .. } => {
                let info = self.objects.chunk(chunk.id)?;
                for part in self.objects.read_parts(&info, first + rows.start..first + rows.end)? {
                    parts.push(self.cast(part)?);
                }
                return Ok(());
            }
            Slice::Literal(cells) => cells.slice(rows.start as usize, n),
            Slice::Constant { value, .. } => repeat(value, n)?,
            Slice::Large(value) => large::read(&self.objects, value)?,
        };
        parts.push(self.cast(values)?);
        Ok(())
    }

    fn cast(&self, values: ArrayRef) -> Result<ArrayRef, TableError> {
        widen(values, &self.storage)
    }

    fn join(&self, mut parts: Vec<ArrayRef>) -> Result<ArrayRef, TableError> {
        match parts.len() {
            0 => Ok(new_empty_array(&self.storage)),
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(concat(&parts.iter().map(|p| &**p).collect::<Vec<_>>())?),
        }
    }
}

fn chunk_of(slice: &Slice) -> Option<ChunkId> {
    match slice {
        Slice::Chunk { chunk, .. } => Some(chunk.id),
        Slice::Literal(_) | Slice::Constant { .. } | Slice::Large(_) => None,
    }
}

/// About how many bytes of values a cell of a slice has.
fn cell_bytes(objects: &Objects, slice: &Slice) -> Result<u64, TableError> {
    Ok(match slice {
        Slice::Chunk { chunk, .. } => {
            let info = objects.chunk(chunk.id)?;
            info.canonical_bytes() / info.rows.max(1)
        }
        Slice::Large(large) => large.length,
        Slice::Literal(_) | Slice::Constant { .. } => 64,
    })
}

/// One cell as `n`.
pub fn repeat(cell: &ArrayRef, n: usize) -> Result<ArrayRef, TableError> {
    Ok(take(cell, &UInt32Array::from(vec![0; n]), None)?)
}

/// Values as a wider storage type; fails where one does not fit.
pub fn widen(values: ArrayRef, storage: &DataType) -> Result<ArrayRef, TableError> {
    if values.data_type() == storage {
        return Ok(values);
    }
    let cast = cast_with_options(&values, storage, &CastOptions { safe: false, ..Default::default() })?;
    Ok(to_storage(&cast, storage)?)
}

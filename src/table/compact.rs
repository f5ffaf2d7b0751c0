//! Compaction: slices that many small edits left behind are rewritten into full chunks. Row ids and `live` stay as they are.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk::Objects;
use crate::format::node::{Kind, Slice, Values};
use crate::tree::{Builder, Rope};

use super::arrange::{Piece, push_piece};
use super::column::ColumnReader;
use super::write::{ColumnWriter, NewRows};
use super::{LazyRope, Table, TableError};

/// A whole chunk of so many rows, or of so many bytes, is left alone.
const FULL_ROWS: u64 = 4096;
const FULL_BYTES: u64 = 128 << 10;
/// A constant run of so many rows reads faster than a chunk would.
const CONSTANT_ROWS: u64 = 1024;

/// What compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Columns of which something was rewritten.
    pub columns: u64,
    /// Slices before, in those columns.
    pub slices_before: u64,
    /// Slices after.
    pub slices_after: u64,
    /// Rows that were rewritten, summed over columns.
    pub rows: u64,
    /// Deleted rows that were taken out, with `purge`.
    pub purged: u64,
}

impl Table {
    /// The table with fragmented stretches of its columns rewritten. Deterministic: the same table compacts to the same chunks. `advance` hears of rows as they are done.
    pub fn compact(&self, objects: &Arc<Objects>, advance: &dyn Fn(u64)) -> Result<(Table, Compacted), TableError> {
        let mut table = self.clone();
        let mut done = Compacted::default();
        for (column, described) in table.columns.iter_mut().zip(&self.schema.columns) {
            let rope = column.get(&**objects)?.clone();
            let (stretches, before) = fragmented(objects, &rope)?;
            if stretches.is_empty() {
                continue;
            }
            let mut builder = Builder::new(&**objects);
            let mut reader = ColumnReader::new(objects.clone(), rope.clone(), described.ty.storage());
            let mut at = 0;
            for stretch in stretches {
                builder.append(&rope, at, stretch.start)?;
                let mut writer = ColumnWriter::new(objects.clone(), &described.name, &described.ty);
                let mut from = stretch.start;
                while from < stretch.end {
                    let n = reader.rows_within(from, (stretch.end - from).min(65_536), 8 << 20)?;
                    writer.push(&reader.read(from..from + n)?, &[])?;
                    from += n;
                    advance(n);
                }
                for slice in writer.finish()?.0 {
                    builder.push(slice)?;
                }
                done.rows += stretch.end - stretch.start;
                at = stretch.end;
            }
            builder.append(&rope, at, rope.rows())?;
            let compacted = builder.finish()?;
            done.columns += 1;
            done.slices_before += before;
            done.slices_after += compacted.items(&**objects, 0, compacted.rows())?.count() as u64;
            *column = LazyRope::new(compacted);
        }
        Ok((table, done))
    }

    /// The table without its deleted rows. Row ids of the others stay; diffs against older states see the same removals.
    pub fn purge(&self, objects: &Arc<Objects>) -> Result<(Table, u64), TableError> {
        let live = self.live.get(&**objects)?;
        let gone = live.rows() - live.summary();
        if gone == 0 {
            return Ok((self.clone(), 0));
        }
        let mut pieces = Vec::new();
        for item in live.items(&**objects, 0, live.rows())? {
            let (start, run) = item?;
            if run.live {
                push_piece(&mut pieces, Piece::Old(start..start + run.rows));
            }
        }
        let none = NewRows { origin: crate::base::Origin([0; 16]), rows: 0, columns: Vec::new() };
        Ok((self.arrange(objects, &pieces, none)?, gone))
    }
}

/// The stretches worth rewriting, and the number of slices in the rope.
fn fragmented(objects: &Objects, rope: &Rope<Values>) -> Result<(Vec<Range<u64>>, u64), TableError> {
    let mut stretches: Vec<(Range<u64>, u64)> = Vec::new();
    let mut slices = 0;
    for item in rope.items(objects, 0, rope.rows())? {
        let (start, slice) = item?;
        slices += 1;
        let rows = Values::rows(&slice);
        let full = match &slice {
            Slice::Chunk { chunk, rows, .. } if *rows == chunk.rows => *rows >= FULL_ROWS || objects.chunk(chunk.id)?.canonical_bytes() >= FULL_BYTES,
            Slice::Constant { rows, .. } => *rows >= CONSTANT_ROWS,
            Slice::Large(_) => true,
            _ => false,
        };
        if full {
            continue;
        }
        match stretches.last_mut() {
            Some((last, n)) if last.end == start => {
                last.end += rows;
                *n += 1;
            }
            _ => stretches.push((start..start + rows, 1)),
        }
    }
    // A single slice has nothing to be joined with.
    Ok((stretches.into_iter().filter(|(_, n)| *n > 1).map(|(range, _)| range).collect(), slices))
}

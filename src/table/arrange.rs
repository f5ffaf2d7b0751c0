//! A new order of rows: stretches of the old ones, which keep their identity, and new ones between them.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk::Objects;
use crate::format::node::{Kind, RowRun, Run, Slice, Values};
use crate::tree::{Builder, Rope};

use super::write::NewRows;
use super::{LazyRope, Table, TableError};

/// A part of the new order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These old slots. Each old slot stands in exactly one piece.
    Old(Range<u64>),
    /// These of the new rows. Each new row stands in exactly one piece.
    New(Range<u64>),
}

/// Appends a piece to a list, joining it with the last one where it continues that.
pub fn push_piece(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), &piece) {
        (Some(Piece::Old(last)), Piece::Old(next)) | (Some(Piece::New(last)), Piece::New(next)) if last.end == next.start => last.end = next.end,
        (_, Piece::Old(next) | Piece::New(next)) if next.is_empty() => {}
        _ => pieces.push(piece),
    }
}

/// The slots of a range of items given as slices.
fn cut_slices(slices: &[Slice], starts: &[u64], range: &Range<u64>, mut push: impl FnMut(Slice) -> Result<(), TableError>) -> Result<(), TableError> {
    let first = starts.partition_point(|s| *s <= range.start).saturating_sub(1);
    for (slice, start) in slices[first..].iter().zip(&starts[first..]) {
        let rows = Values::rows(slice);
        let (a, b) = (range.start.max(*start), range.end.min(start + rows));
        if a >= range.end {
            break;
        }
        if a < b {
            push(if b - a == rows { slice.clone() } else { Values::cut(slice, a - start, b - start) })?;
        }
    }
    Ok(())
}

impl Table {
    /// The table in the order of `pieces`. Costs paths to the pieces' edges in each column, whatever lies between them.
    pub fn arrange(&self, objects: &Arc<Objects>, pieces: &[Piece], new: NewRows) -> Result<Table, TableError> {
        let store = &**objects;
        let slots = self.slots(store)?;
        if let [Piece::Old(all)] = pieces
            && *all == (0..slots)
        {
            return Ok(self.clone());
        }
        let spine = self.spine.get(store)?;
        let live = self.live.get(store)?;
        let (mut spine_builder, mut live_builder) = (Builder::new(store), Builder::new(store));
        for piece in pieces {
            match piece {
                Piece::Old(range) => {
                    spine_builder.append(spine, range.start, range.end)?;
                    live_builder.append(live, range.start, range.end)?;
                }
                Piece::New(range) => {
                    spine_builder.push(RowRun { origin: new.origin, first: range.start, rows: range.end - range.start })?;
                    live_builder.push(Run { live: true, rows: range.end - range.start })?;
                }
            }
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (rope, slices) in self.columns.iter().zip(self.place(new.columns, new.rows)?) {
            columns.push(LazyRope::new(arrange_column(objects, rope.get(store)?, pieces, &slices)?));
        }
        Ok(self.with_ropes(spine_builder.finish()?, live_builder.finish()?, columns))
    }
}

fn arrange_column(objects: &Objects, rope: &Rope<Values>, pieces: &[Piece], new: &[Slice]) -> Result<Rope<Values>, TableError> {
    let starts: Vec<u64> = new
        .iter()
        .scan(0, |at, slice| {
            let start = *at;
            *at += Values::rows(slice);
            Some(start)
        })
        .collect();
    let mut builder = Builder::new(objects);
    for piece in pieces {
        match piece {
            Piece::Old(range) => builder.append(rope, range.start, range.end)?,
            Piece::New(range) => cut_slices(new, &starts, range, |slice| Ok(builder.push(slice)?))?,
        }
    }
    Ok(builder.finish()?)
}

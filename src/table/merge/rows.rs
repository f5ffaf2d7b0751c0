//! Where rows stand: maps of slots between states, the order of the merged rows, and the ropes in that order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::new_null_array;

use crate::chunk::Objects;
use crate::format::node::{Live, Run, Slice, Spine};
use crate::tree::{Builder, Rope};

use super::schema::Part;
use super::{Rows, Table, TableError};
use crate::table::LazyRope;
use crate::table::diff::{Aligned, is_live};

/// Where the slots of one state stand in another.
pub struct Map {
    /// By the slot in the one.
    segments: Vec<Aligned>,
    /// Single rows that were found otherwise: by their key.
    single: BTreeMap<u64, u64>,
}

impl Map {
    /// From the stretches that [`align`](crate::table::diff::align) gives.
    pub fn new(mut segments: Vec<Aligned>) -> Map {
        segments.sort_by_key(|s| s.old);
        Map { segments, single: BTreeMap::new() }
    }

    /// Says where one row stands, whatever was known of it.
    pub fn set(&mut self, slot: u64, to: u64) {
        self.single.insert(slot, to);
    }

    /// The stretches, by the slot in the one.
    pub fn segments(&self) -> &[Aligned] {
        &self.segments
    }

    /// The single rows that were found otherwise: pairs of slots.
    pub fn singles(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.single.iter().map(|(a, b)| (*a, *b))
    }

    /// The slot in the other state; `None` where the row is not there.
    pub fn get(&self, slot: u64) -> Option<u64> {
        if let Some(to) = self.single.get(&slot) {
            return Some(*to);
        }
        let segment = self.segments.get(self.segments.partition_point(|s| s.old + s.rows <= slot))?;
        (segment.old <= slot).then(|| segment.new + (slot - segment.old))
    }

    /// The parts of a range that stand in the other state, in order. Rows found by key are left out, and are parts of their own behind.
    pub fn stretches(&self, range: Range<u64>) -> Vec<Aligned> {
        let first = self.segments.partition_point(|s| s.old + s.rows <= range.start);
        let mut out = Vec::new();
        for segment in self.segments.iter().skip(first).take_while(|s| s.old < range.end) {
            let (from, to) = (segment.old.max(range.start), (segment.old + segment.rows).min(range.end));
            out.push(Aligned { old: from, new: segment.new + (from - segment.old), rows: to - from });
        }
        if self.single.is_empty() {
            return out;
        }
        let mut cut = Vec::new();
        for part in out {
            let mut at = part.old;
            let here = self.single.range(part.old..part.old + part.rows).map(|(slot, _)| *slot);
            for slot in here.chain([part.old + part.rows]) {
                if slot > at {
                    cut.push(Aligned { old: at, new: part.new + (at - part.old), rows: slot - at });
                }
                at = slot + 1;
            }
        }
        cut.extend(self.single.range(range).map(|(a, b)| Aligned { old: *a, new: *b, rows: 1 }));
        cut
    }
}

/// The parts of `range` that the sorted `ranges` cover.
pub fn covered(ranges: &[Range<u64>], range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
    let first = ranges.partition_point(|r| r.end <= range.start);
    let end = range.end;
    ranges.iter().skip(first).take_while(move |r| r.start < end).map(move |r| r.start.max(range.start)..r.end.min(end))
}

/// The parts of `range` that the sorted `ranges` leave.
pub fn left_by(ranges: &[Range<u64>], range: Range<u64>) -> Vec<Range<u64>> {
    let (mut at, mut out) = (range.start, Vec::new());
    for part in covered(ranges, range.clone()) {
        if part.start > at {
            out.push(at..part.start);
        }
        at = part.end;
    }
    if at < range.end {
        out.push(at..range.end);
    }
    out
}

/// A part of the merged order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These slots of ours.
    Ours(Range<u64>),
    /// These slots of theirs, which ours has not.
    Theirs(Range<u64>),
}

fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), &piece) {
        (_, Piece::Ours(range) | Piece::Theirs(range)) if range.is_empty() => {}
        (Some(Piece::Ours(last)), Piece::Ours(next)) | (Some(Piece::Theirs(last)), Piece::Theirs(next)) if last.end == next.start => last.end = next.end,
        _ => pieces.push(piece),
    }
}

/// The rows that they added and that stand nowhere in ours, as ranges of their slots.
fn inserted(rows: &Rows) -> Vec<Range<u64>> {
    let mut known: Vec<Range<u64>> = rows.theirs_ours.segments().iter().map(|s| s.old..s.old + s.rows).collect();
    known.extend(rows.theirs_ours.singles().map(|(slot, _)| slot..slot + 1));
    known.sort_by_key(|r| (r.start, r.end));
    // A row found by its key may stand within a stretch.
    let mut known: Vec<Range<u64>> = known.into_iter().fold(Vec::new(), |mut apart, range| {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
        apart
    });
    known.retain(|range| !range.is_empty());
    rows.added_theirs.iter().flat_map(|range| left_by(&known, range.clone())).collect()
}

/// The order of the merged rows: ours, with their new rows behind the nearest row before them that ours has, and behind our own new rows there. If they
/// moved rows and ours moved none, the order is theirs, with our new rows likewise.
pub fn arrangement(objects: &Objects, ours: &Table, theirs: &Table, rows: &Rows) -> Result<Vec<Piece>, TableError> {
    let slots = ours.slots(objects)?;
    let new = inserted(rows);
    let by_ours = Map::new(rows.theirs_ours.segments().iter().map(|s| Aligned { old: s.new, new: s.old, rows: s.rows }).collect());
    let ours_known: Vec<Range<u64>> = by_ours.segments().iter().map(|s| s.old..s.old + s.rows).collect();
    if rows.moved_theirs_alone {
        return Ok(their_order(theirs.slots(objects)?, slots, rows, &new, &ours_known));
    }
    // Each run of new rows with the slot of ours that it stands before.
    let mut places: Vec<(u64, Range<u64>)> = Vec::new();
    for range in new {
        let before = rows.theirs_ours.segments().iter().take_while(|s| s.old + s.rows <= range.start).last();
        let after = before.map_or(0, |s| s.new + s.rows);
        // Our own new rows come first.
        let at = left_by(&ours_known, after..slots).first().filter(|own| own.start == after).map_or(after, |own| own.end);
        places.push((at, range));
    }
    places.sort_by_key(|(at, range)| (*at, range.start));
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (place, range) in places {
        push(&mut pieces, Piece::Ours(at..place));
        push(&mut pieces, Piece::Theirs(range));
        at = place;
    }
    push(&mut pieces, Piece::Ours(at..slots));
    Ok(pieces)
}

fn their_order(their_slots: u64, our_slots: u64, rows: &Rows, new: &[Range<u64>], ours_known: &[Range<u64>]) -> Vec<Piece> {
    // Our own rows, each run behind the row that stands before it.
    let own = left_by(ours_known, 0..our_slots);
    let mut pieces = Vec::new();
    if let Some(first) = own.first().filter(|range| range.start == 0) {
        push(&mut pieces, Piece::Ours(first.clone()));
    }
    let behind = |pieces: &mut Vec<Piece>, part: Range<u64>| {
        let mut at = part.start;
        for range in own.iter().filter(|range| range.start > 0 && (part.start..part.end).contains(&(range.start - 1))) {
            push(pieces, Piece::Ours(at..range.start));
            push(pieces, Piece::Ours(range.clone()));
            at = range.start;
        }
        push(pieces, Piece::Ours(at..part.end));
    };
    let mut at = 0;
    for segment in rows.theirs_ours.segments() {
        covered(new, at..segment.old).for_each(|range| push(&mut pieces, Piece::Theirs(range)));
        behind(&mut pieces, segment.new..segment.new + segment.rows);
        at = segment.old + segment.rows;
    }
    covered(new, at..their_slots).for_each(|range| push(&mut pieces, Piece::Theirs(range)));
    pieces
}

/// Where slots of the two sides stand in the merged order.
pub struct Places {
    ours: Map,
    theirs: Map,
}

impl Places {
    pub fn new(pieces: &[Piece]) -> Places {
        let (mut at, mut ours, mut theirs) = (0, Vec::new(), Vec::new());
        for piece in pieces {
            let (list, range) = match piece {
                Piece::Ours(range) => (&mut ours, range),
                Piece::Theirs(range) => (&mut theirs, range),
            };
            list.push(Aligned { old: range.start, new: at, rows: range.end - range.start });
            at += range.end - range.start;
        }
        Places { ours: Map::new(ours), theirs: Map::new(theirs) }
    }

    pub fn ours(&self, slot: u64) -> Option<u64> {
        self.ours.get(slot)
    }

    pub fn theirs(&self, slot: u64) -> Option<u64> {
        self.theirs.get(slot)
    }
}

/// The merged table in its order. `merged` has our order and the merged schema; the ropes of columns that only they have are empty in it.
pub fn build(objects: &Arc<Objects>, merged: &Table, ours: &Table, theirs: &Table, parts: &[Part], rows: &Rows, pieces: &[Piece]) -> Result<Table, TableError> {
    let store = &**objects;
    let slots = ours.slots(store)?;
    let in_place = matches!(pieces, [Piece::Ours(all)] if *all == (0..slots)) || (pieces.is_empty() && slots == 0);
    let by_ours = Map::new(rows.theirs_ours.segments().iter().map(|s| Aligned { old: s.new, new: s.old, rows: s.rows }).collect());
    let mut table = merged.clone();
    for (part, rope) in parts.iter().zip(&mut table.columns) {
        let null = |rows: u64| Slice::Constant { value: new_null_array(&part.column.ty.storage(), 1), rows };
        let their = part.theirs.and_then(|i| theirs.columns.get(i));
        match (part.ours, their) {
            (Some(_), _) if in_place => {}
            (Some(_), their) => {
                let mine = rope.get(store)?.clone();
                let their = their.map(|rope| rope.get(store)).transpose()?;
                let mut builder = Builder::new(store);
                for piece in pieces {
                    match (piece, their) {
                        (Piece::Ours(range), _) => builder.append(&mine, range.start, range.end)?,
                        (Piece::Theirs(range), Some(their)) => builder.append(their, range.start, range.end)?,
                        (Piece::Theirs(range), None) => builder.push(null(range.end - range.start))?,
                    }
                }
                *rope = LazyRope::new(builder.finish()?);
            }
            // Rows stand alike: the column is theirs, by its id.
            (None, Some(their))
                if in_place && matches!(by_ours.segments(), [all] if all.old == 0 && all.new == 0 && all.rows == slots) && theirs.slots(store)? == slots =>
            {
                *rope = their.clone();
            }
            (None, Some(their)) => {
                let their = their.get(store)?;
                let mut builder = Builder::new(store);
                for piece in pieces {
                    match piece {
                        Piece::Theirs(range) => builder.append(their, range.start, range.end)?,
                        Piece::Ours(range) => {
                            let mut at = range.start;
                            for part in by_ours.stretches(range.clone()) {
                                builder.push(null(part.old - at))?;
                                builder.append(their, part.new, part.new + part.rows)?;
                                at = part.old + part.rows;
                            }
                            builder.push(null(range.end - at))?;
                        }
                    }
                }
                *rope = LazyRope::new(builder.finish()?);
            }
            (None, None) => {}
        }
    }
    if in_place {
        return Ok(table);
    }
    let (spine, live) = (merged.spine.get(store)?, merged.live.get(store)?);
    let their_spine: &Rope<Spine> = theirs.spine.get(store)?;
    let (mut spine_builder, mut live_builder): (Builder<'_, Spine>, Builder<'_, Live>) = (Builder::new(store), Builder::new(store));
    for piece in pieces {
        match piece {
            Piece::Ours(range) => {
                spine_builder.append(spine, range.start, range.end)?;
                live_builder.append(live, range.start, range.end)?;
            }
            Piece::Theirs(range) => {
                spine_builder.append(their_spine, range.start, range.end)?;
                live_builder.push(Run { live: true, rows: range.end - range.start })?;
            }
        }
    }
    table.spine = LazyRope::new(spine_builder.finish()?);
    table.live = LazyRope::new(live_builder.finish()?);
    Ok(table)
}

/// Whether two slots, the first of one state and the second of another, both hold a row.
pub fn live_in_both(objects: &Objects, a: &Rope<Live>, b: &Rope<Live>, pair: (u64, u64)) -> Result<bool, TableError> {
    Ok(is_live(objects, a, pair.0)? && is_live(objects, b, pair.1)?)
}

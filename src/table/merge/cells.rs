//! Cells: what to take from theirs, what both changed, and what a deletion meets.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::{SortOptions, concat};

use crate::chunk::Objects;
use crate::format::node::{Kind, Values};
use crate::tree::{Builder, Rope, differ};

use super::policy::{Policy, decide};
use super::rows::{Map, covered, left_by, live_in_both};
use super::schema::Part;
use super::{Conflict, ConflictKind, MergeCounts, MergeOptions, Rows, Side, Table, TableError};
use crate::table::LazyRope;
use crate::table::column::ColumnReader;
use crate::table::diff::{Aligned, is_live, is_same_slice};
use crate::table::edit::paste;
use crate::table::schema::widens;
use crate::table::write::ColumnWriter;

/// So many rows, and about so many bytes of a column, are compared at a time.
const ROWS: u64 = 8192;
const BYTES: u64 = 8 << 20;

/// Rows of a column to take from theirs, by reference.
struct Take {
    ours: u64,
    theirs: u64,
    rows: u64,
}

/// Collects, column by column, what the merged columns take from theirs.
pub struct Cells<'a> {
    objects: &'a Arc<Objects>,
    base: &'a Table,
    ours: &'a Table,
    theirs: &'a Table,
    rows: &'a Rows,
    options: &'a MergeOptions,
    takes: Vec<Vec<Take>>,
    set: Vec<Vec<(u64, ArrayRef)>>,
    /// Base slots of rows that we deleted and they changed, as far as that was said.
    lost: BTreeSet<u64>,
    decided: u64,
    /// What is left to people.
    pub conflicts: Vec<Conflict>,
    /// Base slots of rows that they deleted and that stay, since we changed them.
    pub kept: BTreeSet<u64>,
    /// Our slots of rows that we deleted and that come back as they have them, and theirs.
    back: Vec<(u64, u64)>,
    /// Our slots of dead rows that they brought.
    pub revived: Vec<u64>,
    /// Our slots of rows whose key cells may have changed.
    pub keyed: Vec<u64>,
    /// Their slots of rows that both inserted under one key.
    twice: HashSet<u64>,
}

/// A cell in question on the three sides.
struct Place {
    base: Option<u64>,
    ours: u64,
    theirs: u64,
}

fn equal(a: &ArrayRef, b: &ArrayRef) -> Result<Box<dyn Fn(usize) -> bool + Send + Sync>, TableError> {
    let compare = make_comparator(a, b, SortOptions::default())?;
    Ok(Box::new(move |i| compare(i, i).is_eq()))
}

impl<'a> Cells<'a> {
    pub fn new(objects: &'a Arc<Objects>, states: [&'a Table; 3], rows: &'a Rows, options: &'a MergeOptions, twice: HashSet<u64>) -> Cells<'a> {
        let [base, ours, theirs] = states;
        Cells {
            objects,
            base,
            ours,
            theirs,
            rows,
            options,
            takes: Vec::new(),
            set: Vec::new(),
            lost: BTreeSet::new(),
            decided: 0,
            conflicts: Vec::new(),
            kept: BTreeSet::new(),
            back: Vec::new(),
            revived: Vec::new(),
            keyed: Vec::new(),
            twice,
        }
    }

    fn reader(&self, table: &Table, column: usize, part: &Part) -> Result<ColumnReader, TableError> {
        let rope = table.columns[column].get(&**self.objects)?.clone();
        Ok(ColumnReader::new(self.objects.clone(), rope, part.column.ty.storage()))
    }

    /// Stretches of rows at which two states have different slices of a column, by the slot in the one.
    fn candidates(&self, one: (&Table, usize), other: (&Table, usize), map: &Map, part: &Part) -> Result<Vec<Aligned>, TableError> {
        let store = &**self.objects;
        let (a, b) = (one.0.columns[one.1].get(store)?, other.0.columns[other.1].get(store)?);
        let mut found: Vec<Aligned> = Vec::new();
        for stretch in map.stretches(0..a.rows()) {
            differ::<Values, TableError>(store, (a, stretch.old), (b, stretch.new), stretch.rows, &mut |pair| {
                if is_same_slice(&pair.left, &pair.right) {
                    return Ok(());
                }
                let rows = Values::rows(&pair.left);
                match found.last_mut() {
                    Some(last) if last.old + last.rows == pair.a && last.new + last.rows == pair.b => last.rows += rows,
                    _ => found.push(Aligned { old: pair.a, new: pair.b, rows }),
                }
                Ok(())
            })?;
        }
        found.sort_by_key(|s| s.old);
        let known: Vec<Range<u64>> = found.iter().map(|s| s.old..s.old + s.rows).collect();
        for (_, slot) in self.options.unsettled.iter().filter(|(id, _)| *id == part.column.id) {
            if let (Some(new), None) = (map.get(*slot), covered(&known, *slot..slot + 1).next()) {
                found.push(Aligned { old: *slot, new, rows: 1 });
            }
        }
        found.sort_by_key(|s| s.old);
        Ok(found)
    }

    /// Finds what the merged column takes.
    pub fn column(&mut self, number: usize, part: &Part) -> Result<(), TableError> {
        self.takes.resize_with(number + 1, Vec::new);
        self.set.resize_with(number + 1, Vec::new);
        let (Some(o), Some(t)) = (part.ours, part.theirs) else { return Ok(()) };
        let fits = |table: &Table, i: usize| table.schema.columns.get(i).is_some_and(|c| widens(&c.ty, &part.column.ty));
        // Types that do not go together are a conflict of the columns as wholes.
        if !fits(self.ours, o) || !fits(self.theirs, t) {
            return Ok(());
        }
        let Some(b) = part.base.filter(|b| fits(self.base, *b)) else {
            let all = self.theirs.slots(self.objects)?;
            for stretch in self.rows.theirs_ours.stretches(0..all) {
                self.both(number, part, (o, t), stretch, &ConflictKind::Cell)?;
            }
            return Ok(());
        };
        let in_theirs = self.candidates((self.base, b), (self.theirs, t), &self.rows.base_theirs, part)?;
        let in_ours = self.candidates((self.base, b), (self.ours, o), &self.rows.base_ours, part)?;
        let is_key = self.ours.schema.key.contains(&part.column.id);
        if is_key {
            self.keyed.extend(in_ours.iter().flat_map(|s| s.new..s.new + s.rows));
        }
        self.deleted_here(part, (b, t), &in_theirs)?;
        self.deleted_there(part, (b, o), &in_ours)?;
        let ours_ranges: Vec<Range<u64>> = in_ours.iter().map(|s| s.old..s.old + s.rows).collect();
        for piece in in_theirs {
            let range = piece.old..piece.old + piece.rows;
            for free in left_by(&ours_ranges, range.clone()) {
                for s in self.rows.base_ours.stretches(free) {
                    if is_key {
                        self.keyed.extend(s.new..s.new + s.rows);
                    }
                    self.takes[number].push(Take { ours: s.new, theirs: piece.new + (s.old - piece.old), rows: s.rows });
                }
            }
            for both in covered(&ours_ranges, range) {
                for s in self.rows.base_ours.stretches(both) {
                    self.three(number, part, (b, o, t), s, piece.new + (s.old - piece.old))?;
                }
            }
        }
        Ok(())
    }

    /// Rows that we deleted, and whose cell they changed.
    fn deleted_here(&mut self, part: &Part, (b, t): (usize, usize), in_theirs: &[Aligned]) -> Result<(), TableError> {
        let live = self.theirs.live.get(&**self.objects)?;
        for piece in in_theirs {
            for range in covered(&self.rows.removed_ours, piece.old..piece.old + piece.rows) {
                for (base, theirs) in self.changed(part, (self.base, b), (self.theirs, t), &range, piece.new + (range.start - piece.old))? {
                    if !is_live(self.objects, live, theirs)? || !self.lost.insert(base) {
                        continue;
                    }
                    let ours = self.rows.base_ours.get(base);
                    match self.options.strategy {
                        None => self.conflicts.push(Conflict {
                            kind: ConflictKind::Deleted(Side::Ours),
                            column: None,
                            base: Some(base),
                            ours,
                            theirs: Some(theirs),
                            merged: None,
                        }),
                        Some(Side::Theirs) => self.back.extend(ours.map(|ours| (ours, theirs))),
                        Some(Side::Ours) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Rows that they deleted, and whose cell we changed.
    fn deleted_there(&mut self, part: &Part, (b, o): (usize, usize), in_ours: &[Aligned]) -> Result<(), TableError> {
        let live = self.ours.live.get(&**self.objects)?;
        for piece in in_ours {
            for range in covered(&self.rows.removed_theirs, piece.old..piece.old + piece.rows) {
                for (base, ours) in self.changed(part, (self.base, b), (self.ours, o), &range, piece.new + (range.start - piece.old))? {
                    if !is_live(self.objects, live, ours)? || self.options.strategy == Some(Side::Theirs) || !self.kept.insert(base) {
                        continue;
                    }
                    if self.options.strategy.is_none() {
                        let theirs = self.rows.base_theirs.get(base);
                        self.conflicts.push(Conflict {
                            kind: ConflictKind::Deleted(Side::Theirs),
                            column: None,
                            base: Some(base),
                            ours: Some(ours),
                            theirs,
                            merged: None,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// The slots, in both states, of a stretch at which a column differs by value.
    fn changed(&self, part: &Part, one: (&Table, usize), other: (&Table, usize), range: &Range<u64>, to: u64) -> Result<Vec<(u64, u64)>, TableError> {
        let (mut a, mut b) = (self.reader(one.0, one.1, part)?, self.reader(other.0, other.1, part)?);
        let (mut at, mut found) = (range.start, Vec::new());
        while at < range.end {
            let n = a.rows_within(at, (range.end - at).min(ROWS), BYTES)?;
            let same = equal(&a.read(at..at + n)?, &b.read(to + (at - range.start)..to + (at - range.start) + n)?)?;
            for i in 0..n {
                let slot = at + i;
                if !same(i as usize) || self.options.unsettled.contains(&(part.column.id, slot)) {
                    found.push((slot, to + (slot - range.start)));
                }
            }
            at += n;
        }
        Ok(found)
    }

    /// Rows at which both sides have other slices than the base: decided by value. `stretch` is of base and ours.
    fn three(&mut self, number: usize, part: &Part, (b, o, t): (usize, usize, usize), stretch: Aligned, theirs: u64) -> Result<(), TableError> {
        let (mut rb, mut ro, mut rt) = (self.reader(self.base, b, part)?, self.reader(self.ours, o, part)?, self.reader(self.theirs, t, part)?);
        let (ours_live, theirs_live) = (self.ours.live.get(&**self.objects)?, self.theirs.live.get(&**self.objects)?);
        let mut done = 0;
        while done < stretch.rows {
            let n = ro.rows_within(stretch.new + done, (stretch.rows - done).min(ROWS), BYTES)?;
            let n = rt.rows_within(theirs + done, n, BYTES)?;
            let range = |start: u64| start + done..start + done + n;
            let (before, mine, other) = (rb.read(range(stretch.old))?, ro.read(range(stretch.new))?, rt.read(range(theirs))?);
            let (same, unchanged_there, unchanged_here) = (equal(&mine, &other)?, equal(&before, &other)?, equal(&before, &mine)?);
            for i in 0..n as usize {
                let at = done + i as u64;
                let place = Place { base: Some(stretch.old + at), ours: stretch.new + at, theirs: theirs + at };
                let settled = !self.options.unsettled.contains(&(part.column.id, stretch.old + at));
                if same(i) || (settled && unchanged_there(i)) || !live_in_both(self.objects, ours_live, theirs_live, (place.ours, place.theirs))? {
                    continue;
                }
                if settled && unchanged_here(i) {
                    self.takes[number].push(Take { ours: place.ours, theirs: place.theirs, rows: 1 });
                    continue;
                }
                let base = settled.then(|| before.slice(i, 1));
                self.settle(number, part, &place, base.as_ref(), (&mine.slice(i, 1), &other.slice(i, 1)), ConflictKind::Cell)?;
            }
            done += n;
        }
        Ok(())
    }

    /// Rows that both have and the base has not, or whose column the base has not. `stretch` is of theirs and ours.
    fn both(&mut self, number: usize, part: &Part, (o, t): (usize, usize), stretch: Aligned, kind: &ConflictKind) -> Result<(), TableError> {
        let store = &**self.objects;
        let (a, b) = (self.theirs.columns[t].get(store)?, self.ours.columns[o].get(store)?);
        let mut stretches = Vec::new();
        differ::<Values, TableError>(store, (a, stretch.old), (b, stretch.new), stretch.rows, &mut |pair| {
            if !is_same_slice(&pair.left, &pair.right) {
                stretches.push(Aligned { old: pair.a, new: pair.b, rows: Values::rows(&pair.left) });
            }
            Ok(())
        })?;
        let (mut rt, mut ro) = (self.reader(self.theirs, t, part)?, self.reader(self.ours, o, part)?);
        let (ours_live, theirs_live) = (self.ours.live.get(store)?, self.theirs.live.get(store)?);
        for s in stretches {
            let mut done = 0;
            while done < s.rows {
                let n = rt.rows_within(s.old + done, (s.rows - done).min(ROWS), BYTES)?;
                let n = ro.rows_within(s.new + done, n, BYTES)?;
                let (other, mine) = (rt.read(s.old + done..s.old + done + n)?, ro.read(s.new + done..s.new + done + n)?);
                let same = equal(&mine, &other)?;
                for i in (0..n as usize).filter(|i| !same(*i)) {
                    let place = Place { base: None, ours: s.new + done + i as u64, theirs: s.old + done + i as u64 };
                    if !live_in_both(self.objects, ours_live, theirs_live, (place.ours, place.theirs))? {
                        continue;
                    }
                    let kind = if self.twice.contains(&place.theirs) { ConflictKind::Key } else { kind.clone() };
                    self.settle(number, part, &place, None, (&mine.slice(i, 1), &other.slice(i, 1)), kind)?;
                }
                done += n;
            }
        }
        Ok(())
    }

    /// A cell that both changed: by the column's policy, by the strategy, or as a conflict.
    fn settle(
        &mut self,
        number: usize,
        part: &Part,
        place: &Place,
        base: Option<&ArrayRef>,
        (mine, other): (&ArrayRef, &ArrayRef),
        kind: ConflictKind,
    ) -> Result<(), TableError> {
        let policy = part.column.options.get(super::POLICY_OPTION).and_then(|name| name.parse::<Policy>().ok());
        if let Some(policy) = policy
            && let Some(value) = decide(policy, &part.column.ty, self.options.newer, base, mine, other)?
        {
            self.decided += 1;
            self.set[number].push((place.ours, value));
            return Ok(());
        }
        match self.options.strategy {
            Some(Side::Ours) => {}
            Some(Side::Theirs) => self.takes[number].push(Take { ours: place.ours, theirs: place.theirs, rows: 1 }),
            None => self.conflicts.push(Conflict {
                kind,
                column: Some(part.column.id),
                // A base in which the cell is itself in conflict says nothing of it.
                base: base.and(place.base),
                ours: Some(place.ours),
                theirs: Some(place.theirs),
                merged: None,
            }),
        }
        Ok(())
    }

    /// Rows that they added and that ours has as well, and rows that come back.
    pub fn whole_rows(&mut self, parts: &[Part]) -> Result<(), TableError> {
        for (ours, theirs) in std::mem::take(&mut self.back) {
            for (takes, _) in self.takes.iter_mut().zip(parts).filter(|(_, part)| part.ours.is_some() && part.theirs.is_some()) {
                takes.push(Take { ours, theirs, rows: 1 });
            }
            self.revived.push(ours);
        }
        let live = self.ours.live.get(&**self.objects)?;
        let mut old: Vec<Range<u64>> = self.rows.base_theirs.segments().iter().map(|s| s.new..s.new + s.rows).collect();
        old.sort_by_key(|r| r.start);
        for range in &self.rows.added_theirs {
            for stretch in self.rows.theirs_ours.stretches(range.clone()) {
                for (number, part) in parts.iter().enumerate() {
                    let (Some(o), Some(t)) = (part.ours, part.theirs) else { continue };
                    for new in left_by(&old, stretch.old..stretch.old + stretch.rows) {
                        let here = Aligned { old: new.start, new: stretch.new + (new.start - stretch.old), rows: new.end - new.start };
                        if part.base.is_some() {
                            self.both(number, part, (o, t), here, &ConflictKind::Cell)?;
                        }
                        for i in 0..here.rows {
                            if !is_live(self.objects, live, here.new + i)? {
                                self.takes[number].push(Take { ours: here.new + i, theirs: here.old + i, rows: 1 });
                            }
                        }
                    }
                }
                for i in 0..stretch.rows {
                    if !is_live(self.objects, live, stretch.new + i)? {
                        self.revived.push(stretch.new + i);
                    }
                }
            }
        }
        Ok(())
    }

    /// The merged columns in our order of rows; empty where only they have the column.
    pub fn ropes(&mut self, parts: &[Part], counts: &mut MergeCounts) -> Result<Vec<LazyRope<Values>>, TableError> {
        let store = &**self.objects;
        counts.decided = self.decided;
        // Of a row that they deleted, whatever they did to it before, ours keeps all cells.
        let mut kept: Vec<Range<u64>> = self.kept.iter().filter_map(|slot| self.rows.base_ours.get(*slot)).map(|slot| slot..slot + 1).collect();
        kept.sort_by_key(|slot| slot.start);
        let mut out = Vec::with_capacity(parts.len());
        for ((part, takes), set) in parts.iter().zip(&mut self.takes).zip(&mut self.set) {
            let Some(o) = part.ours else {
                out.push(LazyRope::new(Rope::build(store, [])?));
                continue;
            };
            let mut rope = self.ours.columns[o].clone();
            takes.sort_by_key(|take| take.ours);
            apart(takes);
            if !kept.is_empty() {
                let parts = |take: &Take| left_by(&kept, take.ours..take.ours + take.rows);
                let cut =
                    |take: &Take, part: Range<u64>| Take { ours: part.start, theirs: take.theirs + (part.start - take.ours), rows: part.end - part.start };
                *takes = takes.iter().flat_map(|take| parts(take).into_iter().map(|part| cut(take, part))).collect();
            }
            counts.cells += takes.iter().map(|take| take.rows).sum::<u64>() + set.len() as u64;
            if let (Some(t), false) = (part.theirs, takes.is_empty()) {
                let their = &self.theirs.columns[t];
                rope = match takes.as_slice() {
                    [all] if all.ours == 0 && all.theirs == 0 && all.rows == rope.get(store)?.rows() && all.rows == their.get(store)?.rows() => their.clone(),
                    takes => LazyRope::new(laid_in(self.objects, rope.get(store)?, their.get(store)?, takes)?),
                };
            }
            if !set.is_empty() {
                set.sort_by_key(|(slot, _)| *slot);
                let values: Vec<&dyn Array> = set.iter().map(|(_, value)| value.as_ref()).collect();
                let mut writer = ColumnWriter::new(self.objects.clone(), &part.column.name, &part.column.ty);
                writer.push(&concat(&values)?, &[])?;
                let pairs: Vec<(u64, u64)> = set.iter().map(|(slot, _)| *slot).zip(0..).collect();
                rope = LazyRope::new(paste(self.objects, rope.get(store)?, &pairs, writer.finish()?.0)?);
            }
            out.push(rope);
        }
        Ok(out)
    }
}

/// Takes away what takes, in the order of ours, have in common: one cell is never taken from two places.
fn apart(takes: &mut Vec<Take>) {
    let mut end = 0u64;
    for take in takes.iter_mut() {
        let known = end.saturating_sub(take.ours).min(take.rows);
        *take = Take { ours: take.ours + known, theirs: take.theirs + known, rows: take.rows - known };
        end = end.max(take.ours + take.rows);
    }
    takes.retain(|take| take.rows > 0);
}

/// Our column with stretches of theirs laid in.
fn laid_in(objects: &Objects, ours: &Rope<Values>, theirs: &Rope<Values>, takes: &[Take]) -> Result<Rope<Values>, TableError> {
    let mut builder = Builder::new(objects);
    let mut at = 0;
    for take in takes {
        builder.append(ours, at, take.ours)?;
        builder.append(theirs, take.theirs, take.theirs + take.rows)?;
        at = take.ours + take.rows;
    }
    builder.append(ours, at, ours.rows())?;
    Ok(builder.finish()?)
}

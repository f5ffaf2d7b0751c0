//! The rows that differ between two states of a table, one after the other, found as they are asked for: in bounded memory, and no further than asked.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::base::ColumnId;
use crate::chunk::Objects;
use crate::format::node::{Kind, Live, Values};
use crate::tree::Differ;

use super::column::ColumnReader;
use super::diff::{Aligned, align, column_readers, compare_some, is_live, is_same_slice};
use super::{Table, TableError};

/// A row that differs. Slots are those of the state that the name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// The row is new.
    Added { new: u64 },
    /// The row is gone.
    Removed { old: u64 },
    /// Cells of the row differ, in these columns: places in the list that [`RowChanges::open`] was given or found.
    Changed { old: u64, new: u64, columns: Vec<usize> },
}

impl RowChange {
    /// The row's slot in the older state.
    pub fn old_slot(&self) -> Option<u64> {
        match self {
            RowChange::Removed { old } | RowChange::Changed { old, .. } => Some(*old),
            RowChange::Added { .. } => None,
        }
    }

    /// The row's slot in the newer state.
    pub fn new_slot(&self) -> Option<u64> {
        match self {
            RowChange::Added { new } | RowChange::Changed { new, .. } => Some(*new),
            RowChange::Removed { .. } => None,
        }
    }
}

/// Cells compared at first, and at most, at a time...
const COMPARED_ROWS: (u64, u64) = (1024, 65_536);
/// ... and about so many bytes of them.
const COMPARED_BYTES: (u64, u64) = (1 << 20, 8 << 20);
/// Slots whose rows are looked up at a time.
const WINDOW: u64 = 65_536;

/// The rows that differ, in the order of the newer state. A row that is gone comes at the slot that it still has there; where it has none, right
/// behind the row that it followed in the older state, and before rows that are new there; first of all where it followed none.
///
/// Memory holds the stretches of the two spines that align, and a few thousand slots a column. A subtree of a column that both states have is not read.
pub struct RowChanges {
    objects: Arc<Objects>,
    old: Option<Arc<Table>>,
    new: Option<Arc<Table>>,
    pairs: Vec<(usize, usize)>,
    reordered: bool,
    /// Readers of the pairs that may differ, and the place of each in `pairs`.
    readers: Vec<(usize, (ColumnReader, ColumnReader))>,
    /// What is left, the next last.
    steps: Vec<Step>,
    lone: Option<Lone>,
    both: Option<Both>,
}

#[derive(Debug)]
enum Step {
    Removed(Range<u64>),
    Added(Range<u64>),
    Both(Aligned),
}

impl RowChanges {
    /// Between two states; one that is `None` has no rows. `pairs` are the columns to compare, by their indices in the older and the newer state: those
    /// that both have, without any.
    pub fn open(
        objects: &Arc<Objects>,
        old: Option<Arc<Table>>,
        new: Option<Arc<Table>>,
        pairs: Option<Vec<(usize, usize)>>,
    ) -> Result<RowChanges, TableError> {
        let mut out = RowChanges {
            objects: objects.clone(),
            old,
            new,
            pairs: Vec::new(),
            reordered: false,
            readers: Vec::new(),
            steps: Vec::new(),
            lone: None,
            both: None,
        };
        match (&out.old, &out.new) {
            (None, None) => {}
            (Some(old), None) => out.steps.push(Step::Removed(0..old.slots(objects)?)),
            (None, Some(new)) => out.steps.push(Step::Added(0..new.slots(objects)?)),
            (Some(old), Some(new)) => {
                let segments = align(objects, old, new)?;
                out.reordered = segments.windows(2).any(|w| w[1].old < w[0].old);
                let in_place = matches!(segments.as_slice(), [one] if one.old == 0 && one.new == 0);
                out.pairs = pairs.unwrap_or_else(|| common_columns(old, new));
                for (place, (o, n)) in out.pairs.iter().enumerate() {
                    let same = in_place && old.columns[*o].is_same(&new.columns[*n]) && old.schema.columns[*o].ty == new.schema.columns[*n].ty;
                    if !same {
                        out.readers.push((place, column_readers(objects, (old, *o), (new, *n))?));
                    }
                }
                out.steps = steps(&segments, old.slots(objects)?, new.slots(objects)?);
            }
        }
        Ok(out)
    }

    /// The columns that are compared, by their indices in the older and the newer state.
    pub fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    /// Whether rows of both states stand in another order.
    pub fn reordered(&self) -> bool {
        self.reordered
    }

    /// The next row that differs.
    pub fn step(&mut self) -> Result<Option<RowChange>, TableError> {
        let objects = &*self.objects;
        loop {
            if let Some(both) = &mut self.both {
                if let (Some(old), Some(new)) = (&self.old, &self.new)
                    && let Some(change) = both.step(objects, old, new, &mut self.readers)?
                {
                    return Ok(Some(change));
                }
                self.both = None;
            }
            if let Some(lone) = &mut self.lone {
                let table = if lone.added { &self.new } else { &self.old };
                if let Some(table) = table
                    && let Some(slot) = lone.step(objects, table)?
                {
                    return Ok(Some(if lone.added { RowChange::Added { new: slot } } else { RowChange::Removed { old: slot } }));
                }
                self.lone = None;
            }
            match (self.steps.pop(), &self.old, &self.new) {
                (None, ..) => return Ok(None),
                (Some(Step::Removed(rest)), ..) => self.lone = Some(Lone { added: false, rest, runs: VecDeque::new() }),
                (Some(Step::Added(rest)), ..) => self.lone = Some(Lone { added: true, rest, runs: VecDeque::new() }),
                (Some(Step::Both(segment)), Some(old), Some(new)) => self.both = Some(Both::open(objects, segment, old, new, &self.pairs, &self.readers)?),
                (Some(Step::Both(_)), ..) => {}
            }
        }
    }
}

impl Iterator for RowChanges {
    type Item = Result<RowChange, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let change = self.step().transpose();
        if let Some(Err(_)) = change {
            (self.lone, self.both) = (None, None);
            self.steps.clear();
        }
        change
    }
}

/// The columns that both states have, by index, in the order of the newer.
pub fn common_columns(old: &Table, new: &Table) -> Vec<(usize, usize)> {
    let places: HashMap<ColumnId, usize> = old.schema.columns.iter().enumerate().map(|(i, c)| (c.id, i)).collect();
    new.schema.columns.iter().enumerate().filter_map(|(i, c)| Some((*places.get(&c.id)?, i))).collect()
}

/// What to look at, the last first: rows of both states in the order of the newer, and between them those that one alone has.
fn steps(segments: &[Aligned], old_slots: u64, new_slots: u64) -> Vec<Step> {
    // Where each stretch's gap in the older state ends: at the next stretch there.
    let mut by_old: Vec<usize> = (0..segments.len()).collect();
    by_old.sort_by_key(|i| segments[*i].old);
    let mut gaps: Vec<Range<u64>> = vec![0..0; segments.len()];
    let (mut at, mut before): (u64, Option<usize>) = (0, None);
    let mut first = 0..0;
    for i in by_old.iter().map(|i| Some(*i)).chain([None]) {
        let start = i.map_or(old_slots, |i| segments[i].old);
        if start > at {
            match before {
                Some(before) => gaps[before] = at..start,
                None => first = at..start,
            }
        }
        let end = i.map_or(old_slots, |i| segments[i].old + segments[i].rows);
        if end > at {
            (at, before) = (end, i);
        }
    }
    let mut steps = vec![Step::Removed(first)];
    let mut at = 0;
    for (segment, gap) in segments.iter().zip(gaps) {
        steps.push(Step::Added(at..segment.new.max(at)));
        steps.push(Step::Both(*segment));
        steps.push(Step::Removed(gap));
        at = at.max(segment.new + segment.rows);
    }
    steps.push(Step::Added(at..new_slots.max(at)));
    steps.retain(|step| !matches!(step, Step::Removed(range) | Step::Added(range) if range.is_empty()));
    steps.reverse();
    steps
}

/// The live rows of a stretch that one state alone has.
struct Lone {
    added: bool,
    rest: Range<u64>,
    runs: VecDeque<Range<u64>>,
}

impl Lone {
    fn step(&mut self, objects: &Objects, table: &Table) -> Result<Option<u64>, TableError> {
        loop {
            if let Some(run) = self.runs.front_mut() {
                if let Some(slot) = run.next() {
                    return Ok(Some(slot));
                }
                self.runs.pop_front();
                continue;
            }
            if self.rest.is_empty() {
                return Ok(None);
            }
            let to = (self.rest.start + WINDOW).min(self.rest.end);
            for item in table.live.get(objects)?.items(objects, self.rest.start, to)? {
                let (start, run) = item?;
                if run.live {
                    self.runs.push_back(start..start + run.rows);
                }
            }
            self.rest.start = to;
        }
    }
}

/// Rows of both states, one after the other in each.
struct Both {
    live: Differ<Live>,
    /// Rows that came (true) or went: the first slots, old and new, and how many.
    life: Option<(u64, u64, u64, bool)>,
    ended: bool,
    columns: Vec<Cells>,
}

/// The cells of one column that differ.
struct Cells {
    differ: Differ<Values>,
    /// Cells to compare: their first slots, old and new, and how many.
    rest: (u64, u64, u64),
    /// How many to compare at the next time, and about how many bytes.
    size: (u64, u64),
    found: VecDeque<(u64, u64)>,
}

impl Both {
    fn open(
        objects: &Objects,
        segment: Aligned,
        old: &Table,
        new: &Table,
        pairs: &[(usize, usize)],
        readers: &[(usize, (ColumnReader, ColumnReader))],
    ) -> Result<Both, TableError> {
        let live = Differ::new((old.live.get(objects)?, segment.old), (new.live.get(objects)?, segment.new), segment.rows)?;
        let mut columns = Vec::with_capacity(readers.len());
        for (place, _) in readers {
            let (o, n) = pairs[*place];
            let differ = Differ::new((old.columns[o].get(objects)?, segment.old), (new.columns[n].get(objects)?, segment.new), segment.rows)?;
            columns.push(Cells { differ, rest: (0, 0, 0), size: (COMPARED_ROWS.0, COMPARED_BYTES.0), found: VecDeque::new() });
        }
        Ok(Both { live, life: None, ended: false, columns })
    }

    fn step(
        &mut self,
        objects: &Objects,
        old: &Table,
        new: &Table,
        readers: &mut [(usize, (ColumnReader, ColumnReader))],
    ) -> Result<Option<RowChange>, TableError> {
        loop {
            for (cells, (_, readers)) in self.columns.iter_mut().zip(readers.iter_mut()) {
                cells.find(objects, readers)?;
            }
            while self.life.is_none() && !self.ended {
                match self.live.step(objects)? {
                    None => self.ended = true,
                    Some(pair) if pair.left.live != pair.right.live => self.life = Some((pair.a, pair.b, pair.left.rows, pair.right.live)),
                    Some(_) => {}
                }
            }
            let cell = self.columns.iter().filter_map(|c| c.found.front().copied()).min_by_key(|(_, b)| *b);
            let life = self.life.filter(|(_, b, ..)| cell.is_none_or(|(_, at)| *b <= at));
            let Some((a, b)) = life.map(|(a, b, ..)| (a, b)).or(cell) else { return Ok(None) };
            let mut columns = Vec::new();
            for (cells, (place, _)) in self.columns.iter_mut().zip(readers.iter()) {
                if cells.found.front().is_some_and(|(_, at)| *at == b) {
                    cells.found.pop_front();
                    columns.push(*place);
                }
            }
            if let Some((_, _, rows, came)) = life {
                self.life = (rows > 1).then_some((a + 1, b + 1, rows - 1, came));
                return Ok(Some(if came { RowChange::Added { new: b } } else { RowChange::Removed { old: a } }));
            }
            // Deleted rows have cells as well, which nobody sees.
            if is_live(objects, old.live.get(objects)?, a)? && is_live(objects, new.live.get(objects)?, b)? {
                return Ok(Some(RowChange::Changed { old: a, new: b, columns }));
            }
        }
    }
}

impl Cells {
    /// Goes on until a cell is found, or the end.
    fn find(&mut self, objects: &Objects, readers: &mut (ColumnReader, ColumnReader)) -> Result<(), TableError> {
        while self.found.is_empty() {
            let (a, b, rows) = self.rest;
            if rows == 0 {
                match self.differ.step(objects)? {
                    None => return Ok(()),
                    Some(pair) if is_same_slice(&pair.left, &pair.right) => {}
                    Some(pair) => self.rest = (pair.a, pair.b, Values::rows(&pair.left)),
                }
                continue;
            }
            let found = &mut self.found;
            let n = compare_some(readers, a, b, rows.min(self.size.0), self.size.1, &mut |a, b| found.push_back((a, b)))?;
            self.rest = (a + n, b + n, rows - n);
            self.size = ((self.size.0 * 2).min(COMPARED_ROWS.1), (self.size.1 * 2).min(COMPARED_BYTES.1));
        }
        Ok(())
    }
}

//! Rows from outside over rows that are there: upsert and replace, keeping the identity of rows that match.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use imara_diff::{Algorithm, Diff, InternedInput};

use crate::chunk::Objects;
use crate::format::Type;
use crate::format::array::to_storage;
use crate::format::node::Slice;
use crate::tree::Rope;

use super::arrange::{Piece, push_piece};
use super::edit::paste;
use super::key::{RowHash, RowHasher};
use super::write::{ColumnWriter, LargeCell, RowWriter};
use super::{LazyRope, Table, TableError};

/// What an upsert or a replace did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows that are new.
    pub added: u64,
    /// Rows that are gone.
    pub removed: u64,
    /// Rows of which at least one cell changed.
    pub changed: u64,
    /// Cells that changed.
    pub cells: u64,
}

/// Takes rows that are each matched with a slot or new, and writes only what differs.
pub struct Rewriter {
    objects: Arc<Objects>,
    table: Arc<Table>,
    /// The table's column for each column of the batches.
    columns: Vec<usize>,
    new: RowWriter,
    /// For each column of the batches: the changed cells on their way, and their slots.
    changed: Vec<(ColumnWriter, Vec<u64>)>,
    /// One entry for each row from outside: its old slot, or none.
    order: Vec<Option<u64>>,
    counts: Changes,
}

impl Rewriter {
    /// A rewriter of a table by batches with these columns, all of which the table has.
    pub fn new(objects: &Arc<Objects>, table: &Arc<Table>, columns: &[(String, Type)]) -> Result<Self, TableError> {
        let indices = columns.iter().map(|(name, _)| table.schema.index(name)).collect::<Result<Vec<_>, _>>()?;
        let typed: Vec<(String, Type)> = indices.iter().map(|i| (table.schema.columns[*i].name.clone(), table.schema.columns[*i].ty.clone())).collect();
        Ok(Rewriter {
            objects: objects.clone(),
            table: table.clone(),
            new: RowWriter::new(objects, table, &typed)?,
            changed: typed.iter().map(|(n, t)| (ColumnWriter::new(objects.clone(), n, t), Vec::new())).collect(),
            columns: indices,
            order: Vec::new(),
            counts: Changes::default(),
        })
    }

    /// Adds a batch; `slots` has the matching slot of each row, or none where it is new. No slot may come twice.
    pub fn push(&mut self, batch: &RecordBatch, large: &[LargeCell], slots: &[Option<u64>]) -> Result<(), TableError> {
        let new: UInt32Array = slots.iter().zip(0u32..).filter(|(s, _)| s.is_none()).map(|(_, i)| i).collect();
        if !new.is_empty() {
            let place: HashMap<u64, u64> = new.values().iter().zip(0..).map(|(from, to)| (u64::from(*from), to)).collect();
            let arrays = batch.columns().iter().map(|c| take(c, &new, None)).collect::<Result<Vec<_>, _>>()?;
            let rows = RecordBatch::try_new(batch.schema(), arrays)?;
            let large: Vec<LargeCell> = large.iter().filter_map(|c| place.get(&c.row).map(|row| LargeCell { row: *row, ..c.clone() })).collect();
            self.new.push(&rows, &large)?;
        }
        let mut matched: Vec<(u64, u32)> = slots.iter().zip(0u32..).filter_map(|(s, i)| s.map(|s| (s, i))).collect();
        matched.sort_unstable();
        if !matched.is_empty() {
            self.compare(batch, large, &matched)?;
        }
        self.order.extend_from_slice(slots);
        Ok(())
    }

    fn compare(&mut self, batch: &RecordBatch, large: &[LargeCell], matched: &[(u64, u32)]) -> Result<(), TableError> {
        let mut touched = vec![false; matched.len()];
        for (c, column) in self.columns.iter().enumerate() {
            let files: HashMap<u32, &LargeCell> = large.iter().filter(|l| l.column == c).map(|l| (l.row as u32, l)).collect();
            let (with_file, plain): (Vec<usize>, Vec<usize>) = (0..matched.len()).partition(|i| files.contains_key(&matched[*i].1));
            let described = &self.table.schema.columns[*column];
            let slots: Vec<u64> = plain.iter().map(|i| matched[*i].0).collect();
            let rows: UInt32Array = plain.iter().map(|i| matched[*i].1).collect();
            let now = to_storage(&take(batch.column(c), &rows, None)?, &described.ty.storage())?;
            let before = self.table.reader(&self.objects, *column)?.take(&slots)?;
            let compare = make_comparator(&before, &now, SortOptions::default())?;
            let differ: Vec<u32> = (0..now.len() as u32).filter(|i| compare(*i as usize, *i as usize).is_ne()).collect();
            let (writer, changed) = &mut self.changed[c];
            if !differ.is_empty() {
                let values: ArrayRef = take(&now, &UInt32Array::from(differ.clone()), None)?;
                writer.push(&values, &[])?;
                changed.extend(differ.iter().map(|i| slots[*i as usize]));
            }
            for i in differ {
                touched[plain[i as usize]] = true;
            }
            let mut reader = self.table.reader(&self.objects, *column)?;
            for i in &with_file {
                let (slot, row) = matched[*i];
                let Some(cell) = files.get(&row) else { continue };
                // Equal bytes have one tree, and what is there already is not written again.
                let now = writer.store(&cell.source)?;
                if matches!(reader.find(slot)?.0, Slice::Large(before) if before == now) {
                    continue;
                }
                writer.push_large(now)?;
                changed.push(slot);
                touched[*i] = true;
            }
        }
        self.counts.changed += touched.iter().filter(|t| **t).count() as u64;
        Ok(())
    }

    /// Applies all of it. With `replace`, rows that nothing matched are deleted and the rows stand in the order of those from outside; otherwise new rows stand at the end.
    pub fn finish(self, replace: bool) -> Result<(Table, Changes), TableError> {
        let objects = &self.objects;
        let store = &**objects;
        let mut counts = self.counts;
        let mut table = (*self.table).clone();
        for ((writer, slots), column) in self.changed.into_iter().zip(&self.columns) {
            counts.cells += slots.len() as u64;
            if slots.is_empty() {
                continue;
            }
            let mut pairs: Vec<(u64, u64)> = slots.into_iter().zip(0..).collect();
            pairs.sort_unstable();
            let rope: Rope<_> = paste(objects, table.columns[*column].get(store)?, &pairs, writer.finish()?.0)?;
            table.columns[*column] = LazyRope::new(rope);
        }
        let new = self.new.finish()?;
        counts.added = new.rows;
        if !replace {
            return Ok((table.append(objects, new)?, counts));
        }
        let slots = table.slots(store)?;
        let mut kept = vec![false; slots as usize];
        for slot in self.order.iter().flatten() {
            match kept.get_mut(*slot as usize) {
                Some(k) if !*k => *k = true,
                _ => return Err(TableError::Slot { slot: *slot, slots }),
            }
        }
        let gone: Vec<u64> = table.live_slots(store)?.filter(|s| !kept[*s as usize]).collect();
        counts.removed = gone.len() as u64;
        table = table.delete(objects, &gone)?;
        // Deleted rows stay behind the row that they stood behind.
        let mut pieces = Vec::new();
        let followers = |from: u64| (from..slots).find(|s| kept[*s as usize]).unwrap_or(slots);
        push_piece(&mut pieces, Piece::Old(0..followers(0)));
        let mut next_new = 0;
        for slot in &self.order {
            match slot {
                Some(slot) => push_piece(&mut pieces, Piece::Old(*slot..followers(slot + 1))),
                None => {
                    push_piece(&mut pieces, Piece::New(next_new..next_new + 1));
                    next_new += 1;
                }
            }
        }
        Ok((table.arrange(objects, &pieces, new)?, counts))
    }
}

/// What the content matching of [`match_rows`] needs of each row: its whole hash and that of its first column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPrint {
    /// All cells.
    pub whole: RowHash,
    /// The first cell, which often names the row.
    pub first: RowHash,
}

/// Makes [`RowPrint`]s of rows with the same columns.
pub struct RowPrinter {
    whole: RowHasher,
    first: RowHasher,
}

impl RowPrinter {
    /// A printer of rows of these types.
    pub fn new(types: &[Type]) -> Result<Self, TableError> {
        let storage: Vec<_> = types.iter().map(Type::storage).collect();
        Ok(RowPrinter { first: RowHasher::new(storage.iter().take(1).cloned().collect())?, whole: RowHasher::new(storage)? })
    }

    /// The prints of the rows of some columns.
    pub fn print(&self, columns: &[ArrayRef]) -> Result<Vec<RowPrint>, TableError> {
        let whole = self.whole.hash(columns)?;
        let first = self.first.hash(&columns[..columns.len().min(1)])?;
        Ok(whole.into_iter().zip(first).map(|(whole, first)| RowPrint { whole, first }).collect())
    }
}

/// Matches new rows with old ones by content in order, as a text diff does (histogram diff): for each new row the index of its old row, ascending, or none. Within
/// a changed stretch, rows with equal first cells match, and rows match by place where as many went as came.
pub fn match_rows(old: &[RowPrint], new: &[RowPrint]) -> Vec<Option<u64>> {
    let mut input: InternedInput<RowHash> = InternedInput::default();
    input.update_before(old.iter().map(|p| p.whole));
    input.update_after(new.iter().map(|p| p.whole));
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let mut matches = vec![None; new.len()];
    let (mut o, mut n) = (0usize, 0usize);
    let same = |matches: &mut Vec<Option<u64>>, o: &mut usize, n: &mut usize, until: usize| {
        while *n < until {
            matches[*n] = Some(*o as u64);
            *o += 1;
            *n += 1;
        }
    };
    for hunk in diff.hunks() {
        same(&mut matches, &mut o, &mut n, hunk.after.start as usize);
        let (gone, came) = (hunk.before.start as usize..hunk.before.end as usize, hunk.after.start as usize..hunk.after.end as usize);
        pair(&old[gone.clone()], &new[came.clone()], gone.start, came.start, &mut matches);
        (o, n) = (gone.end, came.end);
    }
    same(&mut matches, &mut o, &mut n, new.len());
    matches
}

fn pair(gone: &[RowPrint], came: &[RowPrint], o: usize, n: usize, matches: &mut [Option<u64>]) {
    if gone.is_empty() || came.is_empty() {
        return;
    }
    let mut input: InternedInput<RowHash> = InternedInput::default();
    input.update_before(gone.iter().map(|p| p.first));
    input.update_after(came.iter().map(|p| p.first));
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let (mut a, mut b) = (0usize, 0usize);
    for hunk in diff.hunks() {
        while b < hunk.after.start as usize {
            matches[n + b] = Some((o + a) as u64);
            (a, b) = (a + 1, b + 1);
        }
        if hunk.before.len() == hunk.after.len() {
            for (from, to) in hunk.before.clone().zip(hunk.after.clone()) {
                matches[n + to as usize] = Some((o + from as usize) as u64);
            }
        }
        (a, b) = (hunk.before.end as usize, hunk.after.end as usize);
    }
    while b < came.len() {
        matches[n + b] = Some((o + a) as u64);
        (a, b) = (a + 1, b + 1);
    }
}

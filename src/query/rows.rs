//! Rows of a table that pass a predicate: the predicate's columns are read first, cheap ones before dear ones, and the others only for rows that pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{FilterBuilder, FilterPredicate, concat, filter, prep_null_mask_filter};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::metrics::Count;

use crate::chunk::Objects;
use crate::format::array::fixed_width;
use crate::table::column::ColumnReader;
use crate::table::scan::{live_mask, retype};
use crate::table::{Table, TableError};

use super::QueryError;

/// Rows in a batch, at most.
pub const BATCH_ROWS: usize = 8192;
/// Bytes of each column in a batch, about.
pub const BATCH_BYTES: u64 = 4 << 20;
/// Slots whose cells of the first stage are read at once, at most.
const STEP_MAX: u64 = 32 * 1024;
/// Cells of so many bytes are not copied to be joined, where so many bytes of them come as one array.
const WIDE: usize = 256;
const WHOLE_BYTES_MIN: u64 = 128 << 10;
/// So much of such a column is held against a predicate at once: what the nearest caches have room for.
const WIDE_STEP_BYTES: u64 = 1 << 20;
/// The first step of a scan with a limit is not shorter.
const STEP_MIN: u64 = 256;

/// From afar the chunks of so many ranges are asked for before the first is read.
const RANGES_AHEAD: usize = 4;
/// So many chunks of a column that will be read for certain, and of one that is read only for rows that pass.
const CHUNKS_AHEAD: usize = 16;
const LATE_CHUNKS_AHEAD: usize = 2;

/// One part of a predicate, all parts of which must be true.
#[derive(Debug, Clone)]
pub struct Conjunct {
    /// The expression, its columns being those of the whole table, by index.
    pub expr: Arc<dyn PhysicalExpr>,
    /// The columns it reads.
    pub columns: BTreeSet<usize>,
}

/// What to read of a table.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Where the table is.
    pub objects: Arc<Objects>,
    /// The table.
    pub table: Arc<Table>,
    /// The predicate.
    pub conjuncts: Vec<Conjunct>,
    /// The columns wanted, by index, in order.
    pub output: Vec<usize>,
    /// So many rows at most.
    pub limit: Option<u64>,
    /// Rows in a batch, at most.
    pub batch_rows: usize,
    /// Bytes of each column in a batch, about; at least one row.
    pub batch_bytes: u64,
}

/// Counts what a read does, and can stop it.
#[derive(Clone)]
pub struct Watch {
    /// Rows of which the predicate's first columns were read.
    pub rows_scanned: Count,
    /// Bytes of values read, for each column of the table.
    pub bytes_read: HashMap<usize, Count>,
    /// True once the read should end.
    pub stop: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { rows_scanned: Count::new(), bytes_read: HashMap::new(), stop: Arc::new(|| false) }
    }
}

impl Conjunct {
    /// Of an expression over the whole table's columns, by index.
    pub fn new(expr: Arc<dyn PhysicalExpr>) -> Conjunct {
        let columns = datafusion::physical_expr::utils::collect_columns(&expr).iter().map(Column::index).collect();
        Conjunct { expr, columns }
    }
}

/// How dear a column is to read: numbers, text, everything else.
fn weight(storage: &DataType) -> usize {
    match storage {
        DataType::Boolean => 0,
        DataType::Utf8 => 1,
        other => match fixed_width(other) {
            Some(width) if width <= 32 => 0,
            _ => 2,
        },
    }
}

/// Parts of the predicate that are tried together.
struct Stage {
    columns: Vec<usize>,
    schema: SchemaRef,
    predicates: Vec<Arc<dyn PhysicalExpr>>,
    /// Columns that are needed after this stage.
    later: BTreeSet<usize>,
}

/// Rows on their way, with the columns that were read of them.
#[derive(Default)]
struct Held {
    slots: Vec<u64>,
    columns: BTreeMap<usize, ArrayRef>,
}

/// Rows that passed: where they are, and their cells.
pub struct Passed {
    /// Their slots, ascending.
    pub slots: Vec<u64>,
    /// The cells of the columns wanted.
    pub batch: RecordBatch,
}

/// The rows of a selection, in order.
pub struct Rows {
    selection: Selection,
    schema: SchemaRef,
    live: crate::tree::Rope<crate::format::node::Live>,
    all_live: bool,
    stages: Vec<Stage>,
    readers: HashMap<usize, ColumnReader>,
    /// Readers of their own for looking up how long cells are: the others go from left to right.
    measures: HashMap<usize, ColumnReader>,
    /// What is left, the next last.
    ranges: Vec<Range<u64>>,
    /// Where the last of them ends.
    until: u64,
    step: u64,
    step_max: u64,
    /// Passed the first stage.
    pending: Vec<Held>,
    left: u64,
    watch: Watch,
    failed: bool,
}

impl Selection {
    /// The whole table's rows, all columns.
    pub fn all(objects: &Arc<Objects>, table: &Arc<Table>) -> Selection {
        Selection {
            objects: objects.clone(),
            table: table.clone(),
            conjuncts: Vec::new(),
            output: (0..table.columns.len()).collect(),
            limit: None,
            batch_rows: BATCH_ROWS,
            batch_bytes: BATCH_BYTES,
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.table.schema.arrow(&self.output)
    }

    /// Starts reading the rows of some ranges of slots, which ascend and do not overlap.
    pub fn open(self, mut ranges: Vec<Range<u64>>, watch: Watch) -> Result<Rows, QueryError> {
        let slots = self.table.slots(&self.objects)?;
        if let Some(bad) = ranges.iter().find(|r| r.end > slots) {
            return Err(TableError::Slot { slot: bad.end, slots }.into());
        }
        ranges.retain(|r| r.start < r.end);
        let until = ranges.last().map_or(0, |range| range.end);
        ranges.reverse();
        let live = self.table.live.get(&*self.objects).map_err(TableError::from)?.clone();
        let stages = self.stages()?;
        let batch_rows = (self.batch_rows as u64).max(1);
        // Without a predicate a longer step would only be cut again.
        let step_max = if stages.is_empty() { batch_rows } else { STEP_MAX.max(batch_rows) };
        let step = self.limit.map_or(step_max, |limit| limit.clamp(STEP_MIN.min(batch_rows), batch_rows));
        let mut rows = Rows {
            schema: self.schema(),
            all_live: live.summary() == live.rows(),
            live,
            stages,
            readers: HashMap::new(),
            measures: HashMap::new(),
            ranges,
            until,
            step,
            step_max,
            pending: Vec::new(),
            left: self.limit.unwrap_or(u64::MAX),
            watch,
            failed: false,
            selection: self,
        };
        rows.bring()?;
        Ok(rows)
    }

    fn storage(&self, column: usize) -> Result<DataType, QueryError> {
        let column = self.table.schema.columns.get(column).ok_or_else(|| TableError::NoColumn { name: format!("#{column}"), near: vec![] })?;
        Ok(column.ty.storage())
    }

    /// The predicate's parts by the dearest column that each reads.
    fn stages(&self) -> Result<Vec<Stage>, QueryError> {
        let mut by_weight: BTreeMap<usize, (BTreeSet<usize>, Vec<&Conjunct>)> = BTreeMap::new();
        for conjunct in &self.conjuncts {
            let mut dearest = 0;
            for column in &conjunct.columns {
                dearest = dearest.max(weight(&self.storage(*column)?));
            }
            let (columns, parts) = by_weight.entry(dearest).or_default();
            columns.extend(&conjunct.columns);
            parts.push(conjunct);
        }
        let mut later: BTreeSet<usize> = self.output.iter().copied().collect();
        let mut stages = Vec::with_capacity(by_weight.len());
        for (columns, parts) in by_weight.into_values().rev() {
            let columns: Vec<usize> = columns.into_iter().collect();
            let predicates = parts.iter().map(|part| rebind(&part.expr, &columns)).collect::<Result<_, _>>()?;
            let schema = self.table.schema.arrow(&columns);
            let needed = columns.clone();
            stages.push(Stage { columns, schema, predicates, later: later.clone() });
            later.extend(needed);
        }
        stages.reverse();
        Ok(stages)
    }
}

/// The expression over a batch of these columns of the table.
pub(super) fn rebind(expr: &Arc<dyn PhysicalExpr>, columns: &[usize]) -> Result<Arc<dyn PhysicalExpr>, QueryError> {
    let rebound = expr.clone().transform_up(|node| match node.downcast_ref::<Column>() {
        Some(column) => match columns.iter().position(|c| *c == column.index()) {
            Some(index) => Ok(Transformed::yes(Arc::new(Column::new(column.name(), index)) as Arc<dyn PhysicalExpr>)),
            None => datafusion::common::internal_err!("column {} is not read", column.name()),
        },
        None => Ok(Transformed::no(node)),
    });
    rebound.data().map_err(|e| super::error::translate(e, 0))
}

impl Rows {
    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Ends the read once `asked` says so.
    pub fn stop_when(&mut self, asked: Arc<dyn Fn() -> bool + Send + Sync>) {
        self.watch.stop = asked;
    }

    /// Where the table is far, asks for what is read first in all columns at once: one after the other, each would take the whole way.
    fn bring(&mut self) -> Result<(), QueryError> {
        if !self.selection.objects.is_far() {
            return Ok(());
        }
        let first: BTreeSet<usize> =
            self.stages.first().map_or_else(|| self.selection.output.iter().copied().collect(), |s| s.columns.iter().copied().collect());
        let late: BTreeSet<usize> = self.stages.first().map(|stage| stage.later.difference(&first).copied().collect()).unwrap_or_default();
        let ranges: Vec<Range<u64>> = self.ranges.iter().rev().take(RANGES_AHEAD).cloned().collect();
        for range in &ranges {
            for column in &first {
                self.reader(*column)?.bring(range.clone(), CHUNKS_AHEAD, false)?;
            }
        }
        // Where statistics left little, a row is likely to pass.
        let few = self.ranges.len() <= RANGES_AHEAD;
        for range in ranges.iter().filter(|_| few) {
            for column in &late {
                self.reader(*column)?.bring(range.clone(), LATE_CHUNKS_AHEAD, true)?;
            }
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Passed>, QueryError> {
        loop {
            if (self.watch.stop)() {
                return Err(QueryError::Interrupted);
            }
            if self.left == 0 {
                return Ok(None);
            }
            let waiting: u64 = self.pending.iter().map(|held| held.slots.len() as u64).sum();
            let enough = (self.selection.batch_rows as u64 / 2).clamp(1, self.left);
            if waiting >= enough || (waiting > 0 && self.ranges.is_empty()) {
                let passed = self.emit()?;
                if passed.slots.is_empty() {
                    continue;
                }
                self.left -= passed.slots.len() as u64;
                return Ok(Some(passed));
            }
            if self.ranges.is_empty() {
                return Ok(None);
            }
            self.first_stage()?;
        }
    }

    /// Reads the next slots' cells for the first stage, and keeps the rows that pass it.
    fn first_stage(&mut self) -> Result<(), QueryError> {
        let Some(range) = self.ranges.pop() else { return Ok(()) };
        let mut n = (range.end - range.start).min(self.step);
        self.step = (self.step * 2).min(self.step_max);
        let columns = self.stages.first().map(|stage| stage.columns.clone()).unwrap_or_default();
        for column in &columns {
            let wide = fixed_width(&self.selection.storage(*column)?).is_some_and(|width| width >= WIDE);
            let bytes_max = if wide { self.selection.batch_bytes.min(WIDE_STEP_BYTES) } else { self.selection.batch_bytes };
            n = self.reader(*column)?.rows_within(range.start, n, bytes_max)?;
        }
        n = self.unjoined(&columns, range.start, n)?.min(range.end - range.start);
        let end = range.start + n;
        if end < range.end {
            self.ranges.push(end..range.end);
        }
        let mask = if self.all_live { None } else { live_mask(&self.selection.objects, &self.live, range.start..end)? };
        let slots: Vec<u64> = match mask {
            None => (range.start..end).collect(),
            Some(mask) => (range.start..end).zip(mask.values()).filter(|(_, live)| *live).map(|(slot, _)| slot).collect(),
        };
        if slots.is_empty() {
            return Ok(());
        }
        self.watch.rows_scanned.add(slots.len());
        let mut held = Held { slots, columns: BTreeMap::new() };
        if !self.stages.is_empty() {
            held = self.stage(0, held)?;
        }
        if !held.slots.is_empty() {
            self.pending.push(held);
        }
        Ok(())
    }

    /// How many of `n` slots from `start` on to read at once: where the widest of these columns is of vectors, so many that none is copied to be joined with others.
    fn unjoined(&mut self, columns: &[usize], start: u64, n: u64) -> Result<u64, QueryError> {
        let mut widest = None;
        for column in columns {
            let width = fixed_width(&self.selection.storage(*column)?).unwrap_or_default();
            widest = widest.max(Some((width, *column)));
        }
        let Some((width, column)) = widest.filter(|(width, _)| *width >= WIDE) else { return Ok(n) };
        let whole = self.reader(column)?.rows_unjoined(start, n)?;
        // Few are joined: a batch costs something as well.
        Ok(if whole * width as u64 >= WHOLE_BYTES_MIN { whole } else { n })
    }

    /// Takes a batch's worth of the rows that passed the first stage through the others, and reads what is wanted of those that are left.
    fn emit(&mut self) -> Result<Passed, QueryError> {
        let mut held = self.join()?;
        let rows = if self.stages.len() <= 1 { self.left } else { u64::MAX };
        let mut n = (held.slots.len() as u64).min(self.selection.batch_rows as u64).min(rows) as usize;
        let mut wanted: BTreeSet<usize> = self.selection.output.iter().copied().collect();
        wanted.extend(self.stages.iter().skip(1).flat_map(|stage| stage.columns.iter().copied()));
        for column in wanted {
            if !held.columns.contains_key(&column) {
                n = self.measure(column, &held.slots[..n])?;
            }
        }
        if self.stages.is_empty()
            && let Some(first) = held.slots.first().copied()
            && held.slots.get(n - 1).is_some_and(|last| last - first + 1 == n as u64)
        {
            n = n.min(self.unjoined(&self.selection.output.clone(), first, n as u64)? as usize);
        }
        let rest = Held {
            slots: held.slots.split_off(n),
            columns: held.columns.iter().map(|(column, values)| (*column, values.slice(n, values.len() - n))).collect(),
        };
        for values in held.columns.values_mut() {
            *values = values.slice(0, n);
        }
        if !rest.slots.is_empty() {
            self.pending.push(rest);
        }
        for stage in 1..self.stages.len() {
            held = self.stage(stage, held)?;
        }
        let over = held.slots.len() as u64 > self.left;
        if over {
            let left = self.left as usize;
            held.slots.truncate(left);
            for values in held.columns.values_mut() {
                *values = values.slice(0, left);
            }
        }
        if held.slots.is_empty() {
            return Ok(Passed { slots: held.slots, batch: RecordBatch::new_empty(self.schema.clone()) });
        }
        let (mut arrays, mut among) = (Vec::with_capacity(self.selection.output.len()), None);
        for (index, column) in self.selection.output.clone().into_iter().enumerate() {
            let values = match held.columns.get(&column) {
                Some(values) => values.clone(),
                None => {
                    let values = self.fetch(column, &held.slots, &mut among)?;
                    held.columns.insert(column, values.clone());
                    values
                }
            };
            arrays.push(typed(values, self.schema.field(index).data_type())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(held.slots.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        Ok(Passed { slots: held.slots, batch })
    }

    /// All pending rows as one.
    fn join(&mut self) -> Result<Held, QueryError> {
        if self.pending.len() <= 1 {
            return Ok(self.pending.pop().unwrap_or_default());
        }
        let parts = std::mem::take(&mut self.pending);
        let slots: Vec<&[u64]> = parts.iter().map(|part| part.slots.as_slice()).collect();
        let mut joined = Held { slots: slots.concat(), columns: BTreeMap::new() };
        if let Some(first) = parts.first() {
            for column in first.columns.keys() {
                let arrays: Vec<&dyn Array> = parts.iter().filter_map(|part| part.columns.get(column)).map(|values| &**values).collect();
                joined.columns.insert(*column, concat(&arrays)?);
            }
        }
        Ok(joined)
    }

    /// The rows that pass one stage, with the columns that are needed after it.
    fn stage(&mut self, index: usize, mut held: Held) -> Result<Held, QueryError> {
        if held.slots.is_empty() {
            return Ok(held);
        }
        let columns = self.stages[index].columns.clone();
        let mut among = None;
        for column in &columns {
            if !held.columns.contains_key(column) {
                let values = self.fetch(*column, &held.slots, &mut among)?;
                held.columns.insert(*column, values);
            }
        }
        let stage = &self.stages[index];
        let mut arrays = Vec::with_capacity(columns.len());
        for (column, field) in columns.iter().zip(stage.schema.fields()) {
            let values = held.columns.get(column).cloned().ok_or_else(|| TableError::NoColumn { name: format!("#{column}"), near: vec![] })?;
            arrays.push(typed(values, field.data_type())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(held.slots.len()));
        let mut batch = RecordBatch::try_new_with_options(stage.schema.clone(), arrays, &options)?;
        let mut passing: Option<BooleanArray> = None;
        for predicate in &stage.predicates {
            // What an earlier part ruled out, a later one is not tried on: it may fail there.
            if let Some(passing) = &passing {
                batch = arrow::compute::filter_record_batch(&batch, passing)?;
                shrink(&mut held, passing)?;
            }
            passing = Some(truths(predicate, &batch)?);
        }
        if let Some(passing) = &passing {
            shrink(&mut held, passing)?;
        }
        held.columns.retain(|column, _| stage.later.contains(column));
        Ok(held)
    }

    fn reader(&mut self, column: usize) -> Result<&mut ColumnReader, QueryError> {
        reader(&mut self.readers, &self.selection, column, self.until)
    }

    /// The cells of one column at some slots. `among` is kept from column to column of the same slots.
    fn fetch(&mut self, column: usize, slots: &[u64], among: &mut Option<FilterPredicate>) -> Result<ArrayRef, QueryError> {
        let (Some(first), Some(last)) = (slots.first().copied(), slots.last().copied()) else {
            return Ok(arrow::array::new_empty_array(&self.selection.storage(column)?));
        };
        let storage = self.selection.storage(column)?;
        let span = last + 1 - first;
        let rows = slots.len() as u64;
        // Where nearly all cells of a stretch are wanted, reading it whole is cheaper than picking.
        let dense = match fixed_width(&storage) {
            Some(width) if width <= 32 => span <= rows.saturating_mul(4),
            _ if storage == DataType::Boolean => true,
            _ if storage == DataType::Utf8 => span <= rows + rows / 4 && self.measure(column, slots)? == slots.len(),
            _ => span == rows,
        };
        let reader = self.reader(column)?;
        let values = if span == rows {
            reader.read(first..last + 1)?
        } else if dense {
            among.get_or_insert_with(|| places(first, span, slots)).filter(&reader.read(first..last + 1)?)?
        } else {
            reader.take(slots)?
        };
        if let Some(count) = self.watch.bytes_read.get(&column) {
            count.add(values.to_data().get_slice_memory_size().unwrap_or_default());
        }
        Ok(values)
    }

    /// How many of these slots, from the first on, hold about a batch's bytes of a column: at least one where there is one. From chunk headers alone.
    fn measure(&mut self, column: usize, slots: &[u64]) -> Result<usize, QueryError> {
        let bytes_max = self.selection.batch_bytes;
        let storage = self.selection.storage(column)?;
        if storage == DataType::Boolean {
            return Ok(slots.len());
        }
        if let Some(width) = fixed_width(&storage) {
            let fits = usize::try_from(bytes_max / (width as u64).max(1)).unwrap_or(usize::MAX);
            return Ok(slots.len().min(fits.max(1)));
        }
        Ok(reader(&mut self.measures, &self.selection, column, self.until)?.slots_within(slots, bytes_max)?)
    }
}

fn reader<'a>(readers: &'a mut HashMap<usize, ColumnReader>, selection: &Selection, column: usize, until: u64) -> Result<&'a mut ColumnReader, QueryError> {
    use std::collections::hash_map::Entry;
    match readers.entry(column) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(new) => Ok(new.insert(selection.table.reader(&selection.objects, column)?.until(until))),
    }
}

/// Picks some slots, which ascend, out of a span of them.
fn places(first: u64, span: u64, slots: &[u64]) -> FilterPredicate {
    let mut words = vec![0u64; span.div_ceil(64) as usize];
    for slot in slots {
        let at = slot - first;
        if let Some(word) = words.get_mut((at / 64) as usize) {
            *word |= 1 << (at % 64);
        }
    }
    let mask = BooleanBuffer::new(words.into(), 0, span as usize);
    FilterBuilder::new(&BooleanArray::new(mask, None)).optimize().build()
}

fn shrink(held: &mut Held, passing: &BooleanArray) -> Result<(), QueryError> {
    if passing.true_count() == passing.len() {
        return Ok(());
    }
    held.slots = passing.values().set_indices().filter_map(|at| held.slots.get(at).copied()).collect();
    for values in held.columns.values_mut() {
        *values = filter(values, passing)?;
    }
    Ok(())
}

/// Where a predicate is true: null counts as false.
pub fn truths(predicate: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray, QueryError> {
    let run = |e| super::error::translate(e, 0);
    let values = predicate.evaluate(batch).and_then(|value| value.into_array(batch.num_rows())).map_err(run)?;
    let values = values.as_boolean_opt().ok_or_else(|| QueryError::Refused(format!("a condition must be true or false, not {}", values.data_type())))?;
    Ok(if values.null_count() > 0 { prep_null_mask_filter(values) } else { values.clone() })
}

/// Nested extension types differ from their storage in the metadata of their children's fields.
fn typed(values: ArrayRef, data_type: &DataType) -> Result<ArrayRef, QueryError> {
    if values.data_type() == data_type { Ok(values) } else { Ok(retype(&values, data_type)?) }
}

impl Iterator for Rows {
    type Item = Result<Passed, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let passed = self.advance().transpose();
        self.failed = matches!(passed, Some(Err(_)));
        passed
    }
}

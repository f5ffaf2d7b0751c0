//! Scans: record batches of the rows that are live, in order, in bounded memory.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use rayon::prelude::*;

use crate::base::RowId;
use crate::base::parallel::on_all_cores;
use crate::chunk::Objects;
use crate::format::node::{Live, Values};
use crate::format::stats::Stats;
use crate::tree::Rope;

use super::column::ColumnReader;
use super::{Table, TableError};

/// What to scan; [`Scan::open`] starts it.
#[derive(Debug, Clone)]
pub struct Scan {
    objects: Arc<Objects>,
    table: Arc<Table>,
    columns: Vec<usize>,
    ranges: Option<Vec<Range<u64>>>,
    batch_rows: u64,
    batch_bytes: u64,
    row_ids: bool,
}

impl Scan {
    pub(super) fn new(objects: Arc<Objects>, table: Arc<Table>) -> Self {
        let columns = (0..table.columns.len()).collect();
        Scan { objects, table, columns, ranges: None, batch_rows: 8192, batch_bytes: 16 << 20, row_ids: false }
    }

    /// Only these columns, by index, in this order.
    pub fn columns(mut self, columns: Vec<usize>) -> Self {
        self.columns = columns;
        self
    }

    /// Only the slots of this range.
    pub fn slots(mut self, range: Range<u64>) -> Self {
        self.ranges = Some(vec![range]);
        self
    }

    /// Only the slots of these ranges, which ascend and do not overlap.
    pub fn ranges(mut self, ranges: Vec<Range<u64>>) -> Self {
        self.ranges = Some(ranges);
        self
    }

    /// At most so many rows a batch.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = (rows as u64).max(1);
        self
    }

    /// About so many bytes of values of each column in a batch, at least one row.
    pub fn batch_bytes(mut self, bytes: u64) -> Self {
        self.batch_bytes = bytes.max(1);
        self
    }

    /// With a first column `_row` of row ids, as text.
    pub fn with_row_ids(mut self, yes: bool) -> Self {
        self.row_ids = yes;
        self
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        let schema = self.table.schema.arrow(&self.columns);
        if !self.row_ids {
            return schema;
        }
        let mut fields = vec![Arc::new(Field::new("_row", DataType::Utf8, false))];
        fields.extend(schema.fields().iter().cloned());
        Arc::new(ArrowSchema::new(fields))
    }

    /// Starts the scan.
    pub fn open(self) -> Result<ScanIter, TableError> {
        let schema = self.schema();
        let slots = self.table.slots(&self.objects)?;
        let mut readers = Vec::with_capacity(self.columns.len());
        for index in &self.columns {
            readers.push(self.table.reader(&self.objects, *index)?);
        }
        let live = self.table.live.get(&*self.objects)?.clone();
        let mut ranges = self.ranges.clone().unwrap_or_else(|| vec![0..slots]);
        ranges.retain(|r| r.start < r.end);
        if let Some(bad) = ranges.iter().find(|r| r.end > slots) {
            return Err(TableError::Slot { slot: bad.end, slots });
        }
        ranges.reverse();
        Ok(ScanIter { all_live: live.summary() == live.rows(), scan: self, schema, live, readers, ranges })
    }
}

/// The batches of a scan.
pub struct ScanIter {
    scan: Scan,
    schema: SchemaRef,
    live: Rope<Live>,
    all_live: bool,
    readers: Vec<ColumnReader>,
    /// What is left, the next last.
    ranges: Vec<Range<u64>>,
}

impl ScanIter {
    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        while let Some(range) = self.ranges.pop() {
            let mut n = (range.end - range.start).min(self.scan.batch_rows);
            for reader in &mut self.readers {
                n = reader.rows_within(range.start, n, self.scan.batch_bytes)?;
            }
            let end = range.start + n;
            if end < range.end {
                self.ranges.push(end..range.end);
            }
            let mask = if self.all_live { None } else { live_mask(&self.scan.objects, &self.live, range.start..end)? };
            let live = mask.as_ref().map_or(n as usize, BooleanArray::true_count);
            if live == 0 {
                continue;
            }
            let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.readers.len() + 1);
            if self.scan.row_ids {
                let ids = self.scan.table.row_ids(&self.scan.objects, range.start..end)?;
                let ids: ArrayRef = Arc::new(StringArray::from_iter_values(ids.iter().map(RowId::to_string)));
                arrays.push(match &mask {
                    Some(mask) => filter(&ids, mask)?,
                    None => ids,
                });
            }
            // Decoding is most of the work: columns side by side.
            let read = |reader: &mut ColumnReader| -> Result<ArrayRef, TableError> {
                let values = reader.read(range.start..end)?;
                Ok(match &mask {
                    Some(mask) => filter(&values, mask)?,
                    None => values,
                })
            };
            match self.readers.as_mut_slice() {
                [one] => arrays.push(read(one)?),
                many => arrays.extend(on_all_cores(|| many.par_iter_mut().map(read).collect::<Result<Vec<_>, _>>())?),
            }
            for (array, field) in arrays.iter_mut().zip(self.schema.fields()) {
                // Nested extension types differ in the metadata of their children's fields.
                if array.data_type() != field.data_type() {
                    *array = retype(array, field.data_type())?;
                }
            }
            let options = RecordBatchOptions::new().with_row_count(Some(live));
            return Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?));
        }
        Ok(None)
    }
}

impl Iterator for ScanIter {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch().transpose();
        if let Some(Err(_)) = batch {
            self.ranges.clear();
        }
        batch
    }
}

/// The same buffers under a type that differs in field names, nullability or metadata alone.
pub fn retype(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, TableError> {
    fn data(from: arrow::array::ArrayData, to: &DataType) -> Result<arrow::array::ArrayData, arrow::error::ArrowError> {
        let children: Vec<&DataType> = match to {
            DataType::List(f) | DataType::FixedSizeList(f, _) => vec![f.data_type()],
            DataType::Struct(fields) => fields.iter().map(|f| f.data_type()).collect(),
            _ => return Ok(from),
        };
        let kids = from.child_data().iter().cloned().zip(children).map(|(kid, to)| data(kid, to)).collect::<Result<Vec<_>, _>>()?;
        from.into_builder().data_type(to.clone()).child_data(kids).build()
    }
    Ok(arrow::array::make_array(data(array.to_data(), data_type)?))
}

/// Which slots of a range are live; `None` where all are.
pub fn live_mask(objects: &Objects, live: &Rope<Live>, range: Range<u64>) -> Result<Option<BooleanArray>, TableError> {
    let mut bits = BooleanBufferBuilder::new((range.end - range.start) as usize);
    let mut all = true;
    for item in live.items(objects, range.start, range.end)? {
        let (_, run) = item?;
        bits.append_n(run.rows as usize, run.live);
        all &= run.live;
    }
    Ok((!all).then(|| BooleanArray::new(bits.finish(), None)))
}

impl Table {
    /// A reader of one column.
    pub fn reader(&self, objects: &Arc<Objects>, column: usize) -> Result<ColumnReader, TableError> {
        let (rope, described) =
            self.columns.get(column).zip(self.schema.columns.get(column)).ok_or_else(|| TableError::NoColumn { name: format!("#{column}"), near: vec![] })?;
        Ok(ColumnReader::new(objects.clone(), rope.get(&**objects)?.clone(), described.ty.storage()))
    }

    /// The ids of the rows in a range of slots.
    pub fn row_ids(&self, objects: &Objects, range: Range<u64>) -> Result<Vec<RowId>, TableError> {
        let mut ids = Vec::with_capacity((range.end - range.start) as usize);
        for item in self.spine.get(objects)?.items(objects, range.start, range.end)? {
            let (_, run) = item?;
            ids.extend((0..run.rows).map(|i| RowId { origin: run.origin, number: run.first + i }));
        }
        Ok(ids)
    }

    /// The cells of some slots, which ascend, in these columns. Only the blocks that hold them are read. Slots of deleted rows are read as well.
    pub fn take(&self, objects: &Arc<Objects>, slots: &[u64], columns: &[usize]) -> Result<RecordBatch, TableError> {
        let schema = self.schema.arrow(columns);
        let mut arrays = Vec::with_capacity(columns.len());
        for (column, field) in columns.iter().zip(schema.fields()) {
            let values = self.reader(objects, *column)?.take(slots)?;
            arrays.push(if values.data_type() == field.data_type() { values } else { retype(&values, field.data_type())? });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }

    /// The slots of the `ranks`-th live rows (from 0), which ascend.
    pub fn slots_of_rows(&self, objects: &Objects, ranks: &[u64]) -> Result<Vec<u64>, TableError> {
        let live = self.live.get(objects)?;
        if live.summary() == live.rows() {
            return match ranks.last() {
                Some(last) if *last >= live.rows() => Err(TableError::Slot { slot: *last, slots: live.rows() }),
                _ => Ok(ranks.to_vec()),
            };
        }
        let mut slots = Vec::with_capacity(ranks.len());
        let (mut ranks, mut rank) = (ranks, 0);
        for item in live.items(objects, 0, live.rows())? {
            let (start, run) = item?;
            if !run.live {
                continue;
            }
            let here = ranks.partition_point(|r| *r < rank + run.rows);
            slots.extend(ranks[..here].iter().map(|r| start + (r - rank)));
            ranks = &ranks[here..];
            rank += run.rows;
            if ranks.is_empty() {
                break;
            }
        }
        match ranks.first() {
            Some(rank) => Err(TableError::Slot { slot: *rank, slots: live.summary() }),
            None => Ok(slots),
        }
    }

    /// The ranges of slots in `ranges` whose values in a column may satisfy a predicate: those whose statistics it does not rule out. `may` gets the statistics
    /// of a stretch and its length. Reads nodes alone.
    pub fn prune(&self, objects: &Objects, column: usize, may: &dyn Fn(&Stats, u64) -> bool, ranges: Vec<Range<u64>>) -> Result<Vec<Range<u64>>, TableError> {
        let (Some(rope), Some(described)) = (self.columns.get(column), self.schema.columns.get(column)) else { return Ok(ranges) };
        let rope = rope.get(objects)?;
        let storage = described.ty.storage();
        let mut kept: Vec<Range<u64>> = Vec::new();
        let mut keep = |from: u64, to: u64| match kept.last_mut() {
            Some(last) if last.end == from => last.end = to,
            _ => kept.push(from..to),
        };
        for range in ranges {
            prune_node(objects, rope, &storage, may, range, &mut keep)?;
        }
        Ok(kept)
    }
}

fn prune_node(
    objects: &Objects,
    rope: &Rope<Values>,
    storage: &DataType,
    may: &dyn Fn(&Stats, u64) -> bool,
    range: Range<u64>,
    keep: &mut dyn FnMut(u64, u64),
) -> Result<(), TableError> {
    rope.visit(
        objects,
        range.start,
        range.end,
        &mut |summary, rows| match &summary.stats {
            // Statistics of another type are of other values than those that are read.
            Some(stats) if summary.types.first() == Some(storage) => may(stats, rows),
            _ => true,
        },
        &mut |from, to| keep(from, to),
    )?;
    Ok(())
}

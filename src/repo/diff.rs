//! The differences of one table between two states as a relation: record batches of one type, streamed.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListBuilder, RecordBatch, RecordBatchOptions, StringArray, StringBuilder, StructArray, UInt32Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields, Schema as ArrowSchema, SchemaRef};

use crate::base::{RowId, TableObjectId};
use crate::chunk::Objects;
use crate::format::array::fixed_width;
use crate::table::changes::{RowChange, RowChanges, common_columns};
use crate::table::{Table, TableError};

use super::{Repo, RepoError};

/// The names of the relation's fields, in order.
pub const FIELDS: [&str; 5] = ["change", "row", "columns", "before", "after"];

/// Keeps some rows of those that differ, told by their slots: a `bool` for each.
pub type RowFilter = Box<dyn FnMut(&[RowChange]) -> Result<Vec<bool>, RepoError> + Send>;

/// The rows of one table that differ between two states, as a relation with these fields:
///
/// | field | type | what it holds |
/// |---|---|---|
/// | `change` | text | `added`, `removed` or `changed` |
/// | `row` | text | the row's id |
/// | `columns` | list of text, null for added and removed rows | the names of the columns whose cells differ, in the newer state's order |
/// | `before` | struct of the older state's columns, null for added rows | the row as it was |
/// | `after` | struct of the newer state's columns, null for removed rows | the row as it is |
///
/// A state that is absent has no rows, and its struct has the other's columns. Columns are matched by identity: one that was renamed stands in `before`
/// under its old name, and one that a single state has is not compared.
///
/// Rows come in the order of the newer state. A removed row stands where the newer state still has its deleted slot, which is its old place; where the
/// newer state has no such slot (after `compact --purge`, or a table written anew), behind the row that it followed, before rows that are new there, and
/// first of all where it followed none.
///
/// Nothing is read ahead of the rows that are asked for, besides what it takes to find them; values are read for the rows of a batch, and only where
/// `before` or `after` is wanted. A batch holds about [`RowDiff::batch_bytes`] of values.
#[derive(Clone)]
pub struct RowDiff {
    objects: Arc<Objects>,
    old: Option<Arc<Table>>,
    new: Option<Arc<Table>>,
    pairs: Vec<(usize, usize)>,
    /// The columns of `before` and of `after`, by index.
    shown: (Vec<usize>, Vec<usize>),
    fields: Vec<usize>,
    sparse: bool,
    limit: u64,
    batch_rows: usize,
    batch_bytes: usize,
}

impl fmt::Debug for RowDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowDiff").field("pairs", &self.pairs).field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl Repo {
    /// The rows of a table that differ between two of its states; `None` where it did not exist.
    pub fn row_diff(&self, old: Option<TableObjectId>, new: Option<TableObjectId>) -> Result<RowDiff, RepoError> {
        let load = |id: Option<TableObjectId>| id.map(|id| Table::load(self.objects(), id).map(Arc::new)).transpose();
        Ok(RowDiff::new(self.objects().clone(), load(old)?, load(new)?))
    }
}

impl RowDiff {
    /// Of two states of a table; `None` where it did not exist.
    pub fn new(objects: Arc<Objects>, old: Option<Arc<Table>>, new: Option<Arc<Table>>) -> RowDiff {
        let pairs = old.as_ref().zip(new.as_ref()).map(|(old, new)| common_columns(old, new)).unwrap_or_default();
        let all = |table: Option<&Arc<Table>>| (0..table.map_or(0, |t| t.columns.len())).collect();
        let shown = (all(old.as_ref().or(new.as_ref())), all(new.as_ref().or(old.as_ref())));
        RowDiff {
            objects,
            old,
            new,
            pairs,
            shown,
            fields: (0..FIELDS.len()).collect(),
            sparse: false,
            limit: u64::MAX,
            batch_rows: 8192,
            batch_bytes: 16 << 20,
        }
    }

    /// The older state.
    pub fn old(&self) -> Option<&Arc<Table>> {
        self.old.as_ref()
    }

    /// The newer state.
    pub fn new_state(&self) -> Option<&Arc<Table>> {
        self.new.as_ref()
    }

    /// The columns that are compared, by their indices in the older and the newer state.
    pub fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    /// Compares only these columns, by name in either state; rows in which only others differ do not come. Errors with [`TableError::NoColumn`].
    pub fn compare(mut self, names: &[String]) -> Result<RowDiff, RepoError> {
        let mut pairs = Vec::new();
        for name in names {
            let (old, new) = self.find(name)?;
            pairs.extend(self.pairs.iter().filter(|(o, n)| new == Some(*n) || (new.is_none() && old == Some(*o))).copied());
        }
        self.pairs.retain(|pair| pairs.contains(pair));
        Ok(self)
    }

    /// Puts only these columns into `before` and `after`, by name in either state; a renamed column goes into both. Errors with [`TableError::NoColumn`].
    pub fn show(mut self, names: &[String]) -> Result<RowDiff, RepoError> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let all = self.old.as_ref().zip(self.new.as_ref()).map(|(old, new)| common_columns(old, new)).unwrap_or_default();
        for name in names {
            let (mut old, mut new) = self.find(name)?;
            let pair = all.iter().find(|(o, n)| new.map_or(old == Some(*o), |new| new == *n));
            if let Some((o, n)) = pair {
                (old, new) = (Some(*o), Some(*n));
            }
            if self.old.is_none() || self.new.is_none() {
                (old, new) = (old.or(new), new.or(old));
            }
            before.extend(old.filter(|i| !before.contains(i)));
            after.extend(new.filter(|i| !after.contains(i)));
        }
        self.shown = (before, after);
        Ok(self)
    }

    /// The columns of `before` and of `after`, by index.
    pub fn shown(&self) -> (&[usize], &[usize]) {
        (&self.shown.0, &self.shown.1)
    }

    /// Leaves out, as null, the cells of changed rows that do not differ, but for those of the key: they are not read.
    pub fn sparse(mut self, yes: bool) -> RowDiff {
        self.sparse = yes;
        self
    }

    fn find(&self, name: &str) -> Result<(Option<usize>, Option<usize>), TableError> {
        let place = |table: &Option<Arc<Table>>| table.as_ref().map(|t| t.schema.index(name)).transpose();
        match (place(&self.old), place(&self.new)) {
            (Ok(None), Err(e)) | (Err(e), Ok(None)) | (Err(_), Err(e)) => Err(e),
            (old, new) => Ok((old.ok().flatten(), new.ok().flatten())),
        }
    }

    /// Only these of the five [`FIELDS`], by index, in this order.
    pub fn project(mut self, fields: Vec<usize>) -> RowDiff {
        self.fields = fields;
        self.fields.retain(|i| *i < FIELDS.len());
        self
    }

    /// At most so many rows.
    pub fn limit(mut self, rows: u64) -> RowDiff {
        self.limit = rows;
        self
    }

    /// At most so many rows a batch.
    pub fn batch_rows(mut self, rows: usize) -> RowDiff {
        self.batch_rows = rows.max(1);
        self
    }

    /// About so many bytes of values a batch, at least one row. How wide rows are is known only from those before.
    pub fn batch_bytes(mut self, bytes: usize) -> RowDiff {
        self.batch_bytes = bytes.max(1);
        self
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        let (before, after) = self.structs();
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let fields = self.fields.iter().map(|i| match i {
            0 | 1 => text(FIELDS[*i]),
            2 => Field::new(FIELDS[2], DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true),
            3 => Field::new(FIELDS[3], DataType::Struct(before.clone()), true),
            _ => Field::new(FIELDS[4], DataType::Struct(after.clone()), true),
        });
        Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
    }

    /// The fields of `before` and of `after`: nullable all, with their types' extensions.
    fn structs(&self) -> (Fields, Fields) {
        let fields = |table: Option<&Arc<Table>>, columns: &[usize]| -> Fields {
            let columns = columns.iter().filter_map(|i| table?.schema.columns.get(*i));
            columns.map(|c| c.ty.field(&c.name, true)).collect()
        };
        (fields(self.old.as_ref().or(self.new.as_ref()), &self.shown.0), fields(self.new.as_ref().or(self.old.as_ref()), &self.shown.1))
    }

    /// The rows alone, by their slots, without a value: what counts them. `columns` of a change are places in [`RowDiff::pairs`].
    pub fn rows(&self) -> Result<RowChanges, RepoError> {
        Ok(RowChanges::open(&self.objects, self.old.clone(), self.new.clone(), Some(self.pairs.clone()))?)
    }

    /// Reads some rows, as [`RowDiff::rows`] gave them.
    pub fn read(&self, rows: &[RowChange]) -> Result<RecordBatch, RepoError> {
        let (before, after) = self.structs();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            arrays.push(match field {
                0 => Arc::new(StringArray::from_iter_values(rows.iter().map(word))),
                1 => self.ids(rows)?,
                2 => self.changed_columns(rows),
                3 => self.side(self.old.as_ref(), &self.shown.0, &before, rows, |row| row.old_slot(), |pair| pair.0)?,
                _ => self.side(self.new.as_ref(), &self.shown.1, &after, rows, |row| row.new_slot(), |pair| pair.1)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(self.schema(), arrays, &options).map_err(TableError::from)?)
    }

    fn ids(&self, rows: &[RowChange]) -> Result<ArrayRef, RepoError> {
        let place = |row: &RowChange| match row {
            RowChange::Removed { old } => (false, *old),
            RowChange::Added { new } | RowChange::Changed { new, .. } => (true, *new),
        };
        let mut ids: Vec<RowId> = Vec::with_capacity(rows.len());
        let mut at = 0;
        while let Some((newer, first)) = rows.get(at).map(place) {
            // Neighbours are looked up together.
            let n = rows[at..].iter().zip(0..).take_while(|(row, i)| place(row) == (newer, first + i)).count() as u64;
            let run: Range<u64> = first..first + n;
            if let Some(table) = if newer { &self.new } else { &self.old } {
                ids.extend(table.row_ids(&self.objects, run)?);
            }
            at += n as usize;
        }
        Ok(Arc::new(StringArray::from_iter_values(ids.iter().map(RowId::to_string))))
    }

    fn changed_columns(&self, rows: &[RowChange]) -> ArrayRef {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in rows {
            let RowChange::Changed { columns, .. } = row else {
                lists.append(false);
                continue;
            };
            for place in columns {
                let column = self.pairs.get(*place).zip(self.new.as_ref()).and_then(|((_, n), new)| new.schema.columns.get(*n));
                lists.values().append_option(column.map(|c| c.name.as_str()));
            }
            lists.append(true);
        }
        Arc::new(lists.finish())
    }

    /// The cells of one state, null where it has no such row.
    fn side(
        &self,
        table: Option<&Arc<Table>>,
        columns: &[usize],
        fields: &Fields,
        rows: &[RowChange],
        slot: impl Fn(&RowChange) -> Option<u64>,
        column_of: impl Fn(&(usize, usize)) -> usize,
    ) -> Result<ArrayRef, RepoError> {
        let slots: Vec<Option<u64>> = rows.iter().map(&slot).collect();
        let Some(table) = table.filter(|_| slots.iter().any(Option::is_some)) else {
            return Ok(new_null_array(&DataType::Struct(fields.clone()), slots.len()));
        };
        let valid: NullBuffer = slots.iter().map(Option::is_some).collect();
        if fields.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(slots.len(), Some(valid))));
        }
        let arrays = if self.sparse {
            let key = table.schema.key_indices();
            let mut arrays = Vec::with_capacity(columns.len());
            for column in columns {
                let place = self.pairs.iter().position(|pair| column_of(pair) == *column);
                let is_wanted = |row: &RowChange| match row {
                    RowChange::Changed { columns, .. } => key.contains(column) || place.is_some_and(|place| columns.contains(&place)),
                    _ => true,
                };
                let slots: Vec<Option<u64>> = rows.iter().map(|row| slot(row).filter(|_| is_wanted(row))).collect();
                arrays.extend(take_any(&self.objects, table, &[*column], &slots)?);
            }
            arrays
        } else {
            take_any(&self.objects, table, columns, &slots)?
        };
        Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, Some(valid)).map_err(TableError::from)?))
    }

    /// Starts reading.
    pub fn open(self) -> Result<RowDiffs, RepoError> {
        self.open_filtered(None)
    }

    /// Starts reading, of those rows that `filter` keeps.
    pub fn open_filtered(self, filter: Option<RowFilter>) -> Result<RowDiffs, RepoError> {
        let changes = self.rows()?;
        let (before, after) = self.structs();
        let wide = |fields: &Fields, field: usize| self.fields.contains(&field) && fields.iter().any(|f| fixed_width(f.data_type()).is_none());
        let size = if wide(&before, 3) || wide(&after, 4) { FIRST_ROWS.min(self.batch_rows) } else { self.batch_rows };
        Ok(RowDiffs { schema: self.schema(), left: self.limit, diff: self, changes, filter, kept: VecDeque::new(), size })
    }
}

/// Rows of the first batch where some are of unknown width.
const FIRST_ROWS: usize = 32;

/// The batches of a [`RowDiff`].
pub struct RowDiffs {
    diff: RowDiff,
    schema: SchemaRef,
    changes: RowChanges,
    filter: Option<RowFilter>,
    /// Rows that the filter kept and no batch had.
    kept: VecDeque<RowChange>,
    left: u64,
    /// Rows of the next batch.
    size: usize,
}

impl RowDiffs {
    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether rows of both states stand in another order.
    pub fn reordered(&self) -> bool {
        self.changes.reordered()
    }

    /// The next rows, by their slots: a batch's.
    fn rows(&mut self) -> Result<Vec<RowChange>, RepoError> {
        let most = self.size.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(filter) = &mut self.filter else { return Ok(self.changes.by_ref().take(most).collect::<Result<_, _>>()?) };
        while self.kept.is_empty() {
            // It may leave few: many are asked about at a time.
            let mut rows = self.changes.by_ref().take(most.max(256)).collect::<Result<Vec<_>, _>>()?;
            if rows.is_empty() {
                break;
            }
            let keep = filter(&rows)?;
            let mut keep = keep.iter();
            rows.retain(|_| keep.next().copied().unwrap_or(false));
            self.kept.extend(rows);
        }
        Ok(self.kept.drain(..most.min(self.kept.len())).collect())
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>, RepoError> {
        if self.left == 0 {
            return Ok(None);
        }
        let rows = self.rows()?;
        if rows.is_empty() {
            self.left = 0;
            return Ok(None);
        }
        self.left -= rows.len() as u64;
        let batch = self.diff.read(&rows)?;
        let mut bytes = 0;
        for (field, array) in self.diff.fields.iter().zip(batch.columns()) {
            if *field > 2 {
                bytes += array.to_data().get_slice_memory_size().map_err(TableError::from)?;
            }
        }
        let fit = self.diff.batch_bytes / (bytes / rows.len()).max(1);
        self.size = fit.min(self.size.saturating_mul(4)).clamp(1, self.diff.batch_rows);
        Ok(Some(batch))
    }
}

/// The cells of some slots, in any order, in these columns; null where there is no slot. Only the blocks that hold them are read.
pub fn take_any(objects: &Arc<Objects>, table: &Table, columns: &[usize], slots: &[Option<u64>]) -> Result<Vec<ArrayRef>, TableError> {
    let mut sorted: Vec<u64> = slots.iter().flatten().copied().collect();
    let in_order = sorted.len() == slots.len() && sorted.is_sorted_by(|a, b| a < b);
    if !in_order {
        sorted.sort_unstable();
        sorted.dedup();
    }
    let cells = table.take(objects, &sorted, columns)?;
    if in_order {
        return Ok(cells.columns().to_vec());
    }
    let places = slots.iter().map(|slot| slot.map(|slot| sorted.partition_point(|s| *s < slot) as u32));
    let places: UInt32Array = places.collect();
    Ok(cells.columns().iter().map(|array| take(array, &places, None)).collect::<Result<_, _>>()?)
}

impl Iterator for RowDiffs {
    type Item = Result<RecordBatch, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch().transpose();
        if let Some(Err(_)) = batch {
            self.left = 0;
        }
        batch
    }
}

/// The word for a change.
fn word(row: &RowChange) -> &'static str {
    match row {
        RowChange::Added { .. } => "added",
        RowChange::Removed { .. } => "removed",
        RowChange::Changed { .. } => "changed",
    }
}

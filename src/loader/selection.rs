//! What is loaded: rows of a commit, numbered from 0, and columns of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};

use crate::base::CommitId;
use crate::base::name::nearest;
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::array::fixed_width;
use crate::format::node::{Kind, RowRun, Spine};
use crate::repo::Repo;
use crate::table::{Table, TableError};

use super::{LoaderError, Slots};

/// Rows whose cells are looked at to know how large a column's are.
const SAMPLED_ROWS: u64 = 16;

/// Rows of a commit and columns of them. Pictures and all else that a table has stay where they are; a branch that moves or goes meanwhile changes nothing.
#[derive(Debug, Clone)]
pub struct Selection {
    parts: Vec<Part>,
    columns: Vec<Column>,
    rows: u64,
    commit: CommitId,
    digest: String,
}

/// Rows of one table, and columns of them: row `i` of the selection stands at the `i`-th slot.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub objects: Arc<Objects>,
    pub table: Arc<Table>,
    pub columns: Vec<usize>,
    pub slots: Slots,
    /// Where the table is, if it was made for this.
    pub made: Option<Arc<tempfile::TempDir>>,
}

/// A column that is loaded.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// The part that has it, and its place among that part's columns.
    pub(super) at: (usize, usize),
}

impl Selection {
    /// All rows of a table at a revision, in the table's order, with these columns or with all.
    pub fn of_table(repo: &Repo, revision: &str, name: &str, columns: Option<&[&str]>) -> Result<Selection, LoaderError> {
        let (objects, commit) = (repo.objects().clone(), repo.resolve(revision)?);
        let table = repo.table(name, Some(&commit.to_string()))?;
        let columns: Vec<usize> = match columns {
            Some(names) => names.iter().map(|name| table.schema.index(name)).collect::<Result<_, _>>()?,
            None => (0..table.columns.len()).collect(),
        };
        let mut slots = Slots::new();
        let live = table.live.get(&*objects)?;
        for run in live.items(&*objects, 0, live.rows())? {
            let (start, run) = run?;
            if run.live {
                slots.push(start..start + run.rows);
            }
        }
        let named = columns.iter().enumerate().filter_map(|(at, column)| {
            let column = table.schema.columns.get(*column)?;
            Some(Column { name: column.name.clone(), ty: column.ty.clone(), at: (0, at) })
        });
        let named = named.collect();
        Selection::new(commit, named, vec![Part { objects, table, columns, slots, made: None }])
    }

    /// Of parts that have equally many rows.
    pub(super) fn new(commit: CommitId, columns: Vec<Column>, parts: Vec<Part>) -> Result<Selection, LoaderError> {
        let rows = parts.first().map_or(0, |part| part.slots.count());
        let digest = digest(&columns, &parts)?;
        Ok(Selection { parts, columns, rows, commit, digest })
    }

    /// The commit that the rows are of.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The same rows with these columns alone, in this order.
    pub fn only(self, names: &[&str]) -> Result<Selection, LoaderError> {
        let find = |name: &&str| {
            let near = || nearest(name, self.columns.iter().map(|column| column.name.as_str())).into_iter().map(str::to_owned).collect();
            let found = self.columns.iter().find(|column| column.name == **name).cloned();
            found.ok_or_else(|| TableError::NoColumn { name: (*name).to_owned(), near: near() })
        };
        let columns = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        Selection::new(self.commit, columns, self.parts)
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(ArrowSchema::new(self.columns.iter().map(|column| column.ty.field(&column.name, true)).collect::<Vec<_>>()))
    }

    /// A digest of the row ids and the columns, in hexadecimal: the same after a compaction, and after columns were added that are not loaded.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// These rows, in this order; one may come more than once. Only the blocks that hold them are read.
    pub fn read(&self, rows: &[u64]) -> Result<RecordBatch, LoaderError> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let cells = self.gather(&all, rows)?;
        let arrays = cells.into_iter().map(|cells| cells.in_order()).collect::<Result<Vec<_>, _>>()?;
        let schema = self.schema();
        let arrays = arrays.iter().zip(schema.fields()).map(|(array, field)| crate::table::scan::retype(array, field.data_type())).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }

    /// The cells of some rows in some columns, by their place in [`Selection::columns`], in storage types.
    pub(super) fn gather(&self, columns: &[usize], rows: &[u64]) -> Result<Vec<Cells>, LoaderError> {
        let mut found: Vec<Option<Cells>> = columns.iter().map(|_| None).collect();
        for (at, part) in self.parts.iter().enumerate() {
            let here = columns.iter().enumerate().filter_map(|(i, column)| self.columns.get(*column).filter(|c| c.at.0 == at).map(|c| (i, c.at.1)));
            let here: Vec<(usize, usize)> = here.collect();
            if here.is_empty() {
                continue;
            }
            let slot = |row: &u64| part.slots.get(*row).ok_or(LoaderError::NoRow { row: *row, rows: self.rows });
            let wanted = rows.iter().map(slot).collect::<Result<Vec<u64>, _>>()?;
            let mut slots = wanted.clone();
            slots.sort_unstable();
            slots.dedup();
            let places = (slots != wanted).then(|| {
                let place = |slot: &u64| slots.partition_point(|other| other < slot) as u32;
                UInt32Array::from_iter_values(wanted.iter().map(place))
            });
            for (i, column) in here {
                let Some(column) = part.columns.get(column) else { continue };
                let values = part.table.reader(&part.objects, *column)?.take(&slots)?;
                if let Some(found) = found.get_mut(i) {
                    *found = Some(Cells { values, places: places.clone() });
                }
            }
        }
        let missing = || LoaderError::Thread("a column is loaded that is not there".into());
        found.into_iter().map(|cells| cells.ok_or_else(missing)).collect()
    }

    /// True where reading takes long: rows are worth to be asked for before they are read.
    pub(super) fn is_far(&self) -> bool {
        self.parts.iter().any(|part| part.objects.is_far())
    }

    /// Starts to bring what holds some rows in some columns, in their order.
    pub(super) fn bring(&self, columns: &[usize], rows: &[u64]) -> Result<(), LoaderError> {
        for column in columns.iter().filter_map(|column| self.columns.get(*column)) {
            let Some(part) = self.parts.get(column.at.0).filter(|part| part.objects.is_far()) else { continue };
            let Some(at) = part.columns.get(column.at.1) else { continue };
            let slots: Vec<u64> = rows.iter().filter_map(|row| part.slots.get(*row)).collect();
            part.table.reader(&part.objects, *at)?.bring_slots(&slots)?;
        }
        Ok(())
    }

    /// About how many bytes a cell of a column has: of some rows across the selection, so that it does not depend on how chunks lie.
    pub(super) fn cell_bytes(&self, column: usize) -> Result<u64, LoaderError> {
        if let Some(width) = self.columns.get(column).and_then(|column| fixed_width(&column.ty.storage())) {
            return Ok(width as u64);
        }
        let n = self.rows.min(SAMPLED_ROWS);
        let rows: Vec<u64> = (0..n).map(|i| self.rows * i / n.max(1)).collect();
        let cells = self.gather(&[column], &rows)?;
        let bytes: usize = cells.iter().map(|cells| cells.values.to_data().get_slice_memory_size().unwrap_or_default()).sum();
        Ok(bytes as u64 / n.max(1))
    }

    /// What a row is called in messages.
    pub fn name(&self, row: u64) -> String {
        let named = self.parts.iter().find(|part| part.made.is_none()).and_then(|part| {
            let slot = part.slots.get(row)?;
            part.table.row_ids(&part.objects, slot..slot + 1).ok()?.pop()
        });
        named.map_or_else(|| format!("row {row} of the query's answer"), |id| format!("row {id}"))
    }
}

/// Cells as they were read, and where those of each row stand among them.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    values: ArrayRef,
    /// Without, they stand in the rows' order.
    places: Option<UInt32Array>,
}

impl Cells {
    /// Those of all rows.
    pub fn in_order(self) -> Result<ArrayRef, LoaderError> {
        match self.places {
            Some(places) => Ok(take(&self.values, &places, None)?),
            None => Ok(self.values),
        }
    }

    /// Those of some rows that follow each other.
    pub fn slice(&self, from: usize, n: usize) -> Result<ArrayRef, LoaderError> {
        match &self.places {
            Some(places) => Ok(take(&self.values, &places.slice(from, n), None)?),
            None => Ok(self.values.slice(from, n)),
        }
    }
}

/// What a state knows a selection by.
fn digest(columns: &[Column], parts: &[Part]) -> Result<String, LoaderError> {
    let mut hasher = blake3::Hasher::new();
    let number = |hasher: &mut blake3::Hasher, n: u64, bytes: &[u8]| {
        hasher.update(&n.to_le_bytes()).update(bytes);
    };
    number(&mut hasher, columns.len() as u64, &[]);
    for column in columns {
        let Some((part, at)) = parts.get(column.at.0).and_then(|part| Some((part, *part.columns.get(column.at.1)?))) else { continue };
        if part.made.is_some() {
            // It has no identity but what it holds.
            let content = part.table.columns.get(at).map(|rope| rope.get(&*part.objects).map(|rope| rope.content().to_vec())).transpose()?.unwrap_or_default();
            number(&mut hasher, content.len() as u64, &content);
        } else if let Some(described) = part.table.schema.columns.get(at) {
            number(&mut hasher, 0, part.table.id.as_bytes());
            hasher.update(described.id.as_bytes());
        }
    }
    for part in parts {
        for run in runs(part)? {
            if part.made.is_none() {
                hasher.update(run.origin.as_bytes());
            }
            number(&mut hasher, run.first, &run.rows.to_le_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Runs of row ids as they follow each other, however the tree has them cut.
fn runs(part: &Part) -> Result<Vec<RowRun>, LoaderError> {
    let mut last: Option<RowRun> = None;
    let mut runs = Vec::new();
    let spine = part.table.spine.get(&*part.objects)?;
    for range in part.slots.runs() {
        for run in spine.items(&*part.objects, range.start, range.end)? {
            let (_, run) = run?;
            last = match last.map(|before| (before, Spine::join(&before, &run))) {
                Some((_, Some(joined))) => Some(joined),
                Some((before, None)) => {
                    runs.push(before);
                    Some(run)
                }
                None => Some(run),
            };
        }
    }
    runs.extend(last);
    Ok(runs)
}

//! Values into slices: chunks for runs, literals for a few small cells, ropes of their own for large values.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{cast_with_options, concat, nullif};
use arrow::datatypes::DataType;
use rayon::prelude::*;

use crate::base::parallel::on_all_cores;
use crate::base::{Origin, TableId};
use crate::chunk::{ChunkWriter, Objects};
use crate::format::Type;
use crate::format::array::{self, LITERAL_ALIGN, to_storage};
use crate::format::node::{LargeRef, RowRun, Run, Slice};
use crate::tree::{Builder, Rope};

use super::large::{self, LARGE_MIN};
use super::{LazyRope, Table, TableError};

/// A cell whose bytes are in a file, too large to be held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeCell {
    /// Its row in the batch.
    pub row: u64,
    /// Its column in the batch.
    pub column: usize,
    /// The file.
    pub source: PathBuf,
}

/// Up to so many cells of a write stand in the leaf itself, if none is longer than [`LITERAL_CELL_MAX`].
pub const LITERAL_ROWS_MAX: usize = 32;
/// The longest literal, in canonical bytes.
pub const LITERAL_CELL_MAX: usize = 64;

/// Takes the values of one column, in order, and gives them as slices.
pub struct ColumnWriter {
    objects: Arc<Objects>,
    name: String,
    storage: DataType,
    rows: u64,
    /// The first values, until it is known whether they are few enough to be literals.
    first: Vec<ArrayRef>,
    chunks: Option<ChunkWriter>,
    large: BTreeMap<u64, Arc<LargeRef>>,
}

impl ColumnWriter {
    /// A writer of a column with this name and type.
    pub fn new(objects: Arc<Objects>, name: &str, ty: &Type) -> Self {
        ColumnWriter { objects, name: name.to_owned(), storage: ty.storage(), rows: 0, first: Vec::new(), chunks: None, large: BTreeMap::new() }
    }

    /// Adds values; `sources` are the files of those cells, by row, whose values are null because they are too large.
    pub fn push(&mut self, values: &ArrayRef, sources: &[(usize, &PathBuf)]) -> Result<(), TableError> {
        let mut values = self.fit(values)?;
        for (row, path) in sources {
            let large = self.store(path)?;
            self.large.insert(self.rows + *row as u64, large);
        }
        if let Some(rows) = oversized(&values) {
            for row in &rows {
                let bytes = match &self.storage {
                    DataType::Utf8 => values.as_string::<i32>().value(*row).as_bytes(),
                    _ => values.as_binary::<i32>().value(*row),
                };
                let large = large::write(&self.objects, &mut &*bytes, self.storage.clone())?;
                self.large.insert(self.rows + *row as u64, Arc::new(large));
            }
            let mask = BooleanArray::from_iter((0..values.len()).map(|i| Some(rows.binary_search(&i).is_ok())));
            values = nullif(&values, &mask)?;
        }
        self.rows += values.len() as u64;
        if self.chunks.is_none() {
            self.first.push(values);
            if self.rows > LITERAL_ROWS_MAX as u64 {
                self.start_chunks()?;
            }
            return Ok(());
        }
        if let Some(writer) = &mut self.chunks {
            writer.push(&values)?;
        }
        Ok(())
    }

    /// Keeps a file as a large value, of which [`ColumnWriter::push_large`] makes a cell.
    pub fn store(&self, path: &PathBuf) -> Result<Arc<LargeRef>, TableError> {
        let mut file = File::open(path).map_err(|source| TableError::Source { path: path.clone(), source })?;
        Ok(Arc::new(large::write(&self.objects, &mut file, self.storage.clone())?))
    }

    /// Adds a large value.
    pub fn push_large(&mut self, large: Arc<LargeRef>) -> Result<(), TableError> {
        self.large.insert(self.rows, large);
        self.push(&new_null_array(&self.storage, 1), &[])
    }

    fn start_chunks(&mut self) -> Result<(), TableError> {
        let mut writer = ChunkWriter::new(self.objects.clone(), self.storage.clone());
        for values in self.first.drain(..) {
            writer.push(&values)?;
        }
        self.chunks = Some(writer);
        Ok(())
    }

    /// Values as the storage type, or why one does not fit.
    fn fit(&self, values: &ArrayRef) -> Result<ArrayRef, TableError> {
        if values.data_type() == &self.storage {
            return Ok(values.clone());
        }
        let fitted = to_storage(values, &self.storage).or_else(|refused| {
            let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
            cast_with_options(values, &self.storage, &options).map_err(|_| refused).and_then(|cast| to_storage(&cast, &self.storage))
        });
        fitted.map_err(|e| TableError::Value { row: self.rows + 1, column: self.name.clone(), why: e.to_string() })
    }

    /// The slices of all values, and what their identity is made of: equal writes give equal bytes.
    pub fn finish(mut self) -> Result<(Vec<Slice>, Vec<u8>), TableError> {
        let mut identity = Vec::new();
        if self.chunks.is_none() {
            let cells = match self.first.len() {
                0 => return Ok((Vec::new(), identity)),
                1 => self.first[0].clone(),
                _ => concat(&self.first.iter().map(|a| &**a).collect::<Vec<_>>())?,
            };
            if is_literal(&cells)? {
                let (bytes, _) = array::encode(&cells, LITERAL_ALIGN)?;
                identity.extend_from_slice(blake3::hash(&bytes).as_bytes());
                return Ok((self.with_large(vec![Slice::Literal(cells)], &mut identity), identity));
            }
            self.start_chunks()?;
        }
        let Some(writer) = self.chunks.take() else { return Ok((Vec::new(), identity)) };
        let chunks = writer.finish()?;
        let mut slices = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            identity.extend_from_slice(chunk.id.as_bytes());
            slices.push(Slice::Chunk { first: 0, rows: chunk.rows, chunk: Arc::new(chunk) });
        }
        Ok((self.with_large(slices, &mut identity), identity))
    }

    /// Puts the large values into their rows.
    fn with_large(&self, slices: Vec<Slice>, identity: &mut Vec<u8>) -> Vec<Slice> {
        use crate::format::node::{Kind, Values};
        if self.large.is_empty() {
            return slices;
        }
        let mut out = Vec::with_capacity(slices.len() + 2 * self.large.len());
        let mut at = 0;
        for slice in slices {
            let end = at + Values::rows(&slice);
            let mut from = at;
            for (row, large) in self.large.range(at..end) {
                if *row > from {
                    out.push(Values::cut(&slice, from - at, row - at));
                }
                out.push(Slice::Large(large.clone()));
                identity.extend_from_slice(&row.to_le_bytes());
                identity.extend_from_slice(&large.reference);
                from = row + 1;
            }
            if from == at {
                out.push(slice);
            } else if from < end {
                out.push(Values::cut(&slice, from - at, end - at));
            }
            at = end;
        }
        out
    }
}

/// Whether some cells may stand in a leaf: few, and each small.
pub fn is_literal(cells: &ArrayRef) -> Result<bool, TableError> {
    if cells.len() > LITERAL_ROWS_MAX {
        return Ok(false);
    }
    if let Some(width) = array::fixed_width(cells.data_type()) {
        return Ok(width <= LITERAL_CELL_MAX);
    }
    for i in 0..cells.len() {
        if array::encode(&cells.slice(i, 1), LITERAL_ALIGN)?.0.len() > LITERAL_CELL_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rows of text or binary whose values are large; `None` where there are none.
fn oversized(values: &ArrayRef) -> Option<Vec<usize>> {
    let offsets = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().offsets(),
        DataType::Binary => values.as_binary::<i32>().offsets(),
        _ => return None,
    };
    let whole = i64::from(*offsets.last()?) - i64::from(*offsets.first()?);
    if whole <= LARGE_MIN as i64 {
        return None;
    }
    let rows: Vec<usize> = offsets.windows(2).enumerate().filter(|(_, w)| i64::from(w[1]) - i64::from(w[0]) > LARGE_MIN as i64).map(|(i, _)| i).collect();
    (!rows.is_empty()).then_some(rows)
}

/// Rows that are on their way into a table: a writer for each of some columns.
pub struct RowWriter {
    table: TableId,
    /// What the new rows stand on: the spine as it was.
    parent: Vec<u8>,
    names: Vec<String>,
    writers: Vec<ColumnWriter>,
    rows: u64,
}

/// Rows that were written, ready to take their place in a table.
pub struct NewRows {
    /// Their identity.
    pub origin: Origin,
    /// How many.
    pub rows: u64,
    /// The slices of each column that was written, by name.
    pub columns: Vec<(String, Vec<Slice>)>,
}

impl RowWriter {
    /// A writer of rows with these columns, for `table`.
    pub fn new(objects: &Arc<Objects>, table: &Table, columns: &[(String, Type)]) -> Result<Self, TableError> {
        Ok(RowWriter {
            table: table.id,
            parent: table.spine.get(&**objects)?.content().to_vec(),
            names: columns.iter().map(|(n, _)| n.clone()).collect(),
            writers: columns.iter().map(|(n, t)| ColumnWriter::new(objects.clone(), n, t)).collect(),
            rows: 0,
        })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds the rows of a batch, whose columns are those the writer was made for, in that order. Columns are encoded in parallel.
    pub fn push(&mut self, batch: &RecordBatch, large: &[LargeCell]) -> Result<(), TableError> {
        if batch.num_columns() != self.writers.len() {
            return Err(TableError::Schema(format!("{} columns where {} are expected", batch.num_columns(), self.writers.len())));
        }
        let writers = &mut self.writers;
        on_all_cores(|| {
            writers.par_iter_mut().zip(batch.columns()).enumerate().try_for_each(|(i, (writer, values))| {
                let sources: Vec<(usize, &PathBuf)> = large.iter().filter(|c| c.column == i).map(|c| (c.row as usize, &c.source)).collect();
                writer.push(values, &sources)
            })
        })?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the write. The origin follows from the table, the spine the rows stand on, and the rows' cells by column name: the same write onto the same rows is the
    /// same rows.
    pub fn finish(self) -> Result<NewRows, TableError> {
        let finished: Vec<(Vec<Slice>, Vec<u8>)> = on_all_cores(|| self.writers.into_par_iter().map(ColumnWriter::finish).collect::<Result<_, _>>())?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"dsv origin").update(self.table.as_bytes()).update(blake3::hash(&self.parent).as_bytes()).update(&self.rows.to_le_bytes());
        let mut columns: Vec<(String, Vec<Slice>, Vec<u8>)> = self.names.into_iter().zip(finished).map(|(n, (s, i))| (n, s, i)).collect();
        columns.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, _, identity) in &columns {
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(&(identity.len() as u64).to_le_bytes()).update(identity);
        }
        let mut origin = [0; 16];
        origin.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Ok(NewRows { origin: Origin(origin), rows: self.rows, columns: columns.into_iter().map(|(n, s, _)| (n, s)).collect() })
    }
}

impl Table {
    /// The table with rows added at its end. Columns that were not written get their default, or null.
    pub fn append(&self, objects: &Arc<Objects>, new: NewRows) -> Result<Table, TableError> {
        if new.rows == 0 {
            return Ok(self.clone());
        }
        let store = &**objects;
        let mut table = self.clone();
        let spine = self.spine.get(store)?;
        let mut builder = Builder::new(store);
        builder.append(spine, 0, spine.rows())?;
        builder.push(RowRun { origin: new.origin, first: 0, rows: new.rows })?;
        table.spine = LazyRope::new(builder.finish()?);
        let live = self.live.get(store)?;
        let mut builder = Builder::new(store);
        builder.append(live, 0, live.rows())?;
        builder.push(Run { live: true, rows: new.rows })?;
        table.live = LazyRope::new(builder.finish()?);
        for (index, slices) in self.place(new.columns, new.rows)?.into_iter().enumerate() {
            let rope = self.columns[index].get(store)?;
            let mut builder = Builder::new(store);
            builder.append(rope, 0, rope.rows())?;
            for slice in slices {
                builder.push(slice)?;
            }
            table.columns[index] = LazyRope::new(builder.finish()?);
        }
        Ok(table)
    }

    /// The slices of new rows for each column of the table, in its order: those written, by name, and the default for the others.
    pub(super) fn place(&self, written: Vec<(String, Vec<Slice>)>, rows: u64) -> Result<Vec<Vec<Slice>>, TableError> {
        let mut written: BTreeMap<String, Vec<Slice>> = written.into_iter().collect();
        let placed = self
            .schema
            .columns
            .iter()
            .map(|column| match written.remove(&column.name) {
                Some(slices) => Ok(slices),
                None => Ok(vec![Slice::Constant { value: new_null_array(&column.ty.storage(), 1), rows }]),
            })
            .collect::<Result<_, TableError>>()?;
        match written.into_keys().next() {
            Some(name) => Err(TableError::NoColumn { name, near: vec![] }),
            None => Ok(placed),
        }
    }

    /// The same table with other ropes.
    pub(super) fn with_ropes(
        &self,
        spine: Rope<crate::format::node::Spine>,
        live: Rope<crate::format::node::Live>,
        columns: Vec<LazyRope<crate::format::node::Values>>,
    ) -> Table {
        Table { id: self.id, schema: self.schema.clone(), spine: LazyRope::new(spine), live: LazyRope::new(live), columns }
    }
}

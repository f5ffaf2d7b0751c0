//! Rows that come as batches, from a query or a program, into tables of the working state.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter, filter_record_batch, take};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, UInt64Type};

use crate::format::Type;
use crate::table::edit::check_labels;
use crate::table::key::KeyIndex;
use crate::table::replace::Rewriter;
use crate::table::write::RowWriter;
use crate::table::{Schema, Table, TableError};

use super::files::conform;
use super::import::table_seed;
use super::keys::Keys;
use super::{Repo, RepoError};

/// Rows in batches.
pub type RowStream<'a> = &'a mut dyn Iterator<Item = Result<RecordBatch, RepoError>>;

/// What becomes of rows that a table has: from the table, the new rows and the slots that they met, the new cells of the columns to set, and of which of the rows
/// they are to be set.
pub type NewCells<'a> = &'a mut dyn FnMut(&Arc<Table>, &RecordBatch, &[u64]) -> Result<(Vec<ArrayRef>, BooleanArray), RepoError>;

/// What to do with a new row whose key the table has.
pub enum OnKey<'a> {
    /// It is an error.
    Refuse,
    /// It is left out.
    Skip,
    /// These columns of the row that is there are set. A key that comes twice is an error.
    Set(&'a [String], NewCells<'a>),
}

/// How many rows a write touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Affected {
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that were there and were set, also where they held the same before.
    pub updated: u64,
}

impl Repo {
    /// Adds rows at the end of a table of the working state. Their columns are `columns` of the table, in that order; the others get null. Values are brought to
    /// the columns' types where that changes nothing about them. Memory stays bounded; where it fails, nothing has changed.
    pub fn insert_rows(&self, name: &str, columns: &[String], rows: RowStream, on_key: OnKey, command: &str) -> Result<Affected, RepoError> {
        let mut affected = Affected::default();
        self.edit_table(name, command, |table| -> Result<Table, RepoError> {
            let typed = typed(&table, columns)?;
            let mut insert = Insert::new(self, &table, &typed, on_key)?;
            for batch in rows {
                insert.push(batch?)?;
            }
            let (table, done) = insert.finish()?;
            affected = done;
            Ok(table)
        })?;
        Ok(affected)
    }

    /// Sets cells: each row has the new cells of `columns`, in that order, and behind them the slot of the row that they are for. Only cells that differ are
    /// written. A slot that comes twice is an error.
    pub fn update_rows(&self, name: &str, columns: &[String], rows: RowStream, command: &str) -> Result<Affected, RepoError> {
        let mut updated = 0;
        self.edit_table(name, command, |table| -> Result<Table, RepoError> {
            let typed = typed(&table, columns)?;
            let mut rewriter = Rewriter::new(self.objects(), &table, &typed)?;
            let mut seen = vec![false; usize::try_from(table.slots(self.objects())?).unwrap_or(usize::MAX)];
            for batch in rows {
                let batch = batch?;
                let slots = slots(&batch)?;
                for slot in slots {
                    match seen.get_mut(*slot as usize) {
                        Some(seen) if !*seen => *seen = true,
                        Some(_) => {
                            return Err(RepoError::refused_with(
                                format!("a row of '{name}' is matched by several rows, each of which would set it"),
                                "let at most one row match: SELECT DISTINCT ON (...) picks one",
                            ));
                        }
                        None => return Err(TableError::Slot { slot: *slot, slots: seen.len() as u64 }.into()),
                    }
                }
                let slots: Vec<Option<u64>> = slots.iter().map(|slot| Some(*slot)).collect();
                let cells = fitted(&batch, &typed, updated)?;
                rewriter.push(&cells, &[], &slots)?;
                updated += slots.len() as u64;
            }
            let table = rewriter.finish(false)?.0;
            check_key(self, &table, columns)?;
            Ok(table)
        })?;
        Ok(Affected { inserted: 0, updated })
    }

    /// Deletes the rows whose slots stand in the last column of these rows, in any order; returns how many. No other column of the table is touched.
    pub fn delete_rows(&self, name: &str, rows: RowStream, command: &str) -> Result<u64, RepoError> {
        let mut deleted = 0;
        self.edit_table(name, command, |table| -> Result<Table, RepoError> {
            let mut all = Vec::new();
            for batch in rows {
                all.extend_from_slice(slots(&batch?)?);
            }
            all.sort_unstable();
            all.dedup();
            deleted = all.len() as u64;
            Ok(table.delete(self.objects(), &all)?)
        })?;
        Ok(deleted)
    }

    /// Makes a table of rows; `fields` has their columns. With `replace` it takes the place of one that is there. Returns how many rows.
    pub fn create_table_of(&self, name: &str, fields: &[Field], rows: RowStream, replace: bool, command: &str) -> Result<u64, RepoError> {
        crate::base::name::check_label("table", name)?;
        let mut inserted = 0;
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            super::views::check_free(snapshot, name, replace)?;
            let columns = fields.iter().map(|field| Ok((field.name().clone(), type_of(field)?))).collect::<Result<Vec<_>, RepoError>>()?;
            let id = table_seed(name, self.working()?.base);
            let table = Arc::new(Table::create(self.objects(), id, Schema::of(id, &columns))?);
            let mut insert = Insert::new(self, &table, &columns, OnKey::Refuse)?;
            for batch in rows {
                insert.push(batch?)?;
            }
            let (table, done) = insert.finish()?;
            inserted = done.inserted;
            let mut snapshot = snapshot.clone();
            snapshot.tables.insert(name.to_owned(), table.store(self.objects())?);
            Ok(snapshot)
        })?;
        Ok(inserted)
    }
}

fn typed(table: &Table, columns: &[String]) -> Result<Vec<(String, Type)>, RepoError> {
    let one = |name: &String| Ok((name.clone(), table.schema.columns[table.schema.index(name)?].ty.clone()));
    columns.iter().map(one).collect()
}

/// The type of a column of rows; text where all is null.
fn type_of(field: &Field) -> Result<Type, RepoError> {
    match field.data_type() {
        DataType::Null => Ok(Type::TEXT),
        _ => Type::from_field(field).map_err(|e| RepoError::refused(format!("column '{}': {e}", field.name()))),
    }
}

/// The last column.
fn slots(batch: &RecordBatch) -> Result<&[u64], RepoError> {
    let slots = batch.columns().last().and_then(|column| column.as_primitive_opt::<UInt64Type>()).filter(|slots| slots.null_count() == 0);
    Ok(slots.ok_or_else(|| TableError::Schema("rows without their slots".into()))?.values())
}

/// The leading columns of a batch, brought to types; `before` rows came earlier.
fn fitted(batch: &RecordBatch, columns: &[(String, Type)], before: u64) -> Result<RecordBatch, RepoError> {
    let (mut fields, mut arrays) = (Vec::with_capacity(columns.len()), Vec::with_capacity(columns.len()));
    let schema = batch.schema();
    for ((name, to), (field, values)) in columns.iter().zip(schema.fields().iter().zip(batch.columns())) {
        let from = type_of(field)?;
        let values = conform::conform(values, &from, to).map_err(|clash| TableError::Value {
            row: before + clash.row.map_or(0, |row| row as u64) + 1,
            column: name.clone(),
            why: format!("{} {}", clash.misfit.value, clash.misfit.why),
        })?;
        check_labels(to, &values, name, before)?;
        fields.push(to.field(name, true));
        arrays.push(values);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), arrays, &options).map_err(TableError::from)?)
}

/// Where a key's cells were set, tests that it still tells rows apart.
fn check_key(repo: &Repo, table: &Table, set: &[String]) -> Result<(), RepoError> {
    let key = table.schema.key_indices();
    if key.iter().any(|i| set.contains(&table.schema.columns[*i].name)) {
        KeyIndex::build(repo.objects(), &Arc::new(table.clone()), key)?;
    }
    Ok(())
}

/// Rows on their way into a table.
struct Insert<'a, 'b> {
    repo: &'a Repo,
    table: Arc<Table>,
    columns: &'a [(String, Type)],
    keys: Keys,
    writer: RowWriter,
    /// Sets cells of rows that are there.
    rewriter: Option<(Vec<(String, Type)>, Rewriter)>,
    on_key: OnKey<'b>,
    read: u64,
    updated: u64,
}

impl<'a, 'b> Insert<'a, 'b> {
    fn new(repo: &'a Repo, table: &Arc<Table>, columns: &'a [(String, Type)], on_key: OnKey<'b>) -> Result<Self, RepoError> {
        let objects = repo.objects();
        let key = table.schema.key_indices();
        if key.is_empty() && !matches!(on_key, OnKey::Refuse) {
            return Err(RepoError::refused_with("the table has no key that rows could have in common", "ALTER TABLE ... ADD PRIMARY KEY (COLUMN) makes one"));
        }
        let index = if key.is_empty() { None } else { Some(KeyIndex::build(objects, table, key)?) };
        let rewriter = match &on_key {
            OnKey::Set(set, _) => {
                let set = typed(table, set)?;
                Some((set.clone(), Rewriter::new(objects, table, &set)?))
            }
            _ => None,
        };
        let keys = Keys::new(table, columns, index)?;
        let writer = RowWriter::new(objects, table, columns)?;
        Ok(Insert { repo, table: table.clone(), columns, keys, writer, rewriter, on_key, read: 0, updated: 0 })
    }

    fn push(&mut self, batch: RecordBatch) -> Result<(), RepoError> {
        if self.repo.progress().interrupted() {
            return Err(RepoError::Interrupted);
        }
        let mut batch = fitted(&batch, self.columns, self.read)?;
        let rows = batch.num_rows() as u64;
        match &mut self.on_key {
            OnKey::Refuse => self.keys.check_new(&batch, self.read)?,
            OnKey::Skip => batch = filter_record_batch(&batch, &self.keys.fresh(&batch, self.read)?).map_err(TableError::from)?,
            OnKey::Set(_, cells) => {
                let slots = self.keys.match_slots(&batch, self.read)?;
                let matched: Vec<u64> = slots.iter().filter_map(|slot| *slot).collect();
                if let Some((set, rewriter)) = &mut self.rewriter
                    && !matched.is_empty()
                {
                    let met = pick(&batch, slots.iter().map(Option::is_some))?;
                    let (values, wanted) = cells(&self.table, &met, &matched)?;
                    let fields: Vec<Field> = values.iter().zip(&*set).map(|(v, (name, _))| Field::new(name, v.data_type().clone(), true)).collect();
                    let values = values.iter().map(|v| filter(v, &wanted)).collect::<Result<Vec<_>, _>>().map_err(TableError::from)?;
                    let wanted: Vec<Option<u64>> = matched.iter().zip(wanted.iter()).filter(|(_, w)| *w == Some(true)).map(|(slot, _)| Some(*slot)).collect();
                    let options = RecordBatchOptions::new().with_row_count(Some(wanted.len()));
                    let rows = RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), values, &options).map_err(TableError::from)?;
                    rewriter.push(&fitted(&rows, set, self.read)?, &[], &wanted)?;
                    self.updated += wanted.len() as u64;
                }
                batch = pick(&batch, slots.iter().map(Option::is_none))?;
            }
        }
        self.read += rows;
        if batch.num_rows() > 0 {
            self.writer.push(&batch, &[])?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(Table, Affected), RepoError> {
        let mut table = (*self.table).clone();
        let set = match self.rewriter {
            Some((set, rewriter)) => {
                table = rewriter.finish(false)?.0;
                set.into_iter().map(|(name, _)| name).collect()
            }
            None => Vec::new(),
        };
        let new = self.writer.finish()?;
        let affected = Affected { inserted: new.rows, updated: self.updated };
        let table = table.append(self.repo.objects(), new)?;
        check_key(self.repo, &table, &set)?;
        Ok((table, affected))
    }
}

/// The rows of a batch for which `which` is true.
fn pick(batch: &RecordBatch, which: impl Iterator<Item = bool>) -> Result<RecordBatch, RepoError> {
    let rows: UInt32Array = which.zip(0u32..).filter(|(wanted, _)| *wanted).map(|(_, row)| row).collect();
    let columns = batch.columns().iter().map(|column| take(column, &rows, None)).collect::<Result<Vec<_>, _>>().map_err(TableError::from)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options).map_err(TableError::from)?)
}

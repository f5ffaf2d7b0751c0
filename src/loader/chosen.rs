//! Selections by query. What a table has stays where it is; what the query computes is put aside, in a table of its own.

#![cfg(feature = "query")]

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::UInt64Type;

use crate::base::TableId;
use crate::chunk::{Limits, Objects};
use crate::format::Type;
use crate::query::{Answer, Choice, Chosen, Options, Params, QueryError, Session, Source};
use crate::repo::Repo;
use crate::store::{LocalStore, StoreError};
use crate::table::write::RowWriter;
use crate::table::{Schema, Table};

use super::selection::{Column, Part, Selection};
use super::{LoaderError, Slots};

/// Rows of what is put aside that are written at once.
const STEP_ROWS: usize = 8192;

impl Selection {
    /// The rows of a query at a revision, in the query's order where it says one, else in the table's. Filtered, sorted, limited and renamed rows of one table, and those to which others are looked up,
    /// are read from it while they are loaded; columns that the query computes, and the rows of other queries, are put aside first.
    pub fn of_query(repo: &Arc<Repo>, revision: &str, sql: &str, params: &Params) -> Result<Selection, LoaderError> {
        let commit = repo.resolve(revision)?;
        let session = Session::new(repo.clone(), Options::default())?;
        match session.choose(sql, params, Some(&commit.to_string()))? {
            Choice::Rows(chosen) => {
                let Chosen { objects, table, columns, is_ordered, values } = *chosen;
                let types = values.columns()?.split_off(1);
                let (slots, computed) = rows(values, is_ordered)?;
                let mut named = Vec::with_capacity(columns.len());
                let mut stored = Vec::new();
                for (name, source) in columns {
                    match source {
                        Source::Stored(column) => {
                            let Some(described) = table.schema.columns.get(column) else { continue };
                            named.push(Column { name, ty: described.ty.clone(), at: (0, stored.len()) });
                            stored.push(column);
                        }
                        Source::Computed(column) => {
                            let Some((_, ty)) = types.get(column) else { continue };
                            named.push(Column { name, ty: ty.clone(), at: (1, column) });
                        }
                    }
                }
                let mut parts = vec![Part { objects, table, columns: stored, slots, made: None }];
                if !types.is_empty() {
                    parts.push(aside(&types, computed.into_iter().map(Ok))?);
                }
                Selection::new(commit, named, parts)
            }
            Choice::Made(answer) => {
                let types = answer.columns()?;
                let part = aside(&types, answer)?;
                let named = types.into_iter().enumerate().map(|(at, (name, ty))| Column { name, ty, at: (0, at) }).collect();
                Selection::new(commit, named, vec![part])
            }
        }
    }

    /// A table, or the rows of a view, at a revision, with these columns or with all.
    pub fn of_relation(repo: &Arc<Repo>, revision: &str, name: &str, columns: Option<&[&str]>) -> Result<Selection, LoaderError> {
        if !repo.snapshot_at(revision)?.views.contains_key(name) {
            return Selection::of_table(repo, revision, name, columns);
        }
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let columns = columns.map_or("*".to_owned(), |names| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "));
        Selection::of_query(repo, revision, &format!("SELECT {columns} FROM {}", quoted(name)), &Params::new())
    }
}

/// The slots of the rows chosen, and what was computed of them, in the same order: the query's, or else the table's.
fn rows(values: Answer, is_ordered: bool) -> Result<(Slots, Vec<RecordBatch>), LoaderError> {
    let (mut slots, mut computed) = (Vec::<u64>::new(), Vec::new());
    for batch in values {
        let batch = batch?;
        let Some(found) = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>()) else {
            return Err(QueryError::Run("the query did not say which rows it chose".into()).into());
        };
        slots.extend(found.values());
        if batch.num_columns() > 1 {
            computed.push(batch.project(&(1..batch.num_columns()).collect::<Vec<_>>())?);
        }
    }
    if !is_ordered && !slots.is_sorted() {
        let mut places: Vec<u64> = (0..slots.len() as u64).collect();
        places.sort_by_key(|place| slots.get(*place as usize));
        if let Some(first) = computed.first() {
            let all = concat_batches(&first.schema(), &computed)?;
            let sorted = take_record_batch(&all, &UInt64Array::from(places))?;
            computed = (0..sorted.num_rows()).step_by(STEP_ROWS).map(|at| sorted.slice(at, STEP_ROWS.min(sorted.num_rows() - at))).collect();
        }
        slots.sort_unstable();
    }
    let mut runs = Slots::new();
    slots.into_iter().for_each(|slot| runs.push(slot..slot + 1));
    Ok((runs, computed))
}

/// Rows as a table in a folder that goes when nobody reads it any more.
fn aside(columns: &[(String, Type)], batches: impl Iterator<Item = Result<RecordBatch, QueryError>>) -> Result<Part, LoaderError> {
    let folder = tempfile::Builder::new().prefix("dsv-load-").tempdir().map_err(|e| StoreError::io("the folder for temporary files", e))?;
    let objects = Arc::new(Objects::new(Arc::new(LocalStore::create(folder.path().join("rows"))?), Limits::default()));
    // Columns of a query may share a name.
    let named: Vec<(String, Type)> = columns.iter().enumerate().map(|(i, (_, ty))| (format!("{i}"), ty.clone())).collect();
    let id = TableId([0; 16]);
    let table = Table::create(&objects, id, Schema::of(id, &named))?;
    let schema = table.schema.arrow(&(0..named.len()).collect::<Vec<_>>());
    let mut writer = RowWriter::new(&objects, &table, &named)?;
    for batch in batches {
        let batch = batch?;
        let arrays = batch.columns().iter().zip(schema.fields()).map(|(array, field)| crate::table::scan::retype(array, field.data_type()));
        let arrays: Vec<ArrayRef> = arrays.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        writer.push(&RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?, &[])?;
    }
    let table = table.append(&objects, writer.finish()?)?;
    objects.flush().map_err(crate::table::TableError::from)?;
    let mut slots = Slots::new();
    slots.push(0..table.slots(&objects)?);
    Ok(Part { objects, table: Arc::new(table), columns: (0..named.len()).collect(), slots, made: Some(Arc::new(folder)) })
}

//! Table functions that make history data: `diff(A, B, TABLE)`, `diff(A, B)` and `blame(TABLE [, COLUMN [, REVISION]])`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use crate::base::TableObjectId;
use crate::base::name::nearest;
use crate::repo::diff::{FIELDS, RowDiff};
use crate::table::Table;
use crate::table::diff::{SchemaChange, diff};

use super::system::batch;
use super::{QueryError, Revisions};

/// All functions, on a repository.
pub fn all(revisions: &Arc<dyn Revisions>) -> Vec<Arc<TableFunction>> {
    let make = |(name, what)| Arc::new(TableFunction::new(String::from(name), Arc::new(History { revisions: revisions.clone(), what })));
    [("blame", What::Blame), ("diff", What::Diff)].map(make).to_vec()
}

#[derive(Clone, Copy, Debug)]
enum What {
    Blame,
    Diff,
}

struct History {
    revisions: Arc<dyn Revisions>,
    what: What,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("History").field(&self.what).finish()
    }
}

impl TableFunctionImpl for History {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let usage = match self.what {
            What::Diff => "diff takes two revisions and a table, as text: diff('v1.0', 'main', 'photos')",
            What::Blame => "blame takes a table, a column and a revision, as text: blame('photos', 'label', 'v1.0'); the last two may be left out",
        };
        let refused = || QueryError::Refused(usage.to_owned());
        let text = |expr: &Expr| match expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Ok(text.clone()),
            _ => Err(refused()),
        };
        let args = args.exprs().iter().map(text).collect::<std::result::Result<Vec<String>, QueryError>>()?;
        let revisions = self.revisions.clone();
        // What follows reads the repository, on a thread of many.
        let made = tokio::task::block_in_place(|| match (self.what, args.as_slice()) {
            (What::Diff, [a, b]) => all_tables(&*revisions, a, b),
            (What::Diff, [a, b, table]) => one_table(&*revisions, a, b, table),
            (What::Blame, [table, rest @ ..]) if rest.len() < 3 => blame(&*revisions, table, rest.first().map(String::as_str), rest.get(1).map(String::as_str)),
            _ => Err(refused()),
        });
        Ok(made?)
    }
}

/// A revision as an argument: the working state is written as nothing, or as `WORKING`.
fn revision(text: &str) -> Option<&str> {
    (!text.is_empty() && text != "WORKING").then_some(text)
}

fn tables(revisions: &dyn Revisions, at: Option<&str>) -> std::result::Result<BTreeMap<String, TableObjectId>, QueryError> {
    Ok(revisions.snapshot(at)?.tables)
}

fn one_table(revisions: &dyn Revisions, a: &str, b: &str, name: &str) -> std::result::Result<Arc<dyn TableProvider>, QueryError> {
    let (before, after) = (tables(revisions, revision(a))?, tables(revisions, revision(b))?);
    let (old, new) = (before.get(name), after.get(name));
    if old.is_none() && new.is_none() {
        let near = nearest(name, before.keys().chain(after.keys()).map(String::as_str)).into_iter().map(super::error::as_written).collect();
        return Err(QueryError::NoTable { name: name.to_owned(), revision: revision(b).map(str::to_owned), near });
    }
    let objects = revisions.objects();
    let load = |id: Option<&TableObjectId>| id.map(|id| Table::load(&objects, *id).map(Arc::new)).transpose();
    let diff = RowDiff::new(objects.clone(), load(old)?, load(new)?);
    Ok(Arc::new(DiffTable { schema: diff.schema(), diff }))
}

/// A row for each table that differs.
fn all_tables(revisions: &dyn Revisions, a: &str, b: &str) -> std::result::Result<Arc<dyn TableProvider>, QueryError> {
    let (before, after) = (tables(revisions, revision(a))?, tables(revisions, revision(b))?);
    let objects = revisions.objects();
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let (mut told, mut changes, mut counts): (Vec<&str>, Vec<&str>, Vec<[u64; 5]>) = Default::default();
    for name in names {
        let load = |id: &TableObjectId| Table::load(&objects, *id);
        let (change, count) = match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) => {
                let found = diff(&objects, &load(old)?, &load(new)?)?;
                if found.is_empty() {
                    continue;
                }
                let columns = |wanted: fn(&SchemaChange) -> bool| found.schema.iter().filter(|change| wanted(change)).count() as u64;
                let (added, dropped) = (columns(|c| matches!(c, SchemaChange::Added { .. })), columns(|c| matches!(c, SchemaChange::Dropped { .. })));
                ("changed", [added, dropped, found.rows_added(), found.rows_removed(), found.cells_changed()])
            }
            (None, Some(new)) => {
                let new = load(new)?;
                ("added", [new.columns.len() as u64, 0, new.rows(&objects)?, 0, 0])
            }
            (Some(old), None) => {
                let old = load(old)?;
                ("removed", [0, old.columns.len() as u64, 0, old.rows(&objects)?, 0])
            }
            (None, None) => continue,
        };
        told.push(name);
        changes.push(change);
        counts.push(count);
    }
    let count = |i: usize| -> ArrayRef { Arc::new(UInt64Array::from_iter_values(counts.iter().map(|c| c[i]))) };
    let mut columns: Vec<(&str, ArrayRef, bool)> =
        vec![("table", Arc::new(StringArray::from(told)), false), ("change", Arc::new(StringArray::from(changes)), false)];
    columns
        .extend(["columns_added", "columns_dropped", "rows_added", "rows_removed", "cells_changed"].into_iter().enumerate().map(|(i, n)| (n, count(i), false)));
    in_memory(batch(columns)?)
}

fn in_memory(batch: RecordBatch) -> std::result::Result<Arc<dyn TableProvider>, QueryError> {
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|e| super::error::translate(e, 0))?))
}

/// Rows whose cells are read at a time.
const ROWS: usize = 4096;

/// A row for each cell of a column, or of all.
fn blame(revisions: &dyn Revisions, name: &str, column: Option<&str>, at: Option<&str>) -> std::result::Result<Arc<dyn TableProvider>, QueryError> {
    let at = at.and_then(revision);
    let known = tables(revisions, at)?;
    let Some(id) = known.get(name) else {
        let near = nearest(name, known.keys().map(String::as_str)).into_iter().map(super::error::as_written).collect();
        return Err(QueryError::NoTable { name: name.to_owned(), revision: at.map(str::to_owned), near });
    };
    let objects = revisions.objects();
    let table = Arc::new(Table::load(&objects, *id)?);
    let columns = match column {
        Some(column) => vec![table.schema.index(column)?],
        None => (0..table.columns.len()).collect(),
    };
    let rows = table.rows(&objects)?;
    let slots = table.slots_of_rows(&objects, &(0..rows).collect::<Vec<_>>())?;
    let found = revisions.blame(name, at, &columns, &slots)?;
    let commits: BTreeMap<String, super::CommitRow> = revisions.commits()?.into_iter().map(|row| (row.id.clone(), row)).collect();
    let key = table.schema.key_indices();
    let (mut row_ids, mut keys): (Vec<String>, Vec<Option<String>>) = Default::default();
    let mut values: Vec<Vec<Option<String>>> = vec![Vec::new(); columns.len()];
    for part in slots.chunks(ROWS) {
        let (named, cells) = (table.take(&objects, part, &key)?, table.take(&objects, part, &columns)?);
        for (i, slot) in part.iter().enumerate() {
            row_ids.extend(table.row_ids(&objects, *slot..*slot + 1)?.first().map(ToString::to_string));
            let shown = named.columns().iter().map(|c| array_value_to_string(c, i)).collect::<std::result::Result<Vec<_>, _>>()?;
            keys.push((!shown.is_empty()).then(|| shown.join(",")));
            for (list, cells) in values.iter_mut().zip(cells.columns()) {
                list.push(if cells.is_null(i) { None } else { Some(array_value_to_string(cells, i)?) });
            }
        }
    }
    let names = columns.iter().filter_map(|i| table.schema.columns.get(*i)).flat_map(|c| std::iter::repeat_n(c.name.as_str(), slots.len()));
    let ids: Vec<Option<String>> = found.iter().flatten().map(|id| id.map(|id| id.to_string())).collect();
    let of = |field: fn(&super::CommitRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter(ids.iter().map(|id| id.as_ref().and_then(|id| commits.get(id)).map(field))))
    };
    let time = ids.iter().map(|id| id.as_ref().and_then(|id| commits.get(id)).map(|row| row.authored_millis));
    let all = |list: &[String]| -> ArrayRef { Arc::new(StringArray::from_iter(columns.iter().flat_map(|_| list.iter()).map(Some))) };
    in_memory(batch(vec![
        ("row", all(&row_ids), false),
        ("key", Arc::new(StringArray::from_iter(columns.iter().flat_map(|_| keys.iter().map(Option::as_deref)))), true),
        ("column", Arc::new(StringArray::from_iter(names.map(Some))), false),
        ("value", Arc::new(StringArray::from_iter(values.iter().flatten().map(Option::as_deref))), true),
        ("commit", Arc::new(StringArray::from_iter(ids.iter().map(Option::as_deref))), true),
        ("author", of(|row| &row.author), true),
        ("authored", Arc::new(TimestampMillisecondArray::from_iter(time).with_timezone("UTC")), true),
        ("message", of(|row| &row.message), true),
    ])?)
}

/// The rows of a table that differ between two states.
#[derive(Debug)]
struct DiffTable {
    schema: SchemaRef,
    diff: RowDiff,
}

#[async_trait]
impl TableProvider for DiffTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(&self, _: &dyn Session, projection: Option<&Vec<usize>>, _: &[Expr], limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let fields = projection.cloned().unwrap_or_else(|| (0..FIELDS.len()).collect());
        let diff = self.diff.clone().project(fields).limit(limit.map_or(u64::MAX, |limit| limit as u64));
        let part = Arc::new(DiffStream { schema: diff.schema(), diff });
        Ok(Arc::new(StreamingTableExec::try_new(part.schema.clone(), vec![part], None, [], false, None)?))
    }
}

#[derive(Debug)]
struct DiffStream {
    schema: SchemaRef,
    diff: RowDiff,
}

impl PartitionStream for DiffStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), 2);
        let (out, diff) = (builder.tx(), self.diff.clone());
        builder.spawn_blocking(move || {
            for batch in diff.open().map_err(|e| DataFusionError::from(QueryError::from(e)))? {
                let batch = batch.map_err(|e| DataFusionError::from(QueryError::from(e)));
                // Nobody listens any more: a limit was reached.
                if out.blocking_send(batch).is_err() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

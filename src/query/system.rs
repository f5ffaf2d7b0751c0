//! The system tables: `dsv.commits`, `dsv.branches`, `dsv.tags`, `dsv.tables`, `dsv.views`, `dsv.checks`, `dsv.columns`, `dsv.chunks`, `dsv.conflicts`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMillisecondArray, UInt64Array};
use arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, TableProvider};

use crate::base::name::nearest;
use crate::format::check::Check;
use crate::format::node::{Kind as _, Slice, Values};
use crate::format::stats::{Scalar, Stats};
use crate::table::{Table, TableError};

use super::catalog::Snapshots;
use super::revisions::{ConflictRow, RefKind};
use super::{QueryError, Revisions};

/// The schema they stand in.
pub const SCHEMA: &str = "dsv";

/// Their names.
pub const NAMES: [&str; 9] = ["branches", "checks", "chunks", "columns", "commits", "conflicts", "tables", "tags", "views"];

/// The system table of that name.
pub fn table(revisions: &dyn Revisions, snapshots: &mut Snapshots<'_>, name: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
    let batch = match name {
        "commits" => commits(revisions)?,
        "branches" => branches(revisions)?,
        "conflicts" => conflicts(revisions)?,
        "tags" => tags(revisions)?,
        "tables" => tables(revisions, snapshots)?,
        "columns" => columns(revisions, snapshots)?,
        "views" => views(snapshots)?,
        "checks" => checks(revisions, snapshots)?,
        "chunks" => chunks(revisions, snapshots)?,
        _ => {
            let near = nearest(name, NAMES).into_iter().map(|near| format!("{SCHEMA}.{near}")).collect();
            return Err(QueryError::NoTable { name: name.to_owned(), revision: Some(SCHEMA.to_owned()), near });
        }
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|e| super::error::translate(e, 0))?;
    Ok(Arc::new(table))
}

/// A batch of these columns: each a name, its values, and whether there may be nulls.
pub fn batch(columns: Vec<(&str, ArrayRef, bool)>) -> Result<RecordBatch, QueryError> {
    let fields: Vec<Field> = columns.iter().map(|(name, values, nullable)| Field::new(*name, values.data_type().clone(), *nullable)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, values, _)| values).collect())?)
}

fn text<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn millis(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC"))
}

fn lists<'a>(values: impl IntoIterator<Item = &'a Vec<String>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in values {
        for item in list {
            builder.values().append_value(item);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn commits(revisions: &dyn Revisions) -> Result<RecordBatch, QueryError> {
    let rows = revisions.commits()?;
    batch(vec![
        ("id", text(rows.iter().map(|r| &r.id)), false),
        ("parents", lists(rows.iter().map(|r| &r.parents)), false),
        ("author", text(rows.iter().map(|r| &r.author)), false),
        ("email", text(rows.iter().map(|r| &r.email)), false),
        ("authored", millis(rows.iter().map(|r| r.authored_millis)), false),
        ("committed", millis(rows.iter().map(|r| r.committed_millis)), false),
        ("message", text(rows.iter().map(|r| &r.message)), false),
    ])
}

fn branches(revisions: &dyn Revisions) -> Result<RecordBatch, QueryError> {
    let mut rows = revisions.refs()?;
    rows.retain(|r| r.kind == RefKind::Branch);
    let commits: StringArray = rows.iter().map(|r| r.commit.as_deref()).collect();
    let current: BooleanArray = rows.iter().map(|r| Some(r.current)).collect();
    batch(vec![("name", text(rows.iter().map(|r| &r.name)), false), ("commit", Arc::new(commits), true), ("current", Arc::new(current), false)])
}

fn tags(revisions: &dyn Revisions) -> Result<RecordBatch, QueryError> {
    let mut rows = revisions.refs()?;
    rows.retain(|r| r.kind == RefKind::Tag);
    let commits: StringArray = rows.iter().map(|r| r.commit.as_deref()).collect();
    let messages: StringArray = rows.iter().map(|r| r.message.as_deref()).collect();
    batch(vec![("name", text(rows.iter().map(|r| &r.name)), false), ("commit", Arc::new(commits), true), ("message", Arc::new(messages), true)])
}

fn conflicts(revisions: &dyn Revisions) -> Result<RecordBatch, QueryError> {
    let rows = revisions.conflicts()?;
    let maybe = |value: fn(&ConflictRow) -> Option<&str>| -> ArrayRef { Arc::new(StringArray::from_iter(rows.iter().map(value))) };
    batch(vec![
        ("table", text(rows.iter().map(|r| &r.table)), false),
        ("kind", text(rows.iter().map(|r| &r.kind)), false),
        ("row", maybe(|r| r.row.as_deref()), true),
        ("key", maybe(|r| r.key.as_deref()), true),
        ("column", maybe(|r| r.column.as_deref()), true),
        ("base", maybe(|r| r.cells[0].as_deref()), true),
        ("ours", maybe(|r| r.cells[1].as_deref()), true),
        ("theirs", maybe(|r| r.cells[2].as_deref()), true),
        ("why", maybe(|r| r.why.as_deref()), true),
    ])
}

fn loaded(revisions: &dyn Revisions, snapshots: &mut Snapshots<'_>) -> Result<Vec<(String, Table)>, QueryError> {
    let objects = revisions.objects();
    snapshots.of(None)?.tables.iter().map(|(name, id)| Ok((name.clone(), Table::load(&objects, *id)?))).collect()
}

fn tables(revisions: &dyn Revisions, snapshots: &mut Snapshots<'_>) -> Result<RecordBatch, QueryError> {
    let objects = revisions.objects();
    let tables = loaded(revisions, snapshots)?;
    let rows = tables.iter().map(|(_, table)| table.rows(&objects)).collect::<Result<Vec<u64>, _>>()?;
    let keys: Vec<Vec<String>> = tables.iter().map(|(_, t)| t.schema.key_indices().into_iter().map(|i| t.schema.columns[i].name.clone()).collect()).collect();
    batch(vec![
        ("name", text(tables.iter().map(|(name, _)| name)), false),
        ("rows", Arc::new(UInt64Array::from(rows)), false),
        ("columns", Arc::new(UInt64Array::from_iter_values(tables.iter().map(|(_, t)| t.columns.len() as u64))), false),
        ("key", lists(&keys), false),
        ("id", text(tables.iter().map(|(_, t)| t.id.to_string())), false),
    ])
}

fn columns(revisions: &dyn Revisions, snapshots: &mut Snapshots<'_>) -> Result<RecordBatch, QueryError> {
    let tables = loaded(revisions, snapshots)?;
    let rows: Vec<_> = tables.iter().flat_map(|(name, table)| (1u64..).zip(&table.schema.columns).map(move |(at, column)| (name, table, at, column))).collect();
    let keys: BooleanArray = rows.iter().map(|(_, table, _, column)| Some(table.schema.key.contains(&column.id))).collect();
    let nullable: BooleanArray = rows.iter().map(|(.., column)| Some(column.nullable)).collect();
    batch(vec![
        ("table", text(rows.iter().map(|(name, ..)| name)), false),
        ("position", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(_, _, at, _)| *at))), false),
        ("name", text(rows.iter().map(|(.., column)| &column.name)), false),
        ("type", text(rows.iter().map(|(.., column)| column.ty.to_string())), false),
        ("key", Arc::new(keys), false),
        ("nullable", Arc::new(nullable), false),
    ])
}

fn views(snapshots: &mut Snapshots<'_>) -> Result<RecordBatch, QueryError> {
    let snapshot = snapshots.of(None)?;
    batch(vec![("name", text(snapshot.views.keys()), false), ("sql", text(snapshot.views.values()), false)])
}

fn checks(revisions: &dyn Revisions, snapshots: &mut Snapshots<'_>) -> Result<RecordBatch, QueryError> {
    let snapshot = snapshots.of(None)?;
    let tables = loaded(revisions, snapshots)?;
    let table = |check: &Check| check.rule.table().and_then(|id| tables.iter().find(|(_, table)| table.id == id));
    let columns: Vec<Vec<String>> = snapshot
        .checks
        .values()
        .map(|check| {
            let described = table(check).map(|(_, table)| table.schema.columns.as_slice()).unwrap_or_default();
            check
                .rule
                .columns()
                .iter()
                .map(|id| described.iter().find(|column| column.id == *id).map_or(id.to_string(), |column| column.name.clone()))
                .collect()
        })
        .collect();
    batch(vec![
        ("name", text(snapshot.checks.keys()), false),
        ("kind", text(snapshot.checks.values().map(|check| check.rule.kind())), false),
        ("table", Arc::new(StringArray::from_iter(snapshot.checks.values().map(|check| table(check).map(|(name, _)| name.as_str())))), true),
        ("columns", lists(&columns), false),
        ("sql", Arc::new(StringArray::from_iter(snapshot.checks.values().map(|check| check.rule.sql()))), true),
        ("severity", text(snapshot.checks.values().map(|check| check.severity.name())), false),
    ])
}

/// The slices that columns are made of, in order.
fn chunks(revisions: &dyn Revisions, snapshots: &mut Snapshots<'_>) -> Result<RecordBatch, QueryError> {
    let objects = revisions.objects();
    let (mut tables, mut columns, mut slots, mut rows, mut kinds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut ids, mut firsts, mut whole, mut bounds): (Vec<Option<String>>, Vec<Option<u64>>, Vec<Option<u64>>, Vec<Option<Stats>>) = Default::default();
    for (name, table) in loaded(revisions, snapshots)? {
        for (column, rope) in table.schema.columns.iter().zip(&table.columns) {
            let rope = rope.get(&*objects).map_err(TableError::from)?;
            for item in rope.items(&*objects, 0, rope.rows()).map_err(TableError::from)? {
                let (slot, slice) = item.map_err(TableError::from)?;
                tables.push(name.clone());
                columns.push(column.name.clone());
                slots.push(slot);
                rows.push(Values::rows(&slice));
                let (kind, chunk, stats) = match &slice {
                    Slice::Chunk { chunk, first, .. } => ("chunk", Some((chunk.id.to_string(), *first, chunk.rows)), chunk.stats.clone()),
                    Slice::Literal(cells) => ("literal", None, Some(Stats::of(cells))),
                    Slice::Constant { value, .. } => ("constant", None, Some(Stats::of(value))),
                    Slice::Large(_) => ("large", None, None),
                };
                kinds.push(kind);
                let chunk = chunk.map_or((None, None, None), |(id, first, rows)| (Some(id), Some(first), Some(rows)));
                ids.push(chunk.0);
                firsts.push(chunk.1);
                whole.push(chunk.2);
                bounds.push(stats);
            }
        }
    }
    let bound = |of: fn(&Stats) -> &Option<Scalar>| -> ArrayRef {
        Arc::new(StringArray::from_iter(bounds.iter().map(|stats| stats.as_ref().and_then(|stats| of(stats).as_ref()).map(shown))))
    };
    batch(vec![
        ("table", text(&tables), false),
        ("column", text(&columns), false),
        ("slot", Arc::new(UInt64Array::from(slots)), false),
        ("rows", Arc::new(UInt64Array::from(rows)), false),
        ("kind", text(&kinds), false),
        ("chunk", Arc::new(StringArray::from_iter(ids)), true),
        ("first", Arc::new(UInt64Array::from(firsts)), true),
        ("chunk_rows", Arc::new(UInt64Array::from(whole)), true),
        ("min", bound(|stats| &stats.min), true),
        ("max", bound(|stats| &stats.max), true),
    ])
}

fn shown(bound: &Scalar) -> String {
    match bound {
        Scalar::Bool(x) => x.to_string(),
        Scalar::Int(x) => x.to_string(),
        Scalar::UInt(x) => x.to_string(),
        Scalar::Float(x) => x.to_string(),
        Scalar::Text(x) => x.clone(),
    }
}

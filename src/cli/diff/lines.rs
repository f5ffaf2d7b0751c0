//! Differences as JSON lines for machines.

use std::io::Write;

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

use super::cells::moved;
use super::rows::{Rows, Side};
use super::{Differing, type_name};
use crate::cli::describe::TableChange;
use crate::cli::error::CliError;
use crate::cli::value;
use crate::repo::Change;
use crate::table::diff::SchemaChange;

/// Writes the differences of tables, then of views and checks, as JSON lines; at most `limit` rows of each kind a table. Returns whether there was any.
pub fn write_all(tables: &[Differing], others: &[TableChange], out: &mut dyn Write, limit: u64) -> Result<bool, CliError> {
    let mut any = !others.is_empty();
    for table in tables {
        any |= write(table, out, limit)?;
    }
    for other in others {
        writeln!(out, "{}", other.json())?;
    }
    Ok(any)
}

/// Writes the differences of a table as JSON lines: of the table, its columns and its key, then of the rows, in their order; at most `limit` rows of each
/// kind. Returns whether there was any.
pub fn write(table: &Differing, out: &mut dyn Write, limit: u64) -> Result<bool, CliError> {
    let name = table.entry.name.as_str();
    let mut any = false;
    let mut say = |out: &mut dyn Write, line: Value| {
        any = true;
        writeln!(out, "{line}")
    };
    let of_table = |change: &str, column: Value, before: Value, after: Value| json!({ "table": name, "change": change, "row": null, "column": column, "before": before, "after": after });
    if table.whole {
        match &table.entry.change {
            Change::Added(_) => say(out, of_table("table", Value::Null, Value::Null, json!(name)))?,
            Change::Removed(_) => say(out, of_table("table", Value::Null, json!(name), Value::Null))?,
            Change::Renamed(from, _) => say(out, of_table("table", Value::Null, json!(from), json!(name)))?,
            Change::Changed(..) => {}
        }
    }
    for change in &table.schema {
        let (column, before, after) = match change {
            SchemaChange::Added { name, ty } => (name, Value::Null, type_name(ty)),
            SchemaChange::Dropped { name, ty } => (name, type_name(ty), Value::Null),
            SchemaChange::Renamed { from, to } => (to, json!(from), json!(to)),
            SchemaChange::Retyped { name, from, to } => (name, type_name(from), type_name(to)),
        };
        say(out, of_table("schema", json!(column), before, after))?;
    }
    if let Some([before, after]) = table.other_key() {
        say(out, of_table("key", Value::Null, json!(before), json!(after)))?;
    }
    let batches = table.rows.clone().sparse(true).open_filtered(table.filter(limit))?;
    if table.whole && batches.reordered() {
        say(out, of_table("order", Value::Null, Value::Null, Value::Null))?;
    }
    for batch in batches {
        for line in lines(table, &batch?)? {
            say(out, line)?;
        }
    }
    Ok(any)
}

fn lines(table: &Differing, batch: &RecordBatch) -> Result<Vec<Value>, CliError> {
    let compared = table.compared();
    let rows = Rows::new(&table.rows, batch);
    let mut out = Vec::new();
    for row in 0..rows.count() {
        let change = rows.change(row);
        let mut start = Map::new();
        start.insert("table".to_owned(), json!(table.entry.name));
        start.insert("change".to_owned(), json!(change));
        match rows.key(row)? {
            Some(key) => start.insert("key".to_owned(), Value::Object(key)),
            None => start.insert("row".to_owned(), json!(rows.id(row))),
        };
        let mut line = |column: Value, before: Value, after: Value, moved: Option<(f64, Option<f64>)>| {
            let mut line = start.clone();
            line.insert("column".to_owned(), column);
            line.insert("before".to_owned(), before);
            line.insert("after".to_owned(), after);
            if let Some((l2, cosine)) = moved {
                line.insert("moved".to_owned(), json!({ "l2": l2, "cosine": cosine }));
            }
            out.push(Value::Object(line));
        };
        match change {
            "added" => line(Value::Null, Value::Null, Value::Object(rows.whole(Side::After, row)?), None),
            "removed" => line(Value::Null, Value::Object(rows.whole(Side::Before, row)?), Value::Null, None),
            _ => {
                for name in rows.columns(row) {
                    let Some(column) = compared.iter().find(|c| c.name == name) else { continue };
                    let (was, is) = (rows.cells(Side::Before, column.index.0), rows.cells(Side::After, column.index.1));
                    let (Some((was, before)), Some((is, after))) = (was, is) else { continue };
                    line(json!(name), value::json(was, before, row)?, value::json(is, after, row)?, moved(before, after, row));
                }
            }
        }
    }
    Ok(out)
}

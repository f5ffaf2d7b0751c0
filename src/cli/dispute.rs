//! Conflicts, as people and machines are shown them.

use std::collections::BTreeSet;
use std::io::Write;

use arrow::array::{ArrayRef, RecordBatch};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::error::CliError;
use super::ui::cell::{Cell, Printer};
use super::ui::table::{Heading, draw};
use super::value;
use crate::format::Type;
use crate::repo::{MergedTable, NameConflict, Repo};
use crate::table::merge::{Conflict, Side};

/// The type of a conflict's column, where a side has it.
fn type_of(table: &MergedTable, conflict: &Conflict) -> Option<Type> {
    let id = conflict.column?;
    [&table.ours, &table.theirs, &table.base].into_iter().find_map(|t| t.schema.columns.iter().find(|c| c.id == id)).map(|c| c.ty.clone())
}

/// Prints conflicts: at most `limit` of them, or under --json a line each.
pub fn print(context: &Context, repo: &Repo, tables: &[MergedTable], names: &[NameConflict], limit: usize) -> Result<usize, CliError> {
    let total = names.len() + tables.iter().map(|table| table.conflicts.len()).sum::<usize>();
    let mut out = context.ui.page();
    for name in names {
        if context.ui.json {
            writeln!(out, "{}", json!({ "table": name.name, "kind": "table", "row": null, "column": null, "why": name.why }))?;
        } else {
            writeln!(out, "{}", name.why)?;
        }
    }
    let mut rows = Vec::new();
    for table in tables {
        for conflict in &table.conflicts {
            if context.ui.json {
                writeln!(out, "{}", line(repo, table, conflict)?)?;
            } else if let Some(why) = conflict.kind.why() {
                writeln!(out, "{}: {why}", table.name)?;
            } else if rows.len() < limit {
                rows.push(shown(repo, table, conflict)?);
            }
        }
    }
    if !rows.is_empty() {
        let headings = ["table", "row", "conflict", "column", "base", "ours", "theirs"].map(Heading::left).to_vec();
        draw(&context.ui, &mut out, headings, &rows)?;
    }
    out.finish()?;
    let told = tables.iter().flat_map(|t| &t.conflicts).filter(|c| c.kind.why().is_none()).count();
    if !context.ui.json && told > rows.len() {
        context.ui.note(format!("{} more; --limit N shows more of them, --json all", told - rows.len()));
    }
    Ok(total)
}

fn key_text(key: &[(String, ArrayRef)]) -> Result<String, CliError> {
    let cells = key.iter().map(|(name, cell)| {
        let field = arrow::datatypes::Field::new(name, cell.data_type().clone(), true);
        Ok(format!("{name}={}", Printer::new(&field, cell).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text))
    });
    Ok(cells.collect::<Result<Vec<_>, CliError>>()?.join(", "))
}

/// The base, ours and theirs.
const SIDES: [Option<Side>; 3] = [None, Some(Side::Ours), Some(Side::Theirs)];

/// A row as a JSON object.
fn object(row: &RecordBatch) -> Result<Map<String, Value>, CliError> {
    let mut cells = Map::new();
    for (field, cell) in row.schema().fields().iter().zip(row.columns()) {
        let ty = Type::from_field(field).map_err(|e| CliError::fault(e.to_string()))?;
        cells.insert(field.name().clone(), value::json(&ty, cell, 0)?);
    }
    Ok(cells)
}

/// The names of the columns in which the rows that are left differ from the base's.
fn changed(repo: &Repo, table: &MergedTable, conflict: &Conflict) -> Result<BTreeSet<String>, CliError> {
    let rows = SIDES.map(|side| repo.conflict_cells(table, conflict, side));
    let mut objects = Vec::new();
    for row in rows {
        objects.extend(row?.map(|row| object(&row)).transpose()?);
    }
    let Some((first, rest)) = objects.split_first() else { return Ok(BTreeSet::new()) };
    let differs = |name: &&String| rest.iter().any(|row| row.get(*name) != first.get(*name));
    Ok(rest.iter().chain([first]).flat_map(Map::keys).filter(differs).cloned().collect())
}

/// Cells of a row, each with its column's name.
fn some_cells(row: &RecordBatch, names: &BTreeSet<String>) -> Result<String, CliError> {
    let mut told = Vec::new();
    for (field, cell) in row.schema().fields().iter().zip(row.columns()).filter(|(field, _)| names.contains(field.name())) {
        told.push(format!("{}={}", field.name(), Printer::new(field, cell).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text));
    }
    Ok(told.join(", "))
}

fn shown(repo: &Repo, table: &MergedTable, conflict: &Conflict) -> Result<Vec<Cell>, CliError> {
    let key = repo.conflict_key(table, conflict)?;
    let row = if key.is_empty() { repo.conflict_row(table, conflict)?.map(|id| id.to_string()).unwrap_or_default() } else { key_text(&key)? };
    let mut cells =
        vec![Cell::plain(&table.name), Cell::plain(row), Cell::plain(conflict.kind.name()), Cell::plain(table.column(conflict).unwrap_or_default())];
    if conflict.column.is_none() {
        let changed = changed(repo, table, conflict)?;
        for side in SIDES {
            cells.push(match repo.conflict_cells(table, conflict, side)? {
                Some(row) => Cell::plain(some_cells(&row, &changed)?),
                None => Cell::note(if side.is_some() { "deleted" } else { "-" }),
            });
        }
        return Ok(cells);
    }
    let ty = type_of(table, conflict);
    for side in SIDES {
        let value = repo.conflict_cell(table, conflict, side)?;
        cells.push(match (value, &ty) {
            (Some(value), Some(ty)) => {
                let field = ty.field("", true);
                Printer::new(&field, &value).map_err(|e| CliError::fault(e.to_string()))?.cell(0)
            }
            _ => Cell::note("-"),
        });
    }
    Ok(cells)
}

fn line(repo: &Repo, table: &MergedTable, conflict: &Conflict) -> Result<Value, CliError> {
    let mut line = Map::new();
    line.insert("table".into(), json!(table.name));
    line.insert("kind".into(), json!(conflict.kind.name()));
    if let Some(why) = conflict.kind.why() {
        line.insert("why".into(), json!(why));
    }
    let key = repo.conflict_key(table, conflict)?;
    if key.is_empty() {
        line.insert("row".into(), json!(repo.conflict_row(table, conflict)?.map(|id| id.to_string())));
    } else {
        let mut cells = Map::new();
        for (name, cell) in &key {
            let ty = Type::from_field(&arrow::datatypes::Field::new(name, cell.data_type().clone(), true)).map_err(|e| CliError::fault(e.to_string()))?;
            cells.insert(name.clone(), value::json(&ty, cell, 0)?);
        }
        line.insert("key".into(), Value::Object(cells));
    }
    line.insert("column".into(), json!(table.column(conflict)));
    let ty = type_of(table, conflict);
    for (name, side) in ["base", "ours", "theirs"].into_iter().zip(SIDES) {
        if conflict.column.is_none() {
            let row = repo.conflict_cells(table, conflict, side)?;
            line.insert(name.into(), row.map(|row| object(&row)).transpose()?.map_or(Value::Null, Value::Object));
            continue;
        }
        let value = match (repo.conflict_cell(table, conflict, side)?, &ty) {
            (Some(cell), Some(ty)) => value::json(ty, &cell, 0)?,
            _ => Value::Null,
        };
        line.insert(name.into(), value);
    }
    Ok(Value::Object(line))
}

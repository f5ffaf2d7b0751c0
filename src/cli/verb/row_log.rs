//! `dsv log --row`.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::cell::Printer;
use crate::cli::ui::format;
use crate::cli::value;
use crate::format::Type;
use crate::history::short;
use crate::repo::Repo;
use crate::repo::blame::{RowChange, RowName};
use crate::table::Table;

/// What became of one row, newest first.
pub fn show(context: &Context, repo: &Repo, table: &str, row: &str, revisions: &[String], limit: Option<usize>) -> Result<(), CliError> {
    let at = match revisions {
        [] => None,
        [one] if !one.contains("..") => Some(one.as_str()),
        [one, ..] => return Err(CliError::usage(format!("'{one}': with --row, name one revision to start from"))),
    };
    let mut steps = repo.row_log(table, at, &RowName::of(row))?;
    steps.truncate(limit.unwrap_or(usize::MAX));
    let mut out = context.ui.page();
    let paint = context.ui.paint;
    for step in &steps {
        let commit = repo.commit_of(step.commit)?;
        let (before, after) = (cells(repo, step.before.as_ref())?, cells(repo, step.after.as_ref())?);
        let (change, columns) = match &step.change {
            RowChange::Added => ("added", None),
            RowChange::Removed => ("removed", None),
            RowChange::Changed(columns) => ("changed", Some(columns)),
        };
        if context.ui.json {
            let object = |row: &Option<RecordBatch>| row.as_ref().map(object).transpose();
            let line = json!({
                "commit": step.commit.to_string(), "change": change, "columns": columns, "before": object(&before)?, "after": object(&after)?,
                "author": {"name": commit.author.name, "email": commit.author.email},
                "time": format::iso_date(commit.author.millis, commit.author.offset_minutes), "message": commit.message,
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let date = format::iso_date(commit.author.millis, commit.author.offset_minutes);
        let date: String = date.chars().take(10).collect();
        writeln!(out, "{} {date} {}: {}", paint.id(short(&step.commit)), format::one_line(&commit.author.name), format::one_line(commit.subject()))?;
        match columns {
            Some(columns) => {
                for name in columns {
                    // A renamed column has its new name here.
                    let old = step.before.as_ref().zip(step.after.as_ref()).and_then(|((old, _), (new, _))| {
                        let id = new.schema.columns.iter().find(|c| c.name == *name)?.id;
                        old.schema.columns.iter().find(|c| c.id == id).map(|c| c.name.clone())
                    });
                    writeln!(out, "    {name}: {} -> {}", text(&before, old.as_deref().unwrap_or(name))?, text(&after, name)?)?;
                }
            }
            None => writeln!(out, "    {change}: {}", all(after.as_ref().or(before.as_ref()))?)?,
        }
    }
    out.finish()?;
    if steps.is_empty() && !context.ui.json {
        context.ui.note("No commit changed it");
    }
    Ok(())
}

fn cells(repo: &Repo, place: Option<&(Arc<Table>, u64)>) -> Result<Option<RecordBatch>, CliError> {
    let Some((table, slot)) = place else { return Ok(None) };
    Ok(Some(table.take(repo.objects(), &[*slot], &(0..table.columns.len()).collect::<Vec<_>>())?))
}

fn object(row: &RecordBatch) -> Result<Value, CliError> {
    let mut cells = Map::new();
    for (field, column) in row.schema().fields().iter().zip(row.columns()) {
        let ty = Type::from_field(field).map_err(|e| CliError::fault(e.to_string()))?;
        cells.insert(field.name().clone(), value::json(&ty, column, 0)?);
    }
    Ok(Value::Object(cells))
}

fn text(row: &Option<RecordBatch>, name: &str) -> Result<String, CliError> {
    let Some(row) = row else { return Ok("-".to_owned()) };
    let schema = row.schema();
    let Some((index, field)) = schema.column_with_name(name) else { return Ok("-".to_owned()) };
    Ok(Printer::new(field, row.column(index)).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text)
}

fn all(row: Option<&RecordBatch>) -> Result<String, CliError> {
    let Some(row) = row else { return Ok(String::new()) };
    let mut told = Vec::new();
    for (field, column) in row.schema().fields().iter().zip(row.columns()) {
        told.push(format!("{}={}", field.name(), Printer::new(field, column).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text));
    }
    Ok(told.join(", "))
}

//! `dsv blame`.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

use crate::base::CommitId;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::cell::{Cell, Printer};
use crate::cli::ui::format;
use crate::cli::ui::table::{Heading, draw};
use crate::cli::value;
use crate::format::Type;
use crate::history::short;
use crate::query::{Params, filter_slots};
use crate::repo::Repo;
use crate::repo::blame::RowName;
use crate::table::Table;

/// Rows whose cells are read at a time.
const ROWS: usize = 1024;

/// Show which commit last set each cell
///
/// With a column: for each row, the commit that last set its cell in that column. With --row: for one row (its key's cells, separated by commas, or its row id), the commit of each cell.
/// Renamed columns and tables are followed; of a merge, a cell that a parent has is that parent's.
///
/// With --json, a line for each cell: {"key" or "row", "column", "commit", "author", "time", "subject", "value"}; "commit" is null for what is not committed.
///
/// Examples:
///
///   dsv blame photos label
///   dsv blame photos --row 17
///   dsv blame photos label --where "label = 'cat'" --at v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Blame {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN", required_unless_present = "row")]
    column: Option<String>,
    /// One row: its key, or its row id
    #[arg(long, value_name = "ROW", conflicts_with = "filter")]
    row: Option<String>,
    /// Only rows for which this SQL condition is true
    #[arg(long = "where", value_name = "SQL")]
    filter: Option<String>,
    /// At most so many rows
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl Blame {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let at = self.at.as_deref();
        let table = repo.table(&self.table, at)?;
        let columns = match &self.column {
            Some(column) => vec![table.schema.index(column)?],
            None => (0..table.columns.len()).collect(),
        };
        let mut slots = match (&self.row, &self.filter) {
            (Some(row), _) => vec![repo.find_row(&self.table, at, &RowName::of(row))?.1],
            (None, Some(filter)) => filter_slots(repo.objects(), &table, filter, &Params::new())?,
            (None, None) => {
                let rows = table.rows(repo.objects())?;
                let rows = self.limit.map_or(rows, |limit| rows.min(limit as u64));
                table.slots_of_rows(repo.objects(), &(0..rows).collect::<Vec<_>>())?
            }
        };
        slots.truncate(self.limit.unwrap_or(usize::MAX));
        let found = repo.blame(&self.table, at, &columns, &slots)?;
        show(context, &repo, &table, &columns, &slots, &found)
    }
}

fn show(context: &Context, repo: &Repo, table: &Arc<Table>, columns: &[usize], slots: &[u64], found: &[Vec<Option<CommitId>>]) -> Result<(), CliError> {
    let mut out = context.ui.page();
    let key = table.schema.key_indices();
    let mut drawn = Vec::new();
    for (part, at) in slots.chunks(ROWS).zip((0..).step_by(ROWS)) {
        let (keys, cells) = (table.take(repo.objects(), part, &key)?, table.take(repo.objects(), part, columns)?);
        for (i, slot) in part.iter().enumerate() {
            let row = if key.is_empty() { table.row_ids(repo.objects(), *slot..*slot + 1)?.first().map(ToString::to_string) } else { None };
            for (n, commits) in found.iter().enumerate() {
                let commit = commits.get(at + i).copied().flatten();
                if context.ui.json {
                    writeln!(out, "{}", line(repo, &keys, row.as_deref(), &cells, (n, i), commit)?)?;
                } else {
                    drawn.push(shown(repo, &keys, row.as_deref(), &cells, (n, i), commit)?);
                }
            }
        }
    }
    if !drawn.is_empty() {
        draw(&context.ui, &mut out, ["row", "column", "value", "commit", "date", "author", "subject"].map(Heading::left).to_vec(), &drawn)?;
    } else if !context.ui.json {
        context.ui.note("No row");
    }
    Ok(out.finish()?)
}

fn printed(batch: &RecordBatch, column: usize, row: usize) -> Result<Cell, CliError> {
    let schema = batch.schema();
    let field = schema.field(column);
    Ok(Printer::new(field, batch.column(column)).map_err(|e| CliError::fault(e.to_string()))?.cell(row))
}

type Place = (usize, usize);

fn shown(repo: &Repo, keys: &RecordBatch, row: Option<&str>, cells: &RecordBatch, (n, i): Place, commit: Option<CommitId>) -> Result<Vec<Cell>, CliError> {
    let named = match row {
        Some(id) => id.to_owned(),
        None => {
            let parts = (0..keys.num_columns()).map(|k| Ok(format!("{}={}", keys.schema().field(k).name(), printed(keys, k, i)?.text)));
            parts.collect::<Result<Vec<_>, CliError>>()?.join(", ")
        }
    };
    let mut line = vec![Cell::plain(named), Cell::plain(cells.schema().field(n).name()), printed(cells, n, i)?];
    line.extend(match commit {
        Some(id) => {
            let commit = repo.commit_of(id)?;
            let date = format::iso_date(commit.author.millis, commit.author.offset_minutes);
            [short(&id), date.chars().take(10).collect(), commit.author.name.clone(), commit.subject().to_owned()].map(Cell::plain).to_vec()
        }
        None => vec![Cell::note("-"), Cell::note("-"), Cell::note("-"), Cell::note("not committed yet")],
    });
    Ok(line)
}

fn object(batch: &RecordBatch, row: usize) -> Result<Value, CliError> {
    let mut cells = Map::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        cells.insert(field.name().clone(), cell(field, column, row)?);
    }
    Ok(Value::Object(cells))
}

fn cell(field: &arrow::datatypes::Field, column: &arrow::array::ArrayRef, row: usize) -> Result<Value, CliError> {
    value::json(&Type::from_field(field).map_err(|e| CliError::fault(e.to_string()))?, column, row)
}

fn line(repo: &Repo, keys: &RecordBatch, row: Option<&str>, cells: &RecordBatch, (n, i): Place, commit: Option<CommitId>) -> Result<Value, CliError> {
    let mut line = Map::new();
    match row {
        Some(id) => line.insert("row".into(), json!(id)),
        None => line.insert("key".into(), object(keys, i)?),
    };
    let schema = cells.schema();
    let field = schema.field(n);
    line.insert("column".into(), json!(field.name()));
    let told = commit.map(|id| repo.commit_of(id)).transpose()?;
    line.insert("commit".into(), json!(commit.map(|id| id.to_string())));
    line.insert("author".into(), json!(told.as_ref().map(|commit| &commit.author.name)));
    line.insert("time".into(), json!(told.as_ref().map(|commit| format::iso_date(commit.author.millis, commit.author.offset_minutes))));
    line.insert("subject".into(), json!(told.as_ref().map(|commit| commit.subject())));
    line.insert("value".into(), cell(field, cells.column(n), i)?);
    Ok(Value::Object(line))
}

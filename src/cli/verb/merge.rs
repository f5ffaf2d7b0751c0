//! `dsv merge`.

use std::io::Write;

use arrow::array::ArrayRef;
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::cell::{Cell, Printer};
use crate::cli::ui::format;
use crate::cli::ui::table::{Heading, draw};
use crate::cli::value;
use crate::format::Type;
use crate::history::short;
use crate::repo::{MergeOutcome, MergeReport, MergeRequest, MergedTable, Repo, kind_name};
use crate::table::merge::{Conflict, ConflictKind, Side};

/// Conflicts shown in a terminal; --json lists all.
const SHOWN_MAX: usize = 20;

/// Merge another branch into this one, cell by cell
///
/// Columns, rows and cells that one side alone changed are taken as they are; what both changed alike is no conflict. Where both changed one cell to
/// different values, or one deleted a row that the other changed, the column's merge policy decides, or --strategy. What is left are conflicts: they are
/// listed, the exit code is 1, and nothing is changed.
///
/// With --json, a line for each conflict: {"table", "kind", "key" or "row", "column", "base", "ours", "theirs"}; without conflicts one line {"outcome":
/// "up-to-date|fast-forward|merged", "commit"}.
///
/// Examples:
///
///   dsv merge relabel
///   dsv merge relabel --dry-run          what would happen
///   dsv merge relabel --strategy theirs  their side wins where both changed a cell
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Merge {
    /// The branch or revision to merge
    #[arg(value_name = "REV")]
    revision: String,
    /// The message of the merge's commit
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Make a commit even where the branch could simply move forward
    #[arg(long)]
    no_ff: bool,
    /// Tell what would happen; change nothing
    #[arg(long)]
    dry_run: bool,
    /// The side that wins where both changed a cell
    #[arg(long, value_name = "SIDE")]
    strategy: Option<Winner>,
    /// Merge histories that have no commit in common
    #[arg(long)]
    allow_unrelated: bool,
}

/// A side of a merge.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Winner {
    /// The branch that is checked out
    Ours,
    /// The revision that is merged
    Theirs,
}

impl Merge {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let strategy = self.strategy.map(|winner| if matches!(winner, Winner::Ours) { Side::Ours } else { Side::Theirs });
        let request = MergeRequest { message: self.message, no_ff: self.no_ff, dry_run: self.dry_run, strategy, allow_unrelated: self.allow_unrelated };
        let report = repo.merge(&self.revision, &request)?;
        let ui = &context.ui;
        let (outcome, commit) = match &report.outcome {
            MergeOutcome::UpToDate => ("up-to-date", None),
            MergeOutcome::FastForward(id) => ("fast-forward", Some(*id)),
            MergeOutcome::Merged(id) => ("merged", *id),
            MergeOutcome::Conflicts => return conflicts(context, &repo, &report),
        };
        if ui.json {
            let mut out = ui.page();
            writeln!(out, "{}", json!({ "outcome": outcome, "commit": commit.map(|id| id.to_string()) }))?;
            return Ok(out.finish()?);
        }
        for line in report.tables.iter().filter_map(taken) {
            ui.note(line);
        }
        let would = if request.dry_run { "Would be: " } else { "" };
        ui.note(match (&report.outcome, commit) {
            (MergeOutcome::UpToDate, _) => "All of it is here already".to_owned(),
            (MergeOutcome::FastForward(id), _) => format!("{would}moved forward to {}", short(id)),
            (_, Some(id)) => format!("Merged {} as {}", self.revision, short(&id)),
            (_, None) => format!("{} would merge without conflicts", self.revision),
        });
        Ok(())
    }
}

/// What was taken for a table, in a line.
fn taken(table: &MergedTable) -> Option<String> {
    let counts = &table.counts;
    let parts = [
        (counts.columns_added, "+", "column"),
        (counts.columns_dropped, "-", "column"),
        (counts.rows_added, "+", "row"),
        (counts.rows_removed, "-", "row"),
        (counts.cells, "", "cell"),
        (counts.decided, "", "decision of a policy"),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, sign, what)| match what {
            "decision of a policy" => format!("{} decided by a policy", format::count(n)),
            // Stretches are taken unread, so that some of them may be equal.
            "cell" => format!("up to {}", format::plural(n, what)),
            _ => format!("{sign}{}", format::plural(n, what)),
        })
        .collect();
    (!told.is_empty()).then(|| format!("  {}: {}", table.name, told.join(", ")))
}

/// The type of a conflict's column, where a side has it.
fn type_of(table: &MergedTable, conflict: &Conflict) -> Option<Type> {
    let id = conflict.column?;
    [&table.ours, &table.theirs, &table.base].into_iter().find_map(|t| t.schema.columns.iter().find(|c| c.id == id)).map(|c| c.ty.clone())
}

fn conflicts(context: &Context, repo: &Repo, report: &MergeReport) -> Result<(), CliError> {
    let total = report.names.len() + report.tables.iter().map(|table| table.conflicts.len()).sum::<usize>();
    let mut out = context.ui.page();
    if context.ui.json {
        for name in &report.names {
            writeln!(out, "{}", json!({ "table": name.name, "kind": "table", "row": null, "column": null, "why": name.why }))?;
        }
    } else {
        report.names.iter().try_for_each(|name| writeln!(out, "{}", name.why))?;
    }
    let mut rows = Vec::new();
    for table in &report.tables {
        for conflict in &table.conflicts {
            if context.ui.json {
                writeln!(out, "{}", line(repo, table, conflict)?)?;
            } else if let ConflictKind::Schema(why) = &conflict.kind {
                writeln!(out, "{}: {why}", table.name)?;
            } else if rows.len() < SHOWN_MAX {
                rows.push(shown(repo, table, conflict)?);
            }
        }
    }
    if !rows.is_empty() {
        let headings = ["table", "row", "conflict", "column", "base", "ours", "theirs"].map(Heading::left).to_vec();
        draw(&context.ui, &mut out, headings, &rows)?;
    }
    out.finish()?;
    let mut error = CliError::no(format!("{}: nothing was changed", format::plural(total as u64, "conflict")));
    error.hints.push("let a side win with --strategy ours or --strategy theirs, or change one of the branches and merge again".to_owned());
    Err(error)
}

fn key_text(key: &[(String, ArrayRef)]) -> Result<String, CliError> {
    let cells = key.iter().map(|(name, cell)| {
        let field = arrow::datatypes::Field::new(name, cell.data_type().clone(), true);
        Ok(format!("{name}={}", Printer::new(&field, cell).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text))
    });
    Ok(cells.collect::<Result<Vec<_>, CliError>>()?.join(", "))
}

fn shown(repo: &Repo, table: &MergedTable, conflict: &Conflict) -> Result<Vec<Cell>, CliError> {
    let key = repo.conflict_key(table, conflict)?;
    let row = if key.is_empty() { repo.conflict_row(table, conflict)?.map(|id| id.to_string()).unwrap_or_default() } else { key_text(&key)? };
    let mut cells =
        vec![Cell::plain(&table.name), Cell::plain(row), Cell::plain(kind_name(&conflict.kind)), Cell::plain(table.column(conflict).unwrap_or_default())];
    let ty = type_of(table, conflict);
    for side in [None, Some(Side::Ours), Some(Side::Theirs)] {
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
    line.insert("kind".into(), json!(kind_name(&conflict.kind)));
    if let ConflictKind::Schema(why) = &conflict.kind {
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
    for (name, side) in [("base", None), ("ours", Some(Side::Ours)), ("theirs", Some(Side::Theirs))] {
        let value = match (repo.conflict_cell(table, conflict, side)?, &ty) {
            (Some(cell), Some(ty)) => value::json(ty, &cell, 0)?,
            _ => Value::Null,
        };
        line.insert(name.into(), value);
    }
    Ok(Value::Object(line))
}

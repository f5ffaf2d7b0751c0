//! `dsv check`.

use std::io::Write;

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::cell::{Cell, Printer};
use crate::cli::ui::format;
use crate::cli::ui::table::{Heading, draw};
use crate::cli::value;
use crate::format::Type;
use crate::repo::{NewCheck, Tested, Violation};

/// Rows of each check shown in a terminal, if nothing else is asked for.
const SHOWN: usize = 10;

/// Keep checks with the data: commits and merges must hold them
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, subcommand_required = true, arg_required_else_help = true)]
pub struct Check {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Verb {
    Add(Add),
    Run(Run),
    List(List),
    Drop(Drop),
}

impl Check {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self.verb {
            Verb::Add(verb) => verb.run(context),
            Verb::Run(verb) => verb.run(context),
            Verb::List(verb) => verb.run(context),
            Verb::Drop(verb) => verb.run(context),
        }
    }
}

/// Add a check
///
/// A predicate must be true for every row of the table; as in SQL, a row for which it is null passes: say "x IS NOT NULL AND x > 0" where null is wrong. A
/// query must return no rows. --not-null allows no null in these columns. --unique allows no two rows with the same cells in them; a row with a null
/// among them is like no other.
///
/// The present rows are tested at once. Where some fail, the check is not added, unless with --allow-failing; commits are then refused until no row fails.
///
/// Examples:
///
///   dsv check add heavy --table birds "weight > 0"
///   dsv check add labelled --table birds --not-null label,weight
///   dsv check add once --table birds --unique name
///   dsv check add known --query "SELECT * FROM birds WHERE label NOT IN (SELECT name FROM labels)"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("rule").required(true).args(["predicate", "query", "not_null", "unique"]))]
struct Add {
    /// The check's name
    #[arg(value_name = "NAME")]
    name: String,
    /// An SQL predicate over the table's rows
    #[arg(value_name = "PREDICATE", requires = "table", allow_hyphen_values = true)]
    predicate: Option<String>,
    /// The table
    #[arg(long, value_name = "TABLE", conflicts_with = "query")]
    table: Option<String>,
    /// An SQL query that returns what is wrong
    #[arg(long, value_name = "SQL")]
    query: Option<String>,
    /// Columns without nulls
    #[arg(long, value_name = "COL[,COL]", requires = "table")]
    not_null: Vec<String>,
    /// Columns whose cells together name a row
    #[arg(long, value_name = "COL[,COL]", requires = "table")]
    unique: Vec<String>,
    /// Add it although rows fail
    #[arg(long)]
    allow_failing: bool,
}

impl Add {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let table = self.table.clone().unwrap_or_default();
        let (new, rule) = if let Some(sql) = self.query {
            (NewCheck::Query { sql: sql.clone() }, vec!["--query".to_owned(), sql])
        } else if let Some(sql) = self.predicate {
            (NewCheck::Predicate { table, sql: sql.clone() }, vec![sql])
        } else if self.not_null.is_empty() {
            (NewCheck::Unique { table, columns: args::names("--unique", &self.unique)? }, vec!["--unique".to_owned(), self.unique.join(",")])
        } else {
            (NewCheck::NotNull { table, columns: args::names("--not-null", &self.not_null)? }, vec!["--not-null".to_owned(), self.not_null.join(",")])
        };
        let repo = context.working_repo()?;
        let mut words = vec!["check", "add", &self.name];
        words.extend(self.table.iter().flat_map(|table| ["--table", table]));
        words.extend(rule.iter().map(String::as_str));
        let (tested, kept) = repo.add_check(&self.name, &new, self.allow_failing, SHOWN, &args::command(words))?;
        if !kept {
            show(context, std::slice::from_ref(&tested))?;
            let error = CliError::no(format!("{}: it was not added", tested.summary()));
            return Err(error.hint("mend the rows first, or add it all the same with --allow-failing; commits are then refused until no row fails"));
        }
        let failing = if tested.holds() { String::new() } else { format!("; {} now, and commits are refused until none does", fails(&tested)) };
        context.ui.note(format!("Added check {}{failing}", self.name));
        Ok(())
    }
}

fn fails(tested: &Tested) -> String {
    if tested.failing == 1 { "1 row fails".to_owned() } else { format!("{} rows fail", format::count(tested.failing)) }
}

/// Test checks on all rows
///
/// Tests the checks named, or all. Exits with 1 where one does not hold, and shows the rows that fail.
///
/// With --json, a line for each row that fails: {"check", "table", "key" or "row", "values", "why"}; then a line for each check: {"check", "table", "holds",
/// "rows_failing"}.
///
/// Examples:
///
///   dsv check run
///   dsv check run heavy once --at v1.0
///   dsv check run --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Run {
    /// The checks
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// At most so many rows of each check (with --json: all, if this is not given)
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

impl Run {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let limit = self.limit.unwrap_or(if context.ui.json { usize::MAX } else { SHOWN });
        // The first tells whether it can be evaluated at all.
        let mut tested = repo.run_checks(&self.names, self.at.as_deref(), limit.max(1))?;
        if limit == 0 {
            tested.iter_mut().filter(|t| t.violations.iter().any(|v| v.cells.is_some())).for_each(|t| t.violations.clear());
        }
        show(context, &tested)?;
        if context.ui.json {
            let mut out = context.ui.out();
            for t in &tested {
                writeln!(out, "{}", json!({ "check": t.check, "table": t.table, "holds": t.holds(), "rows_failing": t.failing }))?;
            }
            out.finish()?;
        }
        let broken: Vec<&Tested> = tested.iter().filter(|t| !t.holds()).collect();
        if broken.is_empty() {
            context.ui.note(if tested.is_empty() {
                "There are no checks".to_owned()
            } else {
                format!("{} held", format::plural(tested.len() as u64, "check"))
            });
            return Ok(());
        }
        Err(CliError::no(broken.iter().map(|t| t.summary()).collect::<Vec<_>>().join("; ")))
    }
}

/// Shows the rows that break checks.
pub fn show(context: &Context, tested: &[Tested]) -> Result<(), CliError> {
    let mut out = context.ui.out();
    for t in tested {
        if context.ui.json {
            t.violations.iter().try_for_each(|v| Ok::<_, CliError>(writeln!(out, "{}", line(v)?)?))?;
            continue;
        }
        let rows = t.violations.iter().filter(|v| v.cells.is_some()).map(drawn).collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            continue;
        }
        draw(&context.ui, &mut out, ["check", "table", "row", "values", "why"].map(Heading::left).to_vec(), &rows)?;
        let more = t.failing.saturating_sub(rows.len() as u64);
        if more > 0 {
            writeln!(out, "  ... and {} more", format::plural(more, "row"))?;
        }
    }
    Ok(out.finish()?)
}

fn drawn(violation: &Violation) -> Result<Vec<Cell>, CliError> {
    let text = |cells: &RecordBatch| -> Result<String, CliError> {
        let one = |(field, array)| -> Result<String, CliError> {
            let field: &arrow::datatypes::FieldRef = field;
            Ok(format!("{}={}", field.name(), Printer::new(field, array).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text))
        };
        Ok(cells.schema().fields().iter().zip(cells.columns()).map(one).collect::<Result<Vec<_>, _>>()?.join(", "))
    };
    let row = match (&violation.key, violation.row) {
        (Some(key), _) => text(key)?,
        (None, row) => row.map(|id| id.to_string()).unwrap_or_default(),
    };
    let values = violation.cells.as_ref().map(text).transpose()?.unwrap_or_default();
    let table = violation.table.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
    Ok([&violation.check, table, &row, &values, &violation.detail].map(Cell::plain).to_vec())
}

fn line(violation: &Violation) -> Result<Value, CliError> {
    let object = |cells: &RecordBatch| -> Result<Value, CliError> {
        let mut object = Map::new();
        for (field, array) in cells.schema().fields().iter().zip(cells.columns()) {
            let cell = match Type::from_field(field) {
                Ok(ty) => value::json(&ty, array, 0)?,
                // A query may give types that dsv has not.
                Err(_) => json!(Printer::new(field, array).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text),
            };
            object.insert(field.name().clone(), cell);
        }
        Ok(Value::Object(object))
    };
    let mut line = Map::new();
    line.insert("check".into(), json!(violation.check));
    line.insert("table".into(), json!(violation.table.as_ref().map(|(_, name)| name)));
    match &violation.key {
        Some(key) => line.insert("key".into(), object(key)?),
        None => line.insert("row".into(), json!(violation.row.map(|id| id.to_string()))),
    };
    line.insert("values".into(), violation.cells.as_ref().map_or(Ok(Value::Null), object)?);
    line.insert("why".into(), json!(violation.detail));
    Ok(Value::Object(line))
}

/// List the checks
///
/// With --json, a line for each: {"check", "kind": "predicate|query|not-null|unique", "table", "columns", "sql"}.
///
/// Examples:
///
///   dsv check list
///   dsv check list --at v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct List {
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl List {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let checks = context.repo()?.checks(self.at.as_deref())?;
        let mut out = context.ui.page();
        if context.ui.json {
            for c in &checks {
                writeln!(out, "{}", json!({ "check": c.name, "kind": c.kind, "table": c.table, "columns": c.columns, "sql": c.sql }))?;
            }
            return Ok(out.finish()?);
        }
        if checks.is_empty() {
            context.ui.note("There are no checks");
            return Ok(out.finish()?);
        }
        let cells = |c: &crate::repo::CheckInfo| {
            let rule = c.sql.clone().unwrap_or_else(|| c.columns.join(", "));
            [&c.name, c.kind, c.table.as_deref().unwrap_or_default(), &rule].map(Cell::plain).to_vec()
        };
        let rows: Vec<_> = checks.iter().map(cells).collect();
        draw(&context.ui, &mut out, ["check", "kind", "table", "rule"].map(Heading::left).to_vec(), &rows)?;
        Ok(out.finish()?)
    }
}

/// Drop a check
///
/// Commits that have it keep it, and `dsv undo` brings it back.
///
/// Examples:
///
///   dsv check drop heavy
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Drop {
    /// The check
    #[arg(value_name = "NAME")]
    name: String,
}

impl Drop {
    fn run(self, context: &Context) -> Result<(), CliError> {
        context.repo()?.drop_check(&self.name, &args::command(["check", "drop", &self.name]))?;
        context.ui.note(format!("Dropped check {}; 'dsv undo' brings it back", self.name));
        Ok(())
    }
}

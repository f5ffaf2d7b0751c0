//! `dsv resolve`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use arrow::array::ArrayRef;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::query::decide;
use crate::repo::{Disputed, Pick, Repo, RepoError, Resolution, Resolved};
use crate::table::merge::{Policy, Side};

/// Settle conflicts of the merge in progress
///
/// Without a table, all that are left; else those of a table, a row of it (its key's cells, separated by commas, or its row id) and a column. --ours and --theirs take a
/// side's cell, row, column or table; --base takes what both come from; --keep leaves the working state as it is, for what was mended there by hand. --value, --policy and
/// --as give cells a value; conflicts of rows and columns as wholes are left to the other options.
///
/// --file reads JSON lines as `dsv conflicts --json` prints them, each with "take": "ours|theirs|base|keep" or "resolved": VALUE added; lines with neither are passed over.
///
/// Once none is left, `dsv merge --continue` (or cherry-pick, revert, rebase) commits.
///
/// Examples:
///
///   dsv resolve --ours                             everything
///   dsv resolve --theirs photos 17 label           one cell
///   dsv resolve --theirs photos --column score     a column
///   dsv resolve --value dog photos 17 label
///   dsv resolve --policy max photos --column score
///   dsv resolve --as "(ours + theirs) / 2" photos --column score
///   dsv resolve --file decided.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("how").required(true).args(["ours", "theirs", "base", "keep", "value", "null", "policy", "sql", "file"]))]
pub struct Resolve {
    /// The table
    #[arg(value_name = "TABLE", conflicts_with = "file")]
    table: Option<String>,
    /// The row: its key, or its row id
    #[arg(value_name = "KEY", conflicts_with = "file")]
    row: Option<String>,
    /// The column
    #[arg(value_name = "COLUMN", conflicts_with = "file")]
    cell: Option<String>,
    /// The column, for all rows
    #[arg(long, value_name = "COLUMN", requires = "table", conflicts_with_all = ["cell", "file"])]
    column: Option<String>,
    /// As the branch that is checked out has it
    #[arg(long)]
    ours: bool,
    /// As what is merged has it
    #[arg(long)]
    theirs: bool,
    /// As both had it before
    #[arg(long)]
    base: bool,
    /// As the working state has it now
    #[arg(long)]
    keep: bool,
    /// This value, written as in a CSV file
    #[arg(long, value_name = "TEXT", requires = "table")]
    value: Option<String>,
    /// No value
    #[arg(long, requires = "table")]
    null: bool,
    /// By a merge policy: ours, theirs, newest, max, min, sum-of-changes, non-null, json-by-field or list-union
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// By an SQL expression over base, ours and theirs
    #[arg(long = "as", value_name = "SQL", requires = "table")]
    sql: Option<String>,
    /// As the lines of this file say (- for stdin)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Resolve {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let done = match &self.file {
            Some(path) => by_file(context, &repo, path)?,
            None => {
                let by_sql = |disputed: &Disputed<'_>| by_expression(self.sql.as_deref().unwrap_or_default(), disputed);
                let resolution = match (&self.policy, &self.value) {
                    _ if self.ours => Resolution::Side(Side::Ours),
                    _ if self.theirs => Resolution::Side(Side::Theirs),
                    _ if self.base => Resolution::Base,
                    _ if self.keep => Resolution::Keep,
                    _ if self.null => Resolution::Value(None),
                    (Some(policy), _) => Resolution::Policy(policy.parse::<Policy>().map_err(RepoError::from)?),
                    (_, Some(value)) => Resolution::Value(Some(value)),
                    _ => Resolution::With(&by_sql),
                };
                let pick = Pick { table: self.table.clone(), row: self.row.clone(), column: self.column.clone().or(self.cell.clone()) };
                repo.resolve_conflicts(&pick, &resolution, &self.command())?
            }
        };
        tell(context, &repo, done)
    }

    /// The operation's name in the log.
    fn command(&self) -> String {
        let mut words = vec!["resolve"];
        words.extend([(self.ours, "--ours"), (self.theirs, "--theirs"), (self.base, "--base"), (self.keep, "--keep")].iter().filter(|o| o.0).map(|o| o.1));
        words.extend([&self.table, &self.row, &self.cell, &self.column].into_iter().flatten().map(String::as_str));
        words.join(" ")
    }
}

fn tell(context: &Context, repo: &Repo, done: Resolved) -> Result<(), CliError> {
    if context.ui.json {
        let mut out = context.ui.out();
        std::io::Write::write_fmt(&mut out, format_args!("{}\n", json!({ "settled": done.settled, "left": done.left })))?;
        return Ok(out.finish()?);
    }
    context.ui.note(format!("Settled {}; {} left", format::plural(done.settled as u64, "conflict"), format::count(done.left as u64)));
    if done.left == 0
        && let Some(merging) = repo.working()?.merging
    {
        context.ui.hint(format!("'dsv {} --continue' ends it", merging.verb));
    }
    Ok(())
}

fn by_expression(sql: &str, disputed: &Disputed<'_>) -> Result<ArrayRef, RepoError> {
    decide(sql, disputed).map_err(|error| RepoError::refused(format!("column '{}': {error}", disputed.column)))
}

/// What one line of a file says.
enum Said {
    Take(&'static str),
    Value(Option<String>),
}

fn by_file(context: &Context, repo: &Repo, path: &Path) -> Result<Resolved, CliError> {
    let shown = path.display();
    let open: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(context.path(path)).map_err(|e| CliError::usage(format!("{shown}: {e}")))?;
        Box::new(BufReader::new(file))
    };
    let mut lines = Vec::new();
    for (n, line) in open.lines().enumerate() {
        let line = line.map_err(|e| CliError::usage(format!("{shown}, line {}: {e}", n + 1)))?;
        if line.trim().is_empty() {
            continue;
        }
        let fail = |why: String| CliError::usage(format!("{shown}, line {}: {why}", n + 1));
        let value: Value = serde_json::from_str(&line).map_err(|e| fail(format!("is not JSON: {e}")))?;
        if let Some(said) = said(&value).map_err(fail)? {
            lines.push((pick(&value).map_err(fail)?, said));
        }
    }
    if lines.is_empty() {
        return Err(
            CliError::usage(format!("{shown} settles nothing")).hint("add \"take\": \"ours\" or \"resolved\": VALUE to lines of 'dsv conflicts --json'")
        );
    }
    let resolutions: Vec<Resolution<'_>> = lines
        .iter()
        .map(|(_, said)| match said {
            Said::Take("ours") => Resolution::Side(Side::Ours),
            Said::Take("theirs") => Resolution::Side(Side::Theirs),
            Said::Take("base") => Resolution::Base,
            Said::Take(_) => Resolution::Keep,
            Said::Value(value) => Resolution::Value(value.as_deref()),
        })
        .collect();
    let picks: Vec<(Pick, &Resolution<'_>)> = lines.iter().zip(&resolutions).map(|((pick, _), how)| (pick.clone(), how)).collect();
    Ok(repo.resolve_all(&picks, &format!("resolve --file {shown}"))?)
}

fn said(line: &Value) -> Result<Option<Said>, String> {
    match (line.get("take"), line.get("resolved")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("both \"take\" and \"resolved\"".to_owned()),
        (Some(side), None) => match ["ours", "theirs", "base", "keep"].into_iter().find(|known| side == known) {
            Some(known) => Ok(Some(Said::Take(known))),
            None => Err(format!("\"take\" is {side}, not ours, theirs, base or keep")),
        },
        (None, Some(value)) => Ok(Some(Said::Value(text(value)))),
    }
}

/// A JSON value as a CSV field has it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn pick(line: &Value) -> Result<Pick, String> {
    let name = |field: &str| match line.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(other) => Err(format!("\"{field}\" is {other}, not text")),
    };
    let row = match (line.get("key"), name("row")?) {
        (Some(Value::Object(key)), _) => Some(key.values().map(|cell| text(cell).unwrap_or_default()).collect::<Vec<_>>().join(",")),
        (Some(other), None) if !other.is_null() => text(other),
        (_, row) => row,
    };
    let table = name("table")?;
    if table.is_none() {
        return Err("no \"table\"".to_owned());
    }
    Ok(Pick { table, row, column: name("column")? })
}

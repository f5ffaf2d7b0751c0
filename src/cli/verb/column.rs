//! `dsv column`.

use std::io::Write;

use arrow::array::new_null_array;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::sql;
use crate::format::Type;
use crate::table::TableError;
use crate::table::edit::Fill;
use crate::table::merge::{self, POLICY_OPTION};

/// Add, drop, rename and retype the columns of a table; keep merge policies
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, subcommand_required = true, arg_required_else_help = true)]
pub struct Column {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Verb {
    Add(Add),
    Drop(Drop),
    Rename(Rename),
    Retype(Retype),
    Policy(Policy),
}

impl Column {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self.verb {
            Verb::Add(verb) => verb.run(context),
            Verb::Drop(verb) => verb.run(context),
            Verb::Rename(verb) => verb.run(context),
            Verb::Retype(verb) => verb.run(context),
            Verb::Policy(verb) => verb.run(context),
        }
    }
}

/// Add a column
///
/// It holds null everywhere, one default value, or what an SQL expression over the other columns gives for each row. No other column is touched.
///
/// Examples:
///
///   dsv column add birds checked bool --default false
///   dsv column add birds heavy bool --as "weight > 2.5"
///   dsv column add birds note text
///   dsv column add birds vector 'embedding(384)'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Add {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN")]
    column: String,
    /// Its type
    #[arg(value_name = "TYPE")]
    r#type: String,
    /// The value of every row that is there
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    default: Option<String>,
    /// An SQL expression over the row
    #[arg(long, value_name = "SQL", conflicts_with = "default")]
    r#as: Option<String>,
}

impl Add {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let ty = column_type(&self.r#type)?;
        let repo = context.working_repo()?;
        let fill = match (&self.default, &self.r#as) {
            (Some(text), _) => Fill::Constant(args::value(text, &ty)?),
            (None, Some(sql)) => Fill::Values(sql::values(&repo, &self.table, &self.column, sql, &ty)?),
            (None, None) => Fill::Constant(new_null_array(&ty.storage(), 1)),
        };
        let command = args::command(["column", "add", &self.table, &self.column, &ty.to_string()]);
        repo.edit_table(&self.table, &command, |table| table.add_column(repo.objects(), &self.column, ty.clone(), fill).map_err(taken))?;
        context.ui.note(format!("Added column {} {ty} to table {}", self.column, self.table));
        Ok(())
    }
}

/// Drop a column
///
/// Commits that have it keep it, and `dsv undo` brings it back.
///
/// Examples:
///
///   dsv column drop birds note
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Drop {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN")]
    column: String,
}

impl Drop {
    fn run(self, context: &Context) -> Result<(), CliError> {
        context.repo()?.drop_column(&self.table, &self.column, &args::command(["column", "drop", &self.table, &self.column]))?;
        context.ui.note(format!("Dropped column {} of table {}; 'dsv undo' brings it back", self.column, self.table));
        Ok(())
    }
}

/// Give a column another name
///
/// Its history goes on under the new name.
///
/// Examples:
///
///   dsv column rename birds note remark
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Rename {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN")]
    column: String,
    /// The new name
    #[arg(value_name = "NEW")]
    new: String,
}

impl Rename {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let command = args::command(["column", "rename", &self.table, &self.column, &self.new]);
        context.repo()?.edit_table(&self.table, &command, |table| table.rename_column(&self.column, &self.new).map_err(taken))?;
        context.ui.note(format!("Renamed column {} of table {} to {}", self.column, self.table, self.new));
        Ok(())
    }
}

/// Give a column another type
///
/// A wider type rewrites nothing: older values are cast as they are read. Another type converts every value, and is refused where one does not fit.
/// With --as, an SQL expression gives the new values.
///
/// Examples:
///
///   dsv column retype birds weight float64
///   dsv column retype birds label 'enum("sparrow","wren")'
///   dsv column retype birds weight float32 --as "weight / 1000"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Retype {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN")]
    column: String,
    /// Its new type
    #[arg(value_name = "TYPE")]
    r#type: String,
    /// An SQL expression over the row
    #[arg(long, value_name = "SQL")]
    r#as: Option<String>,
}

impl Retype {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let ty = column_type(&self.r#type)?;
        let repo = context.working_repo()?;
        let command = args::command(["column", "retype", &self.table, &self.column, &ty.to_string()]);
        match &self.r#as {
            None => repo.retype_column(&self.table, &self.column, ty.clone(), &command)?,
            Some(sql) => {
                let values = sql::values(&repo, &self.table, &self.column, sql, &ty)?;
                repo.edit_table(&self.table, &command, |table| Ok::<_, CliError>(table.refill_column(repo.objects(), &self.column, ty.clone(), values)?))?;
            }
        }
        context.ui.note(format!("Column {} of table {} is {ty} now", self.column, self.table));
        Ok(())
    }
}

/// A new name that another column has.
fn taken(error: TableError) -> CliError {
    match error {
        TableError::DuplicateColumn(name) => CliError::usage(format!("the table has a column '{name}' already")),
        other => other.into(),
    }
}

/// Keep a rule with a column that decides what both sides of a merge changed
///
/// ours, theirs: that side wins. newest: the side with the later commit. max, min. sum-of-changes: both changes are added, for counts. non-null: a value
/// wins over null. json-by-field: JSON objects merge field by field. list-union: lists merge as sets. none takes the rule away. Without a rule, such cells are
/// conflicts.
///
/// Examples:
///
///   dsv column policy birds sightings sum-of-changes
///   dsv column policy birds label              show it
///   dsv column policy birds label none
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Policy {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN")]
    column: String,
    /// The rule
    #[arg(value_name = "POLICY")]
    policy: Option<String>,
}

impl Policy {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let Some(policy) = self.policy else {
            let table = context.repo()?.table(&self.table, None)?;
            let column = table.schema.columns.get(table.schema.index(&self.column)?);
            let kept = column.and_then(|column| column.options.get(POLICY_OPTION)).map_or("none", String::as_str);
            let mut out = context.ui.out();
            if context.ui.json {
                writeln!(out, "{}", serde_json::json!({ "table": self.table, "column": self.column, "policy": kept }))?;
            } else {
                writeln!(out, "{kept}")?;
            }
            return Ok(out.finish()?);
        };
        let rule = if policy == "none" { None } else { Some(policy.parse::<merge::Policy>()?) };
        let repo = context.working_repo()?;
        let command = args::command(["column", "policy", &self.table, &self.column, &policy]);
        repo.set_policy(&self.table, &self.column, rule, &command)?;
        context.ui.note(match rule {
            Some(rule) => format!("Merges decide column {} of table {} by {rule}", self.column, self.table),
            None => format!("What both sides change in column {} of table {} is a conflict", self.column, self.table),
        });
        Ok(())
    }
}

fn column_type(text: &str) -> Result<Type, CliError> {
    text.parse().map_err(|e: crate::format::TypeError| CliError::usage(e.to_string()).hint(args::TYPES_HINT))
}

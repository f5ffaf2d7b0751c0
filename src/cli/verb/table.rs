//! `dsv table`.

use std::io::Write;

use serde_json::json;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::cell::Cell;
use crate::cli::ui::format;
use crate::cli::ui::table::{self, Heading};
use crate::table::Column;

/// List, create, drop, rename and describe tables
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, subcommand_required = true, arg_required_else_help = true)]
pub struct Table {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Verb {
    List(List),
    Create(Create),
    Drop(Drop),
    Rename(Rename),
    Describe(Describe),
}

impl Table {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self.verb {
            Verb::List(verb) => verb.run(context),
            Verb::Create(verb) => verb.run(context),
            Verb::Drop(verb) => verb.run(context),
            Verb::Rename(verb) => verb.run(context),
            Verb::Describe(verb) => verb.run(context),
        }
    }
}

/// List the tables
///
/// With --json, a line for each table: {"table", "rows", "columns", "key"}.
///
/// Examples:
///
///   dsv table list
///   dsv table list --at v1.0 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct List {
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl List {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let (repo, at) = context.repo_of(self.at.as_deref())?;
        let mut out = context.ui.page();
        let mut rows = Vec::new();
        for table in repo.tables(at.as_deref())? {
            let (name, count) = (table.name, table.rows);
            let key: Vec<String> = table.schema.key_indices().iter().filter_map(|i| table.schema.columns.get(*i)).map(|c| c.name.clone()).collect();
            if context.ui.json {
                writeln!(out, "{}", json!({"table": name, "rows": count, "columns": table.schema.columns.len(), "key": key}))?;
            } else {
                rows.push(vec![
                    Cell::plain(name),
                    Cell::plain(format::count(count)),
                    Cell::plain(format::count(table.schema.columns.len() as u64)),
                    Cell::plain(key.join(", ")),
                ]);
            }
        }
        if !rows.is_empty() {
            let headings = vec![Heading::left("table"), Heading::right("rows"), Heading::right("columns"), Heading::left("key")];
            table::draw(&context.ui, &mut out, headings, &rows)?;
        }
        Ok(out.finish()?)
    }
}

/// Create an empty table
///
/// Examples:
///
///   dsv table create birds id=int64 name=text weight=float32 'label=enum("sparrow","wren")' --key id
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Create {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// Columns
    #[arg(value_name = "COLUMN=TYPE")]
    columns: Vec<String>,
    /// The columns that tell rows apart
    #[arg(long, value_name = "COL[,COL]")]
    key: Vec<String>,
}

impl Create {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let columns = args::types("COLUMN=TYPE", &self.columns)?;
        let key = args::names("--key", &self.key)?;
        context.repo()?.create_table(&self.table, &columns, &key, &args::command(["table", "create", &self.table]))?;
        context.ui.note(format!("Created table {}: {}", self.table, format::plural(columns.len() as u64, "column")));
        Ok(())
    }
}

/// Drop a table from the working state
///
/// Commits that have it keep it, and `dsv undo` brings it back.
///
/// Examples:
///
///   dsv table drop birds
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Drop {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
}

impl Drop {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let checks = context.repo()?.drop_table(&self.table, &args::command(["table", "drop", &self.table]))?;
        let with = match checks.len() {
            0 => String::new(),
            1 => format!(" and its check {}", checks.join(", ")),
            _ => format!(" and its checks {}", checks.join(", ")),
        };
        context.ui.note(format!("Dropped table {}{with}; 'dsv undo' brings it back", self.table));
        Ok(())
    }
}

/// Give a table another name
///
/// Its history goes on under the new name.
///
/// Examples:
///
///   dsv table rename birds sparrows
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Rename {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The new name
    #[arg(value_name = "NEW")]
    new: String,
}

impl Rename {
    fn run(self, context: &Context) -> Result<(), CliError> {
        context.repo()?.rename_table(&self.table, &self.new, &args::command(["table", "rename", &self.table, &self.new]))?;
        context.ui.note(format!("Renamed table {} to {}", self.table, self.new));
        Ok(())
    }
}

/// Show a table's columns, key and size
///
/// With --json, a line for each column: {"column", "type", "nullable", "key"}.
///
/// Examples:
///
///   dsv table describe birds
///   dsv table describe birds --at v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Describe {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl Describe {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let (repo, at) = context.repo_of(self.at.as_deref())?;
        let table = repo.table(&self.table, at.as_deref())?;
        let key = table.schema.key_indices();
        let mut out = context.ui.page();
        if context.ui.json {
            for (i, column) in table.schema.columns.iter().enumerate() {
                let line = json!({"column": column.name, "type": column.ty.to_string(), "nullable": column.nullable, "key": key.contains(&i)});
                writeln!(out, "{line}")?;
            }
            return Ok(out.finish()?);
        }
        let columns = format::plural(table.schema.columns.len() as u64, "column");
        writeln!(out, "{}: {}, {columns}\n", context.ui.paint.heading(format::one_line(&self.table)), format::plural(table.rows(repo.objects())?, "row"))?;
        let mut headings = vec![Heading::left("column"), Heading::left("type")];
        if !key.is_empty() {
            headings.push(Heading::left("key"));
        }
        let row = |(i, c): (usize, &Column)| {
            let mut row = vec![Cell::plain(&c.name), Cell::plain(c.ty.to_string())];
            if !key.is_empty() {
                row.push(Cell::plain(if key.contains(&i) { "key" } else { "" }));
            }
            row
        };
        let rows: Vec<Vec<Cell>> = table.schema.columns.iter().enumerate().map(row).collect();
        if !rows.is_empty() {
            table::draw(&context.ui, &mut out, headings, &rows)?;
        }
        Ok(out.finish()?)
    }
}

//! `dsv view`.

use std::io::Write;
use std::sync::Arc;

use serde_json::json;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::sql;
use crate::cli::ui::cell::Cell;
use crate::cli::ui::format;
use crate::cli::ui::table::{self, Heading};

/// Keep queries with the data: a curated subset that copies nothing
///
/// A view is a SELECT with a name. It stands in queries wherever a table does, is committed, diffed and merged with the tables, and at a revision it reads that
/// revision's tables.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, subcommand_required = true, arg_required_else_help = true)]
pub struct View {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Verb {
    Create(Create),
    List(List),
    Show(Show),
    Rename(Rename),
    Drop(Drop),
}

impl View {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self.verb {
            Verb::Create(verb) => verb.run(context),
            Verb::List(verb) => verb.run(context),
            Verb::Show(verb) => verb.run(context),
            Verb::Rename(verb) => verb.run(context),
            Verb::Drop(verb) => verb.run(context),
        }
    }
}

/// Create a view
///
/// The query is tried first; nothing is stored but its text. CREATE VIEW in `dsv query` does the same.
///
/// Examples:
///
///   dsv view create train "SELECT * FROM frames WHERE quality > 0.8 AND split = 'train'"
///   dsv view create train "SELECT * FROM frames WHERE quality > 0.9" --replace
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Create {
    /// The view
    #[arg(value_name = "NAME")]
    name: String,
    /// The query
    #[arg(value_name = "SELECT")]
    sql: String,
    /// Take the place of a view that is there
    #[arg(long)]
    replace: bool,
}

impl Create {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let sql = self.sql.trim().trim_end_matches(';').trim_end().to_owned();
        let repo = Arc::new(context.repo()?);
        let columns = sql::session(&repo, None, &context.ui.progress())?.try_view(&repo, &self.name, &sql)?;
        repo.create_view(&self.name, &sql, self.replace, &args::command(["view", "create", &self.name]))?;
        context.ui.note(format!("Created view {}: {}", self.name, format::plural(columns.len() as u64, "column")));
        Ok(())
    }
}

/// List the views
///
/// With --json, a line for each view: {"view", "sql"}.
///
/// Examples:
///
///   dsv view list
///   dsv view list --at v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct List {
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl List {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let views = context.repo()?.views(self.at.as_deref())?;
        let mut out = context.ui.page();
        if context.ui.json {
            for (name, sql) in &views {
                writeln!(out, "{}", json!({"view": name, "sql": sql}))?;
            }
        } else if !views.is_empty() {
            let rows: Vec<Vec<Cell>> = views.iter().map(|(name, sql)| vec![Cell::plain(name), Cell::plain(format::one_line(sql))]).collect();
            table::draw(&context.ui, &mut out, vec![Heading::left("view"), Heading::left("query")], &rows)?;
        }
        Ok(out.finish()?)
    }
}

/// Show a view's query and its columns
///
/// With --json, a line for each column: {"column", "type"}.
///
/// Examples:
///
///   dsv view show train
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Show {
    /// The view
    #[arg(value_name = "NAME")]
    name: String,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl Show {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = Arc::new(context.repo()?);
        let views = repo.views(self.at.as_deref())?;
        let sql = views.get(&self.name).ok_or_else(|| {
            let near = crate::base::name::nearest(&self.name, views.keys().map(String::as_str)).into_iter().map(str::to_owned).collect::<Vec<_>>();
            let mut error = CliError::usage(format!("there is no view '{}'", self.name));
            error.hints.extend(crate::base::name::did_you_mean(&near));
            error
        })?;
        let answer = sql::view(&repo, &self.name, self.at.as_deref(), &[], None, &context.ui.progress())?;
        let mut out = context.ui.page();
        let fields = answer.schema();
        let columns = fields.fields().iter().map(|field| {
            let ty = crate::format::Type::from_field(field).map_or_else(|_| field.data_type().to_string(), |ty| ty.to_string());
            (field.name(), ty)
        });
        if context.ui.json {
            for (column, ty) in columns {
                writeln!(out, "{}", json!({"column": column, "type": ty}))?;
            }
            return Ok(out.finish()?);
        }
        writeln!(out, "{}: {}\n", context.ui.paint.heading(format::one_line(&self.name)), sql)?;
        let rows: Vec<Vec<Cell>> = columns.map(|(column, ty)| vec![Cell::plain(column), Cell::plain(ty)]).collect();
        table::draw(&context.ui, &mut out, vec![Heading::left("column"), Heading::left("type")], &rows)?;
        Ok(out.finish()?)
    }
}

/// Give a view another name
///
/// Views that read it by its old name have to be made anew.
///
/// Examples:
///
///   dsv view rename train training
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Rename {
    /// The view
    #[arg(value_name = "NAME")]
    name: String,
    /// The new name
    #[arg(value_name = "NEW")]
    new: String,
}

impl Rename {
    fn run(self, context: &Context) -> Result<(), CliError> {
        context.repo()?.rename_view(&self.name, &self.new, &args::command(["view", "rename", &self.name, &self.new]))?;
        context.ui.note(format!("Renamed view {} to {}", self.name, self.new));
        Ok(())
    }
}

/// Drop a view from the working state
///
/// The tables that it reads stay.
///
/// Examples:
///
///   dsv view drop train
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Drop {
    /// The view
    #[arg(value_name = "NAME")]
    name: String,
}

impl Drop {
    fn run(self, context: &Context) -> Result<(), CliError> {
        context.repo()?.drop_view(&self.name, &args::command(["view", "drop", &self.name]))?;
        context.ui.note(format!("Dropped view {}; 'dsv undo' brings it back", self.name));
        Ok(())
    }
}

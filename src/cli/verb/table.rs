//! `dsv table`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

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
        context.unwired("table list")
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
        context.unwired("table create")
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
        context.unwired("table drop")
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
        context.unwired("table rename")
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
        context.unwired("table describe")
    }
}

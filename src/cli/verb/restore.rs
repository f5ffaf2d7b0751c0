//! `dsv restore`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Take tables back to what they were in a commit
///
/// The working state of the table becomes what it is in HEAD, or in another revision. Commits are not touched, and `dsv undo` brings back what was there.
///
/// Examples:
///
///   dsv restore birds                    forget what is not committed
///   dsv restore birds --source v1.0      as it was in a revision
///   dsv restore --all
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Restore {
    /// Tables
    #[arg(value_name = "TABLE", required_unless_present = "all")]
    tables: Vec<String>,
    /// From this revision
    #[arg(short, long, value_name = "REV", default_value = "HEAD", hide_default_value = true)]
    source: String,
    /// All tables
    #[arg(long, conflicts_with = "tables")]
    all: bool,
}

impl Restore {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("restore")
    }
}

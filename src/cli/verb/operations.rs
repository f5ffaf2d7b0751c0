//! `dsv operations`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// List what changed the repository, newest first
///
/// With --json, a line for each operation: {"operation", "user", "time", "command"}.
///
/// Examples:
///
///   dsv operations
///   dsv operations -n 5 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Operations {
    /// At most so many
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
}

impl Operations {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("operations")
    }
}

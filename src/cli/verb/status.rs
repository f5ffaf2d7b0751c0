//! `dsv status`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Show the branch and what is not committed yet
///
/// With --json, one line with the branch and its commit, then one line for each table that changed: {"table", "change": "added|removed|changed|renamed",
/// "rows_before", "rows_after", "columns"}.
///
/// Examples:
///
///   dsv status
///   dsv status --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Status {
    /// Show it in one line a table
    #[arg(short, long)]
    short: bool,
}

impl Status {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("status")
    }
}

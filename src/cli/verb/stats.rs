//! `dsv stats`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Show a table's profile: types, nulls, distinct values, ranges, histograms
///
/// With --json, a line for each column: {"column", "type", "rows", "nulls", "distinct", "min", "max", "mean", "histogram", "top"}.
///
/// Examples:
///
///   dsv stats birds
///   dsv stats birds weight label
///   dsv stats birds --at v1.0 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Stats {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// Only these columns
    #[arg(value_name = "COLUMN")]
    columns: Vec<String>,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl Stats {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("stats")
    }
}

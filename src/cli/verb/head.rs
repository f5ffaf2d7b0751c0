//! `dsv head`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Show the first rows of a table
///
/// Images, vectors and long texts are shown in short; `dsv cat` gives one cell whole. With --json, a JSON object for each row.
///
/// Examples:
///
///   dsv head birds
///   dsv head birds -n 3 --columns id,name
///   dsv head birds --at v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Head {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// So many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Only these columns, in this order
    #[arg(long, value_name = "A,B")]
    columns: Vec<String>,
}

impl Head {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("head")
    }
}

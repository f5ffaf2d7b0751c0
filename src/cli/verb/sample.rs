//! `dsv sample`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Show rows of a table drawn at random
///
/// Every row is as likely as any other; the rows come in table order, and the same seed draws the same rows. With --json, a JSON object for each row.
///
/// Examples:
///
///   dsv sample birds
///   dsv sample birds -n 20 --seed 7
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Sample {
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
    /// Another number draws other rows; one number always draws the same
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    seed: u64,
}

impl Sample {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("sample")
    }
}

//! `dsv compact`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Rewrite pieces of columns into full chunks
///
/// After many small changes a column consists of many pieces. Compacting joins them, so that reading is fast again. No value, row or order changes, and
/// nothing is shown as changed.
///
/// With --purge, deleted rows are taken out of the table for good as well; the rows that remain keep their identity.
///
/// Examples:
///
///   dsv compact
///   dsv compact birds
///   dsv compact birds --purge
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Compact {
    /// Tables; all without any
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Take dead rows out
    #[arg(long)]
    purge: bool,
}

impl Compact {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("compact")
    }
}

//! `dsv show`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Show a commit, and what it changed
///
/// REV may also be a tag, or REV:TABLE for the first rows of a table as it was.
///
/// Examples:
///
///   dsv show                     the commit checked out
///   dsv show main~2
///   dsv show v1.0
///   dsv show v1.0:birds
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// A revision, or REV:TABLE
    #[arg(value_name = "REV", default_value = "HEAD")]
    revision: String,
}

impl Show {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("show")
    }
}

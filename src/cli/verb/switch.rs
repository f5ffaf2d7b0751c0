//! `dsv switch`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Go to another branch
///
/// What is not committed stays with the branch that it was made on, and is there again when you come back.
///
/// Examples:
///
///   dsv switch main
///   dsv switch -c fix-labels             create, and go there
///   dsv switch -c hotfix v1.0
///   dsv switch -                         the branch before
///   dsv switch --detach v1.0             look at a revision without a branch
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Switch {
    /// The branch, - for the one before, or with --detach a revision
    #[arg(value_name = "NAME", required_unless_present = "create")]
    name: Option<String>,
    /// Create it first, at REV or here
    #[arg(short, long, value_name = "NAME")]
    create: Option<String>,
    /// Check out a commit, not a branch
    #[arg(long, conflicts_with = "create")]
    detach: bool,
}

impl Switch {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("switch")
    }
}

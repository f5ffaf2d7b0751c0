//! `dsv verify`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Re-hash everything reachable
///
/// Reads every object that a branch, a tag, a working state or an operation reaches, and compares it with its id. Each fault is told with what it
/// harms. Exits with 3 where there is one.
///
/// Examples:
///
///   dsv verify
///   dsv verify --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Verify {}

impl Verify {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("verify")
    }
}

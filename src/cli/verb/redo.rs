//! `dsv redo`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Take back the last undo
///
/// Examples:
///
///   dsv undo && dsv redo
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Redo {}

impl Redo {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("redo")
    }
}

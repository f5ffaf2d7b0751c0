//! `dsv redo`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;

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
        let repo = context.repo()?;
        let operation = repo.redo()?;
        let when = format::ago(operation.operation.millis, format::now());
        context.ui.note(format!("Did again: {} ({:.8}, {when})", format::one_line(&operation.operation.command), operation.id));
        Ok(())
    }
}

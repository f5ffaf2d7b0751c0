//! `dsv undo`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;

/// Take back the last operation
///
/// Every change of the repository (an import, a commit, a branch deleted, a reset) is an operation, listed by `dsv operations`. Undo inverts one: by
/// default the last, again and again the ones before; or the one named. Where what it changed has moved on since, it is refused. `dsv redo` does the reverse.
///
/// Examples:
///
///   dsv undo
///   dsv undo 3f9a1c                      an operation by the start of its id
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Undo {
    /// The operation; the last without it
    #[arg(value_name = "OPERATION")]
    operation: Option<String>,
}

impl Undo {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let operation = repo.undo(self.operation.as_deref())?;
        let when = format::ago(operation.operation.millis, format::now());
        context.ui.note(format!("Took back: {} ({:.8}, {when})", format::one_line(&operation.operation.command), operation.id));
        Ok(())
    }
}

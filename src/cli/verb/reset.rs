//! `dsv reset`.

use crate::cli::context::Context;
use crate::cli::describe::subject;
use crate::cli::error::CliError;
use crate::repo::ResetMode;

/// Move the branch to another commit
///
/// The working state stays as it is, so that what the commits left behind had changed is uncommitted again; with --hard it is dropped, and the tables are
/// those of REV. `dsv undo` takes a reset back.
///
/// Examples:
///
///   dsv reset HEAD~1                     uncommit the last commit, keep its changes
///   dsv reset --hard HEAD~1              forget the last commit
///   dsv reset --hard                     forget what is not committed
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Reset {
    /// The commit to be at
    #[arg(value_name = "REV", default_value = "HEAD")]
    revision: String,
    /// Drop the working state too
    #[arg(long)]
    hard: bool,
}

impl Reset {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let (before, after) = repo.reset(&self.revision, if self.hard { ResetMode::Hard } else { ResetMode::Soft })?;
        context.ui.note(format!("HEAD is at {}", subject(&repo, after)?));
        if let Some(before) = before.filter(|before| *before != after) {
            context.ui.note(format!("It was at {}; 'dsv undo' goes back there", subject(&repo, before)?));
        }
        Ok(())
    }
}

//! `dsv revert`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::replayed::Commits;
use crate::repo::Replay;

/// Take the changes of commits back, as new commits
///
/// Cells, rows and columns that a commit changed become what they were before it; what was changed since elsewhere stays. Where a cell was changed again since, it stops,
/// as a merge does: settle the conflicts, then --continue.
///
/// Examples:
///
///   dsv revert HEAD
///   dsv revert v1.0..HEAD                all since, the newest first
///   dsv revert --abort
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Revert {
    #[command(flatten)]
    commits: Commits,
}

impl Revert {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        self.commits.run(context, Replay::Revert)
    }
}

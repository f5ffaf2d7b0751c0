//! `dsv cherry-pick`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::replayed::Commits;
use crate::repo::Replay;

/// Make the changes of commits again, upon this branch
///
/// What each commit changed, by column, row and cell, is laid upon the branch as a commit of its own, with its author and message. Where a change meets another one it
/// stops, as a merge does: settle the conflicts, then --continue.
///
/// Examples:
///
///   dsv cherry-pick 4f2a91c0
///   dsv cherry-pick main~3..main         a range, the oldest first
///   dsv cherry-pick --continue
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CherryPick {
    #[command(flatten)]
    commits: Commits,
}

impl CherryPick {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        self.commits.run(context, Replay::CherryPick)
    }
}

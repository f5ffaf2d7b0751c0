//! `dsv revert`.

use super::merge::Winner;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::replayed;
use crate::repo::{Replay, ReplayOptions};

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
    /// Commits, or ranges of them such as main~3..main
    #[arg(value_name = "REV", required_unless_present_any = ["go_on", "skip", "abort"], conflicts_with_all = ["go_on", "skip", "abort"])]
    revisions: Vec<String>,
    /// Another message (for one commit)
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Of a commit that is a merge: the parent, from 1, to which it goes back
    #[arg(long, value_name = "PARENT")]
    mainline: Option<usize>,
    /// The side that wins conflicts: ours is the branch that is checked out
    #[arg(long, value_name = "SIDE")]
    strategy: Option<Winner>,
    /// Commit what is in progress, and go on
    #[arg(long = "continue", conflicts_with_all = ["skip", "abort"])]
    go_on: bool,
    /// Leave the commit in progress out, and go on
    #[arg(long, conflicts_with = "abort")]
    skip: bool,
    /// Give up: the branch is as it was before
    #[arg(long)]
    abort: bool,
}

impl Revert {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let verb = Replay::Revert;
        let report = if self.abort {
            return replayed::abort(context, &repo, verb);
        } else if self.go_on {
            repo.continue_replay(verb, self.message)?
        } else if self.skip {
            repo.skip_replay(verb)?
        } else {
            let options = ReplayOptions { strategy: self.strategy.map(Winner::side), mainline: self.mainline, message: self.message };
            repo.revert(&self.revisions, &options)?
        };
        replayed::show(context, &repo, verb, &report)
    }
}

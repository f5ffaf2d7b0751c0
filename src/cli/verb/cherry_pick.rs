//! `dsv cherry-pick`.

use super::merge::Winner;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::replayed;
use crate::repo::{Replay, ReplayOptions};

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
    /// Commits, or ranges of them such as main~3..main
    #[arg(value_name = "REV", required_unless_present_any = ["go_on", "skip", "abort"], conflicts_with_all = ["go_on", "skip", "abort"])]
    revisions: Vec<String>,
    /// Another message (for one commit)
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Of a commit that is a merge: the parent, from 1, to which its changes are taken
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

impl CherryPick {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let verb = Replay::CherryPick;
        let report = if self.abort {
            return replayed::abort(context, &repo, verb);
        } else if self.go_on {
            repo.continue_replay(verb, self.message)?
        } else if self.skip {
            repo.skip_replay(verb)?
        } else {
            let options = ReplayOptions { strategy: self.strategy.map(Winner::side), mainline: self.mainline, message: self.message };
            repo.cherry_pick(&self.revisions, &options)?
        };
        replayed::show(context, &repo, verb, &report)
    }
}

//! `dsv rebase`.

use super::merge::Winner;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::hooks::Hooks;
use crate::cli::hooks::gate::HookGate;
use crate::cli::replayed;
use crate::repo::{Replay, ReplayOptions};

/// Make this branch's commits again, upon another one
///
/// The commits that the branch has and UPSTREAM has not are laid upon UPSTREAM one by one, with their authors and messages; merges among them are left out, and so are commits whose
/// changes are there already. Where a commit's change meets another one it stops, as a merge does: settle the conflicts, then --continue. `dsv undo` takes a rebase back.
///
/// Examples:
///
///   dsv rebase main
///   dsv rebase main --onto v2.0          upon v2.0, what main has not
///   dsv rebase --skip
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Rebase {
    /// What to build upon: its commits are not made again
    #[arg(value_name = "UPSTREAM", required_unless_present_any = ["go_on", "skip", "abort"], conflicts_with_all = ["go_on", "skip", "abort"])]
    upstream: Option<String>,
    /// Build upon this, not upon UPSTREAM
    #[arg(long, value_name = "REV", requires = "upstream")]
    onto: Option<String>,
    /// The side that wins conflicts: theirs are the branch's own commits
    #[arg(long, value_name = "SIDE")]
    strategy: Option<Winner>,
    /// With --continue: another message for the commit in progress
    #[arg(short, long, value_name = "MSG", requires = "go_on")]
    message: Option<String>,
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

impl Rebase {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let hooks = Hooks::new(context, &repo, false);
        let (gate, head) = (HookGate::of_replay(&hooks), hooks.head()?);
        let report = if self.abort {
            return replayed::abort(context, &repo, Replay::Rebase);
        } else if self.go_on {
            repo.continue_replay(Replay::Rebase, hooks.before_continue(Replay::Rebase, self.message)?, Some(&gate))
        } else if self.skip {
            repo.skip_replay(Replay::Rebase, Some(&gate))
        } else {
            let options = ReplayOptions { strategy: self.strategy.map(Winner::side), gate: Some(&gate), ..ReplayOptions::default() };
            repo.rebase(self.upstream.as_deref().unwrap_or("HEAD"), self.onto.as_deref(), &options)
        };
        let report = report.map_err(|error| gate.told(error))?;
        let shown = replayed::show(context, &repo, Replay::Rebase, &report);
        hooks.replayed(head, &report)?;
        shown
    }
}

//! What `cherry-pick`, `revert` and `rebase` did, as people and machines are shown it.

use std::io::Write;

use serde_json::json;

use super::context::Context;
use super::dispute;
use super::error::CliError;
use super::hooks::Hooks;
use super::hooks::gate::HookGate;
use super::ui::format;
use super::verb::check;
use super::verb::merge::{SHOWN_MAX, Winner, left};
use crate::history::short;
use crate::repo::{Replay, ReplayOptions, ReplayOutcome, ReplayReport, Repo};

/// Which commits are laid upon this branch, and how.
#[derive(Debug, clap::Args)]
pub struct Commits {
    /// Commits, or ranges of them such as main~3..main
    #[arg(value_name = "REV", required_unless_present_any = ["go_on", "skip", "abort"], conflicts_with_all = ["go_on", "skip", "abort"])]
    revisions: Vec<String>,
    /// Another message (for one commit)
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Of a commit that is a merge: the parent, from 1, to which its changes are counted
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
    /// Do not run the hooks pre-commit and commit-msg, which --continue runs; checks kept in the data still count
    #[arg(long)]
    no_verify: bool,
}

impl Commits {
    /// Lays them, goes on, or gives up.
    pub fn run(self, context: &Context, verb: Replay) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let hooks = Hooks::new(context, &repo, self.no_verify);
        let (gate, head) = (HookGate::of_replay(&hooks), hooks.head()?);
        let report = if self.abort {
            return abort(context, &repo, verb);
        } else if self.go_on {
            repo.continue_replay(verb, hooks.before_continue(verb, self.message)?, Some(&gate))
        } else if self.skip {
            repo.skip_replay(verb, Some(&gate))
        } else {
            let options = ReplayOptions { strategy: self.strategy.map(Winner::side), mainline: self.mainline, message: self.message, gate: Some(&gate) };
            match verb {
                Replay::Revert => repo.revert(&self.revisions, &options),
                _ => repo.cherry_pick(&self.revisions, &options),
            }
        };
        let report = report.map_err(|error| gate.told(error))?;
        let shown = show(context, &repo, verb, &report);
        hooks.replayed(head, &report)?;
        shown
    }
}

/// Shows it; conflicts are the answer no.
pub fn show(context: &Context, repo: &Repo, verb: Replay, report: &ReplayReport) -> Result<(), CliError> {
    let ui = &context.ui;
    check::warn(context, &report.warnings);
    if ui.json && !matches!(report.outcome, ReplayOutcome::Conflicts(..)) {
        let (outcome, commit) = match &report.outcome {
            ReplayOutcome::UpToDate | ReplayOutcome::Conflicts(..) => ("up-to-date", None),
            ReplayOutcome::FastForward(id) => ("fast-forward", Some(id)),
            ReplayOutcome::Done(id) => ("done", Some(id)),
        };
        let made: Vec<_> = report.made.iter().map(|(from, to)| json!({ "from": from.to_string(), "commit": to.to_string() })).collect();
        let skipped: Vec<String> = report.skipped.iter().map(ToString::to_string).collect();
        let mut out = ui.out();
        writeln!(
            out,
            "{}",
            json!({ "outcome": outcome, "commit": commit.map(ToString::to_string), "ended": report.ended.map(|id| id.to_string()), "made": made, "skipped": skipped,
                "warnings": check::warnings(&report.warnings) })
        )?;
        return Ok(out.finish()?);
    }
    if !ui.json {
        if let Some(id) = &report.ended {
            ui.note(format!("  {} {}", short(id), repo.commit_of(*id)?.subject()));
        }
        for (from, to) in &report.made {
            ui.note(format!("  {} -> {} {}", short(from), short(to), repo.commit_of(*to)?.subject()));
        }
        for id in &report.skipped {
            ui.note(format!("  {} {}: its changes are here already", short(id), repo.commit_of(*id)?.subject()));
        }
    }
    match &report.outcome {
        ReplayOutcome::UpToDate if report.skipped.is_empty() => ui.note("Nothing to do: it is in place already"),
        ReplayOutcome::UpToDate => ui.note("Nothing changes"),
        ReplayOutcome::FastForward(id) => ui.note(format!("Moved forward to {}", short(id))),
        ReplayOutcome::Done(id) => {
            let done = match verb {
                Replay::CherryPick => "Picked",
                Replay::Revert => "Took back",
                Replay::Rebase => "Rebased",
            };
            ui.note(format!("{done} {}; now at {}", format::plural((report.made.len() + usize::from(report.ended.is_some())) as u64, "commit"), short(id)));
        }
        ReplayOutcome::Conflicts(id, rest) => {
            if !ui.json {
                let more = if *rest == 0 { String::new() } else { format!("; {} to follow", format::plural(*rest as u64, "commit")) };
                ui.note(format!("Stopped at {} {}{more}", short(id), repo.commit_of(*id)?.subject()));
            }
            let total = dispute::print(context, repo, &report.tables, &report.names, SHOWN_MAX)?;
            return Err(left(total, verb.name(), false));
        }
    }
    Ok(())
}

/// Gives up what is in progress.
pub fn abort(context: &Context, repo: &Repo, verb: Replay) -> Result<(), CliError> {
    let gone = repo.abort(verb.name())?;
    context.ui.note(format!("Gave up the {} of {}: the branch is as it was before; 'dsv undo' brings it back", gone.verb, gone.revision));
    Ok(())
}

//! What `cherry-pick`, `revert` and `rebase` did, as people and machines are shown it.

use std::io::Write;

use serde_json::json;

use super::context::Context;
use super::dispute;
use super::error::CliError;
use super::ui::format;
use super::verb::merge::{SHOWN_MAX, left};
use crate::history::short;
use crate::repo::{Replay, ReplayOutcome, ReplayReport, Repo};

/// Shows it; conflicts are the answer no.
pub fn show(context: &Context, repo: &Repo, verb: Replay, report: &ReplayReport) -> Result<(), CliError> {
    let ui = &context.ui;
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
            json!({ "outcome": outcome, "commit": commit.map(ToString::to_string), "ended": report.ended.map(|id| id.to_string()), "made": made, "skipped": skipped })
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

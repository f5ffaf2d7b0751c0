//! `dsv merge`.

use std::io::Write;

use serde_json::json;

use crate::base::CommitId;
use crate::cli::context::Context;
use crate::cli::dispute;
use crate::cli::error::CliError;
use crate::cli::hooks::Hooks;
use crate::cli::hooks::gate::HookGate;
use crate::cli::ui::format;
use crate::history::short;
use crate::repo::{CommitOptions, MergeOutcome, MergeReport, MergeRequest, MergedTable, Tested};
use crate::table::merge::Side;

/// Conflicts shown in a terminal; --json lists all.
pub const SHOWN_MAX: usize = 20;

/// Merge other branches into this one, cell by cell
///
/// Columns, rows and cells that one side alone changed are taken as they are; what both changed alike is no conflict. Where both changed one cell to
/// different values, or one deleted a row that the other changed, the column's merge policy decides, or --strategy. What is left are conflicts: they are
/// listed, the exit code is 1, and the merge stays in progress on this branch, with our side where the sides disagree. Settle them with `dsv resolve`, or mend the
/// tables by hand; then end the merge with `dsv merge --continue`, or give it up with `dsv merge --abort`. Switching branches or a crash loses nothing of it.
///
/// Several revisions are merged one after the other into one commit; that is refused where they disagree.
///
/// With --json, a line for each conflict: {"table", "kind", "key" or "row", "column", "base", "ours", "theirs"}; without conflicts one line {"outcome":
/// "up-to-date|fast-forward|merged|squashed", "commit", "warnings"}.
///
/// Examples:
///
///   dsv merge relabel
///   dsv merge relabel --dry-run          what would happen
///   dsv merge relabel --strategy theirs  their side wins where both changed a cell
///   dsv merge --squash relabel           as one change, to be committed
///   dsv merge --continue
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Merge {
    /// The branches or revisions to merge
    #[arg(value_name = "REV", required_unless_present_any = ["abort", "go_on"])]
    revisions: Vec<String>,
    /// The message of the merge's commit
    #[arg(short, long, value_name = "MSG", conflicts_with = "abort")]
    message: Option<String>,
    /// Make a commit even where the branch could simply move forward
    #[arg(long)]
    no_ff: bool,
    /// Leave the merged data uncommitted, with no trace of where it came from
    #[arg(long, conflicts_with = "no_ff")]
    squash: bool,
    /// Tell what would happen; change nothing
    #[arg(long)]
    dry_run: bool,
    /// The side that wins where both changed a cell
    #[arg(long, value_name = "SIDE")]
    strategy: Option<Winner>,
    /// Merge histories that have no commit in common
    #[arg(long)]
    allow_unrelated: bool,
    /// Commit the merge in progress, once no conflict is left
    #[arg(long = "continue", conflicts_with_all = ["revisions", "no_ff", "squash", "dry_run", "strategy", "allow_unrelated", "abort"])]
    go_on: bool,
    /// Give up the merge in progress: the branch is as it was before
    #[arg(long, conflicts_with_all = ["revisions", "no_ff", "squash", "dry_run", "strategy", "allow_unrelated"])]
    abort: bool,
    /// Do not run the hooks pre-merge-commit and commit-msg, with --continue pre-commit and commit-msg; checks kept in the data still count
    #[arg(long)]
    no_verify: bool,
}

/// A side of a merge.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Winner {
    /// The branch that is checked out
    Ours,
    /// The revision that is merged
    Theirs,
}

impl Winner {
    /// The side.
    pub fn side(self) -> Side {
        if matches!(self, Winner::Ours) { Side::Ours } else { Side::Theirs }
    }
}

impl Merge {
    /// The merge of one revision, as it is without options but this one.
    pub fn of(revision: String, no_verify: bool) -> Merge {
        Merge {
            revisions: vec![revision],
            message: None,
            no_ff: false,
            squash: false,
            dry_run: false,
            strategy: None,
            allow_unrelated: false,
            go_on: false,
            abort: false,
            no_verify,
        }
    }

    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let ui = &context.ui;
        let hooks = Hooks::new(context, &repo, self.no_verify);
        let head = hooks.head()?;
        if self.abort {
            let gone = repo.abort("merge")?;
            ui.note(format!("Gave up the merge of {}; 'dsv undo' brings it back", gone.revision));
            return Ok(());
        }
        if self.go_on {
            let Some(pending) = repo.pending()? else {
                return Err(CliError::usage("no merge is in progress"));
            };
            if pending.merging.verb != "merge" {
                let verb = &pending.merging.verb;
                return Err(CliError::usage(format!("a {verb} is in progress")).hint(format!("'dsv {verb} --continue' goes on with it")));
            }
            let options = hooks.before_commit(&CommitOptions { message: self.message, ..CommitOptions::default() })?;
            let made = repo.commit(&options)?;
            super::check::warn(context, &made.warnings);
            done(context, "merged", made.id, &pending.merging.revision, &made.warnings)?;
            return hooks.committed(&made, head);
        }
        let gate = HookGate::of_merge(&hooks);
        let request = MergeRequest {
            message: self.message,
            no_ff: self.no_ff,
            squash: self.squash,
            dry_run: self.dry_run,
            strategy: self.strategy.map(Winner::side),
            allow_unrelated: self.allow_unrelated,
            gate: Some(&gate),
        };
        let report = repo.merge(&self.revisions, &request).map_err(|error| gate.told(error))?;
        super::check::warn(context, &report.warnings);
        let named = self.revisions.join(", ");
        let (outcome, commit) = match &report.outcome {
            MergeOutcome::UpToDate => ("up-to-date", None),
            MergeOutcome::FastForward(id) => ("fast-forward", Some(*id)),
            MergeOutcome::Merged(id) => ("merged", *id),
            MergeOutcome::Squashed => ("squashed", None),
            MergeOutcome::Conflicts => {
                tell_taken(context, &report);
                let total = dispute::print(context, &repo, &report.tables, &report.names, SHOWN_MAX)?;
                return Err(left(total, "merge", request.dry_run));
            }
        };
        if ui.json {
            let mut out = ui.page();
            let warnings = super::check::warnings(&report.warnings);
            writeln!(out, "{}", json!({ "outcome": outcome, "commit": commit.map(|id| id.to_string()), "warnings": warnings }))?;
            out.finish()?;
            return after(&hooks, head, &report.outcome, request.dry_run);
        }
        tell_taken(context, &report);
        ui.note(match (&report.outcome, commit) {
            (MergeOutcome::UpToDate, _) => "All of it is here already".to_owned(),
            (MergeOutcome::FastForward(id), _) if request.dry_run => format!("{named} would move this branch forward to {}", short(id)),
            (MergeOutcome::FastForward(id), _) => format!("Moved forward to {}", short(id)),
            (MergeOutcome::Squashed, _) if !request.dry_run => format!("The changes of {named} are here, not committed: 'dsv commit -m MESSAGE' records them"),
            (_, Some(id)) => format!("Merged {named} as {}", short(&id)),
            (_, None) => format!("{named} would merge without conflicts"),
        });
        if commit.is_some() && report.author_guessed {
            ui.hint("the author was guessed; say who you are with 'dsv config --global user.name NAME' and user.email");
        }
        after(&hooks, head, &report.outcome, request.dry_run)
    }
}

/// Runs the hooks of what was done, if anything was.
fn after(hooks: &Hooks, head: Option<CommitId>, outcome: &MergeOutcome, dry_run: bool) -> Result<(), CliError> {
    match (outcome, head) {
        _ if dry_run => Ok(()),
        (MergeOutcome::FastForward(id) | MergeOutcome::Merged(Some(id)), _) => hooks.merged(head, *id, false),
        (MergeOutcome::Squashed, Some(head)) => hooks.merged(Some(head), head, true),
        _ => Ok(()),
    }
}

/// Says that what was in progress is committed.
fn done(context: &Context, outcome: &str, id: CommitId, revision: &str, warnings: &[Tested]) -> Result<(), CliError> {
    if context.ui.json {
        let mut out = context.ui.out();
        writeln!(out, "{}", json!({ "outcome": outcome, "commit": id.to_string(), "warnings": super::check::warnings(warnings) }))?;
        return Ok(out.finish()?);
    }
    context.ui.note(format!("Merged {revision} as {}", short(&id)));
    Ok(())
}

/// The answer no: conflicts wait for people.
pub fn left(total: usize, verb: &str, dry_run: bool) -> CliError {
    let count = format::plural(total as u64, "conflict");
    if dry_run {
        return CliError::no(format!("{count}: nothing was changed"));
    }
    let error = CliError::no(format!("{count}; the {verb} is in progress"));
    error.hint(format!("settle them with 'dsv resolve --ours' or '--theirs' (by table, row or column), then 'dsv {verb} --continue'; or 'dsv {verb} --abort'"))
}

fn tell_taken(context: &Context, report: &MergeReport) {
    if !context.ui.json {
        report.tables.iter().filter_map(taken).for_each(|line| context.ui.note(line));
    }
}

/// What was taken for a table, in a line.
fn taken(table: &MergedTable) -> Option<String> {
    let counts = &table.counts;
    let parts = [
        (counts.columns_added, "+", "column"),
        (counts.columns_dropped, "-", "column"),
        (counts.rows_added, "+", "row"),
        (counts.rows_removed, "-", "row"),
        (counts.cells, "", "cell"),
        (counts.decided, "", "decision of a policy"),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, sign, what)| match what {
            "decision of a policy" => format!("{} decided by a policy", format::count(n)),
            // Stretches are taken unread, so that some of them may be equal.
            "cell" => format!("up to {}", format::plural(n, what)),
            _ => format!("{sign}{}", format::plural(n, what)),
        })
        .collect();
    (!told.is_empty()).then(|| format!("  {}: {}", table.name, told.join(", ")))
}

//! `cherry-pick`, `revert` and `rebase`: changes of commits, laid upon another one.

use std::collections::HashSet;

use super::checks::Tested;
use super::merge::{Base, MergedTable, NameConflict};
use super::merging::no_merge;
use super::subset::Hidden;
use super::working::WorkingState;
use super::{Gate, Proposed, Repo, RepoError};
use crate::base::CommitId;
use crate::format::commit::Commit;
use crate::format::merging::Merging;
use crate::format::snapshot::Snapshot;
use crate::history::graph::Order;
use crate::history::state::working_key;
use crate::history::{Transaction, short, store_commit, store_snapshot};
use crate::table::merge::{MergeOptions, Side};

/// What is done with commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Their changes are made again, here.
    CherryPick,
    /// Their changes are taken back.
    Revert,
    /// The branch's own commits are made again upon another one.
    Rebase,
}

impl Replay {
    /// The verb's name.
    pub fn name(self) -> &'static str {
        match self {
            Replay::CherryPick => "cherry-pick",
            Replay::Revert => "revert",
            Replay::Rebase => "rebase",
        }
    }

    fn parse(name: &str) -> Option<Replay> {
        [Replay::CherryPick, Replay::Revert, Replay::Rebase].into_iter().find(|replay| replay.name() == name)
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// There was nothing to do.
    UpToDate,
    /// The branch moved forward to that commit.
    FastForward(CommitId),
    /// All is done; the branch is at that commit.
    Done(CommitId),
    /// A commit's changes meet others: that commit is in progress, and so many are to follow.
    Conflicts(CommitId, usize),
}

/// Commits that were laid upon others.
#[derive(Debug, Clone)]
pub struct ReplayReport {
    /// What became of it.
    pub outcome: ReplayOutcome,
    /// The commits that were laid, each with the one that was made of it.
    pub made: Vec<(CommitId, CommitId)>,
    /// The commit that was in progress, as it is now, where this went on with it.
    pub ended: Option<CommitId>,
    /// The commits whose changes were there already.
    pub skipped: Vec<CommitId>,
    /// The tables of the commit in conflict.
    pub tables: Vec<MergedTable>,
    /// Its tables and views in conflict as wholes.
    pub names: Vec<NameConflict>,
    /// The checks that only warn, and do not hold for what was made.
    pub warnings: Vec<Tested>,
}

impl ReplayReport {
    fn new(outcome: ReplayOutcome) -> ReplayReport {
        ReplayReport { outcome, made: Vec::new(), ended: None, skipped: Vec::new(), tables: Vec::new(), names: Vec::new(), warnings: Vec::new() }
    }
}

/// How to lay commits upon others.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions<'a> {
    /// The side that wins every conflict: ours is what they are laid upon.
    pub strategy: Option<Side>,
    /// Of commits that are merges, the parent (from 1) to which the changes are taken.
    pub mainline: Option<usize>,
    /// The message, where one commit is made.
    pub message: Option<String>,
    /// Has a say before each commit is made.
    pub gate: Option<&'a dyn Gate>,
}

/// Commits to be laid upon a tip.
struct Sequence<'a> {
    verb: Replay,
    /// What was asked for, as it was typed.
    revision: &'a str,
    /// Where the branch was before.
    start: CommitId,
    /// What they are laid upon.
    tip: CommitId,
    todo: Vec<CommitId>,
    options: &'a ReplayOptions<'a>,
    /// The operation's name in the log.
    command: String,
}

impl Repo {
    /// Makes the changes of commits again, upon what is checked out: `revisions` are commits or ranges, the oldest of a range first.
    pub fn cherry_pick(&self, revisions: &[String], options: &ReplayOptions<'_>) -> Result<ReplayReport, RepoError> {
        self.replay_named(Replay::CherryPick, revisions, options)
    }

    /// Takes the changes of commits back, the newest of a range first.
    pub fn revert(&self, revisions: &[String], options: &ReplayOptions<'_>) -> Result<ReplayReport, RepoError> {
        self.replay_named(Replay::Revert, revisions, options)
    }

    fn replay_named(&self, verb: Replay, revisions: &[String], options: &ReplayOptions<'_>) -> Result<ReplayReport, RepoError> {
        let working = self.working()?;
        working.check_clean()?;
        let tip = self.require_tip(&working.head, working.tip)?;
        let mut todo = Vec::new();
        for revision in revisions {
            if revision.contains("..") {
                let selection = self.resolve_ranges(std::slice::from_ref(revision))?;
                let walk = self.graph().walk(selection.include, selection.exclude, Order::Topological)?;
                let mut range = walk.map(|entry| entry.map(|(id, _)| id)).collect::<Result<Vec<CommitId>, _>>()?;
                if verb == Replay::CherryPick {
                    range.reverse();
                }
                todo.extend(range);
            } else {
                todo.push(self.resolve_in(&working.view, revision)?);
            }
        }
        let revision = revisions.join(" ");
        let command = format!("{} {revision}", verb.name());
        let sequence = Sequence { verb, revision: &revision, start: tip, tip, todo, options, command };
        self.run(&working, sequence)
    }

    /// Makes the commits that the branch has and `upstream` has not again, upon `upstream` or, where it is given, upon `onto`. Merges among them are
    /// left out: what they brought comes with their commits.
    pub fn rebase(&self, upstream: &str, onto: Option<&str>, options: &ReplayOptions<'_>) -> Result<ReplayReport, RepoError> {
        let working = self.working()?;
        working.check_clean()?;
        let start = self.require_tip(&working.head, working.tip)?;
        let below = self.resolve_in(&working.view, upstream)?;
        let upon = onto.map_or(Ok(below), |onto| self.resolve_in(&working.view, onto))?;
        let walk = self.graph().walk([start], [below], Order::Topological)?;
        let mut todo = walk.map(|entry| entry.map(|(id, _)| id)).collect::<Result<Vec<CommitId>, _>>()?;
        todo.reverse();
        let nothing = |outcome| ReplayReport::new(outcome);
        // In place already: one line of commits that begins where they are to begin.
        let mut before = upon;
        let mut in_line = true;
        for id in &todo {
            in_line &= self.commit_of(*id)?.parents == [before];
            before = *id;
        }
        if in_line && before == start {
            return Ok(nothing(ReplayOutcome::UpToDate));
        }
        let command = format!("rebase {upstream}");
        if todo.is_empty() {
            let mut transaction = Transaction::new(Some(working.view.clone()));
            self.set_tip(&mut transaction, &working.head, upon)?;
            self.publish(transaction, command)?;
            return Ok(nothing(ReplayOutcome::FastForward(upon)));
        }
        let mut singles = Vec::new();
        for id in todo {
            if self.commit_of(id)?.parents.len() < 2 {
                singles.push(id);
            }
        }
        let revision = onto.unwrap_or(upstream);
        self.run(&working, Sequence { verb: Replay::Rebase, revision, start, tip: upon, todo: singles, options, command })
    }

    /// Commits what is in progress, and goes on with what is to follow. `message` replaces the commit's own; `gate` has a say before each commit that follows.
    pub fn continue_replay(&self, verb: Replay, message: Option<String>, gate: Option<&dyn Gate>) -> Result<ReplayReport, RepoError> {
        let working = self.working()?;
        let merging = self.in_progress(&working, verb)?;
        self.check_settled(&working, &merging)?;
        let tip = self.require_tip(&working.head, working.tip)?;
        let mut made = None;
        let before = self.snapshot_of(tip)?;
        let mut warnings = self.hold_checks(&[&before], &working.snapshot)?;
        if working.snapshot != before {
            let now = self.environment.now_millis();
            let author = match &merging.author {
                Some(author) => author.clone(),
                None => self.identity()?.sign(now, self.environment.offset_minutes(now)),
            };
            let snapshot = store_snapshot(&self.objects, &working.snapshot)?;
            let flags = self.inherited_flags(Some(tip))?;
            let message = message.unwrap_or_else(|| merging.message.clone());
            let commit = Commit { snapshot, parents: vec![tip], author, committed_millis: now, message, source: self.made_at()?, flags };
            made = Some(store_commit(&self.objects, &commit)?);
        }
        let report = self.go_on(&working, &merging, verb, made.unwrap_or(tip), ("--continue", gate))?;
        warnings.extend(report.warnings);
        Ok(ReplayReport { ended: made, warnings, ..report })
    }

    /// Leaves the commit in progress out, and goes on with what is to follow.
    pub fn skip_replay(&self, verb: Replay, gate: Option<&dyn Gate>) -> Result<ReplayReport, RepoError> {
        let working = self.working()?;
        let merging = self.in_progress(&working, verb)?;
        let tip = self.require_tip(&working.head, working.tip)?;
        self.go_on(&working, &merging, verb, tip, ("--skip", gate))
    }

    fn in_progress(&self, working: &WorkingState, verb: Replay) -> Result<Merging, RepoError> {
        let merging = working.merging.clone().ok_or_else(no_merge)?;
        if Replay::parse(&merging.verb) != Some(verb) {
            return Err(RepoError::InProgress { verb: merging.verb, revision: merging.revision });
        }
        Ok(merging)
    }

    fn go_on(
        &self,
        working: &WorkingState,
        merging: &Merging,
        verb: Replay,
        tip: CommitId,
        (how, gate): (&str, Option<&dyn Gate>),
    ) -> Result<ReplayReport, RepoError> {
        let command = format!("{} {how}", verb.name());
        let options = ReplayOptions { gate, ..ReplayOptions::default() };
        let todo = merging.todo.clone();
        self.run(working, Sequence { verb, revision: &merging.revision, start: merging.start, tip, todo, options: &options, command })
    }

    fn run(&self, working: &WorkingState, sequence: Sequence<'_>) -> Result<ReplayReport, RepoError> {
        self.lay(working, sequence).inspect_err(|_| self.drop_written())
    }

    fn lay(&self, working: &WorkingState, sequence: Sequence<'_>) -> Result<ReplayReport, RepoError> {
        let Sequence { verb, revision, start, mut tip, todo, options, command } = sequence;
        let mut report = ReplayReport::new(ReplayOutcome::UpToDate);
        let mut snapshot = self.snapshot_of(tip)?;
        let only = todo.len() == 1;
        for (n, id) in todo.iter().enumerate() {
            if self.progress().interrupted() {
                return Err(RepoError::Interrupted);
            }
            let commit = self.commit_of(*id)?;
            let parent = self.parent_for(*id, &commit, options)?;
            let (before, after) = (parent.map_or_else(|| Ok(Snapshot::default()), |parent| self.snapshot_of(parent))?, self.snapshot_of(*id)?);
            let (base, theirs) = if verb == Replay::Revert { (after, before) } else { (before, after) };
            let merge = MergeOptions { newer: Side::Theirs, strategy: options.strategy, unsettled: HashSet::new() };
            let base = Base::of(base);
            // What a subset hides is hidden here as well, whatever became of those rows.
            let hidden = if verb == Replay::Revert { Hidden::default() } else { self.hidden_in(&commit)? };
            let (mut base, mut ours, mut theirs) = (base, snapshot.clone(), theirs);
            self.show_hidden([&mut base.snapshot, &mut ours, &mut theirs], [&Hidden::default(), &Hidden::default(), &hidden])?;
            let mut merged = self.merge_snapshots(&base, &snapshot, &theirs, &merge)?;
            self.hide(&mut merged, &hidden)?;
            self.check_merged(&mut merged, &base.snapshot, &snapshot, &theirs)?;
            report.warnings.append(&mut merged.warnings);
            let message = match (&options.message, verb) {
                (Some(message), _) if only => message.clone(),
                (_, Replay::Revert) => format!("Revert \"{}\"\n\nThis takes back commit {id}.", commit.subject()),
                _ => commit.message.clone(),
            };
            let author = (verb != Replay::Revert).then(|| commit.author.clone());
            if merged.is_in_conflict() {
                let merging = Merging {
                    verb: verb.name().to_owned(),
                    revision: if verb == Replay::Rebase { revision.to_owned() } else { short(id) },
                    parents: Vec::new(),
                    message,
                    author,
                    base: store_snapshot(&self.objects, &base.snapshot)?,
                    ours: store_snapshot(&self.objects, &snapshot)?,
                    theirs: store_snapshot(&self.objects, &theirs)?,
                    merged: store_snapshot(&self.objects, &merged.snapshot)?,
                    conflicts: self.store_conflicts(&merged.tables, &merged.names)?,
                    start,
                    todo: todo[n + 1..].to_vec(),
                };
                let mut transaction = Transaction::new(Some(working.view.clone()));
                self.set_working(&mut transaction, &working.head, Some(tip), &merged.snapshot, Some(merging))?;
                self.set_tip(&mut transaction, &working.head, tip)?;
                self.publish(transaction, command)?;
                report.outcome = ReplayOutcome::Conflicts(*id, todo.len() - n - 1);
                (report.tables, report.names) = (merged.tables, merged.names);
                return Ok(report);
            }
            if merged.snapshot == snapshot {
                report.skipped.push(*id);
                continue;
            }
            let message = match options.gate {
                Some(gate) => gate.pass(&Proposed { before: &snapshot, after: &merged.snapshot, parents: &[tip], message: &message })?,
                None => message,
            };
            let now = self.environment.now_millis();
            let author = match author {
                Some(author) => author,
                None => self.identity()?.sign(now, self.environment.offset_minutes(now)),
            };
            let mark = commit.flags & (Commit::FLAG_SUBSET | Commit::FLAG_ON_SUBSET);
            let marked = verb != Replay::Revert && commit.flags & Commit::FLAG_SUBSET != 0;
            let flags = self.inherited_flags(Some(tip))? | if marked { mark } else { 0 };
            let stored = store_snapshot(&self.objects, &merged.snapshot)?;
            let made = Commit { snapshot: stored, parents: vec![tip], author, committed_millis: now, message, source: commit.source.clone(), flags };
            tip = store_commit(&self.objects, &made)?;
            snapshot = merged.snapshot;
            report.made.push((*id, tip));
        }
        let mut transaction = Transaction::new(Some(working.view.clone()));
        transaction.set(&working_key(&working.head), None)?;
        self.set_tip(&mut transaction, &working.head, tip)?;
        self.publish(transaction, command)?;
        if Some(tip) != working.tip {
            report.outcome = ReplayOutcome::Done(tip);
        }
        Ok(report)
    }

    /// The commit to which a commit's changes are taken; none for a first commit.
    fn parent_for(&self, id: CommitId, commit: &Commit, options: &ReplayOptions<'_>) -> Result<Option<CommitId>, RepoError> {
        match (commit.parents.as_slice(), options.mainline) {
            ([], _) => Ok(None),
            ([one], None | Some(1)) => Ok(Some(*one)),
            (many, Some(n)) => match n.checked_sub(1).and_then(|n| many.get(n)) {
                Some(parent) => Ok(Some(*parent)),
                None => Err(RepoError::refused(format!("commit {} has {} parents: there is no parent {n}", short(&id), many.len()))),
            },
            (_, None) => Err(RepoError::refused_with(
                format!("commit {} is a merge: its changes depend on the side", short(&id)),
                "--mainline 1 takes those that it made to the branch that it is on",
            )),
        }
    }
}

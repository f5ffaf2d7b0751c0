//! Hooks in the midst of a merge or a replay: they are run when the commit's data is known, and before it is made.

use std::cell::RefCell;
use std::fmt::Write;

use super::change::Change;
use super::message::Source;
use super::{Hook, Hooks, Occasion};
use crate::base::CommitId;
use crate::cli::error::CliError;
use crate::repo::remotes::{PushRequest, RefChange, RefUpdate};
use crate::repo::{Gate, Proposed, Replay, ReplayReport, RepoError};

/// Runs hooks as floor 5 asks for them.
#[derive(Debug)]
pub struct HookGate<'a> {
    hooks: &'a Hooks<'a>,
    /// A merge runs pre-merge-commit and both hooks of the message; a replay prepare-commit-msg alone, as Git has it.
    merges: bool,
    stopped: RefCell<Option<CliError>>,
}

impl<'a> HookGate<'a> {
    /// Of a merge.
    pub fn of_merge(hooks: &'a Hooks<'a>) -> HookGate<'a> {
        HookGate { hooks, merges: true, stopped: RefCell::default() }
    }

    /// Of a cherry-pick, revert or rebase.
    pub fn of_replay(hooks: &'a Hooks<'a>) -> HookGate<'a> {
        HookGate { hooks, merges: false, stopped: RefCell::default() }
    }

    /// An error of floor 5; where a hook is behind it, what is to be said of the hook.
    pub fn told(&self, error: RepoError) -> CliError {
        match (error, self.stopped.take()) {
            (RepoError::Stopped(_), Some(told)) => told,
            (error, _) => error.into(),
        }
    }

    fn hooks(&self, proposed: &Proposed<'_>) -> Result<String, CliError> {
        let head = proposed.parents.first().copied();
        if self.merges {
            self.hooks.run(Hook::PreMergeCommit, || {
                let merged = proposed.parents.iter().skip(1).copied().collect();
                Ok(Occasion { head, merged, change: Change::between(proposed.before, proposed.after), ..Occasion::default() })
            })?;
        }
        let source = if self.merges { Source::Merge } else { Source::Given };
        Ok(self.hooks.worded(proposed.message, source, head, self.merges)?.unwrap_or_else(|| proposed.message.to_owned()))
    }
}

impl Gate for HookGate<'_> {
    fn pass(&self, proposed: &Proposed<'_>) -> Result<String, RepoError> {
        self.hooks(proposed).map_err(|error| {
            let why = error.message.clone();
            self.stopped.replace(Some(error));
            RepoError::Stopped(why)
        })
    }
}

impl Hooks<'_> {
    /// After a merge: `commit` is what the branch is at now. A squash is not committed: its change is in the working state.
    pub fn merged(&self, before: Option<CommitId>, commit: CommitId, is_squash: bool) -> Result<(), CliError> {
        let occasion = || {
            let from = before.map(|id| self.repo.snapshot_of(id)).transpose()?.unwrap_or_default();
            let to = if is_squash { self.repo.working_snapshot()? } else { self.repo.snapshot_of(commit)? };
            let args = vec![if is_squash { "1" } else { "0" }.into()];
            Ok(Occasion { args, head: before, commit: Some(commit), change: Change::between(&from, &to), ..Occasion::default() })
        };
        self.run(Hook::PostMerge, occasion).map(drop)
    }

    /// Before what is in progress of a replay is committed; the message that it shall have, if it is another than was to be.
    /// A rebase was asked about nothing, and is not now.
    pub fn before_continue(&self, verb: Replay, message: Option<String>) -> Result<Option<String>, CliError> {
        // What is not in progress or not settled is refused by what goes on with it.
        let Some(pending) = self.repo.pending()?.filter(|pending| pending.is_empty()) else { return Ok(message) };
        let working = self.repo.working()?;
        let verify = verb != Replay::Rebase;
        if verify {
            self.run(Hook::PreCommit, || {
                let before = working.tip.map(|tip| self.repo.snapshot_of(tip)).transpose()?.unwrap_or_default();
                Ok(Occasion { head: working.tip, change: Change::between(&before, &working.snapshot), ..Occasion::default() })
            })?;
        }
        let planned = message.clone().unwrap_or_else(|| pending.merging.message.clone());
        let source = if message.is_some() { Source::Given } else { Source::Merge };
        let worded = self.worded(&planned, source, working.tip, verify)?;
        Ok(worded.or(message))
    }

    /// After a replay: each commit that it made.
    pub fn replayed(&self, head: Option<CommitId>, report: &ReplayReport) -> Result<(), CliError> {
        let mut head = head;
        for id in report.ended.iter().chain(report.made.iter().map(|(_, made)| made)) {
            self.run(Hook::PostCommit, || self.made(*id, head, &[]))?;
            head = Some(*id);
        }
        Ok(())
    }

    /// After another branch or commit is checked out; Git's number for "none" stands for a branch without a commit.
    pub fn checked_out(&self, before: Option<CommitId>, now: Option<CommitId>) -> Result<(), CliError> {
        let args = vec![id(before).into(), id(now).into(), "1".into()];
        self.run(Hook::PostCheckout, || Ok(Occasion { args, head: before, commit: now, ..Occasion::default() })).map(drop)
    }
}

/// Runs pre-push before anything is sent.
#[derive(Debug)]
pub struct PushGate<'a> {
    hooks: &'a Hooks<'a>,
    remote: &'a str,
    request: &'a PushRequest,
    stopped: RefCell<Option<CliError>>,
}

impl<'a> PushGate<'a> {
    /// Of a push to that remote.
    pub fn new(hooks: &'a Hooks<'a>, remote: &'a str, request: &'a PushRequest) -> PushGate<'a> {
        PushGate { hooks, remote, request, stopped: RefCell::default() }
    }

    /// As [`HookGate::told`].
    pub fn told(&self, error: RepoError) -> CliError {
        match (error, self.stopped.take()) {
            (RepoError::Stopped(_), Some(told)) => told,
            (error, _) => error.into(),
        }
    }

    /// Asks the hooks about the refs that are to move.
    pub fn pass(&self, refs: &[RefUpdate]) -> Result<(), RepoError> {
        let asked = self.hooks.run(Hook::PrePush, || {
            let args = vec![self.remote.into(), self.hooks.repo.remote_url(self.remote)?.into()];
            Ok(Occasion { args, head: self.hooks.head()?, lines: push_lines(self.request, refs).into_bytes(), ..Occasion::default() })
        });
        asked.map(drop).map_err(|error| {
            let why = error.message.clone();
            self.stopped.replace(Some(error));
            RepoError::Stopped(why)
        })
    }
}

/// The refs that are to move, a line each: here, its commit, there, its commit. What is deleted comes from `(delete)`.
fn push_lines(request: &PushRequest, refs: &[RefUpdate]) -> String {
    let mut text = String::new();
    for (n, update) in refs.iter().enumerate().filter(|(_, update)| !matches!(update.kind, RefChange::Same | RefChange::Refused(_))) {
        let kind = if update.is_tag { "tags" } else { "heads" };
        let here = match (update.new, request.branches.get(n)) {
            (None, _) => "(delete)".to_owned(),
            (Some(_), Some((branch, _))) if !update.is_tag => format!("refs/heads/{branch}"),
            (Some(_), _) => format!("refs/{kind}/{}", update.name),
        };
        let _ = writeln!(text, "{here} {} refs/{kind}/{} {}", id(update.new), update.name, id(update.old));
    }
    text
}

/// A commit's id; zeros for none, as Git writes it.
pub fn id(commit: Option<CommitId>) -> String {
    commit.map_or_else(|| "0".repeat(64), |id| id.to_string())
}

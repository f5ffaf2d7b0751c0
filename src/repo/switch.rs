//! `switch`: check out another branch or a commit.

use super::branch::branch_exists;
use super::{Repo, RepoError};
use crate::base::CommitId;
use crate::base::name::check_ref;
use crate::format::operation::{HeadRef, Working};
use crate::history::state::{HEAD, branch_key, working_key};
use crate::history::{HistoryError, Transaction, short};

/// How to switch.
#[derive(Debug, Clone, Default)]
pub struct SwitchOptions {
    /// Make the branch first.
    pub create: bool,
    /// With `create`: where it starts. Without it, it starts at `HEAD`, and uncommitted changes come along.
    pub start: Option<String>,
    /// Check out a commit, not a branch.
    pub detach: bool,
}

/// What a switch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// What was checked out before.
    pub from: HeadRef,
    /// What is now.
    pub to: HeadRef,
    /// Its commit; none before the first.
    pub commit: Option<CommitId>,
    /// True where uncommitted changes came along to a new branch.
    pub carried: bool,
    /// True where uncommitted changes stayed with what was checked out before.
    pub left_behind: bool,
    /// True where what is checked out now has uncommitted changes.
    pub uncommitted: bool,
    /// The commit that was checked out before, if no name and nothing that is checked out now leads to it any more.
    pub left: Option<CommitId>,
}

impl Repo {
    /// Checks out a branch (`-` for the one before), or with `detach` a commit. Uncommitted changes stay with the branch that they were
    /// made on, but for a new branch that starts at `HEAD`: they come along to it.
    pub fn switch(&self, target: &str, options: &SwitchOptions) -> Result<Switched, RepoError> {
        if let Some(branch) = &self.pinned {
            return Err(RepoError::refused_with(format!("this handle stays on branch '{branch}'"), "switch with one that was opened on the repository"));
        }
        let view = self.view()?;
        let from = view.state.head()?;
        let working = view.state.working(&from)?;
        let mut transaction = Transaction::new(Some(view.clone()));
        // A working state that appears meanwhile must not be left where nobody sees it.
        transaction.rely_on(&working_key(&from))?;
        let mut carried = None;
        let (to, commit) = if options.create {
            check_ref("branch", target)?;
            if branch_exists(&view.state, target)? {
                return Err(RepoError::Taken { what: "branch", name: target.to_owned() });
            }
            let to = HeadRef::Branch(target.to_owned());
            let commit = match &options.start {
                Some(start) => Some(self.resolve_in(&view, start)?),
                None => view.state.head_commit()?,
            };
            if let Some(commit) = commit {
                transaction.set(&branch_key(target), Some(commit.as_bytes().to_vec()))?;
            }
            if options.start.is_none() && working.is_some() {
                transaction.set(&working_key(&to), view.state.get(&working_key(&from))?)?;
                transaction.set(&working_key(&from), None)?;
                carried = working.clone();
            }
            (to, commit)
        } else if options.detach {
            let commit = self.resolve_in(&view, target)?;
            (HeadRef::Commit(commit), Some(commit))
        } else {
            let revision = format!("@{{-{}}}", 1);
            let name = match target {
                "-" => self.resolver(&view).previous_branch(1, &revision.parse().map_err(HistoryError::from)?)?,
                other => other.strip_prefix("heads/").unwrap_or(other).to_owned(),
            };
            if branch_exists(&view.state, &name)? {
                let tip = view.state.branch(&name)?;
                transaction.rely_on(&branch_key(&name))?;
                (HeadRef::Branch(name), tip)
            } else if target == "-"
                && let Ok(id) = name.parse::<CommitId>()
            {
                (HeadRef::Commit(id), Some(id))
            } else {
                return Err(self.no_branch(&view.state, &name)?);
            }
        };
        // There is one working state without a branch; it stays where it was made.
        let detached = match (&from, &to) {
            (HeadRef::Commit(_), _) if carried.is_none() => working.clone(),
            (HeadRef::Branch(_), HeadRef::Commit(_)) => view.state.working(&to)?,
            _ => None,
        };
        if let Some(Working { base: Some(base), .. }) = detached
            && HeadRef::Commit(base) != to
        {
            return Err(RepoError::refused_with(
                format!("there are uncommitted changes of commit {} that are on no branch", short(&base)),
                "take them to a new branch with 'dsv switch -c NAME', or drop them with 'dsv reset --hard'",
            ));
        }
        let uncommitted = carried.is_some() || view.state.working(&to)?.is_some();
        let left_behind = carried.is_none() && working.is_some() && from != to;
        transaction.set(HEAD, Some(to.encode()))?;
        let option = if options.create {
            "-c "
        } else if options.detach {
            "--detach "
        } else {
            ""
        };
        self.publish(transaction, format!("switch {option}{target}"))?;
        let left = match &from {
            HeadRef::Commit(id) => self.without_name(*id)?,
            HeadRef::Branch(_) => None,
        };
        Ok(Switched { from, to, commit, carried: carried.is_some(), left_behind, uncommitted, left })
    }

    /// The commit, if no branch, tag, remote-tracking ref or `HEAD` leads to it.
    fn without_name(&self, id: CommitId) -> Result<Option<CommitId>, RepoError> {
        let state = self.view()?.state;
        let tips = state.branches()?.into_values().chain(state.remotes()?.into_values());
        let all: Vec<CommitId> = tips.chain(state.tags()?.into_values().map(|tag| tag.commit)).chain(state.head_commit()?).collect();
        Ok((!self.graph.ancestors(all)?.contains(&id)).then_some(id))
    }
}

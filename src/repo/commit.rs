//! `commit`: the working state becomes a commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::changes::{self, NameChange};
use super::checks::Tested;
use super::{Identity, Repo, RepoError, WorkingState};
use crate::base::{CommitId, TableObjectId};
use crate::format::commit::Commit;
use crate::format::operation::HeadRef;
use crate::history::state::working_key;
use crate::history::{HistoryError, Transaction, store_commit, store_snapshot};

/// What a commit is made with.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Why. Needed, except with `amend`, which else keeps the message.
    pub message: Option<String>,
    /// Replace the last commit instead of following it.
    pub amend: bool,
    /// Commit although nothing differs.
    pub allow_empty: bool,
    /// Somebody else than [`Repo::identity`].
    pub author: Option<Identity>,
    /// Where the data came from.
    pub source: BTreeMap<String, String>,
}

/// The commit that was made.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its id.
    pub id: CommitId,
    /// The commit.
    pub commit: Commit,
    /// What it was made on.
    pub head: HeadRef,
    /// The tables that differ from its first parent.
    pub tables: Vec<NameChange<TableObjectId>>,
    /// The views that differ from its first parent.
    pub views: Vec<NameChange<String>>,
    /// The checks that only warn, and do not hold.
    pub warnings: Vec<Tested>,
    /// True where the author was guessed from the machine: worth a hint.
    pub author_guessed: bool,
}

/// What a commit would be made of; its data is not tested against checks yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The working state.
    pub working: WorkingState,
    /// The commits that it would follow.
    pub parents: Vec<CommitId>,
    /// The commit that it would replace.
    pub replaced: Option<Arc<Commit>>,
    /// Its message; empty where none was given and none is kept.
    pub message: String,
}

impl Repo {
    /// What a commit with these options would be made of. Fails where [`Repo::commit`] would for the state that the repository is in: unsettled conflicts, nothing to commit, nothing to amend.
    pub fn draft(&self, options: &CommitOptions) -> Result<Draft, RepoError> {
        let working = self.working()?;
        working.check_current()?;
        if let Some(merging) = &working.merging {
            if options.amend || !merging.todo.is_empty() {
                return Err(RepoError::InProgress { verb: merging.verb.clone(), revision: merging.revision.clone() });
            }
            self.check_settled(&working, merging)?;
        }
        let replaced = match (options.amend, working.tip) {
            (false, _) => None,
            (true, Some(tip)) => Some(self.commit_of(tip)?),
            (true, None) => return Err(RepoError::refused("there is no commit to amend yet")),
        };
        let mut parents = replaced.as_ref().map_or_else(|| working.tip.into_iter().collect(), |replaced| replaced.parents.clone());
        parents.extend(working.merging.iter().flat_map(|merging| merging.parents.iter().copied()));
        if !working.dirty && replaced.is_none() && !options.allow_empty {
            return Err(RepoError::NothingToCommit { commit: working.tip });
        }
        let kept = replaced.as_ref().map(|replaced| &replaced.message).or(working.merging.as_ref().map(|merging| &merging.message)).cloned();
        let message = options.message.clone().or(kept).unwrap_or_default().trim_end().to_owned();
        Ok(Draft { working, parents, replaced, message })
    }

    /// Makes a commit of the working state. Fails with [`RepoError::NothingToCommit`] where nothing differs and neither `amend` nor
    /// `allow_empty` is asked for, and with [`RepoError::Checks`] where the data breaks a check.
    pub fn commit(&self, options: &CommitOptions) -> Result<Committed, RepoError> {
        let Draft { working, parents, replaced, message } = self.draft(options)?;
        if message.trim().is_empty() {
            return Err(RepoError::refused_with("the commit message is empty", "say what changed and why with -m MESSAGE"));
        }
        let before = parents.iter().map(|parent| self.snapshot_of(*parent)).collect::<Result<Vec<_>, _>>()?;
        let warnings = self.hold_checks(&before.iter().collect::<Vec<_>>(), &working.snapshot)?;
        let now = self.environment.now_millis();
        let identity = match (&options.author, &replaced) {
            (Some(author), _) => Some(author.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(self.identity()?),
        };
        let author_guessed = identity.as_ref().is_some_and(|identity| identity.guessed);
        let made_before = working.merging.as_ref().and_then(|merging| merging.author.clone()).filter(|_| options.author.is_none());
        let author = match (identity, &replaced) {
            (Some(_), None) if let Some(author) = &made_before => author.clone(),
            (Some(identity), None) => identity.sign(now, self.environment.offset_minutes(now)),
            // Amending keeps the time of the change, and its author unless another is named.
            (Some(identity), Some(replaced)) => identity.sign(replaced.author.millis, replaced.author.offset_minutes),
            (None, Some(replaced)) => replaced.author.clone(),
            (None, None) => return Err(RepoError::refused("a commit needs an author")),
        };
        let mut source = replaced.as_ref().map(|replaced| replaced.source.clone()).unwrap_or_default();
        source.retain(|name, _| !name.starts_with("code."));
        source.extend(self.made_at()?);
        source.extend(options.source.clone());
        let snapshot = store_snapshot(&self.objects, &working.snapshot)?;
        let flags = match &replaced {
            Some(replaced) => replaced.flags,
            None => self.inherited_flags(parents.first().copied())?,
        };
        let commit = Commit { snapshot, parents, author, committed_millis: now, message, source, flags };
        let id = store_commit(&self.objects, &commit)?;

        let mut transaction = Transaction::new(Some(working.view.clone()));
        self.set_tip(&mut transaction, &working.head, id)?;
        transaction.set(&working_key(&working.head), None)?;
        let verb = if options.amend { "commit --amend" } else { "commit" };
        self.publish(transaction, format!("{verb}: {}", commit.subject()))?;

        let before = before.into_iter().next().unwrap_or_default();
        let (tables, views) = (changes::tables(&before, &working.snapshot), changes::views(&before, &working.snapshot));
        Ok(Committed { id, commit, head: working.head, tables, views, warnings, author_guessed })
    }

    /// The commit checked out, or an error that says that there is none yet.
    pub(super) fn require_tip(&self, head: &HeadRef, tip: Option<CommitId>) -> Result<CommitId, RepoError> {
        tip.ok_or_else(|| {
            let name = match head {
                HeadRef::Branch(name) => name.clone(),
                HeadRef::Commit(id) => id.to_string(),
            };
            HistoryError::NoCommit(name).into()
        })
    }
}

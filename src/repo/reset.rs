//! `reset`: the branch that is checked out moves to another commit.

use super::{Repo, RepoError};
use crate::base::CommitId;
use crate::history::Transaction;
use crate::history::state::working_key;

/// What becomes of the data in the working state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetMode {
    /// It stays as it is; what differs from the commit is uncommitted.
    Soft,
    /// It is dropped for the commit's.
    Hard,
}

impl Repo {
    /// Moves what is checked out to a revision; returns the commit that it was at and the one that it is at. Commits left behind stay reachable
    /// through the operation log.
    pub fn reset(&self, revision: &str, mode: ResetMode) -> Result<(Option<CommitId>, CommitId), RepoError> {
        let working = self.working()?;
        if let (Some(merging), ResetMode::Soft) = (&working.merging, mode) {
            return Err(RepoError::InProgress { verb: merging.verb.clone(), revision: merging.revision.clone() });
        }
        let commit = match revision {
            "HEAD" | "@" => self.require_tip(&working.head, working.tip)?,
            other => self.resolve_in(&working.view, other)?,
        };
        let mut transaction = Transaction::new(Some(working.view.clone()));
        match mode {
            // The data goes with the branch: it belongs to the new commit now.
            ResetMode::Soft => self.set_working(&mut transaction, &working.head, Some(commit), &working.snapshot, None)?,
            ResetMode::Hard => transaction.set(&working_key(&working.head), None)?,
        }
        self.set_tip(&mut transaction, &working.head, commit)?;
        let option = if mode == ResetMode::Hard { "--hard " } else { "" };
        self.publish(transaction, format!("reset {option}{revision}"))?;
        Ok((working.tip, commit))
    }
}

//! `operations`, `undo` and `redo`.

use super::{Repo, RepoError};
use crate::base::OperationId;
use crate::format::operation::Operation;
use crate::history::log::{OperationLog, around, find, unless_forgotten};
use crate::history::undo::{next_redo, next_undo, take_back};
use crate::tree::StateChange;

/// An operation, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationInfo {
    /// Its id.
    pub id: OperationId,
    /// The operation.
    pub operation: Operation,
    /// What it changed, by key of the state; `None` where garbage collection has forgotten what was before it.
    pub changes: Option<Vec<StateChange>>,
}

impl Repo {
    /// The newest operations, at most `limit`, newest first.
    pub fn operations(&self, limit: Option<usize>) -> Result<Vec<OperationInfo>, RepoError> {
        let view = self.view()?;
        let mut found = Vec::new();
        for entry in OperationLog::from(self.objects.clone(), &view).take(limit.unwrap_or(usize::MAX)) {
            let (id, operation) = entry?;
            found.push(self.info(id, operation)?);
        }
        Ok(found)
    }

    fn info(&self, id: OperationId, operation: Operation) -> Result<OperationInfo, RepoError> {
        let (before, after) = around(&self.objects, &operation)?;
        let changes = before.map(|before| unless_forgotten(before.diff(&after))).transpose()?.flatten();
        Ok(OperationInfo { id, operation, changes })
    }

    /// Takes back an operation: the one named by the start of its id, else the newest that has not been taken back yet. Returns it.
    pub fn undo(&self, operation: Option<&str>) -> Result<OperationInfo, RepoError> {
        let view = self.view()?;
        let (id, operation) = match operation {
            Some(text) => find(&self.objects, &view, text)?,
            None => next_undo(&self.objects, &view)?,
        };
        let transaction = take_back(&self.objects, &view, id, &operation)?;
        self.publish(transaction, format!("undo {id:.8} ({})", operation.command))?;
        self.info(id, operation)
    }

    /// Takes back the newest undo that no other change has followed. Returns the operation that holds again.
    pub fn redo(&self) -> Result<OperationInfo, RepoError> {
        let view = self.view()?;
        let (id, undo) = next_redo(&self.objects, &view)?;
        let transaction = take_back(&self.objects, &view, id, &undo)?;
        let Some(redone) = undo.reverts else { return Err(crate::history::HistoryError::NothingToRedo.into()) };
        // What it was called may have been collected.
        let operation = crate::history::load_operation(&self.objects, redone).unwrap_or(undo);
        self.publish(transaction, format!("redo {redone:.8} ({})", operation.command))?;
        self.info(redone, operation)
    }
}

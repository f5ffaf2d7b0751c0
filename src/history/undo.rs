//! Undo and redo: operations that take back what an earlier operation changed.
//!
//! An operation that takes another back names it. Read from the newest to the oldest, an operation that has been taken back by one
//! that still stands is passed over, and so is one that takes back; the first that is left is what `undo` takes back next. What `redo`
//! takes back is the newest standing undo with no other change after it.

use std::collections::HashSet;
use std::sync::Arc;

use super::log::{OperationLog, around, unless_forgotten};
use super::{ChunkError, HistoryError, Objects, Transaction, View, load_operation};
use crate::base::OperationId;
use crate::format::operation::Operation;

/// The operation that the next undo takes back.
pub fn next_undo(objects: &Arc<Objects>, view: &View) -> Result<(OperationId, Operation), HistoryError> {
    let mut taken_back = HashSet::new();
    for entry in OperationLog::from(objects.clone(), view) {
        let (id, operation) = entry?;
        if taken_back.remove(&id) {
            continue;
        }
        match operation.reverts {
            Some(reverted) => drop(taken_back.insert(reverted)),
            // The repository's first operation is no change that could be taken back.
            None if operation.parent.is_none() => break,
            None => return Ok((id, operation)),
        }
    }
    Err(HistoryError::NothingToUndo)
}

/// The undo that the next redo takes back.
pub fn next_redo(objects: &Arc<Objects>, view: &View) -> Result<(OperationId, Operation), HistoryError> {
    let mut taken_back = HashSet::new();
    for entry in OperationLog::from(objects.clone(), view) {
        let (id, operation) = entry?;
        if taken_back.remove(&id) {
            continue;
        }
        match operation.reverts {
            Some(reverted) if is_undo(objects, reverted)? => drop(taken_back.insert(reverted)),
            Some(_) => return Ok((id, operation)),
            None => break,
        }
    }
    Err(HistoryError::NothingToRedo)
}

/// True where that operation is an undo: it takes back one that is none. One that has been collected is taken for none.
fn is_undo(objects: &Objects, mut id: OperationId) -> Result<bool, HistoryError> {
    let mut undo = false;
    loop {
        match load_operation(objects, id) {
            Ok(Operation { reverts: Some(reverted), .. }) => {
                undo = !undo;
                id = reverted;
            }
            Ok(_) | Err(HistoryError::Objects(ChunkError::Missing { .. })) => return Ok(undo),
            Err(error) => return Err(error),
        }
    }
}

/// The transaction that gives every key which the operation changed the value that it had before. Fails with
/// [`HistoryError::MovedSince`] where one of them has another value by now than the operation gave it.
pub fn take_back(objects: &Arc<Objects>, view: &View, id: OperationId, operation: &Operation) -> Result<Transaction, HistoryError> {
    if operation.parent.is_none() {
        return Err(HistoryError::NothingToUndo);
    }
    let (Some(before), after) = around(objects, operation)? else { return Err(HistoryError::Forgotten(id)) };
    let changes = unless_forgotten(before.diff(&after))?.ok_or(HistoryError::Forgotten(id))?;
    let mut transaction = Transaction::new(Some(view.clone())).reverting(id);
    for change in changes {
        if view.state.get(&change.key)? != change.after {
            let by = last_change(objects, view, &change.key)?;
            return Err(HistoryError::MovedSince { operation: id, command: operation.command.clone(), key: change.key, by });
        }
        transaction.set(&change.key, change.before)?;
    }
    Ok(transaction)
}

/// The command of the newest operation that changed a key.
fn last_change(objects: &Arc<Objects>, view: &View, key: &str) -> Result<Option<String>, HistoryError> {
    for entry in OperationLog::from(objects.clone(), view) {
        let (_, operation) = entry?;
        let (Some(before), after) = around(objects, &operation)? else { break };
        match unless_forgotten(before.get(key).and_then(|before| Ok(before != after.get(key)?)))? {
            Some(true) => return Ok(Some(operation.command)),
            Some(false) => {}
            None => break,
        }
    }
    Ok(None)
}

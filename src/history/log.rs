//! The operation log: every change of the state, newest first.

use std::sync::Arc;

use super::{ChunkError, HistoryError, Objects, State, View, load_operation};
use crate::base::OperationId;
use crate::format::operation::Operation;

/// The operations from one back to the first. Where older ones have been collected as garbage, the log ends there.
#[derive(Debug)]
pub struct OperationLog {
    objects: Arc<Objects>,
    next: Option<(OperationId, Option<Operation>)>,
    cut: bool,
}

impl OperationLog {
    /// The log from this view back.
    pub fn from(objects: Arc<Objects>, view: &View) -> Self {
        OperationLog { objects, next: Some((view.mark.operation, Some(view.operation.clone()))), cut: false }
    }

    /// True once the log has ended before the repository's first operation.
    pub fn was_cut(&self) -> bool {
        self.cut
    }
}

impl Iterator for OperationLog {
    type Item = Result<(OperationId, Operation), HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (id, loaded) = self.next.take()?;
        let operation = match loaded.map_or_else(|| load_operation(&self.objects, id), Ok) {
            Ok(operation) => operation,
            Err(HistoryError::Objects(ChunkError::Missing { .. })) => {
                self.cut = true;
                return None;
            }
            Err(error) => return Some(Err(error)),
        };
        self.next = operation.parent.map(|parent| (parent, None));
        Some(Ok((id, operation)))
    }
}

/// What was read of an older operation, or `None` where garbage collection has taken part of it: its log ends there.
pub fn unless_forgotten<T>(read: Result<T, HistoryError>) -> Result<Option<T>, HistoryError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(HistoryError::Objects(ChunkError::Missing { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The states before and after an operation. The one before is empty for the first operation, and `None` where it has been collected.
pub fn around(objects: &Arc<Objects>, operation: &Operation) -> Result<(Option<State>, State), HistoryError> {
    let after = State::open(objects.clone(), &operation.state)?;
    let before = match operation.parent {
        None => Some(State::empty(objects.clone())?),
        Some(parent) => match load_operation(objects, parent) {
            Ok(parent) => Some(State::open(objects.clone(), &parent.state)?),
            Err(HistoryError::Objects(ChunkError::Missing { .. })) => None,
            Err(error) => return Err(error),
        },
    };
    Ok((before, after))
}

/// The operation in the log from `view` that `text` names: `@` for the newest, or the first digits of an id.
pub fn find(objects: &Arc<Objects>, view: &View, text: &str) -> Result<(OperationId, Operation), HistoryError> {
    let unknown = || HistoryError::UnknownOperation(text.to_owned());
    if text == "@" {
        return Ok((view.mark.operation, view.operation.clone()));
    }
    let digits = text.to_ascii_lowercase();
    if digits.len() < 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(unknown());
    }
    let mut found = None;
    for entry in OperationLog::from(objects.clone(), view) {
        let entry = entry?;
        if entry.0.to_string().starts_with(&digits) && found.replace(entry).is_some() {
            return Err(HistoryError::AmbiguousOperation(text.to_owned()));
        }
    }
    found.ok_or_else(unknown)
}

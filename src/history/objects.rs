//! Loads and stores the objects of history.

use super::{HistoryError, Kind, Objects};
use crate::base::{CommitId, ObjectId, OperationId, SnapshotId};
use crate::format::FormatError;
use crate::format::commit::Commit;
use crate::format::operation::Operation;
use crate::format::snapshot::Snapshot;

fn load<T>(objects: &Objects, what: &'static str, kind: Kind, id: ObjectId, decode: impl FnOnce(&[u8]) -> Result<T, FormatError>) -> Result<T, HistoryError> {
    decode(&objects.get(kind, id)?).map_err(|source| HistoryError::Malformed { what, id, source })
}

/// The commit of that id.
pub fn load_commit(objects: &Objects, id: CommitId) -> Result<Commit, HistoryError> {
    load(objects, "commit", Kind::Commit, id.into(), Commit::decode)
}

/// The snapshot of that id.
pub fn load_snapshot(objects: &Objects, id: SnapshotId) -> Result<Snapshot, HistoryError> {
    load(objects, "snapshot", Kind::Snapshot, id.into(), Snapshot::decode)
}

/// The operation of that id.
pub fn load_operation(objects: &Objects, id: OperationId) -> Result<Operation, HistoryError> {
    load(objects, "operation", Kind::Operation, id.into(), Operation::decode)
}

/// Keeps a commit; returns its id.
pub fn store_commit(objects: &Objects, commit: &Commit) -> Result<CommitId, HistoryError> {
    Ok(objects.put(Kind::Commit, &commit.encode())?.into())
}

/// Keeps a snapshot; returns its id.
pub fn store_snapshot(objects: &Objects, snapshot: &Snapshot) -> Result<SnapshotId, HistoryError> {
    Ok(objects.put(Kind::Snapshot, &snapshot.encode())?.into())
}

/// Keeps an operation; returns its id.
pub fn store_operation(objects: &Objects, operation: &Operation) -> Result<OperationId, HistoryError> {
    Ok(objects.put(Kind::Operation, &operation.encode())?.into())
}

/// The first digits of a commit's id, as people are shown it.
pub fn short(id: &CommitId) -> String {
    format!("{id:.8}")
}

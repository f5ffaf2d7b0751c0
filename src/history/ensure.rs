//! Sees to it that a new state reaches nothing that garbage collection may have taken.
//!
//! What the base state reaches is safe, as is what was written for the change. Everything else that a change names (the commit of an older
//! operation, a commit that no branch holds) may be gone in part though its id still resolves: it is walked, and what has left the catalogue is written anew.

use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use super::reach::{Place, Reach, Visitor};
use super::{ChunkError, HistoryError, Kind, Objects, State, load_commit, load_snapshot};
use crate::base::{CommitId, ObjectId, SnapshotId, TableObjectId};

/// Checks that all that `values`, by their keys, reach will be in the catalogue once what was written is flushed. Fails with
/// [`HistoryError::Gone`] where something is not there any more.
pub fn ensure<'v>(objects: &Arc<Objects>, base: Option<&State>, values: impl IntoIterator<Item = (&'v str, &'v [u8])>) -> Result<(), HistoryError> {
    let mut visitor = Ensure { objects, base, known: None };
    let mut reach = Reach::new(objects, &mut visitor);
    values.into_iter().try_for_each(|(key, value)| reach.value(key, value)).map_err(gone)
}

/// An object that is missing when it is relied upon has been collected.
pub fn gone(error: HistoryError) -> HistoryError {
    match error {
        HistoryError::Objects(ChunkError::Missing { object }) => HistoryError::Gone(object),
        other => other,
    }
}

struct Ensure<'a> {
    objects: &'a Arc<Objects>,
    base: Option<&'a State>,
    known: Option<Known>,
}

/// What the base state reaches, as far as it has been looked at.
#[derive(Default)]
struct Known {
    commits: HashSet<CommitId>,
    /// Commits whose parents are still to be looked at, by committer time.
    next: BinaryHeap<(i64, CommitId)>,
    snapshots: HashSet<SnapshotId>,
    /// The snapshots that the state itself names.
    near: Vec<SnapshotId>,
    /// The tables of conflicts that the state itself names.
    lists: Vec<TableObjectId>,
    tables: Option<HashSet<TableObjectId>>,
}

impl Known {
    fn of(objects: &Objects, state: Option<&State>) -> Result<Known, HistoryError> {
        let mut known = Known::default();
        let Some(state) = state else { return Ok(known) };
        let mut tips: Vec<CommitId> = match state.head_commit() {
            Ok(head) => head.into_iter().collect(),
            // A remote to which tags alone were pushed has none.
            Err(HistoryError::NoValue(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        for working in state.workings()?.into_values() {
            known.near.push(working.snapshot);
            tips.extend(working.base);
            if let Some(merging) = working.merging {
                known.near.extend([merging.base, merging.ours, merging.theirs, merging.merged]);
                known.lists.push(merging.conflicts);
                tips.extend(merging.parents.into_iter().chain(merging.todo).chain([merging.start]));
            }
        }
        tips.extend(state.branches()?.into_values());
        tips.extend(state.remotes()?.into_values());
        tips.extend(state.tags()?.into_values().map(|tag| tag.commit));
        for tip in tips {
            let before = known.snapshots.len();
            known.add(objects, tip)?;
            if known.snapshots.len() > before {
                known.near.push(load_commit(objects, tip)?.snapshot);
            }
        }
        known.snapshots.extend(known.near.iter().copied());
        Ok(known)
    }

    fn add(&mut self, objects: &Objects, id: CommitId) -> Result<(), HistoryError> {
        if self.commits.insert(id) {
            let commit = load_commit(objects, id)?;
            self.snapshots.insert(commit.snapshot);
            self.next.push((commit.committed_millis, id));
        }
        Ok(())
    }

    fn has_commit(&mut self, objects: &Objects, id: CommitId) -> Result<bool, HistoryError> {
        while !self.commits.contains(&id) {
            let Some((_, next)) = self.next.pop() else { return Ok(false) };
            for parent in load_commit(objects, next)?.parents {
                self.add(objects, parent)?;
            }
        }
        Ok(true)
    }

    fn has_table(&mut self, objects: &Objects, id: TableObjectId) -> Result<bool, HistoryError> {
        let tables = match &mut self.tables {
            Some(tables) => tables,
            none => {
                let mut tables: HashSet<TableObjectId> = self.lists.iter().copied().collect();
                for snapshot in &self.near {
                    tables.extend(load_snapshot(objects, *snapshot)?.tables.into_values());
                }
                none.insert(tables)
            }
        };
        Ok(tables.contains(&id))
    }
}

impl Visitor for Ensure<'_> {
    fn object(&mut self, kind: Kind, id: ObjectId, _: &Place) -> Result<bool, HistoryError> {
        if self.objects.is_new(id) {
            // Tables and nodes that were written stand on what was written or found with them, or on the base.
            return Ok(matches!(kind, Kind::Commit | Kind::Snapshot));
        }
        // What another repository has, it has with all that lies below.
        if self.objects.is_partial() && !self.objects.contains(id)? {
            return Ok(false);
        }
        let known = match &mut self.known {
            Some(known) => known,
            none => none.insert(Known::of(self.objects, self.base)?),
        };
        let safe = match kind {
            Kind::Commit => known.has_commit(self.objects, id.into())?,
            Kind::Snapshot => known.snapshots.contains(&id.into()),
            Kind::Table => known.has_table(self.objects, id.into())?,
            Kind::Chunk | Kind::Node | Kind::Operation | Kind::PackIndex => false,
        };
        if !safe {
            self.objects.keep(id)?;
        }
        Ok(!safe)
    }
}

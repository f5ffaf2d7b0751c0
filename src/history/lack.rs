//! What one repository lacks of another's commits: found from the trees and from the commits that both have, without asking for each object.

use std::collections::HashSet;
use std::sync::Arc;

use super::reach::{Place, Reach, Visitor};
use super::{HistoryError, Kind, Objects, load_commit};
use crate::base::{CommitId, ObjectId, Progress};

/// What is to be carried so that a repository has some commits.
#[derive(Debug, Default)]
pub struct Lack {
    /// The commits that it has not.
    pub commits: Vec<CommitId>,
    /// All that those reach and it may not have, they themselves included.
    pub wanted: HashSet<ObjectId>,
    /// What it has of the trees that the new ones grew from.
    pub shared: HashSet<ObjectId>,
}

/// How far down commits are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// With all that they reach.
    Whole,
    /// Down to the tables: their schemas, and where their trees are.
    Tops,
}

/// What lacks of `tips`, which are in `from`, where the commits of `known` are there whole; `near` has those too. Subtrees that an old commit shares with a new one are passed over unread.
pub fn lack(
    from: &Arc<Objects>,
    near: &Arc<Objects>,
    tips: impl IntoIterator<Item = CommitId>,
    known: &HashSet<CommitId>,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Lack, HistoryError> {
    let (mut commits, mut seen, mut boundary) = (Vec::new(), HashSet::new(), Vec::new());
    let mut next: Vec<CommitId> = tips.into_iter().filter(|tip| !known.contains(tip)).collect();
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let commit = load_commit(from, id)?;
        commits.push((id, commit.snapshot));
        for parent in commit.parents {
            if known.contains(&parent) { boundary.push(parent) } else { next.push(parent) }
        }
    }
    let mut shared = HashSet::new();
    for id in boundary {
        let mut visitor = Counter { progress, depth };
        let mut reach = Reach::beyond(near, &mut visitor, shared);
        reach.snapshot(load_commit(near, id)?.snapshot)?;
        shared = reach.into_seen();
    }
    let mut visitor = Counter { progress, depth };
    let mut reach = Reach::beyond(from, &mut visitor, shared.clone());
    for (_, snapshot) in &commits {
        reach.snapshot(*snapshot)?;
    }
    let mut wanted = reach.into_seen();
    wanted.retain(|id| !shared.contains(id));
    wanted.extend(commits.iter().map(|(id, _)| ObjectId::from(*id)));
    Ok(Lack { commits: commits.into_iter().map(|(id, _)| id).collect(), wanted, shared })
}

struct Counter<'a> {
    progress: &'a dyn Progress,
    depth: Depth,
}

impl Visitor for Counter<'_> {
    fn object(&mut self, kind: Kind, _: ObjectId, _: &Place) -> Result<bool, HistoryError> {
        self.progress.advance(1);
        if self.progress.interrupted() { Err(HistoryError::Interrupted) } else { Ok(self.depth == Depth::Whole || kind != Kind::Table) }
    }
}

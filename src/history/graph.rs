//! The graph of commits: walks, ancestry and merge bases. Commits are loaded as they are reached and kept.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::{HistoryError, Objects, load_commit};
use crate::base::CommitId;
use crate::format::commit::Commit;

/// The commits of a repository and how they follow each other.
#[derive(Debug)]
pub struct Graph {
    objects: Arc<Objects>,
    loaded: Mutex<HashMap<CommitId, Arc<Commit>>>,
}

/// The order of a walk. In both, of the commits that may come next the newest by committer time comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A commit may come once one of its children has come. Streams.
    Date,
    /// A commit may come once all its children have come. Reads the whole range first.
    Topological,
}

impl Graph {
    /// The graph of the commits in `objects`.
    pub fn new(objects: Arc<Objects>) -> Self {
        Graph { objects, loaded: Mutex::default() }
    }

    /// The commit of that id.
    pub fn commit(&self, id: CommitId) -> Result<Arc<Commit>, HistoryError> {
        if let Some(commit) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(commit.clone());
        }
        let commit = Arc::new(load_commit(&self.objects, id)?);
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(id, commit.clone());
        Ok(commit)
    }

    /// These commits and all their ancestors.
    pub fn ancestors(&self, of: impl IntoIterator<Item = CommitId>) -> Result<HashSet<CommitId>, HistoryError> {
        let mut found: HashSet<CommitId> = HashSet::new();
        let mut next: Vec<CommitId> = of.into_iter().collect();
        while let Some(id) = next.pop() {
            if found.insert(id) {
                next.extend(&self.commit(id)?.parents);
            }
        }
        Ok(found)
    }

    /// True where `ancestor` is `of` itself or reached from it by parents.
    pub fn is_ancestor(&self, ancestor: CommitId, of: CommitId) -> Result<bool, HistoryError> {
        for id in self.walk([of], [], Order::Date)? {
            if id?.0 == ancestor {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The best common ancestors of `a` and `b`, in the order of their ids: those from which no other common ancestor descends. Empty
    /// for histories that have nothing in common, several after criss-cross merges.
    pub fn merge_bases(&self, a: CommitId, b: CommitId) -> Result<Vec<CommitId>, HistoryError> {
        // Whatever the clocks said: the common ancestors are closed under "parent of", so the best are those that are no parent of another.
        let theirs = self.ancestors([b])?;
        let mut best: BTreeSet<CommitId> = BTreeSet::new();
        let mut parents = HashSet::new();
        for id in self.ancestors([a])?.intersection(&theirs) {
            best.insert(*id);
            parents.extend(self.commit(*id)?.parents.iter().copied());
        }
        Ok(best.into_iter().filter(|id| !parents.contains(id)).collect())
    }

    /// How many commits `a` has that `b` has not, and the other way round.
    pub fn ahead_behind(&self, a: CommitId, b: CommitId) -> Result<(usize, usize), HistoryError> {
        let (ours, theirs) = (self.ancestors([a])?, self.ancestors([b])?);
        Ok((ours.difference(&theirs).count(), theirs.difference(&ours).count()))
    }

    /// Walks from `include` back through all ancestors, except `exclude` and their ancestors.
    pub fn walk(
        &self,
        include: impl IntoIterator<Item = CommitId>,
        exclude: impl IntoIterator<Item = CommitId>,
        order: Order,
    ) -> Result<Walk<'_>, HistoryError> {
        let mut walk = Walk { graph: self, seen: self.ancestors(exclude)?, heap: BinaryHeap::new(), waiting: HashMap::new(), pushed: 0, failed: false };
        let mut starts = Vec::new();
        for id in include {
            if !walk.seen.contains(&id) && !starts.contains(&id) {
                starts.push(id);
            }
        }
        if order == Order::Topological {
            let mut reached: HashSet<CommitId> = HashSet::new();
            let mut next = starts.clone();
            while let Some(id) = next.pop() {
                if !reached.insert(id) {
                    continue;
                }
                walk.waiting.entry(id).or_insert(0);
                // A commit may name one parent twice; it is one child all the same.
                for parent in self.commit(id)?.parents.iter().copied().collect::<BTreeSet<_>>() {
                    if !walk.seen.contains(&parent) {
                        *walk.waiting.entry(parent).or_insert(0) += 1;
                        next.push(parent);
                    }
                }
            }
            starts.retain(|id| walk.waiting.get(id) == Some(&0));
        }
        for id in starts {
            walk.push(id)?;
        }
        Ok(walk)
    }
}

/// An ongoing walk; yields each commit once.
#[derive(Debug)]
pub struct Walk<'a> {
    graph: &'a Graph,
    seen: HashSet<CommitId>,
    /// By committer time, then in the order in which they were reached.
    heap: BinaryHeap<(i64, Reverse<usize>, CommitId)>,
    /// Children that have not come yet; empty for [`Order::Date`].
    waiting: HashMap<CommitId, usize>,
    pushed: usize,
    failed: bool,
}

impl Walk<'_> {
    fn push(&mut self, id: CommitId) -> Result<(), HistoryError> {
        if self.seen.insert(id) {
            self.pushed += 1;
            self.heap.push((self.graph.commit(id)?.committed_millis, Reverse(self.pushed), id));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(CommitId, Arc<Commit>)>, HistoryError> {
        let Some((_, _, id)) = self.heap.pop() else { return Ok(None) };
        let commit = self.graph.commit(id)?;
        let mut before = BTreeSet::new();
        for parent in commit.parents.iter().copied().filter(|parent| before.insert(*parent)) {
            if let Some(children) = self.waiting.get_mut(&parent) {
                *children = children.saturating_sub(1);
                if *children > 0 {
                    continue;
                }
            }
            self.push(parent)?;
        }
        Ok(Some((id, commit)))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(CommitId, Arc<Commit>), HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.step().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::format::commit::Signature;
    use crate::format::snapshot::Snapshot;
    use crate::history::{store_commit, store_snapshot};
    use proptest::prelude::*;

    /// Objects in memory.
    pub fn objects() -> Arc<Objects> {
        Arc::new(Objects::new(Arc::new(crate::store::MemoryStore::new()), crate::chunk::Limits::default()))
    }

    /// Stores commit number `n` of a drawn history.
    pub fn commit(objects: &Objects, n: usize, parents: Vec<CommitId>, millis: i64) -> CommitId {
        let author = Signature { name: "A".into(), email: "a@b".into(), millis, offset_minutes: 0 };
        let message = format!("commit {n}");
        let snapshot = Snapshot { views: [("n".to_owned(), n.to_string())].into(), ..Default::default() };
        let snapshot = store_snapshot(objects, &snapshot).unwrap();
        let commit = Commit { snapshot, parents, author, committed_millis: millis, message, source: Default::default(), flags: 0 };
        store_commit(objects, &commit).unwrap()
    }

    /// A history: for each commit the distances back to its parents, and its time.
    pub fn histories() -> impl Strategy<Value = Vec<(Vec<usize>, i64)>> {
        prop::collection::vec((prop::collection::vec(1usize..6, 0..4), 0i64..50), 1..40)
    }

    /// The commits of a drawn history, and for each of them its parents' numbers.
    pub fn draw(objects: &Objects, history: &[(Vec<usize>, i64)]) -> (Vec<CommitId>, Vec<Vec<usize>>) {
        let mut ids: Vec<CommitId> = Vec::new();
        let mut parents: Vec<Vec<usize>> = Vec::new();
        for (n, (back, millis)) in history.iter().enumerate() {
            let mine: Vec<usize> = back.iter().filter_map(|b| n.checked_sub(*b)).collect();
            ids.push(commit(objects, n, mine.iter().map(|p| ids[*p]).collect(), *millis));
            parents.push(mine);
        }
        (ids, parents)
    }

    /// `reach[a][b]`: b is a or an ancestor of it.
    fn reachability(parents: &[Vec<usize>]) -> Vec<Vec<bool>> {
        let mut reach = vec![vec![false; parents.len()]; parents.len()];
        for n in 0..parents.len() {
            reach[n][n] = true;
            for p in &parents[n] {
                for b in 0..parents.len() {
                    reach[n][b] |= reach[*p][b];
                }
            }
        }
        reach
    }

    proptest! {
        #[test]
        fn against_a_matrix(history in histories(), picks in prop::collection::vec(any::<prop::sample::Index>(), 4)) {
            let objects = objects();
            let (ids, parents) = draw(&objects, &history);
            let reach = reachability(&parents);
            let graph = Graph::new(objects);
            let n = ids.len();
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| picks[i].index(n));
            let number = |id: CommitId| ids.iter().position(|x| *x == id).unwrap();

            prop_assert_eq!(graph.is_ancestor(ids[a], ids[b]).unwrap(), reach[b][a]);
            let common: Vec<usize> = (0..n).filter(|x| reach[a][*x] && reach[b][*x]).collect();
            let best: BTreeSet<CommitId> = common.iter().filter(|x| !common.iter().any(|y| y != *x && reach[*y][**x])).map(|x| ids[*x]).collect();
            prop_assert_eq!(graph.merge_bases(ids[a], ids[b]).unwrap(), best.into_iter().collect::<Vec<_>>());
            let (ahead, behind) = graph.ahead_behind(ids[a], ids[b]).unwrap();
            prop_assert_eq!(ahead, (0..n).filter(|x| reach[a][*x] && !reach[b][*x]).count());
            prop_assert_eq!(behind, (0..n).filter(|x| reach[b][*x] && !reach[a][*x]).count());

            let expected: BTreeSet<usize> = (0..n).filter(|x| (reach[a][*x] || reach[b][*x]) && !reach[c][*x] && !reach[d][*x]).collect();
            for order in [Order::Date, Order::Topological] {
                let walked: Vec<usize> = graph.walk([ids[a], ids[b]], [ids[c], ids[d]], order).unwrap().map(|x| number(x.unwrap().0)).collect();
                prop_assert_eq!(&walked.iter().copied().collect::<BTreeSet<_>>(), &expected);
                prop_assert_eq!(walked.len(), expected.len());
                if order == Order::Topological {
                    for (i, x) in walked.iter().enumerate() {
                        prop_assert!(walked[..i].iter().all(|y| !parents[*x].contains(y)), "a parent came before its child");
                    }
                }
            }
        }
    }

    #[test]
    fn a_walk_that_meets_a_missing_commit_ends_with_an_error() {
        let objects = objects();
        let tip = commit(&objects, 1, vec![CommitId([9; 32])], 1);
        let graph = Graph::new(objects);
        let steps: Vec<_> = graph.walk([tip], [], Order::Date).unwrap().collect();
        assert!(matches!(steps.as_slice(), [Err(HistoryError::Objects(_))]), "{steps:?}");
    }
}

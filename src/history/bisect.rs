//! The first commit at which something went wrong, found by halving.

use std::collections::{HashMap, HashSet};

use super::HistoryError;
use super::graph::{Graph, Order};
use crate::base::CommitId;

/// What is known of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It cannot be told.
    Skip,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The first bad commit: its parents are good.
    First(CommitId),
    /// One of these, newest first: the others could not be judged.
    Among(Vec<CommitId>),
}

/// Finds the first bad commit among the ancestors of `bad` that are none of `good`. `judge` is asked about one commit after the other, with the number
/// of commits that are still in question; as Git does, each is chosen so that either answer rules out about half of them.
pub fn bisect<E: From<HistoryError>>(
    graph: &Graph,
    good: CommitId,
    bad: CommitId,
    judge: &mut dyn FnMut(CommitId, usize) -> Result<Verdict, E>,
) -> Result<Found, E> {
    let mut bad = bad;
    let mut skipped: HashSet<CommitId> = HashSet::new();
    // Oldest first, so that parents come before their children.
    let mut left: Vec<CommitId> = Vec::new();
    for step in graph.walk([bad], [good], Order::Topological)? {
        left.push(step?.0);
    }
    left.reverse();
    loop {
        match middle(graph, &left, bad, &skipped)? {
            None if left.len() == 1 => return Ok(Found::First(bad)),
            None => {
                left.reverse();
                return Ok(Found::Among(left));
            }
            Some(next) => match judge(next, left.len())? {
                Verdict::Good => {
                    let known = graph.ancestors([next])?;
                    left.retain(|id| !known.contains(id));
                }
                Verdict::Bad => {
                    let known = graph.ancestors([next])?;
                    left.retain(|id| known.contains(id));
                    bad = next;
                }
                Verdict::Skip => drop(skipped.insert(next)),
            },
        }
    }
}

/// The commit, of those in question, whose ancestors among them are nearest to half; `None` where only the bad one and skipped ones are left.
fn middle(graph: &Graph, left: &[CommitId], bad: CommitId, skipped: &HashSet<CommitId>) -> Result<Option<CommitId>, HistoryError> {
    let inside: HashSet<CommitId> = left.iter().copied().collect();
    let mut below: HashMap<CommitId, usize> = HashMap::new();
    let mut best: Option<(usize, CommitId)> = None;
    for id in left {
        let commit = graph.commit(*id)?;
        let parents: Vec<CommitId> = commit.parents.iter().copied().filter(|parent| inside.contains(parent)).collect();
        let count = match parents.as_slice() {
            [] => 1,
            [one] => below.get(one).copied().unwrap_or(0) + 1,
            // What two parents have in common counts once.
            _ => graph.ancestors([*id])?.intersection(&inside).count(),
        };
        below.insert(*id, count);
        let halves = count.min(left.len() - count);
        if *id != bad && !skipped.contains(id) && best.is_none_or(|(most, _)| halves > most) {
            best = Some((halves, *id));
        }
    }
    Ok(best.map(|(_, id)| id))
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{draw, histories, objects};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_bad_commit_is_found(history in histories(), cause in any::<prop::sample::Index>(), ends in any::<[prop::sample::Index; 2]>(), skip in 0u8..4) {
            let objects = objects();
            let (ids, _) = draw(&objects, &history);
            let graph = Graph::new(objects);
            let bad = ids[ends[1].index(ids.len())];
            let mut before: Vec<CommitId> = graph.ancestors([bad]).unwrap().into_iter().collect();
            before.sort();
            // All that follows the cause is bad.
            let cause = before[cause.index(before.len())];
            let is_bad = |id: CommitId| graph.is_ancestor(cause, id).unwrap();
            let fine: Vec<CommitId> = ids.iter().copied().filter(|id| !is_bad(*id)).collect();
            if fine.is_empty() {
                return Ok(());
            }
            let good = fine[ends[0].index(fine.len())];
            let mut asked = Vec::new();
            let found = bisect::<HistoryError>(&graph, good, bad, &mut |id, _| {
                assert!(!asked.contains(&id), "asked twice");
                asked.push(id);
                Ok(if skip > 0 && id.as_bytes()[0] % 4 < skip { Verdict::Skip } else if is_bad(id) { Verdict::Bad } else { Verdict::Good })
            }).unwrap();
            match found {
                Found::First(first) => prop_assert_eq!(first, cause),
                Found::Among(some) => prop_assert!(skip > 0 && some.contains(&cause)),
            }
            // Either answer rules out at least a third, but for histories that are very wide.
            if skip == 0 && history.iter().all(|(parents, _)| parents == &[1]) {
                prop_assert!(asked.len() <= 1 + ids.len().next_power_of_two().trailing_zeros() as usize);
            }
        }
    }
}

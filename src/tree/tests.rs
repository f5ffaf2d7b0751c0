//! Trees against plain lists.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::base::Origin;
use crate::format::node::{Kind, Live, RowRun, Run, Spine};

/// Nodes in memory, counting what is read and written.
#[derive(Default)]
pub(crate) struct MemoryNodes {
    nodes: Mutex<HashMap<NodeId, Bytes>>,
    pub(crate) counts: Mutex<(usize, usize)>,
}

impl NodeStore for MemoryNodes {
    fn node(&self, id: NodeId) -> Result<Bytes, TreeError> {
        self.counts.lock().unwrap().0 += 1;
        self.nodes.lock().unwrap().get(&id).cloned().ok_or_else(|| TreeError::Store("absent".into()))
    }

    fn put_node(&self, content: &[u8]) -> Result<NodeId, TreeError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[2]).update(content);
        let id = NodeId(*hasher.finalize().as_bytes());
        if self.nodes.lock().unwrap().insert(id, Bytes::copy_from_slice(content)).is_none() {
            self.counts.lock().unwrap().1 += 1;
        }
        Ok(id)
    }
}

impl MemoryNodes {
    fn take_counts(&self) -> (usize, usize) {
        std::mem::take(&mut self.counts.lock().unwrap())
    }
}

/// A twin of the spine: one id a row.
fn spread(runs: &[RowRun]) -> Vec<(u8, u64)> {
    runs.iter().flat_map(|r| (0..r.rows).map(move |i| (r.origin.0[0], r.first + i))).collect()
}

fn spine_runs() -> impl Strategy<Value = Vec<RowRun>> {
    let run = (0u8..4, 0u64..50, 1u64..6).prop_map(|(o, first, rows)| RowRun { origin: Origin([o; 16]), first, rows });
    prop::collection::vec(run, 0..1500)
}

fn read<K: Kind>(store: &MemoryNodes, rope: &Rope<K>) -> Vec<K::Item> {
    rope.items(store, 0, rope.rows()).unwrap().map(|i| i.unwrap().1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_has_one_tree(runs in spine_runs(), cuts in prop::collection::vec((any::<prop::sample::Index>(), 0u64..40, spine_runs().prop_map(|mut r| { r.truncate(3); r })), 0..6)) {
        let store = MemoryNodes::default();
        let rope = Rope::<Spine>::build(&store, runs.clone()).unwrap();
        let mut twin = spread(&runs);
        prop_assert_eq!(spread(&read(&store, &rope)), twin.clone());

        let mut edits: Vec<_> = cuts.into_iter().map(|(i, len, new)| { let at = i.index(twin.len() + 1) as u64; (at..(at + len).min(twin.len() as u64), new) }).collect();
        edits.sort_by_key(|e| (e.0.start, e.0.end));
        let mut end = 0;
        edits.retain(|e| { let keep = e.0.start >= end; if keep { end = e.0.end } keep });
        let edited = rope.edit(&store, edits.clone()).unwrap();
        for (range, new) in edits.iter().rev() {
            twin.splice(range.start as usize..range.end as usize, spread(new));
        }
        prop_assert_eq!(spread(&read(&store, &edited)), twin.clone());

        let afresh = Rope::<Spine>::build(&store, twin.iter().map(|(o, n)| RowRun { origin: Origin([*o; 16]), first: *n, rows: 1 })).unwrap();
        prop_assert_eq!(afresh.content(), edited.content());
        let reopened = Rope::<Spine>::open(&store, &edited.reference(&store, 100).unwrap()).unwrap();
        prop_assert_eq!(reopened.content(), edited.content());
    }

    #[test]
    fn windows(runs in spine_runs(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let store = MemoryNodes::default();
        let rope = Rope::<Spine>::build(&store, runs.clone()).unwrap();
        let twin = spread(&runs);
        let (a, b) = (a.index(twin.len() + 1), b.index(twin.len() + 1));
        let (a, b) = (a.min(b), a.max(b));
        let part: Vec<_> = rope.items(&store, a as u64, b as u64).unwrap().map(|i| i.unwrap()).collect();
        prop_assert_eq!(part.first().map(|i| i.0), (a < b).then_some(a as u64));
        prop_assert_eq!(spread(&part.into_iter().map(|i| i.1).collect::<Vec<_>>()), &twin[a..b]);
    }

    #[test]
    fn live_counts(runs in prop::collection::vec((any::<bool>(), 1u64..9), 0..4000)) {
        let store = MemoryNodes::default();
        let rope = Rope::<Live>::build(&store, runs.iter().map(|(live, rows)| Run { live: *live, rows: *rows })).unwrap();
        let twin: Vec<bool> = runs.iter().flat_map(|(l, n)| (0..*n).map(move |_| *l)).collect();
        prop_assert_eq!(rope.summary(), twin.iter().filter(|l| **l).count() as u64);
        let back: Vec<bool> = read(&store, &rope).iter().flat_map(|r| (0..r.rows).map(move |_| r.live)).collect();
        prop_assert_eq!(back, twin);
    }

    #[test]
    fn maps(steps in prop::collection::vec(prop::collection::btree_map("[a-z/]{1,12}", prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 0..60), 1..5)) {
        let store = MemoryNodes::default();
        let mut rope = MapRope::build(&store, []).unwrap();
        let mut twin = BTreeMap::new();
        for changes in steps {
            let before = (rope.clone(), twin.clone());
            rope = rope.update(&store, &changes).unwrap();
            for (k, v) in &changes {
                match v { Some(v) => { twin.insert(k.clone(), v.clone()); } None => { twin.remove(k); } }
                prop_assert_eq!(rope.get(&store, k).unwrap(), v.clone());
            }
            let all: BTreeMap<_, _> = rope.with_prefix(&store, "").unwrap().into_iter().map(|i| (i.key, i.value)).collect();
            prop_assert_eq!(&all, &twin);
            let differing: Vec<_> = before.0.diff(&store, &rope).unwrap().into_iter().map(|c| c.key).collect();
            let keys: std::collections::BTreeSet<_> = before.1.keys().chain(twin.keys()).filter(|k| before.1.get(*k) != twin.get(*k)).cloned().collect();
            prop_assert_eq!(differing, keys.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn hostile_nodes_are_refused_not_panicked_on(mut bytes in prop::collection::vec(any::<u8>(), 0..200), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), kind in 0u8..4) {
        use crate::format::node::{Map, Node};
        if kind < 3 {
            let store = MemoryNodes::default();
            bytes = Rope::<Spine>::build(&store, (0..200).map(|i| RowRun { origin: Origin([i % 3; 16]), first: u64::from(i) * 7, rows: 3 })).unwrap().content().to_vec();
            for (at, b) in flips { let at = at.index(bytes.len()); bytes[at] ^= b; }
        }
        let _ = Node::<Spine>::decode(&bytes);
        let _ = Node::<Live>::decode(&bytes);
        let _ = Node::<Map>::decode(&bytes);
    }
}

#[test]
fn an_edit_touches_paths_not_trees() {
    let store = MemoryNodes::default();
    let rows = 400_000u64;
    let rope = Rope::<Spine>::build(&store, (0..rows).map(|i| RowRun { origin: Origin([(i % 5) as u8; 16]), first: i, rows: 1 })).unwrap();
    assert!(rope.root().height() >= 2, "{}", rope.root().height());
    let (_, all) = store.take_counts();
    let new = RowRun { origin: Origin([9; 16]), first: 0, rows: 1 };
    let edited = rope.edit(&store, [(rows / 2..rows / 2 + 1, vec![new])]).unwrap();
    let (read, written) = store.take_counts();
    assert_eq!(edited.rows(), rows);
    assert!(read < 30 && written < 15, "{read} read, {written} written of {all}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_differs_is_met_and_equal_subtrees_are_not_read(
        runs in spine_runs(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
        from in any::<prop::sample::Index>(),
        shift in spine_runs().prop_map(|mut r| { r.truncate(2); r }),
    ) {
        let store = MemoryNodes::default();
        let rope = Rope::<Spine>::build(&store, runs.clone()).unwrap();
        let mut twin = spread(&runs);
        let mut other = rope.clone();
        for (at, with) in &edits {
            if twin.is_empty() { continue; }
            let at = at.index(twin.len());
            let run = RowRun { origin: Origin([9; 16]), first: with.index(1000) as u64, rows: 1 };
            twin[at] = (9, run.first);
            other = other.edit(&store, [(at as u64..at as u64 + 1, vec![run])]).unwrap();
        }
        // The other one has some rows more at its front.
        let more = spread(&shift);
        let other = other.edit(&store, [(0..0, shift)]).unwrap();
        let before = spread(&read(&store, &rope));
        let start = from.index(before.len() + 1);
        let rows = (before.len() - start) as u64;
        let mut seen = Vec::new();
        store.take_counts();
        differ::<Spine, TreeError>(&store, (&rope, start as u64), (&other, (start + more.len()) as u64), rows, &mut |pair| {
            assert_eq!(Spine::rows(&pair.left), Spine::rows(&pair.right));
            assert_eq!(pair.b - pair.a, more.len() as u64);
            assert_eq!(spread(&[pair.left]), before[pair.a as usize..][..Spine::rows(&pair.right) as usize]);
            assert_eq!(spread(&[pair.right]), twin[pair.a as usize..][..Spine::rows(&pair.left) as usize]);
            seen.push((pair.a, pair.a + Spine::rows(&pair.left)));
            Ok(())
        }).unwrap();
        let (reads, _) = store.take_counts();
        prop_assert!(seen.windows(2).all(|w| w[0].1 <= w[1].0));
        for at in (start..before.len()).filter(|at| before[*at] != twin[*at]) {
            prop_assert!(seen.iter().any(|(a, b)| (*a..*b).contains(&(at as u64))), "row {}", at);
        }
        if start == 0 && more.is_empty() {
            // A path on each side for each edit, and where an edit moved the end of a node, the next one too.
            prop_assert!(reads <= edits.len() * 2 * 3 * (rope.root().height() as usize + 1), "{} reads", reads);
        }
    }
}

//! Two ropes side by side: equal subtrees are passed over unread, so that the cost follows what differs.

use std::sync::Arc;

use crate::format::node::{Kind, Node};

use super::rope::child;
use super::{NodeStore, Rope, TreeError};

/// Rows of two ropes that stand beside each other in items that are not known to be equal.
#[derive(Debug, Clone)]
pub struct Pair<K: Kind> {
    /// Their first row in the one rope.
    pub a: u64,
    /// Their first row in the other.
    pub b: u64,
    /// These rows of the one's item.
    pub left: K::Item,
    /// These rows of the other's item: as many.
    pub right: K::Item,
}

/// A place in a rope, at the start of a subtree or within an item.
struct Cursor<K: Kind> {
    /// The path to the place: a node, the index of the child in it, and that child's first row.
    path: Vec<(Arc<Node<K>>, usize, u64)>,
    row: u64,
    end: u64,
}

/// What stands at a cursor.
enum At<K: Kind> {
    /// A subtree of this height, from its first row on.
    Start { id: crate::base::NodeId, height: u32, rows: u64 },
    /// A subtree of this height, which began earlier.
    Middle { height: u32 },
    /// The rest of an item.
    Item { item: K::Item, rows: u64 },
}

impl<K: Kind> Cursor<K> {
    fn new(rope: &Rope<K>, from: u64, to: u64) -> Result<Self, TreeError> {
        if from > to || to > rope.rows() {
            return Err(TreeError::Range { from, to, rows: rope.rows() });
        }
        let mut cursor = Cursor { path: vec![(rope.root.clone(), 0, 0)], row: 0, end: to };
        cursor.skip(from);
        Ok(cursor)
    }

    /// Goes so many rows ahead, out of subtrees that end before, into none.
    fn skip(&mut self, rows: u64) {
        self.row += rows;
        while let Some((node, index, at)) = self.path.last_mut() {
            let next = match &**node {
                Node::Leaf(items) => items.get(*index).map(K::rows),
                Node::Inner { entries, .. } => entries.get(*index).map(|entry| entry.rows),
            };
            match next {
                None => drop(self.path.pop()),
                Some(rows) if *at + rows <= self.row => (*index, *at) = (*index + 1, *at + rows),
                Some(_) => break,
            }
        }
    }

    fn at(&self) -> Option<At<K>> {
        if self.row >= self.end {
            return None;
        }
        let (node, index, at) = self.path.last()?;
        match &**node {
            Node::Leaf(items) => {
                let item = items.get(*index)?;
                let (from, rows) = (self.row - at, K::rows(item));
                let item = if from == 0 { item.clone() } else { K::cut(item, from, rows) };
                Some(At::Item { item, rows: rows - from })
            }
            Node::Inner { height, entries } => {
                let entry = entries.get(*index)?;
                let whole = *at == self.row && at + entry.rows <= self.end;
                Some(if whole { At::Start { id: entry.id, height: *height, rows: entry.rows } } else { At::Middle { height: *height } })
            }
        }
    }

    /// Goes into the subtree that stands here.
    fn descend(&mut self, store: &dyn NodeStore) -> Result<(), TreeError> {
        let Some((node, index, at)) = self.path.last() else { return Ok(()) };
        let Node::Inner { height, entries } = &**node else { return Ok(()) };
        let Some(entry) = entries.get(*index) else { return Ok(()) };
        let (child, at) = (child::<K>(store, entry, *height)?, *at);
        // What lies behind the subtree is found in its parent: that goes on after it.
        self.path.push((child, 0, at));
        self.skip(0);
        Ok(())
    }
}

impl<K: Kind> At<K> {
    fn height(&self) -> u32 {
        match self {
            At::Start { height, .. } | At::Middle { height } => *height,
            At::Item { .. } => 0,
        }
    }
}

/// The pairs of items of two stretches of ropes, one at each step, in order. Where both ropes have one and the same subtree nothing is given and
/// nothing is read; pairs of equal items may come. Nothing is read ahead of the pair that is asked for.
pub struct Differ<K: Kind> {
    x: Cursor<K>,
    y: Cursor<K>,
}

impl<K: Kind> Differ<K> {
    /// Of `rows` rows, from a row of the one rope and a row of the other.
    pub fn new(one: (&Rope<K>, u64), other: (&Rope<K>, u64), rows: u64) -> Result<Self, TreeError> {
        let ((left, a), (right, b)) = (one, other);
        let past = |rope: &Rope<K>, from: u64| TreeError::Range { from, to: from.saturating_add(rows), rows: rope.rows() };
        let a_end = a.checked_add(rows).ok_or_else(|| past(left, a))?;
        let b_end = b.checked_add(rows).ok_or_else(|| past(right, b))?;
        let (mut x, y) = (Cursor::new(left, a, a_end)?, Cursor::new(right, b, b_end)?);
        if a == 0 && b == 0 && rows == left.rows() && rows == right.rows() && left.content() == right.content() {
            x.row = x.end;
        }
        Ok(Differ { x, y })
    }

    /// The next pair.
    pub fn step(&mut self, store: &dyn NodeStore) -> Result<Option<Pair<K>>, TreeError> {
        let (x, y) = (&mut self.x, &mut self.y);
        while let (Some(p), Some(q)) = (x.at(), y.at()) {
            match (p, q) {
                (At::Start { id, rows, .. }, At::Start { id: same, .. }) if id == same => {
                    x.skip(rows);
                    y.skip(rows);
                }
                (At::Item { item: left, rows }, At::Item { item: right, rows: others }) => {
                    let n = rows.min(others).min(x.end - x.row).min(y.end - y.row);
                    let cut = |item: K::Item, rows: u64| if n == rows { item } else { K::cut(&item, 0, n) };
                    let pair = Pair { a: x.row, b: y.row, left: cut(left, rows), right: cut(right, others) };
                    x.skip(n);
                    y.skip(n);
                    return Ok(Some(pair));
                }
                // The higher of the two is opened; of two alike, both.
                (p, q) => {
                    let (h, k) = (p.height(), q.height());
                    if h >= k {
                        x.descend(store)?;
                    }
                    if k >= h {
                        y.descend(store)?;
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Calls `each` for the pairs of items of `rows` rows of two ropes, from row `a` of the one and `b` of the other, as [`Differ`] gives them.
pub fn differ<K: Kind, E: From<TreeError>>(
    store: &dyn NodeStore,
    one: (&Rope<K>, u64),
    other: (&Rope<K>, u64),
    rows: u64,
    each: &mut dyn FnMut(Pair<K>) -> Result<(), E>,
) -> Result<(), E> {
    let mut pairs = Differ::new(one, other, rows)?;
    while let Some(pair) = pairs.step(store)? {
        each(pair)?;
    }
    Ok(())
}

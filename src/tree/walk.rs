//! Reading trees from the left to the right.

use std::sync::Arc;

use crate::format::node::{Kind, Node};

use super::rope::child;
use super::{NodeStore, Rope, TreeError};

/// The items of a stretch of a rope, in order, each with its first row. Nodes are read as they are reached.
pub struct Items<'a, K: Kind> {
    store: &'a dyn NodeStore,
    /// The path to the next item: a node, the index of its next child, and that child's first row.
    path: Vec<(Arc<Node<K>>, usize, u64)>,
    from: u64,
    to: u64,
}

impl<'a, K: Kind> Items<'a, K> {
    pub(super) fn new(store: &'a dyn NodeStore, rope: &Rope<K>, from: u64, to: u64) -> Result<Self, TreeError> {
        if from > to || to > rope.rows() {
            return Err(TreeError::Range { from, to, rows: rope.rows() });
        }
        Ok(Items { store, path: vec![(rope.root.clone(), 0, 0)], from, to })
    }

    fn step(&mut self) -> Result<Option<(u64, K::Item)>, TreeError> {
        while let Some((node, index, at)) = self.path.last_mut() {
            if *at >= self.to {
                return Ok(None);
            }
            match &**node {
                Node::Leaf(items) => {
                    let Some(item) = items.get(*index) else {
                        self.path.pop();
                        continue;
                    };
                    let (start, end) = (*at, *at + K::rows(item));
                    (*index, *at) = (*index + 1, end);
                    let (a, b) = (self.from.max(start), self.to.min(end));
                    if a < b {
                        let item = if (a, b) == (start, end) { item.clone() } else { K::cut(item, a - start, b - start) };
                        return Ok(Some((a, item)));
                    }
                }
                Node::Inner { height, entries } => {
                    let Some(entry) = entries.get(*index) else {
                        self.path.pop();
                        continue;
                    };
                    let start = *at;
                    (*index, *at) = (*index + 1, start + entry.rows);
                    if *at > self.from {
                        let node = child::<K>(self.store, entry, *height)?;
                        self.path.push((node, 0, start));
                    }
                }
            }
        }
        Ok(None)
    }
}

impl<K: Kind> Iterator for Items<'_, K> {
    type Item = Result<(u64, K::Item), TreeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.step().transpose();
        if let Some(Err(_)) = next {
            self.path.clear();
        }
        next
    }
}

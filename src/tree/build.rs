//! Building trees: items and whole subtrees from the left to the right, into the one tree that their list has.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::NodeId;
use crate::format::node::{Entry, HEIGHT_MAX, Kind, Node};

use super::rope::child;
use super::{NodeStore, Rope, TreeError};

/// Collects items and stretches of other ropes, and ends as the one tree of the whole list.
pub struct Builder<'a, K: Kind> {
    store: &'a dyn NodeStore,
    /// The last item: not placed yet, since the next may continue it.
    pending: Option<K::Item>,
    leaf: Vec<K::Item>,
    leaf_size: usize,
    listed: K::Listed,
    /// Entries of the open inner node at height i + 1, and what they measure.
    levels: Vec<Level<K>>,
    /// Nodes opened lately; edits that stand near each other open the same ones.
    opened: VecDeque<(NodeId, Arc<Node<K>>)>,
}

struct Level<K: Kind> {
    open: Vec<Entry<K::Summary>>,
    size: usize,
    /// The first node that was closed below this level, held back: while it is the only one, it is the root and needs no place in the store.
    first: Option<Held<K>>,
    /// Whether more than the first was closed below.
    more: bool,
}

struct Held<K: Kind> {
    node: Arc<Node<K>>,
    content: Arc<[u8]>,
}

impl<K: Kind> Default for Level<K> {
    fn default() -> Self {
        Level { open: Vec::new(), size: 0, first: None, more: false }
    }
}

const OPENED_MAX: usize = 16;

impl<'a, K: Kind> Builder<'a, K> {
    /// A builder whose nodes go into `store`.
    pub fn new(store: &'a dyn NodeStore) -> Self {
        Builder { store, pending: None, leaf: Vec::new(), leaf_size: 0, listed: K::Listed::default(), levels: Vec::new(), opened: VecDeque::new() }
    }

    /// Adds one item.
    pub fn push(&mut self, item: K::Item) -> Result<(), TreeError> {
        if K::rows(&item) == 0 {
            return Ok(());
        }
        if let Some(last) = self.pending.take() {
            if let Some(joined) = K::join(&last, &item) {
                self.pending = Some(joined);
                return Ok(());
            }
            self.place(last)?;
        }
        self.pending = Some(item);
        Ok(())
    }

    /// Adds the rows `from..to` of a rope. Nodes wholly inside are taken over unread where the boundaries fall together.
    pub fn append(&mut self, rope: &Rope<K>, from: u64, to: u64) -> Result<(), TreeError> {
        if from > to || to > rope.rows() {
            return Err(TreeError::Range { from, to, rows: rope.rows() });
        }
        if from == to {
            return Ok(());
        }
        let mut first = true;
        self.append_node(&rope.root.clone(), from, to, &mut first, true)
    }

    /// `first`: nothing of this stretch was added yet, so its first item may continue what stands before it. `last`: the stretch's last item is below.
    fn append_node(&mut self, node: &Node<K>, from: u64, to: u64, first: &mut bool, last: bool) -> Result<(), TreeError> {
        let mut at = 0;
        match node {
            Node::Leaf(items) => {
                for item in items {
                    let rows = K::rows(item);
                    let (a, b) = (from.max(at), to.min(at + rows));
                    if a < b {
                        let part = if b - a == rows { item.clone() } else { K::cut(item, a - at, b - at) };
                        self.push(part)?;
                        *first = false;
                    }
                    at += rows;
                    if at >= to {
                        break;
                    }
                }
            }
            Node::Inner { height, entries } => {
                for entry in entries {
                    let (a, b) = (from.max(at), to.min(at + entry.rows));
                    if a < b {
                        let whole = b - a == entry.rows;
                        let is_last = last && at + entry.rows >= to;
                        // What stands before a later node of the same stretch does not continue into it.
                        if whole && !*first && !is_last && self.is_clean(*height)? {
                            self.push_entry(*height, entry.clone())?;
                        } else {
                            let node = self.open(entry, *height)?;
                            self.append_node(&node, a - at, b - at, first, is_last)?;
                        }
                    }
                    at += entry.rows;
                    if at >= to {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, entry: &Entry<K::Summary>, height: u32) -> Result<Arc<Node<K>>, TreeError> {
        if let Some((_, node)) = self.opened.iter().find(|(id, _)| *id == entry.id) {
            return Ok(node.clone());
        }
        let node = child::<K>(self.store, entry, height)?;
        if self.opened.len() == OPENED_MAX {
            self.opened.pop_front();
        }
        self.opened.push_back((entry.id, node.clone()));
        Ok(node)
    }

    /// Whether an entry may be added at `height` as it is: no node below that height is open. Places the pending item, which nothing continues.
    fn is_clean(&mut self, height: u32) -> Result<bool, TreeError> {
        if let Some(item) = self.pending.take() {
            self.place(item)?;
        }
        Ok(self.leaf.is_empty() && self.levels.iter().take(height as usize - 1).all(|l| l.open.is_empty() && l.first.is_none()))
    }

    /// Gives an item, which nothing will continue, its place in a leaf.
    fn place(&mut self, item: K::Item) -> Result<(), TreeError> {
        let steps = K::steps(&item);
        let mut from = 0;
        for step in 0..steps {
            let mut measure = K::measure(&item, step, &mut self.listed);
            if self.leaf_size > 0 && self.leaf_size + measure.size > K::LIMITS.cap {
                if step > from {
                    self.leaf.push(K::cut(&item, from, step));
                    from = step;
                }
                self.close_leaf()?;
                measure = K::measure(&item, step, &mut self.listed);
            }
            self.leaf_size += measure.size;
            if measure.ends(self.leaf_size, K::LIMITS) {
                if steps == 1 {
                    self.leaf.push(item);
                    return self.close_leaf();
                }
                self.leaf.push(K::cut(&item, from, step + 1));
                from = step + 1;
                self.close_leaf()?;
            }
        }
        if from == 0 {
            self.leaf.push(item);
        } else if from < steps {
            self.leaf.push(K::cut(&item, from, steps));
        }
        Ok(())
    }

    fn close_leaf(&mut self) -> Result<(), TreeError> {
        let items = std::mem::take(&mut self.leaf);
        self.leaf_size = 0;
        self.listed = K::Listed::default();
        self.close(1, Node::Leaf(items))
    }

    /// A node is complete: it becomes an entry at `height`, or is held back while it is the only one.
    fn close(&mut self, height: u32, node: Node<K>) -> Result<(), TreeError> {
        let content: Arc<[u8]> = node.encode().into();
        let node = Arc::new(node);
        let level = self.level(height)?;
        if level.first.is_none() && !level.more {
            level.first = Some(Held { node, content });
            return Ok(());
        }
        self.release(height)?;
        let id = self.store.put_node(&content)?;
        self.add(height, Entry { id, rows: node.rows(), summary: node.summary() })
    }

    /// The node held back gets its place, since another follows it.
    fn release(&mut self, height: u32) -> Result<(), TreeError> {
        let level = self.level(height)?;
        level.more = true;
        let Some(held) = level.first.take() else { return Ok(()) };
        let id = self.store.put_node(&held.content)?;
        self.add(height, Entry { id, rows: held.node.rows(), summary: held.node.summary() })
    }

    fn push_entry(&mut self, height: u32, entry: Entry<K::Summary>) -> Result<(), TreeError> {
        self.release(height)?;
        self.add(height, entry)
    }

    fn add(&mut self, height: u32, entry: Entry<K::Summary>) -> Result<(), TreeError> {
        let measure = Node::<K>::measure_entry(&entry);
        let level = self.level(height)?;
        if level.size > 0 && level.size + measure.size > K::LIMITS.cap {
            self.close_inner(height)?;
        }
        let level = self.level(height)?;
        level.open.push(entry);
        level.size += measure.size;
        // A node of one entry would never end: a level below must shrink.
        if level.open.len() > 1 && measure.ends(level.size, K::LIMITS) {
            self.close_inner(height)?;
        }
        Ok(())
    }

    fn close_inner(&mut self, height: u32) -> Result<(), TreeError> {
        let level = self.level(height)?;
        let entries = std::mem::take(&mut level.open);
        level.size = 0;
        self.close(height + 1, Node::Inner { height, entries })
    }

    fn level(&mut self, height: u32) -> Result<&mut Level<K>, TreeError> {
        // Beyond any real tree; only a hostile one gets here.
        if height > HEIGHT_MAX {
            return Err(TreeError::Range { from: 0, to: u64::MAX, rows: 0 });
        }
        let index = height as usize - 1;
        while self.levels.len() <= index {
            self.levels.push(Level::default());
        }
        Ok(&mut self.levels[index])
    }

    /// The tree of all that was added.
    pub fn finish(mut self) -> Result<Rope<K>, TreeError> {
        if let Some(item) = self.pending.take() {
            self.place(item)?;
        }
        if !self.leaf.is_empty() {
            self.close_leaf()?;
        }
        let mut height = 1;
        loop {
            let level = self.level(height)?;
            if let Some(held) = level.first.take() {
                // The only node of its level.
                return Ok(Rope { root: held.node, content: held.content });
            }
            if !level.more {
                // Nothing was ever added.
                let root = Node::Leaf(Vec::new());
                let content = root.encode().into();
                return Ok(Rope { root: Arc::new(root), content });
            }
            if !level.open.is_empty() {
                self.close_inner(height)?;
            }
            height += 1;
        }
    }
}

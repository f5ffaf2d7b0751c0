//! A rope: the root of a tree, and how it is referred to.

use std::sync::Arc;

use crate::base::NodeId;
use crate::format::FormatError;
use crate::format::cbor::{Reader, Writer};
use crate::format::node::{Entry, Kind, Node};

use super::{Builder, Items, NodeStore, TreeError};

/// A sequence of rows, as a tree of nodes. Immutable; cheap to clone.
#[derive(Debug)]
pub struct Rope<K: Kind> {
    pub(super) root: Arc<Node<K>>,
    pub(super) content: Arc<[u8]>,
}

impl<K: Kind> Clone for Rope<K> {
    fn clone(&self) -> Self {
        Rope { root: self.root.clone(), content: self.content.clone() }
    }
}

/// How a rope is referred to from outside its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By the id of its root.
    Node(NodeId),
    /// By its root itself, where that is a small leaf.
    Inline(Arc<[u8]>),
}

impl Reference {
    /// Writes it as docs/format.md has it.
    pub fn encode(&self, out: &mut Writer) {
        match self {
            Reference::Node(id) => out.array(2).u64(0).bytes(id.as_bytes()),
            Reference::Inline(content) => out.array(2).u64(1).bytes(content),
        };
    }

    /// Reads one.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        reader.record(2, |r| match r.u64()? {
            0 => Ok(Reference::Node(NodeId(r.fixed()?))),
            1 => Ok(Reference::Inline(r.bytes()?.into())),
            other => Err(r.fail(format!("reference of kind {other}"))),
        })
    }
}

impl<K: Kind> Rope<K> {
    /// The rope of these items, in order. Neighbours that continue each other are joined.
    pub fn build(store: &dyn NodeStore, items: impl IntoIterator<Item = K::Item>) -> Result<Self, TreeError> {
        let mut builder = Builder::new(store);
        for item in items {
            builder.push(item)?;
        }
        builder.finish()
    }

    /// The rope that a reference means.
    pub fn open(store: &dyn NodeStore, reference: &Reference) -> Result<Self, TreeError> {
        let content: Arc<[u8]> = match reference {
            Reference::Inline(content) => content.clone(),
            Reference::Node(id) => (&*store.node(*id)?).into(),
        };
        let root = match (Node::decode(&content), reference) {
            (Ok(root), _) => Arc::new(root),
            (Err(source), Reference::Node(id)) => return Err(TreeError::Node { id: *id, source }),
            (Err(source), _) => return Err(source.into()),
        };
        Ok(Rope { root, content })
    }

    /// The reference to keep: the root itself if it is a leaf of at most `inline_max` bytes; otherwise its id, the root being kept in `store`.
    pub fn reference(&self, store: &dyn NodeStore, inline_max: usize) -> Result<Reference, TreeError> {
        if self.root.height() == 0 && self.content.len() <= inline_max {
            return Ok(Reference::Inline(self.content.clone()));
        }
        Ok(Reference::Node(store.put_node(&self.content)?))
    }

    /// Rows in the rope.
    pub fn rows(&self) -> u64 {
        self.root.rows()
    }

    /// What an entry for the root would say.
    pub fn summary(&self) -> K::Summary {
        self.root.summary()
    }

    /// The root node.
    pub fn root(&self) -> &Node<K> {
        &self.root
    }

    /// The root's content: equal for two ropes exactly where their lists of items are equal.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The items that cover rows `from..to`, the first and the last cut to fit, each with its first row.
    pub fn items<'a>(&self, store: &'a dyn NodeStore, from: u64, to: u64) -> Result<Items<'a, K>, TreeError> {
        Items::new(store, self, from, to)
    }

    /// The rope with each of the ranges replaced by the items that stand beside it. Ranges ascend and do not overlap; an empty range inserts.
    /// Nodes that no edit touches are kept; reads and writes are in proportion to the edits.
    pub fn edit(&self, store: &dyn NodeStore, edits: impl IntoIterator<Item = (std::ops::Range<u64>, Vec<K::Item>)>) -> Result<Self, TreeError> {
        let mut builder = Builder::new(store);
        let mut at = 0;
        for (range, items) in edits {
            if range.start < at || range.end < range.start || range.end > self.rows() {
                return Err(TreeError::Range { from: range.start, to: range.end, rows: self.rows() });
            }
            builder.append(self, at, range.start)?;
            for item in items {
                builder.push(item)?;
            }
            at = range.end;
        }
        builder.append(self, at, self.rows())?;
        builder.finish()
    }
}

/// Loads the child that `entry` of a node of height `height` names, and holds it against what the entry says.
pub(super) fn child<K: Kind>(store: &dyn NodeStore, entry: &Entry<K::Summary>, height: u32) -> Result<Arc<Node<K>>, TreeError> {
    let content = store.node(entry.id)?;
    let node = Node::<K>::decode(&content).map_err(|source| TreeError::Node { id: entry.id, source })?;
    if node.height() + 1 != height {
        return Err(TreeError::Shape { id: entry.id, why: "another height" });
    }
    if node.rows() != entry.rows {
        return Err(TreeError::Shape { id: entry.id, why: "another number of rows" });
    }
    Ok(Arc::new(node))
}

impl<K: Kind> Rope<K> {
    /// Walks the rows `from..to` from the top, opening only nodes for which `may` says so of their summary and rows; `keep` gets the stretches that were
    /// not ruled out. Single items of leaves are judged too, by a summary of their own.
    pub fn visit(
        &self,
        store: &dyn NodeStore,
        from: u64,
        to: u64,
        may: &mut dyn FnMut(&K::Summary, u64) -> bool,
        keep: &mut dyn FnMut(u64, u64),
    ) -> Result<(), TreeError> {
        visit_node::<K>(store, &self.root, 0, from..to, may, keep)
    }
}

fn visit_node<K: Kind>(
    store: &dyn NodeStore,
    node: &Node<K>,
    start: u64,
    range: std::ops::Range<u64>,
    may: &mut dyn FnMut(&K::Summary, u64) -> bool,
    keep: &mut dyn FnMut(u64, u64),
) -> Result<(), TreeError> {
    let mut at = start;
    match node {
        Node::Leaf(items) => {
            for item in items {
                let end = at + K::rows(item);
                let (a, b) = (at.max(range.start), end.min(range.end));
                if a < b && may(&K::summarize(std::slice::from_ref(item)), end - at) {
                    keep(a, b);
                }
                at = end;
            }
        }
        Node::Inner { height, entries } => {
            for entry in entries {
                let end = at + entry.rows;
                if at.max(range.start) < end.min(range.end) && may(&entry.summary, entry.rows) {
                    let child = child::<K>(store, entry, *height)?;
                    visit_node(store, &child, at, range.clone(), may, keep)?;
                }
                at = end;
            }
        }
    }
    Ok(())
}

impl<K: Kind> Rope<K> {
    /// Visits every node below a reference that `enter` has not seen, and every item of the leaves entered. For finding what is reachable.
    pub fn reach(
        store: &dyn NodeStore,
        reference: &Reference,
        enter: &mut dyn FnMut(NodeId) -> bool,
        item: &mut dyn FnMut(&K::Item) -> Result<(), TreeError>,
    ) -> Result<(), TreeError> {
        if let Reference::Node(id) = reference
            && !enter(*id)
        {
            return Ok(());
        }
        let rope = Rope::<K>::open(store, reference)?;
        reach_node::<K>(store, &rope.root, enter, item)
    }
}

fn reach_node<K: Kind>(
    store: &dyn NodeStore,
    node: &Node<K>,
    enter: &mut dyn FnMut(NodeId) -> bool,
    item: &mut dyn FnMut(&K::Item) -> Result<(), TreeError>,
) -> Result<(), TreeError> {
    match node {
        Node::Leaf(items) => items.iter().try_for_each(item),
        Node::Inner { height, entries } => {
            for entry in entries {
                if enter(entry.id) {
                    reach_node::<K>(store, &*child::<K>(store, entry, *height)?, enter, item)?;
                }
            }
            Ok(())
        }
    }
}

//! Nodes of ropes (docs/format.md, section 7): what the four kinds have in common.

pub mod live;
pub mod map;
pub mod spine;
pub mod values;

pub use live::{Live, Run};
pub use map::{KeyValue, Map};
pub use spine::{RowRun, Spine};
pub use values::{ChunkRef, LargeRef, Slice, Values, ValuesSummary};

use crate::base::NodeId;

use super::FormatError;
use super::cbor::{Reader, Writer};

/// How full nodes get, in the sizes that [`Kind::measure`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// Below this a node does not end.
    pub min: usize,
    /// Past the minimum, a node ends after an item of size s with probability s / mean.
    pub mean: usize,
    /// No node exceeds this, unless a single item does.
    pub cap: usize,
}

/// The size of an item and the hash that decides whether a node ends after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// About the bytes it takes in a node; exactly as docs/format.md defines it.
    pub size: usize,
    /// The first eight bytes of the hash of its bytes.
    pub hash: u64,
}

impl Measure {
    /// The measure of an item of `size` whose bytes are those of `parts` in a row.
    pub fn of(size: usize, parts: &[&[u8]]) -> Measure {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Measure { size, hash: u64::from_le_bytes(first) }
    }

    /// Whether a node whose items so far, this one included, measure `total` ends here.
    pub fn ends(&self, total: usize, limits: NodeLimits) -> bool {
        total >= limits.min && (self.hash & 0xffff_ffff) < (((self.size as u64) << 32) / limits.mean as u64)
    }
}

/// What one kind of rope holds, and how its leaves are written. All of it is pure.
pub trait Kind: 'static + Send + Sync {
    /// The rope kind's number.
    const NUMBER: u64;
    /// Fields of a leaf's record, with the rope kind, the height and the rows.
    const LEAF_FIELDS: usize;
    /// How full its nodes get.
    const LIMITS: NodeLimits;
    /// An item of a leaf: a run of rows, or of cells.
    type Item: Clone + std::fmt::Debug + Send + Sync;
    /// What an inner node says of a subtree, beyond its rows.
    type Summary: Clone + std::fmt::Debug + Send + Sync;
    /// What has been listed in a leaf so far (distinct chunks, origins), which decides sizes.
    type Listed: Default;

    /// Rows in an item; at least one.
    fn rows(item: &Self::Item) -> u64;
    /// The two as one item, where `b` continues `a`.
    fn join(a: &Self::Item, b: &Self::Item) -> Option<Self::Item>;
    /// The rows `from..to` of an item, with 0 <= from < to <= rows.
    fn cut(item: &Self::Item, from: u64, to: u64) -> Self::Item;
    /// In how many steps an item is measured: 1, but for runs of cells, which can be divided between leaves after every cell.
    fn steps(_item: &Self::Item) -> u64 {
        1
    }
    /// Measures step `step` of an item.
    fn measure(item: &Self::Item, step: u64, listed: &mut Self::Listed) -> Measure;
    /// The content of a leaf.
    fn encode_leaf(items: &[Self::Item]) -> Vec<u8>;
    /// The items of a leaf; `leaf` stands after the rope kind, the height and the rows. `rows` is what the leaf claims; the caller compares.
    fn decode_leaf(rows: u64, leaf: &mut Reader<'_>) -> Result<Vec<Self::Item>, FormatError>;
    /// The summary of a leaf.
    fn summarize(items: &[Self::Item]) -> Self::Summary;
    /// The summary of an inner node.
    fn merge(entries: &[Entry<Self::Summary>]) -> Self::Summary;
    /// Writes a summary.
    fn encode_summary(summary: &Self::Summary, out: &mut Writer);
    /// Reads a summary.
    fn decode_summary(reader: &mut Reader<'_>) -> Result<Self::Summary, FormatError>;
}

/// A child of an inner node.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<S> {
    /// The child.
    pub id: NodeId,
    /// Rows below it.
    pub rows: u64,
    /// What the kind says of it.
    pub summary: S,
}

/// A node of a rope.
#[derive(Debug, Clone)]
pub enum Node<K: Kind> {
    /// Height 0.
    Leaf(Vec<K::Item>),
    /// Height 1 and more.
    Inner {
        /// Distance from the leaves.
        height: u32,
        /// The children, in order.
        entries: Vec<Entry<K::Summary>>,
    },
}

/// Trees of 2^64 rows are far lower; it bounds recursion on hostile input.
pub const HEIGHT_MAX: u32 = 24;

impl<K: Kind> Node<K> {
    /// Rows in or below the node.
    pub fn rows(&self) -> u64 {
        match self {
            Node::Leaf(items) => items.iter().map(K::rows).sum(),
            Node::Inner { entries, .. } => entries.iter().map(|e| e.rows).sum(),
        }
    }

    /// 0 for a leaf.
    pub fn height(&self) -> u32 {
        match self {
            Node::Leaf(_) => 0,
            Node::Inner { height, .. } => *height,
        }
    }

    /// What an entry for this node says of it.
    pub fn summary(&self) -> K::Summary {
        match self {
            Node::Leaf(items) => K::summarize(items),
            Node::Inner { entries, .. } => K::merge(entries),
        }
    }

    /// The node's content.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Node::Leaf(items) => K::encode_leaf(items),
            Node::Inner { height, entries } => {
                let mut out = Writer::default();
                out.array(4).u64(K::NUMBER).u64(u64::from(*height)).u64(self.rows()).array(entries.len() as u64);
                for entry in entries {
                    out.array(3).bytes(entry.id.as_bytes()).u64(entry.rows);
                    K::encode_summary(&entry.summary, &mut out);
                }
                out.finish()
            }
        }
    }

    /// The node with this content. Rows are those claimed, counts never overflow.
    pub fn decode(content: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("node", content);
        let fields = reader.array(4)?;
        let (node, read) = {
            let r = &mut reader;
            let kind = r.u64()?;
            if kind != K::NUMBER {
                return Err(r.fail(format!("rope kind {kind} where {} is expected", K::NUMBER)));
            }
            let height = r.u64()?;
            let rows = r.u64()?;
            let node = if height == 0 {
                Node::Leaf(K::decode_leaf(rows, r)?)
            } else {
                let height = u32::try_from(height).ok().filter(|h| *h <= HEIGHT_MAX).ok_or_else(|| r.fail("too high"))?;
                let entries = r.list(|r| r.record(3, |r| Ok(Entry { id: NodeId(r.fixed()?), rows: r.u64()?, summary: K::decode_summary(r)? })))?;
                if entries.is_empty() || entries.iter().any(|e| e.rows == 0) {
                    return Err(r.fail("an inner node without rows"));
                }
                Node::Inner { height, entries }
            };
            let mut sum = 0u64;
            let mut add = |n: u64| sum.checked_add(n).map(|n| sum = n).is_some();
            let fits = match &node {
                Node::Leaf(items) => items.iter().all(|i| add(K::rows(i))),
                Node::Inner { entries, .. } => entries.iter().all(|e| add(e.rows)),
            };
            if !fits || sum != rows {
                return Err(r.fail(format!("{rows} rows are claimed, another number is there")));
            }
            let read = if height == 0 { K::LEAF_FIELDS } else { 4 };
            (node, read)
        };
        for _ in read..fields {
            reader.skip()?;
        }
        reader.end()?;
        Ok(node)
    }

    /// The size and hash of the entry for a child.
    pub fn measure_entry(entry: &Entry<K::Summary>) -> Measure {
        let mut summary = Writer::default();
        K::encode_summary(&entry.summary, &mut summary);
        Measure::of(48 + summary.finish().len(), &[entry.id.as_bytes()])
    }
}

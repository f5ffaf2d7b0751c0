//! Floor 3: ropes as Merkle trees with content-defined nodes (docs/format.md, section 7).
//!
//! A list of items has exactly one tree, whether built afresh or edited into being; so equal stretches of two ropes share
//! their nodes, and edits rewrite the paths to what they change. Knows nodes; knows no chunks, tables or refs.

mod build;
mod differ;
mod map;
mod rope;
mod walk;

use bytes::Bytes;

use crate::base::NodeId;
use crate::format::FormatError;

pub use build::Builder;
pub use differ::{Differ, Pair, differ};
pub use map::{MapRope, StateChange};
pub use rope::{Reference, Rope};
pub use walk::Items;

/// Where nodes are kept.
pub trait NodeStore: Send + Sync {
    /// The content of a node, verified against its id.
    fn node(&self, id: NodeId) -> Result<Bytes, TreeError>;
    /// Keeps a node and returns its id.
    fn put_node(&self, content: &[u8]) -> Result<NodeId, TreeError>;
}

/// Why a tree could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A node does not read.
    #[error("node {id:.12}: {source}")]
    Node {
        /// The node.
        id: NodeId,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A root kept in place does not read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The tree contradicts itself.
    #[error("node {id:.12} does not fit the tree above it: {why}")]
    Shape {
        /// The node.
        id: NodeId,
        /// What was expected.
        why: &'static str,
    },
    /// Rows past the end were asked for.
    #[error("rows {from} to {to} of a rope of {rows}")]
    Range {
        /// The first row.
        from: u64,
        /// The row after the last.
        to: u64,
        /// The rope's rows.
        rows: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(Box<dyn std::error::Error + Send + Sync>),
}

#[cfg(test)]
pub(crate) mod tests;

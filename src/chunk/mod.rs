//! Floor 3: objects. Values are cut into chunks by their content, compressed, and kept in packs with everything else that has an id;
//! whatever is read is verified against its id. Knows no tables and no refs.
//!
//! ```text
//! ChunkWriter, write_large      values -> chunks: boundary.rs (where to cut), encode.rs (blocks, codecs)
//! Objects                       get, put, read_rows, flush: objects.rs, with catalogue.rs (where an object stands),
//!                               open_pack.rs (packs being written), read.rs (verified reads),
//!                               beyond.rs (what another repository has),
//!                               ahead.rs (what will be read soon)
//! sweep, verify                 packs over time: folding, collecting, re-hashing
//! transfer                      from one repository to another
//! ```

mod ahead;
mod background;
mod beyond;
mod boundary;
mod catalogue;
mod encode;
mod large;
mod nonce;
mod objects;
mod open_pack;
mod place;
mod prefix;
mod read;
pub mod sweep;
mod transfer;
pub mod verify;
mod writer;

use crate::base::{ChunkId, ObjectId, PackId};
use crate::format::FormatError;
use crate::store::StoreError;

pub use crate::format::node::ChunkRef;
pub use beyond::Beyond;
pub use boundary::ChunkLimits;
pub use catalogue::{publish, read_chain};
pub use large::write_large;
pub use nonce::nonce;
pub use objects::{Objects, Reads, Written};
pub use read::{BlockInfo, ChunkInfo};
pub use transfer::{Cargo, Direction};
pub use writer::ChunkWriter;

/// Sizes of everything. The default is the format's; tests shrink them, so that edge cases come early.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Where chunks and blocks are cut. Part of the format: two writers that differ share no chunks.
    pub chunk: ChunkLimits,
    /// A pack of data is finished once it has so many bytes.
    pub pack_bytes: u64,
    /// Data up to this size in all waits in memory and goes into one pack with the metadata.
    pub memory_bytes: u64,
    /// Packs of data that are written at the same time by several threads.
    pub open_packs: usize,
    /// Bytes of values that wait to be encoded by other threads, of all writers together.
    pub waiting_bytes: u64,
    /// Bytes of metadata kept in memory.
    pub metadata_cache_bytes: usize,
    /// Bytes of decoded blocks kept in memory.
    pub block_cache_bytes: usize,
    /// zstd's level for blocks and metadata.
    pub zstd_level: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            chunk: ChunkLimits::default(),
            pack_bytes: 64 << 20,
            memory_bytes: 4 << 20,
            open_packs: 4,
            waiting_bytes: 64 << 20,
            metadata_cache_bytes: 64 << 20,
            block_cache_bytes: 128 << 20,
            zstd_level: 1,
        }
    }
}

/// Why objects could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes that do not follow the format, outside of any object.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An object is there, but its bytes are not what its id says.
    #[error("object {object:.12} is damaged in packs/{pack}.pack: {why}")]
    Damaged {
        /// The object.
        object: ObjectId,
        /// The pack that holds it; all zeros for one that is still being written.
        pack: PackId,
        /// What is wrong.
        why: String,
    },
    /// A pack's index cannot be read, so nothing in it can be found.
    #[error("packs/{pack}.pack is damaged: {why}")]
    DamagedPack {
        /// The pack.
        pack: PackId,
        /// What is wrong.
        why: String,
    },
    /// No pack holds the object.
    #[error("object {object:.12} is missing")]
    Missing {
        /// The object.
        object: ObjectId,
    },
    /// Values of one type given to a writer of another.
    #[error("values of type {given} where {wanted} is written")]
    WrongType {
        /// The type of the values.
        given: String,
        /// The writer's.
        wanted: String,
    },
    /// Rows or blocks past the end of a chunk.
    #[error("chunk {chunk:.12} has {rows} rows; up to {wanted} was asked for")]
    Range {
        /// The chunk.
        chunk: ChunkId,
        /// Its rows.
        rows: u64,
        /// The end of what was asked for.
        wanted: u64,
    },
    /// The source of a large value failed.
    #[error("reading a large value: {0}")]
    Source(std::io::Error),
}

#[cfg(test)]
mod faults;
#[cfg(test)]
pub(crate) mod tests;

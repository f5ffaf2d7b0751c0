//! Floor 1: bytes to structs and back, as docs/format.md lays them down. Does no I/O and knows no store.

pub mod array;
pub mod cbor;
pub mod check;
pub mod chunk;
pub mod codec;
pub mod commit;
pub mod error;
#[cfg(test)]
mod golden;
pub mod head;
pub mod merging;
pub mod mix;
pub mod node;
pub mod operation;
pub mod pack;
pub mod sketch;
pub mod snapshot;
pub mod stats;
pub mod table;
pub mod types;

pub use error::FormatError;
pub use types::{Type, TypeError};

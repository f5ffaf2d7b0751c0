//! Floor 1: bytes to structs and back, as docs/format.md lays them down. Does no I/O and knows no store.

pub mod cbor;
pub mod commit;
pub mod error;
pub mod node;
pub mod operation;
pub mod snapshot;
pub mod types;

pub use error::FormatError;
pub use types::{Type, TypeError};

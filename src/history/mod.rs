//! Floor 4, the history half: commits and their graph, operations and the state they hold, revisions. Knows no table's insides and no terminal.

mod error;
pub mod graph;
pub mod lanes;
mod objects;
pub mod revision;
mod standin;
pub mod time;

pub use error::{HistoryError, name_of};
pub use graph::{Graph, Order};
pub use objects::{load_commit, load_operation, load_snapshot, short, store_commit, store_operation, store_snapshot};
pub use standin::{ChunkError, Kind, Objects};

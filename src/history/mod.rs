//! Floor 4, the history half: commits and their graph, operations and the state they hold, revisions. Knows no table's insides and no terminal.

mod error;
pub mod graph;
pub mod lanes;
pub mod log;
mod objects;
pub mod resolve;
pub mod revision;
mod standin;
pub mod state;
pub mod time;
pub mod transaction;
pub mod undo;

pub use error::{HistoryError, name_of};
pub use graph::{Graph, Order};
pub use objects::{load_commit, load_operation, load_snapshot, short, store_commit, store_operation, store_snapshot};
pub use resolve::{Resolver, Selection};
pub use revision::{Range, Revision};
pub use standin::{ChunkError, Kind, Objects};

#[cfg(test)]
mod tests;
pub use state::State;
pub use transaction::{Ledger, Mark, Stamp, Transaction, View};

//! Floor 4, the history half: commits and their graph, operations and the state they hold, revisions. Knows no table's insides and no terminal.

pub mod bisect;
mod ensure;
mod error;
pub mod graph;
pub mod lack;
pub mod lanes;
mod ledger;
pub mod log;
mod objects;
pub mod reach;
pub mod resolve;
pub mod revision;
pub mod state;
pub mod time;
pub mod transaction;
pub mod undo;

use crate::chunk::{ChunkError, Objects};
use crate::format::pack::Kind;

pub use error::{HistoryError, name_of};
pub use graph::{Graph, Order};
pub use ledger::StoreLedger;
pub use objects::{load_commit, load_operation, load_snapshot, short, store_commit, store_operation, store_snapshot};
pub use resolve::{Resolver, Selection};
pub use revision::{Range, Revision};

#[cfg(test)]
mod tests;
pub use state::State;
pub use transaction::{Ledger, Mark, Stamp, Transaction, View};

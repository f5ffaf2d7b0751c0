//! Floor 0: ids, names, progress, threads, and caches in memory. Knows no bytes on disk, no table, no terminal.

pub mod cache;
pub mod id;
pub mod name;
pub mod parallel;
pub mod progress;
pub mod size;

pub use id::{ChunkId, ColumnId, CommitId, NodeId, ObjectId, OperationId, Origin, PackId, RowId, SnapshotId, TableId, TableObjectId};
pub use progress::{NoProgress, Progress};

//! stub
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Chunk = 1,
    Node,
    Table,
    Snapshot,
    Commit,
    Operation,
}

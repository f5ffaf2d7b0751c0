//! Floor 4, the history half: commits and their graph, operations and the state they hold, revisions. Knows no table's insides and no terminal.

pub mod revision;
pub mod time;

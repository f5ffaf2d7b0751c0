//! Queries against what the rows themselves say.

//! dsv: Git for datasets. Tables of images, text, embeddings and scores with commits, branches, and
//! merge and diff by column and by cell.
//!
//! ```text
//! 8  cli      verbs: arguments, rendering, hints, exit codes
//! 7  loader   the order of samples, who takes which, pictures into pixels
//! 6  query    SQL over any revision: DataFusion brings plans, dsv brings tables
//! 5  repo     the Repo handle, one file for each operation; files/ reads and writes other tools' formats
//! 4  table    schema, edits, scan, diff, keys       history  commits, operations, refs, revisions
//! 3  chunk    boundaries, codecs, packs, store      tree     Merkle trees with content-defined nodes
//! 2  store    a place for bytes, and one pointer that is swapped
//! 1  format   bytes <-> structs; no I/O
//! 0  base     ids, names, progress
//! ```
//!
//! A floor imports only floors below it (and its neighbour on the right within its own number); `tests/it/walls.rs` holds that.

pub mod base;
pub mod chunk;
#[cfg(feature = "cli")]
pub mod cli;
pub mod format;
pub mod history;
#[cfg(feature = "loader")]
pub mod loader;
#[cfg(feature = "query")]
pub mod query;
pub mod repo;
pub mod store;
pub mod table;
pub mod tree;

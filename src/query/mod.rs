//! Floor 6: SQL over any revision. DataFusion plans and runs; dsv brings the tables and the scan, which knows what its trees say of the cells and which
//! columns are wide.
//!
//! ```text
//! session      parse, look up tables, plan, run        answer      batches in dsv's layouts, in order
//! catalog      a schema is a revision                  system      dsv.commits, dsv.tables, ...
//! provider     a table for DataFusion                  exec        its scan as a node of the plan
//! late         few rows of many: the order first, then the other columns
//! prune        what statistics rule out                rows        filter columns first, the rest for rows that pass
//! expression   one expression over one table, without a plan
//! vector       functions and operators on vectors       media       ... on pictures, clips and recordings
//! json         functions and operators on JSON           dialect     PostgreSQL's, with EXCLUDE and MAP
//! rewrite      what is written shorter than SQL        hints       what a plan gives reason to say
//! using        joins by USING and NATURAL               maps        functions on maps
//! sample       TABLESAMPLE                               bounds      least and greatest values that the tree knows
//! offered      expressions for the floors below
//! write        INSERT, UPDATE, DELETE, CREATE, ALTER, DROP
//! revisions    what is needed of a repository          repository  that of a Repo
//! ```
//!
//! Knows no terminal and no file format: rendering is the caller's.

mod answer;
mod bounds;
mod catalog;
mod chosen;
mod dialect;
mod disputed;
mod engine;
mod error;
mod exec;
mod expression;
mod functions;
mod hints;
mod json;
mod late;
mod maps;
mod media;
mod offered;
mod params;
mod provider;
mod prune;
mod refuse;
mod repository;
mod revisions;
mod rewrite;
mod rows;
mod sample;
mod session;
mod system;
mod using;
mod vector;
mod write;

#[cfg(test)]
mod tests;

pub use answer::{Answer, AnswerStream};
pub use chosen::{Choice, Chosen, Source};
pub use disputed::decide;
pub use engine::Options;
pub use error::QueryError;
pub use expression::{Evaluation, RowTest, Selected, evaluate, filter_slots, select};
pub use offered::expressions;
pub use params::{Param, Params};
pub use revisions::{CommitRow, ConflictRow, RefKind, RefRow, Revisions};
pub use session::{Session, about};
pub use write::{Outcome, Written, writes_text as writes};

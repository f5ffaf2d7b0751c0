//! `dsv log`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Show the commits that led here, newest first
///
/// REV is a revision (default HEAD), or a range A..B: the commits of B that are not in A. After --, a table and columns: only commits that changed them.
///
/// With --json, a line for each commit: {"commit", "parents", "author": {"name", "email"}, "time", "message", "refs"}.
///
/// Examples:
///
///   dsv log
///   dsv log --oneline --graph --all
///   dsv log -n 5 v1.0..main
///   dsv log -- birds                    only what changed the table
///   dsv log main -- birds label         only what changed its column label
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Log {
    /// A revision or a range
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Draw the lines of history beside the commits
    #[arg(long)]
    graph: bool,
    /// One line a commit
    #[arg(long)]
    oneline: bool,
    /// At most so many commits
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
    /// From all branches and tags
    #[arg(long)]
    all: bool,
    /// A table, and columns of it
    #[arg(last = true, value_name = "TABLE [COLUMN]")]
    path: Vec<String>,
}

impl Log {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("log")
    }
}

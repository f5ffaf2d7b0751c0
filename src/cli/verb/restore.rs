//! `dsv restore`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;

/// Take tables back to what they were in a commit
///
/// The working state of the table becomes what it is in HEAD, or in another revision. Commits are not touched, and `dsv undo` brings back what was there.
///
/// Examples:
///
///   dsv restore birds                    forget what is not committed
///   dsv restore birds --source v1.0      as it was in a revision
///   dsv restore --all
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Restore {
    /// Tables
    #[arg(value_name = "TABLE", required_unless_present = "all")]
    tables: Vec<String>,
    /// From this revision, not from HEAD
    #[arg(short, long, value_name = "REV")]
    source: Option<String>,
    /// All tables
    #[arg(long, conflicts_with = "tables")]
    all: bool,
}

impl Restore {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let changed = repo.restore(&self.tables, self.source.as_deref())?;
        let from = self.source.as_deref().unwrap_or("the last commit");
        match changed.as_slice() {
            [] => context.ui.note(format!("Nothing differs from {from}")),
            tables => context.ui.note(format!("Restored {} from {from}: {}", format::plural(tables.len() as u64, "table"), tables.join(", "))),
        }
        Ok(())
    }
}

//! `dsv restore`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::query::{Params, filter_slots};
use crate::repo::Repo;
use crate::repo::blame::RowName;

/// Take tables back to what they were in a commit
///
/// The working state of the table becomes what it is in HEAD, or in another revision. With --column only those columns, in rows that are still there; a column that was dropped comes back.
/// With --row or --where only those rows of the revision (a condition is asked of the rows there); rows that were deleted come back, all others stay as they are. Commits are not touched, and `dsv undo` brings back what was there.
///
/// Examples:
///
///   dsv restore birds                    forget what is not committed
///   dsv restore birds --source v1.0      as it was in a revision
///   dsv restore birds --column label     one column
///   dsv restore birds --row 17 --source v1.0
///   dsv restore birds --where "label = 'owl'" --source main~3
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
    /// Only this column; may be given several times
    #[arg(long = "column", value_name = "COLUMN", conflicts_with = "all")]
    columns: Vec<String>,
    /// Only this row: its key, or its row id
    #[arg(long, value_name = "ROW", conflicts_with_all = ["all", "filter"])]
    row: Option<String>,
    /// Only rows for which this SQL condition is true in the revision
    #[arg(long = "where", value_name = "SQL", conflicts_with = "all")]
    filter: Option<String>,
    /// All tables
    #[arg(long, conflicts_with = "tables")]
    all: bool,
}

impl Restore {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        if !self.columns.is_empty() || self.row.is_some() || self.filter.is_some() {
            return self.parts(context, &repo);
        }
        let changed = repo.restore(&self.tables, self.source.as_deref())?;
        let from = self.source.as_deref().unwrap_or("the last commit");
        match changed.as_slice() {
            [] => context.ui.note(format!("Nothing differs from {from}")),
            tables => context.ui.note(format!("Restored {} from {from}: {}", format::plural(tables.len() as u64, "table"), tables.join(", "))),
        }
        Ok(())
    }

    /// Columns or rows of one table.
    fn parts(&self, context: &Context, repo: &Repo) -> Result<(), CliError> {
        let [table] = self.tables.as_slice() else {
            return Err(CliError::usage("columns and rows are restored in one table at a time"));
        };
        let (source, at) = (self.source.as_deref(), self.source.as_deref().unwrap_or("HEAD"));
        let slots = match (&self.row, &self.filter) {
            (Some(row), _) => vec![repo.find_row(table, Some(at), &RowName::of(row))?.1],
            (None, Some(filter)) => filter_slots(repo.objects(), &repo.table(table, Some(at))?, filter, &Params::new())?,
            (None, None) => {
                repo.restore_columns(table, &self.columns, source)?;
                context.ui.note(format!("Restored {} of {table} from {at}: {}", format::plural(self.columns.len() as u64, "column"), self.columns.join(", ")));
                return Ok(());
            }
        };
        repo.restore_rows(table, &slots, &self.columns, source)?;
        context.ui.note(format!("Restored {} of {table} from {at}", format::plural(slots.len() as u64, "row")));
        Ok(())
    }
}

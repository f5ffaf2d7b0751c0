//! `dsv conflicts`.

use crate::cli::context::Context;
use crate::cli::dispute;
use crate::cli::error::CliError;

/// List what a merge in progress has left to people
///
/// A line for each cell, row or column that both sides changed: what both come from, ours (the branch that is checked out) and theirs. The kinds: cell (both
/// changed it), deleted-here and deleted-there (one side deleted a row that the other changed), key (both inserted a row with one key), dropped-here and
/// dropped-there (one side dropped a column that the other changed), schema (names, types or keys that do not go together), check (a merged row breaks a
/// check), table (a table or view as a whole).
///
/// With --json, lines {"table", "kind", "key" or "row", "column", "base", "ours", "theirs"}; with "take" or "resolved" added to each they are a file for `dsv resolve
/// --file`.
///
/// Examples:
///
///   dsv conflicts
///   dsv conflicts photos label
///   dsv conflicts --json > todo.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Conflicts {
    /// Only those of this table
    #[arg(value_name = "TABLE")]
    table: Option<String>,
    /// Only those of this column
    #[arg(value_name = "COLUMN", requires = "table")]
    column: Option<String>,
    /// At most so many (with --json: all)
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

impl Conflicts {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let Some(mut pending) = repo.pending()? else {
            context.ui.note("No merge is in progress");
            return Ok(());
        };
        if let Some(name) = &self.table {
            pending.tables.retain(|table| table.name == *name);
            pending.names.retain(|whole| whole.name == *name && self.column.is_none());
        }
        if let Some(column) = &self.column {
            for table in &mut pending.tables {
                let named: Vec<bool> = table.conflicts.iter().map(|conflict| table.column(conflict) == Some(column)).collect();
                let mut named = named.into_iter();
                table.conflicts.retain(|_| named.next().unwrap_or(false));
            }
        }
        let shown = dispute::print(context, &repo, &pending.tables, &pending.names, self.limit)?;
        let verb = &pending.merging.verb;
        if shown == 0 && !context.ui.json {
            let text = if pending.is_empty() { format!("None is left: 'dsv {verb} --continue' ends it") } else { "None of those that are left".to_owned() };
            context.ui.note(text);
        }
        Ok(())
    }
}

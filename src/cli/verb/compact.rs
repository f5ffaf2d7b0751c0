//! `dsv compact`.

use std::io::Write;

use serde_json::json;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;

/// Rewrite pieces of columns into full chunks
///
/// After many small changes a column consists of many pieces. Compacting joins them, so that reading is fast again. No value, row or order changes;
/// `dsv status` shows such a table as rewritten until the next commit.
///
/// With --purge, deleted rows are taken out of the table for good as well; the rows that remain keep their identity.
///
/// Examples:
///
///   dsv compact
///   dsv compact birds
///   dsv compact birds --purge
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Compact {
    /// Tables; all without any
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Take dead rows out
    #[arg(long)]
    purge: bool,
}

impl Compact {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let option = if self.purge { Some("--purge") } else { None };
        let command = args::command(["compact"].into_iter().chain(option).chain(self.tables.iter().map(String::as_str)));
        let mut out = context.ui.out();
        for (table, done) in repo.compact(&self.tables, self.purge, command.trim_end())? {
            if context.ui.json {
                let line = json!({
                    "table": table, "columns": done.columns, "slices_before": done.slices_before, "slices_after": done.slices_after,
                    "rows": done.rows, "rows_purged": done.purged,
                });
                writeln!(out, "{line}")?;
                continue;
            }
            let pieces = match done.columns {
                0 => "nothing to join".to_owned(),
                n => format!("{} pieces of {} became {}", format::count(done.slices_before), format::plural(n, "column"), format::count(done.slices_after)),
            };
            let purged = if done.purged > 0 { format!(", {} taken out", format::plural(done.purged, "deleted row")) } else { String::new() };
            context.ui.note(format!("{table}: {pieces}{purged}"));
        }
        Ok(out.finish()?)
    }
}

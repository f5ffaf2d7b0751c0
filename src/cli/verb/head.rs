//! `dsv head`.

use std::sync::Arc;

use crate::cli::answer::{self, Form};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::look::Look;
use crate::cli::sql;
use crate::cli::ui::format;
use crate::repo::Repo;

/// Show the first rows of a table or a view
///
/// Images, vectors and long texts are shown in short; `dsv cat` gives one cell whole. With --json, a JSON object for each row.
///
/// Examples:
///
///   dsv head birds
///   dsv head birds -n 3 --columns id,name
///   dsv head birds --at v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Head {
    /// The table or view
    #[arg(value_name = "TABLE")]
    table: String,
    /// So many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Only these columns, in this order
    #[arg(long, value_name = "A,B")]
    columns: Vec<String>,
}

impl Head {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let (repo, at) = context.repo_of(self.at.as_deref())?;
        let look = Look { table: self.table, at, columns: args::names("--columns", &self.columns)? };
        let repo = Arc::new(repo);
        if !repo.views(look.at.as_deref())?.contains_key(&look.table) {
            return first(context, &repo, &look, self.rows as u64);
        }
        let answer = sql::view(&repo, &look.table, look.at.as_deref(), &look.columns, None, &context.ui.progress())?;
        let form = if context.ui.json { Form::File(crate::repo::files::FileFormat::JsonLines) } else { Form::Table };
        let (schema, mut left) = (answer.schema(), self.rows);
        let mut rows = answer.map_while(|batch| match batch {
            _ if left == 0 => None,
            Ok(batch) => {
                let kept = batch.slice(0, left.min(batch.num_rows()));
                left -= kept.num_rows();
                Some(Ok(kept))
            }
            Err(error) => Some(Err(CliError::from(error))),
        });
        answer::print(context, form, &schema, &mut rows)?;
        Ok(())
    }
}

/// Prints the first rows of a table, and how many there are in all.
pub fn first(context: &Context, repo: &Repo, look: &Look, rows: u64) -> Result<(), CliError> {
    let found = look.find(repo)?;
    let form = if context.ui.json { Form::File(crate::repo::files::FileFormat::JsonLines) } else { Form::Table };
    let schema = found.table.schema.arrow(&found.indices);
    let shown = answer::print(context, form, &schema, &mut found.first(rows)?)?;
    let all = found.rows()?;
    if shown < all && !context.ui.json {
        context.ui.note(format!("{} of {}", format::count(shown), format::plural(all, "row")));
    }
    Ok(())
}

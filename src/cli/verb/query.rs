//! `dsv query`.

use std::path::PathBuf;

use crate::cli::answer::{self, Form};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::sql;
use crate::cli::ui::format;
use crate::repo::files::FileFormat;

/// Ask in SQL, of any revision
///
/// A schema is a revision: `FROM birds` is the working state (or --at), `FROM "v1.0".birds` the table as it was at v1.0, and both may stand in one query.
/// SQL that starts with @ is a file's name; - reads stdin.
///
/// Examples:
///
///   dsv query "SELECT species, count(*) FROM birds GROUP BY species ORDER BY 2 DESC LIMIT 5"
///   dsv query "SELECT a.label AS was, b.label FROM \"v1.0\".birds a JOIN birds b USING (id)"
///   dsv query "SELECT * FROM birds WHERE weight > :least" -p least=2.5
///   dsv query "SELECT * FROM birds" --at v1.0 --format parquet -o birds.parquet
///   dsv query @report.sql --format markdown
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Query {
    /// The query
    #[arg(value_name = "SQL", allow_hyphen_values = true)]
    sql: String,
    /// A value for :NAME in the query; numbers, true, false and null are taken as such, quote 'text' to force text
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Tables without a schema are those of this revision, not of the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// How to write the answer: table, csv, tsv, json, parquet, arrow or markdown
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Where to; the format then follows the name
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(short, long, requires = "output")]
    force: bool,
}

impl Query {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let form = match (&self.format, context.ui.json) {
            (Some(format), _) => Some(Form::parse(format)?),
            (None, true) => Some(Form::File(FileFormat::JsonLines)),
            (None, false) => None,
        };
        let params = self.params.iter().map(|p| args::pair("-p", p, "NAME=VALUE")).collect::<Result<Vec<_>, _>>()?;
        let text = self.text(context)?;
        let repo = context.repo()?;
        let progress = context.ui.progress();
        let answer = sql::ask(repo, &text, &params, self.at.as_deref(), &progress)?;
        let schema = answer.schema();
        let mut batches = answer.map(|batch| batch.map_err(CliError::from));
        let Some(path) = &self.output else {
            let form = form.unwrap_or(Form::Table);
            let rows = answer::print(context, form, &schema, &mut batches)?;
            if form == Form::Table {
                context.ui.note(format::plural(rows, "row"));
            }
            return Ok(());
        };
        answer::save(context, path, form, self.force, &schema, &mut batches, &progress)
    }

    /// The query itself, from where it is.
    fn text(&self, context: &Context) -> Result<String, CliError> {
        if self.sql == "-" {
            return std::io::read_to_string(std::io::stdin()).map_err(|e| CliError::fault(format!("stdin: {e}")));
        }
        match self.sql.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(context.path(file)).map_err(|e| CliError::fault(format!("{file}: {e}"))),
            None => Ok(self.sql.clone()),
        }
    }
}

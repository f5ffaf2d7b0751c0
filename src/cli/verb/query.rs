//! `dsv query`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::cli::answer::{self, Form};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::sql;
use crate::cli::ui::format;
use crate::query::{Outcome, Written};
use crate::repo::files::FileFormat;

/// Ask in SQL, of any revision, and write into the working state
///
/// A schema is a revision: `FROM birds` is the working state (or --at), `FROM "v1.0".birds` the table as it was at v1.0, and both may stand in one query.
/// SQL that starts with @ is a file's name, as that after -f; - reads stdin. One table alone need not be named: "SELECT * WHERE weight > 2".
///
/// INSERT, UPDATE, DELETE, CREATE, ALTER and DROP change tables and views of the working state, as one step that `dsv undo` takes back.
///
/// Vectors: embedding <=> :v (cosine distance), <-> (L2), <#> (negative inner product) and their functions; :v is '[1, 2, 3]' or a .npy file.
///
/// Examples:
///
///   dsv query "SELECT species, count(*) FROM birds GROUP BY species ORDER BY 2 DESC LIMIT 5"
///   dsv query "SELECT a.label AS was, b.label FROM \"v1.0\".birds a JOIN birds b USING (id)"
///   dsv query "SELECT * FROM birds WHERE weight > :least" -p least=2.5
///   dsv query "SELECT id FROM frames ORDER BY embedding <=> :like LIMIT 10" -p like=@query.npy
///   dsv query "SELECT * FROM birds" --at v1.0 --format parquet -o birds.parquet
///   dsv query "SELECT count(*) FROM birds" --at s3://bucket/birds#v1.0
///   dsv query @report.sql --format markdown
///   dsv query "UPDATE birds b SET label = old.label FROM \"v1.0\".birds old WHERE old.id = b.id"
///   dsv query "INSERT INTO birds (id, label) VALUES (7, 'wren') ON CONFLICT (id) DO NOTHING"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Query {
    /// The query
    #[arg(value_name = "SQL", allow_hyphen_values = true, required_unless_present = "file")]
    sql: Option<String>,
    /// A file with the query
    #[arg(short, long, value_name = "FILE", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// A value for :NAME in the query; numbers, true, false and null are taken as such, quote 'text' to force text; @FILE is a .npy's vector or a file's text
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Tables without a schema are those of this revision, not of the working state; URL#REV is one of another repository, read where it is
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// How to write the answer: table, csv, tsv, json, parquet, arrow or markdown
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Where to; the format then follows the name
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "output")]
    force: bool,
    /// Memory that sorts, joins and aggregations may take before they go on from disk, in MB
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    memory: Option<u32>,
    /// Say how long it took
    #[arg(long)]
    timing: bool,
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
        let (repo, at) = context.repo_of(self.at.as_deref())?;
        let progress = context.ui.progress();
        let start = Instant::now();
        let params = sql::params(context, &params)?;
        let memory = self.memory.map(|mb| (mb as usize).saturating_mul(1_000_000));
        let mut repo = repo;
        repo.set_progress(progress.clone());
        let repo = Arc::new(repo);
        let command = args::command(["query", &shortened(&text)]);
        let run = sql::session(&repo, memory, &progress)?.run(&repo, &text, &params, at.as_deref(), &command);
        let answer = match run.map_err(|error| sql::marked(error, &text))? {
            Outcome::Answer(answer) => answer,
            Outcome::Written(written) => {
                self.told(context, &written)?;
                self.took(context, start);
                return Ok(());
            }
        };
        answer.hints().iter().for_each(|hint| context.ui.hint(hint));
        let schema = answer.schema();
        let mut batches = answer.map(|batch| batch.map_err(CliError::from));
        match &self.output {
            None => {
                let form = form.unwrap_or(Form::Table);
                let rows = answer::print(context, form, &schema, &mut batches)?;
                if form == Form::Table {
                    context.ui.note(format::plural(rows, "row"));
                }
            }
            Some(path) => answer::save(context, path, form, self.force, &schema, &mut batches, &progress)?,
        }
        self.took(context, start);
        Ok(())
    }

    fn took(&self, context: &Context, start: Instant) {
        if self.timing {
            context.ui.note(format!("Took {:.1} ms", start.elapsed().as_secs_f64() * 1e3));
        }
    }

    /// Says what a statement wrote.
    fn told(&self, context: &Context, written: &Written) -> Result<(), CliError> {
        if self.output.is_some() {
            context.ui.hint("the statement wrote into the working state; there are no rows to put into the file");
        }
        if context.ui.json {
            let line = json!({"statement": written.statement, "name": written.name, "rows": written.rows});
            let mut out = context.ui.page();
            writeln!(out, "{line}")?;
            return Ok(out.finish()?);
        }
        let rows = written.rows.map_or(String::new(), |rows| format!(": {}", format::plural(rows, "row")));
        let note = if written.note.is_empty() { String::new() } else { format!(" ({})", written.note) };
        context.ui.note(format!("{} {}{rows}{note}", written.statement, written.name));
        Ok(())
    }

    /// The query itself, from where it is.
    fn text(&self, context: &Context) -> Result<String, CliError> {
        let read = |file: &Path| std::fs::read_to_string(context.path(file)).map_err(|e| CliError::fault(format!("{}: {e}", file.display())));
        match (&self.file, self.sql.as_deref().unwrap_or_default()) {
            (Some(file), _) => read(file),
            (None, "-") => std::io::read_to_string(std::io::stdin()).map_err(|e| CliError::fault(format!("stdin: {e}"))),
            (None, sql) => sql.strip_prefix('@').map_or(Ok(sql.to_owned()), |file| read(Path::new(file))),
        }
    }
}

/// A statement as the operation log keeps it: on one line, its beginning.
fn shortened(sql: &str) -> String {
    const LONGEST: usize = 120;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", line[..end].trim_end()),
        None => line,
    }
}

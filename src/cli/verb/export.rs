//! `dsv export`.

use std::sync::Arc;

use crate::base::progress::Unit;
use crate::cli::answer;
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::look::Look;
use crate::cli::sql;
use crate::cli::ui::format;
use crate::repo::files::WriteOptions;

/// Write a table or a view to a file
///
/// The format follows the name: .csv, .tsv, .jsonl, .json, .parquet, .arrow, .npy, .tar (WebDataset), each also .gz or .zst; a name that ends with / is a
/// folder, and images become files in it, other columns a rows.jsonl beside them that `dsv import --media` reads. - writes to stdout. The file appears whole or not at all.
///
/// Examples:
///
///   dsv export birds birds.csv
///   dsv export birds birds.parquet --at v1.0
///   dsv export birds big.jsonl.zst --where "weight > 2" --columns id,name,weight
///   dsv export frames frames/                     pictures back to files
///   dsv export birds - --format csv | head
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Export {
    /// The table or view
    #[arg(value_name = "TABLE")]
    table: String,
    /// Where to: a file, a folder with a / at its end, or - for stdout
    #[arg(value_name = "FILE")]
    file: String,
    /// From this revision, not the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Only rows for which this SQL predicate is true
    #[arg(long, value_name = "SQL")]
    r#where: Option<String>,
    /// Only these columns, in this order
    #[arg(long, value_name = "A,B")]
    columns: Vec<String>,
    /// The format, where the name does not tell it
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Write over a file that exists
    #[arg(short, long)]
    force: bool,
}

impl Export {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let options = WriteOptions { format: self.format.as_deref().map(str::parse).transpose()?, ..WriteOptions::default() };
        let (repo, at) = context.repo_of(self.at.as_deref())?;
        let repo = Arc::new(repo);
        let columns = args::names("--columns", &self.columns)?;
        let is_view = repo.views(at.as_deref())?.contains_key(&self.table);
        if self.file != "-" {
            let path = answer::target_path(context, &self.file);
            let taken = path.is_file() || path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
            if taken && !self.force {
                return Err(CliError::usage(format!("'{}' exists already", self.file)).hint("--force writes over it"));
            }
        } else if context.ui.width.is_some() && options.format.is_none() {
            return Err(CliError::usage("stdout does not tell its format").hint("say --format csv, or another"));
        }
        let progress = context.ui.progress();
        let target = answer::target(context, &self.file);
        let written = if is_view {
            let answer = sql::view(&repo, &self.table, at.as_deref(), &columns, self.r#where.as_deref(), &progress)?;
            progress.start("exporting", None, Unit::Rows);
            let schema = answer.schema();
            answer::write(target, &answer::columns(&schema)?, &mut answer.map(|batch| batch.map_err(CliError::from)), &options, &progress)?
        } else {
            let found = Look { table: self.table, at, columns }.find(&repo)?;
            let mut rows: Box<dyn Iterator<Item = _>> = match &self.r#where {
                Some(predicate) => {
                    progress.start("exporting", None, Unit::Rows);
                    Box::new(sql::filtered(&found, predicate)?.map(|batch| batch.map_err(CliError::from)))
                }
                None => {
                    progress.start("exporting", Some(found.rows()?), Unit::Rows);
                    Box::new(found.scan().open()?.map(|batch| batch.map_err(CliError::from)))
                }
            };
            answer::write(target, &found.columns, &mut rows, &options, &progress)?
        };
        progress.finish();
        if self.file != "-" {
            let files = if written.files > 1 { format!(", {}", format::plural(written.files, "file")) } else { String::new() };
            context.ui.note(format!("Exported {} to {} ({}{files})", format::plural(written.rows, "row"), self.file, format::bytes(written.bytes)));
        }
        Ok(())
    }
}

//! `dsv diff`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::cli::answer::{self, Form};
use crate::cli::context::Context;
use crate::cli::describe::{self, TableChange};
use crate::cli::diff::count::count;
use crate::cli::diff::{Differing, file, lines, page, text};
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::cli::ui::paint::Paint;
use crate::history::short;
use crate::repo::files::FileFormat;
use crate::repo::{Change, NameChange, Repo, changed_checks, changed_tables, changed_views};

/// Rows of a kind that the text shows unless more are asked for...
const TEXT_ROWS: u64 = 10;
/// ... and a page.
const PAGE_ROWS: u64 = 200;

/// Show what changed, down to the cell
///
/// Without a revision: what is not committed yet. With one: what differs between it and the working state. With two, or A..B: between them; A...B: what B
/// changed since it left A. After --, a table and columns of it; --where takes the rows for which a predicate is true before or after.
///
/// With --json, a line for each change: {"table", "change": "table|schema|key|order|added|removed|changed", "key" or "row", "column", "before", "after"}; an
/// added or removed row is one line, its cells an object; bytes are {"type", "bytes_total", "blake3"}; of a vector, "moved" says how far. With --format, the
/// rows of one table as a file with the columns of SQL's diff(A, B, TABLE): change, row, columns, before, after; csv and tsv have a column for each cell.
///
/// Examples:
///
///   dsv diff
///   dsv diff main~3
///   dsv diff v1.0 main -- frames label
///   dsv diff main...relabel --stat
///   dsv diff main...relabel --stat --format markdown
///   dsv diff v1.0 main --where "label = 'bird'" -- frames
///   dsv diff v1.0 main --html changes.html
///   dsv diff v1.0 main --format parquet -o changes.parquet -- frames
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Diff {
    /// The revisions to compare
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Only a line a table, with counts
    #[arg(long)]
    stat: bool,
    /// Only which tables and columns have other contents, told from hashes: nothing is read or counted
    #[arg(long, conflicts_with = "stat")]
    summary: bool,
    /// Write a page for a browser, with small pictures before and after
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stat", "summary", "json", "format", "output"])]
    html: Option<PathBuf>,
    /// Write the rows of one table that differ as csv, tsv, json, parquet, arrow, markdown or table; with --stat, markdown
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["summary", "json"])]
    format: Option<String>,
    /// Where to; the format then follows the name
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["stat", "summary", "json"])]
    output: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long)]
    force: bool,
    /// Only rows for which this SQL predicate is true, before or after
    #[arg(long, value_name = "SQL", conflicts_with = "summary")]
    r#where: Option<String>,
    /// Exit with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
    /// At most so many rows that were added, removed and changed, each, a table (in the text 10, on a page 200, else all)
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
    /// A table, and columns of it
    #[arg(last = true, value_name = "TABLE [COLUMN]")]
    path: Vec<String>,
}

impl Diff {
    /// The revisions that were asked about.
    pub fn revisions(&self) -> &[String] {
        &self.revisions
    }

    /// The same between others.
    pub fn between(self, revisions: Vec<String>) -> Diff {
        Diff { revisions, ..self }
    }

    pub fn run(self, context: &Context) -> Result<(), CliError> {
        if self.force && self.html.is_none() && self.output.is_none() {
            return Err(CliError::usage("--force writes over a file, and none is named").hint("name one with --html or -o"));
        }
        let markdown = self.stat && self.format.is_some();
        if markdown && !matches!(self.format.as_deref().map(Form::parse).transpose()?, Some(Form::Markdown)) {
            return Err(CliError::usage("--stat is text, or with --format markdown a table in Markdown").hint("--json gives lines for programs"));
        }
        let repo = context.repo()?;
        let (from, to) = sides(&repo, &self.revisions)?;
        let before = match &from {
            Some(revision) => repo.snapshot_at(revision)?,
            // A branch without a commit starts from nothing.
            None => repo.working()?.tip.map(|tip| repo.snapshot_of(tip)).transpose()?.unwrap_or_default(),
        };
        let after = repo.snapshot(to.as_deref())?;
        let mut changes = changed_tables(&before, &after);
        let (mut views, mut checks) = (changed_views(&before, &after), changed_checks(&before, &after));
        if let Some(table) = self.path.first() {
            // By the name that it has, or had.
            changes.retain(|change| change.name == *table || matches!(&change.change, Change::Renamed(from, _) if from == table));
            (views, checks) = Default::default();
            match (before.tables.get(table), after.tables.get(table)) {
                // Says so, with the names that come near.
                (None, None) => drop(repo.table(table, to.as_deref())?),
                // Columns that are not there are refused, and a file has its columns, where nothing differs too.
                (Some(old), Some(new)) if changes.is_empty() => changes.push(NameChange { name: table.clone(), change: Change::Changed(*old, *new) }),
                _ => {}
            }
        }
        if self.r#where.is_some() {
            (views, checks) = Default::default();
        }
        let columns = self.path.get(1..).unwrap_or_default();
        let open = |change| Differing::open(&repo, change, columns, self.r#where.as_deref());
        let tables = changes.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let others = describe::others(&views, &checks);
        let differs = match (&self.html, !markdown && (self.format.is_some() || self.output.is_some())) {
            (Some(path), _) => {
                let versions = (version(&repo, from.as_deref().or(Some("HEAD")))?, version(&repo, to.as_deref())?);
                self.page(context, &repo, path, versions, tables, &others)?
            }
            (None, true) => self.file(context, tables)?,
            (None, false) => self.tell(context, &repo, &tables, &others)?,
        };
        if differs && self.exit_code { Err(CliError::no("")) } else { Ok(()) }
    }

    /// As text or JSON lines; returns whether anything differs.
    fn tell(&self, context: &Context, repo: &Repo, tables: &[Differing], others: &[TableChange]) -> Result<bool, CliError> {
        let (json, paint) = (context.ui.json, context.ui.paint);
        let mut out = context.ui.page();
        if json && !self.stat && !self.summary {
            let differs = lines::write_all(tables, others, &mut out, self.limit.unwrap_or(u64::MAX))?;
            out.finish()?;
            return Ok(differs);
        }
        let mut differs = !others.is_empty();
        let markdown = self.stat && self.format.is_some();
        // A heading without a table under it says nothing.
        let mut heading = (markdown).then_some("| | table | what changed |\n|---|---|---|");
        let mut row = |out: &mut dyn Write, line: &TableChange| -> Result<(), CliError> {
            if let Some(heading) = heading.take() {
                writeln!(out, "{heading}")?;
            }
            Ok(writeln!(out, "{}", line.markdown())?)
        };
        for table in tables {
            let limit = if self.stat { 0 } else { self.limit.unwrap_or(TEXT_ROWS) };
            let (line, counted) = if self.summary {
                (describe::summary(repo, table)?, None)
            } else {
                let (counts, first) = count(&table.rows, table.filter(u64::MAX), limit)?;
                (describe::compared(repo, table, counts.clone())?, Some((counts, first)))
            };
            let any = table.is_other_table() || line.is_any();
            if !any && !line.is_rewritten() {
                continue;
            }
            differs |= any;
            if json {
                writeln!(out, "{}", line.json())?;
                continue;
            }
            if markdown {
                row(&mut out, &line)?;
                continue;
            }
            writeln!(out, "{}", line.line(paint))?;
            if let Some((counts, first)) = counted {
                text::write(context, &mut out, table, &counts, &first)?;
            }
        }
        for other in others {
            match (json, markdown) {
                (true, _) => writeln!(out, "{}", other.json())?,
                (_, true) => row(&mut out, other)?,
                _ => writeln!(out, "{}", other.line(paint))?,
            }
        }
        if markdown && !differs {
            writeln!(out, "No data differs.")?;
        }
        out.finish()?;
        if !differs && !json && !markdown {
            context.ui.note("Nothing differs");
        }
        Ok(differs)
    }

    /// As a page; returns whether anything differs.
    fn page(
        &self,
        context: &Context,
        repo: &Repo,
        path: &Path,
        (before, after): (page::Version, page::Version),
        tables: Vec<Differing>,
        others: &[TableChange],
    ) -> Result<bool, CliError> {
        let plain = Paint { on: false };
        let mut sections: Vec<page::Section> = Vec::new();
        for table in tables {
            let counts = count(&table.rows, table.filter(u64::MAX), 0)?.0;
            let line = describe::compared(repo, &table, counts.clone())?;
            if table.is_other_table() || line.is_any() {
                sections.push((table, line.line(plain).trim().to_owned(), counts));
            }
        }
        let others: Vec<String> = others.iter().map(|other| other.line(plain).trim().to_owned()).collect();
        let differs = !sections.is_empty() || !others.is_empty();
        let path = context.path(path);
        answer::refuse_taken(&path, self.force)?;
        let failed = |e: std::io::Error| CliError::fault(format!("{}: {e}", path.display()));
        // It appears whole or not at all.
        let beside = path.with_extension("html.part");
        let written = File::create(&beside).map_err(failed).and_then(|file| {
            let mut file = BufWriter::new(file);
            page::write(&mut file, &before, &after, &others, sections, self.limit.unwrap_or(PAGE_ROWS))?;
            file.flush().map_err(failed)?;
            std::fs::rename(&beside, &path).map_err(failed)
        });
        if let Err(error) = written {
            let _ = std::fs::remove_file(&beside);
            return Err(error);
        }
        context.ui.note(format!("Wrote {}", path.display()));
        Ok(differs)
    }

    /// The rows of one table as a file, or to stdout; returns whether there are any.
    fn file(&self, context: &Context, tables: Vec<Differing>) -> Result<bool, CliError> {
        let mut tables = tables.into_iter();
        let (table, more) = (tables.next(), tables.next());
        let Some(table) = table.filter(|_| more.is_none()) else {
            let found = if more.is_some() { "more than one table differs" } else { "no table differs" };
            return Err(CliError::usage(format!("{found}, and a file holds the rows of one")).hint("name it at the end: -- TABLE"));
        };
        let path = self.output.as_deref();
        let form = match (&self.format, path) {
            (Some(format), _) => Some(Form::parse(format)?),
            (None, Some(path)) => Form::of_path(path),
            (None, None) => None,
        };
        let nested = matches!(form, Some(Form::File(FileFormat::Parquet | FileFormat::Arrow | FileFormat::JsonLines | FileFormat::Json)));
        let (schema, batches) = file::batches(&table, self.limit.unwrap_or(u64::MAX), !nested)?;
        let mut any = false;
        let mut batches = batches.inspect(|batch| any |= batch.as_ref().is_ok_and(|b| b.num_rows() > 0));
        match path {
            Some(path) => answer::save(context, path, form, self.force, &schema, &mut batches, &context.ui.progress())?,
            None => drop(answer::print(context, form.unwrap_or(Form::Table), &schema, &mut batches)?),
        }
        drop(batches);
        Ok(any)
    }
}

/// A version as the head of a page tells it; `None` is the working state.
fn version(repo: &Repo, revision: Option<&str>) -> Result<page::Version, CliError> {
    let Some(revision) = revision else { return Ok(page::Version { name: "working state".to_owned(), about: "not committed yet".to_owned() }) };
    let id = match repo.resolve(revision) {
        Ok(id) => id,
        // A branch without a commit starts from nothing.
        Err(_) if revision == "HEAD" => return Ok(page::Version { name: "nothing".to_owned(), about: "no commit yet".to_owned() }),
        Err(error) => return Err(error.into()),
    };
    let commit = repo.commit_of(id)?;
    let date = format::git_date(commit.author.millis, commit.author.offset_minutes);
    let name = if revision == id.to_string() { short(&id) } else { revision.to_owned() };
    Ok(page::Version { name, about: format!("{} by {}, {date}: {}", short(&id), commit.author.name, commit.subject()) })
}

/// What to compare: `None` first for HEAD, second for the working state.
fn sides(repo: &Repo, revisions: &[String]) -> Result<(Option<String>, Option<String>), CliError> {
    let name = |text: &str| if text.is_empty() { "HEAD".to_owned() } else { text.to_owned() };
    match revisions {
        [] => Ok((None, None)),
        [one] => {
            if let Some((a, b)) = one.split_once("...") {
                let (a, b) = (repo.resolve(&name(a))?, repo.resolve(&name(b))?);
                let base = repo.graph().merge_bases(a, b).map_err(crate::repo::RepoError::from)?.first().copied();
                let base = base.ok_or_else(|| CliError::usage(format!("'{one}': the two have no commit in common")))?;
                return Ok((Some(base.to_string()), Some(b.to_string())));
            }
            match one.split_once("..") {
                Some((a, b)) => Ok((Some(name(a)), Some(name(b)))),
                None => Ok((Some(one.clone()), None)),
            }
        }
        [a, b] => Ok((Some(a.clone()), Some(b.clone()))),
        [_, _, more, ..] => Err(CliError::usage(format!("two revisions can be compared, not '{more}' as well; a table goes after --"))),
    }
}

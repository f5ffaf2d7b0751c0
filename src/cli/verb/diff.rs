//! `dsv diff`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use serde_json::{Map, Value, json};

use crate::base::TableObjectId;
use crate::cli::context::Context;
use crate::cli::describe;
use crate::cli::error::CliError;
use crate::cli::page;
use crate::cli::ui::cell::{Cell, Printer};
use crate::cli::ui::format;
use crate::cli::ui::paint::Paint;
use crate::cli::ui::table::{Heading, draw};
use crate::cli::ui::words::marked;
use crate::cli::value;
use crate::format::Type;
use crate::history::short;
use crate::repo::{Change, NameChange, Repo, RepoError, changed_checks, changed_tables, changed_views};
use crate::table::Table;
use crate::table::diff::{SchemaChange, TableDiff, diff, schema_changes};

/// Rows read at a time.
const ROWS: usize = 256;
/// Rows of a table that a page shows unless more are asked for.
const PAGE_ROWS: usize = 200;

/// Show what changed, down to the cell
///
/// Without a revision: what is not committed yet. With one: what differs between it and the working state. With two, or A..B: between them; A...B: what B
/// changed since it left A. After --, a table and columns of it. --html writes one page that needs nothing else, with pictures before and after.
///
/// With --json, a line for each change: {"table", "change": "added|removed|changed|schema", "key" or "row", "column", "before", "after"}; an added or
/// removed row is one line, its cells an object; bytes are {"type", "bytes_total", "blake3"}.
///
/// Examples:
///
///   dsv diff
///   dsv diff main~3
///   dsv diff v1.0 main -- frames label
///   dsv diff main...relabel --stat
///   dsv diff v1.0 main --html changes.html
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Diff {
    /// The revisions to compare
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Only a line a table
    #[arg(long)]
    stat: bool,
    /// Write a page for a browser, with small pictures before and after
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stat", "json"])]
    html: Option<PathBuf>,
    /// Write over a page that exists
    #[arg(short, long, requires = "html")]
    force: bool,
    /// Exit with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
    /// At most so many added rows, removed rows and changed cells a table (with --json: all, if this is not given)
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// A table, and columns of it
    #[arg(last = true, value_name = "TABLE [COLUMN]")]
    path: Vec<String>,
}

impl Diff {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
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
            if !before.tables.contains_key(table) && !after.tables.contains_key(table) {
                // Says so, with the names that come near.
                repo.table(table, to.as_deref())?;
            }
            changes.retain(|change| change.name == *table);
            (views, checks) = Default::default();
        }
        let columns = self.path.get(1..).unwrap_or_default();
        let mut out = context.ui.page();
        let described = describe::tables(&repo, &changes)?;
        let views = describe::others(&views, &checks);
        let mut differs = !views.is_empty();
        if let Some(path) = &self.html {
            let others: Vec<String> = views.iter().map(|view| view.line(context.ui.plain().paint).trim().to_owned()).collect();
            let sections = changes.iter().zip(&described).map(|(change, summary)| section(&repo, change, summary, columns)).collect::<Result<Vec<_>, _>>()?;
            differs |= sections.iter().any(|section| section.total > 0 || section.differs);
            let (before, after) = (version(&repo, from.as_deref().or(Some("HEAD")))?, version(&repo, to.as_deref())?);
            let failed = |e: std::io::Error| CliError::fault(format!("{}: {e}", path.display()));
            let path = context.path(path);
            if path.is_file() && !self.force {
                return Err(CliError::usage(format!("'{}' exists already", path.display())).hint("--force writes over it"));
            }
            // It appears whole or not at all.
            let beside = path.with_extension("html.part");
            let written = File::create(&beside).map_err(failed).and_then(|file| {
                let mut file = BufWriter::new(file);
                page::write(&mut file, &before, &after, &others, sections, self.limit.unwrap_or(PAGE_ROWS) as u64)?;
                file.flush().map_err(failed)?;
                std::fs::rename(&beside, &path).map_err(failed)
            });
            if let Err(error) = written {
                let _ = std::fs::remove_file(&beside);
                return Err(error);
            }
            context.ui.note(format!("Wrote {}", path.display()));
            return if differs && self.exit_code { Err(CliError::no("")) } else { Ok(()) };
        }
        for (change, summary) in changes.iter().zip(&described) {
            let pair = match &change.change {
                Change::Added(new) => (None, Some(*new)),
                Change::Removed(old) => (Some(*old), None),
                Change::Changed(old, new) => (Some(*old), Some(*new)),
                Change::Renamed(_, same) => (Some(*same), Some(*same)),
            };
            let found = TablePair::open(&repo, &change.name, pair, columns)?;
            differs |= found.differs() || matches!(change.change, Change::Renamed(..));
            if context.ui.json && !self.stat {
                found.lines(&mut out, self.limit.unwrap_or(usize::MAX))?;
            } else if context.ui.json {
                writeln!(out, "{}", summary.json())?;
            } else {
                writeln!(out, "{}", summary.line(context.ui.paint))?;
                if !self.stat {
                    found.draw(context, &mut out, self.limit.unwrap_or(10))?;
                }
            }
        }
        for view in &views {
            if context.ui.json { writeln!(out, "{}", view.json())? } else { writeln!(out, "{}", view.line(context.ui.paint))? }
        }
        out.finish()?;
        if !differs && !context.ui.json {
            context.ui.note("Nothing differs");
        }
        if differs && self.exit_code { Err(CliError::no("")) } else { Ok(()) }
    }
}

/// A table as a section of a page.
fn section(repo: &Repo, change: &NameChange<TableObjectId>, summary: &describe::TableChange, columns: &[String]) -> Result<page::Section, CliError> {
    let (old, new) = match &change.change {
        Change::Added(new) => (None, Some(*new)),
        Change::Removed(old) => (Some(*old), None),
        Change::Changed(old, new) => (Some(*old), Some(*new)),
        Change::Renamed(_, same) => (Some(*same), Some(*same)),
    };
    let mut rows = repo.row_diff(old, new)?;
    let newest = rows.new_state().or(rows.old());
    let key: Vec<String> = newest.map(|t| t.schema.key_indices().into_iter().map(|i| t.schema.columns[i].name.clone()).collect()).unwrap_or_default();
    if !columns.is_empty() {
        let shown: Vec<String> = key.iter().chain(columns).cloned().collect();
        rows = rows.compare(columns)?.show(&shown)?;
    }
    let mut total = 0;
    for row in rows.rows()? {
        row.map_err(RepoError::from)?;
        total += 1;
    }
    let mut schema = rows.old().zip(rows.new_state()).map(|(old, new)| schema_changes(old, new)).unwrap_or_default();
    if !columns.is_empty() {
        schema.retain(|change| concerns(change, columns));
    }
    let differs = !schema.is_empty() || !matches!(change.change, Change::Changed(..));
    let schema = schema.iter().map(|change| match change {
        SchemaChange::Added { name, ty } => format!("new column {name}: {ty}"),
        SchemaChange::Dropped { name, ty } => format!("column {name} dropped ({ty})"),
        SchemaChange::Renamed { from, to } => format!("column {from} is called {to}"),
        SchemaChange::Retyped { name, from, to } => format!("column {name} is {to}, was {from}"),
    });
    let schema = schema.collect();
    let line = summary.line(Paint { on: false });
    Ok(page::Section { name: change.name.clone(), summary: line.trim().to_owned(), schema, key, rows, total, differs })
}

/// Whether a change of the columns is about one of these.
fn concerns(change: &SchemaChange, columns: &[String]) -> bool {
    match change {
        SchemaChange::Added { name, .. } | SchemaChange::Dropped { name, .. } | SchemaChange::Retyped { name, .. } => columns.contains(name),
        SchemaChange::Renamed { from, to } => columns.contains(from) || columns.contains(to),
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

/// Two states of a table, and how they differ.
struct TablePair<'a> {
    repo: &'a Repo,
    name: &'a str,
    old: Option<Arc<Table>>,
    new: Option<Arc<Table>>,
    diff: TableDiff,
}

impl<'a> TablePair<'a> {
    fn open(repo: &'a Repo, name: &'a str, pair: (Option<TableObjectId>, Option<TableObjectId>), columns: &[String]) -> Result<TablePair<'a>, CliError> {
        let objects = repo.objects();
        let load = |id: Option<TableObjectId>| id.map(|id| Table::load(objects, id).map(Arc::new)).transpose();
        let (old, new) = (load(pair.0)?, load(pair.1)?);
        let mut found = match (&old, &new) {
            (Some(old), Some(new)) => diff(objects, old, new)?,
            (Some(one), None) => TableDiff { removed: live(repo, one)?, ..TableDiff::default() },
            (None, Some(one)) => TableDiff { added: live(repo, one)?, ..TableDiff::default() },
            (None, None) => TableDiff::default(),
        };
        if !columns.is_empty() {
            let states = [&new, &old];
            for column in columns {
                // A column that was dropped is known to the older state.
                let known = states.iter().filter_map(|state| state.as_ref()).map(|table| table.schema.index(column));
                known.reduce(|one, other| one.or(other)).transpose()?;
            }
            let named =
                |table: &Option<Arc<Table>>, index: usize| table.as_ref().and_then(|t| t.schema.columns.get(index)).is_some_and(|c| columns.contains(&c.name));
            found.changed.retain(|change| named(&new, change.new) || named(&old, change.old));
            found.schema.retain(|change| concerns(change, columns));
            (found.added, found.removed) = Default::default();
        }
        Ok(TablePair { repo, name, old, new, diff: found })
    }

    fn differs(&self) -> bool {
        !self.diff.is_empty() || self.old.is_some() != self.new.is_some()
    }

    /// Calls `each` for up to `limit` of these slots, a batch at a time: the cells, and the rows' ids.
    fn rows(&self, table: &Table, slots: &[u64], mut each: impl FnMut(&RecordBatch, &[String]) -> Result<(), CliError>) -> Result<(), CliError> {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        for part in slots.chunks(ROWS) {
            let batch = table.take(self.repo.objects(), part, &columns)?;
            let ids = self.ids(table, part)?;
            each(&batch, &ids)?;
        }
        Ok(())
    }

    fn ids(&self, table: &Table, slots: &[u64]) -> Result<Vec<String>, CliError> {
        let id = |slot: &u64| Ok(table.row_ids(self.repo.objects(), *slot..slot + 1)?.first().map(ToString::to_string).unwrap_or_default());
        slots.iter().map(id).collect()
    }

    /// A row's key as an object, or its id.
    fn row_name(&self, table: &Table, slot: u64) -> Result<(&'static str, Value), CliError> {
        let key = table.schema.key_indices();
        if key.is_empty() {
            return Ok(("row", json!(self.ids(table, &[slot])?.first())));
        }
        let cells = table.take(self.repo.objects(), &[slot], &key)?;
        let mut object = Map::new();
        for (i, cell) in key.iter().zip(cells.columns()) {
            let column = &table.schema.columns[*i];
            object.insert(column.name.clone(), value::json(&column.ty, cell, 0)?);
        }
        Ok(("key", Value::Object(object)))
    }

    /// One JSON line a change.
    fn lines(&self, out: &mut dyn Write, limit: usize) -> Result<(), CliError> {
        for change in &self.diff.schema {
            let (column, before, after) = match change {
                SchemaChange::Added { name, ty } => (name, None, Some(ty.to_string())),
                SchemaChange::Dropped { name, ty } => (name, Some(ty.to_string()), None),
                SchemaChange::Renamed { from, to } => (to, Some(from.clone()), Some(to.clone())),
                SchemaChange::Retyped { name, from, to } => (name, Some(from.to_string()), Some(to.to_string())),
            };
            writeln!(out, "{}", json!({ "table": self.name, "change": "schema", "row": null, "column": column, "before": before, "after": after }))?;
        }
        for (table, ranges, change, side) in [(&self.old, &self.diff.removed, "removed", "before"), (&self.new, &self.diff.added, "added", "after")] {
            let Some(table) = table else { continue };
            let slots: Vec<u64> = ranges.iter().flat_map(Clone::clone).take(limit).collect();
            let mut at = 0;
            self.rows(table, &slots, |batch, _| {
                for row in 0..batch.num_rows() {
                    let mut cells = Map::new();
                    for (column, array) in table.schema.columns.iter().zip(batch.columns()) {
                        cells.insert(column.name.clone(), value::json(&column.ty, array, row)?);
                    }
                    let (kind, name) = self.row_name(table, slots[at])?;
                    at += 1;
                    let (before, after) = if side == "before" { (Value::Object(cells), Value::Null) } else { (Value::Null, Value::Object(cells)) };
                    writeln!(out, "{}", json!({ "table": self.name, "change": change, kind: name, "column": null, "before": before, "after": after }))?;
                }
                Ok(())
            })?;
        }
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return Ok(()) };
        let mut told = 0;
        for change in &self.diff.changed {
            let (was, is) = (&old.schema.columns[change.old], &new.schema.columns[change.new]);
            for (a, b) in change.cells.iter().take(limit - told) {
                told += 1;
                let before = value::json(&was.ty, old.take(self.repo.objects(), &[*a], &[change.old])?.column(0), 0)?;
                let after = value::json(&is.ty, new.take(self.repo.objects(), &[*b], &[change.new])?.column(0), 0)?;
                let (kind, name) = self.row_name(new, *b)?;
                writeln!(out, "{}", json!({ "table": self.name, "change": "changed", kind: name, "column": is.name, "before": before, "after": after }))?;
            }
        }
        Ok(())
    }

    /// Tables of the rows and cells, the first of each kind.
    fn draw(&self, context: &Context, out: &mut dyn Write, limit: usize) -> Result<(), CliError> {
        for (table, ranges, sign) in [(&self.old, &self.diff.removed, "-"), (&self.new, &self.diff.added, "+")] {
            let Some(table) = table else { continue };
            let total: u64 = ranges.iter().map(|r| r.end - r.start).sum();
            let slots: Vec<u64> = ranges.iter().flat_map(Clone::clone).take(limit).collect();
            if slots.is_empty() {
                continue;
            }
            let mut rows = Vec::new();
            self.rows(table, &slots, |batch, _| {
                let schema = batch.schema();
                let printers = schema.fields().iter().zip(batch.columns()).map(|(field, array)| Printer::new(field, array)).collect::<Result<Vec<_>, _>>();
                let printers = printers.map_err(|e| CliError::fault(e.to_string()))?;
                rows.extend(
                    (0..batch.num_rows()).map(|row| std::iter::once(Cell::plain(sign)).chain(printers.iter().map(|p| p.cell(row))).collect::<Vec<_>>()),
                );
                Ok(())
            })?;
            let headings = std::iter::once(Heading::left("")).chain(table.schema.columns.iter().map(|c| Heading::left(&c.name))).collect();
            draw(&context.ui, out, headings, &rows)?;
            more(out, total, slots.len(), "row")?;
        }
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return Ok(()) };
        let total = self.diff.cells_changed();
        let mut rows = Vec::new();
        for change in &self.diff.changed {
            let (was, is) = (&old.schema.columns[change.old], &new.schema.columns[change.new]);
            for (a, b) in change.cells.iter().take(limit.saturating_sub(rows.len())) {
                let (before, after) = (old.take(self.repo.objects(), &[*a], &[change.old])?, new.take(self.repo.objects(), &[*b], &[change.new])?);
                let name = match self.row_name(new, *b)?.1 {
                    Value::Object(key) => key.iter().map(|(name, cell)| format!("{name}={}", plain(cell))).collect::<Vec<_>>().join(", "),
                    other => plain(&other),
                };
                let cell = |ty: &Type, batch: &RecordBatch| -> Result<Cell, CliError> {
                    Ok(Printer::new(&ty.field("", true), batch.column(0)).map_err(|e| CliError::fault(e.to_string()))?.cell(0))
                };
                let (mut old_cell, mut new_cell) = (cell(&was.ty, &before)?, cell(&is.ty, &after)?);
                if let Some(told) = told_apart((&was.ty, before.column(0)), (&is.ty, after.column(0))) {
                    (old_cell, new_cell) = told;
                }
                rows.push(vec![Cell::plain(name), Cell::plain(&is.name), old_cell, new_cell]);
            }
        }
        if !rows.is_empty() {
            let shown = rows.len();
            draw(&context.ui, out, ["row", "column", "before", "after"].map(Heading::left).to_vec(), &rows)?;
            more(out, total, shown, "cell")?;
        }
        Ok(())
    }
}

/// Texts of more characters are shown by their words that differ.
const LONG: usize = 40;

/// Two cells by what tells them apart: long texts by their words, bytes by a hash, vectors by how far they moved. `None` where their values say it.
fn told_apart((was, before): (&Type, &ArrayRef), (is, after): (&Type, &ArrayRef)) -> Option<(Cell, Cell)> {
    if before.is_null(0) || after.is_null(0) {
        return None;
    }
    if let (Some(a), Some(b)) = (before.as_string_opt::<i32>(), after.as_string_opt::<i32>()) {
        let (a, b) = (a.value(0), b.value(0));
        let is_long = a.chars().nth(LONG).is_some() || b.chars().nth(LONG).is_some();
        return is_long.then(|| (Cell::note("words:"), Cell::plain(marked(a, b, Paint { on: false }))));
    }
    if let (Some(a), Some(b)) = (before.as_binary_opt::<i32>(), after.as_binary_opt::<i32>()) {
        let hashed = |ty: &Type, array: &ArrayRef, bytes: &[u8]| {
            let field = ty.field("", true);
            let shown = Printer::new(&field, array).map(|printer| printer.cell(0)).unwrap_or_else(|_| Cell::null());
            Cell::note(format!("{} {:.8}", shown.text, blake3::hash(bytes).to_hex()))
        };
        return Some((hashed(was, before, a.value(0)), hashed(is, after, b.value(0))));
    }
    let vector = |array: &ArrayRef| -> Option<Vec<f64>> {
        let cell = array.as_fixed_size_list_opt()?.value(0);
        let numbers = arrow::compute::cast(&cell, &arrow::datatypes::DataType::Float64).ok()?;
        Some(numbers.as_primitive_opt::<arrow::datatypes::Float64Type>()?.iter().map(|x| x.unwrap_or(f64::NAN)).collect())
    };
    let (a, b) = (vector(before)?, vector(after)?);
    if a.len() != b.len() {
        return None;
    }
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let l2 = a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt();
    let mut told = format!("moved by {} (L2)", format::brief(l2));
    // A vector of zeros has no direction.
    let lengths = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if lengths > 0.0 {
        told.push_str(&format!(", {} (cosine distance)", format::brief(1.0 - dot(&a, &b) / lengths)));
    }
    Some((Cell::note(format!("{} numbers", a.len())), Cell::note(told)))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn more(out: &mut dyn Write, total: u64, shown: usize, what: &str) -> Result<(), CliError> {
    let left = total.saturating_sub(shown as u64);
    if left > 0 {
        writeln!(out, "  ... and {} more; -n N shows more", format::plural(left, what))?;
    }
    Ok(())
}

fn live(repo: &Repo, table: &Table) -> Result<Vec<Range<u64>>, CliError> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for slot in table.live_slots(repo.objects())? {
        match ranges.last_mut() {
            Some(last) if last.end == slot => last.end += 1,
            _ => ranges.push(slot..slot + 1),
        }
    }
    Ok(ranges)
}

//! `dsv log`.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::refs::{labels, labels_json};
use crate::cli::ui::format;
use crate::cli::ui::paint::Paint;
use crate::cli::ui::table::width;
use crate::history::lanes::{self, Style};
use crate::history::short;
use crate::repo::git::Code;
use crate::repo::{LogEntry, LogOptions};

/// Show the commits that led here, newest first
///
/// REV is a revision (default HEAD), or a range A..B: the commits of B that are not in A. After --, a table and columns: only commits that changed them.
///
/// With --row, what each commit did to that row, with its cells before and after.
///
/// With --json, a line for each commit: {"commit", "parents", "author": {"name", "email"}, "time", "message", "refs"}, with --code {"code": {"commit", "dirty"}} as well; with --row {"commit", "change",
/// "columns", "before", "after", ...}.
///
/// Examples:
///
///   dsv log
///   dsv log --oneline --graph --all
///   dsv log -n 5 v1.0..main
///   dsv log -- birds                    only what changed the table
///   dsv log main -- birds label         only what changed its column label
///   dsv log --row 17 -- birds           what became of one row
///   dsv log --code                      which code in Git each commit was made at
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Log {
    /// A revision or a range
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Draw the lines of history beside the commits
    #[arg(long)]
    graph: bool,
    /// One line a commit
    #[arg(long)]
    oneline: bool,
    /// At most so many commits
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
    /// From all branches and tags
    #[arg(long)]
    all: bool,
    /// Only what happened to one row of the table: its key's cells, separated by commas, or its row id
    #[arg(long, value_name = "ROW", requires = "path", conflicts_with_all = ["graph", "all"])]
    row: Option<String>,
    /// Tell which code in Git each commit was made at
    #[arg(long, conflicts_with = "row")]
    code: bool,
    /// A table, and columns of it
    #[arg(last = true, value_name = "TABLE [COLUMN]")]
    path: Vec<String>,
}

impl Log {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        if let (Some(row), Some(table)) = (&self.row, self.path.first()) {
            return super::row_log::show(context, &repo, table, row, &self.revisions, self.max_count);
        }
        let (tables, columns) = match self.path.split_first() {
            Some((table, columns)) => (vec![table.clone()], columns.to_vec()),
            None => (Vec::new(), Vec::new()),
        };
        let options =
            LogOptions { ranges: self.revisions, all: self.all, limit: self.max_count, topological: self.graph, tables, columns, first_parent: false };
        let entries = repo.log(&options)?;
        // Where Git cannot be read, its commits are told by their ids.
        let git = self.code.then(|| Code::around(context.dir()).ok().flatten()).flatten();
        let mut out = context.ui.page();
        let paint = context.ui.paint;
        if context.ui.json {
            for entry in &entries {
                let mut line = entry_json(entry);
                if self.code {
                    line["code"] = made_at(entry).map_or(Value::Null, |(commit, dirty)| json!({ "commit": commit, "dirty": dirty }));
                }
                writeln!(out, "{line}")?;
            }
            return Ok(out.finish()?);
        }
        let drawn = if self.graph {
            let commits: Vec<_> = entries.iter().map(|e| (e.id, e.shown_parents.clone())).collect();
            lanes::draw(&commits, Style::Unicode)
        } else {
            Vec::new()
        };
        if entries.is_empty() {
            context.ui.note("No commit to show");
        }
        for (i, entry) in entries.iter().enumerate() {
            let labels = labels(&entry.refs, paint);
            let mut text = Vec::new();
            if self.oneline {
                let labels = if labels.is_empty() { labels } else { format!("{labels} ") };
                writeln!(text, "{} {labels}{}", paint.id(short(&entry.id)), format::one_line(entry.commit.subject()))?;
                if self.code {
                    writeln!(text, "    {}", code_text(entry, git.as_ref()))?;
                }
            } else {
                write_entry(&mut text, paint, entry, &labels)?;
                if self.code {
                    writeln!(text, "\n    {}", code_text(entry, git.as_ref()))?;
                }
                if i + 1 < entries.len() {
                    writeln!(text)?;
                }
            }
            match drawn.get(i) {
                None => out.write_all(&text)?,
                Some(row) => beside(&mut out, row, &text, paint)?,
            }
        }
        Ok(out.finish()?)
    }
}

/// The commit of Git's that a commit was made at, and whether the code differed from it.
fn made_at(entry: &LogEntry) -> Option<(&str, bool)> {
    let source = &entry.commit.source;
    Some((source.get("code.commit")?, source.contains_key("code.dirty")))
}

/// The same for people: named as Git does, where it has the commit.
fn code_text(entry: &LogEntry, git: Option<&Code>) -> String {
    let Some((commit, dirty)) = made_at(entry) else { return "Code: none".to_owned() };
    let dirty = if dirty { ", with changes" } else { "" };
    match git.and_then(|git| git.subject(commit)) {
        Some((short, subject)) => format!("Code: {short} {}{dirty}", format::one_line(&subject)),
        None => format!("Code: {}{dirty}", format::one_line(commit)),
    }
}

/// The drawing at the left of an entry's text.
fn beside(out: &mut dyn Write, row: &lanes::Row, text: &[u8], paint: Paint) -> io::Result<()> {
    let text = String::from_utf8_lossy(text);
    let wide = [Some(&row.node), Some(&row.beside), row.link.as_ref()].into_iter().flatten().map(|s| width(s)).max().unwrap_or(0);
    for (i, line) in text.lines().enumerate() {
        let lane = if i == 0 { &row.node } else { &row.beside };
        let pad = " ".repeat(wide - width(lane));
        writeln!(out, "{}", format!("{}{pad} {line}", paint.dim(lane)).trim_end())?;
    }
    row.link.iter().try_for_each(|link| writeln!(out, "{}", paint.dim(link)))
}

/// A commit in full, as `log` and `show` print it.
pub fn write_entry(out: &mut dyn Write, paint: Paint, entry: &LogEntry, labels: &str) -> io::Result<()> {
    let commit = &entry.commit;
    let labels = if labels.is_empty() { String::new() } else { format!(" {labels}") };
    writeln!(out, "{}{labels}", paint.id(format!("commit {}", entry.id)))?;
    if let [_, _, ..] = commit.parents.as_slice() {
        let parents: Vec<String> = commit.parents.iter().map(short).collect();
        writeln!(out, "Merge:  {}", parents.join(" "))?;
    }
    writeln!(out, "Author: {} <{}>", format::one_line(&commit.author.name), format::one_line(&commit.author.email))?;
    writeln!(out, "Date:   {}", format::git_date(commit.author.millis, commit.author.offset_minutes))?;
    writeln!(out)?;
    commit.message.lines().try_for_each(|line| writeln!(out, "{}", format!("    {}", format::one_line(line)).trim_end()))
}

/// A commit as one JSON object.
pub fn entry_json(entry: &LogEntry) -> serde_json::Value {
    let commit = &entry.commit;
    let parents: Vec<String> = commit.parents.iter().map(|p| p.to_string()).collect();
    json!({
        "commit": entry.id.to_string(), "parents": parents,
        "author": {"name": commit.author.name, "email": commit.author.email},
        "time": format::iso_date(commit.author.millis, commit.author.offset_minutes),
        "message": commit.message, "refs": labels_json(&entry.refs),
    })
}

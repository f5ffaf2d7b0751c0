//! `dsv show`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::describe;
use crate::cli::error::CliError;
use crate::cli::look::Look;
use crate::cli::refs::labels;
use crate::cli::ui::format;

/// Show a commit, and what it changed
///
/// REV may also be a tag, or REV:TABLE for the first rows of a table as it was.
///
/// Examples:
///
///   dsv show                     the commit checked out
///   dsv show main~2
///   dsv show v1.0
///   dsv show v1.0:birds
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// A revision, or REV:TABLE
    #[arg(value_name = "REV", default_value = "HEAD")]
    revision: String,
}

impl Show {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        if let Some((revision, table)) = self.revision.split_once(':').filter(|(revision, table)| !revision.is_empty() && !table.is_empty()) {
            let look = Look { table: table.to_owned(), at: Some(revision.to_owned()), columns: Vec::new() };
            return super::head::first(context, &repo, &look, 10);
        }
        let shown = repo.show(&self.revision)?;
        let changes = describe::tables(&repo, &shown.tables)?;
        let views = describe::others(&shown.views, &shown.checks);
        let commit = &shown.entry.commit;
        let mut out = context.ui.page();
        if context.ui.json {
            let mut line = super::log::entry_json(&shown.entry);
            line["tables"] = changes.iter().map(describe::TableChange::json).collect();
            line["views"] = views.iter().filter(|change| change.what() == "view").map(describe::TableChange::json).collect();
            line["checks"] = views.iter().filter(|change| change.what() == "check").map(describe::TableChange::json).collect();
            line["source"] = json!(commit.source);
            writeln!(out, "{line}")?;
            return Ok(out.finish()?);
        }
        let paint = context.ui.paint;
        if let Some(tag) = &shown.tag {
            writeln!(out, "{}", paint.tag(format!("tag {}", self.revision)))?;
            writeln!(out, "Tagger: {} <{}>", format::one_line(&tag.name), format::one_line(&tag.email))?;
            writeln!(out, "Date:   {}\n", format::git_date(tag.millis, 0))?;
            tag.message.lines().try_for_each(|line| writeln!(out, "    {}", format::one_line(line)))?;
            writeln!(out)?;
        }
        super::log::write_entry(&mut out, paint, &shown.entry, &labels(&shown.entry.refs, paint))?;
        for (name, value) in &commit.source {
            writeln!(out, "    {}", paint.dim(format!("{}: {}", format::one_line(name), format::one_line(value))))?;
        }
        if !(changes.is_empty() && views.is_empty()) {
            writeln!(out)?;
        }
        for change in changes.iter().chain(&views) {
            writeln!(out, "{}", change.line(paint))?;
        }
        Ok(out.finish()?)
    }
}

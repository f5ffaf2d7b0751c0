//! `dsv status`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::describe;
use crate::cli::error::CliError;
use crate::cli::refs::{head_json, head_text};
use crate::cli::ui::format;
use crate::history::short;

/// Show the branch and what is not committed yet
///
/// With --json, a line {"branch", "detached", "commit", "clean"} (and "merging": {"verb", "revision", "conflicts"} while a merge is in progress), then a line for each table that changed: {"table",
/// "change": "added|removed|changed|renamed|rewritten", "from", "rows_before", "rows_after", "rows_added", "rows_removed", "cells_changed", "reordered", "schema",
/// "key"}; "key" names the key's columns where the key changed.
///
/// Examples:
///
///   dsv status
///   dsv status --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Status {
    /// Show it in one line a table
    #[arg(short, long)]
    short: bool,
}

impl Status {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let status = repo.status()?;
        let changes = describe::tables(&repo, &status.tables)?;
        let views = describe::others(&status.views, &status.checks);
        let mut out = context.ui.page();
        let paint = context.ui.paint;
        if context.ui.json {
            let (branch, detached) = head_json(&status.head);
            let mut line = json!({
                "branch": branch, "detached": detached, "commit": status.commit.map(|c| c.to_string()), "clean": status.is_clean(),
            });
            if let Some((merging, left)) = &status.merging {
                line["merging"] = json!({ "verb": merging.verb, "revision": merging.revision, "conflicts": left });
            }
            writeln!(out, "{line}")?;
            for line in changes.iter().chain(&views).map(describe::TableChange::json) {
                writeln!(out, "{line}")?;
            }
            return Ok(out.finish()?);
        }
        if self.short {
            for change in changes.iter().chain(&views) {
                writeln!(out, "{}", change.short(paint))?;
            }
            return Ok(out.finish()?);
        }
        let at = status.commit.map_or("no commit yet".to_owned(), |id| format!("at {}", short(&id)));
        writeln!(out, "On {} {}", paint.current(head_text(&status.head)), paint.dim(format!("({at})")))?;
        if let Some(base) = &status.outdated {
            let base = base.map_or("nothing".to_owned(), |id| short(&id));
            writeln!(out, "{}", paint.warn(format!("The branch has moved since the uncommitted changes were made, on {base}.")))?;
            writeln!(out, "  'dsv reset' puts them on top of where it is now; 'dsv reset --hard' drops them")?;
        }
        if let Some((merging, left)) = &status.merging {
            let verb = &merging.verb;
            let left = if *left == 0 { "no conflict is left".to_owned() } else { format!("{} left", format::plural(*left, "conflict")) };
            writeln!(out, "{}", paint.warn(format!("A {verb} of {} is in progress: {left}", merging.revision)))?;
            writeln!(
                out,
                "  {}",
                paint.dim(format!("('dsv conflicts' lists them, 'dsv resolve' settles them; 'dsv {verb} --continue' or '--abort' ends it)"))
            )?;
        }
        if status.is_clean() {
            writeln!(out, "Nothing to commit")?;
            return Ok(out.finish()?);
        }
        if status.tables.is_empty() && status.views.is_empty() {
            return Ok(out.finish()?);
        }
        writeln!(out, "\nNot committed yet:")?;
        writeln!(out, "  {}", paint.dim("('dsv commit -m MESSAGE' records it, 'dsv restore TABLE' forgets it)"))?;
        for change in changes.iter().chain(&views) {
            writeln!(out, "{}", change.line(paint))?;
        }
        Ok(out.finish()?)
    }
}

//! `dsv tag`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::cli::ui::table::width;
use crate::history::short;
use crate::repo::Repo;

/// List, create or delete tags
///
/// A tag is a name that does not move.
///
/// With --json, a line for each tag: {"tag", "commit", "message", "tagger", "time"}.
///
/// Examples:
///
///   dsv tag                              list
///   dsv tag v1.0                         here
///   dsv tag v1.0 main~3 -m "first release"
///   dsv tag -d v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Tag {
    /// The new tag; without it, tags are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What it names
    #[arg(value_name = "REV", default_value = "HEAD", hide_default_value = true)]
    revision: String,
    /// A message
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Delete the tag
    #[arg(short, long, requires = "name", conflicts_with_all = ["message", "force"])]
    delete: bool,
    /// Move a tag that exists
    #[arg(short, long)]
    force: bool,
    /// List tags
    #[arg(short, long, conflicts_with_all = ["name", "delete", "message"])]
    list: bool,
}

impl Tag {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let Some(name) = self.name else { return list(context, &repo) };
        if self.delete {
            let commit = repo.delete_tag(&name)?;
            context.ui.note(format!("Deleted tag {name} (was {})", short(&commit)));
            return Ok(());
        }
        let commit = repo.create_tag(&name, Some(&self.revision), self.message.as_deref(), self.force)?;
        context.ui.note(format!("Tag {name} is at {}", short(&commit)));
        Ok(())
    }
}

fn list(context: &Context, repo: &Repo) -> Result<(), CliError> {
    let tags = repo.tags()?;
    let mut out = context.ui.page();
    let wide = tags.iter().map(|t| width(&t.name)).max().unwrap_or(0);
    for info in &tags {
        let tag = &info.tag;
        if context.ui.json {
            let line = json!({
                "tag": info.name, "commit": tag.commit.to_string(), "message": tag.message,
                "tagger": {"name": tag.name, "email": tag.email}, "time": format::iso_date(tag.millis, 0),
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let pad = " ".repeat(wide - width(&info.name));
        let subject = format::one_line(tag.message.lines().next().unwrap_or(""));
        let line = format!("{}{pad} {} {subject}", context.ui.paint.tag(&info.name), context.ui.paint.id(short(&tag.commit)));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(out.finish()?)
}

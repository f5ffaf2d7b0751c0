//! `dsv git log`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::history::short;
use crate::repo::git::{Code, PinnedBy, PinsOptions};

use super::places::Place;

/// Show which code used which data
///
/// Lists the commits of Git's that changed the pin, newest first, each with the commit of dsv's that it names. With --all, every commit of Git's that has a pin.
///
/// With --json, a line for each: {"code": {"commit", "author", "time", "subject"}, "path", "pin": {"remote", "branch", "commit"}, "data": {"author", "time", "message"}}; data is null
/// where the commit is not here.
///
/// Examples:
///
///   dsv git log
///   dsv git log -n 5 v2.0
///   dsv git log --all --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Log {
    /// A revision of Git's [default: HEAD]
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// At most so many commits
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
    /// Those also that left the pin as it was
    #[arg(long)]
    all: bool,
}

impl Log {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        let options = PinsOptions { revision: self.revision, limit: self.max_count, unchanged: self.all };
        let places = Place::all(context, &code)?;
        let mut out = context.ui.page();
        let mut any = false;
        for place in &places {
            for entry in code.pinned(&place.path, &options)? {
                any = true;
                write(&mut out, context, place, &entry)?;
            }
        }
        out.finish()?;
        if !any && !context.ui.json {
            context.ui.note("No commit of Git's has a pin");
        }
        if code.is_shallow() {
            context.ui.hint("this is a shallow clone: 'git fetch --unshallow' brings the rest of the history");
        }
        Ok(())
    }
}

fn write(out: &mut impl Write, context: &Context, place: &Place, entry: &PinnedBy) -> Result<(), CliError> {
    let paint = context.ui.paint;
    let data = match (&entry.pin, &place.repo) {
        (Some(pin), Some(repo)) if repo.has_commit(pin.commit)? => Some(repo.commit_of(pin.commit)?),
        _ => None,
    };
    if context.ui.json {
        let pin = entry.pin.as_ref().map(|pin| json!({ "remote": pin.remote, "branch": pin.branch, "commit": pin.commit.to_string() }));
        let data = data.map(|commit| {
            json!({ "author": commit.author.name, "time": format::iso_date(commit.author.millis, commit.author.offset_minutes), "message": commit.message })
        });
        let code = json!({
            "commit": entry.commit, "author": entry.author, "time": format::iso_date(entry.millis, entry.offset_minutes), "subject": entry.subject,
        });
        writeln!(out, "{}", json!({ "code": code, "path": place.path.display().to_string(), "pin": pin, "data": data }))?;
        return Ok(());
    }
    let day: String = format::iso_date(entry.millis, entry.offset_minutes).chars().take(10).collect();
    writeln!(out, "{} {day} {}  {}", paint.id(&entry.short), format::one_line(&entry.author), format::one_line(&entry.subject))?;
    let text = match (&entry.pin, data) {
        (None, _) => "no data".to_owned(),
        (Some(pin), Some(commit)) => format!("{} {}", paint.id(short(&pin.commit)), format::one_line(commit.subject())),
        (Some(pin), None) => format!("{} (not here)", paint.id(short(&pin.commit))),
    };
    let branch = entry.pin.as_ref().and_then(|pin| pin.branch.as_ref()).map(|branch| format!(" [{branch}]")).unwrap_or_default();
    writeln!(out, "    data {text}{branch}")?;
    Ok(())
}

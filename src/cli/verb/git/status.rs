//! `dsv git status`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::history::short;
use crate::repo::git::{Code, Doing};
use crate::repo::pin::Pin;

use super::places::{Place, pin_text, where_from};

/// Tell whether the data goes with the code
///
/// With --json, a line for each pin: {"path", "pin": {"remote", "branch", "commit"}, "data", "matches", "uncommitted", "hooks"}, or {"path", "conflict"}.
///
/// Examples:
///
///   dsv git status
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Status {}

impl Status {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        let hooks = code.is_set_up()?;
        let places = Place::all(context, &code)?;
        let mut out = context.ui.out();
        let unmerged: Vec<_> = code.unmerged()?.into_iter().map(|conflict| conflict.path).collect();
        for place in &places {
            if unmerged.contains(&place.path) {
                if context.ui.json {
                    writeln!(out, "{}", json!({ "path": place.path.display().to_string(), "conflict": true }))?;
                } else {
                    writeln!(out, "{}: a merge in Git left it in conflict", place.name())?;
                }
                continue;
            }
            let pin = Pin::read(&place.file)?;
            let working = place.repo.as_ref().map(|repo| repo.working()).transpose()?;
            let tip = working.as_ref().and_then(|working| working.tip);
            let dirty = working.as_ref().is_some_and(|working| working.dirty);
            let matches = pin.as_ref().is_some_and(|pin| Some(pin.commit) == tip);
            if context.ui.json {
                let told = pin.as_ref().map(|pin| json!({ "remote": pin.remote, "branch": pin.branch, "commit": pin.commit.to_string() }));
                let line = json!({
                    "path": place.path.display().to_string(), "pin": told, "data": tip.map(|tip| tip.to_string()), "matches": matches,
                    "uncommitted": dirty, "hooks": hooks,
                });
                writeln!(out, "{line}")?;
                continue;
            }
            match (&pin, &place.repo, tip) {
                (None, ..) => writeln!(out, "{}: there is no such file", place.name())?,
                (Some(pin), None, _) => writeln!(out, "{} pins {}; the data is not here", place.name(), pin_text(pin))?,
                (Some(pin), Some(_), _) if matches => writeln!(out, "{} pins {}, which is checked out", place.name(), pin_text(pin))?,
                (Some(pin), Some(repo), Some(tip)) => {
                    let ahead = repo.has_commit(pin.commit)? && repo.graph().is_ancestor(pin.commit, tip)?;
                    let place_of = if ahead { "ahead of it" } else { "elsewhere" };
                    writeln!(out, "{} pins {}; the data is {place_of}, at {}", place.name(), pin_text(pin), short(&tip))?;
                    context.ui.hint("'dsv git pin' pins what is checked out, 'dsv git follow' goes to what is pinned");
                }
                (Some(pin), Some(_), None) => writeln!(out, "{} pins {}; the data has no commit yet", place.name(), pin_text(pin))?,
            }
            if let (Some(pin), None) = (&pin, &place.repo) {
                context.ui.hint(where_from(&code, place, pin));
            }
            if dirty {
                writeln!(out, "The data has uncommitted changes")?;
            }
        }
        out.finish()?;
        if context.ui.json {
            return Ok(());
        }
        if places.is_empty() {
            context.ui.note("There is no pin here");
            context.ui.hint("'dsv git init' makes one");
        }
        match code.doing() {
            _ if !unmerged.is_empty() => context.ui.hint("'dsv git merge' ends a conflict"),
            Some(Doing::Rewriting) => context.ui.note("Git is rewriting commits: the data follows when it is done"),
            _ => {}
        }
        if !hooks {
            context.ui.hint("Git does not know of the data in this clone: 'dsv git init' tells it");
        }
        Ok(())
    }
}

//! `dsv git hook`: what Git's hooks run.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::history::short;
use crate::repo::Repo;
use crate::repo::git::{Code, Doing};
use crate::repo::pin::Pin;

use super::places::{Place, pin_text, tell, where_from};
use super::{pin::uncommitted, pushed};

/// Answer one of Git's hooks
///
/// The hooks that `dsv git init` writes run this, with the arguments that Git gave them.
///
///   pre-commit       pins the data that is checked out, where it went forward, and adds dsv.lock to the commit
///   post-checkout, post-merge, post-commit, post-rewrite
///                    go to the data that the code pins now
///   pre-push         refuses code that names data which is not on its remote
///
/// Examples:
///
///   dsv git hook post-checkout 1a2b3c 4d5e6f 1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Hook {
    /// The hook
    #[arg(value_name = "NAME")]
    name: String,
    /// What Git gave it
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

impl Hook {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        let arg = |n: usize| self.args.get(n).map(String::as_str).unwrap_or_default();
        let busy = matches!(code.doing(), Some(Doing::Rewriting | Doing::Merging));
        match self.name.as_str() {
            // What is checked out comes and goes until Git is done; then another hook runs.
            "pre-commit" if !busy => pre_commit(context, &code),
            // The last argument is 0 where single files were checked out.
            "post-checkout" if !busy && arg(2) != "0" => follow(context, &code, Some(arg(0))),
            "post-merge" => follow(context, &code, Some("ORIG_HEAD")),
            "post-rewrite" if arg(0) == "rebase" => follow(context, &code, Some("ORIG_HEAD")),
            "post-commit" if code.doing() != Some(Doing::Rewriting) => forward(context, &code),
            "pre-push" => pre_push(context, &code),
            "pre-commit" | "post-checkout" | "post-commit" | "post-rewrite" => Ok(()),
            other => Err(CliError::usage(format!("'{other}' is no hook that dsv answers"))),
        }
    }
}

/// Pins the data that is checked out, where it went on from what was pinned.
fn pre_commit(context: &Context, code: &Code) -> Result<(), CliError> {
    let top = code.require_top()?;
    for place in Place::all(context, code)? {
        let Some(repo) = &place.repo else { continue };
        let pinned = Pin::read(&place.file)?;
        if repo.working()?.tip.is_none() {
            continue;
        }
        let now = repo.pin()?;
        uncommitted(context, repo)?;
        let staged = code.staged_pin(&place.path)?;
        if pinned.as_ref() == Some(&now) && staged.as_ref() == Some(&now) {
            continue;
        }
        let went_on = match &pinned {
            None => true,
            Some(pin) => repo.has_commit(pin.commit)? && repo.graph().is_ancestor(pin.commit, now.commit).map_err(crate::repo::RepoError::from)?,
        };
        if !went_on {
            let names = pinned.as_ref().map(pin_text).unwrap_or_default();
            context.ui.warn(format!("{} stays at {names}, though {} is checked out, which does not follow from it", place.name(), pin_text(&now)));
            context.ui.hint("'dsv git pin' pins it all the same, 'dsv git follow' goes back to what is pinned");
            continue;
        }
        now.write(&place.file)?;
        stage(&top, &place)?;
        context.ui.note(format!("{} pins {}", place.name(), pin_text(&now)));
    }
    Ok(())
}

/// Adds a pin to what is to be committed. Whoever runs a hook has Git, and knows which index it is about.
fn stage(top: &Path, place: &Place) -> Result<(), CliError> {
    let ran = Command::new("git").arg("add").arg("--").arg(&place.path).current_dir(top).stdin(Stdio::null()).output();
    match ran {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(CliError::fault(format!("'git add {}' failed: {}", place.name(), String::from_utf8_lossy(&output.stderr).trim()))),
        Err(e) => Err(CliError::fault(format!("'git add {}' cannot be run: {e}", place.name()))),
    }
}

/// The commit that is checked out in a dsv repository.
fn tip(repo: &Repo) -> Result<Option<crate::base::CommitId>, CliError> {
    Ok(repo.working()?.tip)
}

/// Goes to what the code pins, where the data was at what the code before, in the revision `old`, pinned. What was committed since and not pinned is never left.
fn follow(context: &Context, code: &Code, old: Option<&str>) -> Result<(), CliError> {
    // A clone and a new worktree have nothing before.
    let old = old.filter(|old| !old.bytes().all(|c| c == b'0'));
    for place in Place::all(context, code)? {
        let pin = match Pin::read(&place.file) {
            Ok(Some(pin)) => pin,
            Ok(None) => continue,
            Err(error) => {
                context.ui.warn(error);
                continue;
            }
        };
        let before = old.map(|old| code.pin_at(old, &place.path)).transpose()?.flatten();
        if before.as_ref().is_some_and(|before| before.commit == pin.commit && before.branch == pin.branch) {
            continue;
        }
        let Some(repo) = &place.repo else {
            context.ui.note(format!("{} pins {}; the data is not here", place.name(), pin_text(&pin)));
            context.ui.hint(where_from(code, &place, &pin));
            continue;
        };
        let tip = tip(repo)?;
        if let (Some(before), Some(tip)) = (&before, tip)
            && tip != before.commit
            && tip != pin.commit
            && !is_on_the_way(repo, tip, &pin)?
        {
            context.ui.warn(format!("{} names {}, but the data stays at {}, which no code pinned", place.name(), pin_text(&pin), short(&tip)));
            context.ui.hint("'dsv git follow' goes there all the same, 'dsv git pin' pins what is checked out");
            continue;
        }
        let followed = repo.follow(&pin)?;
        tell(context, code, &place, &pin, repo, &followed)?;
    }
    Ok(())
}

fn is_on_the_way(repo: &Repo, tip: crate::base::CommitId, pin: &Pin) -> Result<bool, CliError> {
    Ok(repo.has_commit(pin.commit)? && repo.graph().is_ancestor(tip, pin.commit).map_err(crate::repo::RepoError::from)?)
}

/// After a commit in Git: where it ended a merge, the data goes forward to what was merged.
fn forward(context: &Context, code: &Code) -> Result<(), CliError> {
    for place in Place::all(context, code)? {
        let (Some(repo), Ok(Some(pin))) = (&place.repo, Pin::read(&place.file)) else { continue };
        match tip(repo)? {
            Some(tip) if tip != pin.commit && is_on_the_way(repo, tip, &pin)? => {
                let followed = repo.follow(&pin)?;
                tell(context, code, &place, &pin, repo, &followed)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses to push code that names data which is not on its remote. Where the data has no remote there is nobody to get it from, and nothing to hold to.
fn pre_push(context: &Context, code: &Code) -> Result<(), CliError> {
    let mut told = String::new();
    std::io::stdin().read_to_string(&mut told)?;
    let places = Place::all(context, code)?;
    let mut missing = Vec::new();
    for line in told.lines() {
        let Some(local) = line.split(' ').nth(1).filter(|id| !id.bytes().all(|c| c == b'0')) else { continue };
        for place in &places {
            let (Some(repo), Some(pin)) = (&place.repo, code.pin_at(local, &place.path)?) else { continue };
            if pin.remote.is_none() {
                continue;
            }
            let why = pushed::why_not(repo, &pin)?.map(|why| format!("{}: {why}", place.name()));
            missing.extend(why.filter(|why| !missing.contains(why)));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(CliError::no(missing.join("; ")).hint("'dsv push' sends it; 'git push --no-verify' does not ask"))
}

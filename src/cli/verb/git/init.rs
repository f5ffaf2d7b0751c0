//! `dsv git init`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::repo::git::{Code, Placed, Setup};
use crate::repo::pin::LOCK;

/// Let Git and dsv go along with each other
///
/// To be run once in each clone of the code, where the data is or above it. It writes dsv.lock, the pin of the data that is checked out, if there is none; puts dsv's
/// hooks into Git's folder of hooks (core.hooksPath, if it is set); and gives Git a merge driver for pins. A hook that is there already is never overwritten: it is
/// put aside and runs first. Lines are added to .gitattributes and .gitignore beside dsv.lock; commit these with it.
///
/// With --diff, Git shows changes of .parquet, .csv, .jsonl and other tables through dsv: `git diff` by lines of rows, `git difftool -t dsv` by cells.
///
/// Examples:
///
///   dsv git init
///   dsv git init --diff
///   dsv git init --remove              takes hooks and settings out again
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Init {
    /// Let Git compare tables with dsv's help too
    #[arg(long)]
    diff: bool,
    /// Take dsv's hooks and settings out of Git
    #[arg(long, conflicts_with = "diff")]
    remove: bool,
}

impl Init {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        if self.remove {
            return told(context, &code.take_down()?, None);
        }
        let repo = context.repo()?;
        let Some(file) = repo.pin_path() else { return Err(CliError::usage("this repository has no folder")) };
        let top = code.require_top()?;
        let folder = file.parent().unwrap_or(&top).to_owned();
        if !folder.starts_with(&top) {
            return Err(CliError::usage(format!("the data, in {}, is outside the code, in {}", folder.display(), top.display()))
                .hint("a pin stands beside the data: keep both in one folder"));
        }
        // What is pinned already is somebody's word: following it is another step.
        let pinned = if file.exists() { None } else { repo.working()?.tip.map(|_| repo.pin()).transpose()? };
        let setup = code.set_up(&folder, &program(), self.diff)?;
        let new = match &pinned {
            Some(pin) => pin.write(&file)?.then(|| format!("{LOCK} pins {}", super::places::pin_text(pin))),
            None => None,
        };
        let is_new = new.is_some() || !setup.written.is_empty();
        told(context, &setup, new)?;
        if !file.exists() {
            context.ui.hint(format!("there is no commit to pin yet: 'dsv commit', and {LOCK} is written with the next 'git commit', or by 'dsv git pin'"));
        }
        if is_new && !context.ui.json {
            context.ui.hint(format!("commit {LOCK}, .gitattributes and .gitignore to Git; others run 'dsv git init' in their clones"));
        }
        Ok(())
    }
}

/// How a shell runs this program: by its name, if that is what the name runs, else by its path.
fn program() -> String {
    let own = std::env::current_exe().ok().filter(|path| path.file_stem().is_some_and(|stem| stem == "dsv"));
    let found = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("dsv").is_file()));
    match own {
        Some(path) if !found => format!("'{}'", path.display().to_string().replace('\'', r"'\''")),
        _ => "dsv".to_owned(),
    }
}

fn told(context: &Context, setup: &Setup, pinned: Option<String>) -> Result<(), CliError> {
    let ui = &context.ui;
    if ui.json {
        let word = |placed: &Placed| match placed {
            Placed::New => "new",
            Placed::Same => "same",
            Placed::Renewed => "renewed",
            Placed::Chained => "chained",
            Placed::RunByAnother => "run by another",
            Placed::Removed => "removed",
        };
        let mut out = ui.out();
        for (name, placed) in &setup.hooks {
            writeln!(out, "{}", json!({ "hook": name, "path": setup.hooks_dir.join(name).display().to_string(), "state": word(placed) }))?;
        }
        return Ok(out.finish()?);
    }
    let named = |wanted: Placed| setup.hooks.iter().filter(|(_, placed)| *placed == wanted).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    for (placed, text) in [
        (Placed::New, "New hooks"),
        (Placed::Renewed, "Hooks written anew"),
        (Placed::Chained, "New hooks, which run those that were there first"),
        (Placed::RunByAnother, "Hooks that another tool's run"),
        (Placed::Removed, "Hooks taken out"),
    ] {
        let names = named(placed);
        if !names.is_empty() {
            ui.note(format!("{text}: {names}"));
        }
    }
    if setup.hooks.iter().all(|(_, placed)| *placed == Placed::Same) {
        ui.note(if setup.hooks.is_empty() { "There were no hooks of dsv's" } else { "The hooks are in place" });
    }
    for path in &setup.written {
        ui.note(format!("Added lines to {}", path.file_name().unwrap_or_default().display()));
    }
    if setup.hooks_are_shared {
        ui.note(format!("core.hooksPath is {}, within the code: committed, the hooks reach everybody", setup.hooks_dir.display()));
    }
    if let Some(pinned) = pinned {
        ui.note(pinned);
    }
    Ok(())
}

//! The pins of a Git repository, each with the dsv repository beside it.

use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::refs::head_text;
use crate::history::short;
use crate::query::expressions;
use crate::repo::git::Code;
use crate::repo::pin::{Followed, PRIVATE, Pin};
use crate::repo::remotes::{CloneOptions, ORIGIN};
use crate::repo::{FOLDER, OpenOptions, Repo, RepoError, Scope};

/// A pin that Git tracks.
pub struct Place {
    /// Its path from the top of the worktree.
    pub path: PathBuf,
    /// The file.
    pub file: PathBuf,
    /// The dsv repository beside it, if there is one.
    pub repo: Option<Repo>,
}

impl Place {
    /// The pin at a path from the top of a worktree.
    pub fn at(context: &Context, top: &Path, path: PathBuf) -> Result<Place, CliError> {
        let file = top.join(&path);
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let repo = folder.join(FOLDER).join("head").is_file().then(|| {
            let mut repo = Repo::open_with(folder, &OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() })?;
            repo.set_progress(context.ui.progress());
            Ok::<_, RepoError>(repo)
        });
        Ok(Place { path, file, repo: repo.transpose()? })
    }

    /// All that Git tracks, and the one beside the dsv repository that this runs in, though Git may not track it yet.
    pub fn all(context: &Context, code: &Code) -> Result<Vec<Place>, CliError> {
        let top = code.require_top()?;
        let mut paths = code.pins()?;
        let here = context.repo().ok().and_then(|repo| repo.pin_path()).filter(|file| file.is_file());
        if let Some(path) = here.as_deref().and_then(|file| file.strip_prefix(&top).ok())
            && !paths.iter().any(|there| there == path)
        {
            paths.push(path.to_owned());
        }
        paths.into_iter().map(|path| Place::at(context, &top, path)).collect()
    }

    /// The path for people.
    pub fn name(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}

/// How to get the data that is not here.
pub fn where_from(code: &Code, place: &Place, pin: &Pin) -> String {
    match (beside_main(code, place), &pin.remote) {
        (Some(main), _) => format!("'dsv git follow' reads it from {}", main.display()),
        (None, Some(url)) => format!("'dsv git follow' clones it from {url}, with --lazy only what is read"),
        (None, None) => "the pin names no remote: ask whoever made it to 'dsv push', and to pin it again".to_owned(),
    }
}

/// The folder of the same data in the main worktree, where this one is linked to it.
fn beside_main(code: &Code, place: &Place) -> Option<PathBuf> {
    let main = code.main_worktree()?;
    let folder = place.path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| main.clone(), |folder| main.join(folder));
    folder.join(FOLDER).join("head").is_file().then_some(folder)
}

/// The remote of a clone in a linked worktree.
const WORKTREE: &str = "worktree";

/// Clones the data of a pin into its place. In a linked worktree of Git's it is a lazy clone of that in the main one, which copies nothing.
pub fn bring(context: &Context, code: &Code, place: &Place, pin: &Pin, lazy: bool) -> Result<Repo, CliError> {
    let folder = place.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let open = OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() };
    let options = |lazy: bool| CloneOptions { lazy, beside: true, ..CloneOptions::default() };
    let Some(main) = beside_main(code, place) else {
        let Some(url) = &pin.remote else {
            return Err(CliError::fault(format!("the data of {} is not here, and its pin names no remote", place.name()))
                .hint("ask whoever made it to 'dsv push', and to pin it again"));
        };
        context.ui.note(format!("Cloning {url}"));
        return Ok(Repo::clone_from(url, folder, &options(lazy), &open, context.ui.progress())?.repo);
    };
    let cloned = Repo::clone_from(&main.display().to_string(), folder, &options(true), &open, context.ui.progress())?;
    let repo = cloned.repo;
    repo.rename_remote(ORIGIN, WORKTREE)?;
    repo.config().set(Scope::Repository, &format!("remote.{WORKTREE}.{PRIVATE}"), "true")?;
    if let Some(url) = &pin.remote {
        repo.add_remote(ORIGIN, url)?;
    }
    context.ui.note(format!("{}: the data is read from {}; 'dsv push {WORKTREE}' brings commits there", place.name(), main.display()));
    Ok(repo)
}

/// A pin in words.
pub fn pin_text(pin: &Pin) -> String {
    match &pin.branch {
        Some(branch) => format!("{} of branch {branch}", short(&pin.commit)),
        None => short(&pin.commit),
    }
}

/// Tells what became of following a pin: a note where the data moved or stands right, a warning with a hint where it stays behind.
pub fn tell(context: &Context, code: &Code, place: &Place, pin: &Pin, repo: &Repo, followed: &Followed) -> Result<(), CliError> {
    let ui = &context.ui;
    let folder = place.name();
    match followed {
        Followed::Already => {}
        Followed::Branch { name, created, forward } => {
            let how = match (created, forward) {
                (true, _) => "a new branch",
                (_, true) => "moved forward",
                _ => "checked out",
            };
            ui.note(format!("{folder}: the data is at {} on branch {name}, {how}", short(&pin.commit)));
        }
        Followed::Detached { branch: None } => ui.note(format!("{folder}: the data is at {}, on no branch", short(&pin.commit))),
        Followed::Detached { branch: Some((name, tip)) } => {
            ui.note(format!("{folder}: the data is at {}, on no branch: {name} is at {}", short(&pin.commit), short(tip)));
        }
        Followed::Uncommitted => {
            let head = repo.working()?.head;
            ui.warn(format!("{folder} names {}, but the data stays on {}, which has uncommitted changes", pin_text(pin), head_text(&head)));
            ui.hint("commit them or 'dsv reset --hard', then 'dsv git follow'");
        }
        Followed::Missing => {
            ui.warn(format!("{folder} names {}, which is not here: the data stays as it is", pin_text(pin)));
            let helps = if repo.remotes()?.is_empty() { where_from(code, place, pin) } else { "'dsv git follow' fetches it".to_owned() };
            ui.hint(helps);
        }
    }
    Ok(())
}

//! The pins of a Git repository, each with the dsv repository beside it.

use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::refs::head_text;
use crate::history::short;
use crate::query::expressions;
use crate::repo::git::Code;
use crate::repo::pin::{Followed, Pin};
use crate::repo::{FOLDER, OpenOptions, Repo, RepoError};

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
        let folder = file.parent().unwrap_or(top);
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
    let folder = place.path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(".".to_owned(), |folder| folder.display().to_string());
    match (code.main_worktree().map(|main| main.join(&folder)).filter(|main| main.join(FOLDER).is_dir()), &pin.remote) {
        (Some(main), _) => format!("'dsv clone {} {folder}' brings it from the main worktree", main.display()),
        (None, Some(url)) => format!("'dsv clone {url} {folder}' brings it, with --lazy only what is read"),
        (None, None) => "the pin names no remote: ask whoever made it to 'dsv push'".to_owned(),
    }
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

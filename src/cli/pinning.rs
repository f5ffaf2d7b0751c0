//! The pin goes along with the data: a verb that made commits renews `dsv.lock`, where there is one.

use super::context::Context;
use super::error::CliError;
use super::verb::Verb;
use crate::history::short;
use crate::repo::RepoError;
use crate::repo::pin::Pin;

impl Verb {
    /// True where it may move what is checked out forward.
    fn makes_commits(&self) -> bool {
        matches!(self, Verb::Commit(_) | Verb::Merge(_) | Verb::Pull(_) | Verb::CherryPick(_) | Verb::Revert(_) | Verb::Rebase(_))
    }

    /// Does it, and renews the pin.
    pub fn run_pinned(self, context: &Context) -> Result<(), CliError> {
        let moves = self.makes_commits();
        self.run(context)?;
        if moves { went_on(context) } else { Ok(()) }
    }
}

/// Writes the pin of what is checked out, where that went on from what was pinned. A pin that cannot be read is left to whoever looks at it; what went elsewhere is
/// pinned by `dsv git pin` alone.
fn went_on(context: &Context) -> Result<(), CliError> {
    let repo = context.repo()?;
    let Some(file) = repo.pin_path().filter(|file| file.is_file()) else { return Ok(()) };
    // A handle that stays on a branch says nothing of what is checked out.
    if repo.pinned().is_some() || repo.config().get("git.pin")?.as_deref() == Some("false") {
        return Ok(());
    }
    let (Ok(Some(pin)), Ok(now)) = (Pin::read(&file), repo.pin()) else { return Ok(()) };
    let before = pin.commit;
    if now == pin || !repo.has_commit(before)? || !repo.graph().is_ancestor(before, now.commit).map_err(RepoError::from)? {
        return Ok(());
    }
    now.write(&file)?;
    context.ui.note(format!("{} pins {}", file.file_name().unwrap_or_default().display(), short(&now.commit)));
    Ok(())
}

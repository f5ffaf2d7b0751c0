//! `dsv git pin`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::repo::git::{Code, Doing};
use crate::repo::pin::Pin as Pinned;

use super::places::{Place, pin_text};

/// Pin the data that is checked out
///
/// Writes dsv.lock: the remote, the branch, the commit, and the content of each table. The hook of `dsv git init` does this before each commit of Git's, as long as the
/// data only went forward.
///
/// With --check, nothing is written, and the exit code is 1 where the pin does not match. With --hook, all pins that Git tracks are looked at, those without data
/// here are passed over, and the exit code is 1 where one was written, as the pre-commit framework wants it.
///
/// Examples:
///
///   dsv git pin
///   dsv git pin --check
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Pin {
    /// Only tell whether the pin matches
    #[arg(long)]
    check: bool,
    /// All pins that Git tracks, and exit with 1 where one was written
    #[arg(long)]
    hook: bool,
}

impl Pin {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        if !self.hook {
            let repo = context.repo()?;
            let Some(file) = repo.pin_path() else { return Err(CliError::usage("this repository has no folder")) };
            let now = repo.pin()?;
            uncommitted(context, &repo)?;
            if self.check {
                return match Pinned::read(&file)? {
                    Some(pin) if pin == now => Ok(()),
                    Some(pin) if pin.commit == now.commit => {
                        Err(CliError::no("the pin names the commit that is checked out, but not its branch or remote").hint("'dsv git pin' writes it anew"))
                    }
                    Some(pin) => Err(CliError::no(format!("the pin names {}, and {} is checked out", pin_text(&pin), pin_text(&now)))
                        .hint("'dsv git pin' pins what is checked out, 'dsv git follow' goes to what is pinned")),
                    None => Err(CliError::no("there is no pin").hint("'dsv git pin' writes it")),
                };
            }
            let written = now.write(&file)?;
            let how = if written { "" } else { " already" };
            context.ui.note(format!("{} pins {}{how}", file.file_name().unwrap_or_default().display(), pin_text(&now)));
            return Ok(());
        }
        let code = Code::called(context.dir())?;
        // What is checked out comes and goes until Git is done.
        if code.doing() == Some(Doing::Rewriting) {
            return Ok(());
        }
        let mut stale = Vec::new();
        for place in Place::all(context, &code)? {
            let Some(repo) = &place.repo else { continue };
            let now = repo.pin()?;
            uncommitted(context, repo)?;
            if Pinned::read(&place.file)?.as_ref() == Some(&now) {
                continue;
            }
            if !self.check {
                now.write(&place.file)?;
            }
            stale.push(format!("{} {} {}", place.name(), if self.check { "does not pin" } else { "was stale, and now pins" }, pin_text(&now)));
        }
        if stale.is_empty() {
            return Ok(());
        }
        let hint = if self.check { "'dsv git pin' writes it" } else { "'git add' it, and commit again" };
        Err(CliError::no(stale.join("; ")).hint(hint))
    }
}

/// Says that no pin names what is not committed.
pub fn uncommitted(context: &Context, repo: &crate::repo::Repo) -> Result<(), CliError> {
    if repo.working()?.dirty {
        context.ui.warn("the data has uncommitted changes, which no pin names");
    }
    Ok(())
}

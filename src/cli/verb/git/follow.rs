//! `dsv git follow`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::repo::git::Code;
use crate::repo::pin::{Followed, Pin};
use crate::repo::remotes::FetchOptions;

use super::places::{Place, bring, tell};

/// Go to the data that the code pins
///
/// Checks out the commit that dsv.lock names: its branch, where that is at the commit or can move forward to it, else the commit alone. What is not here is fetched
/// first; data that is not here at all is cloned, from the remote that the pin names, or in a linked worktree of Git's from the main one, without a copy. Where the data has uncommitted changes nothing happens, and the exit code is 1.
///
/// Examples:
///
///   dsv git follow
///   dsv git follow --lazy
///   dsv git follow --no-fetch
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Follow {
    /// Only go to what is here already
    #[arg(long)]
    no_fetch: bool,
    /// Where the data is not here at all, clone commits and the tops of trees alone; all else when it is read
    #[arg(long, conflicts_with = "no_fetch")]
    lazy: bool,
}

impl Follow {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        let mut behind = 0;
        let mut found = false;
        for place in Place::all(context, &code)? {
            let Some(pin) = Pin::read(&place.file)? else { continue };
            found = true;
            let brought = match &place.repo {
                None if !self.no_fetch => Some(bring(context, &code, &place, &pin, self.lazy)?),
                _ => None,
            };
            let Some(repo) = place.repo.as_ref().or(brought.as_ref()) else { continue };
            let mut followed = repo.follow(&pin)?;
            if followed == Followed::Missing && !self.no_fetch {
                let remotes = repo.remotes()?;
                let named = remotes.iter().find(|remote| Some(&remote.url) == pin.remote.as_ref()).map(|remote| remote.name.clone());
                if let Some(name) = named.or_else(|| repo.default_remote().ok()) {
                    context.ui.note(format!("Fetching from {name}"));
                    repo.fetch(&name, &FetchOptions::default())?;
                    followed = repo.follow(&pin)?;
                }
            }
            if followed == Followed::Already {
                context.ui.note(format!("{}: the data is where it should be", place.name()));
            }
            tell(context, &code, &place, &pin, repo, &followed)?;
            behind += usize::from(matches!(followed, Followed::Missing | Followed::Uncommitted));
        }
        if !found {
            return Err(CliError::usage("there is no pin here").hint("'dsv git init' makes one"));
        }
        if behind > 0 { Err(CliError::no("the data stays behind the code")) } else { Ok(()) }
    }
}

//! `dsv git pushed`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::history::short;
use crate::repo::git::Code;
use crate::repo::pin::Pin;
use crate::repo::remotes::{Remote, RemoteOptions};
use crate::repo::{OpenOptions, Repo};

use super::places::{Place, pin_text};

/// Tell whether the pinned data is on its remote
///
/// Code that is pushed should not name data that nobody else can get: this is for Git's pre-push. What was pushed or fetched from here is known; for all else the remote is
/// asked. Pins without data here are passed over. The exit code is 1 where a commit is not there.
///
/// Examples:
///
///   dsv git pushed
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Pushed {}

impl Pushed {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        let mut missing = Vec::new();
        for place in Place::all(context, &code)? {
            let (Some(repo), Some(pin)) = (&place.repo, Pin::read(&place.file)?) else { continue };
            missing.extend(why_not(repo, &pin)?.map(|why| format!("{}: {why}", place.name())));
        }
        if missing.is_empty() { Ok(()) } else { Err(CliError::no(missing.join("; ")).hint("'dsv push' sends it")) }
    }
}

/// Why others cannot get what a pin names; none where they can.
pub fn why_not(repo: &Repo, pin: &Pin) -> Result<Option<String>, CliError> {
    let Some(url) = &pin.remote else { return Ok(Some(format!("{} has no remote: 'dsv remote add origin URL' and 'dsv git pin' give it one", pin_text(pin)))) };
    if repo.is_pushed(pin.commit, url)? {
        return Ok(None);
    }
    let name = repo.remotes()?.into_iter().find(|remote| remote.url == *url).map(|remote| remote.name);
    let remote = match name {
        Some(name) => repo.open_remote(&name, &RemoteOptions::default())?,
        None => Remote::open(url, &RemoteOptions::default(), &OpenOptions::default())?,
    };
    let there = match remote.view()? {
        None => false,
        Some(view) => {
            let tips: Vec<_> = view.state.branches().map_err(crate::repo::RepoError::from)?.into_values().collect();
            let reader = remote.into_reader(&view);
            let ancestors = reader.graph().ancestors(tips).map_err(crate::repo::RepoError::from)?;
            ancestors.contains(&pin.commit)
        }
    };
    Ok((!there).then(|| format!("commit {} is not on {url}", short(&pin.commit))))
}

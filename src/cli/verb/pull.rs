//! `dsv pull`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::hooks::Hooks;
use crate::cli::hooks::gate::HookGate;
use crate::cli::replayed;
use crate::cli::transport::{Network, amount, tell};
use crate::format::operation::HeadRef;
use crate::repo::remotes::FetchOptions;
use crate::repo::{Replay, ReplayOptions, RepoError};

use super::merge;

/// Fetch, and merge what came into this branch
///
/// Brings the branch that this one follows (or BRANCH of REMOTE) and merges it, cell by cell; with --rebase, your own commits are put on top of it instead. Conflicts
/// stay in progress as those of `dsv merge` do.
///
/// Examples:
///
///   dsv pull
///   dsv pull --rebase
///   dsv pull lab relabel
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Pull {
    /// The remote [default: the one that the branch follows, the only one, or origin]
    #[arg(value_name = "REMOTE")]
    remote: Option<String>,
    /// The branch there [default: the one that is followed, or that of the same name]
    #[arg(value_name = "BRANCH", requires = "remote")]
    branch: Option<String>,
    /// Put your commits on top of what came
    #[arg(short, long)]
    rebase: bool,
    /// Do not run the hooks pre-merge-commit and commit-msg; checks kept in the data still count
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    network: Network,
}

impl Pull {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let HeadRef::Branch(branch) = repo.view()?.state.head().map_err(RepoError::from)? else {
            return Err(CliError::usage("no branch is checked out").hint("switch to one, or 'dsv fetch'"));
        };
        let follows = repo.upstream(&branch)?;
        let remote = match (&self.remote, &follows) {
            (Some(remote), _) => remote.clone(),
            (None, Some((remote, _))) => remote.clone(),
            (None, None) => repo.default_remote()?,
        };
        let followed = follows.filter(|(name, _)| *name == remote).map(|(_, there)| there);
        let there = self.branch.or(followed).unwrap_or_else(|| branch.clone());
        let fetched = repo.fetch(&remote, &FetchOptions { remote: self.network.options(false), ..FetchOptions::default() })?;
        if !context.ui.json && !fetched.refs.is_empty() {
            context.ui.note(format!("Fetched from {remote}: {}", amount(fetched.commits, fetched.objects, fetched.bytes)));
            tell(context, &remote, &fetched.refs, false)?;
        }
        let upstream = format!("{remote}/{there}");
        if self.rebase {
            let hooks = Hooks::new(context, &repo, self.no_verify);
            let (gate, head) = (HookGate::of_replay(&hooks), hooks.head()?);
            let options = ReplayOptions { gate: Some(&gate), ..ReplayOptions::default() };
            let report = repo.rebase(&upstream, None, &options).map_err(|error| gate.told(error))?;
            let shown = replayed::show(context, &repo, Replay::Rebase, &report);
            hooks.replayed(head, &report)?;
            return shown;
        }
        merge::Merge::of(upstream, self.no_verify).run(context)
    }
}

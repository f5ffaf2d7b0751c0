//! `dsv push`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::hooks::Hooks;
use crate::cli::hooks::gate::PushGate;
use crate::cli::transport::{Network, amount, tell};
use crate::format::operation::HeadRef;
use crate::repo::Repo;
use crate::repo::remotes::{Force, PushRequest};

/// Send what a remote lacks, and move its branches
///
/// Without BRANCH, the branch that is checked out goes to the one that it follows, or to one of its name. Only what the remote lacks is sent; its branch moves last, in
/// one step, and only where nobody has pushed to it meanwhile. Where a try is cut, the next one sends the rest. Uncommitted changes never go.
///
/// A remote where nothing is yet is made. The exit code is 1 where a branch was refused; the others went.
///
/// With --json, a line for each ref: {"remote", "ref", "kind", "change": "same|new|forward|forced|deleted|refused", "old", "new", "why"}.
///
/// Examples:
///
///   dsv push                               this branch
///   dsv push -u origin relabel             and follow it from now on
///   dsv push origin relabel:review/ada     under another name there
///   dsv push --all --tags
///   dsv push origin --delete relabel
///   dsv push --force-with-lease            over commits taken back, if nobody else has moved it
///   dsv push --dry-run                     how much would go
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Push {
    /// The remote [default: the one that the branch follows, the only one, or origin]
    #[arg(value_name = "REMOTE")]
    remote: Option<String>,
    /// Branches, or BRANCH:NAME for another name there
    #[arg(value_name = "BRANCH")]
    branches: Vec<String>,
    /// All branches
    #[arg(long, conflicts_with_all = ["branches", "delete"])]
    all: bool,
    /// All tags as well
    #[arg(long)]
    tags: bool,
    /// Delete the branches there
    #[arg(short, long, requires = "branches")]
    delete: bool,
    /// Let a branch go elsewhere than on, if it still is where it was fetched last
    #[arg(long, conflicts_with = "force")]
    force_with_lease: bool,
    /// Let a branch go elsewhere than on, whoever moved it
    #[arg(short, long)]
    force: bool,
    /// Follow the branch there from now on
    #[arg(short = 'u', long, conflicts_with = "delete")]
    set_upstream: bool,
    /// Tell what would go; change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not run the hooks pre-push; checks kept in the data still count
    #[arg(long)]
    no_verify: bool,
    /// Use a store that ignores the conditions of writes, with a file there that says who writes: slower, and less safe
    #[arg(long)]
    lock: bool,
    #[command(flatten)]
    network: Network,
}

impl Push {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let ui = &context.ui;
        let current = match repo.view()?.state.head().map_err(crate::repo::RepoError::from)? {
            HeadRef::Branch(name) => Some(name),
            HeadRef::Commit(_) => None,
        };
        let follows = current.as_deref().map_or(Ok(None), |branch| repo.upstream(branch))?;
        let remote = match (&self.remote, &follows) {
            (Some(remote), _) => remote.clone(),
            (None, Some((remote, _))) => remote.clone(),
            (None, None) => repo.default_remote()?,
        };
        let mut request = PushRequest { dry_run: self.dry_run, remote: self.network.options(self.lock), ..PushRequest::default() };
        request.force = if self.force {
            Force::Yes
        } else if self.force_with_lease {
            Force::Lease
        } else {
            Force::No
        };
        if self.delete {
            request.delete = self.branches.clone();
        } else if self.all {
            request.branches = repo.view()?.state.branches().map_err(crate::repo::RepoError::from)?.into_keys().map(|name| (name.clone(), name)).collect();
        } else if !self.branches.is_empty() {
            request.branches = self
                .branches
                .iter()
                .map(|spec| spec.split_once(':').map_or_else(|| (spec.clone(), spec.clone()), |(from, to)| (from.to_owned(), to.to_owned())))
                .collect();
        } else if let Some(branch) = &current {
            let there = follows.filter(|(followed, _)| *followed == remote).map_or_else(|| branch.clone(), |(_, there)| there);
            request.branches = vec![(branch.clone(), there)];
        } else if !self.tags {
            return Err(CliError::usage("no branch is checked out").hint("name one: 'dsv push REMOTE BRANCH'"));
        }
        if self.tags {
            request.tags = repo.tags()?.into_iter().map(|info| info.name).collect();
        }
        if self.lock {
            ui.warn("the store is used with a lock file: a writer that is slower than it may lose a push");
        }
        let hooks = Hooks::new(context, &repo, self.no_verify);
        let gate = PushGate::new(&hooks, &remote, &request);
        let pushed = repo.push_asking(&remote, &request, &|refs| gate.pass(refs)).map_err(|error| gate.told(error))?;
        if !self.dry_run {
            follow(&repo, &remote, &request, &pushed, self.set_upstream)?;
        }
        if !ui.json {
            let what = amount(pushed.commits, pushed.objects, pushed.bytes);
            if pushed.was_emptied {
                ui.warn(format!("there was a repository on {remote} when it was heard of last, and there is none now: somebody has emptied it"));
            }
            ui.note(match (pushed.made, self.dry_run) {
                (_, true) => format!("Would push to {remote}: {what}"),
                (true, false) => format!("Made a repository on {remote}, and pushed {what}"),
                (false, false) => format!("Pushed to {remote}: {what}"),
            });
        }
        tell(context, &remote, &pushed.refs, true)?;
        if pushed.is_refused() { Err(CliError::no("not all was pushed").hint("'dsv pull' merges what others pushed; then push again")) } else { Ok(()) }
    }
}

/// Notes what is followed: where it was asked for, and for a branch that follows nothing yet.
fn follow(repo: &Repo, remote: &str, request: &PushRequest, pushed: &crate::repo::remotes::Pushed, is_asked: bool) -> Result<(), CliError> {
    for ((branch, there), update) in request.branches.iter().zip(&pushed.refs) {
        let is_refused = matches!(update.kind, crate::repo::remotes::RefChange::Refused(_));
        if !is_refused && (is_asked || repo.upstream(branch)?.is_none()) {
            repo.set_upstream(branch, remote, there)?;
        }
    }
    Ok(())
}

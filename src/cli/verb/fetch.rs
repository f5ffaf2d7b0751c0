//! `dsv fetch`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::transport::{Network, amount, tell};
use crate::repo::remotes::FetchOptions;

/// Bring what a remote has and is not here
///
/// Its branches are then called REMOTE/NAME, as in `dsv diff main origin/main`; no branch of yours moves. Everything that arrives is verified before it is
/// kept, and where a try is cut the next one goes on with what arrived.
///
/// With --json, a line for each ref that moved: {"remote", "ref", "kind", "change": "new|forward|forced|deleted|refused", "old", "new", "why"}.
///
/// Examples:
///
///   dsv fetch                    from origin, all branches and tags
///   dsv fetch lab relabel        one branch
///   dsv fetch --prune            and forget branches that are gone there
///   dsv fetch --dry-run          how much would come
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Fetch {
    /// The remote [default: the only one, or origin]
    #[arg(value_name = "REMOTE")]
    remote: Option<String>,
    /// Branches there [default: all of them, and tags]
    #[arg(value_name = "BRANCH")]
    branches: Vec<String>,
    /// Forget refs of branches that are gone there
    #[arg(short, long)]
    prune: bool,
    /// Tell what would come; change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    network: Network,
}

impl Fetch {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let remote = self.remote.map_or_else(|| repo.default_remote(), Ok)?;
        let options = FetchOptions { branches: self.branches, prune: self.prune, dry_run: self.dry_run, remote: self.network.options(false) };
        let fetched = repo.fetch(&remote, &options)?;
        if !context.ui.json {
            let what = amount(fetched.commits, fetched.objects, fetched.bytes);
            context.ui.note(match (fetched.refs.is_empty(), self.dry_run) {
                (true, _) => format!("Nothing new on {remote}"),
                (false, true) => format!("Would fetch from {remote}: {what}"),
                (false, false) => format!("Fetched from {remote}: {what}"),
            });
        }
        tell(context, &remote, &fetched.refs, false)
    }
}

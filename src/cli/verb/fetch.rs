//! `dsv fetch`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::transport::{Network, amount, tell};
use crate::cli::ui::format;
use crate::repo::remotes::{FetchOptions, Part};

/// Bring what a remote has and is not here
///
/// Its branches are then called REMOTE/NAME, as in `dsv diff main origin/main`; no branch of yours moves. Everything that arrives is verified before it is
/// kept, and where a try is cut the next one goes on with what arrived.
///
/// In a lazy clone, --table brings a part of the data to stay: that table at the revision of --at (default: as it is checked out), of it the columns of --columns, and of those
/// only what holds rows for which --where is true.
///
/// With --json, a line for each ref that moved: {"remote", "ref", "kind", "change": "new|forward|forced|deleted|refused", "old", "new", "why"}; for --table {"table", "objects", "bytes"}.
///
/// Examples:
///
///   dsv fetch                    from origin, all branches and tags
///   dsv fetch lab relabel        one branch
///   dsv fetch --prune            and forget branches that are gone there
///   dsv fetch --dry-run          how much would come
///   dsv fetch --table frames --columns image,caption --where "label = 'cat'"
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
    /// Make this table local, in a lazy clone
    #[arg(long, value_name = "TABLE", conflicts_with_all = ["remote", "branches", "prune"])]
    table: Option<String>,
    /// Of it these columns [default: all]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "table")]
    columns: Vec<String>,
    /// Of those only what holds rows for which this is true
    #[arg(long, value_name = "SQL", requires = "table")]
    r#where: Option<String>,
    /// The revision [default: what is checked out]
    #[arg(long, value_name = "REV", requires = "table")]
    at: Option<String>,
    #[command(flatten)]
    network: Network,
}

impl Fetch {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        if let Some(table) = self.table {
            let part = Part { table, columns: self.columns, filter: self.r#where, at: self.at, dry_run: self.dry_run };
            let done = repo.fetch_part(&part)?;
            if context.ui.json {
                let mut out = context.ui.out();
                writeln!(out, "{}", json!({ "table": part.table, "objects": done.objects, "bytes": done.bytes }))?;
                return Ok(out.finish()?);
            }
            let what = format!("{}, {}", format::plural(done.objects, "object"), format::bytes(done.bytes));
            context.ui.note(match (done.objects, self.dry_run) {
                (0, _) => format!("All of that part of {} is here", part.table),
                (_, true) => format!("Would fetch of {}: {what}", part.table),
                (_, false) => format!("Fetched of {}: {what}", part.table),
            });
            return Ok(());
        }
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

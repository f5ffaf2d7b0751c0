//! `dsv ls-remote`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::transport::Network;
use crate::history::short;
use crate::query::expressions;
use crate::repo::remotes::Remote;
use crate::repo::{OpenOptions, RepoError};

/// Show the branches and tags of a remote
///
/// REMOTE is a remote's name or an address; nothing is fetched.
///
/// With --json, a line for each: {"ref", "kind", "commit", "default"}.
///
/// Examples:
///
///   dsv ls-remote
///   dsv ls-remote s3://bucket/frames
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct LsRemote {
    /// The remote, or an address [default: the only one, or origin]
    #[arg(value_name = "REMOTE")]
    remote: Option<String>,
    #[command(flatten)]
    network: Network,
}

impl LsRemote {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let options = self.network.options(false);
        let remote = match &self.remote {
            Some(url) if url.contains("://") || url.contains('/') => {
                let url = if url.contains("://") { url.clone() } else { context.path(url).to_string_lossy().into_owned() };
                Remote::open(&url, &options, &OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() })?
            }
            named => {
                let repo = context.repo()?;
                let name = named.clone().map_or_else(|| repo.default_remote(), Ok)?;
                repo.open_remote(&name, &options)?
            }
        };
        let view = remote.existing()?;
        let default = remote.default_branch(&view)?.map(|(name, _)| name);
        let mut out = context.ui.page();
        let branches = view.state.branches().map_err(RepoError::from)?.into_iter().map(|(name, commit)| (name, "branch", commit));
        let tags = view.state.tags().map_err(RepoError::from)?.into_iter().map(|(name, tag)| (name, "tag", tag.commit));
        for (name, kind, commit) in branches.chain(tags) {
            let is_default = kind == "branch" && default.as_ref() == Some(&name);
            if context.ui.json {
                writeln!(out, "{}", json!({ "ref": name, "kind": kind, "commit": commit.to_string(), "default": is_default }))?;
                continue;
            }
            let paint = &context.ui.paint;
            // A remote may have any name; a terminal shows no more than letters of it.
            let name = name.escape_debug().to_string();
            let shown = if kind == "tag" { paint.tag(&name) } else { paint.branch(&name) };
            writeln!(out, "{} {kind:<6} {shown}{}", paint.id(short(&commit)), if is_default { " (default)" } else { "" })?;
        }
        Ok(out.finish()?)
    }
}

//! `dsv clone`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::transport::{Network, amount};
use crate::query::expressions;
use crate::repo::remotes::CloneOptions;
use crate::repo::{OpenOptions, Repo};

/// Copy a repository from a remote
///
/// Makes DIR (default: the last part of the address), with all branches of the remote as origin/NAME, its tags, and its default branch checked out. Everything
/// that arrives is verified before it is kept. Where a try is cut, the same command goes on with what arrived.
///
/// With --lazy, commits and the tops of trees come, and everything else when it is read: queries, diffs and training read what they need, and keep it in a cache on this
/// machine ('dsv cache'). 'dsv fetch --table' makes a part local for good. Such a clone needs its remote.
///
/// With --json, one line: {"dir", "branch", "commits", "objects", "bytes"}.
///
/// Examples:
///
///   dsv clone s3://bucket/frames
///   dsv clone /mnt/share/frames work
///   dsv clone https://data.example.org/frames -b v2
///   dsv clone --lazy s3://bucket/frames        history now, data when it is read
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Clone {
    /// The address: see `dsv remote --help`
    #[arg(value_name = "URL")]
    url: String,
    /// Where; made if missing
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The branch to check out
    #[arg(short, long, value_name = "NAME")]
    branch: Option<String>,
    /// Bring history alone; data come when they are read
    #[arg(long)]
    lazy: bool,
    #[command(flatten)]
    network: Network,
}

impl Clone {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let ui = &context.ui;
        // Folders are meant from where the verb runs.
        let url = if self.url.contains("://") { self.url.clone() } else { context.path(&self.url).to_string_lossy().into_owned() };
        let folder = self
            .dir
            .or_else(|| Repo::clone_folder(&self.url))
            .ok_or_else(|| CliError::usage("the address has no last part to name the folder by").hint("name it: 'dsv clone URL DIR'"))?;
        let dir = context.path(&folder);
        let options = CloneOptions { branch: self.branch, lazy: self.lazy, beside: false, remote: self.network.options(false) };
        let open = OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() };
        let cloned = Repo::clone_from(&url, &dir, &options, &open, ui.progress())?;
        let fetched = &cloned.fetched;
        if ui.json {
            let mut out = ui.out();
            let line = json!({ "dir": folder, "branch": cloned.branch, "commits": fetched.commits, "objects": fetched.objects, "bytes": fetched.bytes });
            writeln!(out, "{line}")?;
            return Ok(out.finish()?);
        }
        ui.note(format!(
            "Cloned {} into {}: {}; on branch {}",
            self.url,
            folder.display(),
            amount(fetched.commits, fetched.objects, fetched.bytes),
            cloned.branch
        ));
        if fetched.refs.is_empty() {
            ui.hint("the remote has no branch yet");
        }
        Ok(())
    }
}

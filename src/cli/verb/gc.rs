//! `dsv gc`.

use std::io::Write;

use serde_json::json;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::transport::Network;
use crate::cli::ui::format;
use crate::repo::GcOptions;

/// Delete what nothing reaches
///
/// Data of deleted branches and of undone work stays until it is collected. What is condemned is deleted after a grace period, so that readers
/// and writers at work are not disturbed. Operations older than the horizon can no longer be undone.
///
/// With --remote that of another repository is collected, beside whoever pushes and reads there. What is alive in the packs that go is read and written over the network: --dry-run tells how much.
///
/// Examples:
///
///   dsv gc
///   dsv gc --dry-run
///   dsv gc --horizon 1d --grace 0s
///   dsv gc --remote origin --dry-run     what a remote could be rid of
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Gc {
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Forget operations older than this: 30d, 12h, 0s
    #[arg(long, value_name = "AGE")]
    horizon: Option<String>,
    /// Collect a remote in place of this repository
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Delete condemned files only after this time: 2w, 1h, 0s
    #[arg(long, value_name = "AGE")]
    grace: Option<String>,
    #[command(flatten)]
    network: Network,
}

impl Gc {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let mut options = GcOptions { dry_run: self.dry_run, ..GcOptions::default() };
        if let Some(text) = &self.horizon {
            options.horizon_ms = args::age("--horizon", text)?;
        }
        if let Some(text) = &self.grace {
            options.grace_ms = args::age("--grace", text)?;
        }
        let repo = context.working_repo()?;
        let done = match &self.remote {
            None => repo.gc(&options)?,
            Some(name) => {
                let remote = repo.open_remote(name, &self.network.options(false))?;
                remote.existing()?;
                let mut there = remote.into_repo();
                there.set_progress(context.ui.progress());
                there.gc(&options)?
            }
        };
        if context.ui.json {
            let line = json!({
                "dry_run": self.dry_run, "objects_live": done.objects_live, "bytes_live": done.bytes_live, "bytes_dead": done.bytes_dead,
                "packs_condemned": done.packs_condemned, "bytes_condemned": done.bytes_condemned, "bytes_written": done.bytes_written,
                "files_deleted": done.files_deleted,
            });
            let mut out = context.ui.out();
            writeln!(out, "{line}")?;
            return Ok(out.finish()?);
        }
        let live = format!("{} in {}", format::bytes(done.bytes_live), format::plural(done.objects_live, "object"));
        context.ui.note(format!("Alive: {live}; dead: {}", format::bytes(done.bytes_dead)));
        let would = if self.dry_run { "Would condemn" } else { "Condemned" };
        if done.packs_condemned > 0 {
            let kept = if done.bytes_written > 0 { format!(", {} of them written anew", format::bytes(done.bytes_written)) } else { String::new() };
            context.ui.note(format!("{would} {} ({}{kept})", format::plural(done.packs_condemned, "pack"), format::bytes(done.bytes_condemned)));
        }
        if done.files_deleted > 0 {
            let deleted = if self.dry_run { "Would delete" } else { "Deleted" };
            context.ui.note(format!("{deleted} {}", format::plural(done.files_deleted, "file")));
        }
        Ok(())
    }
}

//! `dsv gc`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Delete what nothing reaches
///
/// Data of deleted branches and of undone work stays until it is collected. What is condemned is deleted after a grace period, so that readers
/// and writers at work are not disturbed. Operations older than the horizon can no longer be undone.
///
/// Examples:
///
///   dsv gc
///   dsv gc --dry-run
///   dsv gc --horizon 1d --grace 0s
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Gc {
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Forget operations older than this: 30d, 12h, 0s
    #[arg(long, value_name = "AGE")]
    horizon: Option<String>,
    /// Delete condemned files only after this time: 2w, 1h, 0s
    #[arg(long, value_name = "AGE")]
    grace: Option<String>,
}

impl Gc {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("gc")
    }
}

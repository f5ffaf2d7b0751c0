//! `dsv commit`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Record the working state as a commit
///
/// The commit holds the tables as they are now. The author is taken from `user.name` and `user.email` (see `dsv config`), else from Git's settings.
/// Where nothing changed since the last commit, this says so and exits with 1.
///
/// Examples:
///
///   dsv commit -m "fix the labels of 12 birds"
///   dsv commit -m "import release 3" -m "From the archive of 2026-02-11, without duplicates."
///   dsv commit --amend -m "a better message"
///   dsv commit -m "start" --allow-empty
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Commit {
    /// What changed and why; a second one becomes a second paragraph
    #[arg(short, long, value_name = "MSG")]
    message: Vec<String>,
    /// Replace the last commit instead of following it
    #[arg(long)]
    amend: bool,
    /// Commit even where nothing changed
    #[arg(long)]
    allow_empty: bool,
    /// Another author
    #[arg(long, value_name = "NAME <EMAIL>")]
    author: Option<String>,
}

impl Commit {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("commit")
    }
}

//! `dsv branch`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// List, create, rename or delete branches
///
/// A branch costs a name: no data is copied. Each branch has its own working state, so switching between them loses nothing.
///
/// With --json, a line for each branch: {"branch", "commit", "current", "uncommitted", "time", "message"}.
///
/// Examples:
///
///   dsv branch                           list
///   dsv branch fix-labels                from here
///   dsv branch fix-labels v1.0           from a revision
///   dsv branch -m fix-labels labels      rename
///   dsv branch -d labels                 delete, if its commits are elsewhere too
///   dsv branch -D labels                 delete
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Branch {
    /// The new branch; without it, branches are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Where it starts; with -m, the new name
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// List branches, also with other options
    #[arg(short, long, conflicts_with_all = ["rename", "delete", "force_delete", "name"])]
    list: bool,
    /// Rename a branch: -m NEW, or -m OLD NEW
    #[arg(short = 'm', long = "move", requires = "name")]
    rename: bool,
    /// Delete a branch that another holds the commits of
    #[arg(short, long, requires = "name", conflicts_with = "rename")]
    delete: bool,
    /// Delete a branch, whatever becomes of its commits and working state
    #[arg(short = 'D', requires = "name", conflicts_with_all = ["rename", "delete"])]
    force_delete: bool,
    /// Move a branch that exists to REV
    #[arg(short, long)]
    force: bool,
}

impl Branch {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("branch")
    }
}

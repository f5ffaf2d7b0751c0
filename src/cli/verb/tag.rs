//! `dsv tag`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// List, create or delete tags
///
/// A tag is a name that does not move.
///
/// With --json, a line for each tag: {"tag", "commit", "message", "tagger", "time"}.
///
/// Examples:
///
///   dsv tag                              list
///   dsv tag v1.0                         here
///   dsv tag v1.0 main~3 -m "first release"
///   dsv tag -d v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Tag {
    /// The new tag; without it, tags are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What it names
    #[arg(value_name = "REV", default_value = "HEAD", hide_default_value = true)]
    revision: String,
    /// A message
    #[arg(short, long, value_name = "MSG")]
    message: Option<String>,
    /// Delete the tag
    #[arg(short, long, requires = "name", conflicts_with_all = ["message", "force"])]
    delete: bool,
    /// Move a tag that exists
    #[arg(short, long)]
    force: bool,
    /// List tags
    #[arg(short, long, conflicts_with_all = ["name", "delete", "message"])]
    list: bool,
}

impl Tag {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("tag")
    }
}

//! `dsv config`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Read or change settings
///
/// A setting is looked for in the repository's .dsv/config.toml, then in the user's own file. `user.name` and `user.email` sign commits.
///
/// With --json, a line for each setting: {"key", "value", "from"}.
///
/// Examples:
///
///   dsv config                                   list
///   dsv config user.name                         one value
///   dsv config user.name "Ada Lovelace"          in this repository
///   dsv config --global user.email ada@example.org
///   dsv config --unset user.name
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Config {
    /// The setting, as section.name
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Its new value
    #[arg(value_name = "VALUE")]
    value: Option<String>,
    /// In the user's file, for all repositories
    #[arg(long)]
    global: bool,
    /// Remove the setting
    #[arg(long, requires = "key", conflicts_with = "value")]
    unset: bool,
}

impl Config {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("config")
    }
}

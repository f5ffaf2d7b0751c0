//! `dsv config`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::repo::{Config as Settings, Environment, Repo, RepoError, Scope, Setting};

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
        // The user's settings can be read and set anywhere.
        let (settings, inside) = match Repo::open(context.dir()) {
            Ok(repo) => (repo.config(), true),
            Err(RepoError::NoRepository(_)) => (Settings::new(None, &Environment::system()), false),
            Err(error) => return Err(error.into()),
        };
        let scope = if self.global { Scope::User } else { Scope::Repository };
        if scope == Scope::Repository && !inside && (self.value.is_some() || self.unset) {
            return Err(CliError::usage("not in a dsv repository").hint("--global sets it for all repositories"));
        }
        let Some(key) = self.key else {
            let mut out = context.ui.page();
            for setting in settings.list()? {
                writeln!(out, "{}", line(context, &setting))?;
            }
            return Ok(out.finish()?);
        };
        if self.unset {
            return if settings.unset(scope, &key)? { Ok(()) } else { Err(CliError::no(format!("'{key}' is not set"))) };
        }
        if let Some(value) = self.value {
            return Ok(settings.set(scope, &key, &value)?);
        }
        settings.get(&key)?;
        let Some(setting) = settings.list()?.into_iter().find(|s| s.key == key) else { return Err(CliError::no(format!("'{key}' is not set"))) };
        let mut out = context.ui.out();
        if context.ui.json {
            writeln!(out, "{}", line(context, &setting))?;
        } else {
            writeln!(out, "{}", setting.value)?;
        }
        Ok(out.finish()?)
    }
}

fn line(context: &Context, setting: &Setting) -> String {
    if context.ui.json {
        let from = match setting.scope {
            Scope::Repository => "repository",
            Scope::User => "user",
        };
        return json!({"key": setting.key, "value": setting.value, "from": from}).to_string();
    }
    format!("{}={}", setting.key, setting.value)
}

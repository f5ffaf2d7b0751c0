//! `dsv cache`.

use std::io::Write;

use serde_json::json;

use crate::base::size::bytes_of;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::repo::remotes::page_cache;
use crate::repo::{Environment, RepoError};
use crate::store::Usage;

/// Show or trim what is kept of remotes
///
/// What is read of a remote without a clone, or by a lazy one, is kept on this machine, for all repositories and processes of a user; what was used least recently goes when it
/// grows past its bound. Without a subcommand it is shown.
///
/// $DSV_CACHE_DIR or the setting cache.dir names the folder (default: ~/.cache/dsv), $DSV_CACHE_SIZE or cache.size the bound (default: 10GB; 0 keeps nothing).
///
/// With --json: {"dir", "files", "bytes", "bytes_max"}, or what went: {"files", "bytes"}.
///
/// Examples:
///
///   dsv cache
///   dsv cache trim --to 2GB
///   dsv cache clear
///   dsv config --global cache.size 50GB
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cache {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Drop what was used least recently
    ///
    /// Examples:
    ///
    ///   dsv cache trim
    ///   dsv cache trim --to 2GB
    #[command(verbatim_doc_comment)]
    Trim {
        /// Until so much is left, such as 2GB [default: the bound]
        #[arg(long, value_name = "SIZE", value_parser = size)]
        to: Option<u64>,
    },
    /// Drop everything
    ///
    /// Examples:
    ///
    ///   dsv cache clear
    #[command(verbatim_doc_comment)]
    Clear,
}

fn size(text: &str) -> Result<u64, String> {
    bytes_of(text).ok_or_else(|| "write a size such as 500MB or 2GB".to_owned())
}

impl Cache {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let ui = &context.ui;
        let Some(cache) = page_cache(&Environment::system())? else {
            return Err(CliError::usage("no folder for a cache is known").hint("set $DSV_CACHE_DIR or $HOME"));
        };
        let failed = |e| CliError::from(RepoError::io(cache.dir())(e));
        let Some(what) = self.what else {
            let Usage { files, bytes } = cache.usage().map_err(failed)?;
            let mut out = ui.out();
            if ui.json {
                writeln!(out, "{}", json!({ "dir": cache.dir(), "files": files, "bytes": bytes, "bytes_max": cache.bytes_max() }))?;
            } else {
                writeln!(
                    out,
                    "{}: {} of {} in {}",
                    cache.dir().display(),
                    format::bytes(bytes),
                    format::bytes(cache.bytes_max()),
                    format::plural(files, "file")
                )?;
            }
            return Ok(out.finish()?);
        };
        let bytes_max = match what {
            What::Trim { to } => to.unwrap_or(cache.bytes_max()),
            What::Clear => 0,
        };
        let gone = cache.trim(bytes_max).map_err(failed)?;
        if ui.json {
            let mut out = ui.out();
            writeln!(out, "{}", json!({ "files": gone.files, "bytes": gone.bytes }))?;
            return Ok(out.finish()?);
        }
        ui.note(match gone.files {
            0 => "Nothing had to go".to_owned(),
            files => format!("Dropped {} in {}", format::bytes(gone.bytes), format::plural(files, "file")),
        });
        Ok(())
    }
}

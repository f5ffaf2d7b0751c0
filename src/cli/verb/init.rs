//! `dsv init`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::repo::{FOLDER, Repo};

/// Create an empty repository
///
/// Makes a folder .dsv in DIR (default: here) that holds everything: data, history, settings. A repository that is there already is left as it is,
/// and refused.
///
/// Examples:
///
///   dsv init                       here
///   dsv init faces                 in a new folder
///   dsv init -b trunk faces        with a first branch of another name than main
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Init {
    /// Where; made if missing
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Name of the first branch
    #[arg(short = 'b', long, value_name = "NAME", default_value = "main")]
    initial_branch: String,
}

impl Init {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let dir = match &self.dir {
            Some(dir) => context.path(dir),
            None => context.dir().to_owned(),
        };
        let repo = Repo::init(&dir, &self.initial_branch)?;
        let place = repo.dir().map_or_else(|| dir.join(FOLDER), std::path::Path::to_owned);
        context.ui.note(format!("Empty repository in {}, on branch {}", place.display(), self.initial_branch));
        Ok(())
    }
}

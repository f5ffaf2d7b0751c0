//! What every verb is given: where to run, and how to speak.

use std::path::{Path, PathBuf};

use super::error::CliError;
use super::ui::Ui;
use crate::query::expressions;
use crate::repo::{OpenOptions, Repo};

/// The surroundings of one run.
#[derive(Debug)]
pub struct Context {
    /// Where output goes.
    pub ui: Ui,
    dir: Option<PathBuf>,
}

impl Context {
    /// A run in `dir`, or in the process's own directory.
    pub fn new(ui: Ui, dir: Option<PathBuf>) -> Context {
        Context { ui, dir }
    }

    /// The directory that the verb runs in.
    pub fn dir(&self) -> &Path {
        self.dir.as_deref().unwrap_or(Path::new("."))
    }

    /// A path as the person meant it: relative to `-C DIR`.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        match &self.dir {
            Some(dir) => dir.join(path),
            None => path.as_ref().to_owned(),
        }
    }

    /// The repository around the directory.
    pub fn repo(&self) -> Result<Repo, CliError> {
        Ok(Repo::open_with(self.dir(), &OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() })?)
    }

    /// The same for long work: with a progress bar, and stopped by Ctrl-C.
    pub fn working_repo(&self) -> Result<Repo, CliError> {
        let mut repo = self.repo()?;
        repo.set_progress(self.ui.progress());
        Ok(repo)
    }
}

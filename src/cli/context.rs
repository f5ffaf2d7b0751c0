//! What every verb is given: where to run, and how to speak.

use std::path::{Path, PathBuf};

use super::error::CliError;
use super::ui::Ui;
use crate::query::expressions;
use crate::repo::remotes::{Remote, RemoteOptions};
use crate::repo::{OpenOptions, Repo};

/// The surroundings of one run.
#[derive(Debug)]
pub struct Context {
    /// Where output goes.
    pub ui: Ui,
    dir: Option<PathBuf>,
    /// The branch that it stays on; without, what is checked out.
    branch: Option<String>,
}

impl Context {
    /// A run in `dir`, or in the process's own directory.
    pub fn new(ui: Ui, dir: Option<PathBuf>) -> Context {
        Context { ui, dir, branch: None }
    }

    /// The same on a branch, whatever is checked out.
    pub fn on_branch(self, branch: Option<String>) -> Context {
        Context { branch, ..self }
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
        let repo = Repo::open_with(self.dir(), &OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() })?;
        match &self.branch {
            Some(branch) => Ok(repo.on_branch(branch)?),
            None => Ok(repo),
        }
    }

    /// The repository that a revision is of, and the revision in it: `URL#REV` is one of another repository, which is read where it is.
    pub fn repo_of(&self, revision: Option<&str>) -> Result<(Repo, Option<String>), CliError> {
        let Some((url, revision)) = revision.filter(|text| text.contains("://")).map(|text| text.split_once('#').unwrap_or((text, ""))) else {
            return Ok((self.working_repo()?, revision.map(str::to_owned)));
        };
        let (repo, branch) = self.repo_at(url)?;
        let revision = match (revision, branch) {
            ("", Some(branch)) => branch,
            ("", None) => return Err(CliError::usage(format!("{url} has no branch yet"))),
            (named, _) => named.to_owned(),
        };
        Ok((repo, Some(revision)))
    }

    /// The repository at an address, to be read where it is, and its own choice of a branch.
    pub fn repo_at(&self, url: &str) -> Result<(Repo, Option<String>), CliError> {
        let open = OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() };
        let remote = Remote::open(url, &RemoteOptions::default(), &open)?;
        let view = remote.existing()?;
        let branch = remote.default_branch(&view)?.map(|(branch, _)| branch);
        let mut repo = remote.into_reader(&view);
        repo.set_progress(self.ui.progress());
        Ok((repo, branch))
    }

    /// The same for long work: with a progress bar, and stopped by Ctrl-C.
    pub fn working_repo(&self) -> Result<Repo, CliError> {
        let mut repo = self.repo()?;
        repo.set_progress(self.ui.progress());
        Ok(repo)
    }
}

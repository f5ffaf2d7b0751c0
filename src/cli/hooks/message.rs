//! A commit's message in a file, for the hooks that word it or look at it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};

use super::change::Change;
use super::{Hook, Hooks, Occasion};
use crate::base::CommitId;
use crate::cli::error::CliError;
use crate::repo::CommitOptions;

/// A message is not longer.
const BYTES_MAX: u64 = 1 << 20;

/// Where a message came from, as prepare-commit-msg is told.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// `message`: it was given.
    Given,
    /// `merge`: it is that of what is merged, or goes on.
    Merge,
    /// `commit` and the commit: it is that of the one that is amended.
    Commit(CommitId),
}

impl Source {
    fn words(self) -> Vec<OsString> {
        match self {
            Source::Given => vec!["message".into()],
            Source::Merge => vec!["merge".into()],
            Source::Commit(id) => vec!["commit".into(), id.to_string().into()],
        }
    }
}

impl Hooks<'_> {
    /// What prepare-commit-msg makes of a message, and commit-msg lets pass (where `verify`); nothing where neither is there.
    pub fn worded(&self, message: &str, source: Source, head: Option<CommitId>, verify: bool) -> Result<Option<String>, CliError> {
        let prepare = self.ready(Hook::PrepareCommitMsg)?;
        let check = if verify { self.ready(Hook::CommitMsg)? } else { Vec::new() };
        let Some((dir, _)) = self.place.as_ref().filter(|_| !prepare.is_empty() || !check.is_empty()) else { return Ok(None) };
        let failed = |error: std::io::Error| CliError::fault(format!("the commit's message: {error}"));
        let mut file = tempfile::Builder::new().prefix("COMMIT_EDITMSG-").tempfile_in(dir).map_err(failed)?;
        file.write_all(format!("{}\n", message.trim_end()).as_bytes()).map_err(failed)?;
        let path = file.into_temp_path();
        let mut args = vec![path.as_os_str().to_owned()];
        let occasion = |args: Vec<OsString>| Occasion { args, head, ..Occasion::default() };
        let only = args.clone();
        args.extend(source.words());
        self.run_found(&prepare, &occasion(args))?;
        self.run_found(&check, &occasion(only))?;
        let mut text = String::new();
        File::open(&path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text)).map_err(|error| {
            let why = if error.kind() == std::io::ErrorKind::InvalidData { "it is no longer text".to_owned() } else { error.to_string() };
            CliError::no(format!("the commit's message cannot be read after its hooks: {why}: nothing was changed"))
        })?;
        let text = text.trim_end().to_owned();
        if text.trim().is_empty() {
            return Err(CliError::no("the commit's message is empty after its hooks: nothing was changed"));
        }
        if text.len() as u64 > BYTES_MAX {
            return Err(CliError::no("the commit's message is longer than 1 MB after its hooks: nothing was changed"));
        }
        Ok(Some(text))
    }

    /// What comes before a commit of the working state: pre-commit, then the hooks of the message. Returns the options with the message that it shall have.
    pub fn before_commit(&self, options: &CommitOptions) -> Result<CommitOptions, CliError> {
        let draft = self.repo.draft(options)?;
        let head = draft.working.tip;
        let ran = self.run(Hook::PreCommit, || {
            let before = draft.parents.first().map(|parent| self.repo.snapshot_of(*parent)).transpose()?.unwrap_or_default();
            let change = Change::between(&before, &draft.working.snapshot);
            let merged = draft.parents.iter().skip(1).copied().collect();
            Ok(Occasion { head, merged, change, ..Occasion::default() })
        })?;
        let source = match (&options.message, &draft.replaced, head) {
            (None, Some(_), Some(head)) => Source::Commit(head),
            (None, None, _) => Source::Merge,
            _ => Source::Given,
        };
        let worded = self.worded(&draft.message, source, head, true)?;
        if ran || worded.is_some() {
            // The working state is committed as the hooks leave it, but upon the commit and the branch that they were asked about.
            let now = self.repo.working()?;
            if now.tip != head || now.head != draft.working.head {
                return Err(CliError::no("a hook moved the branch, or went to another one: nothing was committed"));
            }
        }
        // An amended commit keeps the one that it has where nobody words another.
        Ok(CommitOptions { message: worded.filter(|worded| *worded != draft.message).or_else(|| options.message.clone()), ..options.clone() })
    }
}

//! Floor 5: the Repo handle, and one file for each operation on it. Knows no terminal and no SQL.

pub mod blame;
mod branch;
mod changes;
mod checks;
mod commit;
#[cfg(feature = "git")]
mod compare;
mod config;
pub mod diff;
mod environment;
mod error;
mod export;
pub mod files;
mod gate;
mod gc;
#[cfg(feature = "git")]
pub mod git;
#[cfg(feature = "git")]
mod git_history;
mod identity;
mod import;
mod keys;
mod log;
mod merge;
mod merging;
mod open;
mod operations;
pub mod pin;
pub mod profile;
pub mod remotes;
mod repair;
mod replay;
mod reset;
mod restore;
mod rows;
mod status;
mod subset;
mod switch;
mod tables;
mod tag;
mod touched;
mod verify;
mod views;
mod working;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{CommitId, NoProgress, Progress};
use crate::chunk::Objects;
use crate::format::commit::Commit;
use crate::format::operation::HeadRef;
use crate::format::snapshot::Snapshot;
use crate::history::{Graph, HistoryError, Ledger, Range, Resolver, Selection, Stamp, StoreLedger, Transaction, View, load_snapshot};
use crate::table::expression::Expressions;

pub use branch::BranchInfo;
pub use changes::{Change, NameChange, checks as changed_checks, tables as changed_tables, views as changed_views};
pub use checks::{CheckInfo, NewCheck, Severity, Tested, Violation, merge_checks};
pub use commit::{CommitOptions, Committed, Draft};
#[cfg(feature = "git")]
pub use compare::FilePair;
pub use config::{Config, Scope, Setting};
pub use diff::{FIELDS as DIFF_FIELDS, RowDiff, RowDiffs, RowFilter, take_any};
pub use environment::Environment;
pub use error::{ErrorKind, RepoError};
pub use gate::{Gate, Proposed};
pub use gc::{Collected, GcOptions};
#[cfg(feature = "git")]
pub use git_history::{GIT_COMMIT, GIT_PATH, GIT_REPOSITORY, GIT_TABLE, GitImport, GitImported, Replayed};
pub use identity::Identity;
pub use import::{ImportMode, ImportOptions, Imported};
pub use log::{LogEntry, LogOptions, RefKind, RefLabel, Shown};
pub use merge::{MergeOutcome, MergeReport, MergeRequest, MergedTable, NameConflict};
pub use merging::{Aborted, Disputed, Pending, Pick, Resolution, Resolved};
pub use open::{FOLDER, OpenOptions};
pub use operations::OperationInfo;
pub use repair::Repaired;
pub use replay::{Replay, ReplayOptions, ReplayOutcome, ReplayReport};
pub use reset::ResetMode;
pub use rows::{Affected, NewCells, OnKey, RowStream};
pub use status::Status;
pub use subset::{NewSubset, Subset};
pub use switch::{SwitchOptions, Switched};
pub use tables::{TableInfo, cell_of_text};
pub use tag::TagInfo;
pub use verify::{Fault, Verification, by_harm};
pub use working::WorkingState;

/// A repository: what all verbs work on.
///
/// Reads look at the newest state each time, and take no lock. A handle serves one write at a time; another writer opens its own.
pub struct Repo {
    dir: Option<PathBuf>,
    objects: Arc<Objects>,
    ledger: Arc<dyn Ledger>,
    graph: Graph,
    environment: Environment,
    expressions: Option<Arc<dyn Expressions>>,
    progress: Arc<dyn Progress>,
    /// The branch that this handle stays on; without, it goes along with what is checked out.
    pinned: Option<String>,
    /// True for a remote: what was written in vain is left to its gc.
    is_remote: bool,
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repo").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Repo {
    fn assemble(dir: Option<PathBuf>, objects: Arc<Objects>, ledger: Arc<dyn Ledger>, options: &OpenOptions) -> Repo {
        let OpenOptions { environment, expressions, .. } = options.clone();
        Repo {
            dir,
            graph: Graph::new(objects.clone()),
            objects,
            ledger,
            environment,
            expressions,
            progress: Arc::new(NoProgress),
            pinned: None,
            is_remote: false,
        }
    }

    /// Publishes the first operation: `HEAD` on a branch without a commit.
    fn make(&self, branch: &str) -> Result<(), RepoError> {
        crate::base::name::check_ref("branch", branch)?;
        let mut first = Transaction::new(None);
        first.set(crate::history::state::HEAD, Some(HeadRef::Branch(branch.to_owned()).encode()))?;
        self.publish(first, "init")?;
        Ok(())
    }

    /// Tells long work's steps to `progress` from now on, and asks it whether to stop.
    pub fn set_progress(&mut self, progress: Arc<dyn Progress>) {
        self.progress = progress;
    }

    /// Where long work tells its steps.
    pub fn progress(&self) -> &Arc<dyn Progress> {
        &self.progress
    }

    /// All objects.
    pub fn objects(&self) -> &Arc<Objects> {
        &self.objects
    }

    /// The commits and how they follow each other.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What understands SQL, if it was opened with it.
    pub fn expressions(&self) -> Option<&Arc<dyn Expressions>> {
        self.expressions.as_ref()
    }

    /// The clock and the variables that it was opened with.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Another handle of the same repository, which stays on a branch whatever is checked out: what it reads and writes is that branch's working state.
    pub fn on_branch(&self, branch: &str) -> Result<Repo, RepoError> {
        let state = self.view()?.state;
        if !branch::branch_exists(&state, branch)? {
            return Err(self.no_branch(&state, branch)?);
        }
        let objects = Arc::new(Objects::new(self.objects.store().clone(), self.objects.limits().clone()));
        let ledger = Arc::new(StoreLedger::new(objects.clone()));
        let options = self.open_options();
        if let Some(dir) = &self.dir {
            remotes::look_beyond(&objects, dir, &options)?;
        }
        let repo = Repo::assemble(self.dir.clone(), objects, ledger, &options);
        Ok(Repo { pinned: Some(branch.to_owned()), progress: self.progress.clone(), ..repo })
    }

    /// The options with which another repository is opened beside this one.
    fn open_options(&self) -> OpenOptions {
        OpenOptions { environment: self.environment.clone(), expressions: self.expressions.clone(), limits: self.objects.limits().clone() }
    }

    /// The branch that this handle stays on; none where it goes along with what is checked out.
    pub fn pinned(&self) -> Option<&str> {
        self.pinned.as_deref()
    }

    /// The newest state.
    pub fn view(&self) -> Result<View, RepoError> {
        match View::newest(&self.objects, &*self.ledger)? {
            Some(View { mark, operation, state }) => Ok(match &self.pinned {
                Some(branch) => View { mark, operation, state: state.pinned(branch) },
                None => View { mark, operation, state },
            }),
            None => Err(RepoError::NoRepository(self.dir.clone().unwrap_or_default())),
        }
    }

    /// The commit that a revision names.
    pub fn resolve(&self, revision: &str) -> Result<CommitId, RepoError> {
        self.resolve_in(&self.view()?, revision)
    }

    fn resolve_in(&self, view: &View, revision: &str) -> Result<CommitId, RepoError> {
        Ok(self.resolver(view).text(revision)?)
    }

    fn resolver<'a>(&'a self, view: &'a View) -> Resolver<'a> {
        Resolver { objects: &self.objects, view, graph: &self.graph, now_millis: self.environment.now_millis() }
    }

    /// The commits that ranges such as `v1.0..main` name together; `HEAD`'s where there are none.
    pub fn resolve_ranges(&self, ranges: &[String]) -> Result<Selection, RepoError> {
        let ranges = ranges.iter().map(|range| range.parse()).collect::<Result<Vec<Range>, _>>().map_err(HistoryError::from)?;
        Ok(self.resolver(&self.view()?).ranges(&ranges)?)
    }

    /// A commit.
    pub fn commit_of(&self, id: CommitId) -> Result<Arc<Commit>, RepoError> {
        Ok(self.graph.commit(id)?)
    }

    /// The tables and views of a commit.
    pub fn snapshot_of(&self, commit: CommitId) -> Result<Snapshot, RepoError> {
        Ok(load_snapshot(&self.objects, self.graph.commit(commit)?.snapshot)?)
    }

    /// The tables and views of a revision.
    pub fn snapshot_at(&self, revision: &str) -> Result<Snapshot, RepoError> {
        self.snapshot_of(self.resolve(revision)?)
    }

    fn publish(&self, transaction: Transaction, command: impl Into<String>) -> Result<View, RepoError> {
        self.publish_as(self, transaction, command)
    }

    /// Publishes what another repository's user changes in this one.
    fn publish_as(&self, user: &Repo, transaction: Transaction, command: impl Into<String>) -> Result<View, RepoError> {
        let (login, machine) = user.environment.login();
        let stamp = Stamp { user: format!("{login}@{machine}"), millis: user.environment.now_millis(), command: command.into() };
        let idle = transaction.is_empty();
        let published = transaction.publish(&self.objects, &*self.ledger, &stamp);
        // What was written is of no use, unless the change may have been made after all.
        match &published {
            Ok(_) if !idle => {}
            Err(HistoryError::Unsettled(_)) => {}
            _ => self.drop_written(),
        }
        Ok(published?)
    }

    /// Drops what was written and not published. Where its files cannot be deleted they are left to gc: the error that led here counts. In a remote nothing is deleted: whether a failed swap of its head is
    /// still on its way is not known.
    fn drop_written(&self) {
        if self.is_remote { self.objects.abandon() } else { drop(self.objects.discard()) }
    }
}

#[cfg(test)]
mod tests;

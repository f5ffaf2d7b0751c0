//! The history of a file in a Git repository, replayed as commits.
//!
//! ```text
//! source   the repository, a revision, paths in trees        walk      the commits that changed the file
//! content  a version's bytes, pointers followed               mod       version by version: import, commit, publish
//! ```

mod content;
mod source;
mod walk;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::content::Contents;
use self::source::Source;
use self::walk::{Version, Ways, versions};
use super::files::{FileError, Input, ReadOptions};
use super::import::table_seed;
use super::{ImportMode, ImportOptions, Repo, RepoError};
use crate::base::progress::{Muted, Unit};
use crate::base::{CommitId, Progress};
use crate::format::commit::{Commit, Signature};
use crate::format::operation::HeadRef;
use crate::format::snapshot::Snapshot;
use crate::history::{Transaction, View, short, store_commit, store_snapshot};
use crate::table::replace::Changes;
use crate::table::{Table, TableError};

/// Keys of a commit's source: the commit in Git, ...
pub const GIT_COMMIT: &str = "git.commit";
/// ... the path of the file there, ...
pub const GIT_PATH: &str = "git.path";
/// ... what the Git repository is called, ...
pub const GIT_REPOSITORY: &str = "git.repository";
/// ... and the table that was made of it.
pub const GIT_TABLE: &str = "git.table";

/// Commits are published together after so many, or after so long: each publication waits for the disk.
const TOGETHER_MAX: usize = 256;
const TOGETHER_TIME: Duration = Duration::from_secs(10);

/// What to replay, and how.
#[derive(Debug, Clone)]
pub struct GitImport {
    /// The Git repository: a worktree, a folder of one, which paths are relative to, a `.git` or a bare repository.
    pub repository: PathBuf,
    /// The file.
    pub path: String,
    /// The commit in Git whose history it is.
    pub revision: String,
    /// The columns that become the table's key; without any, rows are matched by content.
    pub key: Vec<String>,
    /// How to read each version. Of `types`, each version takes those of columns that it has.
    pub read: ReadOptions,
    /// Go on though the table was made or changed otherwise: it becomes what it is in Git.
    pub replace: bool,
    /// Stop at a version that cannot be read, instead of leaving it out.
    pub strict: bool,
    /// Follow the file past the commits in which it was moved, unchanged, from another path.
    pub follow: bool,
    /// Go along the first parents of merges alone.
    pub first_parent: bool,
}

/// What became of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The commit in Git.
    pub git_commit: String,
    /// The file's path there.
    pub path: String,
    /// The commit that was made, and what it changed; or why the version was left out.
    pub outcome: Result<(CommitId, Changes), String>,
}

/// What a replay did.
#[derive(Debug)]
pub struct GitImported {
    /// Each version that was come to, in order.
    pub versions: Vec<Replayed>,
    /// Versions that were here already.
    pub known: u64,
    /// Rows and columns of the table now; none where it was deleted last.
    pub size: Option<(u64, usize)>,
    /// The commit at which a shallow clone's history ends.
    pub shallow: Option<String>,
    /// Why it stopped before its end. What was made until then stays, and another run goes on behind it.
    pub stopped: Option<RepoError>,
}

impl GitImported {
    /// Commits that were made.
    pub fn made(&self) -> u64 {
        self.versions.iter().filter(|version| version.outcome.is_ok()).count() as u64
    }

    /// Versions that were left out, and why.
    pub fn skipped(&self) -> impl Iterator<Item = (&Replayed, &str)> {
        self.versions.iter().filter_map(|version| Some((version, version.outcome.as_ref().err()?.as_str())))
    }
}

impl Repo {
    /// Replays the history of a file in a Git repository on the branch: each commit there that changed the file becomes a commit here, oldest first, in which the table is
    /// made equal to the file, with that commit's author, time and message. A version that cannot be read is left out; where the file was deleted, the table is dropped.
    /// Where a run before this one ended, it goes on. Commits are published some at a time: after an interruption those stay.
    ///
    /// Memory holds a version of the file at a time. Errors before the first commit; later ones are in [`GitImported::stopped`].
    pub fn import_git(&mut self, table: &str, from: &GitImport, command: &str) -> Result<GitImported, RepoError> {
        crate::base::name::check_label("table", table)?;
        let progress = self.progress.clone();
        // Of what is done within a version nothing is told: there is one bar.
        self.progress = Arc::new(Muted(progress.clone()));
        let done = Replay::start(self, table, from, command, &progress).and_then(|(replay, todo)| replay.run(todo, &progress));
        self.progress = progress;
        done
    }
}

/// What is left to do.
struct Todo {
    versions: Vec<Version>,
    known: u64,
    shallow: Option<String>,
    /// The first of the versions is one that is here already, but was changed since.
    again: bool,
}

struct Replay<'a> {
    repo: &'a Repo,
    name: &'a str,
    from: &'a GitImport,
    command: &'a str,
    source: Rc<Source>,
    options: ImportOptions,
    view: View,
    head: HeadRef,
    tip: Option<CommitId>,
    snapshot: Snapshot,
    /// The table as it is, or as it was before the file was deleted: what comes again are the same rows.
    table: Option<Table>,
    /// Commits that are not published yet...
    pending: Vec<CommitId>,
    /// ... and those that could not be.
    lost: Vec<CommitId>,
    since: Instant,
}

impl<'a> Replay<'a> {
    fn start(repo: &'a Repo, name: &'a str, from: &'a GitImport, command: &'a str, progress: &Arc<dyn Progress>) -> Result<(Replay<'a>, Todo), RepoError> {
        let working = repo.working()?;
        working.check_clean()?;
        if working.snapshot.views.contains_key(name) {
            return Err(super::working::no_table(&working.snapshot, name, None));
        }
        let source = Rc::new(Source::open(&from.repository)?);
        let tip = source.commit(&from.revision)?;
        let tree = source.repository.find_commit(tip).and_then(|commit| Ok(commit.tree_id()?.detach())).map_err(source.fault())?;
        let path = source.path(&from.path)?;
        source.check(tree, &path)?;
        let ways = Ways { first_parent: from.first_parent, follow: from.follow };
        let found = versions(&source, tip, &path, ways, &**progress)?;
        if found.all.is_empty() {
            return Err(source.no_file(tree, &path, &from.revision));
        }
        let mut read = from.read.clone();
        // A version need not have each column that a type was said for.
        read.hints.append(&mut read.types);
        let options = ImportOptions { mode: ImportMode::Replace, key: from.key.clone(), read, keep: None };
        let mut replay = Replay {
            repo,
            name,
            from,
            command,
            source,
            options,
            head: working.head.clone(),
            tip: working.tip,
            snapshot: working.snapshot,
            view: working.view,
            table: None,
            pending: Vec::new(),
            lost: Vec::new(),
            since: Instant::now(),
        };
        let shallow = found.shallow.map(|id| id.to_string());
        let (known, again) = replay.known(&found.all, &path)?;
        let mut here = replay.snapshot.tables.get(name).copied();
        if here.is_none() && known > 0 {
            // The last version deleted it: what comes again are the rows from before.
            let parent = replay.last_of_table()?.and_then(|(_, commit)| commit.parents.first().copied());
            here = parent.map(|parent| repo.snapshot_of(parent)).transpose()?.and_then(|before| before.tables.get(name).copied());
        }
        replay.table = here.map(|id| Table::load(repo.objects(), id)).transpose()?;
        Ok((replay, Todo { versions: found.all.into_iter().skip(known).collect(), known: known as u64, shallow, again }))
    }

    /// How many of the versions are here, by the newest commit that an earlier run made; and whether the last of them has to be taken again, which is not counted then.
    fn known(&self, all: &[Version], path: &str) -> Result<(usize, bool), RepoError> {
        let here = self.snapshot.tables.get(self.name);
        let Some((id, commit)) = self.last_of_table()? else {
            return match here {
                Some(_) if !self.from.replace => Err(RepoError::refused_with(
                    format!("table '{}' exists already, and was not made from Git", self.name),
                    "--replace replays the history over it; or choose another name",
                )),
                _ => Ok((0, false)),
            };
        };
        let git = commit.source.get(GIT_COMMIT).map_or("", String::as_str);
        let then = self.repo.snapshot_of(id)?.tables.get(self.name).copied();
        // Dropped by hand: it begins anew.
        if here.is_none() && then.is_some() {
            return Ok((0, false));
        }
        let wanted = gix::ObjectId::from_hex(git.as_bytes()).ok();
        let Some(at) = all.iter().position(|version| Some(version.commit) == wanted) else {
            return if self.from.replace {
                Ok((0, false))
            } else {
                let was = commit.source.get(GIT_PATH).map_or("", String::as_str);
                Err(RepoError::refused_with(
                    format!(
                        "table '{}' was taken from '{was}' as of commit {git:.8} in Git, which is not in the history of '{path}' at '{}'",
                        self.name, self.from.revision
                    ),
                    "--replace replays that history over it; or choose another name",
                ))
            };
        };
        match (then.as_ref() == here, self.from.replace) {
            (true, _) => Ok((at + 1, false)),
            (false, true) => Ok((at, true)),
            (false, false) => Err(RepoError::refused_with(
                format!("table '{}' was changed since commit {}, which was the last from Git", self.name, short(&id)),
                "--replace makes it again what it is in Git; or replay on a branch that starts there, and merge",
            )),
        }
    }

    /// The newest commit, along the first parents, that an earlier run made for this table.
    fn last_of_table(&self) -> Result<Option<(CommitId, Arc<Commit>)>, RepoError> {
        let mut at = self.tip;
        while let Some(id) = at {
            let commit = self.repo.commit_of(id)?;
            if commit.source.get(GIT_TABLE).is_some_and(|table| table == self.name) && commit.source.contains_key(GIT_COMMIT) {
                return Ok(Some((id, commit)));
            }
            at = commit.parents.first().copied();
        }
        Ok(None)
    }

    fn run(mut self, todo: Todo, progress: &Arc<dyn Progress>) -> Result<GitImported, RepoError> {
        let mut done = GitImported { versions: Vec::new(), known: todo.known, size: None, shallow: todo.shallow, stopped: None };
        let contents = Contents::new(self.source.clone())?;
        let called = self.source.called();
        progress.start("replaying versions", Some(todo.versions.len() as u64), Unit::Objects);
        for (n, version) in todo.versions.iter().enumerate() {
            let outcome = contents.of(version).and_then(|inputs| self.version(version, inputs.as_deref(), &called, todo.again && n == 0));
            let told = |outcome| Replayed { git_commit: version.commit.to_string(), path: version.path.clone(), outcome };
            match outcome {
                Ok(Some(made)) => done.versions.push(told(Ok(made))),
                Ok(None) => done.known += 1,
                // Whatever it broke off with.
                Err(_) if progress.interrupted() => {
                    done.stopped = Some(RepoError::Interrupted);
                    break;
                }
                Err(error) if is_of_version(&error) && !self.from.strict => done.versions.push(told(Err(error.to_string()))),
                Err(error) => {
                    done.stopped = Some(named(error, version));
                    break;
                }
            }
            progress.advance(1);
        }
        progress.finish();
        drop(contents);
        // What is made stays, whatever came then.
        let nothing = self.pending.is_empty();
        if let Err(error) = self.publish() {
            done.stopped.get_or_insert(error);
        }
        if nothing {
            self.repo.drop_written();
        }
        done.versions.retain(|version| !matches!(&version.outcome, Ok((id, _)) if self.lost.contains(id)));
        if done.stopped.is_none() && done.known == 0 && done.made() == 0 {
            let (all, first) = (done.versions.len(), done.skipped().next().map(|(_, why)| why.to_owned()).unwrap_or_default());
            return Err(FileError::bad_file(&self.from.path, format!("none of {all} versions can be read; the first: {first}")).into());
        }
        if done.made() == 0
            && let Some(error) = done.stopped.take()
        {
            return Err(error);
        }
        if let (Some(_), Some(table)) = (self.snapshot.tables.get(self.name), &self.table) {
            done.size = Some((table.rows(self.repo.objects())?, table.columns.len()));
        }
        Ok(done)
    }

    /// Makes a commit of a version; `None` where nothing differs and it need not be made.
    fn version(&mut self, version: &Version, inputs: Option<&[Input]>, called: &str, again: bool) -> Result<Option<(CommitId, Changes)>, RepoError> {
        if self.repo.progress().interrupted() {
            return Err(RepoError::Interrupted);
        }
        let repo = self.repo;
        let objects = repo.objects();
        let mut snapshot = self.snapshot.clone();
        let (mut table, mut changes) = (self.table.clone(), Changes::default());
        match inputs {
            Some(inputs) => {
                let seed = table_seed(self.name, self.tip);
                let (now, imported) = self.repo.replaced(table, seed, inputs, &self.options)?;
                changes = imported.changes;
                snapshot.tables.insert(self.name.to_owned(), now.store(objects)?);
                table = Some(now);
            }
            None => {
                let (Some(_), Some(table)) = (snapshot.tables.remove(self.name), &table) else {
                    return Err(FileError::bad_file(&version.path, "is deleted there, and no version before it could be read").into());
                };
                changes.removed = table.rows(objects)?;
                snapshot.checks.retain(|_, check| check.rule.table() != Some(table.id));
            }
        }
        if again && snapshot == self.snapshot {
            return Ok(None);
        }
        self.repo.hold_checks(&[&self.snapshot], &snapshot)?;
        let (author, message) = self.signed(version)?;
        let pairs = [
            (GIT_COMMIT, version.commit.to_string()),
            (GIT_PATH, version.path.clone()),
            (GIT_REPOSITORY, called.to_owned()),
            (GIT_TABLE, self.name.to_owned()),
        ];
        let source: BTreeMap<String, String> = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let flags = self.repo.inherited_flags(self.tip)?;
        let committed_millis = self.repo.environment.now_millis();
        let stored = store_snapshot(objects, &snapshot)?;
        let commit = Commit { snapshot: stored, parents: self.tip.into_iter().collect(), author, committed_millis, message, source, flags };
        let id = store_commit(objects, &commit)?;
        (self.tip, self.snapshot, self.table) = (Some(id), snapshot, table);
        self.pending.push(id);
        if self.pending.len() >= TOGETHER_MAX || self.since.elapsed() > TOGETHER_TIME {
            self.publish()?;
        }
        Ok(Some((id, changes)))
    }

    /// The author, the time and the message of a commit in Git.
    fn signed(&self, version: &Version) -> Result<(Signature, String), RepoError> {
        let fault = self.source.fault();
        let commit = self.source.repository.find_commit(version.commit).map_err(&fault)?;
        let decoded = commit.decode().map_err(&fault)?;
        let is_latin =
            decoded.encoding.is_some_and(|name| ["iso-8859-1", "iso8859-1", "latin1", "latin-1"].contains(&name.to_string().to_ascii_lowercase().as_str()));
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) if is_latin => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        };
        let author = commit.author().map_err(&fault)?;
        // A time that does not read is that of the first moment, as Git shows it.
        let time = author.time().unwrap_or_default();
        let signature = Signature {
            name: text(author.name),
            email: text(author.email),
            millis: time.seconds.saturating_mul(1000),
            offset_minutes: (time.offset / 60).clamp(-1439, 1439),
        };
        let message = text(decoded.message);
        let message = if message.trim().is_empty() { "(no message)" } else { message.trim_end() };
        Ok((signature, message.trim_start_matches('\n').to_owned()))
    }

    /// Publishes the commits that were made since the last time, as one operation.
    fn publish(&mut self) -> Result<(), RepoError> {
        let pending = std::mem::take(&mut self.pending);
        if let Some(tip) = pending.last() {
            let mut transaction = Transaction::new(Some(self.view.clone()));
            let set = self.repo.set_tip(&mut transaction, &self.head, *tip).map_err(RepoError::from);
            match set.and_then(|()| self.repo.publish(transaction, self.command)) {
                Ok(view) => self.view = view,
                Err(error) => {
                    self.lost = pending;
                    return Err(error);
                }
            }
        }
        self.since = Instant::now();
        Ok(())
    }
}

/// Whether an error is a version's own: another version may be read.
fn is_of_version(error: &RepoError) -> bool {
    use TableError as T;
    match error {
        RepoError::File(FileError::Bad { .. } | FileError::Value { .. } | FileError::Usage { .. }) | RepoError::Refused { .. } => true,
        RepoError::Table(error) => {
            matches!(error, T::NoColumn { .. } | T::DuplicateColumn(_) | T::Value { .. } | T::Key { .. } | T::Schema(_) | T::Name(_) | T::Type(_))
        }
        _ => false,
    }
}

/// An error that tells of which version it is, where that is its own.
fn named(error: RepoError, version: &Version) -> RepoError {
    let hint = error.hints().into_iter().next();
    if !is_of_version(&error) {
        return error;
    }
    let told = FileError::bad_file(format!("commit {:.8} in Git", version.commit.to_string()), &error);
    match hint {
        Some(hint) => told.with_hint(hint).into(),
        None => told.into(),
    }
}

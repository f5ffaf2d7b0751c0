//! `log` and `show`: commits with the names that point at them and what they changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::changes::{self, NameChange};
use super::{Repo, RepoError};
use crate::base::{CommitId, TableObjectId};
use crate::format::check::Check;
use crate::format::commit::Commit;
use crate::format::operation::{HeadRef, Tag};
use crate::format::snapshot::Snapshot;
use crate::history::{Order, Selection, State, View};
use crate::table::Table;

/// Which commits to list.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Revisions and ranges; `HEAD` where there are none.
    pub ranges: Vec<String>,
    /// From all branches, tags and `HEAD` too.
    pub all: bool,
    /// At most so many.
    pub limit: Option<usize>,
    /// No commit before all its children, as a drawn graph needs it.
    pub topological: bool,
    /// Only commits that changed one of these tables.
    pub tables: Vec<String>,
    /// With one table: only commits that changed one of these of its columns. Rows that come or go do not count.
    pub columns: Vec<String>,
    /// Follow first parents alone.
    pub first_parent: bool,
}

/// A commit in a log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Its id.
    pub id: CommitId,
    /// The commit.
    pub commit: Arc<Commit>,
    /// The nearest ancestors that are listed too: its parents, where all commits are.
    pub shown_parents: Vec<CommitId>,
    /// The names that point at it.
    pub refs: Vec<RefLabel>,
}

/// A name that points at a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefLabel {
    /// What kind of name.
    pub kind: RefKind,
    /// The name.
    pub name: String,
    /// True for the branch that is checked out.
    pub current: bool,
}

/// What kind of name points at a commit, in the order of listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefKind {
    /// A detached `HEAD`.
    Head,
    /// A branch.
    Branch,
    /// A tag.
    Tag,
    /// A branch of a remote, as it was last seen.
    Remote,
}

/// A commit with all there is to say about it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The commit.
    pub entry: LogEntry,
    /// The tag that was asked for, if it was one and has a message.
    pub tag: Option<Tag>,
    /// Its tables and views.
    pub snapshot: Snapshot,
    /// The tables that differ from its first parent.
    pub tables: Vec<NameChange<TableObjectId>>,
    /// The views that differ from its first parent.
    pub views: Vec<NameChange<String>>,
    /// The checks that differ from its first parent.
    pub checks: Vec<NameChange<Check>>,
}

impl Repo {
    /// The commits that the options name, newest first. On a branch without a commit there are none.
    pub fn log(&self, options: &LogOptions) -> Result<Vec<LogEntry>, RepoError> {
        let view = self.view()?;
        let selection = match self.selection(&view, options)? {
            Some(selection) => selection,
            None => return Ok(Vec::new()),
        };
        let refs = labels(&view.state)?;
        let filtered = !options.tables.is_empty();
        let order = if options.topological || filtered { Order::Topological } else { Order::Date };
        let parents_of =
            |commit: &Commit| -> Vec<CommitId> { commit.parents.iter().copied().take(if options.first_parent { 1 } else { usize::MAX }).collect() };
        // A range may leave out the commits that knew the table.
        let whole = selection.exclude.is_empty();
        let mut entries = Vec::new();
        let mut hidden: HashMap<CommitId, Vec<CommitId>> = HashMap::new();
        let mut on_line: BTreeSet<CommitId> = selection.include.iter().copied().collect();
        for step in self.graph.walk(selection.include, selection.exclude, order)? {
            if self.progress.interrupted() {
                return Err(RepoError::Interrupted);
            }
            if options.limit.is_some_and(|limit| entries.len() >= limit) {
                break;
            }
            let (id, commit) = step?;
            if options.first_parent && !on_line.remove(&id) {
                continue;
            }
            let parents = parents_of(&commit);
            on_line.extend(&parents);
            if filtered && !(self.changes_tables(&commit, &options.tables)? && self.changes_columns(&commit, &options.tables, &options.columns)?) {
                hidden.insert(id, parents);
                continue;
            }
            entries.push(LogEntry { id, shown_parents: parents, refs: refs.get(&id).cloned().unwrap_or_default(), commit });
        }
        if filtered && whole && entries.is_empty() && options.limit != Some(0) {
            self.check_names(options, hidden.keys())?;
        }
        if filtered {
            for entry in &mut entries {
                entry.shown_parents = nearest_shown(&entry.shown_parents, &hidden);
            }
        }
        Ok(entries)
    }

    fn selection(&self, view: &View, options: &LogOptions) -> Result<Option<Selection>, RepoError> {
        if !options.all {
            return if options.ranges.is_empty() && view.state.head_commit()?.is_none() { Ok(None) } else { self.resolve_ranges(&options.ranges).map(Some) };
        }
        let mut selection = if options.ranges.is_empty() { Selection::default() } else { self.resolve_ranges(&options.ranges)? };
        selection.include.extend(view.state.branches()?.into_values());
        selection.include.extend(view.state.remotes()?.into_values());
        selection.include.extend(view.state.tags()?.into_values().map(|tag| tag.commit));
        selection.include.extend(view.state.head_commit()?);
        Ok(Some(selection))
    }

    /// Fails where a table or column stands neither in the working state nor in any of these commits: a slip, not a table that was never changed.
    fn check_names<'a>(&self, options: &LogOptions, commits: impl Iterator<Item = &'a CommitId>) -> Result<(), RepoError> {
        let working = self.working_snapshot()?;
        let mut snapshots = vec![working.clone()];
        for id in commits {
            snapshots.push(self.snapshot_of(*id)?);
        }
        for name in &options.tables {
            let states: BTreeSet<TableObjectId> = snapshots.iter().filter_map(|snapshot| snapshot.tables.get(name).copied()).collect();
            if states.is_empty() {
                return Err(super::working::no_table(&working, name, None));
            }
            for column in &options.columns {
                let mut refusal = None;
                for id in states.iter().rev() {
                    refusal = Table::load(self.objects(), *id)?.schema.index(column).err();
                    if refusal.is_none() {
                        break;
                    }
                }
                refusal.map_or(Ok(()), Err)?;
            }
        }
        Ok(())
    }

    /// True where the commit differs in one of the tables from each of its parents.
    fn changes_tables(&self, commit: &Commit, tables: &[String]) -> Result<bool, RepoError> {
        let now = crate::history::load_snapshot(&self.objects, commit.snapshot)?;
        let states = |snapshot: &Snapshot| tables.iter().map(|name| snapshot.tables.get(name).copied()).collect::<Vec<_>>();
        let mine = states(&now);
        if commit.parents.is_empty() {
            return Ok(mine.iter().any(Option::is_some));
        }
        for parent in &commit.parents {
            if states(&self.snapshot_of(*parent)?) == mine {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A commit with all there is to say about it.
    pub fn show(&self, revision: &str) -> Result<Shown, RepoError> {
        let view = self.view()?;
        let id = self.resolve_in(&view, revision)?;
        let commit = self.commit_of(id)?;
        let snapshot = self.snapshot_of(id)?;
        let before = commit.parents.first().map_or_else(|| Ok(Snapshot::default()), |parent| self.snapshot_of(*parent))?;
        let refs = labels(&view.state)?.remove(&id).unwrap_or_default();
        let tag = view.state.tag(revision.strip_prefix("tags/").unwrap_or(revision))?.filter(|tag| !tag.message.is_empty());
        let (tables, views) = (changes::tables(&before, &snapshot), changes::views(&before, &snapshot));
        let checks = changes::checks(&before, &snapshot);
        Ok(Shown { entry: LogEntry { id, shown_parents: commit.parents.clone(), commit, refs }, tag, snapshot, tables, views, checks })
    }

    /// The tables and views that differ between two snapshots, by the ids of their tables.
    pub fn changes(&self, before: &Snapshot, after: &Snapshot) -> (Vec<NameChange<TableObjectId>>, Vec<NameChange<String>>) {
        (changes::tables(before, after), changes::views(before, after))
    }
}

/// The first commits on each way from `from` that are not hidden.
fn nearest_shown(from: &[CommitId], hidden: &HashMap<CommitId, Vec<CommitId>>) -> Vec<CommitId> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut next: Vec<CommitId> = from.iter().rev().copied().collect();
    while let Some(id) = next.pop() {
        if seen.insert(id) {
            match hidden.get(&id) {
                Some(parents) => next.extend(parents.iter().rev()),
                None => found.push(id),
            }
        }
    }
    found
}

/// All names by the commit that they point at.
fn labels(state: &State) -> Result<BTreeMap<CommitId, Vec<RefLabel>>, RepoError> {
    let head = state.head()?;
    let mut labels: BTreeMap<CommitId, Vec<RefLabel>> = BTreeMap::new();
    let mut add = |id: CommitId, kind: RefKind, name: String, current: bool| labels.entry(id).or_default().push(RefLabel { kind, name, current });
    if let HeadRef::Commit(id) = head {
        add(id, RefKind::Head, "HEAD".into(), true);
    }
    for (name, id) in state.branches()? {
        let current = head == HeadRef::Branch(name.clone());
        add(id, RefKind::Branch, name, current);
    }
    for (name, tag) in state.tags()? {
        add(tag.commit, RefKind::Tag, name, false);
    }
    for (name, id) in state.remotes()? {
        add(id, RefKind::Remote, name, false);
    }
    for names in labels.values_mut() {
        names.sort_by_key(|label| (!label.current, label.kind));
    }
    Ok(labels)
}

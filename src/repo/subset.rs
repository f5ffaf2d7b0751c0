//! Subset branches: `dsv branch NAME --table T --where SQL` hides rows by `live` alone, in a commit that is marked. To a merge, rows that were hidden are no
//! deletions: the branch may be merged back, and its own changes come without them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::base::name::check_ref;
use crate::base::{CommitId, TableId};
use crate::chunk::Objects;
use crate::format::commit::Commit;
use crate::format::snapshot::Snapshot;
use crate::history::state::branch_key;
use crate::history::{Transaction, load_snapshot, store_commit, store_snapshot};
use crate::table::diff::{align, row_changes};
use crate::table::merge::Map;
use crate::table::{Table, TableError};

use super::branch::branch_exists;
use super::merge::MergedSnapshot;
use super::working::no_table;
use super::{Repo, RepoError};

/// A subset to be made.
#[derive(Debug, Clone)]
pub struct NewSubset<'a> {
    /// The new branch.
    pub branch: &'a str,
    /// Where it starts; `HEAD` without.
    pub start: Option<&'a str>,
    /// The table of which rows are hidden.
    pub table: &'a str,
    /// What is kept, in words: it goes into the commit's message and source.
    pub kept: &'a str,
}

/// A subset that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset {
    /// Its commit.
    pub commit: CommitId,
    /// Rows that the branch shows.
    pub shown: u64,
    /// Rows that it hides.
    pub hidden: u64,
    /// True where the author was guessed from the machine.
    pub author_guessed: bool,
}

/// Rows that were hidden: a state of a table in which they still were, and their slots there.
#[derive(Default)]
pub(super) struct Hidden(Vec<(TableId, Arc<Table>, Vec<Range<u64>>)>);

impl FromIterator<Hidden> for Hidden {
    fn from_iter<I: IntoIterator<Item = Hidden>>(all: I) -> Hidden {
        Hidden(all.into_iter().flat_map(|hidden| hidden.0).collect())
    }
}

impl Hidden {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Repo {
    /// Makes a branch on which a table shows only some rows, those in the slots that `keep` gives, ascending. What is uncommitted is not part of it.
    pub fn create_subset<E: From<RepoError>>(&self, new: &NewSubset<'_>, keep: impl FnOnce(&Arc<Table>) -> Result<Vec<u64>, E>) -> Result<Subset, E> {
        self.lay_subset(new, keep).inspect_err(|_| self.drop_written())
    }

    fn lay_subset<E: From<RepoError>>(&self, new: &NewSubset<'_>, keep: impl FnOnce(&Arc<Table>) -> Result<Vec<u64>, E>) -> Result<Subset, E> {
        check_ref("branch", new.branch).map_err(RepoError::from)?;
        let view = self.view()?;
        let start = self.resolve_in(&view, new.start.unwrap_or("HEAD"))?;
        if branch_exists(&view.state, new.branch)? {
            return Err(RepoError::Taken { what: "branch", name: new.branch.to_owned() }.into());
        }
        let mut snapshot = self.snapshot_of(start)?;
        let id = *snapshot.tables.get(new.table).ok_or_else(|| no_table(&snapshot, new.table, new.start))?;
        let table = Arc::new(Table::load(self.objects(), id).map_err(RepoError::from)?);
        let mut kept = keep(&table)?.into_iter().peekable();
        let made = || -> Result<Subset, RepoError> {
            let mut gone = Vec::new();
            for slot in table.live_slots(self.objects())? {
                if kept.next_if_eq(&slot).is_none() {
                    gone.push(slot);
                }
            }
            let shown = table.rows(self.objects())? - gone.len() as u64;
            let hidden = gone.len() as u64;
            snapshot.tables.insert(new.table.to_owned(), table.delete(self.objects(), &gone)?.store(self.objects())?);
            let identity = self.identity()?;
            let now = self.environment.now_millis();
            let commit = Commit {
                snapshot: store_snapshot(&self.objects, &snapshot)?,
                parents: vec![start],
                author: identity.sign(now, self.environment.offset_minutes(now)),
                committed_millis: now,
                message: format!("Subset of {}: {}", new.table, new.kept),
                source: BTreeMap::from([("subset".to_owned(), format!("{} WHERE {}", new.table, new.kept))]),
                flags: Commit::FLAG_SUBSET | Commit::FLAG_ON_SUBSET,
            };
            let commit = store_commit(&self.objects, &commit)?;
            let mut transaction = Transaction::new(Some(view));
            transaction.set(&branch_key(new.branch), Some(commit.as_bytes().to_vec()))?;
            self.publish(transaction, format!("branch {} --table {}", new.branch, new.table))?;
            Ok(Subset { commit, shown, hidden, author_guessed: identity.guessed })
        };
        Ok(made()?)
    }

    /// The flags of a commit made upon another: a branch stays a subset.
    pub(super) fn inherited_flags(&self, parent: Option<CommitId>) -> Result<u64, RepoError> {
        let flags = parent.map_or(Ok(0), |parent| self.commit_of(parent).map(|commit| commit.flags))?;
        Ok(flags & Commit::FLAG_ON_SUBSET)
    }

    /// True where a commit that follows another hides none of its rows.
    pub(super) fn hides_nothing_of(&self, before: CommitId, after: CommitId) -> Result<bool, RepoError> {
        let hidden = self.hidden(after)?;
        if hidden.is_empty() {
            return Ok(true);
        }
        let (snapshot, earlier) = (self.snapshot_of(after)?, self.hidden(before)?);
        let mut shown = [self.snapshot_of(before)?, self.snapshot_of(before)?, snapshot.clone()];
        let [base, ours, theirs] = &mut shown;
        self.show_hidden([base, ours, theirs], [&earlier, &earlier, &hidden])?;
        Ok(shown[2] == snapshot)
    }

    /// False where a branch is a subset and a commit that follows its tip is none of its own: that has the rows which it hides.
    pub(super) fn stays_subset(&self, tip: CommitId, next: CommitId) -> Result<bool, RepoError> {
        if self.commit_of(tip)?.flags & Commit::FLAG_ON_SUBSET == 0 {
            return Ok(true);
        }
        let mut at = Some(next);
        while let Some(id) = at {
            if id == tip {
                return Ok(true);
            }
            at = self.commit_of(id)?.parents.first().copied();
        }
        Ok(false)
    }

    /// What the commits that a branch consists of have hidden, from its tip down the first parents.
    pub(super) fn hidden(&self, tip: CommitId) -> Result<Hidden, RepoError> {
        let mut hidden = Vec::new();
        let mut at = Some(tip);
        while let Some(id) = at {
            let commit = self.commit_of(id)?;
            if commit.flags & Commit::FLAG_ON_SUBSET == 0 {
                break;
            }
            hidden.extend(self.hidden_in(&commit)?.0);
            at = commit.parents.first().copied();
        }
        Ok(Hidden(hidden))
    }

    /// What a marked commit alone has hidden; nothing where it is not marked.
    pub(super) fn hidden_in(&self, commit: &Commit) -> Result<Hidden, RepoError> {
        let mut hidden = Vec::new();
        if let (true, Some(parent)) = (commit.flags & Commit::FLAG_SUBSET != 0, commit.parents.first()) {
            self.hidden_by(&self.snapshot_of(*parent)?, &load_snapshot(&self.objects, commit.snapshot)?, &mut hidden)?;
        }
        Ok(Hidden(hidden))
    }

    fn hidden_by(&self, before: &Snapshot, after: &Snapshot, hidden: &mut Vec<(TableId, Arc<Table>, Vec<Range<u64>>)>) -> Result<(), RepoError> {
        let before = self.by_id(before)?;
        for (id, (_, object, new)) in self.by_id(after)? {
            let Some((_, known, old)) = before.get(&id) else { continue };
            if *known == object {
                continue;
            }
            let gone = row_changes(self.objects(), old, &new, &align(self.objects(), old, &new)?)?.1;
            if !gone.is_empty() {
                hidden.push((id, old.clone(), gone));
            }
        }
        Ok(())
    }

    /// Shows hidden rows in the three states of a merge, base, ours and theirs, each with what its own commits have hidden. A row that is not there may be hidden or
    /// deleted, and what is hidden may have been deleted elsewhere since; so a side that hides a row is taken to have it as long as the base has it, and a base
    /// that hides a row to have had it if a side has it. What the row holds has been kept up to date where it is hidden, as by every merge.
    pub(super) fn show_hidden(&self, states: [&mut Snapshot; 3], hidden: [&Hidden; 3]) -> Result<(), RepoError> {
        if hidden.iter().all(|hidden| hidden.is_empty()) {
            return Ok(());
        }
        let [base, ours, theirs] = states;
        let tables = [self.by_id(base)?, self.by_id(ours)?, self.by_id(theirs)?];
        // Ascending.
        let mut shown: [BTreeMap<TableId, Vec<u64>>; 3] = Default::default();
        for (n, hidden) in hidden.iter().enumerate() {
            for (id, old, gone) in &hidden.0 {
                let mut standing = Vec::with_capacity(3);
                for tables in &tables {
                    standing.push(tables.get(id).map(|(.., table)| Standing::new(self.objects(), old, table)).transpose()?);
                }
                let at = |state: usize, slot: u64| standing.get(state)?.as_ref()?.get(slot);
                let there = |state: usize, slot: u64| at(state, slot).is_some_and(|(_, live)| live);
                let mut found = Vec::new();
                for slot in gone.iter().cloned().flatten() {
                    let Some((here, false)) = at(n, slot) else { continue };
                    let in_base =
                        || there(0, slot) || at(0, slot).is_some_and(|(slot, _)| shown[0].get(id).is_some_and(|slots| slots.binary_search(&slot).is_ok()));
                    if if n == 0 { there(1, slot) || there(2, slot) } else { in_base() } {
                        found.push(here);
                    }
                }
                let slots = shown[n].entry(*id).or_default();
                slots.append(&mut found);
                slots.sort_unstable();
                slots.dedup();
            }
        }
        for ((snapshot, tables), shown) in [base, ours, theirs].into_iter().zip(&tables).zip(shown) {
            for (id, slots) in shown.into_iter().filter(|(_, slots)| !slots.is_empty()) {
                let Some((name, _, table)) = tables.get(&id) else { continue };
                let table = table.set_live(self.objects(), &slots, true)?;
                snapshot.tables.insert(name.clone(), table.store(self.objects())?);
            }
        }
        Ok(())
    }

    /// Hides the rows again that a merge has shown.
    pub(super) fn hide(&self, merged: &mut MergedSnapshot, hidden: &Hidden) -> Result<(), RepoError> {
        for (id, old, gone) in &hidden.0 {
            for object in merged.snapshot.tables.values_mut() {
                let table = Table::load(self.objects(), *object)?;
                if table.id != *id {
                    continue;
                }
                let standing = Standing::new(self.objects(), old, &table)?;
                let mut slots: Vec<u64> =
                    gone.iter().cloned().flatten().filter_map(|slot| standing.get(slot).filter(|(_, live)| *live)).map(|(slot, _)| slot).collect();
                slots.sort_unstable();
                let table = table.delete(self.objects(), &slots)?;
                *object = table.store(self.objects())?;
                for told in merged.tables.iter_mut().filter(|told| told.merged.id == *id) {
                    told.merged = Arc::new(table.clone());
                }
            }
        }
        Ok(())
    }
}

/// Where the rows of an older state stand in a table, and whether they are live there.
struct Standing {
    map: Map,
    live: Vec<bool>,
}

impl Standing {
    fn new(objects: &Arc<Objects>, old: &Table, table: &Table) -> Result<Standing, RepoError> {
        let map = Map::new(align(objects, old, table)?);
        let mut live = Vec::new();
        let rope = table.live.get(&**objects)?;
        for item in rope.items(&**objects, 0, rope.rows()).map_err(TableError::from)? {
            let (_, run) = item.map_err(TableError::from)?;
            live.extend(std::iter::repeat_n(run.live, run.rows as usize));
        }
        Ok(Standing { map, live })
    }

    /// The slot in the table of the row in a slot of the older state, and whether it is live.
    fn get(&self, slot: u64) -> Option<(u64, bool)> {
        let slot = self.map.get(slot)?;
        Some((slot, self.live.get(slot as usize).copied().unwrap_or(false)))
    }
}

//! `merge`: another branch's changes, into the one that is checked out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};

use super::checks::{Tested, merge_checks};
use super::subset::Hidden;
use super::working::WorkingState;
use super::{Gate, Proposed, Repo, RepoError};
use crate::base::{ColumnId, CommitId, RowId, TableId, TableObjectId};
use crate::format::commit::Commit;
use crate::format::merging::Merging;
use crate::format::snapshot::Snapshot;
use crate::history::state::working_key;
use crate::history::{Transaction, store_commit, store_snapshot};
use crate::table::diff::is_live;
use crate::table::merge::{Conflict, MergeCounts, MergeOptions, Side, merge};
use crate::table::{Schema, Table};

/// Bases that are merges themselves are merged first, so many times over at most.
const BASES_DEPTH_MAX: usize = 32;

/// How to merge.
#[derive(Debug, Clone, Default)]
pub struct MergeRequest<'a> {
    /// The commit's message; else it names what was merged.
    pub message: Option<String>,
    /// Make a commit even where the branch could simply move forward.
    pub no_ff: bool,
    /// Leave what was merged uncommitted, without a word of where it came from.
    pub squash: bool,
    /// Tell what would happen, and change nothing.
    pub dry_run: bool,
    /// The side that wins every conflict.
    pub strategy: Option<Side>,
    /// Merge although nothing is common to both histories.
    pub allow_unrelated: bool,
    /// Has a say before the commit is made.
    pub gate: Option<&'a dyn Gate>,
}

/// What became of a merge.
#[derive(Debug, Clone)]
pub enum MergeOutcome {
    /// All of it was there already.
    UpToDate,
    /// The branch moved forward to that commit, which follows from its own.
    FastForward(CommitId),
    /// The merge was committed; `None` on a dry run.
    Merged(Option<CommitId>),
    /// What was merged is in the working state, not committed.
    Squashed,
    /// The sides disagree: the merge is in progress, unless it was a dry run.
    Conflicts,
}

/// The states of a table of which a merge has something to tell.
#[derive(Debug, Clone)]
pub struct MergedTable {
    /// Its name.
    pub name: String,
    /// The state that both come from.
    pub base: Arc<Table>,
    /// The state here.
    pub ours: Arc<Table>,
    /// The state there.
    pub theirs: Arc<Table>,
    /// What they merged to.
    pub merged: Arc<Table>,
    /// What was taken.
    pub counts: MergeCounts,
    /// Where the sides disagree.
    pub conflicts: Vec<Conflict>,
}

/// A table or view that cannot be both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameConflict {
    /// Its name.
    pub name: String,
    /// What the sides did.
    pub why: String,
}

/// A merge, done or not.
#[derive(Debug, Clone)]
pub struct MergeReport {
    /// What became of it.
    pub outcome: MergeOutcome,
    /// The tables that were merged, by name.
    pub tables: Vec<MergedTable>,
    /// Tables and views in conflict as wholes.
    pub names: Vec<NameConflict>,
    /// The checks that only warn, and do not hold for what was merged.
    pub warnings: Vec<Tested>,
    /// True where a commit's author was guessed from the machine: worth a hint.
    pub author_guessed: bool,
}

/// A snapshot that was merged.
#[derive(Default)]
pub(super) struct MergedSnapshot {
    pub(super) snapshot: Snapshot,
    pub(super) tables: Vec<MergedTable>,
    pub(super) names: Vec<NameConflict>,
    pub(super) warnings: Vec<Tested>,
}

impl MergedSnapshot {
    /// True where something is left to people.
    pub(super) fn is_in_conflict(&self) -> bool {
        !self.names.is_empty() || self.tables.iter().any(|table| !table.conflicts.is_empty())
    }
}

/// The state of a merge base: a commit's, or the merge of several, in which cells may be unsettled.
#[derive(Default)]
pub(super) struct Base {
    pub(super) snapshot: Snapshot,
    unsettled: HashMap<TableId, HashSet<(ColumnId, u64)>>,
}

impl Base {
    /// The state of one commit.
    pub(super) fn of(snapshot: Snapshot) -> Base {
        Base { snapshot, unsettled: HashMap::new() }
    }
}

/// A table of a snapshot, by its id.
pub(super) type ById = HashMap<TableId, (String, TableObjectId, Arc<Table>)>;

impl MergedTable {
    /// The name of the column of a conflict, if it is about one.
    pub fn column(&self, conflict: &Conflict) -> Option<&str> {
        let id = conflict.column?;
        [&self.ours, &self.theirs, &self.base].into_iter().find_map(|table| table.schema.columns.iter().find(|c| c.id == id)).map(|c| c.name.as_str())
    }

    /// The base (`None`) or a side, and the slot of a conflict's row there.
    fn at(&self, conflict: &Conflict, side: Option<Side>) -> (&Arc<Table>, Option<u64>) {
        match side {
            None => (&self.base, conflict.base),
            Some(Side::Ours) => (&self.ours, conflict.ours),
            Some(Side::Theirs) => (&self.theirs, conflict.theirs),
        }
    }

    /// The state that has a conflict's row, and the row's slot in it.
    fn holder(&self, conflict: &Conflict) -> Option<(&Arc<Table>, u64)> {
        let sides = [(&self.base, conflict.base), (&self.ours, conflict.ours), (&self.theirs, conflict.theirs)];
        sides.into_iter().find_map(|(table, slot)| Some((table, slot?)))
    }
}

impl Repo {
    /// Merges revisions into the branch that is checked out. Where the sides disagree and no strategy decides, the merge is left in progress: the
    /// working state holds what was merged, with our side where they disagree, and [`Repo::pending`] lists the conflicts. Several revisions are
    /// merged one after the other into one commit, which is refused where they disagree. Uncommitted changes are refused.
    pub fn merge(&self, revisions: &[String], request: &MergeRequest<'_>) -> Result<MergeReport, RepoError> {
        let working = self.working()?;
        working.check_clean()?;
        let ours = self.require_tip(&working.head, working.tip)?;
        let mut report = MergeReport { outcome: MergeOutcome::UpToDate, tables: Vec::new(), names: Vec::new(), warnings: Vec::new(), author_guessed: false };
        let mut sides = Vec::new();
        for revision in revisions {
            let theirs = self.resolve_in(&working.view, revision)?;
            let bases = self.graph().merge_bases(ours, theirs)?;
            if bases.is_empty() && !request.allow_unrelated {
                return Err(RepoError::refused_with(
                    format!("'{revision}' has no commit in common with what is checked out"),
                    "--allow-unrelated merges it all the same",
                ));
            }
            if bases != [theirs] {
                sides.push((revision.as_str(), theirs, bases));
            }
        }
        match sides.as_slice() {
            [] => return Ok(report),
            // A subset's hidden rows must neither go from here with it nor come back into it.
            [(revision, theirs, bases)]
                if *bases == [ours] && !request.no_ff && !request.squash && self.hides_nothing_of(ours, *theirs)? && self.stays_subset(ours, *theirs)? =>
            {
                report.outcome = MergeOutcome::FastForward(*theirs);
                if !request.dry_run {
                    let mut transaction = Transaction::new(Some(working.view.clone()));
                    self.set_tip(&mut transaction, &working.head, *theirs)?;
                    self.publish(transaction, format!("merge {revision}"))?;
                }
                return Ok(report);
            }
            _ => {}
        }
        self.merge_sides(&working, ours, &sides, request, &mut report).inspect_err(|_| self.drop_written())?;
        Ok(report)
    }

    fn merge_sides(
        &self,
        working: &WorkingState,
        ours: CommitId,
        sides: &[(&str, CommitId, Vec<CommitId>)],
        request: &MergeRequest<'_>,
        report: &mut MergeReport,
    ) -> Result<(), RepoError> {
        let identity = self.identity()?;
        report.author_guessed = identity.guessed;
        let command = format!("merge {}", sides.iter().map(|side| side.0).collect::<Vec<_>>().join(" "));
        let named = sides.iter().map(|side| format!("'{}'", side.0)).collect::<Vec<_>>().join(", ");
        let message = request.message.clone().unwrap_or_else(|| if request.squash { format!("Squash of {named}") } else { format!("Merge {named}") });
        let now = self.environment.now_millis();
        let source = self.made_at()?;
        let commit = |snapshot: &Snapshot, parents: Vec<CommitId>, message: &str| -> Result<CommitId, RepoError> {
            let author = identity.sign(now, self.environment.offset_minutes(now));
            let snapshot = store_snapshot(&self.objects, snapshot)?;
            let flags = self.inherited_flags(parents.first().copied())?;
            let commit = Commit { snapshot, parents, author, committed_millis: now, message: message.to_owned(), source: source.clone(), flags };
            Ok(store_commit(&self.objects, &commit)?)
        };
        let (mut tip, mut parents, mut snapshot) = (ours, vec![ours], self.snapshot_of(ours)?);
        for (n, (revision, theirs, bases)) in sides.iter().enumerate() {
            let bases = if n == 0 { bases.clone() } else { self.graph().merge_bases(tip, *theirs)? };
            if bases == [*theirs] {
                continue;
            }
            let mut base = self.base_of(&bases, 0)?;
            let options = MergeOptions { newer: self.newer(ours, *theirs)?, strategy: request.strategy, unsettled: HashSet::new() };
            let hidden = self.hidden(tip)?;
            let below = bases.iter().map(|base| self.hidden(*base)).collect::<Result<Hidden, _>>()?;
            let (mut mine, mut other) = (snapshot.clone(), self.snapshot_of(*theirs)?);
            self.show_hidden([&mut base.snapshot, &mut mine, &mut other], [&below, &hidden, &self.hidden(*theirs)?])?;
            let mut merged = self.merge_snapshots(&base, &mine, &other, &options)?;
            self.hide(&mut merged, &hidden)?;
            self.check_merged(&mut merged, &base.snapshot, &snapshot, &other)?;
            let in_conflict = merged.is_in_conflict();
            report.tables.append(&mut merged.tables);
            report.names.append(&mut merged.names);
            report.warnings.append(&mut merged.warnings);
            if in_conflict {
                report.outcome = MergeOutcome::Conflicts;
                if request.dry_run {
                    self.drop_written();
                } else if sides.len() > 1 {
                    return Err(RepoError::refused_with(
                        format!("'{revision}' and what is merged before it change the same cells, rows or columns"),
                        format!("merge one at a time: 'dsv merge {revision}' lists what they disagree about"),
                    ));
                } else {
                    let merging = Merging {
                        verb: "merge".to_owned(),
                        revision: (*revision).to_owned(),
                        parents: if request.squash { Vec::new() } else { vec![*theirs] },
                        message: message.clone(),
                        author: None,
                        base: store_snapshot(&self.objects, &base.snapshot)?,
                        ours: store_snapshot(&self.objects, &snapshot)?,
                        theirs: store_snapshot(&self.objects, &other)?,
                        merged: store_snapshot(&self.objects, &merged.snapshot)?,
                        conflicts: self.store_conflicts(&report.tables, &report.names)?,
                        start: ours,
                        todo: Vec::new(),
                    };
                    let mut transaction = Transaction::new(Some(working.view.clone()));
                    self.set_working(&mut transaction, &working.head, Some(ours), &merged.snapshot, Some(merging))?;
                    self.publish(transaction, command)?;
                }
                return Ok(());
            }
            parents.push(*theirs);
            snapshot = merged.snapshot;
            // What is merged next may have a base among what was merged now.
            if n + 1 < sides.len() {
                tip = commit(&snapshot, parents.clone(), &message)?;
            }
        }
        report.outcome = if request.squash { MergeOutcome::Squashed } else { MergeOutcome::Merged(None) };
        if request.dry_run {
            self.drop_written();
            return Ok(());
        }
        let mut transaction = Transaction::new(Some(working.view.clone()));
        if request.squash {
            self.set_working(&mut transaction, &working.head, Some(ours), &snapshot, None)?;
        } else {
            let message = match request.gate {
                Some(gate) => gate.pass(&Proposed { before: &self.snapshot_of(ours)?, after: &snapshot, parents: &parents, message: &message })?,
                None => message.clone(),
            };
            let id = commit(&snapshot, parents, &message)?;
            self.set_tip(&mut transaction, &working.head, id)?;
            transaction.set(&working_key(&working.head), None)?;
            report.outcome = MergeOutcome::Merged(Some(id));
        }
        self.publish(transaction, command)?;
        Ok(())
    }

    /// The side whose commit is the later one; theirs where they are of one time.
    pub(super) fn newer(&self, ours: CommitId, theirs: CommitId) -> Result<Side, RepoError> {
        let when = |id: CommitId| -> Result<i64, RepoError> { Ok(self.commit_of(id)?.committed_millis) };
        Ok(if when(theirs)? >= when(ours)? { Side::Theirs } else { Side::Ours })
    }

    /// The state that two commits come from; several bases are merged with each other first, and what they disagree about equals neither side.
    pub(super) fn base_of(&self, bases: &[CommitId], depth: usize) -> Result<Base, RepoError> {
        let Some((first, rest)) = bases.split_first() else { return Ok(Base::default()) };
        let mut base = Base { snapshot: self.snapshot_of(*first)?, unsettled: HashMap::new() };
        let mut before = *first;
        for next in rest {
            if depth == BASES_DEPTH_MAX {
                return Err(RepoError::refused("the histories cross too often to merge"));
            }
            let below = self.graph().merge_bases(before, *next)?;
            let older = self.base_of(&below, depth + 1)?;
            let merged = self.merge_snapshots(&older, &base.snapshot, &self.snapshot_of(*next)?, &MergeOptions::default())?;
            base.snapshot = merged.snapshot;
            base.unsettled.clear();
            for table in merged.tables {
                let cells = table.conflicts.iter().filter_map(|c| Some((c.column?, c.merged?))).collect();
                base.unsettled.insert(table.ours.id, cells);
            }
            before = *next;
        }
        Ok(base)
    }

    pub(super) fn by_id(&self, snapshot: &Snapshot) -> Result<ById, RepoError> {
        let mut found = ById::new();
        for (name, id) in &snapshot.tables {
            let table = Table::load(self.objects(), *id)?;
            found.insert(table.id, (name.clone(), *id, Arc::new(table)));
        }
        Ok(found)
    }

    pub(super) fn merge_snapshots(&self, base: &Base, ours: &Snapshot, theirs: &Snapshot, options: &MergeOptions) -> Result<MergedSnapshot, RepoError> {
        let (before, here, there) = (self.by_id(&base.snapshot)?, self.by_id(ours)?, self.by_id(theirs)?);
        let mut done = MergedSnapshot::default();
        // In the order of names, so that what is told is told in one order.
        let ids: BTreeSet<(&str, TableId)> = here.iter().chain(&there).map(|(id, (name, ..))| (name.as_str(), *id)).collect();
        let mut seen = HashSet::new();
        for (_, id) in ids {
            if !seen.insert(id) {
                continue;
            }
            let was = before.get(&id);
            match (here.get(&id), there.get(&id)) {
                (Some((name, mine, ours)), Some((other_name, other, theirs))) => {
                    let name = self.merged_name(&mut done, was.map(|w| w.0.as_str()), name, other_name, options);
                    // A base in which cells are in conflict may look like a side, and yet equals neither.
                    let settled = base.unsettled.get(&id).is_none_or(HashSet::is_empty);
                    let merged = if mine == other || (settled && was.is_some_and(|w| w.1 == *other)) {
                        *mine
                    } else if settled && was.is_some_and(|w| w.1 == *mine) {
                        *other
                    } else {
                        let options = MergeOptions { unsettled: base.unsettled.get(&id).cloned().unwrap_or_default(), ..options.clone() };
                        let old = match was {
                            Some((.., table)) => table.clone(),
                            None => Arc::new(Table::create(self.objects(), id, Schema::default())?),
                        };
                        let merged = merge(self.objects(), &old, ours, theirs, &options)?;
                        let stored = merged.table.store(self.objects())?;
                        done.tables.push(MergedTable {
                            name: name.clone(),
                            base: old,
                            ours: ours.clone(),
                            theirs: theirs.clone(),
                            merged: Arc::new(merged.table),
                            counts: merged.counts,
                            conflicts: merged.conflicts,
                        });
                        stored
                    };
                    self.put_table(&mut done, name, merged, Side::Ours, options);
                }
                (Some((name, mine, _)), None) => self.one_sided(&mut done, (name, *mine), was.map(|w| w.1), Side::Ours, options),
                (None, Some((name, other, _))) => self.one_sided(&mut done, (name, *other), was.map(|w| w.1), Side::Theirs, options),
                (None, None) => {}
            }
        }
        self.merge_views(&mut done, base, ours, theirs, options);
        // Each alone is well; together they would leave one of them out of reach.
        if let Some(name) = done.snapshot.views.keys().find(|name| done.snapshot.tables.contains_key(*name)) {
            return Err(RepoError::refused_with(
                format!("'{name}' is a table on one side and a view on the other"),
                "give one of them another name first: 'dsv view rename', 'dsv table rename'",
            ));
        }
        let (checks, unsettled) = merge_checks(&base.snapshot.checks, &ours.checks, &theirs.checks, options.strategy);
        done.snapshot.checks = checks;
        done.names.extend(unsettled);
        Ok(done)
    }

    fn merged_name(&self, done: &mut MergedSnapshot, was: Option<&str>, mine: &str, other: &str, options: &MergeOptions) -> String {
        if mine == other || was == Some(other) {
            return mine.to_owned();
        }
        if was == Some(mine) {
            return other.to_owned();
        }
        match options.strategy {
            Some(Side::Theirs) => other.to_owned(),
            Some(Side::Ours) => mine.to_owned(),
            None => {
                done.names.push(NameConflict { name: mine.to_owned(), why: format!("table '{mine}' is called '{other}' there") });
                mine.to_owned()
            }
        }
    }

    /// A table that one side alone has: it is new, or the other side dropped it.
    fn one_sided(&self, done: &mut MergedSnapshot, (name, id): (&str, TableObjectId), was: Option<TableObjectId>, side: Side, options: &MergeOptions) {
        match was {
            None => self.put_table(done, name.to_owned(), id, side, options),
            Some(was) if was == id => {}
            Some(_) => match options.strategy {
                Some(winner) if winner != side => {}
                Some(_) => self.put_table(done, name.to_owned(), id, side, options),
                None => {
                    let (dropped, changed) = if side == Side::Ours { ("there", "here") } else { ("here", "there") };
                    done.names.push(NameConflict { name: name.to_owned(), why: format!("table '{name}' was dropped {dropped} and changed {changed}") });
                }
            },
        }
    }

    fn put_table(&self, done: &mut MergedSnapshot, name: String, id: TableObjectId, side: Side, options: &MergeOptions) {
        let taken = done.snapshot.tables.get(&name).is_some_and(|known| *known != id);
        if taken && options.strategy.is_none() {
            done.names.push(NameConflict { why: format!("two different tables have the name '{name}'"), name });
        } else if !taken || options.strategy == Some(side) {
            done.snapshot.tables.insert(name, id);
        }
    }

    fn merge_views(&self, done: &mut MergedSnapshot, base: &Base, ours: &Snapshot, theirs: &Snapshot, options: &MergeOptions) {
        let names: BTreeSet<&String> = ours.views.keys().chain(theirs.views.keys()).collect();
        for name in names {
            let (was, mine, other) = (base.snapshot.views.get(name), ours.views.get(name), theirs.views.get(name));
            let merged = if mine == other || was == other {
                mine
            } else if was == mine {
                other
            } else {
                match options.strategy {
                    Some(Side::Theirs) => other,
                    Some(Side::Ours) => mine,
                    None => {
                        done.names.push(NameConflict { name: name.clone(), why: format!("view '{name}' was changed here and there") });
                        mine
                    }
                }
            };
            if let Some(sql) = merged {
                done.snapshot.views.insert(name.clone(), sql.clone());
            }
        }
    }

    /// The id of a conflict's row.
    pub fn conflict_row(&self, table: &MergedTable, conflict: &Conflict) -> Result<Option<RowId>, RepoError> {
        let Some((state, slot)) = table.holder(conflict) else { return Ok(None) };
        Ok(state.row_ids(self.objects(), slot..slot + 1)?.into_iter().next())
    }

    /// The key of a conflict's row by column, in the key's order; empty without a key.
    pub fn conflict_key(&self, table: &MergedTable, conflict: &Conflict) -> Result<Vec<(String, ArrayRef)>, RepoError> {
        let Some((state, slot)) = table.holder(conflict) else { return Ok(Vec::new()) };
        let columns = state.schema.key_indices();
        let cells = state.take(self.objects(), &[slot], &columns)?;
        Ok(cells.schema().fields().iter().map(|f| f.name().clone()).zip(cells.columns().iter().cloned()).collect())
    }

    /// All cells of a conflict's row in the base (`None`) or on a side, as a batch of one row; `None` where it has no such row.
    pub fn conflict_cells(&self, table: &MergedTable, conflict: &Conflict, side: Option<Side>) -> Result<Option<RecordBatch>, RepoError> {
        let (state, Some(slot)) = table.at(conflict, side) else { return Ok(None) };
        if !is_live(self.objects(), state.live.get(&**self.objects())?, slot)? {
            return Ok(None);
        }
        Ok(Some(state.take(self.objects(), &[slot], &(0..state.columns.len()).collect::<Vec<_>>())?))
    }

    /// The cell of a conflict in the base (`None`) or on a side, as an array of one value; `None` where that state has no such cell.
    pub fn conflict_cell(&self, table: &MergedTable, conflict: &Conflict, side: Option<Side>) -> Result<Option<ArrayRef>, RepoError> {
        let (state, slot) = table.at(conflict, side);
        let index = conflict.column.and_then(|id| state.schema.columns.iter().position(|c| c.id == id));
        let (Some(slot), Some(index)) = (slot, index) else { return Ok(None) };
        Ok(Some(state.take(self.objects(), &[slot], &[index])?.column(0).clone()))
    }
}

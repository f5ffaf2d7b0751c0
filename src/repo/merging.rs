//! A merge in progress: its conflicts, settling them, ending it and giving it up.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::util::display::array_value_to_string;

use super::merge::{MergedTable, NameConflict};
use super::tables::cell_of_text;
use super::working::WorkingState;
use super::{Repo, RepoError};
use crate::base::{ColumnId, TableId, TableObjectId};
use crate::format::Type;
use crate::format::merging::Merging;
use crate::format::snapshot::Snapshot;
use crate::history::state::working_key;
use crate::history::{Transaction, load_snapshot};
use crate::table::conflict::{Dispute, Listed, cells_at, joined, list, listed};
use crate::table::edit::check_labels;
use crate::table::key::KeyIndex;
use crate::table::merge::{Conflict, ConflictKind, MergeCounts, Policy, Side, decide};
use crate::table::{Table, TableError};

/// A merge in progress, with what is left to people.
#[derive(Debug, Clone)]
pub struct Pending {
    /// What is being merged.
    pub merging: Merging,
    /// The tables in conflict, by name; their counts are not kept.
    pub tables: Vec<MergedTable>,
    /// Tables and views in conflict as wholes.
    pub names: Vec<NameConflict>,
    /// The conflicts' places in the list of them: those of `tables`, table by table, then those of `names`.
    slots: Vec<u64>,
}

impl Pending {
    /// Conflicts that are left.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True where none is left.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// Which conflicts are meant; what is not said is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Pick {
    /// Those of a table or view.
    pub table: Option<String>,
    /// Those of a row: its key's cells as text, separated by commas, or its row id.
    pub row: Option<String>,
    /// Those of a column.
    pub column: Option<String>,
}

/// The cells of conflicts of one column, for whoever decides them: arrays with one value a conflict.
#[derive(Debug, Clone)]
pub struct Disputed<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// Its type.
    pub ty: &'a Type,
    /// The cells that both sides come from; null where there are none.
    pub base: ArrayRef,
    /// The cells here.
    pub ours: ArrayRef,
    /// The cells there.
    pub theirs: ArrayRef,
}

/// What becomes of conflicts.
pub enum Resolution<'a> {
    /// As that side has it.
    Side(Side),
    /// As the common base has it.
    Base,
    /// As the working state has it: it was mended there.
    Keep,
    /// By a policy, where it decides.
    Policy(Policy),
    /// This value, as a CSV field has it; `None` for null.
    Value(Option<&'a str>),
    /// What a function makes of the cells, one value a conflict.
    With(&'a dyn Fn(&Disputed<'_>) -> Result<ArrayRef, RepoError>),
}

/// The conflicts of a table by what people call their rows.
type Rows = HashMap<String, Vec<usize>>;

/// What settling did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Conflicts that were settled.
    pub settled: usize,
    /// Conflicts that are left.
    pub left: usize,
}

/// How a merge in progress was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aborted {
    /// What was in progress.
    pub verb: String,
    /// What was being merged.
    pub revision: String,
}

impl Repo {
    /// Keeps the conflicts of a merge as a table; returns its object.
    pub(super) fn store_conflicts(&self, tables: &[MergedTable], names: &[NameConflict]) -> Result<TableObjectId, RepoError> {
        let mut all = Vec::new();
        for table in tables {
            all.extend(table.conflicts.iter().map(|c| Listed { table: Some(table.ours.id), name: table.name.clone(), conflict: c.clone() }));
        }
        for name in names {
            let kind = ConflictKind::Whole(name.why.clone());
            let conflict = Conflict { kind, column: None, base: None, ours: None, theirs: None, merged: None };
            all.push(Listed { table: None, name: name.name.clone(), conflict });
        }
        Ok(list(self.objects(), &all)?.store(self.objects())?)
    }

    /// The merge in progress of what is checked out, if there is one.
    pub fn pending(&self) -> Result<Option<Pending>, RepoError> {
        self.pending_in(&self.working()?)
    }

    /// Conflicts left of what is checked out, by the list alone.
    pub fn conflicts_left(&self, merging: &Merging) -> Result<u64, RepoError> {
        Ok(Table::load(self.objects(), merging.conflicts)?.rows(self.objects())?)
    }

    fn pending_in(&self, working: &WorkingState) -> Result<Option<Pending>, RepoError> {
        let Some(merging) = &working.merging else { return Ok(None) };
        let mut pending = Pending { merging: merging.clone(), tables: Vec::new(), names: Vec::new(), slots: Vec::new() };
        let all = listed(self.objects(), &Arc::new(Table::load(self.objects(), merging.conflicts)?))?;
        let states = |id| -> Result<_, RepoError> { self.by_id(&load_snapshot(self.objects(), id)?) };
        let (base, ours, theirs, merged) = (states(merging.base)?, states(merging.ours)?, states(merging.theirs)?, states(merging.merged)?);
        let empty = |id| -> Result<_, RepoError> { Ok(Arc::new(Table::create(self.objects(), id, Default::default())?)) };
        let mut places: HashMap<TableId, usize> = HashMap::new();
        let (mut slots, mut last): (Vec<Vec<u64>>, Vec<u64>) = Default::default();
        for (slot, Listed { table, name, conflict }) in all {
            let Some(id) = table else {
                let why = conflict.kind.why().unwrap_or_default().to_owned();
                pending.names.push(NameConflict { name, why });
                last.push(slot);
                continue;
            };
            let at = match places.get(&id) {
                Some(at) => *at,
                None => {
                    let state = |of: &super::merge::ById| of.get(&id).map_or_else(|| empty(id), |(.., table)| Ok(table.clone()));
                    pending.tables.push(MergedTable {
                        name,
                        base: state(&base)?,
                        ours: state(&ours)?,
                        theirs: state(&theirs)?,
                        merged: state(&merged)?,
                        counts: MergeCounts::default(),
                        conflicts: Vec::new(),
                    });
                    slots.push(Vec::new());
                    places.insert(id, pending.tables.len() - 1);
                    pending.tables.len() - 1
                }
            };
            pending.tables[at].conflicts.push(conflict);
            slots[at].push(slot);
        }
        pending.slots = slots.into_iter().flatten().chain(last).collect();
        Ok(Some(pending))
    }

    /// Settles conflicts of the merge in progress, as one operation logged as `command`. Errors, and changes nothing, where none is picked or a
    /// value does not fit its column.
    pub fn resolve_conflicts(&self, pick: &Pick, resolution: &Resolution<'_>, command: &str) -> Result<Resolved, RepoError> {
        self.resolve_all(&[(pick.clone(), resolution)], command)
    }

    /// The same for several picks, one after the other: all are settled, or none is.
    pub fn resolve_all(&self, picks: &[(Pick, &Resolution<'_>)], command: &str) -> Result<Resolved, RepoError> {
        let working = self.working()?;
        let pending = self.pending_in(&working)?.ok_or_else(no_merge)?;
        self.resolve_in_place(&working, &pending, picks, command).inspect_err(|_| self.drop_written())
    }

    fn resolve_in_place(&self, working: &WorkingState, pending: &Pending, picks: &[(Pick, &Resolution<'_>)], command: &str) -> Result<Resolved, RepoError> {
        let (mut snapshot, mut merging) = (working.snapshot.clone(), pending.merging.clone());
        let mut settled: HashSet<u64> = HashSet::new();
        let mut rows = HashMap::new();
        for (pick, resolution) in picks {
            let before = settled.len();
            let mut offset = 0;
            let now = self.by_id(&snapshot)?;
            for table in &pending.tables {
                let slots = &pending.slots[offset..offset + table.conflicts.len()];
                offset += table.conflicts.len();
                if pick.table.as_ref().is_some_and(|name| *name != table.name) {
                    continue;
                }
                let picked = self.picked(table, pick, &mut rows)?;
                let picked: Vec<usize> = picked.into_iter().filter(|i| !settled.contains(&slots[*i])).collect();
                if picked.is_empty() {
                    continue;
                }
                let Some((name, _, current)) = now.get(&table.ours.id) else {
                    // The table was dropped meanwhile: with it go its conflicts.
                    settled.extend(picked.iter().map(|i| slots[*i]));
                    continue;
                };
                let conflicts: Vec<&Conflict> = picked.iter().map(|i| &table.conflicts[*i]).collect();
                let (changed, done) = self.settled(table, current, &conflicts, pending, working, resolution)?;
                settled.extend(picked.iter().zip(&done).filter(|(_, done)| **done).map(|(i, _)| slots[*i]));
                snapshot.tables.insert(name.clone(), changed.store(self.objects())?);
            }
            for (name, slot) in pending.names.iter().zip(&pending.slots[offset..]) {
                let other = pick.table.as_ref().is_some_and(|table| *table != name.name) || pick.row.is_some() || pick.column.is_some();
                if other || settled.contains(slot) {
                    continue;
                }
                match resolution {
                    Resolution::Side(side) => self.settle_whole(&mut snapshot, &merging, &name.name, Some(*side))?,
                    Resolution::Base => self.settle_whole(&mut snapshot, &merging, &name.name, None)?,
                    Resolution::Keep => {}
                    // A whole table is no cell.
                    Resolution::Policy(_) | Resolution::Value(_) | Resolution::With(_) => continue,
                }
                settled.insert(*slot);
            }
            if settled.len() == before {
                return Err(self.nothing_picked(pending, pick)?);
            }
        }
        let mut gone: Vec<u64> = settled.iter().copied().collect();
        gone.sort_unstable();
        let left = Table::load(self.objects(), merging.conflicts)?.delete(self.objects(), &gone)?;
        merging.conflicts = left.store(self.objects())?;
        let mut transaction = Transaction::new(Some(working.view.clone()));
        self.set_working(&mut transaction, &working.head, working.base, &snapshot, Some(merging))?;
        self.publish(transaction, command)?;
        Ok(Resolved { settled: settled.len(), left: pending.len() - settled.len() })
    }

    /// Which conflicts of a table are meant, by their places. `rows` keeps what people may call the tables' rows.
    fn picked(&self, table: &MergedTable, pick: &Pick, rows: &mut HashMap<TableId, Rows>) -> Result<Vec<usize>, RepoError> {
        let all: Vec<usize> = match &pick.row {
            None => (0..table.conflicts.len()).collect(),
            Some(row) => {
                let known = match rows.entry(table.ours.id) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(free) => free.insert(self.called(table)?),
                };
                known.get(row).cloned().unwrap_or_default()
            }
        };
        let fits = |i: &usize| pick.column.as_deref().is_none_or(|column| table.column(&table.conflicts[*i]) == Some(column));
        Ok(all.into_iter().filter(fits).collect())
    }

    /// The conflicts of a table by what people call their rows: the key's cells, joined by commas, and the row id.
    fn called(&self, table: &MergedTable) -> Result<Rows, RepoError> {
        let mut rows = Rows::new();
        for (i, conflict) in table.conflicts.iter().enumerate() {
            let key = self.conflict_key(table, conflict)?;
            let shown: Vec<String> = key.iter().map(|(_, cell)| array_value_to_string(cell, 0)).collect::<Result<_, _>>().map_err(TableError::from)?;
            if !shown.is_empty() {
                rows.entry(shown.join(",")).or_default().push(i);
            }
            if let Some(id) = self.conflict_row(table, conflict)? {
                rows.entry(id.to_string()).or_default().push(i);
            }
        }
        Ok(rows)
    }

    /// A table with conflicts settled, and which of them are.
    fn settled(
        &self,
        table: &MergedTable,
        now: &Table,
        conflicts: &[&Conflict],
        pending: &Pending,
        working: &WorkingState,
        resolution: &Resolution<'_>,
    ) -> Result<(Table, Vec<bool>), RepoError> {
        let dispute = Dispute { base: &table.base, ours: &table.ours, theirs: &table.theirs, merged: &table.merged };
        let all = vec![true; conflicts.len()];
        match resolution {
            Resolution::Keep => return Ok((now.clone(), all)),
            Resolution::Side(side) => return Ok((dispute.settle(self.objects(), now, conflicts, Some(*side))?, all)),
            Resolution::Base => return Ok((dispute.settle(self.objects(), now, conflicts, None)?, all)),
            Resolution::Policy(_) | Resolution::Value(_) | Resolution::With(_) => {}
        }
        // What gives a value settles cells; what is wrong with rows and columns as wholes is left.
        let mut by_column: BTreeMap<ColumnId, Vec<usize>> = BTreeMap::new();
        for (i, conflict) in conflicts.iter().enumerate() {
            if let (ConflictKind::Cell | ConflictKind::Key, Some(column)) = (&conflict.kind, conflict.column) {
                by_column.entry(column).or_default().push(i);
            }
        }
        let (mut changed, mut done) = (now.clone(), vec![false; conflicts.len()]);
        for (column, places) in by_column {
            let Some(described) = now.schema.columns.iter().find(|c| c.id == column) else { continue };
            let cells = |state: &Table, slot: fn(&Conflict) -> Option<u64>| -> Result<ArrayRef, RepoError> {
                let slots: Vec<Option<u64>> = places.iter().map(|i| slot(conflicts[*i])).collect();
                let storage = described.ty.storage();
                let read = match state.schema.columns.iter().position(|c| c.id == column) {
                    Some(index) => cells_at(self.objects(), state, index, &slots)?,
                    None => new_null_array(&storage, slots.len()),
                };
                Ok(crate::table::column::widen(read, &storage)?)
            };
            let disputed = Disputed {
                table: &table.name,
                column: &described.name,
                ty: &described.ty,
                base: cells(&table.base, |c| c.base)?,
                ours: cells(&table.ours, |c| c.ours)?,
                theirs: cells(&table.theirs, |c| c.theirs)?,
            };
            let mut decided: Vec<usize> = (0..places.len()).collect();
            let values = match resolution {
                Resolution::Value(Some(text)) => {
                    let cell = cell_of_text(text, &described.ty, &described.name)?;
                    crate::table::column::repeat(&cell, places.len())?
                }
                Resolution::Value(None) => new_null_array(&described.ty.storage(), places.len()),
                Resolution::With(function) => {
                    let values = function(&disputed)?;
                    check_labels(&described.ty, &values, &described.name, 0)?;
                    values
                }
                Resolution::Policy(policy) => {
                    if !policy.fits(&described.ty) {
                        return Err(RepoError::refused(format!(
                            "the policy {policy} means nothing for column '{}', which is {}",
                            described.name, described.ty
                        )));
                    }
                    let newer = match (pending.merging.parents.first(), working.base) {
                        (Some(theirs), Some(ours)) => self.newer(ours, *theirs)?,
                        _ => Side::Theirs,
                    };
                    let mut values = Vec::new();
                    decided.clear();
                    for (n, place) in places.iter().enumerate() {
                        let one = |cells: &ArrayRef| cells.slice(n, 1);
                        let base = conflicts[*place].base.map(|_| one(&disputed.base));
                        if let Some(value) = decide(*policy, &described.ty, newer, base.as_ref(), &one(&disputed.ours), &one(&disputed.theirs))? {
                            values.push(value);
                            decided.push(n);
                        }
                    }
                    if values.is_empty() { new_null_array(&described.ty.storage(), 0) } else { joined(&values)? }
                }
                Resolution::Keep | Resolution::Side(_) | Resolution::Base => continue,
            };
            if values.len() != decided.len() {
                return Err(RepoError::refused(format!("{} values for {} conflicts of column '{}'", values.len(), decided.len(), described.name)));
            }
            let told: Vec<&Conflict> = decided.iter().map(|n| conflicts[places[*n]]).collect();
            changed = dispute.set(self.objects(), &changed, &told, &values)?;
            decided.iter().for_each(|n| done[places[*n]] = true);
        }
        Ok((changed, done))
    }

    /// A table or view as a whole, as a side has it.
    fn settle_whole(&self, now: &mut Snapshot, merging: &Merging, name: &str, side: Option<Side>) -> Result<(), RepoError> {
        let (base, ours, theirs) =
            (load_snapshot(self.objects(), merging.base)?, load_snapshot(self.objects(), merging.ours)?, load_snapshot(self.objects(), merging.theirs)?);
        let chosen = match side {
            None => &base,
            Some(Side::Ours) => &ours,
            Some(Side::Theirs) => &theirs,
        };
        let known = [&base, &ours, &theirs];
        if known.iter().any(|s| s.checks.contains_key(name)) && !known.iter().any(|s| s.tables.contains_key(name) || s.views.contains_key(name)) {
            match chosen.checks.get(name) {
                Some(check) => drop(now.checks.insert(name.to_owned(), check.clone())),
                None => drop(now.checks.remove(name)),
            }
            return Ok(());
        }
        if [&base, &ours, &theirs].iter().any(|s| s.views.contains_key(name)) && !now.tables.contains_key(name) {
            match chosen.views.get(name) {
                Some(sql) => drop(now.views.insert(name.to_owned(), sql.clone())),
                None => drop(now.views.remove(name)),
            }
            return Ok(());
        }
        // A table that has another name there.
        let called = |snapshot: &Snapshot, id: TableId| -> Result<Option<String>, RepoError> { Ok(self.by_id(snapshot)?.remove(&id).map(|(name, ..)| name)) };
        if let (Some(mine), Some(_)) = (ours.tables.get(name), now.tables.get(name)) {
            let id = Table::load(self.objects(), *mine)?.id;
            if let (Some(other), Some(wanted)) = (called(&theirs, id)?, called(chosen, id)?)
                && other != name
            {
                if wanted != name && now.tables.contains_key(&wanted) {
                    return Err(RepoError::Taken { what: "table", name: wanted });
                }
                if let Some(table) = now.tables.remove(name) {
                    now.tables.insert(wanted, table);
                }
                return Ok(());
            }
        }
        match chosen.tables.get(name) {
            Some(id) => drop(now.tables.insert(name.to_owned(), *id)),
            None => drop(now.tables.remove(name)),
        }
        Ok(())
    }

    /// Why a pick met nothing.
    fn nothing_picked(&self, pending: &Pending, pick: &Pick) -> Result<RepoError, RepoError> {
        if pending.is_empty() {
            return Ok(RepoError::refused_with("no conflict is left", format!("'dsv {} --continue' ends it", pending.merging.verb)));
        }
        let names = pending.tables.iter().map(|t| t.name.as_str()).chain(pending.names.iter().map(|n| n.name.as_str()));
        let hint = "'dsv conflicts' lists those that are left";
        let said = match (&pick.table, &pick.row, &pick.column) {
            (Some(table), ..) if !names.clone().any(|name| name == table) => format!("no conflict is in table '{table}'"),
            (table, row, column) => {
                let mut said = "no conflict that this could settle is".to_owned();
                for (what, value) in [("table", table), ("row", row), ("column", column)] {
                    if let Some(value) = value {
                        said.push_str(&format!(" in {what} '{value}'"));
                    }
                }
                if said.ends_with(" is") { "none of the conflicts is settled by this".to_owned() } else { said }
            }
        };
        Ok(RepoError::refused_with(said, hint))
    }

    /// Fails where a merge cannot be committed yet: conflicts are left, or a key does not hold.
    pub(super) fn check_settled(&self, working: &WorkingState, merging: &Merging) -> Result<(), RepoError> {
        let left = self.conflicts_left(merging)?;
        if left > 0 {
            return Err(RepoError::Conflicts { left, verb: merging.verb.clone(), revision: merging.revision.clone() });
        }
        let merged = load_snapshot(self.objects(), merging.merged)?;
        for (name, id) in &working.snapshot.tables {
            let table = Arc::new(Table::load(self.objects(), *id)?);
            let key = table.schema.key_indices();
            // Where nothing was settled since, the merge has seen to it.
            let settled = merged.tables.get(name) != Some(id);
            if settled && !key.is_empty() {
                KeyIndex::build(self.objects(), &table, key).map_err(|why| RepoError::refused(format!("table '{name}': {why}")))?;
            }
        }
        Ok(())
    }

    /// Gives up what is in progress: the branch, and its data, are again as they were before.
    pub fn abort(&self, verb: &str) -> Result<Aborted, RepoError> {
        let working = self.working()?;
        let merging = working.merging.clone().ok_or_else(no_merge)?;
        if merging.verb != verb {
            return Err(RepoError::InProgress { verb: merging.verb, revision: merging.revision });
        }
        let mut transaction = Transaction::new(Some(working.view.clone()));
        transaction.set(&working_key(&working.head), None)?;
        self.set_tip(&mut transaction, &working.head, merging.start)?;
        self.publish(transaction, format!("{verb} --abort"))?;
        Ok(Aborted { verb: merging.verb, revision: merging.revision })
    }
}

pub(super) fn no_merge() -> RepoError {
    RepoError::refused_with("no merge is in progress", "'dsv merge REV' begins one; conflicts are listed there")
}

//! Blame: which commit last set each cell; and the history of one row.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::util::display::array_value_to_string;

use super::{Repo, RepoError};
use crate::base::{ColumnId, CommitId, RowId, TableId, TableObjectId};
use crate::format::snapshot::Snapshot;
use crate::history::Order;
use crate::table::diff::{Aligned, align, column_cells, is_live};
use crate::table::merge::Map;
use crate::table::{Table, TableError};

/// A cell that is looked for: which of those asked for, and the slot of its row in the state at hand.
#[derive(Debug, Clone, Copy)]
struct Sought {
    column: usize,
    row: usize,
    slot: u64,
}

/// What a commit did to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// The row came.
    Added,
    /// The row went.
    Removed,
    /// Cells of these columns changed, by name.
    Changed(Vec<String>),
}

/// A commit that changed a row, with the row before and after.
#[derive(Debug, Clone)]
pub struct RowStep {
    /// The commit.
    pub commit: CommitId,
    /// What it did.
    pub change: RowChange,
    /// The table before, and the row's slot there.
    pub before: Option<(Arc<Table>, u64)>,
    /// The table after, and the row's slot there.
    pub after: Option<(Arc<Table>, u64)>,
}

/// How a person names a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowName {
    /// By its id.
    Id(RowId),
    /// By its key's cells as text, separated by commas.
    Key(String),
}

/// The slot of a live row in a table.
pub(super) fn slot_of(repo: &Repo, table: &Table, id: RowId) -> Result<Option<u64>, RepoError> {
    let objects = &**repo.objects();
    let spine = table.spine.get(objects)?;
    for item in spine.items(objects, 0, spine.rows())? {
        let (slot, run) = item?;
        if run.origin == id.origin && (run.first..run.first + run.rows).contains(&id.number) {
            let slot = slot + (id.number - run.first);
            return Ok(is_live(objects, table.live.get(objects)?, slot)?.then_some(slot));
        }
    }
    Ok(None)
}

impl Repo {
    /// For each of some columns (by index in the table of `at`, or of the working state) and each of some slots, the commit that last set that cell;
    /// `None` where it is not committed. Of a merge, a cell that equals a parent's is that parent's, the first parent's first. What both states of a
    /// step have is not read, and the walk ends with the last cell found.
    pub fn blame(&self, name: &str, at: Option<&str>, columns: &[usize], slots: &[u64]) -> Result<Vec<Vec<Option<CommitId>>>, RepoError> {
        let (table, tip, committed) = self.start_of(name, at)?;
        let ids: Vec<ColumnId> = columns.iter().filter_map(|i| table.schema.columns.get(*i)).map(|c| c.id).collect();
        let mut found = vec![vec![None; slots.len()]; ids.len()];
        let sought: Vec<Sought> =
            (0..ids.len()).flat_map(|column| slots.iter().enumerate().map(move |(row, slot)| Sought { column, row, slot: *slot })).collect();
        let mut waiting: HashMap<CommitId, Vec<Sought>> = HashMap::new();
        let Some(tip) = tip else { return Ok(found) };
        let mut left = sought.len();
        if committed {
            waiting.insert(tip, sought);
        } else {
            let (passed, _) = self.pass(&table, &ids, sought, tip, name)?;
            left = passed.len();
            waiting.insert(tip, passed);
        }
        for step in self.graph().walk([tip], [], Order::Topological)? {
            if left == 0 {
                break;
            }
            if self.progress().interrupted() {
                return Err(RepoError::Interrupted);
            }
            let (id, commit) = step?;
            let Some(mut cells) = waiting.remove(&id) else { continue };
            let Some((_, state)) = self.state_of(&self.snapshot_of(id)?, table.id, name)? else { continue };
            for parent in &commit.parents {
                if cells.is_empty() {
                    break;
                }
                let (passed, kept) = self.pass(&state, &ids, cells, *parent, name)?;
                waiting.entry(*parent).or_default().extend(passed);
                cells = kept;
            }
            left -= cells.len();
            for cell in cells {
                found[cell.column][cell.row] = Some(id);
            }
        }
        Ok(found)
    }

    /// Divides cells of a state into those that a parent has as they are, with their slots there, and those that it has not.
    fn pass(&self, state: &Table, columns: &[ColumnId], cells: Vec<Sought>, parent: CommitId, name: &str) -> Result<(Vec<Sought>, Vec<Sought>), RepoError> {
        let objects = self.objects();
        let Some((_, before)) = self.state_of(&self.snapshot_of(parent)?, state.id, name)? else { return Ok((Vec::new(), cells)) };
        let segments = align(objects, &before, state)?;
        let back = Map::new(segments.iter().map(|s| Aligned { old: s.new, new: s.old, rows: s.rows }).collect());
        let live = before.live.get(&**objects)?;
        let place = |table: &Table, id: ColumnId| table.schema.columns.iter().position(|c| c.id == id);
        let mut differing: HashMap<usize, Option<HashSet<u64>>> = HashMap::new();
        let (mut passed, mut kept) = (Vec::new(), Vec::new());
        for cell in cells {
            let differs = match differing.get(&cell.column) {
                Some(known) => known,
                None => {
                    let id = columns[cell.column];
                    let pairs = match (place(&before, id), place(state, id)) {
                        (Some(o), Some(n)) if before.columns[o].is_same(&state.columns[n]) && before.spine.is_same(&state.spine) => Some(HashSet::new()),
                        (Some(o), Some(n)) => Some(column_cells(objects, (&before, o), (state, n), &segments)?.into_iter().map(|pair| pair.1).collect()),
                        _ => None,
                    };
                    differing.entry(cell.column).or_insert(pairs)
                }
            };
            let old = back.get(cell.slot);
            match (differs, old) {
                (Some(differs), Some(old)) if !differs.contains(&cell.slot) && is_live(objects, live, old)? => passed.push(Sought { slot: old, ..cell }),
                _ => kept.push(cell),
            }
        }
        Ok((passed, kept))
    }

    /// A table of a snapshot by its id; `name` is where it is looked for first.
    fn state_of(&self, snapshot: &Snapshot, id: TableId, name: &str) -> Result<Option<(TableObjectId, Arc<Table>)>, RepoError> {
        let others = snapshot.tables.iter().filter(|(other, _)| *other != name);
        for (_, object) in snapshot.tables.get_key_value(name).into_iter().chain(others) {
            let table = Table::load(self.objects(), *object)?;
            if table.id == id {
                return Ok(Some((*object, Arc::new(table))));
            }
        }
        Ok(None)
    }

    /// Where a look at a table's past begins: the table, the newest commit, and whether the table is that commit's.
    fn start_of(&self, name: &str, at: Option<&str>) -> Result<(Arc<Table>, Option<CommitId>, bool), RepoError> {
        let working = self.working()?;
        let table = self.table(name, at)?;
        Ok(match at {
            Some(revision) => {
                let commit = self.resolve_in(&working.view, revision)?;
                (table, Some(commit), true)
            }
            None => (table, working.base, !working.dirty),
        })
    }

    /// The slot of a row of the table as it is at a revision, or in the working state. Errors where there is no such row.
    pub fn find_row(&self, name: &str, at: Option<&str>, row: &RowName) -> Result<(Arc<Table>, u64), RepoError> {
        let table = self.table(name, at)?;
        match self.row_in(&table, row)? {
            Some(slot) => Ok((table, slot)),
            None => Err(no_row(name, row)),
        }
    }

    fn row_in(&self, table: &Arc<Table>, row: &RowName) -> Result<Option<u64>, RepoError> {
        let key = match row {
            RowName::Id(id) => return slot_of(self, table, *id),
            RowName::Key(key) => key,
        };
        let columns = table.schema.key_indices();
        if columns.is_empty() {
            return Err(RepoError::refused_with("the table has no key", "name the row by its id: 'dsv diff --json' shows them"));
        }
        let mut rank = 0u64;
        for batch in table.scan(self.objects()).columns(columns).open()? {
            let batch = batch?;
            for i in 0..batch.num_rows() {
                let shown = batch.columns().iter().map(|column| array_value_to_string(column, i)).collect::<Result<Vec<_>, _>>().map_err(TableError::from)?;
                if shown.join(",") == *key {
                    return Ok(table.slots_of_rows(self.objects(), &[rank + i as u64])?.first().copied());
                }
            }
            rank += batch.num_rows() as u64;
        }
        Ok(None)
    }

    /// The commits that changed one row of a table, newest first: against each of their parents. A row that is gone is found in the newest commit that
    /// had it.
    pub fn row_log(&self, name: &str, at: Option<&str>, row: &RowName) -> Result<Vec<RowStep>, RepoError> {
        let revision = at.unwrap_or("HEAD");
        let tip = self.resolve(revision)?;
        let mut known: Option<(TableId, RowId)> = None;
        for step in self.graph().walk([tip], [], Order::Topological)? {
            let (id, _) = step?;
            let Some(object) = self.snapshot_of(id)?.tables.get(name).copied() else { continue };
            let table = Arc::new(Table::load(self.objects(), object)?);
            if let Some(slot) = self.row_in(&table, row)? {
                known = table.row_ids(self.objects(), slot..slot + 1)?.first().map(|row| (table.id, *row));
                break;
            }
        }
        let Some((table, row_id)) = known else {
            // Says so where it is the table that is not there.
            self.table(name, at)?;
            return Err(no_row(name, row));
        };
        let mut steps = Vec::new();
        let mut states: HashMap<CommitId, Option<Found>> = HashMap::new();
        let mut state = |id: CommitId| -> Result<Option<Found>, RepoError> {
            if let Some(known) = states.get(&id) {
                return Ok(known.clone());
            }
            let found = match self.state_of(&self.snapshot_of(id)?, table, name)? {
                Some((object, table)) => {
                    let slot = slot_of(self, &table, row_id)?;
                    Some((object, table, slot))
                }
                None => None,
            };
            states.insert(id, found.clone());
            Ok(found)
        };
        for step in self.graph().walk([tip], [], Order::Topological)? {
            if self.progress().interrupted() {
                return Err(RepoError::Interrupted);
            }
            let (id, commit) = step?;
            let now = state(id)?;
            let mut told = None;
            for parent in commit.parents.iter().map(Some).chain(commit.parents.is_empty().then_some(None)) {
                let before = match parent {
                    Some(parent) => state(*parent)?,
                    None => None,
                };
                match self.row_step(before, now.clone())? {
                    Some(change) => told = told.or(Some(change)),
                    None => {
                        told = None;
                        break;
                    }
                }
            }
            steps.extend(told.map(|(change, before, after)| RowStep { commit: id, change, before, after }));
        }
        Ok(steps)
    }

    fn row_step(&self, before: Option<Found>, now: Option<Found>) -> Result<Option<Step>, RepoError> {
        if before.as_ref().map(|b| b.0) == now.as_ref().map(|n| n.0) {
            return Ok(None);
        }
        let live = |state: Option<Found>| state.and_then(|(_, table, slot)| Some((table, slot?)));
        match (live(before), live(now)) {
            (None, None) => Ok(None),
            (None, after) => Ok(Some((RowChange::Added, None, after))),
            (before, None) => Ok(Some((RowChange::Removed, before, None))),
            (Some((old, a)), Some((new, b))) => {
                let mut changed = Vec::new();
                for (n, column) in new.schema.columns.iter().enumerate() {
                    let Some(o) = old.schema.columns.iter().position(|c| c.id == column.id) else { continue };
                    if !column_cells(self.objects(), (&old, o), (&new, n), &[Aligned { old: a, new: b, rows: 1 }])?.is_empty() {
                        changed.push(column.name.clone());
                    }
                }
                Ok((!changed.is_empty()).then_some((RowChange::Changed(changed), Some((old, a)), Some((new, b)))))
            }
        }
    }
}

/// A table in one commit: its object, itself, and the slot of the row if it is there.
type Found = (TableObjectId, Arc<Table>, Option<u64>);

/// A change, with the row before and after.
type Step = (RowChange, Option<(Arc<Table>, u64)>, Option<(Arc<Table>, u64)>);

fn no_row(table: &str, row: &RowName) -> RepoError {
    let said = match row {
        RowName::Id(id) => id.to_string(),
        RowName::Key(key) => key.clone(),
    };
    RepoError::refused(format!("table '{table}' has no row '{said}'"))
}

impl RowName {
    /// A row id where the text reads as one, else a key.
    pub fn of(text: &str) -> RowName {
        text.parse::<RowId>().map_or_else(|_| RowName::Key(text.to_owned()), RowName::Id)
    }
}

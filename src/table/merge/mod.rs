//! Three-way merge of two states of a table with the one that both come from: columns by their ids, rows by theirs, cells by value.
//!
//! The result is built upon our state: their columns, rows and cells are laid into it. What one side alone changed is taken by reference, unread; cells
//! are read only where both sides have other slices than the base, and where one side deleted a row of which the other has another slice.

mod cells;
mod keys;
mod policy;
mod rows;
mod schema;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::base::ColumnId;
use crate::chunk::Objects;

use super::diff::{Aligned, align, row_changes};
use super::{Table, TableError};
use cells::Cells;
use rows::{Piece, arrangement, build};
use schema::{Part, merge_schema};

pub use policy::{POLICIES, Policy, decide};
pub use rows::Map;

/// The name of the column option that holds the column's merge policy.
pub const POLICY_OPTION: &str = "merge";

/// One of the two that are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The state merged into.
    Ours,
    /// The state merged.
    Theirs,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Ours => Side::Theirs,
            Side::Theirs => Side::Ours,
        }
    }
}

/// How to merge.
#[derive(Debug, Clone)]
pub struct MergeOptions {
    /// The side whose tip is the later one, for the policy `newest`.
    pub newer: Side,
    /// The side that wins every conflict; without one, conflicts are reported.
    pub strategy: Option<Side>,
    /// Cells of the base that are themselves in conflict, by column and slot: they equal neither side.
    pub unsettled: HashSet<(ColumnId, u64)>,
}

impl Default for MergeOptions {
    fn default() -> Self {
        MergeOptions { newer: Side::Theirs, strategy: None, unsettled: HashSet::new() }
    }
}

/// What two sides cannot both have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictKind {
    /// Both changed a cell, to different values.
    Cell,
    /// This side deleted a row that the other changed. The merged table is as ours: without the row where ours deleted it, with our row where theirs did.
    Deleted(Side),
    /// Both inserted a row with one key, with other cells; or two rows have come to one key.
    Key,
    /// This side dropped a column that the other changed.
    Dropped(Side),
    /// Names, types or keys that do not go together; says which.
    Schema(String),
    /// The merged row breaks a check; says which.
    Check(String),
    /// A table or a view that cannot be both; says why.
    Whole(String),
}

impl ConflictKind {
    /// The kind in one word, as people and machines are shown it and as it is kept.
    pub fn name(&self) -> &'static str {
        match self {
            ConflictKind::Cell => "cell",
            ConflictKind::Deleted(Side::Ours) => "deleted-here",
            ConflictKind::Deleted(Side::Theirs) => "deleted-there",
            ConflictKind::Key => "key",
            ConflictKind::Dropped(Side::Ours) => "dropped-here",
            ConflictKind::Dropped(Side::Theirs) => "dropped-there",
            ConflictKind::Schema(_) => "schema",
            ConflictKind::Check(_) => "check",
            ConflictKind::Whole(_) => "table",
        }
    }

    /// What is wrong, for kinds that say it.
    pub fn why(&self) -> Option<&str> {
        match self {
            ConflictKind::Schema(why) | ConflictKind::Check(why) | ConflictKind::Whole(why) => Some(why),
            _ => None,
        }
    }

    /// The kind of that name; `None` for a name that is none.
    pub fn parse(name: &str, why: &str) -> Option<ConflictKind> {
        Some(match name {
            "cell" => ConflictKind::Cell,
            "deleted-here" => ConflictKind::Deleted(Side::Ours),
            "deleted-there" => ConflictKind::Deleted(Side::Theirs),
            "key" => ConflictKind::Key,
            "dropped-here" => ConflictKind::Dropped(Side::Ours),
            "dropped-there" => ConflictKind::Dropped(Side::Theirs),
            "schema" => ConflictKind::Schema(why.to_owned()),
            "check" => ConflictKind::Check(why.to_owned()),
            "table" => ConflictKind::Whole(why.to_owned()),
            _ => return None,
        })
    }
}

/// A conflict. The merged table holds our value meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What is in conflict.
    pub kind: ConflictKind,
    /// The column; none where a row as a whole is in conflict.
    pub column: Option<ColumnId>,
    /// The slot of the row in the base, if it has it.
    pub base: Option<u64>,
    /// The slot of the row in our state.
    pub ours: Option<u64>,
    /// The slot of the row in theirs.
    pub theirs: Option<u64>,
    /// The slot of the row in the merged table.
    pub merged: Option<u64>,
}

/// What a merge took from their side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergeCounts {
    /// Columns that came.
    pub columns_added: u64,
    /// Columns that went.
    pub columns_dropped: u64,
    /// Rows that came.
    pub rows_added: u64,
    /// Rows that went.
    pub rows_removed: u64,
    /// Cells that were taken over, of rows and columns that both have; an upper bound, since stretches are taken unread.
    pub cells: u64,
    /// Cells that a policy decided.
    pub decided: u64,
}

/// The result of a merge.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The merged table; it holds our side where there are conflicts.
    pub table: Table,
    /// What is left to people, ordered by row and column.
    pub conflicts: Vec<Conflict>,
    /// What was taken from theirs.
    pub counts: MergeCounts,
}

/// Whether two states are known to be the same, unread.
fn is_same(a: &Table, b: &Table) -> bool {
    a.schema == b.schema && a.spine.is_same(&b.spine) && a.live.is_same(&b.live) && a.columns.iter().zip(&b.columns).all(|(x, y)| x.is_same(y))
}

/// Where the rows of the three states stand in each other, and which came and went.
struct Rows {
    base_ours: Map,
    base_theirs: Map,
    theirs_ours: Map,
    removed_ours: Vec<Range<u64>>,
    removed_theirs: Vec<Range<u64>>,
    added_ours: Vec<Range<u64>>,
    added_theirs: Vec<Range<u64>>,
    moved_theirs_alone: bool,
}

fn is_moved(segments: &[Aligned]) -> bool {
    segments.windows(2).any(|w| w[1].old < w[0].old)
}

impl Rows {
    fn of(objects: &Objects, base: &Table, ours: &Table, theirs: &Table) -> Result<Rows, TableError> {
        let (so, st) = (align(objects, base, ours)?, align(objects, base, theirs)?);
        let x = align(objects, ours, theirs)?;
        let (added_ours, removed_ours) = row_changes(objects, base, ours, &so)?;
        let (added_theirs, removed_theirs) = row_changes(objects, base, theirs, &st)?;
        let moved_theirs_alone = is_moved(&st) && !is_moved(&so) && is_moved(&x);
        let back = x.iter().map(|s| Aligned { old: s.new, new: s.old, rows: s.rows }).collect();
        let (base_ours, base_theirs, theirs_ours) = (Map::new(so), Map::new(st), Map::new(back));
        Ok(Rows { base_ours, base_theirs, theirs_ours, removed_ours, removed_theirs, added_ours, added_theirs, moved_theirs_alone })
    }
}

/// Merges `theirs` into `ours`; `base` is the state that both come from, or a table without rows and columns where there is none.
///
/// Errors only where something does not read or cannot be written; what the sides disagree about is in the result.
pub fn merge(objects: &Arc<Objects>, base: &Table, ours: &Table, theirs: &Table, options: &MergeOptions) -> Result<Merged, TableError> {
    let mut done = Merged { table: ours.clone(), conflicts: Vec::new(), counts: MergeCounts::default() };
    if is_same(ours, theirs) || (is_same(base, theirs) && options.unsettled.is_empty()) {
        return Ok(done);
    }
    if is_same(base, ours) && options.unsettled.is_empty() {
        done.table = theirs.clone();
        let took = super::diff::diff(objects, base, theirs)?;
        done.counts.rows_added = took.rows_added();
        done.counts.rows_removed = took.rows_removed();
        done.counts.cells = took.cells_changed();
        let ids = |table: &Table| table.schema.columns.iter().map(|c| c.id).collect::<BTreeSet<_>>();
        done.counts.columns_added = ids(theirs).difference(&ids(ours)).count() as u64;
        done.counts.columns_dropped = ids(ours).difference(&ids(theirs)).count() as u64;
        return Ok(done);
    }
    let mut rows = Rows::of(objects, base, ours, theirs)?;
    let twice = keys::join_by_key(objects, base, ours, theirs, &mut rows)?;
    let (parts, schema) = merge_schema(objects, base, ours, theirs, &rows, options, &mut done)?;

    let mut cells = Cells::new(objects, [base, ours, theirs], &rows, options, twice);
    for (number, part) in parts.iter().enumerate() {
        cells.column(number, part)?;
    }
    cells.whole_rows(&parts)?;
    let kept = cells.kept.clone();
    done.conflicts.append(&mut cells.conflicts);

    // Rows that they deleted, and rows of ours that came back.
    let mut gone: Vec<u64> = Vec::new();
    let live = ours.live.get(&**objects)?;
    for range in &rows.removed_theirs {
        for slot in range.clone().filter(|slot| !kept.contains(slot)) {
            if let Some(at) = rows.base_ours.get(slot)
                && super::diff::is_live(objects, live, at)?
            {
                gone.push(at);
            }
        }
    }
    gone.sort_unstable();
    done.counts.rows_removed = gone.len() as u64;
    let mut merged = Table { schema, ..ours.clone() };
    merged.columns = cells.ropes(&parts, &mut done.counts)?;
    if !gone.is_empty() {
        merged = merged.set_live(objects, &gone, false)?;
    }
    let (mut back, keyed) = (cells.revived, cells.keyed);
    if !back.is_empty() {
        back.sort_unstable();
        back.dedup();
        done.counts.rows_added += back.len() as u64;
        merged = merged.set_live(objects, &back, true)?;
    }

    let pieces = arrangement(objects, ours, theirs, &rows)?;
    done.counts.rows_added += pieces.iter().map(|p| if let Piece::Theirs(r) = p { r.end - r.start } else { 0 }).sum::<u64>();
    done.table = build(objects, &merged, ours, theirs, &parts, &rows, &pieces)?;
    let places = rows::Places::new(&pieces);
    for conflict in &mut done.conflicts {
        conflict.merged = conflict.ours.and_then(|slot| places.ours(slot)).or_else(|| places.theirs(conflict.theirs?));
    }
    keys::check(objects, (ours, theirs), &rows, &keyed, &places, &mut done, options)?;
    done.conflicts.sort_by_key(|c| (c.merged.or(c.base), c.column.map(|id| parts.iter().position(|p: &Part| p.column.id == id))));
    Ok(done)
}

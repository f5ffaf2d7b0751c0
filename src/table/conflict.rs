//! Conflicts that wait: the table that lists them, and what settling one does to the merged table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, UInt32Array, UInt64Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, UInt64Type};

use crate::base::{ColumnId, TableId};
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::node::{Slice, Values};
use crate::tree::{Builder, Rope};

use super::diff::align;
use super::key::KeyIndex;
use super::merge::{Conflict, ConflictKind, Map, Side};
use super::write::RowWriter;
use super::{LazyRope, Schema, Table, TableError};

/// A conflict of a merge that is in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The table; none where a table or view as a whole is in conflict.
    pub table: Option<TableId>,
    /// The name of the table or view when it was merged.
    pub name: String,
    /// What is in conflict. Its slots are those of the states that were merged and of what they merged to.
    pub conflict: Conflict,
}

/// The columns of the table that lists conflicts (docs/format.md §9).
fn columns() -> Vec<(String, Type)> {
    let text = Type::TEXT;
    let binary = Type::Plain(DataType::Binary);
    let slot = Type::Plain(DataType::UInt64);
    let named = |(name, ty): (&str, Type)| (name.to_owned(), ty);
    [
        ("table_id", binary.clone()),
        ("table", text.clone()),
        ("kind", text.clone()),
        ("why", text),
        ("column_id", binary),
        ("base", slot.clone()),
        ("ours", slot.clone()),
        ("theirs", slot.clone()),
        ("merged", slot),
    ]
    .map(named)
    .to_vec()
}

/// The table that lists these conflicts, in this order.
pub fn list(objects: &Arc<Objects>, conflicts: &[Listed]) -> Result<Table, TableError> {
    let id = TableId(*b"dsv conflicts\0\0\0");
    let table = Table::create(objects, id, Schema::of(id, &columns()))?;
    let slots = |slot: fn(&Conflict) -> Option<u64>| -> ArrayRef { Arc::new(UInt64Array::from_iter(conflicts.iter().map(|c| slot(&c.conflict)))) };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(BinaryArray::from_iter(conflicts.iter().map(|c| c.table.map(|id| id.0)))),
        Arc::new(StringArray::from_iter_values(conflicts.iter().map(|c| &c.name))),
        Arc::new(StringArray::from_iter_values(conflicts.iter().map(|c| c.conflict.kind.name()))),
        Arc::new(StringArray::from_iter(conflicts.iter().map(|c| c.conflict.kind.why()))),
        Arc::new(BinaryArray::from_iter(conflicts.iter().map(|c| c.conflict.column.map(|id| id.0)))),
        slots(|c| c.base),
        slots(|c| c.ours),
        slots(|c| c.theirs),
        slots(|c| c.merged),
    ];
    let mut writer = RowWriter::new(objects, &table, &columns())?;
    writer.push(&RecordBatch::try_new(table.schema.arrow(&(0..arrays.len()).collect::<Vec<_>>()), arrays)?, &[])?;
    table.append(objects, writer.finish()?)
}

/// The conflicts that a table lists, each with its slot there; settled ones are deleted rows.
pub fn listed(objects: &Arc<Objects>, list: &Arc<Table>) -> Result<Vec<(u64, Listed)>, TableError> {
    let mut found = Vec::new();
    let count = list.rows(objects)?;
    let slots = list.slots_of_rows(objects, &(0..count).collect::<Vec<_>>())?;
    let all: Vec<usize> = (0..list.columns.len()).collect();
    let broken = || TableError::Schema("the list of conflicts does not read".to_owned());
    for part in slots.chunks(8192) {
        let batch = list.take(objects, part, &all)?;
        let column = |name: &str| batch.column_by_name(name).ok_or_else(broken);
        let text = |name: &str| column(name)?.as_string_opt::<i32>().ok_or_else(broken);
        let id = |name: &str| column(name)?.as_binary_opt::<i32>().ok_or_else(broken);
        let number = |name: &str| column(name)?.as_primitive_opt::<UInt64Type>().ok_or_else(broken);
        let (table, name, kind, why, of) = (id("table_id")?, text("table")?, text("kind")?, text("why")?, id("column_id")?);
        let places = [number("base")?, number("ours")?, number("theirs")?, number("merged")?];
        for (i, slot) in part.iter().enumerate() {
            let at = |values: &UInt64Array| values.is_valid(i).then(|| values.value(i));
            let said = if why.is_valid(i) { why.value(i) } else { "" };
            let conflict = Conflict {
                kind: ConflictKind::parse(kind.value(i), said).ok_or_else(broken)?,
                column: of.is_valid(i).then(|| ColumnId::from_slice(of.value(i))).flatten(),
                base: at(places[0]),
                ours: at(places[1]),
                theirs: at(places[2]),
                merged: at(places[3]),
            };
            let table = table.is_valid(i).then(|| TableId::from_slice(table.value(i))).flatten();
            found.push((*slot, Listed { table, name: name.value(i).to_owned(), conflict }));
        }
    }
    Ok(found)
}

/// The cells of some slots of a column, in whatever order, null where there is no slot.
pub fn cells_at(objects: &Arc<Objects>, table: &Table, column: usize, slots: &[Option<u64>]) -> Result<ArrayRef, TableError> {
    let mut sorted: Vec<u64> = slots.iter().copied().flatten().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let cells = table.take(objects, &sorted, &[column])?.column(0).clone();
    let indices: UInt32Array = slots.iter().map(|slot| slot.and_then(|slot| sorted.binary_search(&slot).ok()).map(|i| i as u32)).collect();
    Ok(take(&cells, &indices, None)?)
}

/// The states that a conflict is about.
pub struct Dispute<'a> {
    /// The state that both come from.
    pub base: &'a Table,
    /// The state merged into.
    pub ours: &'a Table,
    /// The state merged.
    pub theirs: &'a Table,
    /// What they merged to.
    pub merged: &'a Table,
}

/// Where rows of one state stand in another.
fn places(objects: &Objects, from: &Table, to: &Table) -> Result<Map, TableError> {
    Ok(Map::new(align(objects, from, to)?))
}

fn place(table: &Table, id: ColumnId) -> Option<usize> {
    table.schema.columns.iter().position(|c| c.id == id)
}

impl<'a> Dispute<'a> {
    fn state(&self, side: Option<Side>) -> &'a Table {
        match side {
            None => self.base,
            Some(Side::Ours) => self.ours,
            Some(Side::Theirs) => self.theirs,
        }
    }

    /// `now`, the merged table as it is meanwhile, with these conflicts settled as a side has it, or as the base has it where there is none. Errors
    /// where that side's cells, names or types have no place in it.
    pub fn settle(&self, objects: &Arc<Objects>, now: &Table, conflicts: &[&Conflict], side: Option<Side>) -> Result<Table, TableError> {
        let state = self.state(side);
        let here = places(objects, self.merged, now)?;
        let (mut table, mut gone) = (now.clone(), Vec::new());
        let (mut cells, mut rows): (BTreeMap<ColumnId, Vec<(u64, Option<u64>)>>, Vec<(Option<u64>, u64)>) = Default::default();
        let own = |c: &Conflict| match side {
            None => c.base,
            Some(Side::Ours) => c.ours,
            Some(Side::Theirs) => c.theirs,
        };
        for conflict in conflicts {
            let at = conflict.merged.and_then(|slot| here.get(slot));
            match (&conflict.kind, conflict.column) {
                (ConflictKind::Cell | ConflictKind::Key, Some(column)) => {
                    if let Some(at) = at {
                        cells.entry(column).or_default().push((at, own(conflict)));
                    }
                }
                (ConflictKind::Deleted(deleter), _) if side == Some(*deleter) => gone.extend(at),
                (ConflictKind::Deleted(_), _) => rows.extend(own(conflict).map(|from| (at, from))),
                (ConflictKind::Key, None) => gone.extend(self.late(objects, &here, conflict, side)?),
                (ConflictKind::Dropped(deleter), Some(column)) => {
                    let here = place(&table, column);
                    match (here, place(state, column)) {
                        (Some(here), _) if side == Some(*deleter) => table = table.drop_column(&now_name(&table, here))?,
                        (None, Some(from)) => table = table.take_column(objects, state, from)?,
                        _ => {}
                    }
                }
                (ConflictKind::Schema(_), Some(column)) => table = self.settle_schema(objects, table, column, side)?,
                // A row that breaks a check becomes what it is on that side, where it has one.
                (ConflictKind::Check(_), _) => match own(conflict) {
                    Some(from) => rows.push((at, from)),
                    None => gone.extend(at),
                },
                (ConflictKind::Whole(_) | ConflictKind::Cell | ConflictKind::Dropped(_) | ConflictKind::Schema(_), _) => {}
            }
        }
        for (column, mut pairs) in cells {
            let Some(to) = place(&table, column) else { continue };
            pairs.sort_unstable();
            pairs.dedup_by_key(|pair| pair.0);
            let (slots, from): (Vec<u64>, Vec<Option<u64>>) = pairs.into_iter().unzip();
            let values = match place(state, column) {
                Some(index) => cells_at(objects, state, index, &from)?,
                None => new_null_array(&table.schema.columns[to].ty.storage(), slots.len()),
            };
            table = table.set_cells(objects, to, &slots, &values)?;
        }
        table = table.bring(objects, state, rows, None)?;
        gone.sort_unstable();
        gone.dedup();
        if gone.is_empty() { Ok(table) } else { table.delete(objects, &gone) }
    }

    /// The row that gives way where two have one key.
    fn late(&self, objects: &Objects, here: &Map, conflict: &Conflict, side: Option<Side>) -> Result<Option<u64>, TableError> {
        let unclear = || TableError::Schema("two rows have come to one key and no side has settled it: change one of them".to_owned());
        let kept = conflict.merged.and_then(|slot| here.get(slot));
        match side {
            Some(Side::Theirs) if conflict.theirs.is_some() => Ok(kept),
            Some(Side::Ours) => {
                let theirs = conflict.theirs.ok_or_else(unclear)?;
                let merged = places(objects, self.theirs, self.merged)?.get(theirs);
                Ok(merged.and_then(|slot| here.get(slot)))
            }
            _ => Err(unclear()),
        }
    }

    /// Name, type, settings and place in the key of a column, as a side has them.
    fn settle_schema(&self, objects: &Arc<Objects>, table: Table, column: ColumnId, side: Option<Side>) -> Result<Table, TableError> {
        let Some(side) = side else { return Err(TableError::Schema("columns are settled as ours or as theirs, not as the base".to_owned())) };
        let (Some(here), state) = (place(&table, column), self.state(Some(side))) else { return Ok(table) };
        let name = now_name(&table, here);
        let Some(wanted) = place(state, column).and_then(|index| state.schema.columns.get(index)) else {
            // It waits beside a column of the other side that has its name.
            return table.drop_column(&name);
        };
        let mut table = table;
        if wanted.name != name {
            if let Some(rival) = table.schema.columns.iter().find(|c| c.name == wanted.name)
                && place(state, rival.id).is_none()
            {
                let rival = rival.name.clone();
                table = table.drop_column(&rival)?;
            }
            table = table.rename_column(&name, &wanted.name)?;
        }
        table = table.retype_column(objects, &wanted.name, wanted.ty.clone())?;
        if let Some(index) = place(&table, column) {
            table.schema.columns[index].options = wanted.options.clone();
            table.schema.columns[index].nullable = wanted.nullable;
        }
        let key = &state.schema.key;
        let in_key = [self.ours, self.theirs].iter().any(|t| t.schema.key.contains(&column));
        if in_key && self.ours.schema.key != self.theirs.schema.key && key.iter().all(|id| place(&table, *id).is_some()) {
            table.schema.key = key.clone();
            let indices = table.schema.key_indices();
            if !indices.is_empty() {
                KeyIndex::build(objects, &Arc::new(table.clone()), indices)?;
            }
        }
        Ok(table)
    }

    /// `now` with these cells: for each conflict a value, in their order. All are of one column.
    pub fn set(&self, objects: &Arc<Objects>, now: &Table, conflicts: &[&Conflict], values: &ArrayRef) -> Result<Table, TableError> {
        let here = places(objects, self.merged, now)?;
        let Some(to) = conflicts.first().and_then(|c| place(now, c.column?)) else { return Ok(now.clone()) };
        let mut pairs: Vec<(u64, u32)> = conflicts.iter().zip(0u32..).filter_map(|(c, i)| Some((c.merged.and_then(|slot| here.get(slot))?, i))).collect();
        pairs.sort_unstable();
        pairs.dedup_by_key(|pair| pair.0);
        let slots: Vec<u64> = pairs.iter().map(|pair| pair.0).collect();
        let values = take(values, &UInt32Array::from_iter_values(pairs.iter().map(|pair| pair.1)), None)?;
        now.set_cells(objects, to, &slots, &values)
    }
}

fn now_name(table: &Table, index: usize) -> String {
    table.schema.columns.get(index).map(|c| c.name.clone()).unwrap_or_default()
}

impl Table {
    /// The table with rows as another state of it has them: pairs of a slot here, if there is one, and the slot there. They get the cells of `columns`
    /// (of all that both have, without) and life; rows without a slot here are appended with all their cells, as new rows.
    pub fn bring(&self, objects: &Arc<Objects>, state: &Table, mut rows: Vec<(Option<u64>, u64)>, columns: Option<&[ColumnId]>) -> Result<Table, TableError> {
        rows.sort_unstable();
        rows.dedup();
        let mut table = self.clone();
        let (slots, from): (Vec<u64>, Vec<Option<u64>>) = rows.iter().filter_map(|(at, from)| Some(((*at)?, Some(*from)))).unzip();
        let shared: Vec<(usize, usize)> = table.schema.columns.iter().enumerate().filter_map(|(to, column)| Some((to, place(state, column.id)?))).collect();
        if !slots.is_empty() {
            for (to, index) in &shared {
                if columns.is_none_or(|columns| columns.contains(&table.schema.columns[*to].id)) {
                    let values = cells_at(objects, state, *index, &from)?;
                    table = table.set_cells(objects, *to, &slots, &values)?;
                }
            }
            table = table.set_live(objects, &slots, true)?;
        }
        let purged: Vec<u64> = rows.iter().filter(|(at, _)| at.is_none()).map(|(_, from)| *from).collect();
        if purged.is_empty() {
            return Ok(table);
        }
        let columns: Vec<(String, Type)> =
            shared.iter().map(|(to, _)| (table.schema.columns[*to].name.clone(), table.schema.columns[*to].ty.clone())).collect();
        let indices: Vec<usize> = shared.iter().map(|(_, index)| *index).collect();
        let mut writer = RowWriter::new(objects, &table, &columns)?;
        writer.push(&state.take(objects, &purged, &indices)?, &[])?;
        table.append(objects, writer.finish()?)
    }

    /// The table with a column as another state of it has it, in rows that both have, by reference; a column that is not there comes back.
    pub fn restore_column(&self, objects: &Arc<Objects>, from: &Table, column: usize) -> Result<Table, TableError> {
        let store = &**objects;
        let there = from.schema.columns.get(column).ok_or_else(|| TableError::NoColumn { name: format!("#{column}"), near: vec![] })?;
        let Some(here) = place(self, there.id) else { return self.take_column(objects, from, column) };
        let mut table = self.retype_column(objects, &self.schema.columns[here].name, there.ty.clone())?;
        let mut segments = align(store, from, self)?;
        segments.sort_by_key(|s| s.new);
        let (old, now): (&Rope<Values>, Rope<Values>) = (from.columns[column].get(store)?, table.columns[here].get(store)?.clone());
        let (mut builder, mut done) = (Builder::new(store), 0);
        for segment in segments {
            builder.append(&now, done, segment.new)?;
            builder.append(old, segment.old, segment.old + segment.rows)?;
            done = segment.new + segment.rows;
        }
        builder.append(&now, done, now.rows())?;
        table.columns[here] = LazyRope::new(builder.finish()?);
        Ok(table)
    }

    /// The table with a column of another state of it added, behind the columns that stand before it there; null in rows that the other state
    /// has not. Its values are taken by reference.
    pub fn take_column(&self, objects: &Arc<Objects>, from: &Table, column: usize) -> Result<Table, TableError> {
        let store = &**objects;
        let (Some(rope), Some(described)) = (from.columns.get(column), from.schema.columns.get(column)) else {
            return Err(TableError::NoColumn { name: format!("#{column}"), near: vec![] });
        };
        let before = from.schema.columns.iter().take(column).rev().find_map(|c| place(self, c.id));
        let at = before.map_or(0, |index| index + 1);
        let mut table = self.clone();
        table.schema.columns.insert(at, described.clone());
        table.schema.check()?;
        let slots = self.slots(store)?;
        let mut segments = align(store, from, self)?;
        segments.sort_by_key(|s| s.new);
        let rope: &Rope<Values> = rope.get(store)?;
        let null = |rows: u64| Slice::Constant { value: new_null_array(&described.ty.storage(), 1), rows };
        let (mut builder, mut done) = (Builder::new(store), 0);
        for segment in segments {
            if segment.new > done {
                builder.push(null(segment.new - done))?;
            }
            builder.append(rope, segment.old, segment.old + segment.rows)?;
            done = segment.new + segment.rows;
        }
        if slots > done {
            builder.push(null(slots - done))?;
        }
        table.columns.insert(at, LazyRope::new(builder.finish()?));
        Ok(table)
    }
}

/// One array of values that were made one by one.
pub fn joined(values: &[ArrayRef]) -> Result<ArrayRef, TableError> {
    Ok(concat(&values.iter().map(|v| v.as_ref()).collect::<Vec<_>>())?)
}

#[cfg(test)]
mod tests;

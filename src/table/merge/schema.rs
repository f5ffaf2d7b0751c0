//! The columns of the merged table: by their ids, in our order, with theirs between.

use std::sync::Arc;

use crate::base::ColumnId;
use crate::chunk::Objects;
use crate::format::Type;

use super::{Conflict, ConflictKind, MergeOptions, Merged, Rows, Side, Table, TableError};
use crate::table::diff::{column_cells, is_live};
use crate::table::schema::{Column, Schema, unify};

/// A column of the merged table, and which it is on each side.
pub struct Part {
    pub column: Column,
    pub base: Option<usize>,
    pub ours: Option<usize>,
    pub theirs: Option<usize>,
}

fn place(table: &Table, id: ColumnId) -> Option<usize> {
    table.schema.columns.iter().position(|c| c.id == id)
}

/// The one of two values that differs from the base; `None` where both do, and from each other.
fn three<'a, T: PartialEq>(base: Option<&'a T>, ours: &'a T, theirs: &'a T) -> Option<&'a T> {
    if ours == theirs || base == Some(theirs) {
        Some(ours)
    } else if base == Some(ours) {
        Some(theirs)
    } else {
        None
    }
}

/// The merged columns and key; what does not go together is noted as conflicts, and stays as ours has it.
pub fn merge_schema(
    objects: &Arc<Objects>,
    base: &Table,
    ours: &Table,
    theirs: &Table,
    rows: &Rows,
    options: &MergeOptions,
    done: &mut Merged,
) -> Result<(Vec<Part>, Schema), TableError> {
    let mut parts: Vec<Part> = Vec::new();
    let wins = |side: Side| options.strategy == Some(side);
    let conflict = |done: &mut Merged, kind: ConflictKind, column: ColumnId| {
        if options.strategy.is_none() {
            done.conflicts.push(Conflict { kind, column: Some(column), base: None, ours: None, theirs: None, merged: None });
        }
    };
    for (i, column) in ours.schema.columns.iter().enumerate() {
        let (b, t) = (place(base, column.id), place(theirs, column.id));
        let mut merged = column.clone();
        match (b, t) {
            (Some(b), None) => {
                if !changed(objects, (base, b), (ours, i), rows.base_ours.segments())? || wins(Side::Theirs) {
                    done.counts.columns_dropped += 1;
                    continue;
                }
                conflict(done, ConflictKind::Dropped(Side::Theirs), column.id);
            }
            (b, Some(t)) => {
                let before = b.and_then(|b| base.schema.columns.get(b));
                let other = &theirs.schema.columns[t];
                let mut apart = Vec::new();
                let pick = |apart: &mut Vec<String>, what: String| {
                    if wins(Side::Theirs) {
                        true
                    } else {
                        apart.push(what);
                        false
                    }
                };
                match three(before.map(|c| &c.name), &column.name, &other.name) {
                    Some(name) => merged.name = name.clone(),
                    None if pick(&mut apart, format!("the column is '{}' here and '{}' there", column.name, other.name)) => merged.name = other.name.clone(),
                    None => {}
                }
                match three(before.map(|c| &c.ty), &column.ty, &other.ty) {
                    Some(ty) => merged.ty = ty.clone(),
                    None => match unify(&column.ty, &other.ty) {
                        Some(ty) => merged.ty = ty,
                        None if pick(&mut apart, format!("column '{}' is {} here and {} there", column.name, column.ty, other.ty)) => {
                            merged.ty = other.ty.clone()
                        }
                        None => {}
                    },
                }
                if let Some(nullable) = three(before.map(|c| &c.nullable), &column.nullable, &other.nullable) {
                    merged.nullable = *nullable;
                }
                merged.options = merge_options(before, column, other, wins(Side::Theirs), &mut apart);
                for what in apart {
                    conflict(done, ConflictKind::Schema(what), column.id);
                }
            }
            (None, None) => {}
        }
        parts.push(Part { column: merged, base: b, ours: Some(i), theirs: t });
    }
    let mut before: Option<ColumnId> = None;
    for (j, column) in theirs.schema.columns.iter().enumerate() {
        if place(ours, column.id).is_none() {
            if let Some(b) = place(base, column.id) {
                let differs = changed(objects, (base, b), (theirs, j), rows.base_theirs.segments())?;
                if differs {
                    conflict(done, ConflictKind::Dropped(Side::Ours), column.id);
                }
                if !(differs && wins(Side::Theirs)) {
                    continue;
                }
            }
            let mut merged = column.clone();
            if let Some(same) = parts.iter().position(|p| p.column.name == column.name) {
                // Two columns of one name that are not one: ours stays, theirs waits beside it.
                let what = format!("column '{}' is {} here and another, {}, there", column.name, parts[same].column.ty, column.ty);
                if wins(Side::Theirs) {
                    parts.remove(same);
                } else if wins(Side::Ours) {
                    continue;
                } else {
                    conflict(done, ConflictKind::Schema(what), column.id);
                    merged.name = free_name(&parts, &column.name);
                }
            }
            let at = before.and_then(|id| parts.iter().position(|p| p.column.id == id)).map_or(0, |at| at + 1);
            // Behind columns that ours added there.
            let own = parts.iter().skip(at).take_while(|p| p.base.is_none() && p.theirs.is_none()).count();
            parts.insert(at + own, Part { column: merged, base: None, ours: None, theirs: Some(j) });
            done.counts.columns_added += 1;
        }
        before = Some(column.id);
    }
    // Names that came together by renaming.
    for i in 0..parts.len() {
        if parts[..i].iter().any(|p| p.column.name == parts[i].column.name) {
            let name = free_name(&parts, &parts[i].column.name);
            let what = format!("two columns have come to the name '{}'", parts[i].column.name);
            let id = parts[i].column.id;
            conflict(done, ConflictKind::Schema(what), id);
            parts[i].column.name = name;
        }
    }
    reorder(base, ours, theirs, &mut parts);
    let key = match three(Some(&base.schema.key), &ours.schema.key, &theirs.schema.key) {
        Some(key) => key.clone(),
        None if wins(Side::Theirs) => theirs.schema.key.clone(),
        None => {
            if let Some(id) = ours.schema.key.first().or(theirs.schema.key.first()) {
                conflict(done, ConflictKind::Schema("the table has one key here and another there".to_owned()), *id);
            }
            ours.schema.key.clone()
        }
    };
    let missing = key.iter().find(|id| parts.iter().all(|p| p.column.id != **id));
    if let Some(id) = missing {
        conflict(done, ConflictKind::Schema("a column of the key that one side set was dropped by the other".to_owned()), *id);
    }
    let key = if missing.is_none() { key } else { Vec::new() };
    let schema = Schema { key, columns: parts.iter().map(|p| p.column.clone()).collect() };
    schema.check()?;
    Ok((parts, schema))
}

fn merge_options(
    before: Option<&Column>,
    ours: &Column,
    theirs: &Column,
    theirs_win: bool,
    apart: &mut Vec<String>,
) -> std::collections::BTreeMap<String, String> {
    let mut merged = ours.options.clone();
    let names = ours.options.keys().chain(theirs.options.keys());
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        let (a, b) = (ours.options.get(name), theirs.options.get(name));
        let base = before.map(|c| c.options.get(name));
        match three(base.as_ref(), &a, &b) {
            Some(Some(value)) => drop(merged.insert(name.clone(), (*value).clone())),
            Some(None) => drop(merged.remove(name)),
            None if theirs_win => drop(b.map(|value| merged.insert(name.clone(), value.clone()))),
            None => apart.push(format!("setting '{name}' of column '{}' differs", ours.name)),
        }
    }
    merged
}

fn free_name(parts: &[Part], name: &str) -> String {
    let taken = |name: &str| parts.iter().any(|p| p.column.name == name);
    let first = format!("{name}_theirs");
    if !taken(&first) {
        return first;
    }
    (2u64..).map(|n| format!("{name}_theirs{n}")).find(|name| !taken(name)).unwrap_or(first)
}

/// Their order of the columns that the base has, where ours is still the base's.
fn reorder(base: &Table, ours: &Table, theirs: &Table, parts: &mut Vec<Part>) {
    let order = |table: &Table| -> Vec<ColumnId> {
        table.schema.columns.iter().map(|c| c.id).filter(|id| [base, ours, theirs].iter().all(|t| place(t, *id).is_some())).collect()
    };
    let (wanted, current) = (order(theirs), order(ours));
    if current != order(base) || wanted == current {
        return;
    }
    // Each column that is not of all three stays behind the one that it stands behind.
    let mut groups: Vec<Vec<Part>> = vec![Vec::new()];
    for part in std::mem::take(parts) {
        if wanted.contains(&part.column.id) {
            groups.push(Vec::new());
        }
        if let Some(group) = groups.last_mut() {
            group.push(part);
        }
    }
    let head = groups.remove(0);
    groups.sort_by_key(|group| group.first().and_then(|part| wanted.iter().position(|id| *id == part.column.id)));
    parts.extend(head);
    parts.extend(groups.into_iter().flatten());
}

/// Whether one side changed a column: its type, or a cell of a row that both have.
fn changed(objects: &Arc<Objects>, before: (&Table, usize), after: (&Table, usize), segments: &[crate::table::diff::Aligned]) -> Result<bool, TableError> {
    let ty = |(table, i): (&Table, usize)| -> Option<Type> { table.schema.columns.get(i).map(|c| c.ty.clone()) };
    if ty(before) != ty(after) {
        return Ok(true);
    }
    let cells = column_cells(objects, before, after, segments)?;
    let (a, b) = (before.0.live.get(&**objects)?, after.0.live.get(&**objects)?);
    for (x, y) in cells {
        if is_live(objects, a, x)? && is_live(objects, b, y)? {
            return Ok(true);
        }
    }
    Ok(false)
}

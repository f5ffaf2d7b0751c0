//! Changes to a table that is there: cells, rows, columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};

use crate::chunk::Objects;
use crate::format::Type;
use crate::format::array::{self, to_storage};
use crate::format::node::{Run, Slice, Values};
use crate::tree::Rope;

use super::column::repeat;
use super::merge::{POLICY_OPTION, Policy};
use super::schema::widens;
use super::write::{ColumnWriter, is_literal};
use super::{LazyRope, Table, TableError};

/// Rows read at once of those that are not live.
const REST_ROWS: usize = 8192;

/// What a new column holds.
pub enum Fill {
    /// One cell, for all rows.
    Constant(ArrayRef),
    /// A value for each live row, in order.
    Values(Box<dyn Iterator<Item = Result<ArrayRef, TableError>>>),
}

impl Table {
    /// The table with the cells of one column set at some slots, which ascend: `values` has one for each. Kilobytes are written, whatever the column weighs.
    pub fn set_cells(&self, objects: &Arc<Objects>, column: usize, slots: &[u64], values: &ArrayRef) -> Result<Table, TableError> {
        let store = &**objects;
        let (Some(rope), Some(described)) = (self.columns.get(column), self.schema.columns.get(column)) else {
            return Err(TableError::NoColumn { name: format!("#{column}"), near: vec![] });
        };
        if slots.len() != values.len() {
            return Err(TableError::Schema(format!("{} values for {} rows", values.len(), slots.len())));
        }
        if slots.is_empty() {
            return Ok(self.clone());
        }
        // One write for all edits, so that wide values share a chunk; the slots then point into it.
        let mut writer = ColumnWriter::new(objects.clone(), &described.name, &described.ty);
        writer.push(values, &[])?;
        let pairs: Vec<(u64, u64)> = slots.iter().copied().zip(0..).collect();
        let mut table = self.clone();
        table.columns[column] = LazyRope::new(paste(objects, rope.get(store)?, &pairs, writer.finish()?.0)?);
        Ok(table)
    }

    /// The table with the rows at some slots, which ascend, deleted. No column is touched.
    pub fn delete(&self, objects: &Arc<Objects>, slots: &[u64]) -> Result<Table, TableError> {
        self.set_live(objects, slots, false)
    }

    /// The table with `live` set at some slots, which ascend.
    pub fn set_live(&self, objects: &Arc<Objects>, slots: &[u64], live: bool) -> Result<Table, TableError> {
        let store = &**objects;
        let mut edits: Vec<(std::ops::Range<u64>, Vec<Run>)> = Vec::new();
        for slot in slots {
            match edits.last_mut() {
                Some((range, runs)) if range.end == *slot => {
                    range.end += 1;
                    runs[0].rows += 1;
                }
                _ => edits.push((*slot..slot + 1, vec![Run { live, rows: 1 }])),
            }
        }
        let mut table = self.clone();
        table.live = LazyRope::new(self.live.get(store)?.edit(store, edits)?);
        Ok(table)
    }

    /// The table with a column added at its end. Nothing else changes.
    pub fn add_column(&self, objects: &Arc<Objects>, name: &str, ty: Type, fill: Fill) -> Result<Table, TableError> {
        let store = &**objects;
        let mut table = self.clone();
        let column = self.schema.mint(self.id, name, ty);
        table.schema.columns.push(column.clone());
        table.schema.check()?;
        let slots = self.slots(store)?;
        let slices = match fill {
            Fill::Constant(value) => self.constant(objects, &column.name, &column.ty, &value, slots)?,
            Fill::Values(values) => self.spread(objects, &column.name, &column.ty, values, None)?,
        };
        table.columns.push(LazyRope::new(Rope::build(store, slices)?));
        Ok(table)
    }

    fn constant(&self, objects: &Arc<Objects>, name: &str, ty: &Type, value: &ArrayRef, slots: u64) -> Result<Vec<Slice>, TableError> {
        let storage = ty.storage();
        let value = to_storage(value, &storage).map_err(|e| TableError::Value { row: 1, column: name.to_owned(), why: e.to_string() })?;
        if slots == 0 {
            return Ok(Vec::new());
        }
        if is_literal(&value)? {
            return Ok(vec![Slice::Constant { value, rows: slots }]);
        }
        // Too wide for a node: chunks of repeated values, which are few distinct ones and compress well.
        let mut writer = ColumnWriter::new(objects.clone(), name, ty);
        let step = (1 << 20) / (array::encode(&value, array::LITERAL_ALIGN)?.0.len() as u64 + 1) + 1;
        let mut left = slots;
        while left > 0 {
            let n = left.min(step);
            writer.push(&repeat(&value, n as usize)?, &[])?;
            left -= n;
        }
        Ok(writer.finish()?.0)
    }

    /// Values of the live rows as slices over all slots. Rows that are not live keep what they have in the column `old`, where it fits the type, and are null
    /// otherwise: a subset hides rows that others have.
    fn spread(
        &self,
        objects: &Arc<Objects>,
        name: &str,
        ty: &Type,
        values: Box<dyn Iterator<Item = Result<ArrayRef, TableError>>>,
        old: Option<usize>,
    ) -> Result<Vec<Slice>, TableError> {
        let store = &**objects;
        let mut writer = ColumnWriter::new(objects.clone(), name, ty);
        let mut given = 0;
        for batch in values {
            let batch = batch?;
            given += batch.len() as u64;
            writer.push(&batch, &[])?;
        }
        let rows = self.rows(store)?;
        if given != rows {
            return Err(TableError::Schema(format!("{given} values for {rows} rows")));
        }
        let (slices, _) = writer.finish()?;
        let live = self.live.get(store)?;
        if live.summary() == live.rows() {
            return Ok(slices);
        }
        let written = Rope::<Values>::build(store, slices)?;
        let null = new_null_array(&ty.storage(), 1);
        let old = old.map(|index| self.rest(objects, index, name, ty)).transpose()?;
        let (mut out, mut at, mut rest) = (Vec::new(), 0, 0);
        for item in live.items(store, 0, live.rows())? {
            let (slot, run) = item?;
            if run.live {
                for slice in written.items(store, at, at + run.rows)? {
                    out.push(slice?.1);
                }
                at += run.rows;
            } else if let Some((rope, by_slot)) = &old {
                let from = if *by_slot { slot } else { rest };
                for slice in rope.items(store, from, from + run.rows)? {
                    out.push(slice?.1);
                }
                rest += run.rows;
            } else {
                out.push(Slice::Constant { value: null.clone(), rows: run.rows });
            }
        }
        Ok(out)
    }

    /// What the rows that are not live have in a column, as a type: the column's own rope, by slots, or one of theirs alone.
    fn rest(&self, objects: &Arc<Objects>, index: usize, name: &str, ty: &Type) -> Result<(Rope<Values>, bool), TableError> {
        let store = &**objects;
        if self.schema.columns[index].ty == *ty {
            return Ok((self.columns[index].get(store)?.clone(), true));
        }
        let live = self.live.get(store)?;
        let mut slots = Vec::new();
        for item in live.items(store, 0, live.rows())? {
            let (slot, run) = item?;
            if !run.live {
                slots.extend(slot..slot + run.rows);
            }
        }
        let mut writer = ColumnWriter::new(objects.clone(), name, ty);
        for slots in slots.chunks(REST_ROWS) {
            let values = self.reader(objects, index)?.take(slots)?;
            let cast = cast_with_options(&values, &ty.storage(), &CastOptions { safe: true, ..CastOptions::default() });
            writer.push(&cast.unwrap_or_else(|_| new_null_array(&ty.storage(), slots.len())), &[])?;
        }
        Ok((Rope::build(store, writer.finish()?.0)?, false))
    }

    /// The table without a column. A column of the key cannot go.
    pub fn drop_column(&self, name: &str) -> Result<Table, TableError> {
        let index = self.schema.index(name)?;
        let mut table = self.clone();
        let column = table.schema.columns.remove(index);
        if table.schema.key.contains(&column.id) {
            return Err(TableError::Schema(format!("column '{name}' belongs to the table's key")));
        }
        table.columns.remove(index);
        Ok(table)
    }

    /// The table with a column under another name. Its values and its identity stay.
    pub fn rename_column(&self, from: &str, to: &str) -> Result<Table, TableError> {
        let index = self.schema.index(from)?;
        let mut table = self.clone();
        table.schema.columns[index].name = to.to_owned();
        table.schema.check()?;
        Ok(table)
    }

    /// The table with a rule, kept with a column, for cells that both sides of a merge changed; `None` takes it away. Errors where the rule means
    /// nothing for values of the column's type.
    pub fn set_policy(&self, name: &str, policy: Option<Policy>) -> Result<Table, TableError> {
        let index = self.schema.index(name)?;
        let mut table = self.clone();
        let column = &mut table.schema.columns[index];
        match policy {
            None => drop(column.options.remove(POLICY_OPTION)),
            Some(policy) if policy.fits(&column.ty) => drop(column.options.insert(POLICY_OPTION.to_owned(), policy.to_string())),
            Some(policy) => return Err(TableError::Schema(format!("the merge policy {policy} means nothing for column '{name}', which is {}", column.ty))),
        }
        Ok(table)
    }

    /// The table with a column of another type. Where every old value is exactly a new one, the schema alone changes and old values are cast as they are
    /// read; otherwise all values are cast now, and the first that does not fit is named.
    pub fn retype_column(&self, objects: &Arc<Objects>, name: &str, ty: Type) -> Result<Table, TableError> {
        let index = self.schema.index(name)?;
        let mut table = self.clone();
        let old = std::mem::replace(&mut table.schema.columns[index].ty, ty.clone());
        if widens(&old, &ty) {
            return Ok(table);
        }
        let this = Arc::new(self.clone());
        let storage = ty.storage();
        let mut casts = Vec::new();
        let mut row = 0;
        for batch in this.scan(objects).columns(vec![index]).open()? {
            let batch = batch?;
            let values = batch.column(0);
            let cast = cast_with_options(values, &storage, &CastOptions { safe: true, ..Default::default() }).map_err(|e| TableError::Value {
                row: row + 1,
                column: name.to_owned(),
                why: e.to_string(),
            })?;
            if let Some(bad) = (0..values.len()).find(|i| values.is_valid(*i) && cast.is_null(*i)) {
                let shown = arrow::util::display::array_value_to_string(values, bad).unwrap_or_default();
                return Err(TableError::Value { row: row + bad as u64 + 1, column: name.to_owned(), why: format!("'{shown}' is no {ty}") });
            }
            check_labels(&ty, &cast, name, row)?;
            row += values.len() as u64;
            casts.push(Ok(cast));
        }
        let slices = self.spread(objects, name, &ty, Box::new(casts.into_iter()), Some(index))?;
        table.columns[index] = LazyRope::new(Rope::build(&**objects, slices)?);
        Ok(table)
    }

    /// The table with a column of that type that holds other values: one for each live row, in order. Its identity and its place stay.
    pub fn refill_column(
        &self,
        objects: &Arc<Objects>,
        name: &str,
        ty: Type,
        values: Box<dyn Iterator<Item = Result<ArrayRef, TableError>>>,
    ) -> Result<Table, TableError> {
        let index = self.schema.index(name)?;
        let slices = self.spread(objects, name, &ty, values, Some(index))?;
        let mut table = self.clone();
        table.columns[index] = LazyRope::new(Rope::build(&**objects, slices)?);
        table.schema.columns[index].ty = ty;
        Ok(table)
    }

    /// The table with its columns in another order: `order` names each once.
    pub fn reorder_columns(&self, order: &[usize]) -> Result<Table, TableError> {
        let mut seen = order.to_vec();
        seen.sort_unstable();
        if seen != (0..self.columns.len()).collect::<Vec<_>>() {
            return Err(TableError::Schema("not an order of all columns".into()));
        }
        let mut table = self.clone();
        table.schema.columns = order.iter().map(|i| self.schema.columns[*i].clone()).collect();
        table.columns = order.iter().map(|i| self.columns[*i].clone()).collect();
        Ok(table)
    }
}

/// The rope with some slots taken from `slices`: pairs of a slot and a row of `slices`, the slots ascending.
pub(super) fn paste(objects: &Objects, rope: &Rope<Values>, pairs: &[(u64, u64)], slices: Vec<Slice>) -> Result<Rope<Values>, TableError> {
    let written = Rope::<Values>::build(objects, slices)?;
    let mut edits = Vec::new();
    let mut rest = pairs;
    while let Some((slot, row)) = rest.first().copied() {
        let n = rest.iter().zip(0..).take_while(|((s, r), i)| *s == slot + i && *r == row + i).count();
        let items = written.items(objects, row, row + n as u64)?.map(|i| i.map(|(_, slice)| slice)).collect::<Result<Vec<_>, _>>()?;
        edits.push((slot..slot + n as u64, items));
        rest = &rest[n..];
    }
    Ok(rope.edit(objects, edits)?)
}

/// Refuses text that is none of an enum's labels. `before` rows came earlier.
pub fn check_labels(ty: &Type, values: &ArrayRef, column: &str, before: u64) -> Result<(), TableError> {
    let Type::Enum(labels) = ty else { return Ok(()) };
    if labels.is_empty() {
        return Ok(());
    }
    let text = arrow::array::AsArray::as_string_opt::<i32>(values).ok_or_else(|| TableError::Schema(format!("column '{column}' is not text")))?;
    for (i, value) in text.iter().enumerate() {
        if let Some(value) = value
            && !labels.iter().any(|l| l == value)
        {
            return Err(TableError::Value { row: before + i as u64 + 1, column: column.to_owned(), why: format!("'{value}' is none of the labels of {ty}") });
        }
    }
    Ok(())
}

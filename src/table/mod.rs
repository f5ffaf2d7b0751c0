//! Floor 4: tables. A schema, the spine, `live` and one rope a column; reading, editing and comparing them.
//!
//! Knows chunks and trees; knows no commits, no refs, no SQL and no file formats.

pub mod arrange;
pub mod cells;
pub mod changes;
pub mod check;
pub mod column;
pub mod compact;
pub mod conflict;
pub mod diff;
pub mod edit;
mod error;
pub mod expression;
pub mod key;
pub mod large;
mod lazy;
pub mod merge;
pub mod reach;
pub mod replace;
pub mod scan;
pub mod schema;
pub mod write;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use crate::base::{TableId, TableObjectId};
use crate::chunk::Objects;
use crate::format::node::{Live, Spine, Values};
use crate::format::pack::Kind as ObjectKind;
use crate::format::table::TableObject;
use crate::tree::Rope;

pub use error::TableError;
pub use lazy::LazyRope;
pub use schema::{Column, Schema};

/// One state of a table. Immutable; changes make another. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    /// The table through all its states.
    pub id: TableId,
    /// Its columns and its key.
    pub schema: Schema,
    /// Row ids, one a slot.
    pub spine: LazyRope<Spine>,
    /// Which slots hold a row; the others are deleted.
    pub live: LazyRope<Live>,
    /// The columns' values, in the order of the schema.
    pub columns: Vec<LazyRope<Values>>,
}

/// Roots of at most this many bytes stand in the table object...
const INLINE_MAX: usize = 192;
/// ... as long as there are no more of them than this.
const INLINE_TOTAL_MAX: usize = 4096;

impl Table {
    /// A table without rows.
    pub fn create(objects: &Objects, id: TableId, schema: Schema) -> Result<Table, TableError> {
        schema.check()?;
        let columns = schema.columns.iter().map(|_| Ok(LazyRope::new(Rope::build(objects, [])?))).collect::<Result<_, TableError>>()?;
        Ok(Table { id, schema, spine: LazyRope::new(Rope::build(objects, [])?), live: LazyRope::new(Rope::build(objects, [])?), columns })
    }

    /// Loads a table object. Ropes are opened when they are used.
    pub fn load(objects: &Objects, id: TableObjectId) -> Result<Table, TableError> {
        let content = objects.get(ObjectKind::Table, id)?;
        let object = TableObject::decode(&content)?;
        Ok(Table {
            id: object.id,
            schema: Schema { key: object.key, columns: object.columns },
            spine: LazyRope::from_reference(&object.spine)?,
            live: LazyRope::from_reference(&object.live)?,
            columns: object.ropes.iter().map(|r| LazyRope::from_reference(r)).collect::<Result<_, _>>()?,
        })
    }

    /// Keeps the table and returns the id of its object.
    pub fn store(&self, objects: &Objects) -> Result<TableObjectId, TableError> {
        let mut inline_left = INLINE_TOTAL_MAX;
        let spine = self.spine.reference(objects, INLINE_MAX, &mut inline_left)?;
        let live = self.live.reference(objects, INLINE_MAX, &mut inline_left)?;
        let ropes = self.columns.iter().map(|c| c.reference(objects, INLINE_MAX, &mut inline_left)).collect::<Result<_, _>>()?;
        let object = TableObject { id: self.id, key: self.schema.key.clone(), columns: self.schema.columns.clone(), spine, live, ropes };
        Ok(objects.put(ObjectKind::Table, &object.encode())?.into())
    }

    /// Slots in every rope, deleted rows included.
    pub fn slots(&self, objects: &Objects) -> Result<u64, TableError> {
        Ok(self.spine.get(objects)?.rows())
    }

    /// Rows, exactly, from the tree alone.
    pub fn rows(&self, objects: &Objects) -> Result<u64, TableError> {
        Ok(self.live.get(objects)?.summary())
    }

    /// `n` ranges of slots that together cover the table, about equal in rows; fewer where the table is small.
    pub fn partitions(&self, objects: &Objects, n: usize) -> Result<Vec<std::ops::Range<u64>>, TableError> {
        let slots = self.slots(objects)?;
        let n = (n as u64).clamp(1, slots.div_ceil(8192).max(1));
        Ok((0..n).map(|i| (u128::from(slots) * u128::from(i) / u128::from(n)) as u64..(u128::from(slots) * u128::from(i + 1) / u128::from(n)) as u64).collect())
    }

    /// A scan of the whole table.
    pub fn scan(self: &Arc<Self>, objects: &Arc<Objects>) -> scan::Scan {
        scan::Scan::new(objects.clone(), self.clone())
    }
}

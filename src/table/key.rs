//! Rows by what their cells say: keys, and whole rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;

use crate::chunk::Objects;

use super::column::widen;
use super::{Table, TableError};

/// The first 16 bytes of the BLAKE3 of a row's cells: equal for equal cells, floats by their bits.
pub type RowHash = u128;

/// Hashes rows of fixed storage types.
pub struct RowHasher {
    storage: Vec<DataType>,
    converter: RowConverter,
}

impl RowHasher {
    /// A hasher of rows with cells of these storage types.
    pub fn new(storage: Vec<DataType>) -> Result<Self, TableError> {
        let converter = RowConverter::new(storage.iter().cloned().map(SortField::new).collect())?;
        Ok(RowHasher { storage, converter })
    }

    /// The storage types that cells are hashed as.
    pub fn storage(&self) -> &[DataType] {
        &self.storage
    }

    /// The hash of each row; `columns` are cast to the storage types first.
    pub fn hash(&self, columns: &[ArrayRef]) -> Result<Vec<RowHash>, TableError> {
        if columns.len() != self.storage.len() {
            return Err(TableError::Schema("another number of columns than were to be hashed".into()));
        }
        let columns = columns.iter().zip(&self.storage).map(|(c, t)| widen(c.clone(), t)).collect::<Result<Vec<_>, _>>()?;
        let rows = self.converter.convert_columns(&columns)?;
        Ok(rows
            .iter()
            .map(|row| {
                let mut first = [0; 16];
                first.copy_from_slice(&blake3::hash(row.as_ref()).as_bytes()[..16]);
                RowHash::from_le_bytes(first)
            })
            .collect())
    }
}

/// The live rows of a table by key.
pub struct KeyIndex {
    columns: Vec<usize>,
    names: Vec<String>,
    hasher: RowHasher,
    slots: HashMap<RowHash, u64>,
}

impl KeyIndex {
    /// Reads the key columns of all live rows. Errors with [`TableError::Key`] where a key is null or stands twice.
    pub fn build(objects: &Arc<Objects>, table: &Arc<Table>, columns: Vec<usize>) -> Result<Self, TableError> {
        let described: Vec<_> = columns.iter().filter_map(|i| table.schema.columns.get(*i)).collect();
        let names: Vec<String> = described.iter().map(|c| c.name.clone()).collect();
        let hasher = RowHasher::new(described.iter().map(|c| c.ty.storage()).collect())?;
        let mut index = KeyIndex { columns, names, hasher, slots: HashMap::new() };
        let mut slots = table.live_slots(objects)?;
        let mut row = 0;
        for batch in table.scan(objects).columns(index.columns.clone()).open()? {
            let batch = batch?;
            for (i, hash) in index.hash(batch.columns(), row)?.into_iter().enumerate() {
                let Some(slot) = slots.next() else { break };
                if index.slots.insert(hash, slot).is_some() {
                    return Err(index.twice(batch.columns(), i, row));
                }
            }
            row += batch.num_rows() as u64;
        }
        Ok(index)
    }

    /// The hashes of keys; `before` rows came earlier. Errors where one is null.
    pub fn hash(&self, columns: &[ArrayRef], before: u64) -> Result<Vec<RowHash>, TableError> {
        for (column, name) in columns.iter().zip(&self.names) {
            if column.null_count() > 0 {
                let row = (0..column.len()).find(|i| column.is_null(*i)).unwrap_or_default();
                return Err(TableError::Key { row: before + row as u64 + 1, why: format!("the key column '{name}' is null") });
            }
        }
        self.hasher.hash(columns)
    }

    /// The slot of the row with that key.
    pub fn get(&self, hash: RowHash) -> Option<u64> {
        self.slots.get(&hash).copied()
    }

    /// The error of a key that stands twice, at row `i` of a batch.
    pub fn twice(&self, columns: &[ArrayRef], i: usize, before: u64) -> TableError {
        let cells: Vec<String> = columns.iter().map(|c| array_value_to_string(c, i).unwrap_or_default()).collect();
        TableError::Key { row: before + i as u64 + 1, why: format!("the key ({}) = ({}) stands twice", self.names.join(", "), cells.join(", ")) }
    }
}

impl Table {
    /// The slots of the live rows, in order.
    pub fn live_slots(&self, objects: &Objects) -> Result<impl Iterator<Item = u64> + use<>, TableError> {
        let live = self.live.get(objects)?;
        let mut runs = Vec::new();
        for item in live.items(objects, 0, live.rows())? {
            let (start, run) = item?;
            if run.live {
                runs.push(start..start + run.rows);
            }
        }
        Ok(runs.into_iter().flatten())
    }
}

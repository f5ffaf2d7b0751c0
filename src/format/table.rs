//! The table object (docs/format.md, section 8).

use std::collections::BTreeMap;

use crate::base::{ColumnId, TableId};

use super::cbor::{Reader, Writer};
use super::{FormatError, Type};

/// A column as the table object lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Minted once; renaming keeps it.
    pub id: ColumnId,
    /// Its name, unique in the table.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether cells may be null.
    pub nullable: bool,
    /// Settings by name.
    pub options: BTreeMap<String, String>,
}

/// A table object.
#[derive(Debug, Clone, PartialEq)]
pub struct TableObject {
    /// The table through all its states.
    pub id: TableId,
    /// The columns of the key, in its order; empty without a key.
    pub key: Vec<ColumnId>,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The reference to the spine: one CBOR item, as are those below.
    pub spine: Vec<u8>,
    /// The reference to `live`.
    pub live: Vec<u8>,
    /// The references to the columns' ropes, one a column.
    pub ropes: Vec<Vec<u8>>,
}

impl TableObject {
    /// The object's content.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.array(6).bytes(self.id.as_bytes()).array(self.key.len() as u64);
        for id in &self.key {
            out.bytes(id.as_bytes());
        }
        out.array(self.columns.len() as u64);
        for column in &self.columns {
            out.array(5).bytes(column.id.as_bytes()).str(&column.name).str(&column.ty.to_string()).bool(column.nullable);
            out.map(column.options.len() as u64);
            for (name, value) in &column.options {
                out.str(name).str(value);
            }
        }
        out.raw(&self.spine).raw(&self.live).array(self.ropes.len() as u64);
        for rope in &self.ropes {
            out.raw(rope);
        }
        out.finish()
    }

    /// The table object with this content.
    pub fn decode(content: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("table", content);
        let table = reader.record(6, |r| {
            let id = TableId(r.fixed()?);
            let key: Vec<ColumnId> = r.list(|r| Ok(ColumnId(r.fixed()?)))?;
            let columns = r.list(|r| {
                r.record(5, |r| {
                    let (id, name, ty, nullable) = (ColumnId(r.fixed()?), r.str()?.to_owned(), r.str()?.parse()?, r.bool()?);
                    let mut options = BTreeMap::new();
                    for _ in 0..r.map()? {
                        options.insert(r.str()?.to_owned(), r.str()?.to_owned());
                    }
                    Ok(Column { id, name, ty, nullable, options })
                })
            })?;
            let (spine, live) = (r.item()?.to_vec(), r.item()?.to_vec());
            let ropes: Vec<Vec<u8>> = r.list(|r| Ok(r.item()?.to_vec()))?;
            if ropes.len() != columns.len() {
                return Err(r.fail("another number of ropes than of columns"));
            }
            if key.iter().any(|id| !columns.iter().any(|c| c.id == *id)) {
                return Err(r.fail("a key column that is not there"));
            }
            Ok(TableObject { id, key, columns, spine, live, ropes })
        })?;
        reader.end()?;
        Ok(table)
    }
}

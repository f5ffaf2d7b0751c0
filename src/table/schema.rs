//! Columns, keys and their Arrow schema.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema as ArrowSchema, SchemaRef};

use crate::base::name::{check_label, nearest};
use crate::base::{ColumnId, TableId};
use crate::format::Type;
pub use crate::format::table::Column;

use super::TableError;

/// The columns of a table, in order, and its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// The columns whose cells together name a row; empty without a key.
    pub key: Vec<ColumnId>,
    /// The columns.
    pub columns: Vec<Column>,
}

impl Schema {
    /// A schema of these columns, all nullable, without a key.
    pub fn of(table: TableId, columns: &[(String, Type)]) -> Schema {
        let mut schema = Schema::default();
        for (name, ty) in columns {
            let column = schema.mint(table, name, ty.clone());
            schema.columns.push(column);
        }
        schema
    }

    /// A new column. Its id follows from the table, its name and its type, so that a column added alike on two branches is one column; it differs from every id in
    /// the schema.
    pub fn mint(&self, table: TableId, name: &str, ty: Type) -> Column {
        let mut attempt = 0u64;
        loop {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"dsv column").update(table.as_bytes()).update(&attempt.to_le_bytes());
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(ty.to_string().as_bytes());
            let mut id = [0; 16];
            id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
            if self.columns.iter().all(|c| c.id.0 != id) {
                return Column { id: ColumnId(id), name: name.to_owned(), ty, nullable: true, options: BTreeMap::new() };
            }
            attempt += 1;
        }
    }

    /// Refuses names that are none, or stand twice.
    pub fn check(&self) -> Result<(), TableError> {
        let mut names = HashSet::new();
        for column in &self.columns {
            check_label("column", &column.name)?;
            if !names.insert(column.name.as_str()) {
                return Err(TableError::DuplicateColumn(column.name.clone()));
            }
        }
        Ok(())
    }

    /// The index of the column of that name.
    pub fn index(&self, name: &str) -> Result<usize, TableError> {
        self.columns.iter().position(|c| c.name == name).ok_or_else(|| TableError::NoColumn {
            name: name.to_owned(),
            near: nearest(name, self.columns.iter().map(|c| c.name.as_str())).into_iter().map(str::to_owned).collect(),
        })
    }

    /// The indices of the key's columns, in the key's order.
    pub fn key_indices(&self) -> Vec<usize> {
        self.key.iter().filter_map(|id| self.columns.iter().position(|c| c.id == *id)).collect()
    }

    /// The Arrow schema of the columns with these indices: their types' fields, extension types included.
    pub fn arrow(&self, columns: &[usize]) -> SchemaRef {
        let fields: Vec<_> = columns.iter().filter_map(|i| self.columns.get(*i)).map(|c| c.ty.field(&c.name, c.nullable)).collect();
        Arc::new(ArrowSchema::new(fields))
    }
}

/// The narrowest type that holds every value of both exactly, if there is one short of text.
pub fn unify(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    if widens(a, b) {
        return Some(b.clone());
    }
    if widens(b, a) {
        return Some(a.clone());
    }
    match (a, b) {
        (Type::Enum(x), Type::Enum(y)) if !x.is_empty() && !y.is_empty() => {
            let mut labels = x.clone();
            labels.extend(y.iter().filter(|l| !x.contains(l)).cloned());
            Some(Type::Enum(labels))
        }
        (Type::Plain(x), Type::Plain(y)) if x.is_integer() && y.is_integer() => Some(Type::INT64).filter(|t| widens(a, t) && widens(b, t)),
        _ => None,
    }
}

/// Whether every value of `from` is exactly a value of `to`, so that old chunks can be cast as they are read.
pub fn widens(from: &Type, to: &Type) -> bool {
    use DataType::*;
    if from == to {
        return true;
    }
    match (from, to) {
        (Type::Plain(a), Type::Plain(b)) => match (a, b) {
            (Int8, Int16 | Int32 | Int64 | Float32 | Float64) | (Int16, Int32 | Int64 | Float32 | Float64) | (Int32, Int64 | Float64) => true,
            (UInt8, UInt16 | UInt32 | UInt64 | Int16 | Int32 | Int64 | Float32 | Float64) => true,
            (UInt16, UInt32 | UInt64 | Int32 | Int64 | Float32 | Float64) | (UInt32, UInt64 | Int64 | Float64) => true,
            (Float16, Float32 | Float64) | (Float32, Float64) => true,
            (Decimal128(p, s), Decimal128(q, t) | Decimal256(q, t)) => t >= s && i16::from(*q) - i16::from(*t) >= i16::from(*p) - i16::from(*s),
            (Date32, Timestamp(..)) => false,
            _ => false,
        },
        // Encoded files are binary with a meaning, JSON and labels are text with one.
        (Type::Image | Type::Audio | Type::Video, Type::Plain(Binary)) => true,
        (Type::Json | Type::Enum(_), Type::Plain(Utf8)) => true,
        (Type::Enum(_), Type::Enum(labels)) if labels.is_empty() => true,
        (Type::Enum(some), Type::Enum(more)) => !some.is_empty() && some.iter().all(|l| more.contains(l)),
        (Type::Embedding { dim, half: true }, Type::Embedding { dim: other, half: false }) => dim == other,
        (Type::List(a), Type::List(b)) => widens(a, b),
        _ => false,
    }
}

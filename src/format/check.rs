//! Checks: what a snapshot asks of its own data (docs/format.md §8).

use super::FormatError;
use super::cbor::{Reader, Writer};
use crate::base::{ColumnId, TableId};

/// What a check asks. Tables and columns stand by their ids, so that it survives their renaming; within SQL text they stand by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The predicate is false for no row of the table; null passes.
    Predicate {
        /// The table.
        table: TableId,
        /// An SQL expression over the table's columns.
        sql: String,
    },
    /// The query returns no row.
    Query {
        /// An SQL query over the tables of the snapshot.
        sql: String,
    },
    /// No cell of these columns is null.
    NotNull {
        /// The table.
        table: TableId,
        /// The columns.
        columns: Vec<ColumnId>,
    },
    /// No two rows have the same cells in these columns; rows with a null among them are equal to no row.
    Unique {
        /// The table.
        table: TableId,
        /// The columns.
        columns: Vec<ColumnId>,
    },
}

impl Check {
    /// The kind in one word, as it is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Check::Predicate { .. } => "predicate",
            Check::Query { .. } => "query",
            Check::NotNull { .. } => "not-null",
            Check::Unique { .. } => "unique",
        }
    }

    /// The table whose rows it is about; none for a query.
    pub fn table(&self) -> Option<TableId> {
        match self {
            Check::Predicate { table, .. } | Check::NotNull { table, .. } | Check::Unique { table, .. } => Some(*table),
            Check::Query { .. } => None,
        }
    }

    /// The columns that it names by id.
    pub fn columns(&self) -> &[ColumnId] {
        match self {
            Check::NotNull { columns, .. } | Check::Unique { columns, .. } => columns,
            Check::Predicate { .. } | Check::Query { .. } => &[],
        }
    }

    /// Its SQL text.
    pub fn sql(&self) -> Option<&str> {
        match self {
            Check::Predicate { sql, .. } | Check::Query { sql } => Some(sql),
            Check::NotNull { .. } | Check::Unique { .. } => None,
        }
    }

    /// Writes the check of that name as one record.
    pub(super) fn encode(&self, name: &str, w: &mut Writer) {
        w.array(5).str(name).str(self.kind());
        match self.table() {
            Some(table) => w.bytes(table.as_bytes()),
            None => w.null(),
        };
        w.array(self.columns().len() as u64);
        for column in self.columns() {
            w.bytes(column.as_bytes());
        }
        match self.sql() {
            Some(sql) => w.str(sql),
            None => w.null(),
        };
    }

    /// Reads one record: the name, and the check.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<(String, Check), FormatError> {
        r.record(5, |r| {
            let (name, kind) = (r.str()?.to_owned(), r.str()?.to_owned());
            let table = r.optional(|r| Ok(TableId(r.fixed()?)))?;
            let columns: Vec<ColumnId> = r.list(|r| Ok(ColumnId(r.fixed()?)))?;
            let sql = r.optional(|r| Ok(r.str()?.to_owned()))?;
            let check = match (kind.as_str(), table, columns.is_empty(), sql) {
                ("predicate", Some(table), true, Some(sql)) => Check::Predicate { table, sql },
                ("query", None, true, Some(sql)) => Check::Query { sql },
                ("not-null", Some(table), false, None) => Check::NotNull { table, columns },
                ("unique", Some(table), false, None) => Check::Unique { table, columns },
                _ => return Err(r.fail(format!("the check '{name}' of kind '{kind}' is none that this version knows"))),
            };
            Ok((name, check))
        })
    }
}

//! Checks: kept with the data, tested at each commit and on what a merge makes.

mod hold;
mod keep;
mod merge;
mod test;

use arrow::array::RecordBatch;

use crate::base::{ColumnId, RowId, TableId};

pub use keep::{CheckInfo, NewCheck};
pub use merge::merge_checks;

/// One thing that breaks a check.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The check's name.
    pub check: String,
    /// The table, by id and name; none for a query, or where the table is gone.
    pub table: Option<(TableId, String)>,
    /// The slot of the row in the snapshot that was tested; none for a query's rows, or where the check cannot be evaluated.
    pub slot: Option<u64>,
    /// The row's id.
    pub row: Option<RowId>,
    /// The cells of the table's key, one row; none without a key.
    pub key: Option<RecordBatch>,
    /// The columns that the check is about.
    pub columns: Vec<ColumnId>,
    /// The cells that break it, one row: those columns', or what a query returned.
    pub cells: Option<RecordBatch>,
    /// What is wrong, in one line, without the values.
    pub detail: String,
}

/// A check that was tested.
#[derive(Debug, Clone)]
pub struct Tested {
    /// Its name.
    pub check: String,
    /// The name of its table; none for a query.
    pub table: Option<String>,
    /// Rows that break it, also those that are not listed; or 1 where it cannot be evaluated.
    pub failing: u64,
    /// The first of them.
    pub violations: Vec<Violation>,
}

impl Tested {
    /// True where it holds.
    pub fn holds(&self) -> bool {
        self.failing == 0
    }

    /// What came of it, in one line.
    pub fn summary(&self) -> String {
        let rows = if self.failing == 1 { "1 row".to_owned() } else { format!("{} rows", self.failing) };
        let of = self.table.as_ref().map(|table| format!(" of table '{table}'")).unwrap_or_default();
        match self.violations.first() {
            _ if self.holds() => format!("check '{}' holds", self.check),
            Some(Violation { slot: None, cells: None, detail, .. }) => format!("check '{}' {detail}", self.check),
            _ if self.table.is_none() => format!("check '{}' fails: its query returns {rows}", self.check),
            _ => format!("check '{}' fails for {rows}{of}", self.check),
        }
    }
}

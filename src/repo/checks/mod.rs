//! Checks: kept with the data, tested at each commit and on what a merge makes.

mod distribution;
mod hold;
mod keep;
mod merge;
mod near;
mod rules;
mod test;

use arrow::array::RecordBatch;

use crate::base::{ColumnId, RowId, TableId};
use crate::format::check::Check;

pub use crate::format::check::Severity;

pub use keep::{CheckInfo, NewCheck};
pub use merge::merge_checks;

/// One thing that breaks a check.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The check's name.
    pub check: String,
    /// The table, by id and name; none for a query, or where the table is gone.
    pub table: Option<(TableId, String)>,
    /// The slot of the row in the snapshot that was tested; none for a query's rows, where the table as a whole is at fault, or where the check cannot be evaluated.
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

impl Violation {
    /// One that is of no row.
    fn whole(check: &str, table: Option<(TableId, String)>, detail: String) -> Violation {
        Violation { check: check.to_owned(), table, slot: None, row: None, key: None, columns: Vec::new(), cells: None, detail }
    }
}

/// A check that was tested.
#[derive(Debug, Clone)]
pub struct Tested {
    /// Its name.
    pub check: String,
    /// Its kind, in one word.
    pub kind: &'static str,
    /// What follows where it does not hold.
    pub severity: Severity,
    /// The name of its table; none for a query.
    pub table: Option<String>,
    /// False where it cannot be evaluated.
    pub fits: bool,
    /// Rows that break it, also those that are not listed; or 1 where the table as a whole does, or where it cannot be evaluated.
    pub failing: u64,
    /// The first of them.
    pub violations: Vec<Violation>,
}

impl Tested {
    fn new(name: &str, check: &Check, table: Option<String>) -> Tested {
        let kind = check.rule.kind();
        Tested { check: name.to_owned(), kind, severity: check.severity, table, fits: true, failing: 0, violations: Vec::new() }
    }

    /// True where it holds.
    pub fn holds(&self) -> bool {
        self.failing == 0
    }

    /// True where a commit is refused for it.
    pub fn refuses(&self) -> bool {
        !self.holds() && self.severity == Severity::Error
    }

    /// What came of it, in one line.
    pub fn summary(&self) -> String {
        let rows = if self.failing == 1 { "1 row".to_owned() } else { format!("{} rows", self.failing) };
        let of = self.table.as_ref().map(|table| format!(" of table '{table}'")).unwrap_or_default();
        match self.violations.first() {
            _ if self.holds() => format!("check '{}' holds", self.check),
            Some(Violation { detail, .. }) if !self.fits => format!("check '{}' {detail}", self.check),
            Some(Violation { slot: None, cells: None, detail, .. }) => format!("check '{}' fails: {detail}", self.check),
            _ if self.table.is_none() => format!("check '{}' fails: its query returns {rows}", self.check),
            _ => format!("check '{}' fails for {rows}{of}", self.check),
        }
    }
}

/// A range as it is written.
fn range(min: Option<&str>, max: Option<&str>) -> String {
    format!("{}..{}", min.unwrap_or_default(), max.unwrap_or_default())
}

//! How much differs: rows and cells counted, in one pass and in bounded memory.

use crate::cli::error::CliError;
use crate::repo::{RowDiff, RowFilter};
use crate::table::changes::RowChange;

/// How many rows and cells of a table differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are new.
    pub added: u64,
    /// Rows that are gone.
    pub removed: u64,
    /// Rows of both states of which cells differ.
    pub changed: u64,
    /// Columns with cells that differ, by the newer state's name and in its order, and how many.
    pub cells: Vec<(String, u64)>,
    /// Whether rows of both states stand in another order.
    pub reordered: bool,
}

/// The first rows of each kind.
#[derive(Debug, Clone, Default)]
pub struct First {
    /// Rows that are gone.
    pub removed: Vec<RowChange>,
    /// Rows that are new.
    pub added: Vec<RowChange>,
    /// Rows of which cells differ.
    pub changed: Vec<RowChange>,
}

impl Counts {
    /// The cells that differ, in all columns.
    pub fn cells_total(&self) -> u64 {
        self.cells.iter().map(|c| c.1).sum()
    }
}

/// Rows asked about at a time.
const ROWS: usize = 4096;

/// Counts the rows that `filter` keeps, and keeps the first `first` of each kind. Reads no values but those that are compared.
pub fn count(diff: &RowDiff, mut filter: Option<RowFilter>, first: u64) -> Result<(Counts, First), CliError> {
    let mut changes = diff.rows()?;
    let mut counts = Counts { reordered: changes.reordered() && filter.is_none(), ..Counts::default() };
    let mut cells = vec![0; diff.pairs().len()];
    let mut kept = First::default();
    let mut keep = |list: fn(&mut First) -> &mut Vec<RowChange>, row: RowChange| {
        let list = list(&mut kept);
        if (list.len() as u64) < first {
            list.push(row);
        }
    };
    loop {
        let mut rows = changes.by_ref().take(ROWS).collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            break;
        }
        if let Some(filter) = &mut filter {
            let kept = filter(&rows)?;
            let mut kept = kept.iter();
            rows.retain(|_| kept.next().copied().unwrap_or(false));
        }
        for row in rows {
            match &row {
                RowChange::Added { .. } => {
                    counts.added += 1;
                    keep(|f| &mut f.added, row);
                }
                RowChange::Removed { .. } => {
                    counts.removed += 1;
                    keep(|f| &mut f.removed, row);
                }
                RowChange::Changed { columns, .. } => {
                    counts.changed += 1;
                    for place in columns {
                        if let Some(n) = cells.get_mut(*place) {
                            *n += 1;
                        }
                    }
                    keep(|f| &mut f.changed, row);
                }
            }
        }
    }
    let names = diff.pairs().iter().map(|(_, n)| diff.new_state().and_then(|t| t.schema.columns.get(*n)).map(|c| c.name.clone()).unwrap_or_default());
    counts.cells = names.zip(cells).filter(|(_, n)| *n > 0).collect();
    Ok((counts, kept))
}

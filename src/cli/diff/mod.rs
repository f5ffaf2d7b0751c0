//! What differs between two versions, as `dsv diff` shows it: a table at a time, as text, lines, counts, a file or a page.

pub mod cells;
pub mod count;
pub mod file;
pub mod lines;
pub mod page;
pub mod rows;
pub mod text;

use std::sync::Arc;

use super::describe;
use super::error::CliError;
use crate::base::TableObjectId;
use crate::format::Type;
use crate::query::{Params, QueryError, RowTest};
use crate::repo::{Change, NameChange, Repo, RepoError, RowDiff, RowFilter};
use crate::table::Table;
use crate::table::changes::RowChange;
use crate::table::diff::{SchemaChange, schema_changes};

/// One table that differs, and what of it is wanted.
pub struct Differing {
    /// The table, and how it differs as a whole.
    pub entry: NameChange<TableObjectId>,
    /// Its rows that differ.
    pub rows: RowDiff,
    /// Changes of its columns.
    pub schema: Vec<SchemaChange>,
    /// Whether all of it is wanted, not some columns or rows.
    pub whole: bool,
    tests: Option<Arc<[Option<RowTest>; 2]>>,
}

/// A column that is compared.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Its name in the newer state.
    pub name: String,
    /// Its index in the older and the newer state.
    pub index: (usize, usize),
}

impl Differing {
    /// A table of which only `columns` are wanted (all without any), and only rows for which `predicate` is true in one of the two states.
    pub fn open(repo: &Repo, entry: NameChange<TableObjectId>, columns: &[String], predicate: Option<&str>) -> Result<Differing, CliError> {
        let mut rows = describe::states(repo, &entry.change)?;
        let mut schema = rows.old().zip(rows.new_state()).map(|(old, new)| schema_changes(old, new)).unwrap_or_default();
        let tests = predicate.map(|predicate| tests(repo, &rows, predicate)).transpose()?;
        if !columns.is_empty() {
            let mut shown: Vec<String> = key(&rows);
            shown.extend(columns.iter().cloned());
            rows = rows.compare(columns)?.show(&shown)?;
            schema.retain(|change| concerns(change, columns));
        }
        if tests.is_some() {
            schema.clear();
        }
        Ok(Differing { entry, rows, schema, whole: columns.is_empty() && predicate.is_none(), tests })
    }

    /// What keeps the rows that are wanted: at most `limit` of those that came, of those that went and of those that changed. Nothing where all are.
    pub fn filter(&self, limit: u64) -> Option<RowFilter> {
        let tests = self.tests.clone();
        if tests.is_none() && limit == u64::MAX {
            return None;
        }
        let mut left = [limit; 3];
        Some(Box::new(move |rows| {
            let mut keep = match &tests {
                Some(tests) => passed(tests, rows)?,
                None => vec![true; rows.len()],
            };
            for (keep, row) in keep.iter_mut().zip(rows) {
                let left = &mut left[match row {
                    RowChange::Added { .. } => 0,
                    RowChange::Removed { .. } => 1,
                    RowChange::Changed { .. } => 2,
                }];
                *keep &= *left > 0;
                *left -= u64::from(*keep);
            }
            Ok(keep)
        }))
    }

    /// The columns that are compared, as the places of a change name them.
    pub fn compared(&self) -> Vec<Compared> {
        let Some(new) = self.rows.new_state() else { return Vec::new() };
        let column = |(o, n): &(usize, usize)| Some(Compared { name: new.schema.columns.get(*n)?.name.clone(), index: (*o, *n) });
        self.rows.pairs().iter().filter_map(column).collect()
    }

    /// The names of the key's columns before and now, where they are others and the whole table is wanted.
    pub fn other_key(&self) -> Option<[Vec<String>; 2]> {
        let (old, new) = self.rows.old().zip(self.rows.new_state()).filter(|_| self.whole)?;
        let [before, after] = [old, new].map(|table| key_names(table));
        (old.schema.key != new.schema.key).then_some([before, after])
    }

    /// True where the table came, went, has another name or other columns, whatever its rows do; where a predicate chooses rows, they alone count.
    pub fn is_other_table(&self) -> bool {
        if self.tests.is_some() {
            return false;
        }
        !matches!(self.entry.change, Change::Changed(..)) || !self.schema.is_empty() || self.other_key().is_some()
    }
}

/// The names of the columns of a table's key.
pub fn key_names(table: &Table) -> Vec<String> {
    table.schema.key_indices().into_iter().filter_map(|i| table.schema.columns.get(i)).map(|c| c.name.clone()).collect()
}

/// The names of the key's columns in the newest state there is.
fn key(rows: &RowDiff) -> Vec<String> {
    rows.new_state().or(rows.old()).map(|table| key_names(table)).unwrap_or_default()
}

/// Whether a change of the columns is about one of these.
fn concerns(change: &SchemaChange, columns: &[String]) -> bool {
    match change {
        SchemaChange::Added { name, .. } | SchemaChange::Dropped { name, .. } | SchemaChange::Retyped { name, .. } => columns.contains(name),
        SchemaChange::Renamed { from, to } => columns.contains(from) || columns.contains(to),
    }
}

/// A predicate over each of the two states. One that lacks a column which the other has lets nothing pass.
fn tests(repo: &Repo, rows: &RowDiff, predicate: &str) -> Result<Arc<[Option<RowTest>; 2]>, CliError> {
    let plan = |table: Option<&Arc<Table>>| table.map(|table| RowTest::new(repo.objects(), table, predicate, &Params::new()));
    let planned = [plan(rows.old()), plan(rows.new_state())];
    let is_lacking = |test: &Option<Result<RowTest, QueryError>>| test.as_ref().is_none_or(|test| matches!(test, Err(QueryError::NoColumn { .. })));
    let all_lack = planned.iter().all(is_lacking);
    let [old, new] = planned.map(|test| match test {
        Some(Err(QueryError::NoColumn { .. })) if !all_lack => Ok(None),
        other => other.transpose(),
    });
    // The newer state's words come first.
    let new = new?;
    Ok(Arc::new([old?, new]))
}

/// The rows for which the predicate is true in one of the states.
fn passed(tests: &[Option<RowTest>; 2], rows: &[RowChange]) -> Result<Vec<bool>, RepoError> {
    let mut passed = vec![false; rows.len()];
    for (test, side) in tests.iter().zip([RowChange::old_slot as fn(&RowChange) -> Option<u64>, RowChange::new_slot]) {
        let Some(test) = test else { continue };
        // What one state let pass need not be asked of the other.
        let slots: Vec<Option<u64>> = rows.iter().zip(&passed).map(|(row, passed)| side(row).filter(|_| !passed)).collect();
        if slots.iter().any(Option::is_some) {
            let held = test.test(&slots).map_err(failed)?;
            passed.iter_mut().zip(held).for_each(|(passed, held)| *passed |= held);
        }
    }
    Ok(passed)
}

/// What failed while a predicate was asked, in the words of the floor that asks it.
fn failed(error: QueryError) -> RepoError {
    match error {
        QueryError::Table(error) => RepoError::Table(error),
        QueryError::Interrupted => RepoError::Interrupted,
        other => RepoError::refused(other.to_string()),
    }
}

/// A change of the columns in words.
pub fn schema_words(change: &SchemaChange) -> String {
    match change {
        SchemaChange::Added { name, ty } => format!("new column {name}: {ty}"),
        SchemaChange::Dropped { name, ty } => format!("column {name} dropped ({ty})"),
        SchemaChange::Renamed { from, to } => format!("column {from} is called {to}"),
        SchemaChange::Retyped { name, from, to } => format!("column {name} is {to}, was {from}"),
    }
}

/// A type's name as a cell of a schema change has it.
fn type_name(ty: &Type) -> serde_json::Value {
    serde_json::Value::String(ty.to_string())
}

//! `check add`, `list` and `drop`.

use std::sync::Arc;

use super::Tested;
use crate::base::name::{check_label, nearest};
use crate::format::check::Check;
use crate::format::snapshot::Snapshot;
use crate::repo::working::no_table;
use crate::repo::{Repo, RepoError};
use crate::table::expression::ExpressionError;
use crate::table::key::RowHasher;
use crate::table::{Table, TableError};

/// A check as it is asked for: tables and columns by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewCheck {
    /// An SQL predicate that is false for no row of a table; null passes.
    Predicate { table: String, sql: String },
    /// An SQL query that returns no row.
    Query { sql: String },
    /// Columns of a table without nulls.
    NotNull { table: String, columns: Vec<String> },
    /// Columns of a table whose cells together name a row.
    Unique { table: String, columns: Vec<String> },
}

/// A check at a glance, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckInfo {
    /// Its name.
    pub name: String,
    /// `predicate`, `query`, `not-null` or `unique`.
    pub kind: &'static str,
    /// The name of its table; none for a query, or where the table is gone.
    pub table: Option<String>,
    /// The names of the columns that it names by id; ids where they are gone.
    pub columns: Vec<String>,
    /// Its SQL text.
    pub sql: Option<String>,
}

impl Repo {
    /// Tests a new check on all rows and keeps it in the working state. Where rows break it, it is kept only if `allow_failing`; the next commit is
    /// refused until none does. Returns what the test found and whether it was kept.
    pub fn add_check(&self, name: &str, new: &NewCheck, allow_failing: bool, listed_max: usize, command: &str) -> Result<(Tested, bool), RepoError> {
        check_label("check", name)?;
        let snapshot = self.working_snapshot()?;
        if snapshot.checks.contains_key(name) {
            return Err(RepoError::Taken { what: "check", name: name.to_owned() });
        }
        let check = self.as_check(&snapshot, name, new)?;
        let mut with = snapshot.clone();
        with.checks.insert(name.to_owned(), check.clone());
        let tested = self.test_checks(&[], &with, Some(&[name.to_owned()]), listed_max)?.into_iter().next();
        let tested = tested.unwrap_or_else(|| Tested { check: name.to_owned(), table: None, failing: 0, violations: Vec::new() });
        let unfit = tested.violations.first().filter(|v| v.slot.is_none() && v.cells.is_none());
        if let Some(violation) = unfit {
            return Err(RepoError::refused(format!("check '{name}' {}", violation.detail)));
        }
        let kept = tested.holds() || allow_failing;
        if kept {
            self.update_working(command, |now| {
                let mut now = now.clone();
                match now.checks.insert(name.to_owned(), check) {
                    None => Ok(now),
                    Some(_) => Err(RepoError::Taken { what: "check", name: name.to_owned() }),
                }
            })?;
        }
        Ok((tested, kept))
    }

    fn as_check(&self, snapshot: &Snapshot, name: &str, new: &NewCheck) -> Result<Check, RepoError> {
        let sql = || self.expressions().ok_or_else(|| RepoError::NoSql { check: name.to_owned() });
        let table = |table: &str| -> Result<Arc<Table>, RepoError> {
            let id = snapshot.tables.get(table).ok_or_else(|| no_table(snapshot, table, None))?;
            Ok(Arc::new(Table::load(self.objects(), *id)?))
        };
        let unfit = |error: ExpressionError| match error {
            ExpressionError::Unfit { why, hint } => RepoError::Refused { message: why, hint },
            ExpressionError::Failed(why) => RepoError::refused(why),
            ExpressionError::Interrupted => RepoError::Interrupted,
            ExpressionError::Table(error) => error.into(),
        };
        let places = |table: &Table, columns: &[String]| columns.iter().map(|column| table.schema.index(column)).collect::<Result<Vec<_>, TableError>>();
        Ok(match new {
            NewCheck::Predicate { table: of, sql: text } => {
                let table = table(of)?;
                sql()?.predicate(&table, text).map_err(unfit)?;
                Check::Predicate { table: table.id, sql: text.clone() }
            }
            NewCheck::Query { sql: text } => {
                drop(sql()?.rows(self.objects(), snapshot, text, self.progress()).map_err(unfit)?);
                Check::Query { sql: text.clone() }
            }
            NewCheck::NotNull { table: of, columns } => {
                let table = table(of)?;
                let columns = places(&table, columns)?.into_iter().map(|i| table.schema.columns[i].id).collect();
                Check::NotNull { table: table.id, columns }
            }
            NewCheck::Unique { table: of, columns } => {
                let table = table(of)?;
                let places = places(&table, columns)?;
                for i in &places {
                    let column = &table.schema.columns[*i];
                    if RowHasher::new(vec![column.ty.storage()]).is_err() {
                        return Err(RepoError::refused(format!("column '{}' is {}, whose values cannot be compared", column.name, column.ty)));
                    }
                }
                Check::Unique { table: table.id, columns: places.into_iter().map(|i| table.schema.columns[i].id).collect() }
            }
        })
    }

    /// The checks of the working state or of a revision, by name.
    pub fn checks(&self, at: Option<&str>) -> Result<Vec<CheckInfo>, RepoError> {
        let snapshot = self.snapshot(at)?;
        let mut tables = Vec::new();
        for (name, id) in &snapshot.tables {
            tables.push((name.clone(), Table::load(self.objects(), *id)?));
        }
        let info = |(name, check): (&String, &Check)| {
            let table = check.table().and_then(|id| tables.iter().find(|(_, table)| table.id == id));
            let called = |id: &crate::base::ColumnId| {
                let column = table.and_then(|(_, table)| table.schema.columns.iter().find(|c| c.id == *id));
                column.map_or_else(|| id.to_string(), |c| c.name.clone())
            };
            CheckInfo {
                name: name.clone(),
                kind: check.kind(),
                table: table.map(|(name, _)| name.clone()),
                columns: check.columns().iter().map(called).collect(),
                sql: check.sql().map(str::to_owned),
            }
        };
        Ok(snapshot.checks.iter().map(info).collect())
    }

    /// Takes a check out of the working state.
    pub fn drop_check(&self, name: &str, command: &str) -> Result<(), RepoError> {
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            let mut snapshot = snapshot.clone();
            if snapshot.checks.remove(name).is_none() {
                return Err(no_check(&snapshot, name, None));
            }
            Ok(snapshot)
        })?;
        Ok(())
    }
}

/// The error of a check that `snapshot` has not.
pub(super) fn no_check(snapshot: &Snapshot, name: &str, at: Option<&str>) -> RepoError {
    let near: Vec<String> = nearest(name, snapshot.checks.keys().map(String::as_str)).into_iter().map(|near| format!("'{near}'")).collect();
    let message = format!("there is no check '{name}'{}", at.map(|at| format!(" in {at}")).unwrap_or_default());
    let hint = if near.is_empty() { "'dsv check list' lists them".to_owned() } else { format!("did you mean {}?", near.join(" or ")) };
    RepoError::refused_with(message, hint)
}

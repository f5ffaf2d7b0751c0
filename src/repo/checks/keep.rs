//! `check add`, `list` and `drop`.

use std::sync::Arc;

use super::distribution::{self, Untold};
use super::{Severity, Tested, near, rules};
use crate::base::name::{check_label, nearest};
use crate::base::{ColumnId, TableId};
use crate::format::check::{Check, Likeness, Rule};
use crate::format::sketch::Real;
use crate::format::snapshot::Snapshot;
use crate::format::table::Column;
use crate::history::short;
use crate::repo::working::no_table;
use crate::repo::{Repo, RepoError};
use crate::table::cells::pattern;
use crate::table::expression::ExpressionError;
use crate::table::key::RowHasher;
use crate::table::{Table, TableError};

/// A check as it is asked for: tables and columns by name.
#[derive(Debug, Clone, PartialEq)]
pub enum NewCheck {
    /// An SQL predicate that is false for no row of a table; null passes.
    Predicate { table: String, sql: String },
    /// An SQL query that returns no row.
    Query { sql: String },
    /// Columns of a table without nulls.
    NotNull { table: String, columns: Vec<String> },
    /// Columns of a table whose cells together name a row.
    Unique { table: String, columns: Vec<String> },
    /// A column whose cells lie between two bounds, or above or below one; null passes.
    Range { table: String, column: String, min: Option<String>, max: Option<String> },
    /// A column in each of whose cells a regular expression is found; null passes.
    Matches { table: String, column: String, pattern: String },
    /// Columns whose cells are those of a row of another table; a null among them passes.
    References { table: String, columns: Vec<String>, other: String, others: Vec<String> },
    /// A column of whole pictures, sounds or videos.
    Decodes { table: String, column: String },
    /// A column of pictures, vectors or texts none of which is nearly another; without a bound, that of the type.
    NoNearDuplicates { table: String, column: String, bound: Option<f64> },
    /// A column whose values are distributed as at a revision, give or take so much.
    Distribution { table: String, column: String, like: String, within: f64 },
}

/// A check at a glance, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckInfo {
    /// Its name.
    pub name: String,
    /// `predicate`, `query`, `not-null`, `unique`, `range`, `matches`, `references`, `decodes`, `no-near-duplicates` or `distribution`.
    pub kind: &'static str,
    /// What follows where it does not hold.
    pub severity: Severity,
    /// The name of its table; none for a query, or where the table is gone.
    pub table: Option<String>,
    /// The names of the columns that it names by id; ids where they are gone.
    pub columns: Vec<String>,
    /// Its SQL text.
    pub sql: Option<String>,
    /// What it asks, in short.
    pub rule: String,
}

impl Repo {
    /// Tests a new check on all rows and keeps it in the working state. Where rows break it, it is kept only if it is a warning or `allow_failing`; for an error
    /// the next commit is refused until none does. Returns what the test found and whether it was kept.
    pub fn add_check(
        &self,
        name: &str,
        new: &NewCheck,
        severity: Severity,
        allow_failing: bool,
        listed_max: usize,
        command: &str,
    ) -> Result<(Tested, bool), RepoError> {
        check_label("check", name)?;
        let snapshot = self.working_snapshot()?;
        if snapshot.checks.contains_key(name) {
            return Err(RepoError::Taken { what: "check", name: name.to_owned() });
        }
        let check = Check { rule: self.as_rule(&snapshot, name, new)?, severity };
        let mut with = snapshot.clone();
        with.checks.insert(name.to_owned(), check.clone());
        let tested = self.test_checks(&[], &with, Some(&[name.to_owned()]), listed_max)?.into_iter().next();
        let tested = tested.unwrap_or_else(|| Tested::new(name, &check, None));
        if let Some(violation) = tested.violations.first().filter(|_| !tested.fits) {
            return Err(RepoError::refused(format!("check '{name}' {}", violation.detail)));
        }
        let kept = !tested.refuses() || allow_failing;
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

    fn as_rule(&self, snapshot: &Snapshot, name: &str, new: &NewCheck) -> Result<Rule, RepoError> {
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
        let ids = |table: &Table, places: Vec<usize>| places.into_iter().filter_map(|i| table.schema.columns.get(i)).map(|c| c.id).collect::<Vec<_>>();
        let one = |of: &str, column: &str| -> Result<(Arc<Table>, Column), RepoError> {
            let table = table(of)?;
            let described = table.schema.columns.get(table.schema.index(column)?).cloned();
            Ok((table, described.ok_or_else(|| RepoError::refused(format!("there is no column '{column}'")))?))
        };
        let is = |column: &Column, what: &str| RepoError::refused(format!("column '{}' is {}, {what}", column.name, column.ty));
        Ok(match new {
            NewCheck::Predicate { table: of, sql: text } => {
                let table = table(of)?;
                sql()?.predicate(&table, text).map_err(unfit)?;
                Rule::Predicate { table: table.id, sql: text.clone() }
            }
            NewCheck::Query { sql: text } => {
                drop(sql()?.rows(self.objects(), snapshot, text, self.progress()).map_err(unfit)?);
                Rule::Query { sql: text.clone() }
            }
            NewCheck::NotNull { table: of, columns } => {
                let table = table(of)?;
                let columns = ids(&table, places(&table, columns)?);
                Rule::NotNull { table: table.id, columns }
            }
            NewCheck::Unique { table: of, columns } => {
                let table = table(of)?;
                let places = places(&table, columns)?;
                for column in places.iter().filter_map(|i| table.schema.columns.get(*i)) {
                    if RowHasher::new(vec![column.ty.storage()]).is_err() {
                        return Err(is(column, "whose values cannot be compared"));
                    }
                }
                Rule::Unique { table: table.id, columns: ids(&table, places) }
            }
            NewCheck::Range { table: of, column, min, max } => {
                let (table, column) = one(of, column)?;
                rules::bounds(&column, min.as_deref(), max.as_deref()).map_err(RepoError::refused)?;
                Rule::Range { table: table.id, column: column.id, min: min.clone(), max: max.clone() }
            }
            NewCheck::Matches { table: of, column, pattern: text } => {
                let (table, column) = one(of, column)?;
                if !rules::is_text(&column.ty) {
                    return Err(is(&column, "and no expression is looked for in it: only in text and enum"));
                }
                pattern(text).map_err(|why| RepoError::refused(format!("'{text}' is no regular expression: {why}")))?;
                Rule::Matches { table: table.id, column: column.id, pattern: text.clone() }
            }
            NewCheck::References { table: of, columns, other, others } => {
                let (one, other) = (table(of)?, table(other)?);
                let (here, there) = (places(&one, columns)?, places(&other, others)?);
                if here.len() != there.len() {
                    return Err(RepoError::refused(format!("{} here cannot refer to {} there: as many are needed", here.len(), there.len())));
                }
                rules::common(&one, &here, &other, &there).map_err(RepoError::refused)?;
                Rule::References { table: one.id, columns: ids(&one, here), other: other.id, others: ids(&other, there) }
            }
            NewCheck::Decodes { table: of, column } => {
                let (table, column) = one(of, column)?;
                rules::wanted(&column.ty).map_err(|()| is(&column, "which holds no media: it must be image, audio, video or binary"))?;
                Rule::Decodes { table: table.id, column: column.id }
            }
            NewCheck::NoNearDuplicates { table: of, column, bound } => {
                let (table, column) = one(of, column)?;
                let Some((likeness, usual)) = near::likeness(&column.ty) else {
                    return Err(is(&column, "which is not compared: it must be image, embedding or text"));
                };
                let bound = bound.unwrap_or(usual);
                if !likeness.takes(bound) {
                    let of = match likeness {
                        Likeness::Dhash => "pictures is a number of bits, 0 to 16",
                        Likeness::Cosine => "vectors is a cosine similarity, 0.5 to 1",
                        Likeness::Jaccard => "texts is a Jaccard similarity, 0.3 to 1",
                    };
                    return Err(RepoError::refused(format!("{bound} is no bound: that of {of}")));
                }
                Rule::NoNearDuplicates { table: table.id, column: column.id, likeness, bound: Real(bound) }
            }
            NewCheck::Distribution { table: of, column, like, within } => {
                let (table, column) = one(of, column)?;
                if !(0.0..=1.0).contains(within) {
                    return Err(RepoError::refused(format!("{within} is no bound: distances of distributions are 0 to 1")));
                }
                if !distribution::suits(&column.ty) {
                    return Err(is(&column, "whose values have no distribution here: it must be numbers, dates, times, text, enum or bool"));
                }
                let id = self.resolve(like)?;
                let then = self.loaded(&self.snapshot_of(id)?)?;
                let was = then.get(&table.id).ok_or_else(|| RepoError::refused(format!("'{like}' has no table '{of}'")))?;
                let place = rules::places(&was.2, &[column.id]).ok().and_then(|places| places.first().copied());
                let place = place.ok_or_else(|| RepoError::refused(format!("'{like}' has no column '{}' in table '{of}'", column.name)))?;
                let sketch =
                    distribution::sketch(self.objects(), &was.2, place, &format!("{like} ({})", short(&id)), &**self.progress()).map_err(
                        |error| match error {
                            Untold::Why(why) => RepoError::refused(format!("column '{}' in '{like}': {why}", column.name)),
                            Untold::Table(TableError::Interrupted) => RepoError::Interrupted,
                            Untold::Table(error) => error.into(),
                        },
                    )?;
                Rule::Distribution { table: table.id, column: column.id, within: Real(*within), sketch }
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
        let of = |id: Option<TableId>| tables.iter().find(|(_, table)| Some(table.id) == id);
        let named = |table: Option<TableId>, ids: &[ColumnId]| -> Vec<String> {
            let called = |id: &ColumnId| {
                let column = of(table).and_then(|(_, table)| table.schema.columns.iter().find(|c| c.id == *id));
                column.map_or_else(|| id.to_string(), |c| c.name.clone())
            };
            ids.iter().map(called).collect()
        };
        let info = |(name, Check { rule, severity }): (&String, &Check)| {
            let columns = named(rule.table(), rule.columns());
            let list = columns.join(", ");
            CheckInfo {
                name: name.clone(),
                kind: rule.kind(),
                severity: *severity,
                table: of(rule.table()).map(|(name, _)| name.clone()),
                sql: rule.sql().map(str::to_owned),
                rule: match rule {
                    Rule::Predicate { sql, .. } | Rule::Query { sql } => sql.clone(),
                    Rule::NotNull { .. } | Rule::Unique { .. } | Rule::Decodes { .. } => list,
                    Rule::Range { min, max, .. } => format!("{list}={}", super::range(min.as_deref(), max.as_deref())),
                    Rule::Matches { pattern, .. } => format!("{list}={pattern}"),
                    Rule::References { other, others, .. } => {
                        let table = of(Some(*other)).map_or_else(|| other.to_string(), |(name, _)| name.clone());
                        format!("{list}={table}({})", named(Some(*other), others).join(", "))
                    }
                    Rule::NoNearDuplicates { likeness, bound, .. } => format!("{list}={} ({})", bound.0, likeness.name()),
                    Rule::Distribution { within, sketch, .. } => format!("{list} like {} within {}", sketch.like, within.0),
                },
                columns,
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

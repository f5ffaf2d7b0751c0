//! Testing checks: whole, or only what changed since states that kept them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::rules::Bench;
use super::{Tested, Violation};
use crate::base::{TableId, TableObjectId};
use crate::format::check::{Check, Rule};
use crate::format::snapshot::Snapshot;
use crate::repo::{Repo, RepoError};
use crate::table::expression::{ExpressionError, Expressions};
use crate::table::{Table, TableError};

/// Violations listed where a commit is refused: the others are counted.
const LISTED_MAX: usize = 10;

/// The tables of a snapshot by their id: name, object, and the table.
pub(super) type ById = HashMap<TableId, (String, TableObjectId, Arc<Table>)>;

/// A snapshot that kept its checks.
pub(super) struct Before<'a> {
    snapshot: &'a Snapshot,
    pub(super) tables: ById,
}

impl Repo {
    /// What in `after` breaks its checks, all of it. The snapshots before have kept theirs: rows that stand in one of them with the same cells, under the
    /// same check, are not read again; nor are checks of which nothing changed. Queries run whole. A check that cannot be evaluated is a violation
    /// without a row. Errors where a check needs SQL and the repository was opened without it.
    pub fn check_snapshot(&self, before: &[&Snapshot], after: &Snapshot) -> Result<Vec<Violation>, RepoError> {
        Ok(self.test_checks(before, after, None, usize::MAX)?.into_iter().flat_map(|tested| tested.violations).collect())
    }

    /// Tests checks, those of these names or all, in the working state or at a revision: whole, or with `since` on what differs from that revision, as a commit upon it would. Each lists
    /// up to `listed_max` violations.
    pub fn run_checks(&self, names: &[String], at: Option<&str>, since: Option<&str>, listed_max: usize) -> Result<Vec<Tested>, RepoError> {
        let snapshot = self.snapshot(at)?;
        let before = since.map(|since| self.snapshot_at(since)).transpose()?;
        if let Some(name) = names.iter().find(|name| !snapshot.checks.contains_key(*name)) {
            return Err(super::keep::no_check(&snapshot, name, at));
        }
        self.test_checks(&before.iter().collect::<Vec<_>>(), &snapshot, (!names.is_empty()).then_some(names), listed_max)
    }

    /// Fails where a snapshot that is to follow these breaks its checks; returns what breaks those that only warn.
    pub(crate) fn hold_checks(&self, before: &[&Snapshot], after: &Snapshot) -> Result<Vec<Tested>, RepoError> {
        let broken = self.test_checks(before, after, None, LISTED_MAX)?.into_iter().filter(|tested| !tested.holds());
        let (broken, warnings): (Vec<Tested>, Vec<Tested>) = broken.partition(Tested::refuses);
        if broken.is_empty() { Ok(warnings) } else { Err(RepoError::Checks { broken }) }
    }

    pub(super) fn test_checks(&self, before: &[&Snapshot], after: &Snapshot, names: Option<&[String]>, listed_max: usize) -> Result<Vec<Tested>, RepoError> {
        if after.checks.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.loaded(after)?;
        let before = before.iter().map(|snapshot| Ok(Before { snapshot, tables: self.loaded(snapshot)? })).collect::<Result<Vec<_>, RepoError>>()?;
        let mut all = Vec::new();
        for (name, check) in &after.checks {
            if names.is_some_and(|names| !names.contains(name)) {
                continue;
            }
            // What was only warned of may have been broken all along.
            let kept = |known: &Check| known.rule == check.rule && known.severity >= check.severity;
            let had: Vec<&Before<'_>> = before.iter().filter(|b| b.snapshot.checks.values().any(kept)).collect();
            let table = check.rule.table().and_then(|id| now.get(&id)).map(|(name, ..)| name.clone());
            let mut tested = Tested::new(name, check, table);
            self.progress().start(&format!("testing {name}"), None, crate::base::progress::Unit::Rows);
            match self.test(&check.rule, &had, after, &now, listed_max, &mut tested) {
                Ok(()) => {}
                Err(Stop::Unfit(why)) => {
                    (tested.failing, tested.fits) = (1, false);
                    let table = check.rule.table().and_then(|id| Some((id, now.get(&id)?.0.clone())));
                    tested.violations = vec![Violation::whole(name, table, format!("cannot be evaluated: {why}"))];
                }
                Err(Stop::Error(error)) => return Err(error),
            }
            self.progress().finish();
            all.push(tested);
        }
        Ok(all)
    }

    pub(super) fn loaded(&self, snapshot: &Snapshot) -> Result<ById, RepoError> {
        let mut found = ById::new();
        for (name, id) in &snapshot.tables {
            let table = Table::load(self.objects(), *id)?;
            found.insert(table.id, (name.clone(), *id, Arc::new(table)));
        }
        Ok(found)
    }

    pub(super) fn sql(&self, check: &str) -> Result<&Arc<dyn Expressions>, RepoError> {
        self.expressions().ok_or_else(|| RepoError::NoSql { check: check.to_owned() })
    }

    fn test(&self, rule: &Rule, had: &[&Before<'_>], after: &Snapshot, now: &ById, listed_max: usize, tested: &mut Tested) -> Result<(), Stop> {
        let objects = self.objects();
        let Some(id) = rule.table() else { return self.test_query(rule, had, after, listed_max, tested) };
        let (name, object, table) = now.get(&id).ok_or_else(|| Stop::Unfit("its table is gone".to_owned()))?;
        let bench = Bench { repo: self, check: &tested.check, rule, had, now, object, table, listed_max };
        let broken = bench.broken()?;
        tested.failing = broken.rows.len() as u64;
        if let Some(detail) = broken.whole {
            tested.failing = 1;
            let violation = Violation::whole(&tested.check, Some((id, name.clone())), detail);
            tested.violations.push(Violation { columns: rule.columns().to_vec(), ..violation });
        }
        for (slot, columns, detail) in broken.rows.into_iter().take(listed_max) {
            let key = table.schema.key_indices();
            let key = if key.is_empty() { None } else { Some(table.take(objects, &[slot], &key)?) };
            tested.violations.push(Violation {
                check: tested.check.clone(),
                table: Some((id, name.clone())),
                slot: Some(slot),
                row: table.row_ids(objects, slot..slot + 1)?.into_iter().next(),
                key,
                columns: columns.iter().filter_map(|i| table.schema.columns.get(*i)).map(|c| c.id).collect(),
                cells: Some(table.take(objects, &[slot], &columns)?),
                detail,
            });
        }
        Ok(())
    }

    fn test_query(&self, rule: &Rule, had: &[&Before<'_>], after: &Snapshot, listed_max: usize, tested: &mut Tested) -> Result<(), Stop> {
        let expressions = self.sql(&tested.check)?;
        let sql = rule.sql().unwrap_or_default();
        let read = reads(&**expressions, sql, after)?;
        let same = |name: &String, before: &Snapshot| match (after.tables.get(name), after.views.get(name)) {
            (Some(table), _) => before.tables.get(name) == Some(table),
            (None, Some(view)) => before.views.get(name) == Some(view),
            (None, None) => false,
        };
        let unchanged = |b: &&Before<'_>| read.iter().all(|name| same(name, b.snapshot));
        if had.iter().any(unchanged) {
            return Ok(());
        }
        for batch in expressions.rows(self.objects(), after, sql, self.progress())? {
            let batch: RecordBatch = batch?;
            for row in 0..batch.num_rows() {
                tested.failing += 1;
                if tested.violations.len() < listed_max {
                    tested.violations.push(Violation {
                        check: tested.check.clone(),
                        table: None,
                        slot: None,
                        row: None,
                        key: None,
                        columns: Vec::new(),
                        cells: Some(batch.slice(row, 1)),
                        detail: "the query returns a row".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The tables and views that a query reads, those behind views included.
fn reads(expressions: &dyn Expressions, sql: &str, snapshot: &Snapshot) -> Result<BTreeSet<String>, ExpressionError> {
    let (mut names, mut rest) = (BTreeSet::new(), vec![sql.to_owned()]);
    while let Some(sql) = rest.pop() {
        for name in expressions.tables(&sql)? {
            rest.extend(snapshot.views.get(&name).filter(|_| !names.contains(&name)).cloned());
            names.insert(name);
        }
    }
    Ok(names)
}

/// Why a test ends early.
pub(super) enum Stop {
    /// The check means nothing for the data that is there.
    Unfit(String),
    /// It could not be tested.
    Error(RepoError),
}

impl From<RepoError> for Stop {
    fn from(error: RepoError) -> Stop {
        Stop::Error(error)
    }
}

impl From<TableError> for Stop {
    fn from(error: TableError) -> Stop {
        Stop::Error(if matches!(error, TableError::Interrupted) { RepoError::Interrupted } else { error.into() })
    }
}

impl From<ExpressionError> for Stop {
    fn from(error: ExpressionError) -> Stop {
        match error {
            ExpressionError::Unfit { why, .. } | ExpressionError::Failed(why) => Stop::Unfit(why),
            ExpressionError::Interrupted => Stop::Error(RepoError::Interrupted),
            ExpressionError::Table(error) => error.into(),
        }
    }
}

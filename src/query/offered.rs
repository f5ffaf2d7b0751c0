//! Expressions for the floors below, which know them only by their trait.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};

use crate::base::progress::Muted;
use crate::base::{CommitId, Progress};
use crate::chunk::Objects;
use crate::format::snapshot::Snapshot;
use crate::table::expression::{Answer, ExpressionError, Expressions, Predicate};
use crate::table::{Table, TableError};

use super::expression::Condition;
use super::revisions::{CommitRow, ConflictRow, RefRow};
use super::rows::{Selection, Watch, rebind};
use super::{Options, Params, QueryError, Revisions, Session};

/// What a repository is opened with, so that it understands SQL.
pub fn expressions() -> Arc<dyn Expressions> {
    Arc::new(Sql)
}

#[derive(Debug)]
struct Sql;

impl Expressions for Sql {
    fn predicate(&self, table: &Arc<Table>, text: &str) -> Result<Box<dyn Predicate>, ExpressionError> {
        Ok(Box::new(Of { condition: Condition::plan(table, text)?, table: table.clone() }))
    }

    fn rows(&self, objects: &Arc<Objects>, snapshot: &Snapshot, text: &str, progress: &Arc<dyn Progress>) -> Result<Answer, ExpressionError> {
        let progress = Muted(progress.clone());
        let options = Options { interrupted: Some(Arc::new(move || progress.interrupted())), ..Options::default() };
        let session = Session::new(Arc::new(Alone { objects: objects.clone(), snapshot: snapshot.clone() }), options)?;
        let answer = session.query(text, &Params::new(), None)?;
        Ok(Box::new(answer.map(|batch| batch.map_err(ExpressionError::from))))
    }

    fn tables(&self, text: &str) -> Result<BTreeSet<String>, ExpressionError> {
        Ok(super::session::tables(text)?)
    }
}

/// A predicate, and the table that it was planned over.
struct Of {
    condition: Condition,
    table: Arc<Table>,
}

impl Predicate for Of {
    fn columns(&self) -> Vec<usize> {
        self.condition.columns.iter().copied().collect()
    }

    fn false_rows(&self, objects: &Arc<Objects>, ranges: Vec<Range<u64>>, progress: &Arc<dyn Progress>) -> Result<Vec<u64>, ExpressionError> {
        let output = self.columns();
        let parts = self.condition.parts.iter().map(|part| rebind(part, &output)).collect::<Result<Vec<_>, _>>()?;
        let ranges = self.condition.fails.ranges(&self.table, objects, ranges)?;
        let asked = Muted(progress.clone());
        let watch = Watch { stop: Arc::new(move || asked.interrupted()), ..Watch::default() };
        let mut found = Vec::new();
        for passed in (Selection { output, ..Selection::all(objects, &self.table) }).open(ranges, watch).map_err(ExpressionError::from)? {
            let passed = passed?;
            progress.advance(passed.slots.len() as u64);
            let (mut slots, mut batch) = (passed.slots, passed.batch);
            for part in &parts {
                let values = part.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
                let values = values.map_err(|e| ExpressionError::from(super::error::translate(e, 0)))?;
                let Some(truths) = values.as_boolean_opt() else { continue };
                let left: BooleanArray = (0..truths.len()).map(|i| Some(truths.is_null(i) || truths.value(i))).collect();
                found.extend(slots.iter().zip(left.values()).filter(|(_, left)| !left).map(|(slot, _)| *slot));
                // What one part decides, a later one is not tried on: it may fail there.
                let mut keep = left.values().iter();
                slots.retain(|_| keep.next().unwrap_or(false));
                batch = arrow::compute::filter_record_batch(&batch, &left).map_err(TableError::from)?;
                if slots.is_empty() {
                    break;
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// One snapshot, and nothing besides.
struct Alone {
    objects: Arc<Objects>,
    snapshot: Snapshot,
}

impl Revisions for Alone {
    fn snapshot(&self, revision: Option<&str>) -> Result<Snapshot, QueryError> {
        match revision {
            None => Ok(self.snapshot.clone()),
            Some(other) => Err(QueryError::Refused(format!("it sees one version alone, and '{other}' is another"))),
        }
    }

    fn objects(&self) -> Arc<Objects> {
        self.objects.clone()
    }

    fn commits(&self) -> Result<Vec<CommitRow>, QueryError> {
        Err(QueryError::Refused("it sees one version alone, no history".to_owned()))
    }

    fn refs(&self) -> Result<Vec<RefRow>, QueryError> {
        Err(QueryError::Refused("it sees one version alone, no branches and tags".to_owned()))
    }

    fn blame(&self, _: &str, _: Option<&str>, _: &[usize], _: &[u64]) -> Result<Vec<Vec<Option<CommitId>>>, QueryError> {
        Err(QueryError::Refused("it sees one version alone, no history".to_owned()))
    }

    fn conflicts(&self) -> Result<Vec<ConflictRow>, QueryError> {
        Err(QueryError::Refused("it sees one version alone, no merge in progress".to_owned()))
    }
}

impl From<QueryError> for ExpressionError {
    fn from(error: QueryError) -> ExpressionError {
        match error {
            QueryError::Interrupted => ExpressionError::Interrupted,
            QueryError::Table(error) => ExpressionError::Table(error),
            QueryError::Format(error) => ExpressionError::Table(error.into()),
            QueryError::Arrow(error) => ExpressionError::Table(error.into()),
            QueryError::Run(_) | QueryError::Memory { .. } | QueryError::Repository(_) => ExpressionError::Failed(error.to_string()),
            other => ExpressionError::Unfit { why: other.to_string(), hint: other.hints().into_iter().next() },
        }
    }
}

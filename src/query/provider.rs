//! A table of a revision as DataFusion sees it: its schema, its exact row count, and scans that take projection, filters and limit into the tree.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::chunk::Objects;
use crate::table::{Table, TableError};

use super::exec::{TableExec, with_slot};
use super::prune::Prune;
use super::rows::{BATCH_BYTES, Conjunct, Selection};
use super::sample::Sample;
use super::{QueryError, bounds};

/// Scans of so many columns at most tell what these hold at least and at most.
const BOUNDED_COLUMNS_MAX: usize = 4;
/// A stretch read by one partition is not shorter, but for the last.
const PARTITION_SLOTS_MIN: u64 = 4096;

/// One table of one revision, opened for queries.
#[derive(Debug, Clone)]
pub struct RevisionTable {
    objects: Arc<Objects>,
    table: Arc<Table>,
    name: String,
    schema: SchemaRef,
    slots: u64,
    rows: u64,
    /// Whether the slots come behind the columns.
    with_slots: bool,
    sample: Option<Sample>,
}

impl RevisionTable {
    /// The table under the name that plans show. Reads the roots of two trees.
    pub fn new(objects: Arc<Objects>, table: Arc<Table>, name: String) -> std::result::Result<RevisionTable, TableError> {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let schema = table.schema.arrow(&columns);
        let (slots, rows) = (table.slots(&objects)?, table.rows(&objects)?);
        Ok(RevisionTable { objects, table, name, schema, slots, rows, with_slots: false, sample: None })
    }

    /// Some of its rows alone.
    pub fn sampled(self, sample: Sample) -> RevisionTable {
        RevisionTable { sample: Some(sample), ..self }
    }

    /// Where the table is, and the table.
    pub fn stored(&self) -> (&Arc<Objects>, &Arc<Table>) {
        (&self.objects, &self.table)
    }

    /// The same with a column [`SLOT`](super::exec::SLOT) behind the table's own.
    pub fn with_slots(self) -> RevisionTable {
        RevisionTable { schema: with_slot(&self.schema), with_slots: true, ..self }
    }
}

/// Whether the scan itself can decide a filter: it reads this table's columns alone, and gives the same answer whenever it is asked.
fn decidable(filter: &Expr) -> bool {
    let outside = filter.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::ScalarVariable(..)
        ))
    });
    matches!(outside, Ok(false)) && !filter.is_volatile()
}

#[async_trait]
impl TableProvider for RevisionTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|f| if decidable(f) { TableProviderFilterPushDown::Exact } else { TableProviderFilterPushDown::Unsupported }).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        let rows = usize::try_from(self.rows).ok()?;
        statistics.num_rows = if self.sample.is_some() { Precision::Absent } else { Precision::Exact(rows) };
        Some(statistics)
    }

    async fn scan(&self, state: &dyn Session, projection: Option<&Vec<usize>>, filters: &[Expr], limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = DFSchema::try_from(self.schema.clone())?;
        let mut conjuncts = Vec::with_capacity(filters.len());
        for filter in filters {
            conjuncts.push(Conjunct::new(state.create_physical_expr(filter.clone(), &schema)?));
        }
        let prune = Prune::and(filters.iter().map(|filter| Prune::of(filter, &self.table.schema)));
        let mut output = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let wants_slots = self.with_slots && output.last() == Some(&self.table.columns.len());
        if wants_slots {
            output.pop();
        }
        if output.iter().any(|column| *column >= self.table.columns.len()) {
            return datafusion::common::internal_err!("the slots stand behind all columns");
        }
        let selection = Selection {
            objects: self.objects.clone(),
            table: self.table.clone(),
            conjuncts,
            output,
            limit: limit.map(|limit| limit as u64),
            batch_rows: state.config().batch_size(),
            batch_bytes: BATCH_BYTES,
        };
        let (objects, table, slots) = (self.objects.clone(), self.table.clone(), self.slots);
        let (sample, read) = (self.sample, selection.output.clone());
        // What a whole column holds at least and at most is worth knowing where little else is asked.
        let bounded = filters.is_empty() && limit.is_none() && sample.is_none() && read.len() <= BOUNDED_COLUMNS_MAX;
        let looked = tokio::task::spawn_blocking(move || {
            let all = match sample {
                Some(sample) => sample.ranges(&table, &objects)?,
                None => std::iter::once(0..slots).filter(|all| !all.is_empty()).collect(),
            };
            let known = if bounded { bounds::known(&objects, &table, &read)? } else { Vec::new() };
            Ok::<_, TableError>((prune.ranges(&table, &objects, all)?, known))
        });
        let (ranges, known) = looked.await.map_err(|e| datafusion::common::DataFusionError::ExecutionJoin(Box::new(e)))?.map_err(QueryError::from)?;
        let kept: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        // Under a limit rows are read in order by one partition, which stops as soon as it has enough.
        let n = if limit.is_some() { 1 } else { state.config().target_partitions() };
        let partitions = split(ranges, n, PARTITION_SLOTS_MIN);
        let columns: Vec<usize> = (0..selection.output.len()).collect();
        let scan = TableExec::new(self.name.clone(), selection, partitions, self.slots, self.slots - kept, self.rows).knowing(known, self.sample.is_none());
        Ok(Arc::new(if wants_slots { scan.with_slots(&columns) } else { scan }))
    }
}

/// The ranges, which ascend, dealt in order to at most `n` partitions of about equally many slots; one partition, perhaps empty, at least.
pub fn split(ranges: Vec<Range<u64>>, n: usize, slots_min: u64) -> Vec<Vec<Range<u64>>> {
    let total: u64 = ranges.iter().map(|r| r.end - r.start).sum();
    let n = (n as u64).min(total.div_ceil(slots_min.max(1))).max(1);
    let mut parts: Vec<Vec<Range<u64>>> = vec![Vec::new()];
    let mut dealt = 0u64;
    for mut range in ranges {
        while range.start < range.end {
            // Where the present partition ends, in slots dealt.
            let end = (u128::from(total) * parts.len() as u128 / u128::from(n)) as u64;
            if dealt >= end && (parts.len() as u64) < n {
                parts.push(Vec::new());
                continue;
            }
            let take = if parts.len() as u64 == n { range.end - range.start } else { (end - dealt).min(range.end - range.start) };
            if let Some(part) = parts.last_mut() {
                part.push(range.start..range.start + take);
            }
            range.start += take;
            dealt += take;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn partitions_hold_every_slot_once_in_order(lengths in prop::collection::vec((0u64..5, 1u64..200), 0..12), n in 1usize..9, least in 1u64..64) {
            let mut ranges: Vec<Range<u64>> = Vec::new();
            let mut at = 0;
            for (gap, length) in lengths {
                at += gap + 1;
                ranges.push(at..at + length);
                at += length;
            }
            let slots: Vec<u64> = ranges.iter().cloned().flatten().collect();
            let parts = split(ranges, n, least);
            prop_assert!(!parts.is_empty() && parts.len() <= n);
            let dealt: Vec<u64> = parts.iter().flatten().cloned().flatten().collect();
            prop_assert_eq!(&dealt, &slots);
            if parts.len() > 1 {
                for part in &parts {
                    let held: u64 = part.iter().map(|r| r.end - r.start).sum();
                    prop_assert!(held.abs_diff(slots.len() as u64 / parts.len() as u64) <= 1, "{} of {}", held, slots.len());
                }
            }
        }
    }
}

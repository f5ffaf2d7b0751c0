//! `ORDER BY ... LIMIT k` without reading what the order does not need: the scan gives the keys and the slots, the sort finds the k rows, and the other columns
//! are read of those alone. Also called late materialisation.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef, UInt64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;
use tokio::task::spawn_blocking;

use crate::format::array::fixed_width;
use crate::repo::take_any;

use super::QueryError;
use super::exec::{SLOT, TableExec};
use super::rows::{Selection, rebind};
use super::vector::{NearestExec, Search};

/// Sorts that keep more rows than one in so many of the table read all columns at once: reading single rows would cost more.
const ROWS_A_KEPT: u64 = 16;
/// A column of so many bytes a cell is read along.
const NARROW: usize = 32;

/// The rule that rewrites plans.
#[derive(Debug)]
pub struct LateColumns;

impl PhysicalOptimizerRule for LateColumns {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| match rewritten(&node)? {
            Some(new) => Ok(Transformed::new(new, true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "LateColumns"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

type Expr = Arc<dyn PhysicalExpr>;

/// The expression with those of `below` in the place of its columns.
fn over(expr: &Expr, below: &[Expr]) -> Result<Expr> {
    let put = expr.clone().transform_up(|node| match node.downcast_ref::<Column>() {
        Some(column) => match below.get(column.index()) {
            Some(source) => Ok(Transformed::yes(source.clone())),
            None => datafusion::common::internal_err!("column {} of {}", column.name(), below.len()),
        },
        None => Ok(Transformed::no(node)),
    });
    put.data()
}

fn columns_of<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> BTreeSet<usize> {
    exprs.into_iter().flat_map(|expr| datafusion::physical_expr::utils::collect_columns(expr).into_iter().map(|c| c.index())).collect()
}

/// A sort of few rows of a scan, read late; `None` where the plan is another, or all its columns are needed for the order or narrow.
fn rewritten(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some((sort, fetch)) = node.downcast_ref::<SortExec>().and_then(|sort| Some((sort, sort.fetch()?))) else { return Ok(None) };
    // What stands between the sort and the scan, the nearest to the sort first.
    let mut between: Vec<&ProjectionExec> = Vec::new();
    let mut below = sort.input();
    while let Some(projection) = below.downcast_ref::<ProjectionExec>() {
        between.push(projection);
        below = projection.input();
    }
    let Some(scan) = below.downcast_ref::<TableExec>() else { return Ok(None) };
    let selection = scan.selection();
    if selection.limit.is_some() || scan.has_slots() || (fetch as u64).saturating_mul(ROWS_A_KEPT) > scan.rows() {
        return Ok(None);
    }
    // What the sort puts out, over the columns of the scan.
    let scanned = scan.schema();
    let mut outputs: Vec<Expr> = scanned.fields().iter().enumerate().map(|(i, f)| Arc::new(Column::new(f.name(), i)) as Expr).collect();
    for projection in between.iter().rev() {
        outputs = projection.expr().iter().map(|one| over(&one.expr, &outputs)).collect::<Result<_>>()?;
    }
    let keys = sort.expr().iter().map(|key| over(&key.expr, &outputs)).collect::<Result<Vec<_>>>()?;
    let needed = columns_of(&keys);
    let is_wide = |i: &usize| fixed_width(scanned.field(*i).data_type()).is_none_or(|width| width > NARROW);
    let is_search = matches!(keys.as_slice(), [key] if Search::of(key, &scanned).is_some());
    if !is_search && !columns_of(&outputs).difference(&needed).any(is_wide) {
        return Ok(None);
    }

    // The scan of the keys' columns, with the slots; the keys; the sort; and what reads the rest.
    let needed: Vec<usize> = needed.into_iter().collect();
    let scan_keys = scan.with_slots(&needed);
    let keys = keys.iter().map(|key| rebind(key, &needed)).collect::<std::result::Result<Vec<_>, _>>()?;
    let least = match nearest(sort, fetch, &keys, &scan_keys) {
        Some(nearest) => nearest,
        None => match sorted(sort, fetch, keys, Arc::new(scan_keys))? {
            Some(sorted) => sorted,
            None => return Ok(None),
        },
    };
    let late = LateExec::new(least, selection.clone(), outputs, sort.schema(), sort.expr().clone());
    Ok(Some(Arc::new(late)))
}

/// The first rows by a measure of vectors, found as they are read.
fn nearest(sort: &SortExec, fetch: usize, keys: &[Expr], scan: &TableExec) -> Option<Arc<dyn ExecutionPlan>> {
    let [key] = keys else { return None };
    let search = Search::of(key, &scan.schema())?;
    Some(Arc::new(NearestExec::new(scan, search, fetch, sort.expr().first().options, ["key 0", SLOT])?))
}

/// The first rows by any keys: computed, and sorted with the slots.
fn sorted(sort: &SortExec, fetch: usize, keys: Vec<Expr>, scan: Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut projected: Vec<ProjectionExpr> = keys.into_iter().enumerate().map(|(i, expr)| ProjectionExpr { expr, alias: format!("key {i}") }).collect();
    projected.push(ProjectionExpr { expr: Arc::new(Column::new(SLOT, scan.schema().fields().len() - 1)), alias: SLOT.to_owned() });
    let input: Arc<dyn ExecutionPlan> = Arc::new(ProjectionExec::try_new(projected, scan)?);
    let order = sort.expr().iter().enumerate();
    let order = order.map(|(i, key)| PhysicalSortExpr { expr: Arc::new(Column::new(&format!("key {i}"), i)), options: key.options });
    let Some(order) = LexOrdering::new(order) else { return Ok(None) };
    let sorted = SortExec::new(order, input).with_preserve_partitioning(sort.preserve_partitioning()).with_fetch(Some(fetch));
    Ok(Some(Arc::new(sorted)))
}

/// Reads columns of the rows whose slots its input names last, in the input's order.
#[derive(Debug)]
struct LateExec {
    input: Arc<dyn ExecutionPlan>,
    selection: Selection,
    /// What it puts out, over the columns of the selection.
    outputs: Vec<Expr>,
    schema: SchemaRef,
    order: LexOrdering,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LateExec {
    fn new(input: Arc<dyn ExecutionPlan>, selection: Selection, outputs: Vec<Expr>, schema: SchemaRef, order: LexOrdering) -> LateExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema.clone(), [order.clone()]),
            input.output_partitioning().clone(),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        LateExec { input, selection, outputs, schema, order, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The columns to read, by their places in the selection.
    fn columns(&self) -> Vec<usize> {
        columns_of(&self.outputs).into_iter().collect()
    }
}

impl DisplayAs for LateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.selection.schema();
        let names: Vec<&str> = self.columns().into_iter().filter_map(|i| fields.fields().get(i)).map(|f| f.name().as_str()).collect();
        write!(f, "LateExec: columns=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for LateExec {
    fn name(&self) -> &str {
        "LateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::execution_plan::apply_expression_roots(self.outputs.iter(), f)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop().filter(|_| children.is_empty()) else { return datafusion::common::internal_err!("a LateExec has one input") };
        Ok(Arc::new(LateExec::new(input, self.selection.clone(), self.outputs.clone(), self.schema.clone(), self.order.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let columns = self.columns();
        let named = self.selection.schema();
        let name = |i: &usize| named.fields().get(*i).map_or("?", |f| f.name().as_str());
        let reader = Arc::new(Reader {
            selection: self.selection.clone(),
            exprs: self.outputs.iter().map(|expr| rebind(expr, &columns)).collect::<std::result::Result<_, _>>()?,
            schema: self.schema.clone(),
            bytes: columns.iter().map(|i| MetricBuilder::new(&self.metrics).counter(format!("bytes_read[{}]", name(i)), partition)).collect(),
            columns,
        });
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = input.then(move |batch| {
            let (reader, busy, rows) = (reader.clone(), baseline.elapsed_compute().clone(), baseline.output_rows().clone());
            async move {
                let batch = batch?;
                let read = spawn_blocking(move || {
                    let _timer = busy.timer();
                    reader.read(&batch)
                });
                let batch = read.await.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))??;
                rows.add(batch.num_rows());
                Ok(batch)
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct Reader {
    selection: Selection,
    /// The columns to read, by their places in the selection.
    columns: Vec<usize>,
    exprs: Vec<Expr>,
    schema: SchemaRef,
    bytes: Vec<Count>,
}

impl Reader {
    fn read(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(slots) = batch.columns().last().and_then(|column| column.as_primitive_opt::<UInt64Type>()) else {
            return datafusion::common::internal_err!("no slots");
        };
        let slots: Vec<Option<u64>> = slots.iter().collect();
        let all = self.selection.schema();
        let fields: Vec<Arc<Field>> = self.columns.iter().filter_map(|i| all.fields().get(*i)).cloned().collect();
        let columns: Vec<usize> = self.columns.iter().filter_map(|i| self.selection.output.get(*i)).copied().collect();
        let arrays = take_any(&self.selection.objects, &self.selection.table, &columns, &slots).map_err(QueryError::from)?;
        for (array, bytes) in arrays.iter().zip(&self.bytes) {
            bytes.add(array.to_data().get_slice_memory_size().unwrap_or_default());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        let outputs = self.exprs.iter().map(|expr| expr.evaluate(&rows)?.into_array(rows.num_rows())).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), outputs, &options)?)
    }
}

/// The rules of DataFusion with ours where it belongs: behind those that move projections and limits, and before sorts tell scans what they learn.
pub fn rules(known: &[Arc<dyn PhysicalOptimizerRule + Send + Sync>]) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let place = known.iter().position(|rule| rule.name() == "EnsureCooperative").unwrap_or(known.len());
    let mut rules = known.to_vec();
    rules.insert(place, Arc::new(LateColumns));
    rules
}

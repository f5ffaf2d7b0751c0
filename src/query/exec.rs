//! The scan of a table as a node of DataFusion's plan: partitions over slots, reads on blocking threads, counts for EXPLAIN ANALYZE.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{ColumnStatistics, DataFusionError, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, Metric, MetricBuilder, MetricValue, MetricsSet, Time};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::format::node::{Kind, Slice, Values};
use crate::table::TableError;

use super::QueryError;
use super::provider::split;
use super::rows::{Conjunct, Passed, Rows, Selection, Watch};

/// The column of slots that a scan may put out behind the table's own.
pub const SLOT: &str = "slot of the row";

/// Slots in a stripe: some batches of text and numbers, and few of pictures.
const STRIPE_SLOTS: Range<u64> = 1024..32_768;
/// Stripes for each thread, where there are slots enough.
const STRIPES_MIN: u64 = 8;

/// A scan: which rows of which table, dealt to partitions.
#[derive(Debug, Clone)]
pub struct TableExec {
    name: String,
    selection: Selection,
    /// The ranges of slots that each partition reads, in order.
    partitions: Arc<Vec<Vec<Range<u64>>>>,
    slots: u64,
    slots_pruned: u64,
    rows: u64,
    /// Whether the slots come as well, behind the columns.
    with_slots: bool,
    /// What is known of the columns' values; empty where nothing is.
    known: Arc<Vec<ColumnStatistics>>,
    /// Whether all slots that statistics leave are read: the number of rows follows.
    whole: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TableExec {
    /// A scan of `selection` over `partitions`, of a table with so many slots, `slots_pruned` of them ruled out beforehand, and so many rows.
    pub fn new(name: String, selection: Selection, partitions: Vec<Vec<Range<u64>>>, slots: u64, slots_pruned: u64, rows: u64) -> TableExec {
        let properties = properties(selection.schema(), partitions.len());
        let (partitions, metrics) = (Arc::new(partitions), ExecutionPlanMetricsSet::new());
        TableExec { name, selection, partitions, slots, slots_pruned, rows, with_slots: false, known: Arc::default(), whole: true, properties, metrics }
    }

    /// The same, with what is known of the columns' values, and whether it reads all rows but those ruled out.
    pub fn knowing(self, known: Vec<ColumnStatistics>, whole: bool) -> TableExec {
        TableExec { known: Arc::new(known), whole, ..self }
    }

    /// What it reads.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Whether it puts out the slots behind the columns.
    pub fn has_slots(&self) -> bool {
        self.with_slots
    }

    /// How many rows the table has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The same rows with these of its columns alone, by their places in its output, and behind them the slots.
    pub fn with_slots(&self, columns: &[usize]) -> TableExec {
        let output = columns.iter().filter_map(|i| self.selection.output.get(*i)).copied().collect();
        let selection = Selection { output, ..self.selection.clone() };
        let properties = properties(with_slot(&selection.schema()), self.partitions.len());
        TableExec { selection, with_slots: true, known: Arc::default(), properties, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }
    }

    /// The same rows, a batch of which holds so many of them and so many bytes of each column at most.
    pub fn in_steps(&self, batch_rows: usize, batch_bytes: u64) -> TableExec {
        let selection = Selection { batch_rows, batch_bytes, ..self.selection.clone() };
        TableExec { selection, ..self.anew() }
    }

    /// The same, of which nothing was counted yet.
    pub fn anew(&self) -> TableExec {
        TableExec { metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }
    }

    /// What to read for a partition.
    pub fn partition(&self, partition: usize) -> Result<Read> {
        let Some(ranges) = self.partitions.get(partition).cloned() else {
            return datafusion::common::internal_err!("partition {partition} of {}", self.partitions.len());
        };
        let stop = Arc::new(AtomicBool::new(false));
        let watch = self.watch(partition, &stop);
        if partition == 0 {
            MetricBuilder::new(&self.metrics).counter("slots_pruned", partition).add(usize::try_from(self.slots_pruned).unwrap_or(usize::MAX));
        }
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        Ok(Read {
            start: Box::new((self.selection.clone(), ranges, watch)),
            busy: baseline.elapsed_compute().clone(),
            output_rows: baseline.output_rows().clone(),
            stop: StopOnDrop(stop),
        })
    }

    /// The same rows in many short partitions, for a few of them to be read at a time, in order.
    pub fn striped(&self, threads: usize) -> TableExec {
        let ranges: Vec<Range<u64>> = self.partitions.iter().flatten().cloned().collect();
        let slots: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let each = (slots / (STRIPES_MIN * threads as u64)).clamp(STRIPE_SLOTS.start, STRIPE_SLOTS.end);
        let n = usize::try_from(slots.div_ceil(each)).unwrap_or(usize::MAX);
        let partitions = split(ranges, n, 1);
        let properties = properties(self.schema(), partitions.len());
        TableExec { partitions: Arc::new(partitions), properties, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }
    }

    /// Columns that are read for the predicate.
    fn predicate_columns(&self) -> BTreeSet<usize> {
        self.selection.conjuncts.iter().flat_map(|c| c.columns.iter().copied()).collect()
    }

    fn column_name(&self, column: usize) -> &str {
        self.selection.table.schema.columns.get(column).map_or("?", |c| &c.name)
    }

    fn watch(&self, partition: usize, stop: &Arc<AtomicBool>) -> Watch {
        let mut columns = self.predicate_columns();
        columns.extend(&self.selection.output);
        let bytes_read =
            columns.into_iter().map(|c| (c, MetricBuilder::new(&self.metrics).counter(format!("bytes_read[{}]", self.column_name(c)), partition))).collect();
        let stop = stop.clone();
        Watch {
            rows_scanned: MetricBuilder::new(&self.metrics).counter("rows_scanned", partition),
            bytes_read,
            stop: Arc::new(move || stop.load(Ordering::Relaxed)),
        }
    }

    /// Chunks of the filter's columns that statistics ruled out, of how many. Looks at the leaves of their trees: to be asked when a plan is shown, not when it runs.
    fn chunks_pruned(&self) -> std::result::Result<(usize, usize), TableError> {
        let mut kept: Vec<Range<u64>> = self.partitions.iter().flatten().cloned().collect();
        kept.sort_unstable_by_key(|range| range.start);
        let (objects, table) = (&self.selection.objects, &self.selection.table);
        let (mut pruned, mut all) = (0, 0);
        for column in self.predicate_columns() {
            let Some(rope) = table.columns.get(column) else { continue };
            for item in rope.get(&**objects)?.items(&**objects, 0, self.slots)? {
                let (start, slice) = item?;
                if matches!(slice, Slice::Chunk { .. }) {
                    let end = start + Values::rows(&slice);
                    let next = kept.partition_point(|range| range.end <= start);
                    all += 1;
                    pruned += usize::from(kept.get(next).is_none_or(|range| range.start >= end));
                }
            }
        }
        Ok((pruned, all))
    }

    fn reads_slot(&self, filter: &Arc<dyn PhysicalExpr>) -> bool {
        self.with_slots && datafusion::physical_expr::utils::collect_columns(filter).iter().any(|column| column.index() >= self.selection.output.len())
    }

    /// The filter, over this scan's output, as a part of its predicate.
    fn conjunct(&self, filter: &Arc<dyn PhysicalExpr>) -> Result<Conjunct> {
        let bound = filter.clone().transform_up(|node| match node.downcast_ref::<Column>() {
            Some(column) => match self.selection.output.get(column.index()) {
                Some(index) => Ok(Transformed::yes(Arc::new(Column::new(column.name(), *index)) as Arc<dyn PhysicalExpr>)),
                None => datafusion::common::internal_err!("column {} is not in the scan", column.name()),
            },
            None => Ok(Transformed::no(node)),
        });
        Ok(Conjunct::new(bound.data()?))
    }
}

/// A schema with the column of slots behind.
pub fn with_slot(schema: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(SLOT, DataType::UInt64, false)));
    Arc::new(Schema::new(fields))
}

fn properties(schema: SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

impl DisplayAs for TableExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.selection.output.iter().map(|c| self.column_name(*c)).collect();
        write!(f, "TableExec: {}, columns=[{}]", self.name, names.join(", "))?;
        if !self.selection.conjuncts.is_empty() {
            let parts: Vec<String> = self.selection.conjuncts.iter().map(|c| c.expr.to_string()).collect();
            write!(f, ", filter={}", parts.join(" AND "))?;
        }
        if let Some(limit) = self.selection.limit {
            write!(f, ", limit={limit}")?;
        }
        write!(f, ", partitions={}, slots={}, slots_pruned={}", self.partitions.len(), self.slots, self.slots_pruned)
    }
}

impl ExecutionPlan for TableExec {
    fn name(&self) -> &str {
        "TableExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::execution_plan::apply_expression_roots(self.selection.conjuncts.iter().map(|c| &c.expr), f)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.anew()))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Read { start, busy, output_rows, stop } = self.partition(partition)?;
        let reader = Reader { state: State::Start(start), busy, output_rows, _stop: stop };
        Ok(stream(reader, self.schema(), self.with_slots))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut metrics = self.metrics.clone_inner();
        if let Ok((pruned, all)) = self.chunks_pruned()
            && all > 0
        {
            for (name, number) in [("chunks", all), ("chunks_pruned", pruned)] {
                let count = Count::new();
                count.add(number);
                metrics.push(Arc::new(Metric::new(MetricValue::Count { name: name.into(), count }, None)));
            }
        }
        Some(metrics)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        let slots_in = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
        let (slots, whole) = match args.partition() {
            Some(partition) => (self.partitions.get(partition).map_or(0, |ranges| slots_in(ranges)), self.partitions.len() == 1),
            None => (self.slots - self.slots_pruned, self.whole),
        };
        let share = u128::from(self.rows) * u128::from(slots) / u128::from(self.slots.max(1));
        let rows = u64::try_from(share).unwrap_or(u64::MAX).min(self.selection.limit.unwrap_or(u64::MAX));
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        statistics.num_rows = if slots == 0 || (whole && self.selection.conjuncts.is_empty()) { Precision::Exact(rows) } else { Precision::Inexact(rows) };
        if whole && self.selection.conjuncts.is_empty() && self.selection.limit.is_none() && self.known.len() == statistics.column_statistics.len() {
            statistics.column_statistics.clone_from(&self.known);
        }
        Ok(Arc::new(statistics))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let limit = limit? as u64;
        let mut selection = self.selection.clone();
        selection.limit = Some(selection.limit.map_or(limit, |known| known.min(limit)));
        // One partition, so that the first rows are the ones taken.
        let partitions = vec![self.partitions.iter().flatten().cloned().collect()];
        let schema = if self.with_slots { with_slot(&selection.schema()) } else { selection.schema() };
        let properties = properties(schema, 1);
        Some(Arc::new(TableExec { selection, partitions: Arc::new(partitions), properties, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.selection.limit.and_then(|limit| usize::try_from(limit).ok())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        // A filter that stands above a limit must not go below it.
        if self.selection.limit.is_some() || result.parent_filters.is_empty() {
            return Ok(FilterPushdownPropagation::all_unsupported(result));
        }
        let mut selection = self.selection.clone();
        let mut taken = Vec::with_capacity(result.parent_filters.len());
        for filter in &result.parent_filters {
            // What other operators learn while they run: the least of a running top k, the keys of a join. Plain filters came with the scan already.
            if filter.filter.is::<DynamicFilterPhysicalExpr>() && !self.reads_slot(&filter.filter) {
                selection.conjuncts.push(self.conjunct(&filter.filter)?);
                taken.push(PushedDown::Yes);
            } else {
                taken.push(PushedDown::No);
            }
        }
        let scan = TableExec { selection, metrics: ExecutionPlanMetricsSet::new(), ..self.clone() };
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(taken).with_updated_node(Arc::new(scan)))
    }
}

/// A partition that is about to be read.
pub struct Read {
    /// The rows, the ranges of slots, and who watches.
    pub start: Box<(Selection, Vec<Range<u64>>, Watch)>,
    /// Counts the time that it takes.
    pub busy: Time,
    /// Counts what comes out.
    pub output_rows: Count,
    /// Ends it when dropped.
    pub stop: StopOnDrop,
}

/// Ends the reads of a stream that is dropped.
pub struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Step = JoinHandle<std::result::Result<(Rows, Option<Passed>), QueryError>>;

enum State {
    Start(Box<(Selection, Vec<Range<u64>>, Watch)>),
    Under(Step),
}

/// A read on its way.
struct Reader {
    state: State,
    busy: Time,
    output_rows: Count,
    _stop: StopOnDrop,
}

fn step(busy: &Time, rows: impl FnOnce() -> std::result::Result<Rows, QueryError> + Send + 'static) -> Step {
    let busy = busy.clone();
    spawn_blocking(move || {
        let _timer = busy.timer();
        let mut rows = rows()?;
        let passed = rows.next().transpose()?;
        Ok((rows, passed))
    })
}

/// Batches of a selection, each read on a blocking thread, one ahead of the one taken. No thread waits for the taker; when the stream is dropped, a read on its
/// way ends soon.
fn stream(reader: Reader, schema: SchemaRef, with_slots: bool) -> SendableRecordBatchStream {
    let given = schema.clone();
    let batches = futures::stream::try_unfold((reader, given), move |(mut reader, given)| async move {
        let under = match reader.state {
            State::Start(start) => step(&reader.busy, move || start.0.open(start.1, start.2)),
            State::Under(step) => step,
        };
        let (rows, passed) = under.await.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))??;
        let Some(passed) = passed else { return Ok(None) };
        reader.output_rows.add(passed.batch.num_rows());
        reader.state = State::Under(step(&reader.busy, move || Ok(rows)));
        let mut batch = passed.batch;
        if with_slots {
            let slots: ArrayRef = Arc::new(UInt64Array::from(passed.slots));
            batch = RecordBatch::try_new(given.clone(), batch.columns().iter().cloned().chain([slots]).collect())?;
        }
        Ok::<_, DataFusionError>(Some((batch, (reader, given))))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

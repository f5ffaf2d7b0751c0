//! The k rows whose vectors are nearest to one vector. Sums are held against the k best as they come, a few rows at a time: there is neither a column of distances nor a sort.

use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, RecordBatch, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{Column, Literal, NegativeExpr};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;
use half::slice::HalfFloatSliceExt;
use tokio::task::spawn_blocking;

use crate::query::exec::TableExec;
use crate::query::rows::BATCH_ROWS;

use super::kernels::{Sum, products_and_squares, sums};
use super::{Measure, VectorFunction, Vectors, refused};

/// Rows whose sums are held at once: they stay in the nearest cache.
const BLOCK_ROWS: usize = 64;
/// Bytes of vectors that are read at once.
const STEP_BYTES: usize = 1 << 20;
/// More rows than these are sorted, which can spill; their places here are a megabyte.
const KEPT_MAX: usize = 64 << 10;

/// A measure of a column of vectors against one vector.
#[derive(Debug, Clone)]
pub struct Search {
    measure: Measure,
    /// Whether the sign is turned, as `<#>` does.
    negated: bool,
    number_bytes: usize,
    query: Arc<[f32]>,
    /// As a plan shows it.
    text: String,
}

impl Search {
    /// What a key of a sort over columns of this schema computes, where it is such a measure.
    pub fn of(key: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Search> {
        if let Some(negative) = key.downcast_ref::<NegativeExpr>() {
            let inner = Search::of(negative.arg(), schema)?;
            return Some(Search { negated: !inner.negated, text: format!("-{}", inner.text), ..inner });
        }
        let call = key.downcast_ref::<ScalarFunctionExpr>()?;
        let measure = call.fun().inner().downcast_ref::<VectorFunction>()?.measure;
        let [a, b] = call.args() else { return None };
        let (column, literal) = match (a.downcast_ref::<Column>(), b.downcast_ref::<Column>()) {
            (Some(column), None) => (column, b.downcast_ref::<Literal>()?),
            (None, Some(column)) => (column, a.downcast_ref::<Literal>()?),
            _ => return None,
        };
        let DataType::FixedSizeList(item, dim) = schema.fields().get(column.index())?.data_type() else { return None };
        if !matches!(item.data_type(), DataType::Float32 | DataType::Float16) || *dim == 0 {
            return None;
        }
        // What is null or of another length is told, or answered, as anywhere else.
        let vectors = Vectors::of(&ColumnarValue::Scalar(literal.value().clone())).ok()?;
        let query: Arc<[f32]> = vectors.row(0)?.into();
        (query.len() == *dim as usize).then(|| Search {
            measure,
            negated: false,
            number_bytes: if *item.data_type() == DataType::Float16 { 2 } else { 4 },
            query,
            text: format!("{}({}, {dim} numbers)", measure.name(), column.name()),
        })
    }
}

/// The first rows of a scan by a [`Search`], those of each partition for itself: puts out key and slot, in order; rows as near as each other by slot. Reads and adds up on one thread a partition:
/// what was read last is still in a cache near to it.
#[derive(Debug)]
pub struct NearestExec {
    scan: TableExec,
    search: Search,
    kept: usize,
    options: SortOptions,
    properties: Arc<PlanProperties>,
}

impl NearestExec {
    /// The first `kept` rows of each partition of a scan that puts out slots behind its columns; `None` where they are too many to be held. Key and slot are put out under these names.
    pub fn new(scan: &TableExec, search: Search, kept: usize, options: SortOptions, names: [&str; 2]) -> Option<NearestExec> {
        if kept > KEPT_MAX {
            return None;
        }
        let [key, slot] = names;
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new(key, DataType::Float64, true), Field::new(slot, DataType::UInt64, false)]));
        let order = LexOrdering::new([PhysicalSortExpr { expr: Arc::new(Column::new(key, 0)), options }])?;
        let equivalence = EquivalenceProperties::new_with_orderings(schema, [order]);
        let properties = PlanProperties::new(equivalence, scan.properties().output_partitioning().clone(), EmissionType::Final, Boundedness::Bounded);
        let bytes = search.query.len() * search.number_bytes;
        let scan = scan.in_steps((STEP_BYTES / bytes.max(1)).clamp(1, BATCH_ROWS), STEP_BYTES as u64);
        Some(NearestExec { scan, search, kept, options, properties: Arc::new(properties) })
    }
}

impl DisplayAs for NearestExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.options.descending { "DESC" } else { "ASC" };
        write!(f, "NearestExec: k={}, key=[{} {order}], ", self.kept, self.search.text)?;
        self.scan.fmt_as(kind, f)
    }
}

impl ExecutionPlan for NearestExec {
    fn name(&self) -> &str {
        "NearestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        self.scan.apply_expressions(f)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let (search, properties) = (self.search.clone(), self.properties.clone());
        Ok(Arc::new(NearestExec { scan: self.scan.anew(), search, properties, ..*self }))
    }

    fn fetch(&self) -> Option<usize> {
        Some(self.kept)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let read = self.scan.partition(partition)?;
        let (schema, batch_rows) = (self.schema(), context.session_config().batch_size().max(1));
        let mut best = Best::new(self.search.clone(), self.kept, self.options);
        let given = schema.clone();
        let found = async move {
            // Held here, so that a stream that is dropped ends the thread's work.
            let (stop, busy, output_rows) = (read.stop, read.busy, read.output_rows);
            let (selection, ranges, watch) = *read.start;
            let work = spawn_blocking(move || {
                let _timer = busy.timer();
                for passed in selection.open(ranges, watch)? {
                    let passed = passed?;
                    best.offer(passed.batch.column(0), &passed.slots)?;
                }
                best.batch(given)
            });
            let batch = work.await.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))??;
            drop(stop);
            output_rows.add(batch.num_rows());
            let parts = (0..batch.num_rows()).step_by(batch_rows).map(move |at| Ok(batch.slice(at, batch_rows.min(batch.num_rows() - at))));
            Ok::<_, DataFusionError>(futures::stream::iter(parts))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(found).try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.scan.metrics()
    }
}

/// The first rows so far, the last of them on top.
struct Best {
    search: Search,
    /// The sum of the query's own squares.
    own: f32,
    kept: usize,
    options: SortOptions,
    /// Rank and slot.
    heap: BinaryHeap<(u64, u64)>,
    products: Vec<f32>,
    squares: Vec<f32>,
    widened: Vec<f32>,
}

impl Best {
    fn new(search: Search, kept: usize, options: SortOptions) -> Best {
        let mut squares = Vec::with_capacity(BLOCK_ROWS);
        sums(Sum::Squares, &search.query, &search.query, &mut squares);
        let own = squares.first().copied().unwrap_or(0.0);
        Best { search, own, kept, options, heap: BinaryHeap::new(), products: Vec::with_capacity(BLOCK_ROWS), squares, widened: Vec::new() }
    }

    /// Takes vectors into account, whose slots are above all before.
    fn offer(&mut self, vectors: &ArrayRef, slots: &[u64]) -> Result<()> {
        let Some(vectors) = vectors.as_fixed_size_list_opt().filter(|vectors| vectors.len() == slots.len()) else {
            return datafusion::common::internal_err!("a search reads vectors and slots");
        };
        for start in (0..vectors.len()).step_by(BLOCK_ROWS) {
            let rows = start..vectors.len().min(start + BLOCK_ROWS);
            self.sum_up(&vectors.slice(rows.start, rows.len()))?;
            for (i, (row, slot)) in rows.clone().zip(&slots[rows]).enumerate() {
                let value = if vectors.is_null(row) { None } else { self.products.get(i).map(|sum| self.value(*sum, self.squares.get(i).copied())) };
                let (rank, slot) = (rank(value, self.options), *slot);
                if self.heap.len() < self.kept {
                    self.heap.push((rank, slot));
                } else if let Some(mut last) = self.heap.peek_mut()
                    && rank < last.0
                {
                    *last = (rank, slot);
                }
            }
        }
        Ok(())
    }

    /// The sums of a few rows.
    fn sum_up(&mut self, vectors: &FixedSizeListArray) -> Result<()> {
        let dim = self.search.query.len();
        let values = vectors.values().slice(vectors.value_offset(0) as usize, vectors.len() * dim);
        if values.null_count() > 0 && vectors.nulls().is_none() {
            return Err(refused("a vector holds no null"));
        }
        let numbers: &[f32] = match values.as_primitive_opt::<Float16Type>() {
            Some(halves) => {
                self.widened.resize(halves.len(), 0.0);
                halves.values().convert_to_f32_slice(&mut self.widened);
                &self.widened
            }
            None => values.as_primitive::<Float32Type>().values(),
        };
        self.products.clear();
        self.squares.clear();
        if self.search.measure.is_cosine() {
            products_and_squares(numbers, &self.search.query, &mut self.products, &mut self.squares);
        } else {
            sums(self.search.measure.sum(), numbers, &self.search.query, &mut self.products);
        }
        Ok(())
    }

    fn value(&self, sum: f32, squares: Option<f32>) -> f64 {
        let value = self.search.measure.value(sum, squares.map(|squares| (squares, self.own)));
        if self.search.negated { -value } else { value }
    }

    fn batch(self, schema: SchemaRef) -> Result<RecordBatch> {
        let options = self.options;
        let found = self.heap.into_sorted_vec();
        let keys: Float64Array = found.iter().map(|(rank, _)| value(*rank, options)).collect();
        let slots = UInt64Array::from_iter_values(found.iter().map(|(_, slot)| *slot));
        Ok(RecordBatch::try_new(schema, vec![Arc::new(keys) as ArrayRef, Arc::new(slots)])?)
    }
}

const SIGN: u64 = 1 << 63;

/// A number that sorts as the key does: of floats all in their total order, nulls before or behind them.
fn rank(value: Option<f64>, options: SortOptions) -> u64 {
    let Some(value) = value else { return if options.nulls_first { 0 } else { u64::MAX } };
    let bits = value.to_bits();
    let rising = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    let rank = if options.descending { !rising } else { rising };
    // The ends are those of the nulls; only NaNs that no sum gives come near them.
    rank.clamp(1, u64::MAX - 1)
}

fn value(rank: u64, options: SortOptions) -> Option<f64> {
    if rank == 0 || rank == u64::MAX {
        return None;
    }
    let rising = if options.descending { !rank } else { rank };
    Some(f64::from_bits(if rising & SIGN == 0 { !rising } else { rising & !SIGN }))
}

#[cfg(test)]
mod tests;

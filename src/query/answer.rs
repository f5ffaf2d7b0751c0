//! A query's answer: batches in dsv's own layouts, in order, until the end or an interruption.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, TryStreamExt};
use tokio::runtime::Runtime;

use crate::format::Type;
use crate::format::array::to_storage;
use crate::table::scan::retype;

use super::QueryError;
use super::error::translate;
use super::exec::TableExec;

/// The answer as it arrives, for async callers.
pub struct AnswerStream {
    schema: SchemaRef,
    /// The types of columns that have one in dsv; the layout of the others stays as DataFusion made it.
    types: Vec<Option<Type>>,
    batches: SendableRecordBatchStream,
    memory_bytes: usize,
    hints: Vec<String>,
}

impl AnswerStream {
    pub(super) fn start(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>, memory_bytes: usize, hints: Vec<String>) -> Result<AnswerStream, QueryError> {
        let types: Vec<Option<Type>> = plan.schema().fields().iter().map(|field| Type::from_field(field).ok()).collect();
        let fields: Vec<FieldRef> = plan
            .schema()
            .fields()
            .iter()
            .zip(&types)
            .map(|(field, ty)| ty.as_ref().map_or(field.clone(), |ty| Arc::new(ty.field(field.name(), field.is_nullable()))))
            .collect();
        let batches = in_order(plan, context).map_err(|e| translate(e, memory_bytes))?;
        Ok(AnswerStream { schema: Arc::new(Schema::new(fields)), types, batches, memory_bytes, hints })
    }

    /// The schema of the batches: types that dsv has stand in their own layout, extension types included.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// What whoever asked may want to know of the query itself, a line each.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The columns by name and type, as an export wants them. Fails where one has a type that dsv has no place for, such as an interval.
    pub fn columns(&self) -> Result<Vec<(String, Type)>, QueryError> {
        self.schema.fields().iter().map(|field| Ok((field.name().clone(), Type::from_field(field)?))).collect()
    }

    /// The next batch.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        let batch = self.batches.next().await?;
        Some(batch.map_err(|e| translate(e, self.memory_bytes)).and_then(|batch| self.fitted(&batch)))
    }

    fn fitted(&self, batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
        for ((values, field), ty) in batch.columns().iter().zip(self.schema.fields()).zip(&self.types) {
            let values = match ty {
                Some(ty) => to_storage(values, &ty.storage())?,
                None => values.clone(),
            };
            arrays.push(if values.data_type() == field.data_type() { values } else { retype(&values, field.data_type())? });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }
}

/// Batches that a partition may be ahead of whoever takes them.
const BATCHES_AHEAD: usize = 4;

/// The partitions of a plan one after the other, several of them at work: where no operator mixes them, rows come in the table's order. Each runs as a task of its
/// own, never on the thread that waits for the answer: an operator may be busy for long before it lets go, and whoever waits must be able to leave.
fn in_order(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> datafusion::common::Result<SendableRecordBatchStream> {
    let threads = context.session_config().target_partitions().max(1);
    let (plan, at_work) = match striped(&plan, threads)? {
        Some(striped) => (striped, threads + 1),
        None => (plan.clone(), plan.output_partitioning().partition_count().max(1)),
    };
    let (partitions, schema) = (plan.output_partitioning().partition_count(), plan.schema());
    let run = move |partition| {
        let mut receiver = RecordBatchReceiverStreamBuilder::new(plan.schema(), BATCHES_AHEAD);
        let sender = receiver.tx();
        let mut stream = plan.execute(partition, context.clone())?;
        receiver.spawn(async move {
            while let Some(batch) = stream.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok::<_, DataFusionError>(receiver.build())
    };
    let batches = futures::stream::iter(0..partitions).map(move |partition| std::future::ready(run(partition))).buffered(at_work).try_flatten();
    Ok(Box::pin(datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(schema, batches)))
}

/// The plan with its scan cut into many short partitions, where it is no more than that scan and operators that take one row after the other. Partitions of half a table each would leave one
/// thread at work: rows are taken from the first, and those of the second have to wait somewhere.
fn striped(plan: &Arc<dyn ExecutionPlan>, threads: usize) -> datafusion::common::Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.output_partitioning().partition_count() <= 1 {
        return Ok(None);
    }
    if let Some(scan) = plan.downcast_ref::<TableExec>() {
        return Ok(Some(Arc::new(scan.striped(threads))));
    }
    if !(plan.is::<ProjectionExec>() || plan.is::<FilterExec>() || plan.is::<CooperativeExec>()) {
        return Ok(None);
    }
    let Some(below) = plan.children().first().map(|below| striped(below, threads)).transpose()?.flatten() else { return Ok(None) };
    Ok(Some(replace_children_if_necessary(plan.clone(), vec![below])?))
}

/// The answer as an iterator of batches. Not to be used, or dropped, inside of an async task.
pub struct Answer {
    stream: AnswerStream,
    runtime: Arc<Threads>,
    interrupted: Option<Interrupt>,
    over: bool,
}

impl Answer {
    pub(super) fn new(stream: AnswerStream, runtime: Arc<Threads>, interrupted: Option<Interrupt>) -> Answer {
        Answer { stream, runtime, interrupted, over: false }
    }

    /// As [`AnswerStream::hints`].
    pub fn hints(&self) -> &[String] {
        self.stream.hints()
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// As [`AnswerStream::columns`].
    pub fn columns(&self) -> Result<Vec<(String, Type)>, QueryError> {
        self.stream.columns()
    }
}

impl Iterator for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let batch = match self.runtime.wait(self.interrupted.as_ref(), self.stream.next()) {
            Ok(batch) => batch,
            Err(error) => Some(Err(error)),
        };
        self.over = !matches!(batch, Some(Ok(_)));
        batch
    }
}

/// The threads that queries run on; let go in the background.
pub struct Threads {
    runtime: Option<Runtime>,
    /// A query was interrupted.
    left: AtomicBool,
}

impl Threads {
    pub(super) fn new(threads: usize) -> Result<Threads, QueryError> {
        let threads = threads.max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            // Reads and spills; a thread of these never waits for another.
            .max_blocking_threads(4 * threads + 16)
            .thread_name("dsv-query")
            .build()
            .map_err(|e| QueryError::Run(format!("no threads to run on: {e}")))?;
        Ok(Threads { runtime: Some(runtime), left: AtomicBool::new(false) })
    }

    /// Whether a query of theirs was interrupted, which some of them may still be busy with.
    pub(super) fn are_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    /// Waits for `work`, or for an interruption.
    pub(super) fn wait<T>(&self, interrupted: Option<&Interrupt>, work: impl Future<Output = T>) -> Result<T, QueryError> {
        let Some(runtime) = &self.runtime else { return Err(QueryError::Interrupted) };
        let mut work = pin!(work);
        runtime.block_on(std::future::poll_fn(|context| {
            if let Some(interrupt) = interrupted {
                *interrupt.shared.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
                if interrupt.shared.fired.load(Ordering::SeqCst) {
                    self.left.store(true, Ordering::SeqCst);
                    return Poll::Ready(Err(QueryError::Interrupted));
                }
            }
            work.as_mut().poll(context).map(Ok)
        }))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Asks over and over, from a thread of its own, whether to stop; gone when dropped.
pub struct Interrupt {
    shared: Arc<Shared>,
    asker: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    fired: AtomicBool,
    over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Interrupt {
    pub(super) fn new(asked: Arc<dyn Fn() -> bool + Send + Sync>) -> Interrupt {
        let shared = Arc::new(Shared::default());
        let its = shared.clone();
        let ask = move || {
            while !its.over.load(Ordering::SeqCst) {
                if asked() {
                    its.fired.store(true, Ordering::SeqCst);
                    if let Some(waker) = its.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        waker.wake();
                    }
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
        };
        // Without a thread the query runs all the same; it can then be ended by its process alone.
        let asker = std::thread::Builder::new().name("dsv-interrupt".into()).spawn(ask).ok();
        Interrupt { shared, asker }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(asker) = self.asker.take() {
            asker.thread().unpark();
        }
    }
}

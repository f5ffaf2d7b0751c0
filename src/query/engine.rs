//! DataFusion set up: dialect, limits, functions, and the operators it must not plan.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::{DFSchema, Result};
use datafusion::config::Dialect;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::QueryError;
use super::rows::BATCH_ROWS;

/// The catalog's name in DataFusion.
pub const CATALOG: &str = "dsv";
/// The schema of tables written without one. No revision is written so.
pub const WORKING: &str = ":";

/// How queries run.
#[derive(Clone)]
pub struct Options {
    /// Memory that sorts, joins and aggregations may take together, in bytes, before they go on from disk; scans take a few batches besides.
    pub memory_bytes: usize,
    /// Threads, and partitions of each scan.
    pub threads: usize,
    /// Where what does not fit is put; the system's folder for temporary files without one.
    pub spill_dir: Option<PathBuf>,
    /// True once a running query should end. Asked some twenty times a second.
    pub interrupted: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Options { memory_bytes: 1 << 30, threads, spill_dir: None, interrupted: None }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("memory_bytes", &self.memory_bytes)
            .field("threads", &self.threads)
            .field("spill_dir", &self.spill_dir)
            .finish_non_exhaustive()
    }
}

/// DataFusion's state without any table.
pub fn state(options: &Options) -> Result<SessionState, QueryError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.threads.max(1))
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_default_catalog_and_schema(CATALOG, WORKING)
        .with_create_default_catalog_and_schema(false)
        // Scans are dealt to all threads already; dealing batches in turn would only lose the rows' order.
        .with_round_robin_repartition(false);
    let threads = options.threads.max(1);
    // What a sort keeps back for merging what it spilled: by default more than a small limit has.
    let reserved = &mut config.options_mut().execution.sort_spill_reservation_bytes;
    *reserved = (*reserved).min(options.memory_bytes / (4 * threads));
    let sql = &mut config.options_mut().sql_parser;
    sql.dialect = Dialect::PostgreSQL;
    sql.collect_spans = true;
    sql.map_string_types_to_utf8view = false;
    let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_bytes), NonZeroUsize::MIN);
    let mut runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
    if let Some(dir) = &options.spill_dir {
        runtime = runtime.with_temp_file_path(dir);
    }
    let runtime = runtime.build_arc().map_err(|e| super::error::translate(e, options.memory_bytes))?;
    let planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Refused)];
    Ok(SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_expr_planners(planners).with_default_features().build())
}

/// Refuses pgvector's operators: DataFusion would take `<=>` for IS NOT DISTINCT FROM, a wrong answer without a word.
#[derive(Debug)]
struct Refused;

impl ExprPlanner for Refused {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let meant = match &expr.op {
            BinaryOperator::Spaceship => "cosine_distance(a, b)",
            BinaryOperator::LtDashGt => "array_distance(a, b)",
            BinaryOperator::Custom(op) if op == "<#>" => "-inner_product(a, b)",
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let why = format!("the operator {} is not supported yet: write {meant}", expr.op);
        Err(QueryError::Refused(why).into())
    }
}

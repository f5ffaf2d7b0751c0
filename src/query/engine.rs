//! DataFusion set up: dialect, limits, functions and operators of our own.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::{DFSchema, Result};
use datafusion::config::Dialect;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use super::QueryError;
use super::rows::BATCH_ROWS;
use super::{json, late, maps, media, using, vector};

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
    let planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(OwnOperators)];
    let rules = late::rules(&PhysicalOptimizer::new().rules);
    let builder = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_expr_planners(planners).with_default_features();
    let builder = builder.with_physical_optimizer_rules(rules);
    let mut state = builder.build();
    let fail = |e| super::error::translate(e, options.memory_bytes);
    // Ours take the place of DataFusion's of the same name, which know no embeddings of float16 and are slower by far.
    for function in vector::functions().into_iter().chain(media::functions()).chain(json::functions()).chain(maps::functions()) {
        // With its other names: under one of them it would come back when the state is built anew.
        state.deregister_udf(function.name()).map_err(fail)?;
        state.register_udf(function).map_err(fail)?;
    }
    // As PostgreSQL calls them.
    if let Some(signum) = state.scalar_functions().get("signum").cloned() {
        state.register_udf(Arc::new(Arc::unwrap_or_clone(signum).with_aliases(["sign"]))).map_err(fail)?;
    }
    if let Some(var) = state.aggregate_functions().get("var").cloned() {
        state.register_udaf(Arc::new(Arc::unwrap_or_clone(var).with_aliases(["variance"]))).map_err(fail)?;
    }
    state.register_udwf(Arc::new(vector::diverse())).map_err(fail)?;
    state.register_relation_planner(Arc::new(using::Merged)).map_err(fail)?;
    Ok(state)
}

/// Plans pgvector's operators and those on JSON, and maps: DataFusion would take `<=>` for IS NOT DISTINCT FROM, a wrong answer without a word.
#[derive(Debug)]
struct OwnOperators;

impl ExprPlanner for OwnOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let text = expr.op.to_string();
        let planned = vector::operator(&text, &expr.left, &expr.right).or_else(|| json::operator(&text, &expr.left, &expr.right, schema));
        Ok(match planned {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }

    fn plan_field_access(&self, expr: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        Ok(match maps::access(&expr, schema)? {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }

    fn plan_make_map(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(maps::made(args)))
    }
}

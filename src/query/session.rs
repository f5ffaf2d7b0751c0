//! Sessions: SQL over the revisions of one repository.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};

use crate::base::name::nearest;

use super::answer::{Answer, AnswerStream, Interrupt, Threads};
use super::dialect::DIALECT;
use super::engine::{Options, state};
use super::error::translate;
use super::hints::hints;
use super::params::{Params, substitute};
use super::{QueryError, Revisions, catalog, rewrite, sample, using};

/// Answers queries about a repository. Cheap to share; each query sees the repository as it is when it starts.
///
/// `FROM t` is the table of the working state (or of the revision the query is asked at), `FROM "v1.0".t` that of a revision, `dsv.commits`, `dsv.branches`,
/// `dsv.tags`, `dsv.tables`, `dsv.columns` and `dsv.conflicts` describe the repository; they may be written without `dsv.` where no table has the name. `diff(A, B, TABLE)`, `diff(A, B)`
/// and `blame(TABLE, COLUMN, REVISION)` are tables as well.
pub struct Session {
    revisions: Arc<dyn Revisions>,
    options: Options,
    state: SessionState,
    threads: Mutex<Option<Arc<Threads>>>,
}

impl Session {
    /// A session on a repository.
    pub fn new(revisions: Arc<dyn Revisions>, options: Options) -> Result<Session, QueryError> {
        let state = state(&options)?;
        Ok(Session { revisions, options, state, threads: Mutex::default() })
    }

    /// Runs one SELECT, VALUES or EXPLAIN; tables without a schema are those of the revision `at`, or of the working state. Runs on threads of its own: not to
    /// be called inside of an async task.
    pub fn query(&self, sql: &str, params: &Params, at: Option<&str>) -> Result<Answer, QueryError> {
        let threads = self.threads()?;
        let interrupt = self.options.interrupted.clone().map(Interrupt::new);
        let stream = threads.wait(interrupt.as_ref(), self.query_async(sql, params, at))??;
        Ok(Answer::new(stream, threads, interrupt))
    }

    /// As [`Session::query`], on the tokio runtime it is polled on, which must be one of several threads.
    pub async fn query_async(&self, sql: &str, params: &Params, at: Option<&str>) -> Result<AnswerStream, QueryError> {
        let (state, plan, hints) = self.plan(sql, params, at).await?;
        AnswerStream::start(plan, state.task_ctx(), self.options.memory_bytes, hints)
    }

    /// Of a function that there is not, those that come near it.
    pub(super) fn named(&self, error: QueryError) -> QueryError {
        let QueryError::NoFunction { name, .. } = error else { return error };
        let (scalar, aggregate, window) = (self.state.scalar_functions(), self.state.aggregate_functions(), self.state.window_functions());
        let all = scalar.keys().chain(aggregate.keys()).chain(window.keys()).map(String::as_str);
        let near = nearest(&name, all).into_iter().take(1).map(str::to_owned).collect();
        QueryError::NoFunction { name, near }
    }

    pub(super) fn threads(&self) -> Result<Arc<Threads>, QueryError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of a query that was interrupted may be at it for long yet: an operator lets go where it likes.
        if let Some(known) = threads.as_ref().filter(|known| !known.are_left()) {
            return Ok(known.clone());
        }
        Ok(threads.insert(Arc::new(Threads::new(self.options.threads)?)).clone())
    }

    async fn plan(&self, sql: &str, params: &Params, at: Option<&str>) -> Result<(SessionState, Arc<dyn ExecutionPlan>, Vec<String>), QueryError> {
        let mut statement = parse(sql)?;
        substitute(&mut statement, params)?;
        self.plan_statement(statement, at).await
    }

    async fn plan_statement(&self, statement: Statement, at: Option<&str>) -> Result<(SessionState, Arc<dyn ExecutionPlan>, Vec<String>), QueryError> {
        let (state, plan, hints) = self.logical(statement, at).await?;
        let plan = state.create_physical_plan(&plan).await.map_err(|e| self.named(translate(e, self.options.memory_bytes)))?;
        Ok((state, plan, hints))
    }

    /// The plan of a statement, as it was written.
    pub(super) async fn logical(&self, statement: Statement, at: Option<&str>) -> Result<(SessionState, LogicalPlan, Vec<String>), QueryError> {
        let fail = |e| self.named(translate(e, self.options.memory_bytes));
        super::refuse::check(&statement)?;
        let mut state = self.state.clone();
        for function in super::functions::all(&self.revisions) {
            let (name, function) = (function.name().to_owned(), function.function().clone());
            state.register_udtf(&name, function);
        }
        let (revisions, at, planner) = (self.revisions.clone(), at.map(str::to_owned), state);
        let looked_up = tokio::task::spawn_blocking(move || {
            let statement = written_out(statement, || Ok(revisions.snapshot(at.as_deref())?.tables.into_keys().collect()))?;
            let references = planner.resolve_table_references(&statement).map_err(|e| translate(e, 0))?;
            let tables = catalog::build(&*revisions, &planner, at.as_deref(), &references)?;
            let state = SessionStateBuilder::new_from_existing(planner).with_catalog_list(tables).build();
            Ok::<_, QueryError>((joined(statement, &state)?, state))
        });
        let (statement, mut state) = looked_up.await.map_err(|e| QueryError::Run(e.to_string()))?.map_err(|e| self.named(e))?;
        state.mark_start_execution();
        let plan = state.statement_to_plan(statement).await.map_err(fail)?;
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(&plan).map_err(fail)?;
        let hints = hints(&plan);
        Ok((state, plan, hints))
    }

    /// As [`Session::query`], of a statement that is parsed and has its parameters.
    pub(super) fn answer(&self, statement: Statement, at: Option<&str>) -> Result<Answer, QueryError> {
        let threads = self.threads()?;
        let interrupt = self.options.interrupted.clone().map(Interrupt::new);
        let started = async {
            let (state, plan, hints) = self.plan_statement(statement, at).await?;
            AnswerStream::start(plan, state.task_ctx(), self.options.memory_bytes, hints)
        };
        let stream = threads.wait(interrupt.as_ref(), started)??;
        Ok(Answer::new(stream, threads, interrupt))
    }

    /// What a query would return. Nothing is run.
    pub(super) fn schema_of(&self, sql: &str) -> Result<SchemaRef, QueryError> {
        let (_, plan, _) = self.threads()?.wait(None, self.plan(sql, &Params::new(), None))??;
        Ok(plan.schema())
    }

    /// How its queries run.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// DataFusion's state without any table.
    pub(super) fn state(&self) -> &SessionState {
        &self.state
    }
}

/// The statement with what it leaves to be understood written out: see [`rewrite`]. `tables` are those that one without FROM may mean.
pub(super) fn written_out(mut statement: Statement, tables: impl FnOnce() -> Result<Vec<String>, QueryError>) -> Result<Statement, QueryError> {
    rewrite::vectors(&mut statement);
    rewrite::quantifiers(&mut statement);
    sample::written_out(&mut statement)?;
    if rewrite::lacks_table(&statement) {
        rewrite::add_table(&mut statement, &tables()?)?;
    }
    Ok(statement)
}

/// The statement with its joins by USING and NATURAL written out, of tables that `state` has. Blocks: to be called on a thread of a runtime that may.
pub(super) fn joined(mut statement: Statement, state: &SessionState) -> Result<Statement, QueryError> {
    using::written_out(&mut statement, state)?;
    super::refuse::check_joins(&statement)?;
    Ok(statement)
}

/// The names of the tables that a query reads; those of a schema by both names.
pub fn tables(sql: &str) -> Result<BTreeSet<String>, QueryError> {
    let statement = parse(sql)?;
    super::refuse::check(&statement)?;
    let state = state(&Options { threads: 1, ..Options::default() })?;
    let references = state.resolve_table_references(&statement).map_err(|e| translate(e, 0))?;
    Ok(references.iter().map(ToString::to_string).collect())
}

/// The query with that table where it names none, as in `SELECT * WHERE x > 1`; any other as it was written. For callers to whom one of several tables is at hand.
pub fn about(sql: &str, table: &str) -> Result<String, QueryError> {
    let mut statement = parse(sql)?;
    if !rewrite::lacks_table(&statement) {
        return Ok(sql.to_owned());
    }
    rewrite::add_table(&mut statement, &[table.to_owned()])?;
    Ok(statement.to_string())
}

/// The one statement that a text holds.
pub(super) fn parse(sql: &str) -> Result<Statement, QueryError> {
    let fail = |e| translate(e, 0);
    let parser = DFParserBuilder::new(sql).with_dialect(&DIALECT).build();
    let mut statements = parser.and_then(|mut parser| parser.parse_statements()).map_err(fail)?;
    match (statements.pop_front(), statements.len()) {
        (None, _) => Err(QueryError::Syntax { at: None, why: "there is no query".into() }),
        (Some(statement), 0) => Ok(statement),
        (Some(_), more) => Err(QueryError::Refused(format!("one query at a time: {} more stand after the first", more))),
    }
}

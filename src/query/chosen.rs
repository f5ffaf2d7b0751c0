//! What a query chooses of one table, without copying it: the slots of the rows, and of each column where it stands. Columns that the query computes come as values.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, TableScan, TableScanBuilder};

use crate::chunk::Objects;
use crate::format::Type;
use crate::table::Table;

use super::QueryError;
use super::answer::{Answer, AnswerStream, Interrupt};
use super::error::translate;
use super::exec::SLOT;
use super::params::{Params, substitute};
use super::provider::RevisionTable;
use super::session::{Session, parse};

/// Where a column of a query stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this column of the table, by index.
    Stored(usize),
    /// In this column of [`Chosen::values`], counted from 0 behind the slots.
    Computed(usize),
}

/// Rows of a table that a query chose.
pub struct Chosen {
    /// Where the table is.
    pub objects: Arc<Objects>,
    /// The table.
    pub table: Arc<Table>,
    /// The query's columns by name, and where each stands.
    pub columns: Vec<(String, Source)>,
    /// Whether the query says in what order its rows come; otherwise they are the table's, in its order, whatever the order of `values`.
    pub is_ordered: bool,
    /// For each row its slot, as uint64, and behind it what was computed.
    pub values: Answer,
}

/// What a query is about.
pub enum Choice {
    /// Rows of one table.
    Rows(Box<Chosen>),
    /// Rows that are made of several tables' or of many rows', such as sums.
    Made(Answer),
}

impl Session {
    /// Runs a query as [`Session::query`] does, but takes no column along that a table has as it is: a selection of pictures comes as slots. That holds for whatever filters, sorts, limits
    /// and renames rows of a table, or looks up others for them; all else is answered.
    pub fn choose(&self, sql: &str, params: &Params, at: Option<&str>) -> std::result::Result<Choice, QueryError> {
        let threads = self.threads()?;
        let options = self.options();
        let interrupt = options.interrupted.clone().map(Interrupt::new);
        let fail = |e| self.named(translate(e, options.memory_bytes));
        let chosen = async {
            let mut statement = parse(sql)?;
            substitute(&mut statement, params)?;
            let (state, plan, hints) = self.logical(statement, at).await?;
            let optimized = state.optimize(&plan).map_err(fail)?;
            let base = match Base::of(&optimized).map_err(fail)? {
                Some(base) => base,
                None => {
                    let plan = state.create_physical_plan(&plan).await.map_err(fail)?;
                    return Ok((AnswerStream::start(plan, state.task_ctx(), options.memory_bytes, hints)?, None));
                }
            };
            let (plan, columns) = base.values(optimized.schema()).map_err(fail)?;
            let physical = state.create_physical_plan(&plan).await.map_err(fail)?;
            let stream = AnswerStream::start(physical, state.task_ctx(), options.memory_bytes, hints)?;
            Ok::<_, QueryError>((stream, Some((base, columns))))
        };
        let (stream, base) = threads.wait(interrupt.as_ref(), chosen)??;
        let values = Answer::new(stream, threads, interrupt);
        Ok(match base {
            Some((base, columns)) => Choice::Rows(Box::new(Chosen { objects: base.objects, table: base.table, columns, is_ordered: base.is_ordered, values })),
            None => Choice::Made(values),
        })
    }
}

/// A plan each of whose rows stems from one row of a table.
struct Base {
    objects: Arc<Objects>,
    table: Arc<Table>,
    /// The plan with the slots among its columns.
    plan: LogicalPlan,
    /// For each column of the plan as it was, the table's that it is, if it is one.
    sources: Vec<Option<usize>>,
    is_ordered: bool,
}

impl Base {
    fn of(plan: &LogicalPlan) -> Result<Option<Base>> {
        match plan {
            LogicalPlan::TableScan(scan) => Base::scan(scan),
            LogicalPlan::Projection(projection) => {
                let Some(below) = Base::of(&projection.input)? else { return Ok(None) };
                let mut sources = Vec::with_capacity(projection.expr.len());
                for expr in &projection.expr {
                    sources.push(match bare(expr) {
                        Expr::Column(column) => below.sources.get(projection.input.schema().index_of_column(column)?).copied().flatten(),
                        _ => None,
                    });
                }
                let slot = below.slot()?;
                let exprs = projection.expr.iter().cloned().chain([Expr::Column(slot)]);
                let plan = LogicalPlanBuilder::from(below.plan).project(exprs)?.build()?;
                Ok(Some(Base { plan, sources, ..below }))
            }
            LogicalPlan::Filter(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Sort(_) => {
                let Some(below) = plan.inputs().first().map(|input| Base::of(input)).transpose()?.flatten() else { return Ok(None) };
                let is_ordered = below.is_ordered || matches!(plan, LogicalPlan::Sort(_));
                Ok(Some(Base { plan: plan.with_new_exprs(plan.expressions(), vec![below.plan])?, is_ordered, ..below }))
            }
            LogicalPlan::Window(_) => {
                let Some(below) = plan.inputs().first().map(|input| Base::of(input)).transpose()?.flatten() else { return Ok(None) };
                let mut sources = below.sources.clone();
                sources.resize(plan.schema().fields().len(), None);
                Ok(Some(Base { plan: plan.with_new_exprs(plan.expressions(), vec![below.plan])?, sources, ..below }))
            }
            LogicalPlan::Join(join) => {
                let (left, right) = (&join.left, &join.right);
                // The side all of whose rows that come out are its own, with what is wider on it.
                let keeps = |side: &LogicalPlan, types: &[JoinType]| if types.contains(&join.join_type) { Base::of(side) } else { Ok(None) };
                let of_left = keeps(left, &[JoinType::Inner, JoinType::Left, JoinType::LeftSemi, JoinType::LeftAnti])?;
                let of_right = keeps(right, &[JoinType::Inner, JoinType::Right, JoinType::RightSemi, JoinType::RightAnti])?;
                let (base, is_left) = match (of_left, of_right) {
                    (Some(left), Some(right)) if right.width() > left.width() => (right, false),
                    (Some(left), _) => (left, true),
                    (None, Some(right)) => (right, false),
                    (None, None) => return Ok(None),
                };
                let (before, after) = match join.join_type {
                    JoinType::Inner | JoinType::Left | JoinType::Right if is_left => (0, right.schema().fields().len()),
                    JoinType::Inner | JoinType::Left | JoinType::Right => (left.schema().fields().len(), 0),
                    _ => (0, 0),
                };
                let mut sources = vec![None; before];
                sources.extend(&base.sources);
                sources.resize(sources.len() + after, None);
                let inputs = if is_left { vec![base.plan, (**right).clone()] } else { vec![(**left).clone(), base.plan] };
                // A join does not keep an order.
                Ok(Some(Base { plan: plan.with_new_exprs(plan.expressions(), inputs)?, sources, is_ordered: false, ..base }))
            }
            _ => Ok(None),
        }
    }

    fn scan(scan: &TableScan) -> Result<Option<Base>> {
        let provider = source_as_provider(&scan.source)?;
        let Some(table) = provider.downcast_ref::<RevisionTable>() else { return Ok(None) };
        let (objects, stored) = table.stored();
        let (objects, stored) = (objects.clone(), stored.clone());
        let columns = scan.projection.clone().unwrap_or_else(|| (0..stored.columns.len()).collect());
        let with_slot = columns.iter().copied().chain([stored.columns.len()]).collect();
        let builder = TableScanBuilder::new(scan.table_name.clone(), provider_as_source(Arc::new(table.clone().with_slots())));
        let built = builder.with_projection(Some(with_slot)).with_filters(scan.filters.clone()).with_fetch(scan.fetch).build()?;
        let sources = columns.into_iter().map(Some).collect();
        Ok(Some(Base { objects, table: stored, plan: LogicalPlan::TableScan(built), sources, is_ordered: false }))
    }

    /// How many of its columns hold more than numbers.
    fn width(&self) -> usize {
        let is_wide = |column: &usize| self.table.schema.columns.get(*column).is_some_and(|c| !matches!(&c.ty, Type::Plain(ty) if ty.is_primitive()));
        self.sources.iter().flatten().filter(|column| is_wide(column)).count()
    }

    /// The column of the slots.
    fn slot(&self) -> Result<Column> {
        let found = self.plan.schema().iter().find(|(_, field)| field.name() == SLOT);
        match found {
            Some((qualifier, field)) => Ok(Column::new(qualifier.cloned(), field.name())),
            None => datafusion::common::internal_err!("no slots among {}", self.plan.schema()),
        }
    }

    /// The slots and the columns that are computed, and where each of the query's columns stands, which are those of `schema`.
    fn values(&self, schema: &DFSchema) -> Result<(LogicalPlan, Vec<(String, Source)>)> {
        let mut exprs = vec![Expr::Column(self.slot()?)];
        let mut columns = Vec::with_capacity(self.sources.len());
        for ((qualifier, field), source) in schema.iter().zip(&self.sources) {
            let source = match source {
                Some(column) => Source::Stored(*column),
                None => {
                    exprs.push(Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(format!("computed {}", exprs.len())));
                    Source::Computed(exprs.len() - 2)
                }
            };
            columns.push((field.name().clone(), source));
        }
        Ok((LogicalPlanBuilder::from(self.plan.clone()).project(exprs)?.build()?, columns))
    }
}

/// The expression without the names given to it.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

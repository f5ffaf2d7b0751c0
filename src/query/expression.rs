//! Single expressions over the rows of one table: what fills a new column, and what picks rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::ExprWithAlias;

use crate::chunk::Objects;
use crate::format::Type;
use crate::format::array::to_storage;
use crate::repo::take_any;
use crate::table::edit::Fill;
use crate::table::{Table, TableError};

use super::QueryError;
use super::dialect::DIALECT;
use super::engine::{Options, state};
use super::error::{translate, type_name};
use super::params::{Params, substitute_expr};
use super::prune::Prune;
use super::rows::{Conjunct, Rows, Selection, Watch};

/// An SQL expression planned over a table.
pub(super) struct Planned {
    state: SessionState,
    schema: DFSchemaRef,
    /// The expression, with its types reconciled and simplified.
    pub expr: Expr,
}

fn plan(table: &Table, sql: &str, params: &Params, wanted: Option<DataType>) -> Result<Planned, QueryError> {
    let fail = |e| translate(e, 0);
    let state = state(&Options { threads: 1, ..Options::default() })?;
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let schema = DFSchema::try_from(table.schema.arrow(&columns)).map_err(fail)?;
    let mut parsed = DFParserBuilder::new(sql).with_dialect(&DIALECT).build().and_then(|mut p| p.parse_into_expr()).map_err(fail)?;
    substitute_expr(&mut parsed.expr, params)?;
    let mut planned = Planned::of(state, Arc::new(schema), parsed)?;
    if let Some(wanted) = wanted {
        planned.expr = planned.expr.cast_to(&wanted, &*planned.schema).map_err(fail)?;
        planned.expr = planned.simplifier().simplify(planned.expr.clone()).map_err(fail)?;
    }
    Ok(planned)
}

impl Planned {
    /// Plans an expression over columns.
    pub fn of(state: SessionState, schema: DFSchemaRef, parsed: ExprWithAlias) -> Result<Planned, QueryError> {
        let fail = |e| translate(e, 0);
        let expr = state.create_logical_expr_from_sql_expr(parsed, &schema).map_err(fail)?;
        let stray = expr.exists(|e| {
            Ok(matches!(
                e,
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) | Expr::AggregateFunction(_) | Expr::WindowFunction(_)
            ))
        });
        if stray.map_err(fail)? {
            return Err(QueryError::Refused("an expression over single rows holds no subquery, aggregate or window".into()));
        }
        let mut planned = Planned { state, schema, expr };
        let simplifier = planned.simplifier();
        let expr = simplifier.coerce(planned.expr.clone(), &planned.schema).map_err(fail)?;
        planned.expr = simplifier.simplify(expr).map_err(fail)?;
        Ok(planned)
    }

    fn simplifier(&self) -> ExprSimplifier {
        let context = SimplifyContext::builder()
            .with_schema(self.schema.clone())
            .with_config_options(self.state.config_options().clone())
            .with_query_execution_start_time(self.state.execution_props().query_execution_start_time)
            .build();
        ExprSimplifier::new(context)
    }

    /// An expression over the same columns, as it is run.
    pub fn physical(&self, expr: Expr) -> Result<Arc<dyn PhysicalExpr>, QueryError> {
        self.state.create_physical_expr(expr, &self.schema).map_err(|e| translate(e, 0))
    }
}

/// The predicate planned, as true, false or null.
fn plan_condition(table: &Table, predicate: &str, params: &Params) -> Result<Planned, QueryError> {
    let mut planned = plan(table, predicate, params, None)?;
    let fail = |e| translate(e, 0);
    match planned.expr.get_type(&*planned.schema).map_err(fail)? {
        DataType::Boolean => {}
        DataType::Null => planned.expr = planned.expr.cast_to(&DataType::Boolean, &*planned.schema).map_err(fail)?,
        other => {
            return Err(QueryError::Refused(format!("a condition must be true or false, not {}", type_name(&other))));
        }
    }
    Ok(planned)
}

/// A predicate whose parts must all be true.
pub(super) struct Condition {
    /// The parts, over the columns of the whole table.
    pub parts: Vec<Arc<dyn PhysicalExpr>>,
    /// The columns that they read.
    pub columns: BTreeSet<usize>,
    /// Where one of them may be false.
    pub fails: Prune,
}

impl Condition {
    /// Plans it.
    pub fn plan(table: &Table, predicate: &str) -> Result<Condition, QueryError> {
        let planned = plan_condition(table, predicate, &Params::new())?;
        let context = SimplifyContext::builder().with_schema(planned.schema.clone()).with_config_options(planned.state.config_options().clone()).build();
        let negated = ExprSimplifier::new(context).simplify(Expr::Not(Box::new(planned.expr.clone()))).map_err(|e| translate(e, 0))?;
        let fails = Prune::of(&negated, &table.schema);
        let mut condition = Condition { parts: Vec::new(), columns: BTreeSet::new(), fails };
        for part in split_conjunction_owned(planned.expr.clone()) {
            let part = Conjunct::new(planned.physical(part)?);
            condition.columns.extend(&part.columns);
            condition.parts.push(part.expr);
        }
        Ok(condition)
    }
}

/// An SQL predicate over one state of a table, asked about single rows.
pub struct RowTest {
    objects: Arc<Objects>,
    table: Arc<Table>,
    columns: Vec<usize>,
    expr: Arc<dyn PhysicalExpr>,
}

impl RowTest {
    /// Plans the predicate.
    pub fn new(objects: &Arc<Objects>, table: &Arc<Table>, predicate: &str, params: &Params) -> Result<RowTest, QueryError> {
        let planned = plan_condition(table, predicate, params)?;
        let whole = Conjunct::new(planned.physical(planned.expr.clone())?);
        let columns: Vec<usize> = whole.columns.iter().copied().collect();
        Ok(RowTest { objects: objects.clone(), table: table.clone(), expr: super::rows::rebind(&whole.expr, &columns)?, columns })
    }

    /// Whether it is true of the rows at some slots, in any order; false where there is no slot. Reads the predicate's columns there.
    pub fn test(&self, slots: &[Option<u64>]) -> Result<Vec<bool>, QueryError> {
        let arrays = take_any(&self.objects, &self.table, &self.columns, slots)?;
        let fields: Vec<_> = self.table.schema.arrow(&self.columns).fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        let batch = RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), arrays, &options)?;
        let truths = super::rows::truths(&self.expr, &batch)?;
        Ok(slots.iter().zip(truths.values()).map(|(slot, truth)| slot.is_some() && truth).collect())
    }
}

/// The rows of a table for which a predicate is true.
fn matching(objects: &Arc<Objects>, table: &Arc<Table>, predicate: &str, params: &Params, output: Vec<usize>, watch: Watch) -> Result<Rows, QueryError> {
    let planned = plan_condition(table, predicate, params)?;
    let prune = Prune::of(&planned.expr, &table.schema);
    let mut conjuncts = Vec::new();
    for part in split_conjunction_owned(planned.expr.clone()) {
        conjuncts.push(Conjunct::new(planned.physical(part)?));
    }
    let slots = table.slots(objects)?;
    let ranges = prune.ranges(table, objects, std::iter::once(0..slots).filter(|all| !all.is_empty()).collect())?;
    Selection { conjuncts, output, ..Selection::all(objects, table) }.open(ranges, watch)
}

/// The slots of the rows of a table for which an SQL predicate is true, ascending.
pub fn filter_slots(objects: &Arc<Objects>, table: &Arc<Table>, predicate: &str, params: &Params) -> Result<Vec<u64>, QueryError> {
    let mut slots = Vec::new();
    for passed in matching(objects, table, predicate, params, Vec::new(), Watch::default())? {
        slots.extend(passed?.slots);
    }
    Ok(slots)
}

/// The rows of a table, in order, for which an SQL predicate is true (all rows without one), in the columns of those indices.
pub fn select(objects: &Arc<Objects>, table: &Arc<Table>, predicate: Option<&str>, params: &Params, columns: Vec<usize>) -> Result<Selected, QueryError> {
    let rows = match predicate {
        Some(predicate) => matching(objects, table, predicate, params, columns, Watch::default())?,
        None => {
            let slots = table.slots(objects)?;
            Selection { output: columns, ..Selection::all(objects, table) }.open(std::iter::once(0..slots).collect(), Watch::default())?
        }
    };
    Ok(Selected { rows })
}

/// The batches of [`select`].
pub struct Selected {
    rows: Rows,
}

impl Selected {
    /// Their schema.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// Ends with [`QueryError::Interrupted`] once `asked` says so, between two batches or within a long search for one.
    pub fn interrupted_by(mut self, asked: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        self.rows.stop_when(asked);
        self
    }
}

impl Iterator for Selected {
    type Item = Result<RecordBatch, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.rows.next()?.map(|passed| passed.batch))
    }
}

/// The values of an SQL expression over the live rows of a table, in order: one for each. With `wanted` they are cast to that type; without, they come as the
/// expression's own.
pub fn evaluate(objects: &Arc<Objects>, table: &Arc<Table>, expression: &str, params: &Params, wanted: Option<&Type>) -> Result<Evaluation, QueryError> {
    let planned = plan(table, expression, params, wanted.map(Type::storage))?;
    let (_, field) = planned.expr.to_field(&*planned.schema).map_err(|e| translate(e, 0))?;
    let ty = match wanted {
        Some(wanted) => wanted.clone(),
        None => Type::from_field(&field)?,
    };
    let whole = Conjunct::new(planned.physical(planned.expr.clone())?);
    let columns: Vec<usize> = whole.columns.iter().copied().collect();
    let expr = super::rows::rebind(&whole.expr, &columns)?;
    let slots = table.slots(objects)?;
    let rows = Selection { output: columns, ..Selection::all(objects, table) }.open(std::iter::once(0..slots).collect(), Watch::default())?;
    Ok(Evaluation { rows, expr, ty })
}

/// The value of an expression that is the same for all rows, in the storage layout of `ty`; `None` where it is not.
pub fn constant(table: &Arc<Table>, expression: &str, params: &Params, ty: &Type) -> Result<Option<ArrayRef>, QueryError> {
    let planned = plan(table, expression, params, Some(ty.storage()))?;
    let whole = Conjunct::new(planned.physical(planned.expr.clone())?);
    if !whole.columns.is_empty() || planned.expr.is_volatile() {
        return Ok(None);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::empty()), Vec::new(), &options)?;
    let value = whole.expr.evaluate(&batch).and_then(|value| value.into_array(1)).map_err(|e| translate(e, 0))?;
    Ok(Some(to_storage(&value, &ty.storage())?))
}

/// The values of [`evaluate`].
pub struct Evaluation {
    rows: Rows,
    expr: Arc<dyn PhysicalExpr>,
    ty: Type,
}

impl Evaluation {
    /// Their type; they come in its storage layout.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// As [`Selected::interrupted_by`].
    pub fn interrupted_by(mut self, asked: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        self.rows.stop_when(asked);
        self
    }

    /// The values as what fills a new column.
    pub fn fill(self) -> Fill {
        Fill::Values(Box::new(self.map(|values| {
            values.map_err(|error| match error {
                QueryError::Table(error) => error,
                QueryError::Interrupted => TableError::Interrupted,
                other => TableError::Schema(other.to_string()),
            })
        })))
    }
}

impl Iterator for Evaluation {
    type Item = Result<ArrayRef, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.rows.next()? {
            Ok(passed) => passed.batch,
            Err(error) => return Some(Err(error)),
        };
        let values = self.expr.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows())).map_err(|e| translate(e, 0));
        Some(values.and_then(|values| Ok(to_storage(&values, &self.ty.storage())?)))
    }
}

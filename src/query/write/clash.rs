//! `ON CONFLICT ... DO UPDATE SET ...`: expressions over a row that is there and the one that met it, which SQL calls `excluded`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::sql::sqlparser::ast::{Expr, ExprWithAlias};

use crate::chunk::Objects;
use crate::repo::take_any;
use crate::table::Table;

use super::QueryError;
use crate::query::error::translate;
use crate::query::expression::Planned;
use crate::query::rows::{rebind, truths};
use crate::query::session::Session;

/// What the new row is called.
const EXCLUDED: &str = "excluded";

/// What is set, planned.
pub struct Clash {
    objects: Arc<Objects>,
    /// The fields of the table, and behind them those of the new row.
    fields: Arc<Schema>,
    /// The place of each of the table's columns among those of the new rows.
    given: Vec<Option<usize>>,
    /// The columns that the expressions read, of `fields`.
    columns: Vec<usize>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    wanted: Option<Arc<dyn PhysicalExpr>>,
}

impl Clash {
    /// Plans expressions over the table, called `alias`, and new rows with `columns` of it.
    pub fn plan(
        session: &Session,
        objects: &Arc<Objects>,
        table: &Arc<Table>,
        alias: &str,
        columns: &[String],
        exprs: Vec<Expr>,
        selection: Option<Expr>,
    ) -> Result<Clash, QueryError> {
        let fail = |e| translate(e, 0);
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let own = table.schema.arrow(&all);
        let here = DFSchema::try_from_qualified_schema(alias, &own).map_err(fail)?;
        let new = DFSchema::try_from_qualified_schema(EXCLUDED, &own).map_err(fail)?;
        let schema = Arc::new(here.join(&new).map_err(fail)?);
        let plan = |expr: Expr| {
            let planned = Planned::of(session.state().clone(), schema.clone(), ExprWithAlias { expr, alias: None })?;
            planned.physical(planned.expr.clone())
        };
        let exprs = exprs.into_iter().map(plan).collect::<Result<Vec<_>, _>>()?;
        let wanted = selection.map(plan).transpose()?;
        let read: BTreeSet<usize> = exprs.iter().chain(&wanted).flat_map(collect_columns).map(|column| column.index()).collect();
        let read: Vec<usize> = read.into_iter().collect();
        Ok(Clash {
            objects: objects.clone(),
            fields: Arc::new(schema.as_arrow().clone()),
            given: table.schema.columns.iter().map(|column| columns.iter().position(|name| *name == column.name)).collect(),
            exprs: exprs.iter().map(|expr| rebind(expr, &read)).collect::<Result<_, _>>()?,
            wanted: wanted.map(|expr| rebind(&expr, &read)).transpose()?,
            columns: read,
        })
    }

    /// The new cells for rows at some slots, which these new rows met, and which of them are wanted.
    pub fn cells(&mut self, table: &Arc<Table>, new: &RecordBatch, slots: &[u64]) -> Result<(Vec<ArrayRef>, BooleanArray), QueryError> {
        let own = table.columns.len();
        let slots: Vec<Option<u64>> = slots.iter().copied().map(Some).collect();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            arrays.push(match column.checked_sub(own) {
                None => take_any(&self.objects, table, &[*column], &slots)?.remove(0),
                Some(i) => match self.given.get(i).copied().flatten() {
                    Some(place) => new.column(place).clone(),
                    None => new_null_array(self.fields.field(*column).data_type(), slots.len()),
                },
            });
        }
        let fields: Vec<_> = self.columns.iter().map(|i| self.fields.field(*i).clone().with_nullable(true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        let evaluate = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows())).map_err(|e| translate(e, 0));
        let wanted = match &self.wanted {
            None => BooleanArray::from(vec![true; slots.len()]),
            Some(expr) => truths(expr, &batch)?,
        };
        Ok((self.exprs.iter().map(evaluate).collect::<Result<_, _>>()?, wanted))
    }
}

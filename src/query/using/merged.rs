//! The relation of merged columns, planned.

use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Result, TableReference};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr as PlanExpr, ExprSchemable, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr, ExprWithAlias, TableFactor};

use super::QUALIFIER;

/// Plans the relation that `Using::wrap` makes: the merged columns, then all columns of both sides.
#[derive(Debug)]
pub struct Merged;

impl RelationPlanner for Merged {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let (table, merged, qualifier) = match relation {
            TableFactor::Pivot { table, aggregate_functions, value_column, alias: Some(alias), .. }
                if value_column.is_empty() && alias.name.value.split(' ').next() == Some(QUALIFIER) =>
            {
                (table, aggregate_functions, alias.name.value)
            }
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        let input = context.plan(*table)?;
        let mut exprs = Vec::with_capacity(merged.len() + input.schema().fields().len());
        for ExprWithAlias { expr, alias } in merged {
            let sides = match expr {
                Expr::Tuple(sides) => sides,
                one => vec![one],
            };
            let mut sides = sides.into_iter().map(|side| context.sql_to_expr(side, input.schema())).collect::<Result<Vec<PlanExpr>>>()?;
            let fields = sides.iter().map(|side| Ok(side.to_field(input.schema().as_ref())?.1)).collect::<Result<Vec<_>>>()?;
            // What dsv's types say beside Arrow's is lost in a function.
            let metadata = fields.first().map(|first| first.metadata().clone()).filter(|first| fields.iter().all(|field| field.metadata() == first));
            let expr = match (sides.pop(), sides.is_empty()) {
                (Some(only), true) => only,
                (Some(last), false) => {
                    sides.push(last);
                    datafusion::functions::core::coalesce().call(sides)
                }
                (None, _) => return datafusion::common::internal_err!("a merged column of nothing"),
            };
            let name = alias.map(|alias| alias.value).unwrap_or_default();
            let metadata = metadata.filter(|metadata| !metadata.is_empty()).map(FieldMetadata::from);
            exprs.push(expr.alias_qualified_with_metadata(Some(TableReference::bare(qualifier.as_str())), name, metadata));
        }
        exprs.extend(input.schema().columns().into_iter().map(PlanExpr::Column));
        let plan = LogicalPlanBuilder::from(input).project(exprs)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

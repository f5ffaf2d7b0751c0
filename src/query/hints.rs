//! What a plan gives reason to say to whoever asked.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Sort};

use super::vector::is_similarity;

/// Hints, a line each; none for most queries.
pub fn hints(plan: &LogicalPlan) -> Vec<String> {
    let (mut limited, mut ascending) = (false, false);
    let looked = plan.apply(|node| {
        match node {
            LogicalPlan::Limit(_) => limited = true,
            LogicalPlan::Sort(sort) => {
                limited |= sort.fetch.is_some();
                ascending |= sort.expr.first().is_some_and(|first| first.asc && is_similarity(source(&first.expr, sort)));
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if looked.is_ok() && limited && ascending {
        vec![
            "a similarity in ascending order begins with what is least alike: ORDER BY ... DESC gives the nearest, as a distance in ascending order does"
                .to_owned(),
        ]
    } else {
        Vec::new()
    }
}

/// What a sort's expression stands for: of a name that the SELECT gave, what it named.
fn source<'a>(expr: &'a Expr, sort: &'a Sort) -> &'a Expr {
    let Expr::Column(column) = expr else { return expr };
    let LogicalPlan::Projection(below) = &*sort.input else { return expr };
    below.expr.iter().find(|named| named.schema_name().to_string() == column.name).unwrap_or(expr)
}

//! What a query may not be: a statement that writes, or one that DataFusion would answer wrongly without a word.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator, Select, Statement as SqlStatement, TableFactor, TableWithJoins, Visit, Visitor};

use super::QueryError;

/// Refuses such a statement.
pub fn check(statement: &Statement) -> Result<(), QueryError> {
    let inner = match statement {
        Statement::Statement(inner) => inner,
        Statement::Explain(explain) => return check(&explain.statement),
        _ => return Err(QueryError::Refused("a query only reads".into())),
    };
    match &**inner {
        SqlStatement::Query(_) | SqlStatement::Explain { .. } => {}
        other => {
            let text = other.to_string();
            let verb = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            return Err(QueryError::Refused(format!("{verb} is refused: a query only reads")));
        }
    }
    Ok(())
}

/// Refuses joins that [`using`](super::using) left as they were, and that DataFusion would answer wrongly.
pub fn check_joins(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(inner) => match inner.visit(&mut Joins) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => check_joins(&explain.statement),
        _ => Ok(()),
    }
}

/// A column joined by USING is that of either side, whichever is there. DataFusion gives the left side's alone, which is null where the row comes from the right.
struct Joins;

impl Joins {
    fn table(table: &TableWithJoins) -> ControlFlow<QueryError> {
        for join in &table.joins {
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => ("RIGHT", constraint),
                JoinOperator::FullOuter(constraint) => ("FULL", constraint),
                _ => continue,
            };
            if matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural) {
                let why = format!("{kind} JOIN with USING or NATURAL is not supported here: write ON a.x = b.x, and coalesce(a.x, b.x) for the column of both");
                return ControlFlow::Break(QueryError::Refused(why));
            }
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Joins {
    type Break = QueryError;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        select.from.iter().try_for_each(Joins::table)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => Joins::table(table_with_joins),
            _ => ControlFlow::Continue(()),
        }
    }
}

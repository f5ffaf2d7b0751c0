//! What is written otherwise than DataFusion reads it: casts to `vector` and `json`, which are no casts here, and a SELECT without FROM where one table alone can be meant.
//! And what it would read wrongly: `x > ALL (SELECT x FROM t)`.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, SelectItem, SetExpr, Statement as SqlStatement,
    TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::QueryError;

/// Leaves out casts to pgvector's `vector` and `halfvec`, and to `json` and `jsonb`: as text they are understood wherever they are taken.
pub fn vectors(statement: &mut Statement) {
    match statement {
        Statement::Statement(inner) => drop(inner.visit(&mut Casts)),
        Statement::Explain(explain) => vectors(&mut explain.statement),
        _ => {}
    }
}

struct Casts;

impl VisitorMut for Casts {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: inner, data_type, .. } = expr {
            let understood = match data_type {
                DataType::JSON | DataType::JSONB => true,
                DataType::Custom(name, _) => ["vector", "halfvec"].iter().any(|known| name.to_string().eq_ignore_ascii_case(known)),
                _ => false,
            };
            if understood {
                let inner = std::mem::replace(&mut **inner, Expr::value(Value::Null));
                *expr = Expr::Nested(Box::new(inner));
            }
        }
        // mod(a, b), which DataFusion has as an operator alone.
        if let Expr::Function(function) = expr
            && function.name.to_string().eq_ignore_ascii_case("mod")
            && let FunctionArguments::List(list) = &mut function.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(left)), FunctionArg::Unnamed(FunctionArgExpr::Expr(right))] = &mut list.args[..]
        {
            let take = |from: &mut Expr| Box::new(Expr::Nested(Box::new(std::mem::replace(from, Expr::value(Value::Null)))));
            let (left, right) = (take(left), take(right));
            *expr = Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::Modulo, right }));
        }
        ControlFlow::Continue(())
    }
}

/// Gives the column of a subquery behind ANY or ALL a name of its own. DataFusion compares by name, and where both sides have one, as in
/// `SELECT ... FROM t WHERE n >= ALL (SELECT n FROM t)`, each row of the subquery with itself: a wrong answer without a word.
pub fn quantifiers(statement: &mut Statement) {
    match statement {
        Statement::Statement(inner) => drop(inner.visit(&mut Quantifiers)),
        Statement::Explain(explain) => quantifiers(&mut explain.statement),
        _ => {}
    }
}

struct Quantifiers;

impl VisitorMut for Quantifiers {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr
            && let Expr::Subquery(query) = &mut **right
        {
            name_apart(query);
        }
        ControlFlow::Continue(())
    }
}

fn name_apart(query: &mut Query) {
    if let SetExpr::Select(select) = &mut *query.body
        && let [item @ (SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })] = &mut select.projection[..]
    {
        if let SelectItem::UnnamedExpr(value) = item {
            let expr = std::mem::replace(value, Expr::value(Value::Null));
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', "one of them") };
        }
        return;
    }
    // The column of a `*` or a UNION is named by the table that all of it is.
    let around = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT * FROM (SELECT 1) AS \"one of them\"").ok().and_then(|mut parsed| parsed.pop());
    if let Some(SqlStatement::Query(mut around)) = around
        && let SetExpr::Select(select) = &mut *around.body
        && let Some(TableWithJoins { relation: TableFactor::Derived { subquery, .. }, .. }) = select.from.first_mut()
    {
        std::mem::swap(&mut **subquery, query);
        *query = *around;
    }
}

/// True of a query whose outermost SELECT names no table and yet asks for columns of one: it has a `*`, or a column in what it selects or in its WHERE.
/// `SELECT 1 WHERE true` asks for none, and is one row.
pub fn lacks_table(statement: &Statement) -> bool {
    let Some(query) = query(statement) else { return false };
    let SetExpr::Select(select) = &*query.body else { return false };
    let asks = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_)) || item.visit(&mut Columns::default()).is_break();
    let where_asks = || select.selection.as_ref().is_some_and(|condition| condition.visit(&mut Columns::default()).is_break());
    select.from.is_empty() && (select.projection.iter().any(asks) || where_asks())
}

/// Finds a column outside of queries within.
#[derive(Default)]
struct Columns {
    depth: usize,
    /// Where names of arguments stand, as `length` in `substr(s, length => 2)`: they look like columns.
    arguments: Vec<Span>,
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let FunctionArguments::List(list) = &function.args
        {
            self.arguments.extend(list.args.iter().filter_map(|argument| match argument {
                FunctionArg::ExprNamed { name: Expr::Identifier(name), .. } => Some(name.span),
                _ => None,
            }));
        }
        let is_column = match expr {
            Expr::Identifier(name) => !self.arguments.contains(&name.span),
            Expr::CompoundIdentifier(_) => true,
            _ => false,
        };
        if is_column && self.depth == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Puts the only table there is into such a query; refused where there are several, or none.
pub fn add_table(statement: &mut Statement, tables: &[String]) -> Result<(), QueryError> {
    let [only] = tables else {
        let told = if tables.is_empty() { "there is no table".to_owned() } else { format!("the tables are {}", tables.join(", ")) };
        return Err(QueryError::Refused(format!("a query without FROM reads the only table, but {told}")));
    };
    if let Some(Query { body, .. }) = query_mut(statement)
        && let SetExpr::Select(select) = &mut **body
    {
        let name = ObjectName::from(vec![Ident::with_quote('"', only)]);
        let relation = TableFactor::Table {
            name,
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        };
        select.from.push(TableWithJoins { relation, joins: Vec::new() });
    }
    Ok(())
}

fn query(statement: &Statement) -> Option<&Query> {
    match statement {
        Statement::Statement(inner) => match &**inner {
            SqlStatement::Query(query) => Some(query),
            _ => None,
        },
        Statement::Explain(explain) => query(&explain.statement),
        _ => None,
    }
}

fn query_mut(statement: &mut Statement) -> Option<&mut Query> {
    match statement {
        Statement::Statement(inner) => match &mut **inner {
            SqlStatement::Query(query) => Some(query),
            _ => None,
        },
        Statement::Explain(explain) => query_mut(&mut explain.statement),
        _ => None,
    }
}

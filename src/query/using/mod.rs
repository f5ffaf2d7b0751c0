//! Joins by USING and NATURAL as PostgreSQL has them: the column of both sides is one column, that of whichever side is there.
//!
//! DataFusion takes the left side's (and for `*` that of the table whose name sorts first), which is null where the row comes from the other. So such a join is
//! written with ON before it is planned, and wrapped into a relation that shows the merged columns under a qualifier of their own, beside all columns of both
//! sides; `id` is then written `"using".id`, and `*` as the columns that it stands for. What a name without a qualifier means depends on the columns of the
//! tables around it: these are looked up by planning `SELECT * FROM` each.
//!
//! ```text
//! columns      what names can mean                     merged      the relation, planned
//! ```

mod columns;
mod merged;

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Cte, Distinct, Expr, ExprWithAlias, Function, FunctionArg, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, OrderBy,
    OrderByKind, PivotValueSource, Query, Select, SelectItem, SetExpr, Statement as SqlStatement, TableAlias, TableFactor, TableWithJoins, Value, Visit,
    VisitMut, Visitor, VisitorMut, With,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::QueryError;
use super::error::translate;
use super::session::parse;
use columns::{Column, expanded, named_columns, normal, one, outputs, place, quoted, single};
pub use merged::Merged;

/// What the first relation of merged columns is called. No table is, for it is a word of the language.
const QUALIFIER: &str = "using";

/// Writes the joins out. `state` has the tables that the statement names. Blocks: to be called on a thread of a runtime that may.
pub fn written_out(statement: &mut Statement, state: &SessionState) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(inner) => written_out_sql(inner, state),
        Statement::Explain(explain) => written_out(&mut explain.statement, state),
        _ => Ok(()),
    }
}

fn written_out_sql(statement: &mut SqlStatement, state: &SessionState) -> Result<(), QueryError> {
    if Visit::visit(&*statement, &mut Merging).is_continue() {
        return Ok(());
    }
    match statement {
        SqlStatement::Query(query) => Using { state, ctes: Vec::new(), recursive: false, scopes: Vec::new(), relations: 0 }.query(query),
        SqlStatement::Explain { statement, .. } => written_out_sql(statement, state),
        _ => Ok(()),
    }
}

/// Breaks at a join that merges columns.
struct Merging;

impl Merging {
    /// Whether a table is joined so, by a join of some kind.
    fn within(table: &TableWithJoins, kind: fn(&JoinOperator) -> bool) -> bool {
        let merges = |operator| matches!(Merge::of(operator), Some((_, JoinConstraint::Using(_) | JoinConstraint::Natural))) && kind(operator);
        let nested = |factor: &TableFactor| match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => Merging::within(table_with_joins, kind),
            _ => false,
        };
        nested(&table.relation) || table.joins.iter().any(|join| merges(&join.join_operator) || nested(&join.relation))
    }

    fn any(tables: &[TableWithJoins]) -> bool {
        tables.iter().any(|table| Merging::within(table, |_| true))
    }

    /// Whether DataFusion would answer a SELECT wrongly.
    fn mistaken(tables: &[TableWithJoins], projection: &[SelectItem]) -> bool {
        let all = projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
        let right = |operator: &JoinOperator| matches!(Merge::of(operator), Some((Merge::Right | Merge::Both, _)));
        let left = |operator: &JoinOperator| matches!(operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
        tables.iter().any(|table| Merging::within(table, right) || (all && Merging::within(table, left)))
    }
}

impl Visitor for Merging {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if Merging::any(&select.from) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Whose value a merged column has.
#[derive(Clone, Copy, PartialEq)]
enum Merge {
    Left,
    Right,
    Both,
    /// Nobody's: only the rows of one side are kept.
    OnlyLeft,
    OnlyRight,
}

impl Merge {
    fn of(operator: &JoinOperator) -> Option<(Merge, &JoinConstraint)> {
        Some(match operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (Merge::Left, on),
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (Merge::Right, on),
            JoinOperator::FullOuter(on) => (Merge::Both, on),
            JoinOperator::Semi(on) | JoinOperator::LeftSemi(on) | JoinOperator::Anti(on) | JoinOperator::LeftAnti(on) => (Merge::OnlyLeft, on),
            JoinOperator::RightSemi(on) | JoinOperator::RightAnti(on) => (Merge::OnlyRight, on),
            _ => return None,
        })
    }
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on)
        | JoinOperator::Semi(on)
        | JoinOperator::LeftSemi(on)
        | JoinOperator::RightSemi(on)
        | JoinOperator::Anti(on)
        | JoinOperator::LeftAnti(on)
        | JoinOperator::RightAnti(on) => Some(on),
        _ => None,
    }
}

/// The columns around an expression, of one SELECT.
struct Scope {
    columns: Option<Vec<Column>>,
    /// Where they are of, while they have not been looked up.
    from: Vec<TableWithJoins>,
}

struct Using<'a> {
    state: &'a SessionState,
    /// What WITH defines around here, outermost first.
    ctes: Vec<Cte>,
    recursive: bool,
    /// Outermost first.
    scopes: Vec<Scope>,
    /// How many relations of merged columns there are.
    relations: usize,
}

impl Using<'_> {
    fn query(&mut self, query: &mut Query) -> Result<(), QueryError> {
        let (held, recursive) = (self.ctes.len(), self.recursive);
        if let Some(with) = &mut query.with {
            self.recursive |= with.recursive;
            for cte in &mut with.cte_tables {
                let at = self.ctes.len();
                if with.recursive {
                    self.ctes.push(cte.clone());
                }
                self.query(&mut cte.query)?;
                self.ctes.truncate(at);
                self.ctes.push(cte.clone());
            }
        }
        self.body(&mut query.body, query.order_by.as_mut())?;
        self.within(&mut query.limit_clause)?;
        self.ctes.truncate(held);
        self.recursive = recursive;
        Ok(())
    }

    fn body(&mut self, body: &mut SetExpr, order_by: Option<&mut OrderBy>) -> Result<(), QueryError> {
        match body {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, None)?;
                self.body(right, None)
            }
            SetExpr::Values(values) => self.within(values),
            _ => Ok(()),
        }
    }

    fn select(&mut self, select: &mut Select, order_by: Option<&mut OrderBy>) -> Result<(), QueryError> {
        let mut columns = None;
        if Merging::any(&select.from) {
            let before = (select.from.clone(), self.scopes.len());
            columns = match self.from(&mut select.from) {
                Ok(columns) => Some(columns),
                Err(error) if Merging::mistaken(&before.0, &select.projection) => return Err(error),
                // DataFusion has this, or says what is wrong.
                Err(_) => {
                    self.scopes.truncate(before.1);
                    select.from = before.0;
                    None
                }
            };
        }
        let from = columns.is_some().then(|| std::mem::take(&mut select.from));
        if let Some(columns) = &columns {
            select.projection = expanded(std::mem::take(&mut select.projection), columns)?;
        }
        self.scopes.push(Scope { columns, from: if from.is_some() { Vec::new() } else { select.from.clone() } });
        let done = self.parts(select, order_by);
        self.scopes.pop();
        if let Some(from) = from {
            select.from = from;
        }
        done
    }

    /// All of a SELECT in which names are columns.
    fn parts(&mut self, select: &mut Select, order_by: Option<&mut OrderBy>) -> Result<(), QueryError> {
        self.within(&mut select.projection)?;
        let named = outputs(&select.projection);
        let mut groups = match &mut select.group_by {
            GroupByExpr::Expressions(groups, _) => std::mem::take(groups),
            GroupByExpr::All(_) => Vec::new(),
        };
        for group in &mut groups {
            // A column of the tables comes first, then what the SELECT names.
            let own = match &*group {
                Expr::Identifier(ident) if named.iter().any(|(name, _)| *name == normal(ident)) => !self.has(&normal(ident))?,
                _ => false,
            };
            if !own {
                self.within(group)?;
            }
        }
        let mut distinct = match &mut select.distinct {
            Some(Distinct::On(on)) => std::mem::take(on),
            _ => Vec::new(),
        };
        for on in &mut distinct {
            self.sorted(on, &named)?;
        }
        self.within(select)?;
        if let GroupByExpr::Expressions(place, _) = &mut select.group_by {
            *place = groups;
        }
        if let Some(Distinct::On(place)) = &mut select.distinct {
            *place = distinct;
        }
        if let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = order_by {
            for key in keys {
                self.sorted(&mut key.expr, &named)?;
            }
        }
        Ok(())
    }

    /// An expression of ORDER BY or DISTINCT ON: a bare name is what the SELECT gives, where it gives one of that name.
    fn sorted(&mut self, expr: &mut Expr, named: &[(String, bool)]) -> Result<(), QueryError> {
        if let Expr::Identifier(ident) = &*expr {
            let name = normal(ident);
            let mut found = named.iter().filter(|(known, _)| *known == name);
            if let (Some((_, merged)), None) = (found.next(), found.next())
                && !merged
            {
                return Ok(());
            }
        }
        self.within(expr)
    }

    /// Whether the innermost SELECT's tables have a column.
    fn has(&mut self, name: &str) -> Result<bool, QueryError> {
        let Some(innermost) = self.scopes.len().checked_sub(1) else { return Ok(false) };
        Ok(self.columns(innermost)?.iter().any(|column| column.name == name))
    }

    /// The tables of a SELECT written out, and their columns.
    fn from(&mut self, from: &mut [TableWithJoins]) -> Result<Vec<Column>, QueryError> {
        let mut columns = Vec::new();
        for item in from {
            let of_item = self.item(item, &columns)?;
            columns.extend(of_item);
        }
        Ok(columns)
    }

    /// One table of a FROM, with what is joined to it. `before` are the columns of those before it.
    fn item(&mut self, item: &mut TableWithJoins, before: &[Column]) -> Result<Vec<Column>, QueryError> {
        let mut columns = self.factor(&mut item.relation, before)?;
        for mut join in std::mem::take(&mut item.joins) {
            let around: Vec<Column> = before.iter().chain(&columns).cloned().collect();
            let right = self.factor(&mut join.relation, &around)?;
            let merge = Merge::of(&join.join_operator).map(|(merge, _)| merge);
            let names = match constraint(&mut join.join_operator) {
                Some(JoinConstraint::Using(names)) => names.iter().map(single).collect::<Result<Vec<_>, _>>()?,
                Some(JoinConstraint::Natural) => {
                    let shared = columns.iter().filter(|column| right.iter().any(|other| other.name == column.name));
                    shared.map(|column| quoted(&column.name)).collect()
                }
                Some(JoinConstraint::On(condition)) => {
                    columns.extend(right);
                    let scope = columns.to_vec();
                    self.scoped(scope, |using| using.within(condition))?;
                    item.joins.push(join);
                    continue;
                }
                _ => {
                    columns.extend(right);
                    item.joins.push(join);
                    continue;
                }
            };
            let (mut condition, mut merged) = (None, Vec::new());
            for name in &names {
                let (a, b) = (one(&columns, name, "left")?.expr(name.span), one(&right, name, "right")?.expr(name.span));
                let equal = Expr::BinaryOp { left: Box::new(a.clone()), op: BinaryOperator::Eq, right: Box::new(b.clone()) };
                condition = Some(match condition {
                    None => equal,
                    Some(before) => Expr::BinaryOp { left: Box::new(before), op: BinaryOperator::And, right: Box::new(equal) },
                });
                let expr = match merge {
                    Some(Merge::Right) => b,
                    Some(Merge::Both) => Expr::Tuple(vec![a, b]),
                    _ => a,
                };
                merged.push(ExprWithAlias { expr, alias: Some(quoted(&normal(name))) });
            }
            if let Some(constraint) = constraint(&mut join.join_operator) {
                *constraint = JoinConstraint::On(condition.unwrap_or_else(|| Expr::value(Value::Boolean(true))));
            }
            item.joins.push(join);
            match merge {
                Some(Merge::OnlyLeft) => continue,
                Some(Merge::OnlyRight) => {
                    columns = right;
                    continue;
                }
                _ => {}
            }
            let names: Vec<String> = names.iter().map(normal).collect();
            let qualifier = self.wrap(item, merged);
            let others = columns.into_iter().chain(right).filter(|column| !names.contains(&column.name));
            columns = names.iter().map(|name| Column { qualifier: vec![qualifier.clone()], name: name.clone(), merged: true }).chain(others).collect();
        }
        Ok(columns)
    }

    /// Makes one relation of a table and what is joined to it, with merged columns before the others: see [`Merged`].
    fn wrap(&mut self, item: &mut TableWithJoins, merged: Vec<ExprWithAlias>) -> Ident {
        self.relations += 1;
        let qualifier = quoted(&if self.relations == 1 { QUALIFIER.to_owned() } else { format!("{QUALIFIER} {}", self.relations) });
        let nothing = TableFactor::TableFunction { expr: Expr::value(Value::Null), alias: None };
        let within = TableWithJoins { relation: std::mem::replace(&mut item.relation, nothing), joins: std::mem::take(&mut item.joins) };
        item.relation = TableFactor::Pivot {
            table: Box::new(TableFactor::NestedJoin { table_with_joins: Box::new(within), alias: None }),
            aggregate_functions: merged,
            value_column: Vec::new(),
            value_source: PivotValueSource::List(Vec::new()),
            default_on_null: None,
            alias: Some(TableAlias { explicit: true, name: qualifier.clone(), columns: Vec::new(), at: None }),
        };
        qualifier
    }

    /// One table, and its columns.
    fn factor(&mut self, factor: &mut TableFactor, before: &[Column]) -> Result<Vec<Column>, QueryError> {
        match factor {
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                if *lateral {
                    self.scoped(before.to_vec(), |using| using.query(subquery))?;
                } else {
                    self.query(subquery)?;
                }
                if alias.is_none() {
                    // A column without a qualifier could not stand beside those that have one.
                    self.relations += 1;
                    let name = quoted(&format!("subquery {}", self.relations));
                    *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
                }
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.item(table_with_joins, before),
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let columns = self.item(table_with_joins, before)?;
                let mut subquery = select_all(vec![(**table_with_joins).clone()])?;
                if let SetExpr::Select(select) = &mut *subquery.body {
                    select.projection = columns.iter().map(|column| SelectItem::UnnamedExpr(column.expr(Span::empty()))).collect();
                }
                *factor = TableFactor::Derived { lateral: false, subquery: Box::new(subquery), alias: alias.take(), sample: None };
            }
            TableFactor::UNNEST { array_exprs, .. } => self.scoped(before.to_vec(), |using| using.within(array_exprs))?,
            TableFactor::Function { args, .. } => self.scoped(before.to_vec(), |using| using.within(args))?,
            _ => {}
        }
        let found = self.look_up(vec![TableWithJoins { relation: factor.clone(), joins: Vec::new() }]);
        let reads_others = match factor {
            TableFactor::Derived { lateral, .. } => *lateral,
            TableFactor::UNNEST { .. } | TableFactor::Function { .. } => true,
            _ => false,
        };
        // What reads columns of other tables has none by itself; they may be named.
        match found {
            Err(_) if reads_others => named_columns(factor).ok_or_else(|| {
                QueryError::Refused(
                    "beside a join with USING or NATURAL, name the columns of what reads other tables: ... AS name (column); or join with ON".into(),
                )
            }),
            found => found,
        }
    }

    /// The columns of a FROM.
    fn look_up(&self, from: Vec<TableWithJoins>) -> Result<Vec<Column>, QueryError> {
        let fail = |e| translate(e, 0);
        let mut query = select_all(from)?;
        if !self.ctes.is_empty() {
            let names: Vec<String> = self.ctes.iter().map(|cte| normal(&cte.alias.name)).collect();
            if let Some(again) = (1..names.len()).find(|i| names[..*i].contains(&names[*i])) {
                return Err(QueryError::Refused(format!(
                    "beside a join with USING or NATURAL, each WITH needs names of its own: '{}' is there twice",
                    names[again]
                )));
            }
            let Statement::Statement(parsed) = parse("WITH x AS (SELECT 1) SELECT 1")? else { return Ok(Vec::new()) };
            if let SqlStatement::Query(parsed) = *parsed {
                query.with = parsed.with.map(|with| With { recursive: self.recursive, cte_tables: self.ctes.clone(), ..with });
            }
        }
        let statement = Statement::Statement(Box::new(SqlStatement::Query(Box::new(query))));
        let plan = tokio::runtime::Handle::current().block_on(self.state.statement_to_plan(statement)).map_err(fail)?;
        let qualifier = |reference: Option<&TableReference>| match reference {
            None => Vec::new(),
            Some(TableReference::Bare { table }) => vec![quoted(table)],
            Some(TableReference::Partial { schema, table }) => vec![quoted(schema), quoted(table)],
            Some(TableReference::Full { catalog, schema, table }) => vec![quoted(catalog), quoted(schema), quoted(table)],
        };
        Ok(plan.schema().iter().map(|(of, field)| Column { qualifier: qualifier(of), name: field.name().clone(), merged: false }).collect())
    }

    fn scoped<T>(&mut self, columns: Vec<Column>, run: impl FnOnce(&mut Self) -> Result<T, QueryError>) -> Result<T, QueryError> {
        self.scopes.push(Scope { columns: Some(columns), from: Vec::new() });
        let done = run(self);
        self.scopes.pop();
        done
    }

    fn columns(&mut self, scope: usize) -> Result<&[Column], QueryError> {
        let from = match self.scopes.get(scope) {
            Some(Scope { columns: None, from }) => Some(from.clone()),
            _ => None,
        };
        if let Some(from) = from {
            let found = if from.is_empty() { Vec::new() } else { self.look_up(from)? };
            if let Some(scope) = self.scopes.get_mut(scope) {
                scope.columns = Some(found);
            }
        }
        Ok(self.scopes.get(scope).and_then(|scope| scope.columns.as_deref()).unwrap_or_default())
    }

    /// What a name without a qualifier stands for, where that is a merged column.
    fn meant(&mut self, ident: &Ident) -> Result<Option<Expr>, QueryError> {
        let name = normal(ident);
        let merged = |scope: &Scope| scope.columns.iter().flatten().any(|column| column.merged && column.name == name);
        if !self.scopes.iter().any(merged) {
            return Ok(None);
        }
        for scope in (0..self.scopes.len()).rev() {
            let found: Vec<Column> = self.columns(scope)?.iter().filter(|column| column.name == name).cloned().collect();
            match found.as_slice() {
                [] => {}
                [column] => return Ok(column.merged.then(|| column.expr(ident.span))),
                [..] if !found.iter().any(|column| column.merged) => return Ok(None),
                _ => return Err(QueryError::Plan { at: place(ident), why: format!("column '{name}' may be that of several tables: write TABLE.{name}") }),
            }
        }
        Ok(None)
    }

    fn within<T: VisitMut>(&mut self, part: &mut T) -> Result<(), QueryError> {
        match part.visit(&mut Names { using: self, depth: 0, arguments: Vec::new() }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

/// Puts merged columns in the place of their names.
struct Names<'a, 'b> {
    using: &'a mut Using<'b>,
    depth: usize,
    /// Where names of arguments stand, as in `substr(s, length => 2)`: they look like columns.
    arguments: Vec<Span>,
}

impl VisitorMut for Names<'_, '_> {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<QueryError> {
        self.depth += 1;
        match if self.depth == 1 { self.using.query(query) } else { Ok(()) } {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<QueryError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        match expr {
            Expr::Function(Function { args: FunctionArguments::List(list), .. }) => {
                self.arguments.extend(list.args.iter().filter_map(|argument| match argument {
                    FunctionArg::ExprNamed { name: Expr::Identifier(name), .. } => Some(name.span),
                    _ => None,
                }));
            }
            Expr::Identifier(ident) if self.depth == 0 && !self.arguments.contains(&ident.span) => match self.using.meant(ident) {
                Ok(Some(meant)) => *expr = meant,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `SELECT * FROM from`.
fn select_all(from: Vec<TableWithJoins>) -> Result<Query, QueryError> {
    let refused = || QueryError::Refused("this join is not supported".into());
    let Statement::Statement(inner) = parse("SELECT * FROM x")? else { return Err(refused()) };
    let SqlStatement::Query(mut query) = *inner else { return Err(refused()) };
    if let SetExpr::Select(select) = &mut *query.body {
        select.from = from;
    }
    Ok(*query)
}

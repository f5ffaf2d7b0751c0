//! Joins by USING and NATURAL as PostgreSQL has them: the column of both sides is one column, that of whichever side is there.
//!
//! DataFusion takes the left side's (and for `*` that of the table whose name sorts first), which is null where the row comes from the other. So such a join is
//! written with ON before it is planned, and wrapped into a relation that shows the merged columns under a qualifier of their own, beside all columns of both
//! sides; `id` is then written `"using".id`, and `*` as the columns that it stands for. What a name without a qualifier means depends on the columns of the
//! tables around it: these are looked up by planning `SELECT * FROM` each.

use std::ops::ControlFlow;

use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Result as PlanResult, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr as PlanExpr, ExprSchemable, LogicalPlanBuilder};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Cte, Distinct, ExcludeSelectItem, Expr, ExprWithAlias, Function, FunctionArg, FunctionArguments, GroupByExpr, Ident, JoinConstraint,
    JoinOperator, ObjectName, ObjectNamePart, OrderBy, OrderByKind, PivotValueSource, Query, Select, SelectItem, SetExpr, Statement as SqlStatement,
    TableAlias, TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions, With,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::base::name::nearest;

use super::QueryError;
use super::error::{as_written, translate};
use super::session::parse;

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

/// A column that a name without qualifier, or `*`, can mean.
#[derive(Clone)]
struct Column {
    qualifier: Vec<Ident>,
    name: String,
    merged: bool,
}

impl Column {
    fn expr(&self, span: Span) -> Expr {
        let name = Ident { value: self.name.clone(), quote_style: Some('"'), span };
        if self.qualifier.is_empty() { Expr::Identifier(name) } else { Expr::CompoundIdentifier(self.qualifier.iter().cloned().chain([name]).collect()) }
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// An identifier as it is looked up.
fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
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

fn place(ident: &Ident) -> Option<(u64, u64)> {
    (ident.span.start.line > 0).then_some((ident.span.start.line, ident.span.start.column))
}

fn single(name: &ObjectName) -> Result<Ident, QueryError> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Ok(ident.clone()),
        _ => Err(QueryError::Refused(format!("USING takes names of columns, not {name}"))),
    }
}

/// The column of that name on one side of a join.
fn one<'a>(columns: &'a [Column], ident: &Ident, side: &str) -> Result<&'a Column, QueryError> {
    let name = normal(ident);
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (None, _) => {
            let near = nearest(&name, columns.iter().map(|column| column.name.as_str())).into_iter().map(as_written).collect();
            Err(QueryError::NoColumn { name, at: place(ident), near })
        }
        _ => Err(QueryError::Plan { at: place(ident), why: format!("column '{name}' is there more than once on the {side} side of the join: write ON") }),
    }
}

/// The names that a SELECT's list gives, and whether each is that of a merged column.
fn outputs(projection: &[SelectItem]) -> Vec<(String, bool)> {
    let merged = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) => parts.first().is_some_and(|first| first.value.split(' ').next() == Some(QUALIFIER)),
        _ => false,
    };
    let named = projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((normal(alias), merged(expr))),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some((normal(ident), false)),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => parts.last().map(|last| (normal(last), merged(expr))),
        _ => None,
    });
    named.collect()
}

/// `*` as the columns that it stands for.
fn expanded(projection: Vec<SelectItem>, columns: &[Column]) -> Result<Vec<SelectItem>, QueryError> {
    let mut items = Vec::with_capacity(projection.len());
    for item in projection {
        let SelectItem::Wildcard(options) = item else {
            items.push(item);
            continue;
        };
        let WildcardAdditionalOptions { opt_ilike, opt_exclude, opt_except, opt_replace, opt_rename, opt_alias, .. } = options;
        if opt_ilike.is_some() || opt_replace.is_some() || opt_rename.is_some() || opt_alias.is_some() {
            return Err(QueryError::Refused("beside a join with USING or NATURAL, * takes EXCLUDE alone".into()));
        }
        let excluded = match opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => vec![single(&name)?],
            Some(ExcludeSelectItem::Multiple(names)) => names.iter().map(single).collect::<Result<_, _>>()?,
            None => opt_except.map(|except| std::iter::once(except.first_element).chain(except.additional_elements).collect()).unwrap_or_default(),
        };
        for ident in &excluded {
            let name = normal(ident);
            if !columns.iter().any(|column| column.name == name) {
                let near = nearest(&name, columns.iter().map(|column| column.name.as_str())).into_iter().map(as_written).collect();
                return Err(QueryError::NoColumn { name, at: place(ident), near });
            }
        }
        let kept = columns.iter().filter(|column| !excluded.iter().any(|ident| normal(ident) == column.name));
        items.extend(kept.map(|column| SelectItem::UnnamedExpr(column.expr(Span::empty()))));
    }
    Ok(items)
}

/// The columns of a table that reads those of others, as far as its text tells them.
fn named_columns(factor: &TableFactor) -> Option<Vec<Column>> {
    let (alias, subquery) = match factor {
        TableFactor::Derived { lateral: true, alias, subquery, .. } => (alias.as_ref()?, Some(subquery)),
        TableFactor::UNNEST { alias, .. } | TableFactor::Function { alias, .. } => (alias.as_ref()?, None),
        _ => return None,
    };
    let names: Vec<String> = match subquery.map(|subquery| &*subquery.body) {
        _ if !alias.columns.is_empty() => alias.columns.iter().map(|column| normal(&column.name)).collect(),
        Some(SetExpr::Select(select)) => {
            let named = outputs(&select.projection);
            (named.len() == select.projection.len()).then(|| named.into_iter().map(|(name, _)| name).collect())?
        }
        _ => return None,
    };
    Some(names.into_iter().map(|name| Column { qualifier: vec![alias.name.clone()], name, merged: false }).collect())
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

/// Plans the relation that `Using::wrap` makes: the merged columns, then all columns of both sides.
#[derive(Debug)]
pub struct Merged;

impl RelationPlanner for Merged {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> PlanResult<RelationPlanning> {
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
            let mut sides = sides.into_iter().map(|side| context.sql_to_expr(side, input.schema())).collect::<PlanResult<Vec<PlanExpr>>>()?;
            let fields = sides.iter().map(|side| Ok(side.to_field(input.schema().as_ref())?.1)).collect::<PlanResult<Vec<_>>>()?;
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

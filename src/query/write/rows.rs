//! INSERT, UPDATE and DELETE.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, OnConflictAction, OnInsert, OrderBy, OrderByExpr,
    OrderByKind, OrderByOptions, Query, SelectItem, TableAlias, TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind, Visit, Visitor,
};

use crate::repo::OnKey;
use crate::table::Table;

use super::clash::Clash;
use super::{QueryError, Writing, Written, last, normal, not_supported, select};
use crate::query::catalog::SLOTS;
use crate::query::exec::SLOT;

impl Writing<'_> {
    pub(super) fn insert(&self, insert: Insert) -> Result<Written, QueryError> {
        let TableObject::TableName(name) = &insert.table else { return Err(not_supported("INSERT into a function")) };
        let unknown = [
            (insert.returning.is_some(), "RETURNING"),
            (insert.or.is_some() || insert.ignore || insert.replace_into, "INSERT OR ...: write ON CONFLICT ...; it"),
            (insert.overwrite || insert.partitioned.is_some(), "OVERWRITE"),
            (!insert.assignments.is_empty(), "INSERT ... SET"),
        ];
        refuse_any(&unknown)?;
        let (name, ident) = self.target(name)?;
        let table = self.repo.table(&name, None)?;
        let Some(source) = insert.source else { return Err(not_supported("INSERT ... DEFAULT VALUES")) };
        let mut columns = insert.columns.iter().map(|column| column_of(&table, &last(column)?)).collect::<Result<Vec<_>, _>>()?;
        let (answer, batch) = self.ask(*source)?;
        let given = answer.schema().fields().len();
        if columns.is_empty() {
            columns = table.schema.columns.iter().map(|column| column.name.clone()).take(given).collect();
        }
        if columns.len() != given {
            let (wanted, of) = if insert.columns.is_empty() { (table.columns.len(), "the table has") } else { (columns.len(), "are named") };
            return Err(QueryError::Refused(format!("{given} values for {wanted} columns that {of}")));
        }
        if let Some(twice) = (1..columns.len()).find(|i| columns[..*i].contains(&columns[*i])) {
            return Err(QueryError::Refused(format!("column '{}' is named twice", columns[twice])));
        }
        let mut rows = answer.map(batch);
        let affected = match insert.on {
            None => self.repo.insert_rows(&name, &columns, &mut rows, OnKey::Refuse, self.command)?,
            Some(OnInsert::OnConflict(on)) => {
                check_conflict_target(&table, on.conflict_target.as_ref(), matches!(on.action, OnConflictAction::DoNothing))?;
                match on.action {
                    OnConflictAction::DoNothing => self.repo.insert_rows(&name, &columns, &mut rows, OnKey::Skip, self.command)?,
                    OnConflictAction::DoUpdate(update) => {
                        let alias = insert.table_alias.map_or(ident, |alias| alias.alias);
                        let set = assignments(&table, &update.assignments)?;
                        let (set, exprs): (Vec<String>, Vec<Expr>) = set.into_iter().unzip();
                        let mut clash = Clash::plan(self.session, self.repo.objects(), &table, &normal(&alias), &columns, exprs, update.selection)?;
                        let mut cells = |table: &_, new: &_, slots: &[u64]| Ok(clash.cells(table, new, slots)?);
                        self.repo.insert_rows(&name, &columns, &mut rows, OnKey::Set(&set, &mut cells), self.command)?
                    }
                }
            }
            Some(_) => return Err(not_supported("ON DUPLICATE KEY UPDATE: write ON CONFLICT ...; it")),
        };
        let note = if affected.updated > 0 { format!("{} new, {} set", affected.inserted, affected.updated) } else { String::new() };
        Ok(Written { statement: "INSERT", name, rows: Some(affected.inserted + affected.updated), note })
    }

    pub(super) fn update(&self, update: Update) -> Result<Written, QueryError> {
        let unknown = [
            (update.returning.is_some(), "RETURNING"),
            (update.or.is_some(), "UPDATE OR ..."),
            (update.limit.is_some() || !update.order_by.is_empty(), "UPDATE ... LIMIT"),
            (!update.table.joins.is_empty(), "UPDATE of a join: write UPDATE ... FROM; it"),
        ];
        refuse_any(&unknown)?;
        let (name, alias, target) = self.with_slots(update.table.relation)?;
        let table = self.repo.table(&name, None)?;
        let set = assignments(&table, &update.assignments)?;
        let others = match update.from {
            Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => from,
            None => Vec::new(),
        };
        let mut projection = Vec::with_capacity(set.len() + 1);
        let mut columns = Vec::with_capacity(set.len());
        for (i, (column, expr)) in set.into_iter().enumerate() {
            projection.push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', format!("value {i}")) });
            columns.push(column);
        }
        projection.push(slot_of(&alias));
        let query = self.sorted(select(projection, std::iter::once(target).chain(others).collect(), update.selection)?, &alias);
        let (answer, batch) = self.ask(query)?;
        let affected = self.repo.update_rows(&name, &columns, &mut answer.map(batch), self.command)?;
        Ok(Written { statement: "UPDATE", name, rows: Some(affected.updated), note: String::new() })
    }

    pub(super) fn delete(&self, delete: Delete) -> Result<Written, QueryError> {
        let unknown = [
            (delete.returning.is_some(), "RETURNING"),
            (delete.limit.is_some() || !delete.order_by.is_empty(), "DELETE ... LIMIT"),
            (!delete.tables.is_empty(), "DELETE of several tables"),
        ];
        refuse_any(&unknown)?;
        let (FromTable::WithFromKeyword(mut from) | FromTable::WithoutKeyword(mut from)) = delete.from;
        let Some(target) = from.pop().filter(|target| from.is_empty() && target.joins.is_empty()) else {
            return Err(not_supported("DELETE of several tables: write DELETE FROM ... USING ...; it"));
        };
        let (name, alias, target) = self.with_slots(target.relation)?;
        let from = std::iter::once(target).chain(delete.using.unwrap_or_default()).collect();
        let (answer, batch) = self.ask(select(vec![slot_of(&alias)], from, delete.selection)?)?;
        let rows = self.repo.delete_rows(&name, &mut answer.map(batch), self.command)?;
        Ok(Written { statement: "DELETE", name, rows: Some(rows), note: String::new() })
    }

    /// The table that is written, showing its slots: its name, what it is called in the statement, and the table to select from.
    fn with_slots(&self, relation: TableFactor) -> Result<(String, Ident, TableWithJoins), QueryError> {
        let TableFactor::Table { name: written, alias, args: None, .. } = &relation else { return Err(not_supported("writing into anything but a table")) };
        let (name, ident) = self.target(written)?;
        let called = alias.as_ref().map_or(ident.clone(), |alias| alias.name.clone());
        // Errors of the table itself come first, in its own name.
        self.repo.table(&name, None)?;
        let mut shown = relation.clone();
        if let TableFactor::Table { name, alias, .. } = &mut shown {
            *name = ObjectName::from(vec![Ident::with_quote('"', SLOTS), ident]);
            *alias = Some(TableAlias { explicit: true, name: called.clone(), columns: Vec::new(), at: None });
        }
        Ok((name, called, TableWithJoins { relation: shown, joins: Vec::new() }))
    }

    /// The query in the order of the slots, where a join or a subquery may have changed that: cells are written from the front to the back.
    fn sorted(&self, mut query: Query, alias: &Ident) -> Query {
        if query.visit(&mut Several { tables: 0 }).is_break() {
            let SelectItem::UnnamedExpr(expr) = slot_of(alias) else { return query };
            let by = OrderByExpr { expr, options: OrderByOptions { asc: None, nulls_first: None }, with_fill: None };
            query.order_by = Some(OrderBy { kind: OrderByKind::Expressions(vec![by]), interpolate: None });
        }
        query
    }
}

/// Breaks at a second table.
struct Several {
    tables: usize,
}

impl Visitor for Several {
    type Break = ();

    fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<()> {
        self.tables += 1;
        if self.tables > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn slot_of(alias: &Ident) -> SelectItem {
    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![alias.clone(), Ident::with_quote('"', SLOT)]))
}

fn refuse_any(unknown: &[(bool, &str)]) -> Result<(), QueryError> {
    match unknown.iter().find(|(there, _)| *there) {
        Some((_, what)) => Err(not_supported(what)),
        None => Ok(()),
    }
}

/// The name of a column of the table, or the error that names those near it.
fn column_of(table: &Table, name: &str) -> Result<String, QueryError> {
    table.schema.index(name)?;
    Ok(name.to_owned())
}

/// The columns that are set, and to what.
fn assignments(table: &Table, assignments: &[Assignment]) -> Result<Vec<(String, Expr)>, QueryError> {
    let mut set: Vec<(String, Expr)> = Vec::new();
    for assignment in assignments {
        match (&assignment.target, &assignment.value) {
            (AssignmentTarget::ColumnName(name), value) => set.push((column_of(table, &last(name)?)?, value.clone())),
            (AssignmentTarget::Tuple(names), Expr::Tuple(values)) if names.len() == values.len() => {
                for (name, value) in names.iter().zip(values) {
                    set.push((column_of(table, &last(name)?)?, value.clone()));
                }
            }
            (AssignmentTarget::Tuple(_), _) => return Err(not_supported("SET (a, b) = of anything but as many values")),
        }
    }
    if let Some(twice) = (1..set.len()).find(|i| set[..*i].iter().any(|(name, _)| *name == set[*i].0)) {
        return Err(QueryError::Refused(format!("column '{}' is set twice", set[twice].0)));
    }
    Ok(set)
}

/// A conflict is one of the table's key; where nothing is done about it, it need not be named.
fn check_conflict_target(table: &Table, target: Option<&ConflictTarget>, may_lack: bool) -> Result<(), QueryError> {
    let key: Vec<&str> = table.schema.key_indices().into_iter().filter_map(|i| table.schema.columns.get(i)).map(|c| c.name.as_str()).collect();
    let hint = if key.is_empty() { "the table has no key".to_owned() } else { format!("the table's key is ({})", key.join(", ")) };
    match target {
        None if may_lack => Ok(()),
        None => Err(QueryError::Refused(format!("ON CONFLICT DO UPDATE names the key's columns: {hint}"))),
        Some(ConflictTarget::Columns(columns)) => {
            let mut named: Vec<String> = columns.iter().map(normal).collect();
            let mut key = key;
            named.sort_unstable();
            key.sort_unstable();
            if named == key { Ok(()) } else { Err(QueryError::Refused(format!("ON CONFLICT ({}): {hint}", named.join(", ")))) }
        }
        Some(ConflictTarget::OnConstraint(_)) => Err(not_supported("ON CONFLICT ON CONSTRAINT")),
    }
}

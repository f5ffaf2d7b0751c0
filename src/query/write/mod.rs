//! Writing by SQL, into the working state: each statement is one operation of the repository. What it writes comes from a query that the session runs.
//!
//! ```text
//! rows        INSERT, UPDATE, DELETE            tables       CREATE, ALTER and DROP of tables and views
//! clash       ON CONFLICT ... DO UPDATE
//! ```

mod clash;
mod rows;
mod tables;

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, Statement as SqlStatement, TableWithJoins};

use crate::repo::{Repo, RepoError};

use super::answer::Answer;
use super::params::{Params, substitute};
use super::session::{Session, parse, tables};
use super::{QueryError, rewrite};

/// What became of a statement.
pub enum Outcome {
    /// It asked.
    Answer(Answer),
    /// It wrote.
    Written(Written),
}

/// What a statement wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The statement in a word or two, in capitals: `INSERT`, `CREATE TABLE`.
    pub statement: &'static str,
    /// The table or view.
    pub name: String,
    /// How many rows were inserted, updated or deleted; none where it is not about rows.
    pub rows: Option<u64>,
    /// What went with it, in a few words; empty mostly.
    pub note: String,
}

impl Session {
    /// Runs one statement: a query, which is asked at the revision `at`, or one that writes into the working state of `repo`, which is the session's own
    /// repository; that is logged as `command`. Where it fails nothing has changed.
    pub fn run(&self, repo: &Repo, sql: &str, params: &Params, at: Option<&str>, command: &str) -> Result<Outcome, QueryError> {
        let mut statement = parse(sql)?;
        if let Statement::Explain(explain) = &statement
            && writes(&explain.statement)
        {
            return Err(QueryError::Refused("EXPLAIN is for queries: a statement that writes has no plan of its own".into()));
        }
        let writes = writes(&statement);
        if writes && at.is_some() {
            return Err(QueryError::Refused("a revision does not change: SQL writes into the working state alone".into()));
        }
        substitute(&mut statement, params)?;
        if !writes {
            return Ok(Outcome::Answer(self.answer(statement, at)?));
        }
        rewrite::vectors(&mut statement);
        let Statement::Statement(inner) = statement else { return Err(QueryError::Refused("this statement is not supported".into())) };
        let writing = Writing { session: self, repo, params, command };
        let written = match *inner {
            SqlStatement::Insert(insert) => writing.insert(insert),
            SqlStatement::Update(update) => writing.update(update),
            SqlStatement::Delete(delete) => writing.delete(delete),
            SqlStatement::CreateTable(create) => writing.create_table(create),
            SqlStatement::CreateView(create) => writing.create_view(create),
            SqlStatement::AlterTable(alter) => writing.alter_table(alter),
            SqlStatement::Drop { object_type, if_exists, names, .. } => writing.drop(object_type, if_exists, &names),
            other => Err(not_supported(&first_word(&other))),
        };
        written.map(Outcome::Written)
    }

    /// Tries whether a SELECT means something as a view of that name, beside the tables and views of the working state of `repo`; returns its columns.
    /// Nothing is run.
    pub fn try_view(&self, repo: &Repo, name: &str, sql: &str) -> Result<Vec<String>, QueryError> {
        let schema = self.schema_of(sql)?;
        let views = repo.views(None)?;
        let (mut read, mut rest) = (BTreeSet::new(), vec![sql]);
        while let Some(sql) = rest.pop() {
            for table in tables(sql)? {
                if table == name {
                    return Err(QueryError::Refused(format!("the view '{name}' would read itself")));
                }
                rest.extend(views.get(&table).filter(|_| !read.contains(&table)).map(String::as_str));
                read.insert(table);
            }
        }
        Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
    }
}

/// Whether the one statement of a text changes something: an INSERT, a CREATE, and their like.
pub fn writes_text(sql: &str) -> Result<bool, QueryError> {
    Ok(writes(&parse(sql)?))
}

fn writes(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(inner) => matches!(
            **inner,
            SqlStatement::Insert(_)
                | SqlStatement::Update(_)
                | SqlStatement::Delete(_)
                | SqlStatement::CreateTable(_)
                | SqlStatement::CreateView(_)
                | SqlStatement::AlterTable(_)
                | SqlStatement::Drop { .. }
        ),
        _ => false,
    }
}

fn first_word(statement: &SqlStatement) -> String {
    statement.to_string().split_whitespace().next().unwrap_or_default().to_ascii_uppercase()
}

fn not_supported(what: &str) -> QueryError {
    QueryError::Refused(format!("{what} is not supported"))
}

/// One statement that writes.
struct Writing<'a> {
    session: &'a Session,
    repo: &'a Repo,
    params: &'a Params,
    command: &'a str,
}

impl Writing<'_> {
    /// The answer to a query, for the operations of the floor below.
    fn ask(&self, query: Query) -> Result<(Answer, impl FnMut(Result<RecordBatch, QueryError>) -> Result<RecordBatch, RepoError>), QueryError> {
        let answer = self.session.answer(Statement::Statement(Box::new(SqlStatement::Query(Box::new(query)))), None)?;
        Ok((answer, |batch: Result<RecordBatch, QueryError>| batch.map_err(RepoError::from)))
    }

    /// The name of a table that is written: that of the working state, without a schema.
    fn target(&self, name: &ObjectName) -> Result<(String, Ident), QueryError> {
        match name.0.as_slice() {
            [ObjectNamePart::Identifier(ident)] => Ok((normal(ident), ident.clone())),
            [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(table)] => {
                let why = format!("SQL writes into the working state alone: write {table}, not {schema}.{table}; 'dsv switch' changes the branch");
                Err(QueryError::Refused(why))
            }
            _ => Err(QueryError::Refused(format!("{name} is not the name of a table"))),
        }
    }
}

/// An identifier as it is looked up: in lower case unless it is quoted.
fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The last part of a name, as it is looked up.
fn last(name: &ObjectName) -> Result<String, QueryError> {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(ident)) => Ok(normal(ident)),
        _ => Err(QueryError::Refused(format!("{name} is not a name"))),
    }
}

/// `SELECT projection FROM from WHERE selection`.
fn select(projection: Vec<SelectItem>, from: Vec<TableWithJoins>, selection: Option<Expr>) -> Result<Query, QueryError> {
    let Statement::Statement(inner) = parse("SELECT 1")? else { return Err(not_supported("this statement")) };
    let SqlStatement::Query(mut query) = *inner else { return Err(not_supported("this statement")) };
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = projection;
        select.from = from;
        select.selection = selection;
    }
    Ok(*query)
}

//! Questions in SQL: to the query floor and back.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::error::CliError;
use super::look::{Found, Look};
use crate::format::Type;
use crate::repo::Repo;
use crate::table::TableError;

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The query.
    pub sql: &'a str,
    /// The revision of tables without a schema; the working state without one.
    pub at: Option<&'a str>,
    /// Values of named parameters, as text.
    pub params: &'a [(String, String)],
    /// Rows of a table come in its order.
    pub ordered: bool,
}

/// The answer, batch by batch.
pub struct Answer {}

impl Answer {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        std::sync::Arc::new(arrow::datatypes::Schema::empty())
    }
}

impl Iterator for Answer {
    type Item = Result<RecordBatch, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

/// Asks.
pub fn ask(_repo: &Repo, _question: &Question<'_>) -> Result<Answer, CliError> {
    Err(CliError::fault("SQL is not wired"))
}

/// The chosen columns of the rows for which `predicate` is true, in the table's order.
pub fn filtered(repo: &Repo, look: &Look, found: &Found, predicate: &str) -> Result<Answer, CliError> {
    let columns: Vec<String> = found.columns.iter().map(|(name, _)| identifier(name)).collect();
    let sql = format!("SELECT {} FROM {} WHERE {predicate}", columns.join(", "), identifier(&look.table));
    ask(repo, &Question { sql: &sql, at: look.at.as_deref(), params: &[], ordered: true })
}

/// What an expression gives for each row of a table of the working state, in order, as the storage type of `ty`.
pub fn values(repo: &Repo, table: &str, expression: &str, _ty: &Type) -> Result<Values, CliError> {
    let sql = format!("SELECT {expression} FROM {}", identifier(table));
    ask(repo, &Question { sql: &sql, at: None, params: &[], ordered: true })?;
    Err(CliError::fault("SQL is not wired"))
}

/// Values of a column in the order of the rows, in pieces.
pub type Values = Box<dyn Iterator<Item = Result<ArrayRef, TableError>>>;

/// A name as SQL takes it whatever characters it has.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

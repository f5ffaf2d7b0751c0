//! Questions in SQL: to the query floor and back.

use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::context::Context;
use super::error::{CliError, FAULT, USAGE};
use super::look::{Found, Look};
use crate::base::Progress;
use crate::base::progress::Unit;
use crate::format::Type;
use crate::query::{Answer, Options, Param, Params, QueryError, Selected, Session, evaluate, select};
use crate::repo::Repo;
use crate::repo::files::npy_numbers;
use crate::table::TableError;

/// A session on a repository. Sorts, joins and aggregations may take `memory_bytes` before they go on from disk. `progress` tells when to stop.
pub fn session(repo: &Arc<Repo>, memory_bytes: Option<usize>, progress: &Arc<dyn Progress>) -> Result<Session, CliError> {
    let progress = progress.clone();
    let mut options = Options { interrupted: Some(Arc::new(move || progress.interrupted())), ..Options::default() };
    options.memory_bytes = memory_bytes.unwrap_or(options.memory_bytes);
    Ok(Session::new(repo.clone(), options)?)
}

/// The chosen columns (all without any) of the rows of a view for which `predicate` is true.
pub fn view(
    repo: &Arc<Repo>,
    name: &str,
    at: Option<&str>,
    columns: &[String],
    predicate: Option<&str>,
    progress: &Arc<dyn Progress>,
) -> Result<Answer, CliError> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ") };
    let condition = predicate.map_or(String::new(), |predicate| format!(" WHERE {predicate}"));
    Ok(session(repo, None, progress)?.query(&format!("SELECT {columns} FROM {}{condition}", quoted(name)), &Params::new(), at)?)
}

/// Values of parameters; `@FILE` is a file's: the numbers of a `.npy` as a vector, the text of any other.
pub fn params(context: &Context, given: &[(String, String)]) -> Result<Params, CliError> {
    let mut values = Params::new();
    for (name, value) in given {
        let value = match value.strip_prefix('@') {
            None => Param::of_text(value),
            Some(file) => {
                let failed = |why: String| CliError::usage(format!("-p {name}: {file}: {why}"));
                let bytes = std::fs::read(context.path(Path::new(file))).map_err(|e| failed(e.to_string()))?;
                if file.to_ascii_lowercase().ends_with(".npy") {
                    let numbers: Vec<String> = npy_numbers(&bytes).map_err(failed)?.iter().map(f64::to_string).collect();
                    Param::Text(format!("[{}]", numbers.join(",")))
                } else {
                    Param::Text(String::from_utf8(bytes).map_err(|_| failed("it is no text".to_owned()))?)
                }
            }
        };
        values.set(name.trim_start_matches([':', '$']), value);
    }
    Ok(values)
}

/// The chosen columns of the rows for which `predicate` is true, in the table's order.
pub fn filtered(found: &Found, predicate: &str) -> Result<Selected, CliError> {
    Ok(select(&found.objects, &found.table, Some(predicate), &Params::new(), found.indices.clone())?)
}

/// Values of a column in the order of the rows, in pieces.
pub type Values = Box<dyn Iterator<Item = Result<ArrayRef, TableError>>>;

/// What an expression gives for each row of a table of the working state, in order, as the storage type of `ty`.
pub fn values(repo: &Repo, table: &str, column: &str, expression: &str, ty: &Type) -> Result<Values, CliError> {
    let look = Look { table: table.to_owned(), at: None, columns: Vec::new() };
    let found = look.find(repo)?;
    repo.progress().start("computing", Some(found.rows()?), Unit::Rows);
    let values = evaluate(&found.objects, &found.table, expression, &Params::new(), Some(ty))?;
    let (column, mut row, progress) = (column.to_owned(), 0u64, repo.progress().clone());
    Ok(Box::new(values.map(move |values| match values {
        _ if progress.interrupted() => Err(TableError::Interrupted),
        Ok(values) => {
            row += values.len() as u64;
            progress.advance(values.len() as u64);
            Ok(values)
        }
        Err(QueryError::Table(e)) => Err(e),
        Err(QueryError::Interrupted) => Err(TableError::Interrupted),
        // A value that the type does not hold stands in the batch that begins here.
        Err(e) => Err(TableError::Value { row: row + 1, column: column.clone(), why: e.to_string() }),
    })))
}

/// A fault of a query, with its place marked in the text.
pub fn marked(error: QueryError, text: &str) -> CliError {
    let at = error.at();
    CliError::from(error).marked(text, at)
}

impl From<QueryError> for CliError {
    fn from(error: QueryError) -> CliError {
        use QueryError as Q;
        let exit = match error {
            Q::Interrupted => return CliError::interrupted(),
            Q::Table(e) => return e.into(),
            Q::Repository(e) => return e.into(),
            Q::Run(_) | Q::Memory { .. } | Q::Format(_) | Q::Arrow(_) => FAULT,
            _ => USAGE,
        };
        let mut out = CliError::from_floor(exit, &error);
        out.hints.extend(error.hints());
        if let Q::Parameter { name, near, .. } = &error
            && near.is_empty()
        {
            out.hints.push(format!("give it one with -p {name}=VALUE"));
        }
        out
    }
}

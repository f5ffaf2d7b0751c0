//! The one error of this floor, and what DataFusion's errors mean in its terms.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Diagnostic, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

use crate::base::name::{did_you_mean, nearest};
use crate::format::{FormatError, Type, TypeError};
use crate::repo::{ErrorKind, RepoError};
use crate::table::TableError;

/// Why a query could not be planned or run. Each message is one line; [`QueryError::near`] has the names that were perhaps meant.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no SQL.
    #[error("syntax error{}: {why}", place(.at))]
    Syntax {
        /// Line and column, from 1, where they are known.
        at: Option<(u64, u64)>,
        /// What was expected, what was found.
        why: String,
    },
    /// A schema that is no revision.
    #[error("no revision '{name}'")]
    NoRevision {
        /// As it was written.
        name: String,
        /// Names that come near it.
        near: Vec<String>,
    },
    /// There is no such table.
    #[error("no table '{name}' in {}", .revision.as_ref().map_or("the working state".to_owned(), |r| format!("'{r}'")))]
    NoTable {
        /// As it was written.
        name: String,
        /// The revision looked in; the working state without.
        revision: Option<String>,
        /// Names that come near it.
        near: Vec<String>,
    },
    /// There is no such column.
    #[error("no column '{name}'{}", place(.at))]
    NoColumn {
        /// As it was written.
        name: String,
        /// Line and column in the query, from 1, where they are known.
        at: Option<(u64, u64)>,
        /// Names that come near it; one that differs in case alone comes quoted, as SQL needs it.
        near: Vec<String>,
    },
    /// There is no such function.
    #[error("no function '{name}'")]
    NoFunction {
        /// As it was written.
        name: String,
        /// Names that come near it.
        near: Vec<String>,
    },
    /// A parameter without a value, or a value that does not read.
    #[error("parameter '{name}'{}: {why}", place(.at))]
    Parameter {
        /// Its name, without sigil.
        name: String,
        /// Line and column in the query, from 1, where they are known.
        at: Option<(u64, u64)>,
        /// What is wrong with it.
        why: String,
        /// Names that come near it.
        near: Vec<String>,
    },
    /// A statement or an operator that is understood and refused.
    #[error("{0}")]
    Refused(String),
    /// A query that means nothing: types that do not fit, an ambiguous name, ...
    #[error("{why}{}", place(.at))]
    Plan {
        /// Line and column in the query, from 1, where they are known.
        at: Option<(u64, u64)>,
        /// What is wrong with it.
        why: String,
    },
    /// The query failed while it ran: a cast, a division by zero, ...
    #[error("{0}")]
    Run(String),
    /// The query needs more memory than it may have.
    #[error("the query needs more memory than the {limit_mb} MB it may have, and could not go on from disk: {why}")]
    Memory {
        /// The limit, in MB of 1,000,000 bytes.
        limit_mb: u64,
        /// Which part of it.
        why: String,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] RepoError),
    /// Values that are not what their type says.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A type that has no place in dsv.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// Arrow refused.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

fn place(at: &Option<(u64, u64)>) -> String {
    at.map_or(String::new(), |(line, column)| format!(" at line {line}, column {column}"))
}

impl QueryError {
    /// Names that were perhaps meant, nearest first.
    pub fn near(&self) -> &[String] {
        match self {
            QueryError::NoRevision { near, .. }
            | QueryError::NoTable { near, .. }
            | QueryError::NoColumn { near, .. }
            | QueryError::NoFunction { near, .. }
            | QueryError::Parameter { near, .. } => near,
            QueryError::Table(TableError::NoColumn { near, .. }) => near,
            _ => &[],
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            QueryError::Repository(error) => error.kind(),
            QueryError::Table(TableError::NoColumn { .. } | TableError::Schema(_)) => ErrorKind::Usage,
            QueryError::Table(_) | QueryError::Format(_) | QueryError::Arrow(_) => ErrorKind::Fault,
            _ => ErrorKind::Usage,
        }
    }

    /// What to do about it, a line each.
    pub fn hints(&self) -> Vec<String> {
        match self {
            QueryError::Repository(error) => error.hints(),
            QueryError::NoRevision { name, near } if near.is_empty() => {
                vec![format!("a schema is a revision: \"{name}\".TABLE is the table as it was at '{name}'")]
            }
            QueryError::Memory { .. } => vec!["give it more memory, or make it keep less: fewer columns, a LIMIT, a narrower WHERE".to_owned()],
            other => did_you_mean(other.near()).into_iter().collect(),
        }
    }

    /// Where in the query's text the fault is: line and column, from 1.
    pub fn at(&self) -> Option<(u64, u64)> {
        match self {
            QueryError::Syntax { at, .. } | QueryError::NoColumn { at, .. } | QueryError::Parameter { at, .. } | QueryError::Plan { at, .. } => *at,
            _ => None,
        }
    }
}

/// As DataFusion carries this floor's errors through its plans.
impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// What an error of DataFusion says, in this floor's terms. `memory_bytes` is the limit in force.
pub fn translate(error: DataFusionError, memory_bytes: usize) -> QueryError {
    Translator { memory_bytes, at: None }.translate(error)
}

struct Translator {
    memory_bytes: usize,
    at: Option<(u64, u64)>,
}

impl Translator {
    fn translate(mut self, error: DataFusionError) -> QueryError {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<QueryError>() {
                Ok(own) => *own,
                Err(inner) => match inner.downcast::<DataFusionError>() {
                    Ok(inner) => self.translate(*inner),
                    Err(inner) => QueryError::Run(one_line(&inner.to_string())),
                },
            },
            DataFusionError::Context(_, inner) => self.translate(*inner),
            DataFusionError::Diagnostic(diagnostic, inner) => {
                self.at = place_of(&diagnostic).or(self.at);
                self.translate(*inner)
            }
            DataFusionError::Collection(errors) => match errors.into_iter().next() {
                Some(first) => self.translate(first),
                None => QueryError::Run("the query failed".into()),
            },
            DataFusionError::Shared(shared) => match Arc::try_unwrap(shared) {
                Ok(error) => self.translate(error),
                Err(shared) => self.shared(&shared),
            },
            DataFusionError::ArrowError(inner, _) => match *inner {
                ArrowError::ExternalError(inner) => self.translate(DataFusionError::External(inner)),
                other => QueryError::Run(one_line(&other.to_string())),
            },
            DataFusionError::SQL(inner, _) => syntax(&inner, self.at),
            DataFusionError::SchemaError(inner, _) => self.schema(*inner),
            DataFusionError::ResourcesExhausted(why) => QueryError::Memory { limit_mb: self.memory_bytes as u64 / 1_000_000, why: one_line(&why) },
            DataFusionError::Plan(why) => self.plan(&why),
            DataFusionError::NotImplemented(why) => QueryError::Plan { at: self.at, why: one_line(&why) },
            DataFusionError::Execution(why) => of_a_function(&why, "\n").unwrap_or_else(|| QueryError::Run(one_line(&why))),
            DataFusionError::ExecutionJoin(inner) if inner.is_cancelled() => QueryError::Interrupted,
            other => QueryError::Run(one_line(&other.strip_backtrace())),
        }
    }

    /// An error that others hold as well: only what it says can be had.
    fn shared(self, error: &DataFusionError) -> QueryError {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(why) => QueryError::Memory { limit_mb: self.memory_bytes as u64 / 1_000_000, why: one_line(why) },
            DataFusionError::External(inner) => QueryError::Run(one_line(&inner.to_string())),
            root => QueryError::Run(one_line(&root.message())),
        }
    }

    fn schema(self, error: SchemaError) -> QueryError {
        match error {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let names: Vec<&str> = valid_fields.iter().map(|f| f.name.as_str()).collect();
                let near = nearest(&field.name, names.iter().copied()).into_iter().map(as_written).collect();
                let name = field.relation.as_ref().map_or(field.name.clone(), |relation| format!("{relation}.{}", field.name));
                QueryError::NoColumn { name, at: self.at, near }
            }
            SchemaError::AmbiguousReference { field } => {
                QueryError::Plan { at: self.at, why: format!("column '{}' may be that of several tables: write TABLE.{0}", field.name) }
            }
            other => QueryError::Plan { at: self.at, why: one_line(&other.to_string()) },
        }
    }

    fn plan(self, why: &str) -> QueryError {
        let line = one_line(why);
        // The planner has no kind of its own for this.
        if let Some(rest) = line.strip_prefix("Invalid function '")
            && let Some((name, rest)) = rest.split_once('\'')
        {
            let near = rest.split_once("Did you mean '").and_then(|(_, near)| near.split('\'').next());
            return QueryError::NoFunction { name: name.to_owned(), near: near.into_iter().map(str::to_owned).collect() };
        }
        let mismatch = "No function matches the given name and argument types '";
        if let Some(said) = of_a_function(&line, mismatch) {
            return said;
        }
        if let Some((call, rest)) = line.split_once(mismatch).and_then(|(_, rest)| rest.split_once('\'')) {
            let known = rest.split_once("Candidate functions: ").map_or(String::new(), |(_, known)| format!("; there is {known}"));
            return QueryError::Plan { at: self.at, why: format!("no function takes {call}{known}") };
        }
        QueryError::Plan { at: self.at, why: line }
    }
}

/// What a function of our own says of its arguments, up to `end`: the planner wraps it in words of its own.
fn of_a_function(why: &str, end: &str) -> Option<QueryError> {
    let (_, said) = why.split_once("user-defined coercion failed with: External error: ")?;
    let said = said.split_once(end).map_or(said, |(said, _)| said);
    Some(QueryError::Refused(said.trim().trim_end_matches('.').to_owned()))
}

/// A type by the name that dsv has for it; else by Arrow's.
pub(super) fn type_name(data_type: &DataType) -> String {
    Type::from_field(&Field::new("", data_type.clone(), true)).map_or(data_type.to_string(), |ty| ty.to_string())
}

/// A name as it must stand in a query: quoted where it is not a plain word in lower case.
pub(super) fn as_written(name: &str) -> String {
    let plain =
        name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn place_of(diagnostic: &Diagnostic) -> Option<(u64, u64)> {
    diagnostic.span.map(|span| (span.start.line, span.start.column))
}

/// A parser's error: its place stands at the end of its text.
fn syntax(error: &ParserError, known: Option<(u64, u64)>) -> QueryError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => one_line(text),
        ParserError::RecursionLimitExceeded => return QueryError::Syntax { at: known, why: "it is nested too deeply".into() },
    };
    let placed = text.rsplit_once(" at Line: ").and_then(|(why, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((why.to_owned(), (line.trim().parse().ok()?, column.trim().parse().ok()?)))
    });
    let (why, at) = placed.map_or((text, known), |(why, at)| (why, Some(at)));
    let why = why.strip_prefix("Expected: ").map_or(why.clone(), |rest| format!("expected {}", rest.replace(", found: ", ", found ")));
    QueryError::Syntax { at, why }
}

/// The text without a backtrace, as one line.
fn one_line(text: &str) -> String {
    let text = text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    for prefix in ["Error during planning: ", "Execution error: ", "Arrow error: ", "External error: "] {
        while let Some(rest) = line.strip_prefix(prefix) {
            line = rest.to_owned();
        }
    }
    line
}

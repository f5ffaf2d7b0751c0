//! Errors of the library as exceptions of `dsv.errors`.

use dsv::history::HistoryError;
use dsv::loader::LoaderError;
use dsv::query::QueryError;
use dsv::repo::{ErrorKind, RepoError};
use dsv::table::TableError;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;

/// An error that becomes an exception once Python is at hand.
#[derive(Debug)]
pub enum Fault {
    /// One of dsv's: the class of `dsv.errors`, the message and the hints.
    Told { class: &'static str, message: String, hints: Vec<String> },
    /// Ctrl-C.
    Interrupted,
    /// One of Python's own.
    Python(PyErr),
}

impl Fault {
    /// Wrong use.
    pub fn usage(message: impl Into<String>) -> Fault {
        Fault::Told { class: "UsageError", message: message.into(), hints: vec![] }
    }

    /// A name that is not there.
    pub fn not_found(message: impl Into<String>, near: impl IntoIterator<Item = String>) -> Fault {
        let near: Vec<String> = near.into_iter().collect();
        Fault::Told { class: "NotFoundError", message: message.into(), hints: dsv::base::name::did_you_mean(&near).into_iter().collect() }
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Fault {
        Fault::Python(error)
    }
}

fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Answer => "RefusedError",
        ErrorKind::Usage => "UsageError",
        ErrorKind::Fault => "RepositoryError",
    }
}

impl From<RepoError> for Fault {
    fn from(error: RepoError) -> Fault {
        use HistoryError as H;
        let class = match &error {
            RepoError::Interrupted | RepoError::Table(TableError::Interrupted) => return Fault::Interrupted,
            RepoError::NoRepository(_) | RepoError::NoTable { .. } | RepoError::NoBranch { .. } | RepoError::NoTag { .. } => "NotFoundError",
            RepoError::Table(TableError::NoColumn { .. }) | RepoError::History(H::Unknown { .. } | H::NoCommit(_) | H::NoParent { .. }) => "NotFoundError",
            RepoError::History(H::Moved { .. } | H::Contended(_)) | RepoError::Outdated { .. } | RepoError::InProgress { .. } => "RefusedError",
            // Rows are counted from 0 in Python.
            RepoError::Table(TableError::Value { row, column, why }) => {
                return Fault::usage(format!("column '{column}', row {}: {why}", row.saturating_sub(1)));
            }
            other => class(other.kind()),
        };
        Fault::Told { class, message: error.to_string(), hints: error.hints() }
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Fault {
        RepoError::from(error).into()
    }
}

impl From<QueryError> for Fault {
    fn from(error: QueryError) -> Fault {
        use QueryError as Q;
        let class = match error {
            Q::Interrupted => return Fault::Interrupted,
            Q::Table(error) => return error.into(),
            Q::Repository(error) => return error.into(),
            Q::NoRevision { .. } | Q::NoTable { .. } | Q::NoColumn { .. } | Q::NoFunction { .. } => "NotFoundError",
            Q::Run(_) | Q::Memory { .. } | Q::Format(_) | Q::Arrow(_) => "RepositoryError",
            _ => "UsageError",
        };
        Fault::Told { class, message: error.to_string(), hints: error.hints() }
    }
}

impl From<LoaderError> for Fault {
    fn from(error: LoaderError) -> Fault {
        use LoaderError as L;
        let class = match error {
            L::Repository(error) => return error.into(),
            L::Table(error) => return error.into(),
            L::Query(error) => return error.into(),
            L::NoRow { .. } => "NotFoundError",
            L::BadCell { .. } | L::AllBad { .. } | L::Thread(_) | L::Store(_) => "RepositoryError",
            _ => "UsageError",
        };
        Fault::Told { class, message: error.to_string(), hints: vec![] }
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> PyErr {
        match fault {
            Fault::Python(error) => error,
            Fault::Interrupted => PyKeyboardInterrupt::new_err(()),
            Fault::Told { class, message, hints } => Python::attach(|py| {
                let made = py.import("dsv.errors").and_then(|errors| errors.getattr(class)).and_then(|class| class.call1((&message, hints)));
                made.map_or_else(|_| PyRuntimeError::new_err(message), PyErr::from_value)
            }),
        }
    }
}

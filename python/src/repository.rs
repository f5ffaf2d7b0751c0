//! A repository: its tables, queries, and all verbs of the command line.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use dsv::base::Progress;
use dsv::cli;
use dsv::format::Type;
use dsv::loader::Selection;
use dsv::query::{self, Outcome, Param, Params, Session, expressions};
use dsv::repo::files::media::{Check, MediaKind, check};
use dsv::repo::remotes::{Remote, RemoteOptions};
use dsv::repo::{OnKey, OpenOptions, Repo, RepoError};
use dsv::table::{Table, TableError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use pyo3_arrow::PyRecordBatchReader;
use pyo3_arrow::input::AnyRecordBatch;

use crate::answer::{Answer, Batch};
use crate::batches::{self, Batches};
use crate::error::Fault;
use crate::run::{Bridge, run};
use crate::values::{Place, array, items};

/// Rows of a batch that is inserted, at most.
const INSERT_ROWS: usize = 1024;

/// A handle of a repository, on one branch or on what is checked out. Opens again by itself in a process that was forked.
#[pyclass(module = "dsv._dsv", frozen)]
pub struct Repository {
    dir: PathBuf,
    branch: Option<String>,
    bridge: Arc<Bridge>,
    opened: Mutex<Option<Opened>>,
    /// One write at a time.
    writing: Mutex<()>,
}

#[derive(Clone)]
struct Opened {
    process: u32,
    repo: Arc<Repo>,
    session: Arc<Session>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Repository {
    fn new(dir: PathBuf, branch: Option<String>) -> Repository {
        Repository { dir, branch, bridge: Arc::default(), opened: Mutex::new(None), writing: Mutex::new(()) }
    }

    /// The address of a repository that is read where it is.
    fn url(&self) -> Option<&str> {
        self.dir.to_str().filter(|text| text.contains("://"))
    }

    /// The repository and its session, opened in this process.
    fn opened(&self) -> Result<Opened, Fault> {
        let process = std::process::id();
        let mut opened = lock(&self.opened);
        if let Some(known) = opened.as_ref().filter(|known| known.process == process) {
            return Ok(known.clone());
        }
        let options = OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() };
        let mut repo = match self.url() {
            Some(url) => {
                let remote = Remote::open(url, &RemoteOptions::default(), &options)?;
                let view = remote.existing()?;
                remote.into_reader(&view)
            }
            None => Repo::open_with(&self.dir, &options)?,
        };
        if let Some(branch) = &self.branch {
            repo = repo.on_branch(branch)?;
        }
        repo.set_progress(self.bridge.clone());
        let (repo, bridge) = (Arc::new(repo), self.bridge.clone());
        let options = query::Options { interrupted: Some(Arc::new(move || bridge.interrupted())), ..query::Options::default() };
        let session = Arc::new(Session::new(repo.clone(), options)?);
        let made = Opened { process, repo, session };
        // The threads of a session that was opened before a fork are not here: it cannot be dropped.
        std::mem::forget(opened.replace(made.clone()));
        Ok(made)
    }

    fn run<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&Opened) -> Result<T, Fault> + Send) -> Result<T, Fault> {
        run(py, &self.bridge, || work(&self.opened()?))
    }

    /// The same for what may write. The lock is waited for by the thread that works, not by one that holds Python's own.
    fn write<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&Opened) -> Result<T, Fault> + Send) -> Result<T, Fault> {
        if let Some(url) = self.url() {
            let hints = vec![format!("dsv.clone({url:?}) makes one to work in")];
            return Err(Fault::Told { class: "UsageError", message: format!("{url} is read where it is, and has no more than tables and queries"), hints });
        }
        self.run(py, |opened| {
            let _one = lock(&self.writing);
            work(opened)
        })
    }
}

/// A folder as it is found from anywhere; an address as it is.
fn placed(dir: PathBuf) -> std::io::Result<PathBuf> {
    if dir.to_str().is_some_and(|text| text.contains("://")) { Ok(dir) } else { std::path::absolute(dir) }
}

/// A parameter's value.
fn param(value: &Bound<'_, PyAny>) -> Result<Param, Fault> {
    if value.is_none() {
        return Ok(Param::Null);
    }
    if let Ok(is_true) = value.extract::<bool>() {
        return Ok(Param::Bool(is_true));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Param::Text(text.to_string()));
    }
    if let Some(items) = items(value) {
        let numbers = items.iter().map(|item| item.extract::<f64>()).collect::<PyResult<Vec<f64>>>();
        let numbers = numbers.map_err(|_| Fault::usage("a list as a parameter is a vector: of numbers alone"))?;
        let texts: Vec<String> = numbers.iter().map(f64::to_string).collect();
        return Ok(Param::Text(format!("[{}]", texts.join(","))));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Param::Bytes(bytes.as_bytes().to_vec()));
    }
    match value.extract::<f64>() {
        Ok(number) if number.is_finite() => Ok(Param::Number(value.str()?.to_string())),
        Ok(_) => Err(Fault::usage("a parameter that is not finite has no place in SQL: write 'NaN'::float8")),
        Err(_) => match value.call_method0("isoformat") {
            Ok(iso) => Ok(Param::Text(iso.extract()?)),
            Err(_) => Ok(Param::Text(value.str()?.to_string())),
        },
    }
}

fn params(values: Option<&Bound<'_, PyDict>>) -> Result<Params, Fault> {
    let mut params = Params::new();
    for (name, value) in values.into_iter().flatten() {
        params.set(name.extract::<String>()?, param(&value)?);
    }
    Ok(params)
}

fn parsed(ty: &str) -> Result<Type, Fault> {
    ty.parse().map_err(|e: dsv::format::TypeError| Fault::usage(e.to_string()))
}

/// What is inserted: batches, or columns of Python's values.
enum Rows {
    Batches(Vec<RecordBatch>),
    Stream(Box<dyn arrow::array::RecordBatchReader + Send>),
}

#[pymethods]
impl Repository {
    /// Makes a repository in a folder.
    #[staticmethod]
    fn init(py: Python<'_>, dir: PathBuf, branch: &str) -> PyResult<Repository> {
        let made = Repository::new(std::path::absolute(&dir)?, None);
        run(py, &made.bridge, || Repo::init(&dir, branch).map(drop))?;
        Ok(made)
    }

    /// Opens the repository that a folder is in, or that is at an address, to be read; `branch` is one that the handle stays on.
    #[staticmethod]
    #[pyo3(signature = (dir, branch = None))]
    fn open(py: Python<'_>, dir: PathBuf, branch: Option<String>) -> PyResult<Repository> {
        let made = Repository::new(placed(dir)?, branch);
        made.run(py, |_| Ok(()))?;
        Ok(made)
    }

    /// Runs `dsv clone`, of these words, and opens what it made in `dir`.
    #[staticmethod]
    fn cloned(py: Python<'_>, words: Vec<String>, dir: PathBuf) -> PyResult<Repository> {
        let made = Repository::new(std::path::absolute(&dir)?, None);
        let (here, progress): (_, Arc<dyn Progress>) = (std::env::current_dir()?, made.bridge.clone());
        run(py, &made.bridge, || cli::within(&words, &here, None, progress).map(drop).map_err(Fault::from))?;
        Ok(made)
    }

    /// The folder that it was opened in.
    #[getter]
    fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// The branch that it stays on, if it does.
    #[getter]
    fn branch(&self) -> Option<String> {
        self.branch.clone()
    }

    /// Calls `show(stage, done, total, unit)` while long work runs; None shows nothing.
    fn show_progress(&self, show: Option<Py<PyAny>>) {
        self.bridge.show_with(show);
    }

    /// The branch that is checked out, to this handle.
    fn current_branch(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.run(py, |opened| Ok(opened.repo.current_branch()?))?)
    }

    /// The id of the commit that a revision names.
    fn resolve(&self, py: Python<'_>, revision: &str) -> PyResult<String> {
        Ok(self.run(py, |opened| Ok(opened.repo.resolve(revision)?.to_string()))?)
    }

    /// The tables: name, rows, columns by name and type, key.
    #[pyo3(signature = (at = None))]
    #[allow(clippy::type_complexity)]
    fn tables(&self, py: Python<'_>, at: Option<&str>) -> PyResult<Vec<(String, u64, Vec<(String, String)>, Vec<String>)>> {
        let tables = self.run(py, |opened| Ok(opened.repo.tables(at)?))?;
        let described = tables.into_iter().map(|table| {
            let schema = &table.schema;
            let columns = schema.columns.iter().map(|column| (column.name.clone(), column.ty.to_string())).collect();
            let key = schema.columns.iter().filter(|column| schema.key.contains(&column.id)).map(|column| column.name.clone()).collect();
            (table.name, table.rows, columns, key)
        });
        Ok(described.collect())
    }

    /// The views: their SQL by name.
    #[pyo3(signature = (at = None))]
    fn views(&self, py: Python<'_>, at: Option<&str>) -> PyResult<std::collections::BTreeMap<String, String>> {
        Ok(self.run(py, |opened| Ok(opened.repo.views(at)?))?)
    }

    /// Makes an empty table.
    fn create_table(&self, py: Python<'_>, name: &str, columns: Vec<(String, String)>, key: Vec<String>) -> PyResult<()> {
        let typed = columns.into_iter().map(|(name, ty)| Ok((name, parsed(&ty)?))).collect::<Result<Vec<_>, Fault>>()?;
        Ok(self.write(py, |opened| Ok(opened.repo.create_table(name, &typed, &key, &format!("table create {name}"))?))?)
    }

    /// Tells the rows of a table apart by these columns.
    fn set_key(&self, py: Python<'_>, table: &str, columns: Vec<String>) -> PyResult<()> {
        Ok(self.write(py, |opened| Ok(opened.repo.set_key(table, &columns, &format!("table key {table} {}", columns.join(" ")))?))?)
    }

    /// Runs a verb of the command line, and returns its JSON lines and its warnings.
    fn verb(&self, py: Python<'_>, words: Vec<String>) -> PyResult<(String, Vec<String>)> {
        let progress: Arc<dyn Progress> = self.bridge.clone();
        let said = self.write(py, |_| Ok(cli::within(&words, &self.dir, self.branch.as_deref(), progress)?))?;
        Ok((String::from_utf8_lossy(&said.data).into_owned(), said.warnings))
    }

    /// As `verb`, with the bytes that it wrote.
    fn verb_bytes<'py>(&self, py: Python<'py>, words: Vec<String>) -> PyResult<Bound<'py, PyBytes>> {
        let progress: Arc<dyn Progress> = self.bridge.clone();
        let said = self.write(py, |_| Ok(cli::within(&words, &self.dir, self.branch.as_deref(), progress)?))?;
        Ok(PyBytes::new(py, &said.data))
    }

    /// Asks in SQL. A statement that writes is refused.
    #[pyo3(signature = (sql, values = None, at = None))]
    fn ask(&self, py: Python<'_>, sql: &str, values: Option<&Bound<'_, PyDict>>, at: Option<&str>) -> PyResult<Answer> {
        let params = params(values)?;
        let answer = self.run(py, |opened| {
            if query::writes(sql).map_err(|error| marked(error, sql))? {
                let hints = vec!["run it by execute(...)".to_owned()];
                return Err(Fault::Told { class: "UsageError", message: "this statement writes, and has no rows".into(), hints });
            }
            opened.session.query(sql, &params, at).map_err(|error| marked(error, sql))
        })?;
        Ok(Answer::new(answer, self.bridge.clone()))
    }

    /// Runs a statement that writes into the working state; returns how many rows it touched.
    #[pyo3(signature = (sql, values = None))]
    fn execute(&self, py: Python<'_>, sql: &str, values: Option<&Bound<'_, PyDict>>) -> PyResult<Option<u64>> {
        let params = params(values)?;
        let command = format!("query {}", sql.split_whitespace().take(12).collect::<Vec<_>>().join(" "));
        Ok(self.write(py, |opened| match opened.session.run(&opened.repo, sql, &params, None, &command).map_err(|error| marked(error, sql))? {
            Outcome::Written(written) => Ok(written.rows),
            Outcome::Answer(_) => Err(Fault::usage("this statement asks, and writes nothing: ask it by query(...)")),
        })?)
    }

    /// Adds rows to a table: columns of Python's values. `on_key` says what becomes of a row whose key the table has: `refuse`, `skip` or `update`.
    fn insert(&self, py: Python<'_>, table: &str, columns: &Bound<'_, PyDict>, on_key: &str) -> PyResult<(u64, u64)> {
        let known = self.run(py, |opened| Ok(opened.repo.table(table, None)?))?;
        let mut names = Vec::new();
        let mut values: Vec<Vec<Bound<'_, PyAny>>> = Vec::new();
        for (name, column) in columns {
            names.push(name.extract::<String>()?);
            values.push(items(&column).ok_or_else(|| Fault::usage(format!("column '{name}' is no list")))?);
        }
        let types = types_of(&known, &names)?;
        let rows = values.first().map_or(0, Vec::len);
        if let Some(at) = values.iter().position(|column| column.len() != rows) {
            let (first, other) = (&names[0], &names[at]);
            return Err(Fault::usage(format!("column '{first}' has {rows} values, column '{other}' has {}", values[at].len())).into());
        }
        let mut batches = Vec::new();
        for start in (0..rows).step_by(INSERT_ROWS) {
            let part = start..rows.min(start + INSERT_ROWS);
            let (mut arrays, mut fields): (Vec<ArrayRef>, Vec<Field>) = Default::default();
            for ((name, ty), column) in names.iter().zip(&types).zip(&values) {
                let (made, ty) = array(&column[part.clone()], ty, Place { column: name, row: start })?;
                let field = ty.field(name, true);
                arrays.push(if made.data_type() == field.data_type() {
                    made
                } else {
                    dsv::table::scan::retype(&made, field.data_type()).map_err(Fault::from)?
                });
                fields.push(field);
            }
            let options = RecordBatchOptions::new().with_row_count(Some(part.len()));
            let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
            batches.push(batch.map_err(|e| Fault::from(TableError::from(e)))?);
        }
        Ok(self.insert_rows(py, table, names, Rows::Batches(batches), on_key)?)
    }

    /// As `insert`, of what speaks Arrow: a batch, a table or a stream.
    fn insert_arrow(&self, py: Python<'_>, table: &str, rows: AnyRecordBatch, on_key: &str) -> PyResult<(u64, u64)> {
        let names = rows.schema()?.fields().iter().map(|field| field.name().clone()).collect();
        Ok(self.insert_rows(py, table, names, Rows::Stream(rows.into_reader()?), on_key)?)
    }

    /// The names and types, as dsv writes them, of what speaks Arrow.
    #[staticmethod]
    fn arrow_columns(rows: PyRecordBatchReader) -> PyResult<Vec<(String, String)>> {
        let schema = rows.schema_ref()?;
        let columns = schema.fields().iter().map(|field| Ok((field.name().clone(), Type::from_field(field)?.to_string())));
        Ok(columns.collect::<Result<_, dsv::format::TypeError>>().map_err(|e| Fault::usage(e.to_string()))?)
    }

    /// Rows of a table by their number, counted from 0 in its order.
    #[pyo3(signature = (table, rows, columns = None, at = None))]
    fn take(&self, py: Python<'_>, table: &str, rows: Vec<u64>, columns: Option<Vec<String>>, at: Option<&str>) -> PyResult<Batch> {
        let batch = self.run(py, |opened| {
            let (repo, found) = (&opened.repo, opened.repo.table(table, at)?);
            let objects = repo.objects();
            let all = found.rows(objects)?;
            let indices: Vec<usize> = match &columns {
                Some(names) => names.iter().map(|name| found.schema.index(name)).collect::<Result<_, TableError>>()?,
                None => (0..found.schema.columns.len()).collect(),
            };
            if let Some(row) = rows.iter().find(|row| **row >= all) {
                return Err(Fault::Told { class: "NotFoundError", message: format!("there is no row {row}: table '{table}' has {all}"), hints: vec![] });
            }
            batches::rows(repo, &found, &indices, &rows)
        })?;
        Ok(Batch::new(batch))
    }

    /// Starts to load batches for training: of a query, or of a table or view, at a revision.
    #[pyo3(signature = (options, sql = None, relation = None, values = None))]
    fn load(
        &self,
        py: Python<'_>,
        options: &Bound<'_, PyDict>,
        sql: Option<&str>,
        relation: Option<&str>,
        values: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Batches> {
        let (params, options) = (params(values)?, batches::Wanted::of(options)?);
        let selection = self.run(py, |opened| {
            let (repo, at) = (&opened.repo, options.at.as_deref().unwrap_or("HEAD"));
            let columns: Option<Vec<&str>> = options.columns.as_ref().map(|names| names.iter().map(String::as_str).collect());
            Ok(match (sql, relation) {
                (Some(sql), _) => {
                    let all = Selection::of_query(repo, at, sql, &params).map_err(|error| match error {
                        dsv::loader::LoaderError::Query(error) => marked(error, sql),
                        other => other.into(),
                    })?;
                    match &columns {
                        Some(columns) => all.only(columns)?,
                        None => all,
                    }
                }
                (None, Some(relation)) => Selection::of_relation(repo, at, relation, columns.as_deref())?,
                (None, None) => return Err(Fault::usage("there is nothing to load: name a table, a view or a query")),
            })
        })?;
        Ok(Batches::start(py, selection, options, self.bridge.clone())?)
    }
}

impl Repository {
    fn insert_rows(&self, py: Python<'_>, table: &str, names: Vec<String>, rows: Rows, on_key: &str) -> Result<(u64, u64), Fault> {
        self.write(py, |opened| {
            let repo = &opened.repo;
            let known = repo.table(table, None)?;
            let types = types_of(&known, &names)?;
            let key: Vec<&String> = known.schema.columns.iter().filter(|column| known.schema.key.contains(&column.id)).map(|column| &column.name).collect();
            let set: Vec<String> = names.iter().filter(|name| !key.contains(name)).cloned().collect();
            let places: Vec<usize> = set.iter().filter_map(|name| names.iter().position(|other| other == name)).collect();
            let mut cells = |_: &Arc<Table>, batch: &RecordBatch, _: &[u64]| -> Result<(Vec<ArrayRef>, BooleanArray), RepoError> {
                let cells = places.iter().map(|at| batch.column(*at).clone()).collect();
                Ok((cells, BooleanArray::from(vec![true; batch.num_rows()])))
            };
            let on_key = match on_key {
                "refuse" => OnKey::Refuse,
                "skip" => OnKey::Skip,
                "update" if key.is_empty() => {
                    return Err(Fault::Told {
                        class: "UsageError",
                        message: format!("table '{table}' has no key, by which rows could be found again"),
                        hints: vec!["give it one: ds.set_key(\"id\")".into()],
                    });
                }
                "update" => OnKey::Set(&set, &mut cells),
                other => return Err(Fault::usage(format!("'{other}' is none of refuse, skip, update"))),
            };
            let command = format!("append {table}");
            let batches: Box<dyn Iterator<Item = Result<RecordBatch, RepoError>>> = match rows {
                Rows::Batches(batches) => Box::new(batches.into_iter().map(Ok)),
                Rows::Stream(stream) => Box::new(stream.map(|batch| batch.map_err(|e| TableError::from(e).into()))),
            };
            let mut row = 0;
            let mut checked = batches.map(|batch| {
                let batch = batch?;
                for ((name, ty), files) in names.iter().zip(&types).zip(batch.columns()) {
                    are_media(name, ty, files, row)?;
                }
                row += batch.num_rows();
                Ok(batch)
            });
            let affected = repo.insert_rows(table, &names, &mut checked, on_key, &command)?;
            Ok((affected.inserted, affected.updated))
        })
    }
}

/// Refuses bytes that are no picture, recording or video in a column of them; `row` is the first one's.
fn are_media(name: &str, ty: &Type, files: &ArrayRef, row: usize) -> Result<(), RepoError> {
    let kind = match ty {
        Type::Image => MediaKind::Image,
        Type::Audio => MediaKind::Audio,
        Type::Video => MediaKind::Video,
        _ => return Ok(()),
    };
    let plain = arrow::compute::cast(files, &DataType::Binary).map_err(TableError::from)?;
    for (at, file) in plain.as_binary::<i32>().iter().enumerate() {
        let Some(file) = file else { continue };
        let why = match check(file, Check::Structure) {
            Ok(media) if media.kind == kind => continue,
            Ok(media) => format!("it is {}", media.media_type),
            Err(why) => why,
        };
        return Err(TableError::Value { row: (row + at) as u64 + 1, column: name.to_owned(), why: format!("the bytes are no {ty}: {why}") }.into());
    }
    Ok(())
}

/// The types of a table's columns by name.
fn types_of(table: &Table, names: &[String]) -> Result<Vec<Type>, Fault> {
    let find = |name: &String| Ok(table.schema.columns[table.schema.index(name)?].ty.clone());
    names.iter().map(find).collect::<Result<Vec<_>, TableError>>().map_err(Fault::from)
}

/// An error of a query with the line and the place that it is about.
pub fn marked(error: query::QueryError, sql: &str) -> Fault {
    let at = error.at();
    match Fault::from(error) {
        Fault::Told { class, message, hints } => {
            let line = at.and_then(|(line, column)| Some((sql.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?, usize::try_from(column).ok()?)));
            let mark = line.map(|(line, column)| format!("\n  {line}\n  {:1$}^", "", column.saturating_sub(1)));
            Fault::Told { class, message: message + &mark.unwrap_or_default(), hints }
        }
        other => other,
    }
}

/// True where `dir` is within a repository.
#[pyfunction]
pub fn is_repository(dir: PathBuf) -> bool {
    Path::new(&dir).ancestors().any(|above| above.join(dsv::repo::FOLDER).join("head").is_file())
}

impl From<cli::error::CliError> for Fault {
    fn from(error: cli::error::CliError) -> Fault {
        let class = match error.exit {
            cli::error::NO => "RefusedError",
            cli::error::USAGE => "UsageError",
            130 => return Fault::Interrupted,
            _ => "RepositoryError",
        };
        Fault::Told { class, message: error.message, hints: error.hints }
    }
}

//! Two engines side by side: DataFusion alone, which makes the tables that a file asks for, and dsv, which gets their rows as tables of a repository and
//! answers the queries.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_plan::{collect, collect_partitioned};
use datafusion::prelude::{SessionConfig, SessionContext};
use dsv::format::Type;
use dsv::format::array::to_storage;
use dsv::query::{Options, Params, QueryError, Session};
use dsv::repo::{Repo, RepoError};
use dsv::table::scan::retype;
use dsv::table::write::RowWriter;
use tempfile::TempDir;

use super::print;

/// An answer: letters of the types, and lines.
pub type Lines = (String, Vec<String>);

/// A query of dsv that runs longer than this is ended.
const SECONDS_MAX: u64 = 60;

pub struct Engines {
    runtime: tokio::runtime::Runtime,
    alone: SessionContext,
    /// The same tables, in dsv's dialect of SQL and with DataFusion's configuration as dsv has it, whatever a file sets.
    plain: SessionContext,
    repo: Arc<Repo>,
    session: Session,
    /// The tables in the repository, with the rows that they were made of.
    tables: HashMap<String, (Vec<(String, Type)>, Vec<RecordBatch>)>,
    /// Milliseconds since `began` at which the running query has to end.
    until: Arc<AtomicU64>,
    began: Instant,
    /// The folder of the .slt files.
    folder: PathBuf,
    dir: TempDir,
}

impl Engines {
    pub fn new(folder: &Path) -> Engines {
        let dir = tempfile::tempdir().unwrap();
        let repo = Arc::new(Repo::init(dir.path(), "main").unwrap());
        let (until, began) = (Arc::new(AtomicU64::new(u64::MAX)), Instant::now());
        let its = until.clone();
        let interrupted = Arc::new(move || began.elapsed().as_millis() as u64 > its.load(Ordering::Relaxed));
        let session = Session::new(repo.clone(), Options { threads: 2, interrupted: Some(interrupted), ..Options::default() }).unwrap();
        // As many partitions as DataFusion's own runner has.
        let config = SessionConfig::new().with_target_partitions(4);
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        let mut config = SessionConfig::new().with_target_partitions(4);
        let sql = &mut config.options_mut().sql_parser;
        (sql.dialect, sql.map_string_types_to_utf8view) = (Dialect::PostgreSQL, false);
        let plain = SessionStateBuilder::new_from_existing(state.clone()).with_config(config).build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        Engines {
            runtime,
            alone: SessionContext::new_with_state(state),
            plain: SessionContext::new_with_state(plain),
            repo,
            session,
            tables: HashMap::new(),
            until,
            began,
            folder: folder.to_owned(),
            dir,
        }
    }

    /// What DataFusion alone answers.
    pub fn alone(&self, sql: &str) -> Result<Lines, String> {
        self.ask(&self.alone, sql)
    }

    /// What DataFusion alone answers to what dsv's dialect makes of the text.
    pub fn plain(&self, sql: &str) -> Result<Lines, String> {
        self.ask(&self.plain, sql)
    }

    fn ask(&self, context: &SessionContext, sql: &str) -> Result<Lines, String> {
        let sql = self.placed(sql);
        let run = async {
            let frame = context.sql(&sql).await?;
            let context = Arc::new(frame.task_ctx());
            let plan = frame.create_physical_plan().await?;
            let schema = plan.schema();
            Ok::<_, DataFusionError>((schema, collect(plan, context).await?))
        };
        let (schema, batches) = unharmed(|| self.runtime.block_on(run))?.map_err(|e: DataFusionError| e.to_string())?;
        Ok((print::types(&schema), print::lines(&batches)?))
    }

    /// What dsv answers, over tables that have been brought.
    pub fn dsv(&self, sql: &str) -> Result<Lines, String> {
        self.until.store(self.began.elapsed().as_millis() as u64 + 1000 * SECONDS_MAX, Ordering::Relaxed);
        let answered = unharmed(|| {
            let answer = self.session.query(sql, &Params::new(), None)?;
            let schema = answer.schema();
            Ok::<_, QueryError>((schema, answer.collect::<Result<Vec<_>, _>>()?))
        });
        let (schema, batches) = answered?.map_err(|e| e.to_string())?;
        Ok((print::types(&schema), print::lines(&batches)?))
    }

    /// The tables that a query reads and that are there, brought into the repository as they are now.
    pub fn bring(&mut self, sql: &str) -> Result<(), &'static str> {
        let state = self.alone.state();
        let dialect = state.config().options().sql_parser.dialect;
        // What cannot be read names no tables.
        let Ok(statement) = state.sql_to_statement(sql, &dialect) else { return Ok(()) };
        let Ok(references) = state.resolve_table_references(&statement) else { return Ok(()) };
        for reference in references {
            if reference.schema().is_some() {
                return Err("a table named with a schema, which is a revision in dsv");
            }
            if self.alone.table_exist(reference.clone()).unwrap_or(false) {
                self.bring_table(reference)?;
            } else if self.tables.remove(reference.table()).is_some() {
                self.repo.drop_table(reference.table(), "test").unwrap();
            } else if !is_system(reference.table()) && !state.table_functions().contains_key(reference.table()) {
                return Err("a table that was not made");
            }
        }
        Ok(())
    }

    fn bring_table(&mut self, reference: TableReference) -> Result<(), &'static str> {
        let name = reference.table().to_owned();
        let read = async {
            let frame = self.alone.table(reference).await?;
            let context = Arc::new(frame.task_ctx());
            let plan = frame.create_physical_plan().await?;
            let schema = plan.schema();
            // One partition after the other: in the order of the rows.
            let batches = collect_partitioned(plan, context).await?;
            Ok::<_, DataFusionError>((schema, batches.into_iter().flatten().filter(|b| b.num_rows() > 0).collect::<Vec<_>>()))
        };
        let Ok((schema, batches)) = self.runtime.block_on(read) else { return Err("a table that cannot be read") };
        let columns = schema.fields().iter().map(|field| Ok((field.name().clone(), Type::from_field(field)?)));
        let Ok(columns) = columns.collect::<Result<Vec<_>, dsv::format::TypeError>>() else { return Err("a type that dsv does not store") };
        if self.tables.get(&name).is_some_and(|(known, rows)| *known == columns && *rows == batches) {
            return Ok(());
        }
        if self.tables.remove(&name).is_some() {
            self.repo.drop_table(&name, "test").unwrap();
        }
        match make(&self.repo, &name, &columns, &batches) {
            Ok(()) => drop(self.tables.insert(name, (columns, batches))),
            // Two columns of one name, or none.
            Err(RepoError::Refused { .. } | RepoError::Table(_)) => {
                // What was half made is no table.
                let _ = self.repo.drop_table(&name, "test");
                return Err("a table that dsv does not make");
            }
            Err(other) => panic!("{name}: {other}"),
        }
        Ok(())
    }

    /// The statement with its paths where the files are. What is written goes to a folder that is thrown away.
    fn placed(&self, sql: &str) -> String {
        let scratch = self.dir.path().join("scratch");
        let folder = self.folder.display();
        let sql = sql.replace("'test_files/scratch/", &format!("'{}/", scratch.display()));
        sql.replace("'test_files/", &format!("'{folder}/")).replace("'data/", &format!("'{folder}/../data/"))
    }
}

/// Runs what may panic.
fn unharmed<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        format!("panicked: {}", text.unwrap_or_default())
    })
}

/// The names that mean something to dsv without a table.
fn is_system(name: &str) -> bool {
    ["commits", "branches", "tags", "tables", "columns", "conflicts"].contains(&name)
}

fn make(repo: &Repo, name: &str, columns: &[(String, Type)], batches: &[RecordBatch]) -> Result<(), RepoError> {
    repo.create_table(name, columns, &[], "test")?;
    if batches.is_empty() {
        return Ok(());
    }
    repo.edit_table(name, "test", |table| {
        let mut writer = RowWriter::new(repo.objects(), &table, columns)?;
        let schema = table.schema.arrow(&(0..columns.len()).collect::<Vec<_>>());
        for batch in batches {
            let arrays = batch.columns().iter().zip(columns).zip(schema.fields()).map(|((values, (_, ty)), field)| {
                let values = to_storage(values, &ty.storage()).map_err(|e| RepoError::refused(e.to_string()))?;
                Ok(if values.data_type() == field.data_type() { values } else { retype(&values, field.data_type())? })
            });
            let arrays = arrays.collect::<Result<Vec<ArrayRef>, RepoError>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(|e| RepoError::refused(e.to_string()))?;
            writer.push(&batch, &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    })
}

//! The two sides that run in this process: dsv, and DataFusion over Parquet files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::config::Dialect;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use dsv::query::{Options, Params, Session};
use dsv::repo::Repo;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// How queries run on every side.
pub fn threads() -> usize {
    Options::default().threads
}

/// A session of dsv.
pub struct Dsv(Session);

impl Dsv {
    pub fn new(repo: Repo) -> Dsv {
        Dsv(Session::new(Arc::new(repo), Options::default()).expect("a session"))
    }

    /// The answer, all of it in memory. Its planning counts.
    pub fn batches(&self, sql: &str, params: &Params) -> Vec<RecordBatch> {
        self.0.query(sql, params, None).expect("an answer").map(|batch| batch.expect("a batch")).collect()
    }

    pub fn rows(&self, sql: &str) -> usize {
        count(&self.batches(sql, &Params::new()))
    }
}

/// DataFusion over Parquet files.
pub struct Parquet {
    context: SessionContext,
    runtime: tokio::runtime::Runtime,
}

impl Parquet {
    /// Over these files, by the names of their tables. With `pushdown` its reader takes filters in, which it does not unless told.
    pub fn new(tables: &[(&str, &Path)], pushdown: bool) -> Parquet {
        let mut config = SessionConfig::new().with_target_partitions(threads());
        config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
        config.options_mut().execution.parquet.pushdown_filters = pushdown;
        config.options_mut().execution.parquet.reorder_filters = pushdown;
        let context = SessionContext::new_with_config(config);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads()).build().expect("threads");
        for (table, path) in tables {
            let path = path.to_str().expect("a path in UTF-8");
            runtime.block_on(context.register_parquet(*table, path, ParquetReadOptions::default())).expect("a table");
        }
        Parquet { context, runtime }
    }

    pub fn rows(&self, sql: &str) -> usize {
        count(&self.runtime.block_on(async { self.context.sql(sql).await?.collect().await }).expect("an answer"))
    }
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// Writes rows as a Parquet file, compressed with zstd.
pub fn write_parquet(path: &Path, schema: SchemaRef, batches: impl Iterator<Item = RecordBatch>) {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), schema, Some(properties)).expect("a writer");
    batches.for_each(|batch| writer.write(&batch).expect("room"));
    writer.close().expect("room");
}

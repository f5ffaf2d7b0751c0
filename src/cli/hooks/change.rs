//! What changes, as hooks read it: JSON lines as `dsv diff --json` gives them, or Arrow's streams.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::settings::Form;
use crate::base::TableObjectId;
use crate::cli::describe::{self, TableChange};
use crate::cli::diff::{Differing, file, lines};
use crate::cli::error::CliError;
use crate::format::check::Check;
use crate::format::snapshot::Snapshot;
use crate::repo::{Change as Difference, NameChange, Repo, changed_checks, changed_tables, changed_views};

/// The key of the schema's metadata under which a stream names its table.
pub const TABLE: &str = "dsv.table";

/// What differs between two snapshots, by name. Nothing of it is read.
#[derive(Debug, Default)]
pub struct Change {
    tables: Vec<NameChange<TableObjectId>>,
    views: Vec<NameChange<String>>,
    checks: Vec<NameChange<Check>>,
}

impl Change {
    /// From one to another.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Change {
        Change { tables: changed_tables(before, after), views: changed_views(before, after), checks: changed_checks(before, after) }
    }

    /// The names of the tables that differ, those included that they had before.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tables.iter().map(|table| table.name.clone()).collect();
        names.extend(self.tables.iter().filter_map(|table| match &table.change {
            Difference::Renamed(from, _) => Some(from.clone()),
            _ => None,
        }));
        names.sort();
        names.dedup();
        names
    }

    /// The same, to be read from any thread.
    pub fn open(&self, repo: &Repo) -> Result<Opened, CliError> {
        let tables = self.tables.iter().map(|table| Differing::open(repo, table.clone(), &[], None)).collect::<Result<Vec<_>, _>>()?;
        Ok(Opened { tables, others: describe::others(&self.views, &self.checks) })
    }
}

/// What differs, ready to be read.
pub struct Opened {
    tables: Vec<Differing>,
    others: Vec<TableChange>,
}

impl Opened {
    /// Writes it; a batch of rows is in memory at a time.
    pub fn write(&self, form: Form, out: &mut dyn Write) -> Result<(), CliError> {
        match form {
            Form::None => Ok(()),
            Form::Json => lines::write_all(&self.tables, &self.others, out, u64::MAX).map(drop),
            Form::Arrow => self.tables.iter().try_for_each(|table| stream(table, out)),
        }
    }
}

/// A table's rows that differ, as one stream of Arrow's IPC format.
fn stream(table: &Differing, out: &mut dyn Write) -> Result<(), CliError> {
    let (schema, batches) = file::batches(table, u64::MAX, false)?;
    let about = HashMap::from([(TABLE.to_owned(), table.entry.name.clone())]);
    let schema = Arc::new(Schema::new(schema.fields().clone()).with_metadata(about));
    let mut writer = StreamWriter::try_new(out, &schema).map_err(failed)?;
    for batch in batches {
        writer.write(&batch?).map_err(failed)?;
    }
    writer.finish().map_err(failed)
}

fn failed(error: ArrowError) -> CliError {
    match error {
        ArrowError::IoError(_, source) => source.into(),
        other => CliError::fault(other.to_string()),
    }
}

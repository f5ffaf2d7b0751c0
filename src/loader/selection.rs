//! What is loaded: rows of a table as a commit has it, numbered from 0, and columns of them.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;

use crate::base::CommitId;
use crate::chunk::Objects;
use crate::format::node::{Kind, RowRun, Spine};
use crate::repo::Repo;
use crate::table::Table;

use super::{LoaderError, Slots};

/// Rows of a table as a commit has it, and columns of them. Nothing is copied; a branch that moves or goes meanwhile changes nothing.
#[derive(Debug, Clone)]
pub struct Selection {
    objects: Arc<Objects>,
    table: Arc<Table>,
    commit: CommitId,
    columns: Vec<usize>,
    slots: Slots,
    digest: String,
}

impl Selection {
    /// All rows of a table at a revision, in the table's order, with these columns or with all.
    pub fn of_table(repo: &Repo, revision: &str, name: &str, columns: Option<&[&str]>) -> Result<Selection, LoaderError> {
        let (objects, commit) = (repo.objects().clone(), repo.resolve(revision)?);
        let table = repo.table(name, Some(&commit.to_string()))?;
        let columns: Vec<usize> = match columns {
            Some(names) => names.iter().map(|name| table.schema.index(name)).collect::<Result<_, _>>()?,
            None => (0..table.columns.len()).collect(),
        };
        let mut slots = Slots::new();
        let live = table.live.get(&*objects)?;
        for run in live.items(&*objects, 0, live.rows())? {
            let (start, run) = run?;
            if run.live {
                slots.push(start..start + run.rows);
            }
        }
        let digest = digest(&objects, &table, &columns, &slots)?;
        Ok(Selection { objects, table, commit, columns, slots, digest })
    }

    /// The commit that the rows are of.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.slots.count()
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.table.schema.arrow(&self.columns)
    }

    /// A digest of the row ids and the columns, in hexadecimal: the same after a compaction, and after columns were added that are not loaded.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// These rows, in this order; one may come more than once. Only the blocks that hold them are read.
    pub fn read(&self, rows: &[u64]) -> Result<RecordBatch, LoaderError> {
        let slot = |row: &u64| self.slots.get(*row).ok_or(LoaderError::NoRow { row: *row, rows: self.rows() });
        let wanted = rows.iter().map(slot).collect::<Result<Vec<u64>, _>>()?;
        let mut slots = wanted.clone();
        slots.sort_unstable();
        slots.dedup();
        let found = self.table.take(&self.objects, &slots, &self.columns)?;
        if slots == wanted {
            return Ok(found);
        }
        let places: UInt64Array = wanted.iter().map(|slot| slots.partition_point(|other| other < slot) as u64).collect();
        Ok(take_record_batch(&found, &places)?)
    }
}

/// What a state knows a selection by.
fn digest(objects: &Objects, table: &Table, columns: &[usize], slots: &Slots) -> Result<String, LoaderError> {
    let mut hasher = blake3::Hasher::new();
    let mut number = |n: u64, bytes: &[u8]| {
        hasher.update(&n.to_le_bytes()).update(bytes);
    };
    number(columns.len() as u64, table.id.as_bytes());
    for column in columns.iter().filter_map(|column| table.schema.columns.get(*column)) {
        number(0, column.id.as_bytes());
    }
    // Runs of row ids as they follow each other, however the tree has them cut.
    let mut last: Option<RowRun> = None;
    let mut runs = Vec::new();
    let spine = table.spine.get(objects)?;
    for range in slots.runs() {
        for run in spine.items(objects, range.start, range.end)? {
            let (_, run) = run?;
            last = match last.map(|before| (before, Spine::join(&before, &run))) {
                Some((_, Some(joined))) => Some(joined),
                Some((before, None)) => {
                    runs.push(before);
                    Some(run)
                }
                None => Some(run),
            };
        }
    }
    for run in runs.into_iter().chain(last) {
        number(run.first, run.origin.as_bytes());
        number(run.rows, &[]);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

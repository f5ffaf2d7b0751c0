//! What a merge made is held to the checks: a row that breaks one is a conflict.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::FieldRef;
use arrow::util::display::array_value_to_string;

use super::{Tested, Violation};
use crate::format::snapshot::Snapshot;
use crate::repo::blame::slot_of;
use crate::repo::merge::{MergedSnapshot, MergedTable, NameConflict};
use crate::repo::{Repo, RepoError};
use crate::table::merge::{Conflict, ConflictKind, MergeCounts};
use crate::table::{Table, TableError};

/// Characters of a cell that a conflict shows.
const SHOWN_CHARACTERS: usize = 80;

impl Repo {
    /// Tests the checks of a merged snapshot on the rows that neither side has as they are, and adds what breaks one to its conflicts, or to its warnings where the check only warns. Where
    /// SQL is needed and there is none, this errors: a check is never passed over.
    pub(in crate::repo) fn check_merged(&self, merged: &mut MergedSnapshot, base: &Snapshot, ours: &Snapshot, theirs: &Snapshot) -> Result<(), RepoError> {
        if merged.snapshot.checks.is_empty() {
            return Ok(());
        }
        let broken = self.test_checks(&[ours, theirs], &merged.snapshot, None, usize::MAX)?.into_iter().filter(|tested| !tested.holds());
        let (broken, warnings): (Vec<Tested>, Vec<Tested>) = broken.partition(Tested::refuses);
        merged.warnings.extend(warnings);
        for violation in broken.into_iter().flat_map(|tested| tested.violations) {
            let why = said(&violation)?;
            let (Some((id, name)), Some(slot)) = (&violation.table, violation.slot) else {
                merged.names.push(NameConflict { name: violation.check, why });
                continue;
            };
            let place = match merged.tables.iter().position(|table| table.ours.id == *id) {
                Some(place) => place,
                None => {
                    // It was taken whole from a side, which is why nothing was told of it.
                    let state = |snapshot: &Snapshot| -> Result<Arc<Table>, RepoError> {
                        let found = self.by_id(snapshot)?.remove(id).map(|(.., table)| table);
                        found.map_or_else(|| Ok(Arc::new(Table::create(self.objects(), *id, Default::default())?)), Ok)
                    };
                    let table = MergedTable {
                        name: name.clone(),
                        base: state(base)?,
                        ours: state(ours)?,
                        theirs: state(theirs)?,
                        merged: state(&merged.snapshot)?,
                        counts: MergeCounts::default(),
                        conflicts: Vec::new(),
                    };
                    merged.tables.push(table);
                    merged.tables.len() - 1
                }
            };
            let table = &mut merged.tables[place];
            let at = |state: &Table| violation.row.map_or(Ok(None), |row| slot_of(self, state, row));
            let (base, ours, theirs) = (at(&table.base)?, at(&table.ours)?, at(&table.theirs)?);
            table.conflicts.push(Conflict { kind: ConflictKind::Check(why), column: None, base, ours, theirs, merged: Some(slot) });
        }
        Ok(())
    }
}

/// The check, the row and what is wrong, in a line.
fn said(violation: &Violation) -> Result<String, RepoError> {
    let mut parts = Vec::new();
    for batch in [&violation.key, &violation.cells].into_iter().flatten() {
        for cell in cells(batch)? {
            if !parts.contains(&cell) {
                parts.push(cell);
            }
        }
    }
    let row = match (parts.is_empty(), violation.row) {
        (false, _) => format!(" ({})", parts.join(", ")),
        (true, Some(row)) => format!(" (row {row})"),
        (true, None) => String::new(),
    };
    Ok(format!("check '{}': {}{row}", violation.check, violation.detail))
}

/// The cells of the first row, each with its column's name, in short.
pub(super) fn cells(batch: &RecordBatch) -> Result<Vec<String>, TableError> {
    let one = |(field, column): (&FieldRef, &ArrayRef)| {
        let cell = match column.as_binary_opt::<i32>() {
            Some(bytes) => format!("{} bytes", bytes.value(0).len()),
            None => array_value_to_string(column, 0)?,
        };
        // Captions and vectors would hide what is wrong.
        Ok(match cell.char_indices().nth(SHOWN_CHARACTERS) {
            Some((end, _)) => format!("{}={}...", field.name(), cell.get(..end).unwrap_or_default()),
            None => format!("{}={cell}", field.name()),
        })
    };
    batch.schema_ref().fields().iter().zip(batch.columns()).map(one).collect()
}

//! `restore`: tables of the working state become what they were in a revision.

use std::sync::Arc;

use super::working::no_table;
use super::{Repo, RepoError};
use crate::table::Table;
use crate::table::diff::align;
use crate::table::key::KeyIndex;
use crate::table::merge::Map;

impl Repo {
    /// Gives tables of the working state the data that they had at a revision, by default `HEAD`; all tables, views and checks where none is
    /// named. A table that the revision has not goes, if the working state has it. Returns the names of the tables that differ now.
    pub fn restore(&self, tables: &[String], revision: Option<&str>) -> Result<Vec<String>, RepoError> {
        let working = self.working()?;
        let source = match (revision, working.base) {
            (Some(revision), _) => self.snapshot_of(self.resolve_in(&working.view, revision)?)?,
            (None, Some(base)) => self.snapshot_of(base)?,
            (None, None) => Default::default(),
        };
        let mut changed = Vec::new();
        let command = format!("restore {}", if tables.is_empty() { "--all".to_owned() } else { tables.join(" ") });
        self.update_working(&command, |now| {
            let mut new = now.clone();
            let all: Vec<String> = now.tables.keys().chain(source.tables.keys()).cloned().collect();
            for name in if tables.is_empty() { all.as_slice() } else { tables } {
                let restored = source.tables.get(name).copied();
                if restored.is_none() && !now.tables.contains_key(name) {
                    return Err(no_table(now, name, Some(revision.unwrap_or("HEAD"))));
                }
                let before = match restored {
                    Some(id) => new.tables.insert(name.clone(), id),
                    None => new.tables.remove(name),
                };
                if before != restored {
                    changed.push(name.clone());
                }
            }
            if tables.is_empty() {
                new.views = source.views.clone();
                new.checks = source.checks.clone();
            }
            Ok(new)
        })?;
        Ok(changed)
    }

    /// Gives columns of a table, in rows that both have, the cells that they had at a revision, by default `HEAD`; columns that were dropped come back.
    pub fn restore_columns(&self, name: &str, columns: &[String], revision: Option<&str>) -> Result<(), RepoError> {
        let revision = revision.unwrap_or("HEAD");
        let source = self.table(name, Some(revision))?;
        let indices = columns.iter().map(|column| source.schema.index(column)).collect::<Result<Vec<_>, _>>()?;
        self.edit_table(name, &format!("restore {name} --column {}", columns.join(",")), |table| -> Result<_, RepoError> {
            let mut table = self.same_table(name, &source, &table, revision)?;
            for index in indices {
                table = table.restore_column(self.objects(), &source, index)?;
            }
            self.hold_key(table)
        })
    }

    /// Gives rows of a table, told by their slots at a revision, the cells that they had there, of some columns (none: of all); rows that were deleted
    /// come back. Other rows stay as they are.
    pub fn restore_rows(&self, name: &str, slots: &[u64], columns: &[String], revision: Option<&str>) -> Result<(), RepoError> {
        let revision = revision.unwrap_or("HEAD");
        let source = self.table(name, Some(revision))?;
        let ids = columns.iter().map(|column| Ok(source.schema.columns[source.schema.index(column)?].id)).collect::<Result<Vec<_>, RepoError>>()?;
        self.edit_table(name, &format!("restore {name} ({} rows)", slots.len()), |table| -> Result<_, RepoError> {
            let table = self.same_table(name, &source, &table, revision)?;
            let here = Map::new(align(self.objects(), &source, &table)?);
            let rows = slots.iter().map(|slot| (here.get(*slot), *slot)).collect();
            let table = table.bring(self.objects(), &source, rows, (!ids.is_empty()).then_some(ids.as_slice()))?;
            self.hold_key(table)
        })
    }

    /// The table, if its key is one: no restored cell made two rows of one key.
    fn hold_key(&self, table: Table) -> Result<Table, RepoError> {
        let key = table.schema.key_indices();
        if !key.is_empty() {
            KeyIndex::build(self.objects(), &Arc::new(table.clone()), key)?;
        }
        Ok(table)
    }

    /// The table, if the one of the revision is the same table.
    fn same_table(&self, name: &str, source: &Table, table: &Arc<Table>, revision: &str) -> Result<Table, RepoError> {
        if source.id != table.id {
            let message = format!("table '{name}' of {revision} is another table of that name");
            return Err(RepoError::refused_with(message, format!("'dsv restore {name} --source {revision}' takes it as a whole")));
        }
        Ok((**table).clone())
    }
}

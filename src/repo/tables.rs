//! `dsv table` and `dsv column`: tables come, go and change their columns, in the working state.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};

use crate::base::TableObjectId;
use crate::base::name::check_label;
use crate::format::Type;
use crate::format::snapshot::Snapshot;
use crate::table::compact::Compacted;
use crate::table::edit::Fill;
use crate::table::key::KeyIndex;
use crate::table::merge::Policy;
use crate::table::{Schema, Table, TableError};

use super::import::table_seed;
use super::working::no_table;
use super::{Repo, RepoError};

/// A table of a snapshot, at a glance.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// Its state.
    pub id: TableObjectId,
    /// Its live rows.
    pub rows: u64,
    /// Its columns and its key.
    pub schema: Schema,
}

impl Repo {
    /// A table of the working state, or of a revision.
    pub fn table(&self, name: &str, at: Option<&str>) -> Result<Arc<Table>, RepoError> {
        let snapshot = self.snapshot(at)?;
        let id = snapshot.tables.get(name).ok_or_else(|| no_table(&snapshot, name, at))?;
        Ok(Arc::new(Table::load(self.objects(), *id)?))
    }

    /// The working snapshot, or that of a revision.
    pub fn snapshot(&self, at: Option<&str>) -> Result<Snapshot, RepoError> {
        match at {
            Some(revision) => self.snapshot_at(revision),
            None => self.working_snapshot(),
        }
    }

    /// All tables of the working state, or of a revision, by name.
    pub fn tables(&self, at: Option<&str>) -> Result<Vec<TableInfo>, RepoError> {
        let snapshot = self.snapshot(at)?;
        let info = |(name, id): (String, TableObjectId)| {
            let table = Table::load(self.objects(), id)?;
            Ok(TableInfo { name, id, rows: table.rows(self.objects())?, schema: table.schema })
        };
        snapshot.tables.into_iter().map(info).collect()
    }

    /// Makes an empty table.
    pub fn create_table(&self, name: &str, columns: &[(String, Type)], key: &[String], command: &str) -> Result<(), RepoError> {
        check_label("table", name)?;
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            super::views::check_free(snapshot, name, false)?;
            let id = table_seed(name, self.working()?.base);
            let mut schema = Schema::of(id, columns);
            for column in key {
                let index = schema.index(column)?;
                schema.key.push(schema.columns[index].id);
            }
            let table = Table::create(self.objects(), id, schema)?;
            let mut snapshot = snapshot.clone();
            snapshot.tables.insert(name.to_owned(), table.store(self.objects())?);
            Ok(snapshot)
        })?;
        Ok(())
    }

    /// Takes a table out of the working state, and its checks with it; returns their names. Commits that have them keep them.
    pub fn drop_table(&self, name: &str, command: &str) -> Result<Vec<String>, RepoError> {
        let mut gone = Vec::new();
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            let mut snapshot = snapshot.clone();
            let Some(id) = snapshot.tables.remove(name) else { return Err(no_table(&snapshot, name, None)) };
            if !snapshot.checks.is_empty() {
                let id = Table::load(self.objects(), id)?.id;
                gone = snapshot.checks.iter().filter(|(_, check)| check.rule.table() == Some(id)).map(|(name, _)| name.clone()).collect();
                gone.iter().for_each(|check| drop(snapshot.checks.remove(check)));
            }
            Ok(snapshot)
        })?;
        Ok(gone)
    }

    /// Gives a table another name. Its identity stays.
    pub fn rename_table(&self, from: &str, to: &str, command: &str) -> Result<(), RepoError> {
        check_label("table", to)?;
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            super::views::check_free(snapshot, to, false)?;
            let mut snapshot = snapshot.clone();
            let Some(id) = snapshot.tables.remove(from) else { return Err(no_table(&snapshot, from, None)) };
            snapshot.tables.insert(to.to_owned(), id);
            Ok(snapshot)
        })?;
        Ok(())
    }

    /// Changes a table of the working state, as one operation logged as `command`.
    pub fn edit_table<E: From<RepoError>>(&self, name: &str, command: &str, edit: impl FnOnce(Arc<Table>) -> Result<Table, E>) -> Result<(), E> {
        self.update_working(command, |snapshot| -> Result<_, E> {
            let id = snapshot.tables.get(name).ok_or_else(|| no_table(snapshot, name, None))?;
            let table = Table::load(self.objects(), *id).map_err(RepoError::from)?;
            let table = edit(Arc::new(table))?;
            let mut snapshot = snapshot.clone();
            snapshot.tables.insert(name.to_owned(), table.store(self.objects()).map_err(RepoError::from)?);
            Ok(snapshot)
        })?;
        Ok(())
    }

    /// Adds a column that holds one value everywhere; null where `default` is none. The default is text as a CSV field has it.
    pub fn add_column(&self, table: &str, name: &str, ty: Type, default: Option<&str>, command: &str) -> Result<(), RepoError> {
        self.edit_table(table, command, |table| {
            let value = match default {
                None => new_null_array(&ty.storage(), 1),
                Some(text) => cell_of_text(text, &ty, name)?,
            };
            Ok(table.add_column(self.objects(), name, ty, Fill::Constant(value))?)
        })
    }

    /// Drops a column.
    pub fn drop_column(&self, table: &str, name: &str, command: &str) -> Result<(), RepoError> {
        self.edit_table(table, command, |table| Ok(table.drop_column(name)?))
    }

    /// Renames a column.
    pub fn rename_column(&self, table: &str, from: &str, to: &str, command: &str) -> Result<(), RepoError> {
        self.edit_table(table, command, |table| Ok(table.rename_column(from, to)?))
    }

    /// Sets the rule that decides cells of a column that both sides of a merge changed, or takes it away.
    pub fn set_policy(&self, table: &str, name: &str, policy: Option<Policy>, command: &str) -> Result<(), RepoError> {
        self.edit_table(table, command, |table| Ok(table.set_policy(name, policy)?))
    }

    /// Changes a column's type. Where every value fits exactly nothing is rewritten.
    pub fn retype_column(&self, table: &str, name: &str, ty: Type, command: &str) -> Result<(), RepoError> {
        self.edit_table(table, command, |table| Ok(table.retype_column(self.objects(), name, ty)?))
    }

    /// Makes columns the table's key; empty takes the key away. Errors where keys are null or stand twice.
    pub fn set_key(&self, table: &str, key: &[String], command: &str) -> Result<(), RepoError> {
        self.edit_table(table, command, |table| {
            let indices = key.iter().map(|name| table.schema.index(name)).collect::<Result<Vec<_>, TableError>>()?;
            if !indices.is_empty() {
                KeyIndex::build(self.objects(), &table, indices.clone())?;
            }
            let mut table = (*table).clone();
            table.schema.key = indices.iter().map(|i| table.schema.columns[*i].id).collect();
            Ok(table)
        })
    }

    /// Rewrites fragmented stretches of the tables named, or of all; with `purge`, takes deleted rows out as well. What each table's compaction did, by name.
    pub fn compact(&self, names: &[String], purge: bool, command: &str) -> Result<Vec<(String, Compacted)>, RepoError> {
        let mut all = Vec::new();
        if purge && self.inherited_flags(self.working()?.base)? != 0 {
            return Err(RepoError::refused_with(
                "this branch is a subset: to take its hidden rows out would delete them where it is merged",
                "compact without --purge, or purge the branch that it came from",
            ));
        }
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            let mut snapshot = snapshot.clone();
            if let Some(name) = names.iter().find(|name| !snapshot.tables.contains_key(*name)) {
                return Err(no_table(&snapshot, name, None));
            }
            for (name, id) in &mut snapshot.tables {
                if !names.is_empty() && !names.contains(name) {
                    continue;
                }
                self.progress().start(&format!("compacting {name}"), None, crate::base::progress::Unit::Rows);
                let mut table = Table::load(self.objects(), *id)?;
                let mut purged = 0;
                if purge {
                    (table, purged) = table.purge(self.objects())?;
                }
                let (table, mut done) = table.compact(self.objects(), &|rows| self.progress().advance(rows))?;
                self.progress().finish();
                if self.progress().interrupted() {
                    return Err(RepoError::Interrupted);
                }
                done.purged = purged;
                if done.columns > 0 || done.purged > 0 {
                    *id = table.store(self.objects())?;
                }
                all.push((name.clone(), done));
            }
            Ok(snapshot)
        })?;
        Ok(all)
    }
}

/// A cell of that type from text, as a CSV field gives it.
pub fn cell_of_text(text: &str, ty: &Type, column: &str) -> Result<ArrayRef, RepoError> {
    let cell: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![text]));
    let options = arrow::compute::CastOptions { safe: true, ..Default::default() };
    let bad = || RepoError::refused(format!("'{text}' is no {ty}, the type of column '{column}'"));
    if *ty == Type::Json {
        serde_json::from_str::<serde_json::Value>(text).map_err(|_| bad())?;
    }
    let cast = arrow::compute::cast_with_options(&cell, &ty.storage(), &options).map_err(|_| bad())?;
    if arrow::array::Array::is_null(&cast, 0) {
        return Err(bad());
    }
    crate::table::edit::check_labels(ty, &cast, column, 0)?;
    Ok(cast)
}

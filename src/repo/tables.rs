//! `table` and `column`: tables of the working state are made, dropped, renamed and reshaped.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};

use super::import::table_seed;
use super::working::no_table;
use super::{Repo, RepoError};
use crate::base::name::check_label;
use crate::format::Type;
use crate::format::snapshot::Snapshot;
use crate::table::edit::Fill;
use crate::table::{Schema, Table, TableError};

/// What a new column holds.
pub enum ColumnFill {
    /// Null.
    Null,
    /// One cell of the column's storage type, for all rows.
    Constant(ArrayRef),
    /// A value for each row, in order.
    Values(ColumnValues),
}

/// Values of a column in the order of the rows, in pieces.
pub type ColumnValues = Box<dyn Iterator<Item = Result<ArrayRef, TableError>>>;

impl Repo {
    /// A table of a revision, or of the working state.
    pub fn table(&self, name: &str, at: Option<&str>) -> Result<Arc<Table>, RepoError> {
        let snapshot = self.snapshot_of_or_working(at)?;
        let id = snapshot.tables.get(name).ok_or_else(|| no_table(&snapshot, name, at))?;
        Ok(Arc::new(Table::load(self.objects(), *id)?))
    }

    /// All tables of a revision, or of the working state, by name.
    pub fn tables(&self, at: Option<&str>) -> Result<Vec<(String, Arc<Table>)>, RepoError> {
        let load = |(name, id)| Ok((name, Arc::new(Table::load(self.objects(), id)?)));
        self.snapshot_of_or_working(at)?.tables.into_iter().map(load).collect()
    }

    fn snapshot_of_or_working(&self, at: Option<&str>) -> Result<Snapshot, RepoError> {
        match at {
            Some(revision) => self.snapshot_at(revision),
            None => self.working_snapshot(),
        }
    }

    /// Makes a table without rows. The key's columns must be among its columns.
    pub fn create_table(&self, name: &str, columns: &[(String, Type)], key: &[String]) -> Result<(), RepoError> {
        check_label("table", name)?;
        let seed = table_seed(name, self.working()?.base);
        self.change_tables(&format!("table create {name}"), |snapshot| {
            if snapshot.tables.contains_key(name) {
                return Err(RepoError::Taken { what: "table", name: name.to_owned() });
            }
            let mut schema = Schema::of(seed, columns);
            let key = key.iter().map(|name| Ok(schema.index(name)?)).collect::<Result<Vec<_>, RepoError>>()?;
            schema.key = key.iter().filter_map(|i| schema.columns.get(*i)).map(|c| c.id).collect();
            let table = Table::create(self.objects(), seed, schema)?;
            snapshot.tables.insert(name.to_owned(), table.store(self.objects())?);
            Ok(())
        })
    }

    /// Drops a table from the working state.
    pub fn drop_table(&self, name: &str) -> Result<(), RepoError> {
        self.change_tables(&format!("table drop {name}"), |snapshot| match snapshot.tables.remove(name) {
            Some(_) => Ok(()),
            None => Err(no_table(snapshot, name, None)),
        })
    }

    /// Gives a table another name.
    pub fn rename_table(&self, name: &str, new: &str) -> Result<(), RepoError> {
        check_label("table", new)?;
        self.change_tables(&format!("table rename {name} {new}"), |snapshot| {
            let Some(id) = snapshot.tables.get(name).copied() else { return Err(no_table(snapshot, name, None)) };
            if name != new && snapshot.tables.contains_key(new) {
                return Err(RepoError::Taken { what: "table", name: new.to_owned() });
            }
            snapshot.tables.remove(name);
            snapshot.tables.insert(new.to_owned(), id);
            Ok(())
        })
    }

    /// Adds a column at the end of a table.
    pub fn add_column(&self, table: &str, column: &str, ty: &Type, fill: ColumnFill) -> Result<(), RepoError> {
        self.change_table(table, &format!("column add {table} {column} {ty}"), |old| {
            let fill = match fill {
                ColumnFill::Null => Fill::Constant(new_null_array(&ty.storage(), 1)),
                ColumnFill::Constant(cell) => Fill::Constant(cell),
                ColumnFill::Values(values) => Fill::Values(values),
            };
            Ok(old.add_column(self.objects(), column, ty.clone(), fill)?)
        })
    }

    /// Drops a column. One of the key is refused.
    pub fn drop_column(&self, table: &str, column: &str) -> Result<(), RepoError> {
        self.change_table(table, &format!("column drop {table} {column}"), |old| Ok(old.drop_column(column)?))
    }

    /// Gives a column another name.
    pub fn rename_column(&self, table: &str, column: &str, new: &str) -> Result<(), RepoError> {
        self.change_table(table, &format!("column rename {table} {column} {new}"), |old| Ok(old.rename_column(column, new)?))
    }

    /// Gives a column another type. Its values are cast, and the first that does not fit is named; or they are replaced by `values`.
    pub fn retype_column(&self, table: &str, column: &str, ty: &Type, values: Option<ColumnValues>) -> Result<(), RepoError> {
        self.change_table(table, &format!("column retype {table} {column} {ty}"), |old| match values {
            None => Ok(old.retype_column(self.objects(), column, ty.clone())?),
            Some(values) => Ok(old.refill_column(self.objects(), column, ty.clone(), values)?),
        })
    }

    fn change_table(&self, name: &str, command: &str, change: impl FnOnce(Table) -> Result<Table, RepoError>) -> Result<(), RepoError> {
        self.change_tables(command, |snapshot| {
            let Some(id) = snapshot.tables.get(name).copied() else { return Err(no_table(snapshot, name, None)) };
            let table = change(Table::load(self.objects(), id)?)?;
            snapshot.tables.insert(name.to_owned(), table.store(self.objects())?);
            Ok(())
        })
    }

    fn change_tables(&self, command: &str, change: impl FnOnce(&mut Snapshot) -> Result<(), RepoError>) -> Result<(), RepoError> {
        self.update_working(command, |old| -> Result<Snapshot, RepoError> {
            let mut snapshot = old.clone();
            change(&mut snapshot)?;
            Ok(snapshot)
        })?;
        Ok(())
    }
}

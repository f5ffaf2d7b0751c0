//! `log -- TABLE COLUMN`: whether a commit changed columns of a table.

use super::{Repo, RepoError};
use crate::base::TableObjectId;
use crate::format::commit::Commit;
use crate::history::load_snapshot;
use crate::table::Table;
use crate::table::diff::{SchemaChange, diff};

impl Repo {
    /// True where, against each of its parents, the commit made, dropped, renamed or retyped one of the columns, or changed cells of it. Without
    /// columns always true.
    pub(super) fn changes_columns(&self, commit: &Commit, tables: &[String], columns: &[String]) -> Result<bool, RepoError> {
        let (Some(name), false) = (tables.first(), columns.is_empty()) else { return Ok(true) };
        let now = load_snapshot(self.objects(), commit.snapshot)?.tables.get(name).copied();
        if commit.parents.is_empty() {
            return self.touched(None, now, columns);
        }
        for parent in &commit.parents {
            let before = self.snapshot_of(*parent)?.tables.get(name).copied();
            if !self.touched(before, now, columns)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn touched(&self, before: Option<TableObjectId>, now: Option<TableObjectId>, columns: &[String]) -> Result<bool, RepoError> {
        let objects = self.objects();
        let load = |id: Option<TableObjectId>| id.map(|id| Table::load(objects, id)).transpose();
        let has = |table: &Table| table.schema.columns.iter().any(|c| columns.contains(&c.name));
        let (old, new) = match (load(before)?, load(now)?) {
            (None, None) => return Ok(false),
            (Some(one), None) | (None, Some(one)) => return Ok(has(&one)),
            (Some(old), Some(new)) => (old, new),
        };
        if !has(&old) && !has(&new) {
            return Ok(false);
        }
        let difference = diff(objects, &old, &new)?;
        let schema = difference.schema.iter().any(|change| match change {
            SchemaChange::Added { name, .. } | SchemaChange::Dropped { name, .. } | SchemaChange::Retyped { name, .. } => columns.contains(name),
            SchemaChange::Renamed { from, to } => columns.contains(from) || columns.contains(to),
        });
        let cells = difference.changed.iter().any(|c| new.schema.columns.get(c.new).is_some_and(|c| columns.contains(&c.name)));
        Ok(schema || cells)
    }
}

//! A repository's revisions, for queries.

use std::sync::Arc;

use arrow::array::Array;
use arrow::util::display::array_value_to_string;

use crate::base::CommitId;
use crate::chunk::Objects;
use crate::format::snapshot::Snapshot;
use crate::history::HistoryError;
use crate::repo::{LogOptions, Repo, RepoError};
use crate::table::merge::Side;

use super::revisions::{CommitRow, ConflictRow, RefKind, RefRow};
use super::{QueryError, Revisions};

impl Revisions for Repo {
    fn snapshot(&self, revision: Option<&str>) -> Result<Snapshot, QueryError> {
        Repo::snapshot(self, revision).map_err(|error| match (error, revision) {
            (RepoError::History(HistoryError::Unknown { nearest, .. }), Some(name)) => QueryError::NoRevision { name: name.to_owned(), near: nearest },
            (other, _) => QueryError::Repository(other),
        })
    }

    fn objects(&self) -> Arc<Objects> {
        Repo::objects(self).clone()
    }

    fn commits(&self) -> Result<Vec<CommitRow>, QueryError> {
        let entries = self.log(&LogOptions { all: true, ..LogOptions::default() })?;
        let row = |entry: crate::repo::LogEntry| CommitRow {
            id: entry.id.to_string(),
            parents: entry.commit.parents.iter().map(CommitId::to_string).collect(),
            author: entry.commit.author.name.clone(),
            email: entry.commit.author.email.clone(),
            authored_millis: entry.commit.author.millis,
            committed_millis: entry.commit.committed_millis,
            message: entry.commit.message.clone(),
        };
        Ok(entries.into_iter().map(row).collect())
    }

    fn refs(&self) -> Result<Vec<RefRow>, QueryError> {
        let branch = |b: crate::repo::BranchInfo| RefRow {
            kind: RefKind::Branch,
            name: b.name,
            commit: b.commit.map(|(id, _)| id.to_string()),
            current: b.current,
            message: None,
        };
        let tag = |t: crate::repo::TagInfo| RefRow {
            kind: RefKind::Tag,
            name: t.name,
            commit: Some(t.tag.commit.to_string()),
            current: false,
            message: (!t.tag.message.is_empty()).then_some(t.tag.message),
        };
        let mut rows: Vec<RefRow> = self.branches()?.into_iter().map(branch).collect();
        rows.extend(self.tags()?.into_iter().map(tag));
        Ok(rows)
    }

    fn blame(&self, table: &str, revision: Option<&str>, columns: &[usize], slots: &[u64]) -> Result<Vec<Vec<Option<CommitId>>>, QueryError> {
        Ok(Repo::blame(self, table, revision, columns, slots)?)
    }

    fn conflicts(&self) -> Result<Vec<ConflictRow>, QueryError> {
        let Some(pending) = self.pending()? else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for table in &pending.tables {
            for conflict in &table.conflicts {
                let key = self.conflict_key(table, conflict)?;
                let shown = key.iter().map(|(_, cell)| array_value_to_string(cell, 0)).collect::<Result<Vec<_>, _>>()?;
                let mut cells = [None, None, None];
                for (cell, side) in cells.iter_mut().zip([None, Some(Side::Ours), Some(Side::Theirs)]) {
                    let value = self.conflict_cell(table, conflict, side)?.filter(|value| value.is_valid(0));
                    *cell = value.map(|value| array_value_to_string(&value, 0)).transpose()?;
                }
                rows.push(ConflictRow {
                    table: table.name.clone(),
                    kind: conflict.kind.name().to_owned(),
                    row: self.conflict_row(table, conflict)?.map(|id| id.to_string()),
                    key: (!shown.is_empty()).then(|| shown.join(",")),
                    column: table.column(conflict).map(str::to_owned),
                    cells,
                    why: conflict.kind.why().map(str::to_owned),
                });
            }
        }
        let whole = |name: &crate::repo::NameConflict| ConflictRow {
            table: name.name.clone(),
            kind: "table".to_owned(),
            why: Some(name.why.clone()),
            ..ConflictRow::default()
        };
        rows.extend(pending.names.iter().map(whole));
        Ok(rows)
    }
}

/// For operations of the floor below that take a query's rows.
impl From<QueryError> for RepoError {
    fn from(error: QueryError) -> RepoError {
        match error {
            QueryError::Repository(error) => error,
            QueryError::Table(error) => RepoError::Table(error),
            QueryError::Interrupted => RepoError::Interrupted,
            other => RepoError::Refused { message: other.to_string(), hint: other.hints().into_iter().next() },
        }
    }
}
